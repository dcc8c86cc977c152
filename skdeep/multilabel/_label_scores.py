"""The scores that a classifier of any kind gives to labels, and the base of what learns from them out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn import get_config
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_array
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from skdeep.metrics._answers import ask_labels, class_1_column
from skdeep.model_selection import MultilabelStratifiedKFold
from skdeep.multilabel._base import ProblemTransformation
from skdeep.multilabel._out_of_fold import Split, out_of_fold, split_folds


def label_scores(fitted: Any, X: Any, *, n_labels: int, method: str) -> NDArray[Any]:
    """Ask a classifier for the scores of its labels, whichever of scikit-learn's forms it answers in.

    Parameters
    ----------
    fitted : classifier
    X : any
        As the classifier takes it.
    n_labels : int
    method : {"predict_proba", "decision_function"}

    Returns
    -------
    scores : ndarray of float of shape (n_samples, n_labels)
        A label that the classifier never saw has probability 0.

    Raises
    ------
    ValueError
        If the answer has not one column a label.
    """
    answer = ask_labels(fitted, X, method)
    scores = answer.toarray() if sparse.issparse(answer) else np.asarray(answer)
    if method == "predict_proba" and n_labels == 1 and np.ndim(fitted.classes_) == 1:
        scores = class_1_column(scores, fitted.classes_)
    if scores.ndim == 1:
        scores = scores.reshape(-1, 1)
    if scores.ndim != 2 or scores.shape[1] != n_labels:
        raise ValueError(
            f"{method} of {type(fitted).__name__} must give one column for each of the {n_labels} labels, or a list "
            f"with one array a label, got shape {scores.shape}. Give it a multilabel classifier, such as "
            "BinaryRelevance of it."
        )
    return scores


class OutOfFoldLearner(ProblemTransformation):
    """Base of the meta-estimators that learn from the scores of rows that ``estimator`` has not learnt from."""

    cv: Any
    n_jobs: int | None
    random_state: Any

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes to the estimator, and which to the splitter.

        Returns
        -------
        routing : MetadataRouter
            What ``fit`` is given reaches the ``fit`` of the estimator and the ``split`` of ``cv`` as they have
            requested it.
        """
        mapping = MethodMapping().add(caller="fit", callee="split")
        return super().get_metadata_routing().add(splitter=self._splitter(), method_mapping=mapping)

    def _splitter(self) -> Any:
        if self.cv is None or isinstance(self.cv, Integral):
            return MultilabelStratifiedKFold(
                5 if self.cv is None else int(self.cv),
                shuffle=self.random_state is not None,
                random_state=self.random_state,
            )
        return self.cv

    def _learn_scores(
        self, X: Any, y: Any, fit_params: dict[str, Any], methods: Sequence[str]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_], dict[str, Any]]:
        """Fit ``estimator_`` to all rows, and clones of it to folds, which score the rows that they have not seen.

        Parameters
        ----------
        X, y, fit_params
            What ``fit`` was given.
        methods : sequence of str
            The first of them that the estimator has gives the scores.

        Returns
        -------
        indicator : ndarray of uint8 of shape (n_samples, n_labels)
        scores : ndarray of float64 of shape (n_samples, n_labels)
        known : ndarray of bool of shape (n_samples, n_labels)
            Which scores are by a clone to which the label was not constant, unless it is constant in all rows. Other
            scores say nothing of a label: all of them are equal, and most are the lowest or the highest there are.
        base_params : dict
            Those of ``fit_params`` that the ``fit`` of the estimator was given.
        """
        routed = get_config()["enable_metadata_routing"]
        groups = {} if routed or "groups" not in fit_params else {"groups": fit_params["groups"]}
        own_params = {name: value for name, value in fit_params.items() if name not in groups}
        indicator, label_names, base_params = self._check_fit(X, y, own_params)
        split_params = process_routing(self, "fit", **fit_params)["splitter"]["split"] if routed else groups
        self._method = self._first_of(methods)
        ask = partial(label_scores, n_labels=len(label_names), method=self._method)
        if isinstance(self.cv, str):  # "prefit"
            check_is_fitted(self.estimator, msg="With cv='prefit' the estimator must be fitted; this %(name)s is not.")
            self.estimator_, scores = self.estimator, ask(self.estimator, X)
            known = np.ones(indicator.shape, dtype=np.bool_)
        else:
            # a DataFrame has the names of the labels, and a vector may be what a binary classifier wants
            target = y if hasattr(y, "columns") or np.ndim(y) == 1 else indicator
            splits = split_folds(self._splitter(), indicator, **split_params)
            scores = out_of_fold(self.estimator, X, target, splits, ask, base_params, self.n_jobs)
            # a frozen estimator has learnt before, and nothing of the folds
            known = _known_cells(indicator, [] if isinstance(self.estimator, FrozenEstimator) else splits)
            self.estimator_ = clone(self.estimator).fit(X, target, **base_params)
        self._note_fit(label_names, [self.estimator_])
        return indicator, check_array(scores, dtype=np.float64, input_name="scores"), known, base_params

    def _first_of(self, methods: Sequence[str]) -> str:
        for method in methods:
            if hasattr(self.estimator, method):
                return method
        raise ValueError(
            f"{type(self).__name__} needs an estimator with {' or '.join(methods)}, which {self.estimator!r} has not."
        )

    def _ask(self, X: Any, method: str | None = None) -> NDArray[Any]:
        """Scores of the fitted estimator: by the method that was learnt from, or another."""
        check_is_fitted(self, "estimator_")
        return label_scores(self.estimator_, X, n_labels=len(self.classes_), method=method or self._method)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = False  # folds are rows of X: a kernel would need their columns, too
        return tags


def _known_cells(indicator: NDArray[np.uint8], splits: Sequence[Split]) -> NDArray[np.bool_]:
    """Tell where a label that varies in all rows varies in those, too, that the clone of this fold learnt from."""
    known = np.ones(indicator.shape, dtype=np.bool_)
    constant = ~_varies(indicator)
    for train, test in splits:
        known[test] = _varies(indicator[train]) | constant
    return known


def _varies(indicator: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (indicator != indicator[0]).any(axis=0)
