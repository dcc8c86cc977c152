"""Classifier chains: each label sees the labels before it."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples, check_is_fitted

from skdeep.multilabel._base import (
    ProblemTransformation,
    base_has,
    fit_label,
    has_decision,
    label_decision,
    label_probability,
    predict_label,
)
from skdeep.multilabel._chain_features import append_labels


class ClassifierChain(ProblemTransformation):
    """Binary classifiers in a chain, each of which sees the earlier labels as further features.

    Links learn from the true earlier labels, so they are independent at fit and are fitted at the same time with
    ``n_jobs``; they predict from the predicted (0 or 1) earlier labels.

    Parameters
    ----------
    estimator : classifier
        The base; one clone of it is fitted for each label. The first link gets ``X`` as it is. Later links get the
        earlier labels too: as last columns of a table (an array, a sparse matrix or a DataFrame), otherwise (paths,
        images) as columns of a DataFrame whose first column, ``"image"``, holds the paths or images. In a DataFrame the
        new columns have the names of the labels, with underscores after a name that is taken.
    order : "random" or array-like of int of shape (n_labels,), default=None
        The labels from the first link to the last; None is the order of the columns of ``y``.
    random_state : int, RandomState instance or None, default=None
        Draws the order if it is ``"random"``.
    n_jobs : int, default=None
        How many links are fitted at the same time. None is 1 unless in a ``joblib.parallel_config`` context, -1 is all
        processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    order_ : ndarray of int of shape (n_labels,)
        The label of each link.
    estimators_ : list of classifiers
        The fitted links, in the order of the chain: ``estimators_[j]`` predicts label ``order_[j]``. A label that has
        one value only in training gets a :class:`~sklearn.dummy.DummyClassifier` with that value.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (n_features_in_,)
        Names of the features, if the base knows them.

    See Also
    --------
    BinaryRelevance : No label sees another.
    LabelPowerset : Each distinct set of labels is a class.

    References
    ----------
    J. Read, B. Pfahringer, G. Holmes, E. Frank, "Classifier chains for multi-label classification", Machine Learning
    85(3), 2011, section 3.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import ClassifierChain
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> chain = ClassifierChain(LogisticRegression(max_iter=1000), order=[2, 0, 1]).fit(X, Y)
    >>> chain.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    >>> [link.n_features_in_ for link in chain.estimators_]
    [20, 21, 22]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "order": [StrOptions({"random"}), "array-like", None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        order: str | ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.order = order
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit one clone of the base to each label and the true labels before it.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            A table, paths, images.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each base, for instance ``sample_weight``; with metadata routing enabled, what
            the base requests.

        Returns
        -------
        self : ClassifierChain
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, if ``order`` is no permutation of the
            labels, or if the base is a regressor.
        """
        indicator, label_names, base_params = self._check_fit(X, y, fit_params)
        order = self._check_order(indicator.shape[1])
        chained, names = indicator[:, order], label_names[order]
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_label)(
                clone(self.estimator),
                append_labels(X, chained[:, :link], names[:link]),
                chained[:, link].astype(np.int64),
                base_params,
            )
            for link in range(len(order))
        )
        self.order_ = order
        # only the first link's features are those of X; a constant has seen none
        self._note_fit(label_names, self.estimators_[:1])
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
        predicted, _ = self._walk(X)
        return predicted.astype(np.int64)

    @available_if(base_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict the probability of each label, given the labels that were predicted before it.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        _, probabilities = self._walk(X, label_probability)
        return np.column_stack(probabilities)

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
        _, values = self._walk(X, label_decision)
        return np.column_stack(values)

    def _check_order(self, n_labels: int) -> NDArray[np.intp]:
        if self.order is None:
            return np.arange(n_labels)
        if isinstance(self.order, str):
            return check_random_state(self.random_state).permutation(n_labels)
        order = np.asarray(self.order)
        if order.shape != (n_labels,) or not np.array_equal(np.sort(order), np.arange(n_labels)):
            raise ValueError(
                f"The 'order' parameter of ClassifierChain must name each of the {n_labels} labels once, "
                f"as a permutation of 0 to {n_labels - 1}. Got {self.order!r} instead."
            )
        return order.astype(np.intp)

    def _walk(
        self, X: Any, question: Callable[[Any, Any], NDArray[Any]] | None = None
    ) -> tuple[NDArray[np.uint8], list[NDArray[Any]]]:
        """Go along the chain; return the predicted labels and the answers of the links, both in the order of ``y``."""
        check_is_fitted(self, "estimators_")
        n_labels = len(self.order_)
        chained = np.zeros((_num_samples(X), n_labels), dtype=np.uint8)
        names = self.label_names_[self.order_]
        answers = []
        for link, fitted in enumerate(self.estimators_):
            extended = append_labels(X, chained[:, :link], names[:link])
            if question is not None:
                answers.append(question(fitted, extended))
            if question is None or link < n_labels - 1:
                chained[:, link] = predict_label(fitted, extended)
        positions = np.argsort(self.order_)
        return chained[:, positions], [answers[position] for position in positions if answers]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = False  # with a label appended the matrix is not square
        return tags
