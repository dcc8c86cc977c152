"""Label powerset: each distinct set of labels is a class."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeep.multilabel._base import ProblemTransformation, base_has, bounded_logit, fit_label


class LabelPowerset(ProblemTransformation):
    """One multiclass classifier whose classes are the distinct label sets of the training rows.

    Parameters
    ----------
    estimator : classifier
        The multiclass base; a clone of it is fitted. It gets ``X`` as it is: a table, paths, images.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    label_sets_ : ndarray of int of shape (n_sets, n_labels)
        The distinct label sets; class c of the base is row c.
    estimators_ : list with one classifier
        The fitted base. If all training rows have the same labels it is a :class:`~sklearn.dummy.DummyClassifier`.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    BinaryRelevance : No label sees another.
    ClassifierChain : Each label sees the labels before it.

    Notes
    -----
    Only label sets that were seen in training are ever predicted. ``predict`` gives the most probable set,
    ``predict_proba`` the probability of each label summed over the sets that hold it; so a label whose probability is
    above one half need not be in the predicted set.

    References
    ----------
    G. Tsoumakas, I. Katakis, I. Vlahavas, "Random k-labelsets for multilabel classification", IEEE Transactions on
    Knowledge and Data Engineering 23(7), 2011, where it is called LP.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import LabelPowerset
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> classifier = LabelPowerset(LogisticRegression(max_iter=1000)).fit(X, Y)
    >>> classifier.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    >>> len(classifier.label_sets_)
    8
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"estimator": [HasMethods(["fit", "predict"])]}

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit a clone of the base to the label sets.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            Handed on to the base untouched.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of the base, for instance ``sample_weight``; with metadata routing enabled, what
            the base requests.

        Returns
        -------
        self : LabelPowerset
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, or if the base is a regressor.
        """
        indicator, label_names, base_params = self._check_fit(X, y, fit_params)
        return self._learn_sets(X, indicator, label_names, base_params)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the label set of each row.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)
        """
        check_is_fitted(self, "estimators_")
        return self.label_sets_[column_or_1d(self.estimators_[0].predict(X))]

    @available_if(base_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict the probability of each label: the sum over the label sets that hold it.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        check_is_fitted(self, "estimators_")
        fitted = self.estimators_[0]
        set_probabilities = np.asarray(fitted.predict_proba(X))
        held = self.label_sets_[fitted.classes_].astype(set_probabilities.dtype)
        # Rounded probabilities need not sum to 1 in the last place.
        probabilities = np.minimum(set_probabilities @ held, 1)
        probabilities[:, self.label_sets_.all(axis=0)] = 1
        return probabilities

    @available_if(base_has("predict_proba"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the decision value of each label.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        values : ndarray of float of shape (n_samples, n_labels)
            The logits of ``predict_proba``, at most 36.04 in size.
        """
        return bounded_logit(self.predict_proba(X))

    def _learn_sets(
        self, X: Any, indicator: NDArray[np.uint8], label_names: NDArray[np.object_], base_params: dict[str, Any]
    ) -> Self:
        """Fit the base to the label set of each row."""
        label_sets, target = np.unique(indicator, axis=0, return_inverse=True)
        self.estimators_ = [fit_label(clone(self.estimator), X, target, base_params)]
        self.label_sets_ = label_sets.astype(np.int64)
        self._note_fit(label_names, self.estimators_)
        return self
