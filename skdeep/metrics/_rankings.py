"""Measures of scores: how far the labels of a row, or the rows of a label, are from being ranked without fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skdeep.metrics._checks import check_scores


def one_error(y_true: Any, y_score: Any) -> float:
    """Share of rows whose top-ranked label is not one of theirs.

    Where several labels share the highest score, the row counts the share of them that are wrong: what picking one of
    them at random errs on average, whatever the order of the labels. A row without a positive label counts 0.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_score : array-like of shape (n_samples, n_labels)
        Probabilities or decision values.

    Returns
    -------
    loss : float
        Between 0 and 1; 0 is best.

    Raises
    ------
    ValueError
        If ``y_true`` is no indicator, or ``y_score`` is not finite or of another shape.

    References
    ----------
    R. E. Schapire, Y. Singer, "BoosTexter: a boosting-based system for text categorization", Machine Learning 39, 2000,
    section 5.

    Examples
    --------
    >>> from skdeep.metrics import one_error
    >>> one_error([[1, 0, 0], [0, 1, 1]], [[0.2, 0.7, 0.1], [0.1, 0.8, 0.3]])
    0.5
    """
    return _one_error(ScoredLabels(*check_scores(y_true, y_score)))


def coverage(y_true: Any, y_score: Any) -> float:
    """How many labels below the top one must be gone down to, on average, to cover all labels of a row.

    This is the papers' coverage: :func:`~sklearn.metrics.coverage_error` less 1 for each row that has a label. A label
    that ties with others comes after them. A row without a positive label counts 0.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_score : array-like of shape (n_samples, n_labels)
        Probabilities or decision values.

    Returns
    -------
    loss : float
        Between 0 and ``n_labels - 1``; the best possible is the mean over rows of the number of labels less 1, or 0 for
        a row without any.

    Raises
    ------
    ValueError
        If ``y_true`` is no indicator, or ``y_score`` is not finite or of another shape.

    References
    ----------
    R. E. Schapire, Y. Singer, "BoosTexter: a boosting-based system for text categorization", Machine Learning 39, 2000,
    section 5.

    Examples
    --------
    >>> from skdeep.metrics import coverage
    >>> coverage([[1, 0, 0], [0, 1, 1]], [[0.2, 0.7, 0.1], [0.1, 0.8, 0.3]])
    1.0
    """
    return _coverage(ScoredLabels(*check_scores(y_true, y_score)))


def is_error(y_true: Any, y_score: Any) -> float:
    """Share of rows whose labels are not ranked without fault.

    A row is at fault if one of its negative labels scores at least as high as one of its positive labels: where its
    :func:`~sklearn.metrics.label_ranking_loss` is above 0. A row without a positive or without a negative label has
    nothing to rank and counts 0.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_score : array-like of shape (n_samples, n_labels)
        Probabilities or decision values.

    Returns
    -------
    loss : float
        Between 0 and 1; 0 is best.

    Raises
    ------
    ValueError
        If ``y_true`` is no indicator, or ``y_score`` is not finite or of another shape.

    References
    ----------
    K. Crammer, Y. Singer, "A family of additive online algorithms for category ranking", Journal of Machine Learning
    Research 3, 2003, pages 1025-1058: the loss IsErr.

    Examples
    --------
    >>> from skdeep.metrics import is_error
    >>> is_error([[1, 0, 0], [0, 1, 1]], [[0.2, 0.7, 0.1], [0.1, 0.8, 0.3]])
    0.5
    """
    return _is_error(ScoredLabels(*check_scores(y_true, y_score)))


class Ranking(NamedTuple):
    """Labels of each row from the highest score to the lowest.

    ``n_above[i, p]`` is how many labels score at least as high as the one at place p (itself included), and
    ``n_above_true[i, p]`` how many of these are positive.
    """

    true: NDArray[np.bool_]
    n_above: NDArray[np.intp]
    n_above_true: NDArray[np.intp]

    @property
    def n_true(self) -> NDArray[np.intp]:
        return self.true.sum(axis=1)

    @property
    def n_wrong_pairs(self) -> NDArray[np.intp]:
        """Pairs of a positive label and a negative one that scores at least as high."""
        return np.where(self.true, self.n_above - self.n_above_true, 0).sum(axis=1)


@dataclass(frozen=True)
class ScoredLabels:
    """True labels and their scores, of shape (n_samples, n_labels); ranked once, when first asked for."""

    true: NDArray[np.bool_]
    scores: NDArray[np.float64]

    @cached_property
    def ranking(self) -> Ranking:
        return _rank(self.true, self.scores)


def _rank(true: NDArray[np.bool_], scores: NDArray[np.float64]) -> Ranking:
    n_labels = scores.shape[1]
    order = np.argsort(-scores, axis=1)
    ordered = np.take_along_axis(scores, order, axis=1)
    true = np.take_along_axis(true, order, axis=1)
    ends_tie = np.ones(scores.shape, dtype=bool)
    ends_tie[:, :-1] = ordered[:, :-1] != ordered[:, 1:]
    last = np.where(ends_tie, np.arange(n_labels), n_labels)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    return Ranking(true, last + 1, np.take_along_axis(true.cumsum(axis=1), last, axis=1))


def _one_error(labels: ScoredLabels) -> float:
    ranking = labels.ranking
    wrong_share = 1 - ranking.n_above_true[:, 0] / ranking.n_above[:, 0]
    return float(np.where(ranking.n_true > 0, wrong_share, 0).mean())


def _coverage(labels: ScoredLabels) -> float:
    depth = np.where(labels.ranking.true, labels.ranking.n_above - 1, 0).max(axis=1)
    return float(depth.mean())


def _ranking_loss(labels: ScoredLabels) -> float:
    n_true = labels.ranking.n_true
    n_pairs = n_true * (labels.true.shape[1] - n_true)
    return float((labels.ranking.n_wrong_pairs / np.maximum(n_pairs, 1)).mean())


def _is_error(labels: ScoredLabels) -> float:
    return float((labels.ranking.n_wrong_pairs > 0).mean())


def _average_precision(labels: ScoredLabels) -> float:
    true, n_above, n_above_true = labels.ranking
    n_true = labels.ranking.n_true
    precision = np.where(true, n_above_true / n_above, 0).sum(axis=1)
    return float(np.where(n_true > 0, precision / np.maximum(n_true, 1), 1).mean())


def _map_macro(labels: ScoredLabels) -> float:
    # Average precision of a label over the rows is what _average_precision is of a row over the labels.
    present = labels.true.any(axis=0)
    if not present.any():
        return float("nan")
    return _average_precision(ScoredLabels(labels.true.T[present], labels.scores.T[present]))


RANKING_MEASURES: dict[str, Callable[[ScoredLabels], float]] = {
    "one_error": _one_error,
    "coverage": _coverage,
    "ranking_loss": _ranking_loss,
    "is_error": _is_error,
    "average_precision": _average_precision,
    "map_macro": _map_macro,
}
