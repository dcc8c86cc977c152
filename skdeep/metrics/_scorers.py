"""The measures as scorers, one by one and all at once, for searches and cross-validation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sklearn.metrics
from sklearn.base import BaseEstimator
from sklearn.metrics._scorer import _Scorer
from sklearn.utils._response import _get_response_values

from skdeep.metrics._answers import ask_labels
from skdeep.metrics._checks import check_predictions, check_scores
from skdeep.metrics._labels import AVERAGES, LABEL_MEASURES, count_outcomes, fbeta_at_threshold
from skdeep.metrics._rankings import RANKING_MEASURES, ScoredLabels
from skdeep.metrics._scores import LOSSES, multilabel_scores

# What scikit-learn's scorers of these names give is something else: another rule for undefined cases, or the mean over
# labels of the average precision.
_NAMESAKES = frozenset(
    {
        "average_precision",
        *(f"{name}_{average}" for name in ("f1", "jaccard", "precision", "recall") for average in AVERAGES),
    }
)
# Decision values of different bases need not be comparable from label to label; probabilities are.
_RANKING_RESPONSE = ("predict_proba", "decision_function")


def get_scorer_names() -> list[str]:
    """Names that :func:`get_scorer` knows beyond scikit-learn's own.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> from skdeep.metrics import get_scorer_names
    >>> [name for name in get_scorer_names() if name.startswith("neg_")]
    ['neg_coverage', 'neg_hamming_loss', 'neg_is_error', 'neg_one_error', 'neg_ranking_loss']
    """
    return sorted(_SCORERS)


def get_scorer(name: str) -> Callable[..., float]:
    """Get a scorer for ``GridSearchCV(scoring=...)`` by name.

    Parameters
    ----------
    name : str
        A measure of :func:`multilabel_scores`, named so:

        - a loss is negated, and has ``neg_`` before its name, as in ``"neg_one_error"``; higher is always better;
        - a measure whose name scikit-learn gives to something else has ``multilabel_`` before it:
          ``"multilabel_f1_samples"`` and the other means of F1, Jaccard, precision and recall follow the rule of
          :mod:`skdeep.metrics` for undefined cases, ``"f1_samples"`` scikit-learn's; and
          ``"multilabel_average_precision"`` is of a row, ``"average_precision"`` of a label;
        - the others have their own names: ``"subset_accuracy"``, ``"f2_samples"``, ``"f2_micro"``, ``"f2_macro"``,
          ``"map_macro"``.

        Or ``"f2_at_threshold"``: :func:`fbeta_at_threshold` of the probabilities, at threshold 0.2. Any other name is
        looked up in scikit-learn.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)`` gives the score. Measures of predicted labels call ``predict``; measures of scores
        call ``predict_proba``, or ``decision_function`` where there is none.

    Raises
    ------
    ValueError
        If neither this library nor scikit-learn knows the name.

    See Also
    --------
    multilabel_scorer : All of them at once.

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
        return copy.deepcopy(_SCORERS[name])
    try:
        return sklearn.metrics.get_scorer(name)
    except ValueError as error:
        raise ValueError(
            f"{name!r} is no scorer of skdeep ({', '.join(get_scorer_names())}) nor of scikit-learn "
            "(sklearn.metrics.get_scorer_names())."
        ) from error


def multilabel_scorer(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    """Score an estimator by all measures at once, for ``cross_validate`` and ``GridSearchCV``.

    The estimator is asked once for labels and once for scores, whatever the number of measures. Pass the function
    itself: ``cross_validate(..., scoring=multilabel_scorer)``, or ``GridSearchCV(..., scoring=multilabel_scorer,
    refit="f2_samples")``.

    Parameters
    ----------
    estimator : fitted estimator
        With ``predict``, and for the measures of scores with ``predict_proba`` or else ``decision_function``.
    X : array-like
        As the estimator takes it.
    y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels)
        True labels, an indicator.

    Returns
    -------
    scores : dict of str to float
        What :func:`multilabel_scores` gives, by the same names and the same rule for undefined cases, but for losses:
        as higher must be better in a search, they are negated and have ``neg_`` before their names. If the estimator
        gives no scores, the measures of these are NaN: the names are always the same, as a search needs that compares
        estimators with and without scores.

    Raises
    ------
    ValueError
        If ``y`` or an answer of the estimator is not what :func:`multilabel_scores` takes.

    See Also
    --------
    get_scorer : One of the measures.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.model_selection import cross_validate
    >>> from skdeep.metrics import multilabel_scorer
    >>> from skdeep.multilabel import MLkNN
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> scores = cross_validate(MLkNN(), X, Y, scoring=multilabel_scorer, cv=3)
    >>> scores["test_f2_samples"].round(2), scores["test_neg_hamming_loss"].round(2)
    (array([0.38, 0.32, 0.57]), array([-0.42, -0.38, -0.3 ]))
    """
    ranks = any(hasattr(estimator, method) for method in _RANKING_RESPONSE)
    scores = dict.fromkeys(RANKING_MEASURES, float("nan")) | multilabel_scores(
        y, _answer(estimator, X, y, ("predict",)), _answer(estimator, X, y, _RANKING_RESPONSE) if ranks else None
    )
    losses = {f"neg_{name}": -score for name, score in scores.items() if name in LOSSES}
    return losses | {name: score for name, score in scores.items() if name not in LOSSES}


def _answer(estimator: Any, X: Any, y: Any, methods: tuple[str, ...]) -> Any:
    """What the first method that there is says of the labels; of one label, what scikit-learn's scorers are told."""
    if _has_several_labels(y):
        has = (method for method in methods if hasattr(estimator, method))
        return ask_labels(estimator, X, next(has, methods[0]))
    return _get_response_values(estimator, X, methods)[0]


def _has_several_labels(y: Any) -> bool:
    """Tell by ``y``: two labels may have the ``classes_`` of two classes, and labels lack what training lacked."""
    shape = np.shape(y)
    return len(shape) == 2 and shape[1] > 1


class _LabelScorer(_Scorer):
    """scikit-learn's scorer, but that of several labels it takes what the estimator says of them itself."""

    def _score(self, method_caller: Any, estimator: Any, X: Any, y_true: Any, **kwargs: Any) -> float:
        if _has_several_labels(y_true):
            method_caller = partial(_call_for_labels, method_caller)
        return super()._score(method_caller, estimator, X, y_true, **kwargs)


def _call_for_labels(method_caller: Any, estimator: Any, method: str, X: Any, **pos_label: Any) -> Any:
    # Answers are cached by this name. As a tuple it is another than that of scikit-learn's own scorers, whose answers
    # may have another form.
    return method_caller(_OfLabels(estimator), (method,), X)


class _OfLabels(BaseEstimator):
    """A fitted estimator that scikit-learn takes for no classifier, so that it does not judge by ``classes_``."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def predict(self, X: Any) -> Any:
        return ask_labels(self.estimator, X, "predict")

    def predict_proba(self, X: Any) -> Any:
        return ask_labels(self.estimator, X, "predict_proba")

    def decision_function(self, X: Any) -> Any:
        return ask_labels(self.estimator, X, "decision_function")


def _measure_labels(y_true: Any, y_pred: Any, *, measure: str) -> float:
    return LABEL_MEASURES[measure](count_outcomes(*check_predictions(y_true, y_pred)))


def _measure_ranking(y_true: Any, y_score: Any, *, measure: str) -> float:
    return RANKING_MEASURES[measure](ScoredLabels(*check_scores(y_true, y_score)))


def _name(measure: str) -> str:
    if measure in LOSSES:
        return f"neg_{measure}"
    return f"multilabel_{measure}" if measure in _NAMESAKES else measure


def _make(function: Callable[..., float], measure: str, response: str | tuple[str, ...]) -> Callable[..., float]:
    return _LabelScorer(function, -1 if measure in LOSSES else 1, {"measure": measure}, response)


_SCORERS: dict[str, Callable[..., float]] = {
    "f2_at_threshold": _LabelScorer(fbeta_at_threshold, 1, {}, "predict_proba"),
    **{_name(measure): _make(_measure_labels, measure, "predict") for measure in LABEL_MEASURES},
    **{_name(measure): _make(_measure_ranking, measure, _RANKING_RESPONSE) for measure in RANKING_MEASURES},
}
