"""What problem transformations share: targets, routing, tags, and how a base is asked about one label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.utils import column_or_1d, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, get_routing_for_object, process_routing
from sklearn.utils.validation import _num_samples

from skdeep._validation import check_indicator, indicator_classes
from skdeep.metrics._answers import class_1_column

# A probability of 0 or 1 has no finite logit, and 1 - eps is the largest that float64 can tell from 1 on both sides of
# 1/2 alike. So this, 36.04, is the largest decision value that a probability can stand for.
_EPS = float(np.finfo(np.float64).eps)
LOGIT_BOUND = float(logit(1 - _EPS))


class ProblemTransformation(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Base of the meta-estimators that turn one multilabel problem into problems for ``estimator``.

    ``X`` is never looked into: only its number of rows counts, so whatever the base takes will do.
    """

    estimator: Any

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes to the base estimator.

        Returns
        -------
        routing : MetadataRouter
            What ``fit`` is given reaches the ``fit`` of the base as the base has requested it.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def _check_fit(
        self, X: Any, y: Any, fit_params: dict[str, Any]
    ) -> tuple[NDArray[np.uint8], NDArray[np.object_], dict[str, Any]]:
        """Check all that ``fit`` is given; return the indicator, the label names and the base's own fit parameters."""
        self._validate_params()
        if is_regressor(self.estimator):
            raise ValueError(
                f"The 'estimator' parameter of {type(self).__name__} must be a classifier. "
                f"Got the regressor {self.estimator!r} instead."
            )
        indicator, label_names = check_indicator(X, y)
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params)["estimator"]["fit"]
        return indicator, label_names, fit_params

    def _note_fit(self, label_names: NDArray[np.object_], estimators: list[Any]) -> None:
        """Note the labels, and what the first base that learnt and knows of features knows of them, or else nothing."""
        self.classes_ = indicator_classes(len(label_names))
        self.label_names_ = label_names
        # a member in whose rows nothing varies has seen none
        informed = sorted(estimators, key=lambda fitted: not hasattr(fitted, "n_features_in_"))
        note_features(self, first_that_learnt(informed))

    def __sklearn_tags__(self) -> Any:
        tags = set_multilabel_tags(super().__sklearn_tags__())
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


class DecidesByProbability:
    """What classifiers share that predict the labels that are at least as probable as not."""

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the labels of each row: those at least as probable as not.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)
        """
        return (self.predict_proba(X) >= 0.5).astype(np.int64)  # type: ignore[attr-defined]

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the decision value of each label; from 0 on the label is predicted.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        values : ndarray of float of shape (n_samples, n_labels)
            The logits of ``predict_proba``, at most 36.04 in size.
        """
        return bounded_logit(self.predict_proba(X))  # type: ignore[attr-defined]


def note_features(meta: Any, fitted: Any) -> None:
    """Note what a fitted base knows of the features, or else nothing."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(fitted, name):
            setattr(meta, name, getattr(fitted, name))
        elif hasattr(meta, name):
            delattr(meta, name)


def params_for(estimator: Any, fit_params: dict[str, Any]) -> dict[str, Any]:
    """Of what a meta-estimator's ``fit`` was given, what a problem transformation of ``estimator`` is to be given."""
    if not get_config()["enable_metadata_routing"]:
        return fit_params
    return {name: fit_params[name] for name in get_routing_for_object(estimator).consumes("fit", fit_params)}


def set_multilabel_tags(tags: Any) -> Any:
    """Tell scikit-learn that the target is an indicator, with one label too; ``multi_output`` is for more classes."""
    tags.classifier_tags.multi_label = True
    tags.classifier_tags.multi_class = False
    tags.target_tags.multi_output = False
    tags.target_tags.single_output = False
    return tags


def fit_label(estimator: Any, X: Any, target: NDArray[np.int64], fit_params: dict[str, Any]) -> Any:
    """Fit ``estimator`` to one label, or a constant where the label has one value only."""
    if (target == target[0]).all():
        return constant_classifier(int(target[0]))
    return estimator.fit(X, target, **fit_params)


def constant_classifier(value: int) -> DummyClassifier:
    """Build the classifier that is certain of ``value``, whatever kind of ``X`` it is asked about."""
    return DummyClassifier(strategy="constant", constant=value).fit([[0]], [value])


def first_that_learnt(estimators: list[Any]) -> Any:
    """Pick the first base that has seen the features: constants have not. None if there is none."""
    return next((fitted for fitted in estimators if not isinstance(fitted, DummyClassifier)), None)


def base_has(method: str) -> Any:
    """Build the check for ``available_if``: each fitted base, or else the base to be fitted, has ``method``."""

    def check(self: Any) -> bool:
        return has_method(self, method)

    return check


def has_method(meta: Any, method: str) -> bool:
    """Tell whether the bases of a meta-estimator have ``method``; constants answer everything."""
    learnt = first_that_learnt(getattr(meta, "estimators_", []))
    return hasattr(meta.estimator if learnt is None else learnt, method)


def has_decision(meta: Any) -> bool:
    """Tell whether decision values can be had from the bases, their own or by way of probabilities."""
    return has_method(meta, "decision_function") or has_method(meta, "predict_proba")


def predict_label(fitted: Any, X: Any) -> NDArray[np.int64]:
    """Predict one label, shape (n_samples,)."""
    return (np.ravel(fitted.predict(X)) == 1).astype(np.int64)


def label_probability(fitted: Any, X: Any) -> NDArray[Any]:
    """Probability of one label, shape (n_samples,); 0 if the base never saw class 1."""
    proba = np.asarray(fitted.predict_proba(X))
    if np.ndim(fitted.classes_) == 2:  # a multilabel classifier that was given one label
        return column_or_1d(proba)
    return class_1_column(proba, fitted.classes_)


def label_decision(fitted: Any, X: Any) -> NDArray[Any]:
    """Decision value of one label, shape (n_samples,): the base's own, else the logit of its probability."""
    if np.size(fitted.classes_) == 1:
        return np.full(_num_samples(X), LOGIT_BOUND if fitted.classes_[0] == 1 else -LOGIT_BOUND)
    if hasattr(fitted, "decision_function"):
        return column_or_1d(fitted.decision_function(X))
    return bounded_logit(label_probability(fitted, X))


def bounded_logit(probability: NDArray[Any]) -> NDArray[np.float64]:
    """Logit that stays finite for probabilities of 0 and 1, at ``LOGIT_BOUND``."""
    return logit(np.clip(np.asarray(probability, dtype=np.float64), _EPS, 1 - _EPS))


def places_in_row(scores: NDArray[Any]) -> NDArray[np.intp]:
    """Place of each label in its row, from 0 for the highest score; of equal scores the first label's is higher."""
    order = np.argsort(-scores, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(scores.shape[1])[np.newaxis], axis=1)
    return places
