"""The way in for scikit-multilearn's classifiers."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._validation import check_indicator, indicator_classes
from skdeep.multilabel._base import bounded_logit, set_multilabel_tags

# Classifiers of scikit-multilearn 0.2.0 that fail on scikit-learn 1.8 and later, and what does their work there.
_FORK = "the fork scikit-multilearn-ng (same import name, so in an environment of its own)"
_BROKEN = {
    "BRkNNaClassifier": "skdeep.multilabel.BRkNN(extension='a')",
    "BRkNNbClassifier": "skdeep.multilabel.BRkNN(extension='b')",
    "MLARAM": _FORK,
    "MLTSVM": _FORK,
    "MLkNN": "skdeep.multilabel.MLkNN",
    "RakelD": "skdeep.multilabel.RAkEL(overlapping=False)",
}
# They have a method predict_proba that can only raise.
_VOTERS = {"MajorityVotingClassifier", "RakelO"}


def _gives_probabilities(classifier: Any) -> bool:
    if type(classifier).__name__ in _VOTERS or not hasattr(classifier, "predict_proba"):
        return False
    base = getattr(classifier, "classifier", None) or getattr(classifier, "base_classifier", None)
    return base is None or _gives_probabilities(base)


def _has_probabilities(adapter: SkMultilearnClassifier) -> bool:
    return _gives_probabilities(adapter.estimator)


class SkMultilearnClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A classifier of scikit-multilearn as a well-behaved estimator of scikit-learn.

    Works with scikit-multilearn 0.2.0 and with its fork scikit-multilearn-ng. A clone of the wrapped classifier is
    fitted, never the object itself; inputs may be anything that scikit-learn's own classifiers take; answers are dense
    and have their columns in the order of ``y``.

    Parameters
    ----------
    estimator : classifier of scikit-multilearn
        For instance ``skmultilearn.problem_transform.BinaryRelevance(LogisticRegression())``. Its parameters are
        reached as ``estimator__classifier__C``.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    estimator_ : classifier of scikit-multilearn or None
        The fitted classifier, which has seen only the labels with both values in training; None if there was none.
        Labels with one value are predicted with that value.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if ``X`` was a DataFrame with column names that are all strings.

    Notes
    -----
    0.2.0 dates from 2018. Its ``MLkNN``, ``BRkNNaClassifier``, ``BRkNNbClassifier``, ``RakelD``, ``MLTSVM`` and
    ``MLARAM`` fail on the releases of scikit-learn that skdeep needs (``RakelD`` only where ``labelset_size`` does not
    divide the labels); the error names what to use instead.

    References
    ----------
    P. Szymański, T. Kajdanowicz, "scikit-multilearn: a Python library for multi-label classification", Journal of
    Machine Learning Research 20(6), 2019.

    Examples
    --------
    >>> from skmultilearn.problem_transform import ClassifierChain
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import SkMultilearnClassifier
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> chain = ClassifierChain(LogisticRegression(max_iter=1000), order=[2, 0, 1])
    >>> SkMultilearnClassifier(chain).fit(X, Y).predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict", "get_params", "set_params"])]
    }

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any) -> Self:
        """Fit a clone of the wrapped classifier.

        Parameters
        ----------
        X : array-like, sparse matrix or array, or DataFrame of shape (n_samples, n_features)
            Training rows.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.

        Returns
        -------
        self : SkMultilearnClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``X`` is no table of finite numbers, if ``y`` is no indicator or has not one row for each row of ``X``,
            or if the ``order`` of a wrapped chain is no permutation of the labels.
        RuntimeError
            If the wrapped classifier is one of those that do not work on today's scikit-learn.
        """
        self._validate_params()
        X = validate_data(self, X, accept_sparse="csr")
        indicator, self.label_names_ = check_indicator(X, y)
        self.classes_ = indicator_classes(indicator.shape[1])
        self._first_row = indicator[0]
        self._varies = (indicator != indicator[0]).any(axis=0)
        self.estimator_: Any = None
        if self._varies.any():
            self.estimator_ = clone(self.estimator)
            self._column_order = self._settle_order()
            self._call("fit", X, sparse.csr_matrix(indicator[:, self._varies].astype(np.int64)))
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the labels of each row.

        Parameters
        ----------
        X : array-like, sparse matrix or array, or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)
        """
        return self._ask("predict", X).astype(np.int64)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each label.

        Parameters
        ----------
        X : array-like, sparse matrix or array, or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        return self._ask("predict_proba", X)

    @available_if(_has_probabilities)
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the decision value of each label.

        Parameters
        ----------
        X : array-like, sparse matrix or array, or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        values : ndarray of float of shape (n_samples, n_labels)
            The logits of ``predict_proba``, at most 36.04 in size.
        """
        return bounded_logit(self.predict_proba(X))

    def _settle_order(self) -> NDArray[np.intp]:
        """Fit a chain's order to the labels that vary; return which of them each column of its answers is about."""
        kept = np.arange(self._varies.sum())
        order = getattr(self.estimator_, "order", None)
        if order is None:
            return kept
        n_labels = len(self._varies)
        if sorted(order) != list(range(n_labels)):
            raise ValueError(
                f"The 'order' of the wrapped {type(self.estimator).__name__} must name each of the {n_labels} labels "
                f"once, as a permutation of 0 to {n_labels - 1}. Got {order!r} instead."
            )
        ranks = np.cumsum(self._varies) - 1
        kept_order = [int(ranks[label]) for label in order if self._varies[label]]
        self.estimator_.set_params(order=kept_order)
        return np.array(kept_order) if _answers_in_chain_order(type(self.estimator_)) else kept

    def _ask(self, method: str, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        answers = np.tile(self._first_row.astype(np.float64), (X.shape[0], 1))
        if self.estimator_ is not None:
            answer = self._call(method, X)
            columns = np.flatnonzero(self._varies)[self._column_order]
            answers[:, columns] = answer.toarray() if sparse.issparse(answer) else answer
        return answers

    def _call(self, method: str, X: Any, *y: Any) -> Any:
        # The wrapped classifiers know scipy's sparse matrices only, not its sparse arrays.
        X = sparse.csr_matrix(X) if sparse.issparse(X) else X
        try:
            return getattr(self.estimator_, method)(X, *y)
        except Exception as error:
            name = type(self.estimator_).__name__
            if name not in _BROKEN:
                raise
            raise RuntimeError(
                f"scikit-multilearn's {name} failed in {method} on scikit-learn {sklearn.__version__}: {error!r}. "
                f"Use {_BROKEN[name]} instead."
            ) from error

    def __sklearn_tags__(self) -> Any:
        tags = set_multilabel_tags(super().__sklearn_tags__())
        tags.input_tags.sparse = True
        return tags


def _answers_in_chain_order(chain_class: Any) -> bool:
    """Find out whether a chain forgets to put its columns back, as 0.2.0 does: label 0 is never on, label 1 always."""
    probe = chain_class(classifier=DummyClassifier(strategy="most_frequent"), order=[1, 0])
    predicted = probe.fit(sparse.csr_matrix([[0], [1]]), sparse.csr_matrix([[0, 1], [0, 1]])).predict(
        sparse.csr_matrix([[0]])
    )
    return bool(predicted.toarray()[0, 0] == 1)
