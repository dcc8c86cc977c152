"""Binary relevance: each label is a problem of its own."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skdeep.multilabel._base import (
    ProblemTransformation,
    base_has,
    fit_label,
    has_decision,
    label_decision,
    label_probability,
    predict_label,
)


class BinaryRelevance(ProblemTransformation):
    """One independent binary classifier a label.

    Parameters
    ----------
    estimator : classifier
        The base; one clone of it is fitted for each label. It gets ``X`` as it is: a table, paths, images.
    n_jobs : int, default=None
        How many labels are fitted, or asked for predictions, at the same time. None is 1 unless in a
        ``joblib.parallel_config`` context, -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    estimators_ : list of classifiers
        The fitted base of each label, in the order of the labels. A label that has one value only in training gets a
        :class:`~sklearn.dummy.DummyClassifier` with that value: its probability is 0 or 1 exactly.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    ClassifierChain : Each label sees the labels before it.
    LabelPowerset : Each distinct set of labels is a class.

    References
    ----------
    G. Tsoumakas, I. Katakis, "Multi-label classification: an overview", International Journal of Data Warehousing and
    Mining 3(3), 2007, problem transformation PT4.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import BinaryRelevance
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> classifier = BinaryRelevance(LogisticRegression(max_iter=1000)).fit(X, Y)
    >>> classifier.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    >>> classifier.predict_proba(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "n_jobs": [Integral, None],
    }

    def __init__(self, estimator: Any, *, n_jobs: int | None = None) -> None:
        self.estimator = estimator
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit one clone of the base to each label.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            Handed on to the base untouched.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each base, for instance ``sample_weight``; with metadata routing enabled, what
            the base requests.

        Returns
        -------
        self : BinaryRelevance
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, or if the base is a regressor.
        """
        indicator, label_names, base_params = self._check_fit(X, y, fit_params)
        targets = indicator.T.astype(np.int64)
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_label)(clone(self.estimator), X, target, base_params) for target in targets
        )
        self._note_fit(label_names, self.estimators_)
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the labels of each row.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)
        """
        return self._ask_each(predict_label, X)

    @available_if(base_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict the probability of each label.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        return self._ask_each(label_probability, X)

    @available_if(has_decision)
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the decision value of each label; above 0 the label is predicted.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        values : ndarray of float of shape (n_samples, n_labels)
            The base's own decision values if it has any, else the logits of its probabilities, at most 36.04 in size.
        """
        return self._ask_each(label_decision, X)

    def _ask_each(self, question: Callable[[Any, Any], NDArray[Any]], X: Any) -> NDArray[Any]:
        check_is_fitted(self, "estimators_")
        answers = Parallel(n_jobs=self.n_jobs)(delayed(question)(fitted, X) for fitted in self.estimators_)
        return np.column_stack(answers)
