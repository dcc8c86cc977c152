"""What a study measures: the answers of a fitted model, asked for once, and the scores of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, make_scorer
from sklearn.utils._response import _get_response_values

from skdeep._validation import TargetKind, Targets
from skdeep.metrics import fbeta_at_threshold, get_scorer, multilabel_scores
from skdeep.metrics._answers import ask_labels
from skdeep.metrics._labels import LABEL_MEASURES
from skdeep.metrics._rankings import RANKING_MEASURES
from skdeep.metrics._scores import LOSSES

Scores = dict[str, float]
Scorer = Callable[[Any, Any, Any], Any]

_SCORED_BY = ("predict_proba", "decision_function")
# what is measured of classes, and the methods of which a measure needs one
_OF_CLASSES: dict[TargetKind, dict[str, tuple[str, ...]]] = {
    "binary": {
        "accuracy": ("predict",),
        "balanced_accuracy": ("predict",),
        "f1_macro": ("predict",),
        "roc_auc": _SCORED_BY,
        "average_precision": _SCORED_BY,
        "neg_log_loss": ("predict_proba",),
    },
    "multiclass": {
        "accuracy": ("predict",),
        "balanced_accuracy": ("predict",),
        "f1_macro": ("predict",),
        "roc_auc_ovr": ("predict_proba",),
        "neg_log_loss": ("predict_proba",),
    },
}


class Asked:
    """A fitted estimator that remembers its answers for the test rows.

    Whoever scores it sees the estimator; each of its methods is called once, however many measures want it.

    Parameters
    ----------
    estimator : fitted estimator
    X : any
        The test rows.
    """

    def __init__(self, estimator: Any, X: Any) -> None:
        self._estimator = estimator
        self._X = X
        self._answers: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._estimator, name)
        if name not in {"predict", "predict_proba", "predict_log_proba", "decision_function"}:
            return attribute

        def answer(X: Any) -> Any:
            if X is not self._X:
                return attribute(X)
            if name not in self._answers:
                self._answers[name] = attribute(X)
            return self._answers[name]

        answer.__name__ = name  # scorers ask which of several methods they were given
        return answer

    def answers(self, kind: TargetKind) -> dict[str, NDArray[Any]]:
        """Labels, and probabilities or else decision values, as arrays; ``scores_are`` says which.

        Lists with an array for each label are stacked, and of two classes the second counts.
        """
        predicted = self.predict(self._X)
        answers = {"predicted": predicted.toarray() if hasattr(predicted, "toarray") else np.asarray(predicted)}
        methods = [method for method in _SCORED_BY if hasattr(self._estimator, method)]
        if methods:
            if kind == "multilabel":
                scores = ask_labels(self, self._X, methods[0])
            else:
                scores = _get_response_values(self, self._X, methods[0])[0]
            answers["scores"] = np.asarray(scores.toarray() if hasattr(scores, "toarray") else scores)
            answers["scores_are"] = np.array(methods[0])
        return answers


def known_measures(scoring: Any, kinds: Iterable[TargetKind]) -> dict[str, bool] | None:
    """The names of what will be measured, and whether greater is better; None where only the scores will tell."""
    if callable(scoring):
        return None
    if scoring is not None:
        # scorers negate what is best at its lowest
        return dict.fromkeys(_scorers(scoring), True)
    measures: dict[str, bool] = {}
    for kind in kinds:
        measures |= (
            {name: name not in LOSSES for name in _MULTILABEL}
            if kind == "multilabel"
            else dict.fromkeys(_OF_CLASSES[kind], True)
        )
    return measures


def score(scoring: Any, asked: Asked, answers: Mapping[str, NDArray[Any]], X: Any, y: Any, targets: Targets) -> Scores:
    """Measure a fitted model on the test rows.

    Parameters
    ----------
    scoring : None, str, sequence of str, dict of str to scorer, or callable
    asked : Asked
        The model.
    answers : dict
        Its answers on ``X``.
    X, y : test rows and their targets
    targets : Targets
        Of what kind they are.
    """
    if callable(scoring):
        found = scoring(asked, X, y)
        named = found if isinstance(found, Mapping) else {"score": found}
        return {name: float(value) for name, value in named.items()}
    if scoring is None and targets.kind == "multilabel":
        return _score_labels(y, answers)
    if scoring is None:
        return _score_classes(targets, asked, X, y)
    return _score_each(_scorers(scoring), asked, X, y)


def check_scoring(scoring: Any) -> None:
    """Raise ``ValueError`` or ``TypeError`` if this is nothing to score by."""
    if scoring is None:
        return
    if callable(scoring):
        _check_callable(scoring)
        return
    if not isinstance(scoring, str | Mapping | list | tuple) or not scoring:
        raise ValueError(
            "The 'scoring' parameter of Study must be None, the name of a scorer, a list of names, a dict of names and "
            f"scorers, or a callable that gives a dict. Got {scoring!r} instead."
        )
    for scorer in _scorers(scoring).values():
        _check_callable(scorer)


def _check_callable(scorer: Scorer) -> None:
    """Raise ``ValueError`` if this is one of scikit-learn's metrics, which know nothing of estimators."""
    if isinstance(scorer, FunctionType) and scorer.__module__.startswith("sklearn.metrics."):
        raise ValueError(
            f"{scorer.__name__} is a metric of labels or probabilities, and no scorer of estimators: pass "
            f"make_scorer({scorer.__name__}), or the name of a scorer."
        )


_MULTILABEL = (*LABEL_MEASURES, "f2_at_threshold", *RANKING_MEASURES)


def _score_labels(y: Any, answers: Mapping[str, NDArray[Any]]) -> Scores:
    scored = dict.fromkeys(_MULTILABEL, float("nan"))
    scored |= multilabel_scores(y, answers["predicted"], answers.get("scores"))
    if answers.get("scores_are", "") == "predict_proba":
        scored["f2_at_threshold"] = fbeta_at_threshold(y, answers["scores"], beta=2)
    return scored


def _score_classes(targets: Targets, asked: Asked, X: Any, y: Any) -> Scores:
    """The usual measures; NaN for those of probabilities if the model gives none."""
    measures = _OF_CLASSES[targets.kind]
    scorers = {
        name: get_scorer(name)
        for name, methods in measures.items()
        if any(hasattr(asked, method) for method in methods)
    }
    if "average_precision" in scorers:
        # scikit-learn's own asks for the class 1, which need not be there
        scorers["average_precision"] = make_scorer(
            average_precision_score, response_method=_SCORED_BY, pos_label=targets.classes[1]
        )
    return dict.fromkeys(measures, float("nan")) | _score_each(scorers, asked, X, y)


def _score_each(scorers: Mapping[str, Scorer], asked: Asked, X: Any, y: Any) -> Scores:
    """NaN and a warning for a measure that cannot be taken, as in ``cross_validate``; an error if none can."""
    scores: Scores = {}
    errors: dict[str, Exception] = {}
    for name, scorer in scorers.items():
        try:
            scores[name] = float(scorer(asked, X, y))
        except Exception as error:  # of whatever kind: the other measures count
            scores[name] = float("nan")
            errors[name] = error
    if errors and len(errors) == len(scorers):
        raise next(iter(errors.values()))
    for name, failure in errors.items():
        warnings.warn(f"{name} could not be measured: {type(failure).__name__}: {failure}", UserWarning, stacklevel=2)
    return scores


def _scorers(scoring: str | Iterable[str] | Mapping[str, Any]) -> dict[str, Scorer]:
    if isinstance(scoring, str):
        scoring = [scoring]
    named = scoring if isinstance(scoring, Mapping) else {name: name for name in scoring}
    return {name: scorer if callable(scorer) else get_scorer(scorer) for name, scorer in named.items()}
