"""In which order a chain goes through the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from sklearn.utils import check_random_state


def settle_order(order: Any, indicator: NDArray[np.uint8], random_state: Any) -> NDArray[np.intp]:
    """Take the ``order`` of a chain: None, ``"random"``, ``"dependence"``, or each label once.

    Raises
    ------
    ValueError
        If it is no permutation of the labels.
    """
    n_labels = indicator.shape[1]
    if order is None:
        return np.arange(n_labels)
    if isinstance(order, str):
        return (
            dependence_order(indicator)
            if order == "dependence"
            else check_random_state(random_state).permutation(n_labels)
        )
    positions = np.asarray(order)
    if positions.shape != (n_labels,) or not np.array_equal(np.sort(positions), np.arange(n_labels)):
        raise ValueError(
            f"The 'order' parameter of ClassifierChain must name each of the {n_labels} labels once, "
            f"as a permutation of 0 to {n_labels - 1}. Got {order!r} instead."
        )
    return positions.astype(np.intp)


def dependence_order(indicator: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Order labels so that each follows the earlier one that it depends on most.

    The order grows the maximum spanning tree of the labels' mutual information (Chow and Liu's), edge by edge from the
    label that shares most with all others, so that a label's parent in the tree always comes before it.

    Parameters
    ----------
    indicator : ndarray of shape (n_samples, n_labels)

    Returns
    -------
    order : ndarray of int of shape (n_labels,)

    Examples
    --------
    Label 2 is label 0 but for one row; label 1 is independent of both.

    >>> import numpy as np
    >>> dependence_order(np.array([[0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1], [1, 0, 0]], dtype=np.uint8))
    array([0, 2, 1])
    """
    information = mutual_information(indicator)
    np.fill_diagonal(information, -np.inf)
    n_labels = len(information)
    order = [int(np.argmax(np.where(np.isfinite(information), information, 0).sum(axis=1)))]
    strongest = information[order[0]].copy()
    while len(order) < n_labels:
        strongest[order[-1]] = -np.inf
        order.append(int(np.argmax(strongest)))
        strongest = np.where(np.isneginf(strongest), strongest, np.maximum(strongest, information[order[-1]]))
    return np.array(order, dtype=np.intp)


def mutual_information(indicator: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mutual information of each pair of labels in nats, shape (n_labels, n_labels)."""
    n_rows = len(indicator)
    on = indicator.astype(np.float64)
    both = on.T @ on / n_rows
    share = on.mean(axis=0)
    joint = np.stack([both, share[:, None] - both, share - both, 1 - share[:, None] - share + both])
    joint = np.maximum(joint, 0)  # differences of shares may round below 0
    off = 1 - share
    apart = np.stack([np.outer(a, b) for a in (share, off) for b in (share, off)])
    return np.sum(xlogy(joint, joint) - xlogy(joint, np.where(joint > 0, apart, 1)), axis=0)
