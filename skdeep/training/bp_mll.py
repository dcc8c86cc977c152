"""The threshold that turns BP-MLL's ranking of labels into a set of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class RankingThreshold:
    r"""A threshold for each row, linear in the row's outputs.

    The best threshold of a training row leaves the fewest labels on the wrong side; among equals the middle of the
    widest such interval is taken. Weighted least squares then fit :math:`t(x) = w^\top c(x) + b` to these. As in the
    paper, the outputs are those of the rows that the net was trained on.

    Parameters
    ----------
    outputs, indicator : ndarray of shape (n_rows, n_labels)
    sample_weight : ndarray of shape (n_rows,)
    before : RankingThreshold, default=None
        That of other rows, which go on counting.

    Attributes
    ----------
    coef : ndarray of shape (n_labels,)
    intercept : float
    gram, moment : ndarray of shape (n_labels + 1, n_labels + 1) and (n_labels + 1,)
        The normal equations of all rows.

    References
    ----------
    Zhang and Zhou 2006, equation 13, after Elisseeff and Weston, "A kernel method for multi-labelled classification",
    NIPS 2001.
    """

    def __init__(
        self,
        outputs: Array,
        indicator: NDArray[np.uint8],
        sample_weight: Array,
        before: RankingThreshold | None = None,
    ) -> None:
        design = np.column_stack([outputs, np.ones(len(outputs))])
        weighted = design * np.asarray(sample_weight)[:, None]
        self.gram, self.moment = design.T @ weighted, weighted.T @ best_thresholds(outputs, indicator)
        if before is not None:
            self.gram, self.moment = self.gram + before.gram, self.moment + before.moment
        solution, *_ = np.linalg.lstsq(self.gram, self.moment, rcond=None)
        self.coef, self.intercept = solution[:-1], float(solution[-1])

    def __call__(self, outputs: Array) -> Array:
        """Thresholds of shape (n_rows,) for outputs of shape (n_rows, n_labels)."""
        return outputs @ self.coef + self.intercept


def best_thresholds(outputs: Array, indicator: NDArray[np.uint8]) -> Array:
    """For each row, the threshold with the fewest relevant labels at or below it and irrelevant ones above it.

    Parameters
    ----------
    outputs, indicator : ndarray of shape (n_rows, n_labels)

    Returns
    -------
    thresholds : ndarray of shape (n_rows,)
        The middle of the widest interval between neighbouring outputs among those with the fewest errors; beyond the
        lowest and the highest output the interval is taken to be 2 wide, as tanh's range is.
    """
    order = np.argsort(outputs, axis=1)
    values = np.take_along_axis(outputs, order, axis=1)
    relevant = np.take_along_axis(indicator, order, axis=1).astype(np.int64)
    edges = np.column_stack([values[:, :1] - 2, values, values[:, -1:] + 2])
    # errors of a cut below the first output, between the first and the second, ..., above the last
    relevant_below = np.column_stack([np.zeros(len(values), dtype=np.int64), relevant.cumsum(axis=1)])
    irrelevant_below = np.column_stack([np.zeros(len(values), dtype=np.int64), (1 - relevant).cumsum(axis=1)])
    errors = relevant_below + irrelevant_below[:, -1:] - irrelevant_below
    widths = np.diff(edges, axis=1)
    # nothing cuts between equal outputs, such as those at which tanh saturates
    errors = np.where(widths > 0, errors, errors.max() + 1)
    fewest = errors == errors.min(axis=1, keepdims=True)
    best = np.where(fewest, widths, -1.0).argmax(axis=1)
    rows = np.arange(len(values))
    return (edges[rows, best] + edges[rows, best + 1]) / 2
