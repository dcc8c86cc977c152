"""Multi-label scores and scorers that scikit-learn lacks, and the whole table of scores of a study at once.

Rules that hold for every function here:

- Labels and predictions are indicators (dense, sparse or DataFrame, also one label); scores are arrays of the same
  shape, higher for labels that are more likely on.
- A row without a positive label has nothing to rank: it counts as ranked without fault, as in scikit-learn's
  ``label_ranking_loss`` and ``label_ranking_average_precision_score``.
- Ties count against the classifier as in scikit-learn: of labels with equal scores the negative ones come first. Only
  :func:`one_error`, which is about one label, takes the expectation over the tied labels instead.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np
import sklearn.metrics
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skdeep._validation import check_indicator

__all__ = [
    "coverage",
    "fbeta_at_threshold",
    "get_scorer",
    "get_scorer_names",
    "multilabel_scores",
    "one_error",
]

Average = Literal["samples", "micro", "macro"]


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
    return _one_error(_rank(*_check_scores(y_true, y_score)))


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
        Between 0 and ``n_labels - 1``; the best possible is the mean number of labels a row less 1.

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
    return _coverage(_rank(*_check_scores(y_true, y_score)))


@validate_params(
    {
        "beta": [Interval(Real, 0, None, closed="neither")],
        "threshold": [Interval(Real, 0, 1, closed="both"), None],
        "average": [StrOptions({"samples", "micro", "macro"})],
    },
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
        Mean over rows, F-beta of all cells, or mean over labels. A row with no label, true or predicted, counts 1; a
        label that is never true nor predicted is left out of the mean over labels.

    Returns
    -------
    score : float
        Between 0 and 1; 1 is best.

    Raises
    ------
    ValueError
        If ``y_true`` is no indicator, or ``y_proba`` holds anything but probabilities or is of another shape.

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
    indicator, proba = _check_scores(y_true, y_proba)
    if proba.size and (proba.min() < 0 or proba.max() > 1):
        raise ValueError(
            f"y_proba must hold probabilities between 0 and 1, got values from {proba.min():g} to {proba.max():g}. "
            "Decision values become probabilities by scipy.special.expit."
        )
    if threshold is None:
        threshold = 1 / (1 + beta**2)
    return _fbeta(indicator, proba >= threshold, beta, average)


def multilabel_scores(y_true: Any, y_pred: Any, y_score: Any) -> dict[str, float]:
    """All scores of the multi-label papers at once.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.
    y_pred : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        Predicted labels, an indicator.
    y_score : array-like of shape (n_samples, n_labels)
        Probabilities or decision values.

    Returns
    -------
    scores : dict of str to float
        From the predicted labels:

        - ``hamming_loss``: share of wrong cells;
        - ``f2_samples``, ``f1_samples``: mean over rows; a row with no label, true or predicted, counts 1;
        - ``f1_micro``: over all cells; 1 if no cell is on, true or predicted;
        - ``f1_macro``: mean over the labels that are true or predicted at least once;
        - ``subset_accuracy``: share of rows without a wrong cell.

        From the scores:

        - ``ranking_loss``: share of pairs of a positive and a negative label in the wrong order, mean over rows;
        - ``one_error``, ``coverage``: as the functions of these names;
        - ``average_precision``: example-based, mean over rows (label ranking average precision);
        - ``map_macro``: average precision of each label over the rows, mean over the labels that have a positive.

        A mean over no label at all is NaN.

    Raises
    ------
    ValueError
        If an indicator holds anything but 0 and 1, or the shapes differ, or ``y_score`` is not finite.

    References
    ----------
    M.-L. Zhang, Z.-H. Zhou, "A review on multi-label learning algorithms", IEEE Transactions on Knowledge and Data
    Engineering 26(8), 2014, section 2.2.

    Examples
    --------
    >>> from skdeep.metrics import multilabel_scores
    >>> scores = multilabel_scores([[1, 0], [0, 1]], [[1, 0], [1, 1]], [[0.9, 0.2], [0.6, 0.8]])
    >>> scores["hamming_loss"], scores["ranking_loss"], scores["subset_accuracy"]
    (0.25, 0.0, 0.5)
    """
    indicator, scores = _check_scores(y_true, y_score)
    predicted = _check_predictions(indicator, y_pred)
    wrong = indicator != predicted
    ranking = _rank(indicator, scores)
    return {
        "hamming_loss": float(wrong.mean()),
        "f2_samples": _fbeta(indicator, predicted, 2, "samples"),
        "f1_samples": _fbeta(indicator, predicted, 1, "samples"),
        "f1_micro": _fbeta(indicator, predicted, 1, "micro"),
        "f1_macro": _fbeta(indicator, predicted, 1, "macro"),
        "subset_accuracy": float(1 - wrong.any(axis=1).mean()),
        "ranking_loss": _ranking_loss(ranking),
        "one_error": _one_error(ranking),
        "coverage": _coverage(ranking),
        "average_precision": _average_precision(ranking),
        "map_macro": _map_macro(indicator, scores),
    }


def get_scorer_names() -> list[str]:
    """Names that :func:`get_scorer` knows beyond scikit-learn's own.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> from skdeep.metrics import get_scorer_names
    >>> get_scorer_names()
    ['f2_at_threshold', 'f2_samples', 'neg_coverage', 'neg_hamming_loss', 'neg_one_error', 'neg_ranking_loss']
    """
    return sorted(_SCORERS)


def get_scorer(name: str) -> Callable[..., float]:
    """Get a scorer for ``GridSearchCV(scoring=...)`` by name.

    Parameters
    ----------
    name : str
        ``"f2_samples"`` and ``"neg_hamming_loss"`` look at predicted labels; ``"f2_at_threshold"`` at probabilities,
        with the threshold 0.2; ``"neg_one_error"``, ``"neg_coverage"`` and ``"neg_ranking_loss"`` at probabilities, or
        at decision values where there are none. Any other name is looked up in scikit-learn. As there, higher is
        better, and losses are negated.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)`` gives the score.

    Raises
    ------
    ValueError
        If neither this library nor scikit-learn knows the name.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skdeep.metrics import get_scorer
    >>> from skdeep.multilabel import MLkNN
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> -1 < get_scorer("neg_one_error")(MLkNN().fit(X, Y), X, Y) < 0
    True
    """
    if name in _SCORERS:
        return _SCORERS[name]
    try:
        return sklearn.metrics.get_scorer(name)
    except ValueError as error:
        raise ValueError(
            f"{name!r} is no scorer of skdeep ({', '.join(get_scorer_names())}) nor of scikit-learn "
            "(sklearn.metrics.get_scorer_names())."
        ) from error


class _Ranking(NamedTuple):
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


def _rank(indicator: NDArray[np.uint8], scores: NDArray[np.float64]) -> _Ranking:
    n_labels = scores.shape[1]
    order = np.argsort(-scores, axis=1)
    ordered = np.take_along_axis(scores, order, axis=1)
    true = np.take_along_axis(indicator, order, axis=1).astype(bool)
    ends_tie = np.ones(scores.shape, dtype=bool)
    ends_tie[:, :-1] = ordered[:, :-1] != ordered[:, 1:]
    last = np.where(ends_tie, np.arange(n_labels), n_labels)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    return _Ranking(true, last + 1, np.take_along_axis(true.cumsum(axis=1), last, axis=1))


def _one_error(ranking: _Ranking) -> float:
    wrong_share = 1 - ranking.n_above_true[:, 0] / ranking.n_above[:, 0]
    return float(np.where(ranking.n_true > 0, wrong_share, 0).mean())


def _coverage(ranking: _Ranking) -> float:
    depth = np.where(ranking.true, ranking.n_above - 1, 0).max(axis=1)
    return float(depth.mean())


def _ranking_loss(ranking: _Ranking) -> float:
    wrong_pairs = np.where(ranking.true, ranking.n_above - ranking.n_above_true, 0).sum(axis=1)
    n_pairs = ranking.n_true * (ranking.true.shape[1] - ranking.n_true)
    return float((wrong_pairs / np.maximum(n_pairs, 1)).mean())


def _average_precision(ranking: _Ranking) -> float:
    precision = np.where(ranking.true, ranking.n_above_true / ranking.n_above, 0).sum(axis=1)
    return float(np.where(ranking.n_true > 0, precision / np.maximum(ranking.n_true, 1), 1).mean())


def _map_macro(indicator: NDArray[np.uint8], scores: NDArray[np.float64]) -> float:
    # Average precision of a label over the rows is what _average_precision is of a row over the labels.
    present = indicator.any(axis=0)
    if not present.any():
        return float("nan")
    return _average_precision(_rank(indicator.T[present], scores.T[present]))


def _fbeta(true: NDArray[Any], predicted: NDArray[Any], beta: float, average: Average) -> float:
    true, predicted = true.astype(bool), predicted.astype(bool)
    axis = {"samples": 1, "micro": None, "macro": 0}[average]
    hits = np.atleast_1d((1 + beta**2) * np.sum(true & predicted, axis=axis))
    weight = np.atleast_1d(beta**2 * np.sum(true, axis=axis) + np.sum(predicted, axis=axis))
    present = weight > 0
    if average == "macro":
        return float(np.mean(hits[present] / weight[present])) if present.any() else float("nan")
    return float(np.mean(np.divide(hits, weight, out=np.ones(len(weight)), where=present)))


def _check_scores(y_true: Any, y_score: Any) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    values = y_score.toarray() if sparse.issparse(y_score) else y_score
    scores = np.asarray(values, dtype=np.float64)
    indicator, _ = check_indicator(scores, y_true)
    if scores.ndim == 1:
        scores = scores.reshape(-1, 1)
    _check_same_shape(indicator, scores, "scores")
    if not np.isfinite(scores).all():
        raise ValueError("The scores contain NaN or infinity; labels cannot be ranked by them.")
    return indicator, scores


def _check_predictions(indicator: NDArray[np.uint8], y_pred: Any) -> NDArray[np.uint8]:
    predicted, _ = check_indicator(indicator, y_pred)
    _check_same_shape(indicator, predicted, "predictions")
    return predicted


def _check_same_shape(indicator: NDArray[np.uint8], other: NDArray[Any], what: str) -> None:
    if other.shape != indicator.shape:
        raise ValueError(
            f"y_true has shape {indicator.shape}, so the {what} must be one array of this shape, got {other.shape}. "
            "A classifier that returns a list with one array a label needs its columns for class 1 stacked."
        )


def _hamming_loss(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    indicator, _ = check_indicator(y_pred, y_true)
    return float((indicator != _check_predictions(indicator, y_pred)).mean())


def _f2_samples(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    indicator, _ = check_indicator(y_pred, y_true)
    return _fbeta(indicator, _check_predictions(indicator, y_pred), 2, "samples")


def _label_ranking_loss(y_true: ArrayLike, y_score: ArrayLike) -> float:
    return _ranking_loss(_rank(*_check_scores(y_true, y_score)))


# Decision values of different bases need not be comparable from label to label; probabilities are.
_RANKING_RESPONSE = ("predict_proba", "decision_function")
_SCORERS: dict[str, Callable[..., float]] = {
    "f2_at_threshold": sklearn.metrics.make_scorer(fbeta_at_threshold, response_method="predict_proba"),
    "f2_samples": sklearn.metrics.make_scorer(_f2_samples),
    "neg_coverage": sklearn.metrics.make_scorer(coverage, greater_is_better=False, response_method=_RANKING_RESPONSE),
    "neg_hamming_loss": sklearn.metrics.make_scorer(_hamming_loss, greater_is_better=False),
    "neg_one_error": sklearn.metrics.make_scorer(one_error, greater_is_better=False, response_method=_RANKING_RESPONSE),
    "neg_ranking_loss": sklearn.metrics.make_scorer(
        _label_ranking_loss, greater_is_better=False, response_method=_RANKING_RESPONSE
    ),
}
