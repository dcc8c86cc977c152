"""Validation rows out of training data, with every class and label in its share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdeep._validation import Targets
from skdeep.model_selection._stratify import stratify

Positions = NDArray[np.intp]


def split_rows(
    targets: Targets, fraction: float, seed: int, weights: ArrayLike | None = None
) -> tuple[Positions, Positions]:
    """Divide the rows of training data into those to learn from and those to validate on.

    Classes are stratified exactly: each gives its share of rows, rounded up or down. Labels are stratified iteratively
    [1]_, the rarest first. Two rules come before the shares: every class and every label keeps a row in the training
    part, so that the only row of a class is never validated on; and a row of weight 0 stays in the training part, where
    it counts for nothing.

    Parameters
    ----------
    targets : Targets
    fraction : float
        Share of the rows to validate on, between 0 and 1.
    seed : int
        The same seed gives the same rows, whatever rows of weight 0 stand between them.
    weights : array-like of shape (n_samples,), default=None
        Only whether a weight is 0 matters.

    Returns
    -------
    train, validation : ndarray of intp
        Row numbers in ascending order. Every row is in one of the two, and neither is empty.

    Raises
    ------
    ValueError
        If no row can be spared for validation.

    References
    ----------
    .. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep._validation import check_targets
    >>> from skdeep.model_selection._split import split_rows
    >>> y = np.repeat(["cat", "dog"], [10, 20])
    >>> train, validation = split_rows(check_targets(y, y), 0.1, seed=0)
    >>> y[validation].tolist()
    ['cat', 'dog', 'dog']
    """
    n_rows = len(targets.values)
    counted = np.arange(n_rows) if weights is None else np.flatnonzero(np.asarray(weights) != 0)
    values = targets.values[counted]
    if targets.kind == "multilabel" and targets.n_outputs > 1:
        drawn = _draw_by_labels(values, fraction, seed)
    else:
        drawn = _draw_by_classes(values.ravel(), fraction, seed)
    if len(drawn) == 0:
        raise ValueError(
            f"validation_fraction={fraction:g} of {len(counted)} rows leaves none to validate on, since each class and "
            "each label keeps a row to learn from. Pass more rows, or rows of their own as X_val and y_val."
        )
    is_validation = np.zeros(n_rows, dtype=bool)
    is_validation[counted[drawn]] = True
    return np.flatnonzero(~is_validation), np.flatnonzero(is_validation)


def _draw_by_classes(classes: NDArray[Any], fraction: float, seed: int) -> Positions:
    """Draw from each class its share of rows, and never all of them.

    The rows lie in line, class by class, and rows at equal distances are drawn: so each class gives its share, rounded
    up or down, and all together give the fraction, even where it is less than a row a class.
    """
    rng = np.random.RandomState(seed)
    sizes = np.bincount(classes)
    several = rng.permutation(np.flatnonzero(sizes > 1))
    line = np.repeat(several, sizes[several])
    if len(line) == 0:
        return line
    n_drawn = _share(fraction, len(line))
    places = (np.arange(n_drawn) * len(line) + rng.randint(len(line))) // n_drawn
    quotas = np.minimum(np.bincount(line[places], minlength=len(sizes)), sizes - 1)
    shuffled = rng.permutation(len(classes))
    shuffled = shuffled[np.argsort(classes[shuffled], kind="stable")]
    place_in_class = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return shuffled[place_in_class < quotas[classes[shuffled]]]


def _draw_by_labels(indicator: NDArray[np.uint8], fraction: float, seed: int) -> Positions:
    """Draw rows so that each label gives its share, and never all that it has."""
    rng = np.random.RandomState(seed)
    only = indicator.sum(axis=0, dtype=np.intp) == 1
    candidates = rng.permutation(np.flatnonzero(~indicator[:, only].any(axis=1)))
    n_drawn = min(_share(fraction, len(indicator)), len(candidates))
    if 0 < n_drawn < len(candidates):
        parts = stratify(indicator[candidates], [len(candidates) - n_drawn, n_drawn], rng=rng)
        candidates = candidates[parts == 1]
    return _spared(indicator, candidates[:n_drawn])


def _spared(indicator: NDArray[np.uint8], rows: Positions) -> Positions:
    """Of these rows, those that can go without taking the last positive of a label with them."""
    left = indicator.sum(axis=0, dtype=np.intp)
    spared = []
    for row in rows:
        if np.all(left[indicator[row] == 1] > 1):
            left -= indicator[row]
            spared.append(row)
    return np.array(spared, dtype=np.intp)


def _share(fraction: float, n_rows: int) -> int:
    """At least one row, and at least one left; no row of less than two."""
    return min(max(1, round(fraction * n_rows)), max(0, n_rows - 1))
