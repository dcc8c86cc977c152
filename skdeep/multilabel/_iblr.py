"""IBLR-ML: logistic regression on the labels of a row's neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping

from skdeep.multilabel._binary_relevance import BinaryRelevance
from skdeep.multilabel._chain_features import append_labels
from skdeep.multilabel._neighbors import NeighborsClassifier


class IBLRML(NeighborsClassifier):
    """Instance-based learning and logistic regression combined (IBLR-ML, and with ``passthrough`` IBLR-ML+).

    For each label a logistic regression learns from the shares of a row's k nearest neighbours that have each of the
    labels: so it weighs its own label and all others, by coefficients that can be read.

    Parameters
    ----------
    n_neighbors : int, default=10
        How many neighbours count.
    estimator : classifier with predict_proba, default=None
        The base; one clone of it is fitted for each label. None is ``LogisticRegression(max_iter=1000)``.
    passthrough : bool, default=False
        Whether the base sees the features too, with a column more for each label (IBLR-ML+). Scale them: the shares lie
        between 0 and 1.
    metric : str or callable, default="euclidean"
        Distance, as :class:`~sklearn.neighbors.NearestNeighbors` takes it.
    algorithm : {"auto", "ball_tree", "kd_tree", "brute", "torch"}, default="auto"
        How neighbours are searched, as in :class:`MLkNN`.
    device : str, default="auto"
        Where ``"torch"`` searches, as in :class:`MLkNN`.
    n_jobs : int, default=None
        Parallel jobs of the search, and how many labels are fitted at the same time.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    regressions_ : BinaryRelevance
        The fitted base of each label, on the shares.
    neighbors_ : object
        The fitted search: a :class:`~sklearn.neighbors.NearestNeighbors`, or torch's.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if ``X`` was a DataFrame with column names that are all strings.

    See Also
    --------
    MLkNN : Weighs the neighbours of each label by Bayes' rule, without the other labels.
    StackedBinaryRelevance : The same with any first level in place of the neighbours.

    Notes
    -----
    A training row is no neighbour of itself. Sample weights count in the regressions; each neighbour counts once.

    The paper maximises the likelihood; ``LogisticRegression(C=np.inf)`` does, which has no maximum for a label whose
    rows a plane separates.

    References
    ----------
    W. Cheng, E. Hüllermeier, "Combining instance-based learning and logistic regression for multilabel classification",
    Machine Learning 76(2-3), 2009.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skdeep.multilabel import IBLRML
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> classifier = IBLRML(n_neighbors=5).fit(X, Y)
    >>> classifier.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    >>> classifier.regressions_.estimators_[0].coef_.shape
    (1, 3)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NeighborsClassifier._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "passthrough": ["boolean"],
    }

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        estimator: Any = None,
        passthrough: bool = False,
        metric: str | Callable[..., float] = "euclidean",
        algorithm: str = "auto",
        device: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.estimator = estimator
        self.passthrough = passthrough
        self.metric = metric
        self.algorithm = algorithm
        self.device = device
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Store the rows, and fit the base of each label to the labels of their neighbours.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Training rows.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each base, for instance ``sample_weight``; with metadata routing enabled, what
            the base requests.

        Returns
        -------
        self : IBLRML
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``X`` is no table of finite numbers, if ``y`` is no indicator or has not one row for each row of ``X``,
            or if there are too few rows for ``n_neighbors`` neighbours.
        """
        X = self._fit_neighbors(X, y, besides_itself=True)
        stacked = self._stack(X, self.neighbors_.kneighbors(return_distance=False))
        self.regressions_ = BinaryRelevance(self._base(), n_jobs=self.n_jobs).fit(
            stacked, self._indicator, **fit_params
        )
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each label.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        X = self._check_rows(X)
        return self.regressions_.predict_proba(self._stack(X, self.neighbors_.kneighbors(X, return_distance=False)))

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes to the base.

        Returns
        -------
        routing : MetadataRouter
            What ``fit`` is given reaches the ``fit`` of the base as the base has requested it.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self._base(), method_mapping=mapping)

    def _base(self) -> Any:
        return LogisticRegression(max_iter=1000) if self.estimator is None else self.estimator

    def _stack(self, X: Any, neighbors: NDArray[np.intp]) -> Any:
        """The share of the neighbours that have each label, after the features if these are passed through."""
        shares = self._count(neighbors) / self.n_neighbors
        return append_labels(X, shares, self.label_names_) if self.passthrough else shares
