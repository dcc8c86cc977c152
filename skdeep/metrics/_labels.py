"""Measures of predicted labels: how many are right, missed and false, of each row, of each label or in all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skdeep.metrics._checks import check_predictions, check_scores

Average = Literal["samples", "micro", "macro"]
AVERAGES: tuple[Average, ...] = ("samples", "micro", "macro")

_VALID_AVERAGE = [StrOptions(set(AVERAGES))]
_VALID_BETA = [Interval(Real, 0, None, closed="neither")]


@validate_params({"average": _VALID_AVERAGE}, prefer_skip_nested_validation=True)
def multilabel_precision(y_true: Any, y_pred: Any, *, average: Average = "samples") -> float:
    """Share of the predicted labels that are true.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_pred : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        Predicted labels, an indicator.
    average : {"samples", "micro", "macro"}, default="samples"
        Mean over rows, share of all cells together, or mean over labels. What counts where nothing is predicted stands
        in the table of :mod:`skdeep.metrics`.

    Returns
    -------
    score : float
        Between 0 and 1; 1 is best. NaN for ``"macro"`` if no label is true or predicted.

    Raises
    ------
    ValueError
        If an indicator holds anything but 0 and 1, or the shapes differ.

    See Also
    --------
    sklearn.metrics.precision_score : The same but for rows and labels that are neither true nor predicted.

    References
    ----------
    G. Madjarov, D. Kocev, D. Gjorgjevikj, S. Džeroski, "An extensive experimental comparison of methods for multi-label
    learning", Pattern Recognition 45(9), 2012, appendix A.

    Examples
    --------
    >>> from skdeep.metrics import multilabel_precision
    >>> multilabel_precision([[1, 0, 0], [0, 0, 0]], [[1, 1, 0], [0, 0, 0]])
    0.75
    """
    return mean_ratio(count_outcomes(*check_predictions(y_true, y_pred)), _PRECISION, average)


@validate_params({"average": _VALID_AVERAGE}, prefer_skip_nested_validation=True)
def multilabel_recall(y_true: Any, y_pred: Any, *, average: Average = "samples") -> float:
    """Share of the true labels that are predicted.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_pred : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        Predicted labels, an indicator.
    average : {"samples", "micro", "macro"}, default="samples"
        Mean over rows, share of all cells together, or mean over labels. What counts where nothing is true stands in
        the table of :mod:`skdeep.metrics`.

    Returns
    -------
    score : float
        Between 0 and 1; 1 is best. NaN for ``"macro"`` if no label is true or predicted.

    Raises
    ------
    ValueError
        If an indicator holds anything but 0 and 1, or the shapes differ.

    See Also
    --------
    sklearn.metrics.recall_score : The same but for rows and labels that are neither true nor predicted.

    References
    ----------
    G. Madjarov, D. Kocev, D. Gjorgjevikj, S. Džeroski, "An extensive experimental comparison of methods for multi-label
    learning", Pattern Recognition 45(9), 2012, appendix A.

    Examples
    --------
    >>> from skdeep.metrics import multilabel_recall
    >>> multilabel_recall([[1, 1, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 0]])
    0.75
    """
    return mean_ratio(count_outcomes(*check_predictions(y_true, y_pred)), _RECALL, average)


@validate_params({"average": _VALID_AVERAGE}, prefer_skip_nested_validation=True)
def multilabel_jaccard(y_true: Any, y_pred: Any, *, average: Average = "samples") -> float:
    """Share of the labels that are true or predicted which are both; over rows, the papers' accuracy.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_pred : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        Predicted labels, an indicator.
    average : {"samples", "micro", "macro"}, default="samples"
        Mean over rows, share of all cells together, or mean over labels. What counts where nothing is true nor
        predicted stands in the table of :mod:`skdeep.metrics`.

    Returns
    -------
    score : float
        Between 0 and 1; 1 is best. NaN for ``"macro"`` if no label is true or predicted.

    Raises
    ------
    ValueError
        If an indicator holds anything but 0 and 1, or the shapes differ.

    See Also
    --------
    sklearn.metrics.jaccard_score : The same but for rows and labels that are neither true nor predicted.

    References
    ----------
    G. Madjarov, D. Kocev, D. Gjorgjevikj, S. Džeroski, "An extensive experimental comparison of methods for multi-label
    learning", Pattern Recognition 45(9), 2012, appendix A.

    Examples
    --------
    >>> from skdeep.metrics import multilabel_jaccard
    >>> multilabel_jaccard([[1, 1, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 0]])
    0.75
    """
    return mean_ratio(count_outcomes(*check_predictions(y_true, y_pred)), _JACCARD, average)


@validate_params({"beta": _VALID_BETA, "average": _VALID_AVERAGE}, prefer_skip_nested_validation=True)
def multilabel_fbeta(y_true: Any, y_pred: Any, *, beta: float, average: Average = "samples") -> float:
    """F-beta of predicted labels: the weighted harmonic mean of precision and recall.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_pred : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        Predicted labels, an indicator.
    beta : float
        How much more recall weighs than precision.
    average : {"samples", "micro", "macro"}, default="samples"
        Mean over rows, F-beta of all cells together, or mean over labels. What counts where nothing is true nor
        predicted stands in the table of :mod:`skdeep.metrics`.

    Returns
    -------
    score : float
        Between 0 and 1; 1 is best. NaN for ``"macro"`` if no label is true or predicted.

    Raises
    ------
    ValueError
        If an indicator holds anything but 0 and 1, or the shapes differ.

    See Also
    --------
    fbeta_at_threshold : The same, of probabilities.
    sklearn.metrics.fbeta_score : The same but for rows and labels that are neither true nor predicted.

    References
    ----------
    G. Madjarov, D. Kocev, D. Gjorgjevikj, S. Džeroski, "An extensive experimental comparison of methods for multi-label
    learning", Pattern Recognition 45(9), 2012, appendix A, for beta = 1.

    Examples
    --------
    >>> from skdeep.metrics import multilabel_fbeta
    >>> multilabel_fbeta([[1, 1, 0], [0, 0, 0]], [[1, 0, 1], [0, 0, 0]], beta=2)
    0.75
    """
    return mean_ratio(count_outcomes(*check_predictions(y_true, y_pred)), _fbeta_weights(beta), average)


@validate_params(
    {"beta": _VALID_BETA, "threshold": [Interval(Real, 0, 1, closed="both"), None], "average": _VALID_AVERAGE},
    prefer_skip_nested_validation=True,
)
def fbeta_at_threshold(
    y_true: Any,
    y_proba: Any,
    *,
    beta: float = 2,
    threshold: float | None = None,
    average: Average = "samples",
) -> float:
    """F-beta of the labels whose probability reaches a threshold.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_proba : array-like of shape (n_samples, n_labels)
        Probabilities.
    beta : float, default=2
        How much more recall weighs than precision.
    threshold : float, default=None
        A label is predicted if its probability is at least this. None is ``1 / (1 + beta ** 2)``: with calibrated
        probabilities, the threshold for F-beta is the best F-beta to be had, divided by ``1 + beta ** 2``, so this is
        the optimum where F-beta comes near to 1. It is fixed, so nothing is learnt from the data that is scored.
    average : {"samples", "micro", "macro"}, default="samples"
        As in :func:`multilabel_fbeta`.

    Returns
    -------
    score : float
        Between 0 and 1; 1 is best. NaN for ``"macro"`` if no label is true or predicted.

    Raises
    ------
    ValueError
        If ``y_true`` is no indicator, or ``y_proba`` holds anything but probabilities or is of another shape.

    See Also
    --------
    multilabel_fbeta : The same, of predicted labels.

    References
    ----------
    Z. C. Lipton, C. Elkan, B. Narayanaswamy, "Optimal thresholding of classifiers to maximize F1 measure", ECML PKDD
    2014: the threshold is half the best F1, which is the case of beta = 1.

    Examples
    --------
    >>> from skdeep.metrics import fbeta_at_threshold
    >>> round(fbeta_at_threshold([[1, 0, 0], [0, 1, 1]], [[0.2, 0.7, 0.1], [0.1, 0.8, 0.3]]), 3)
    0.917
    """
    true, proba = check_scores(y_true, y_proba)
    if proba.min() < 0 or proba.max() > 1:
        raise ValueError(
            f"y_proba must hold probabilities between 0 and 1, got values from {proba.min():g} to {proba.max():g}. "
            "Decision values become probabilities by scipy.special.expit."
        )
    if threshold is None:
        threshold = 1 / (1 + beta**2)
    return mean_ratio(count_outcomes(true, proba >= threshold), _fbeta_weights(beta), average)


class Outcomes(NamedTuple):
    """How many labels are true and predicted, true only, and predicted only: of each row, of each label, or in all."""

    hits: NDArray[np.intp]
    missed: NDArray[np.intp]
    false: NDArray[np.intp]


def count_outcomes(true: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> dict[Average, Outcomes]:
    """Count the outcomes of each row, in all, and of each label."""
    tables = true & predicted, true & ~predicted, predicted & ~true
    of_labels = Outcomes(*(table.sum(axis=0) for table in tables))
    return {
        "samples": Outcomes(*(table.sum(axis=1) for table in tables)),
        "micro": Outcomes(*(counts.sum(keepdims=True) for counts in of_labels)),
        "macro": of_labels,
    }


class _Weights(NamedTuple):
    """How much each outcome counts in the ratio of hits to outcomes, which all these measures are."""

    hits: float
    missed: float
    false: float


_PRECISION = _Weights(1, 0, 1)
_RECALL = _Weights(1, 1, 0)
_JACCARD = _Weights(1, 1, 1)


def _fbeta_weights(beta: float) -> _Weights:
    return _Weights(1 + beta**2, beta**2, 1)


def mean_ratio(outcomes: dict[Average, Outcomes], weights: _Weights, average: Average) -> float:
    """Mean over rows or labels of the weighted hits as a share of the weighted outcomes."""
    counts = outcomes[average]
    weighted = [weight * count for weight, count in zip(weights, counts, strict=True)]
    total = np.sum(weighted, axis=0)
    ratios = np.divide(weighted[0], total, out=np.zeros(len(total)), where=total > 0)
    empty = np.sum(counts, axis=0) == 0
    if average != "macro":
        ratios[empty] = 1
    elif empty.all():
        return float("nan")
    else:
        ratios = ratios[~empty]
    return float(ratios.mean())


def _hamming_loss(outcomes: dict[Average, Outcomes]) -> float:
    n_rows, n_labels = len(outcomes["samples"].hits), len(outcomes["macro"].hits)
    _, missed, false = outcomes["micro"]
    return float((missed + false)[0] / (n_rows * n_labels))


def _subset_accuracy(outcomes: dict[Average, Outcomes]) -> float:
    _, missed, false = outcomes["samples"]
    return float((missed + false == 0).mean())


_RATIOS = {
    "jaccard": _JACCARD,
    "precision": _PRECISION,
    "recall": _RECALL,
    "f1": _fbeta_weights(1),
    "f2": _fbeta_weights(2),
}
LABEL_MEASURES: dict[str, Callable[[dict[Average, Outcomes]], float]] = {
    "hamming_loss": _hamming_loss,
    "subset_accuracy": _subset_accuracy,
    **{
        f"{name}_{average}": partial(mean_ratio, weights=weights, average=average)
        for average in AVERAGES
        for name, weights in _RATIOS.items()
    },
}
