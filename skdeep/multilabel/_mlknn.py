"""ML-kNN: a Bayesian rule on how many neighbours have a label."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import VALID_METRICS, NearestNeighbors
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._validation import check_indicator, indicator_classes
from skdeep.multilabel._base import bounded_logit, set_multilabel_tags

_METRICS = set().union(*VALID_METRICS.values()) - {"precomputed"}


class MLkNN(ClassifierMixin, BaseEstimator):
    """Multi-label k-nearest neighbours.

    For each label, how many of a row's k nearest neighbours have it is weighed against how many such neighbours the
    training rows with and without the label have.

    Parameters
    ----------
    n_neighbors : int, default=10
        How many neighbours count.
    s : float, default=1.0
        Strength of the smoothing: each count of the training rows starts at ``s``; 1 is Laplace's.
    exclude_self : bool, default=True
        Whether a training row is kept out of its own neighbours when ``fit`` counts them, as the paper has it.
        False gives the numbers of scikit-multilearn, where each row is its own nearest neighbour.
    metric : str or callable, default="euclidean"
        Distance, as :class:`~sklearn.neighbors.NearestNeighbors` takes it.
    algorithm : {"auto", "ball_tree", "kd_tree", "brute"}, default="auto"
        How neighbours are searched, as :class:`~sklearn.neighbors.NearestNeighbors` takes it.
    n_jobs : int, default=None
        Parallel jobs of the search.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    posterior_ : ndarray of float of shape (n_neighbors + 1, n_labels)
        ``posterior_[c, l]`` is the probability of label l for a row of which c neighbours have it.
    neighbors_ : NearestNeighbors
        The fitted search.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of object of shape (n_features_in_,)
        Names of the features, if ``X`` was a DataFrame with column names that are all strings.

    References
    ----------
    M.-L. Zhang, Z.-H. Zhou, "ML-KNN: a lazy learning approach to multi-label learning", Pattern Recognition 40(7),
    2007, equations 1 to 3 and the pseudo code of figure 1.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skdeep.multilabel import MLkNN
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> classifier = MLkNN(n_neighbors=5).fit(X, Y)
    >>> classifier.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    >>> classifier.predict_proba(X[:2]).round(2)
    array([[0.08, 0.98, 0.18],
           [0.18, 0.98, 0.2 ]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "s": [Interval(Real, 0, None, closed="neither")],
        "exclude_self": ["boolean"],
        "metric": [StrOptions(_METRICS), callable],
        "algorithm": [StrOptions({"auto", "ball_tree", "kd_tree", "brute"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        s: float = 1.0,
        exclude_self: bool = True,
        metric: str | Callable[..., float] = "euclidean",
        algorithm: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.s = s
        self.exclude_self = exclude_self
        self.metric = metric
        self.algorithm = algorithm
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any) -> Self:
        """Store the rows and learn what neighbour counts say of each label.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Training rows.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.

        Returns
        -------
        self : MLkNN
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``X`` is no table of finite numbers, if ``y`` is no indicator or has not one row for each row of ``X``,
            or if there are too few rows for ``n_neighbors`` neighbours.
        """
        self._validate_params()
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32])
        indicator, self.label_names_ = check_indicator(X, y)
        self._check_enough_rows(len(indicator))
        self.classes_ = indicator_classes(indicator.shape[1])
        self.neighbors_ = NearestNeighbors(
            n_neighbors=self.n_neighbors, metric=self.metric, algorithm=self.algorithm, n_jobs=self.n_jobs
        ).fit(X)
        self._indicator = indicator
        self.posterior_ = self._learn_posterior(self._count_neighbors(None if self.exclude_self else X))
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the labels of each row: those at least as probable as not.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)
        """
        return (self.predict_proba(X) >= 0.5).astype(np.int64)

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
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        counts = self._count_neighbors(X)
        return np.take_along_axis(self.posterior_, counts, axis=0)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the decision value of each label.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        values : ndarray of float of shape (n_samples, n_labels)
            The logits of ``predict_proba``.
        """
        return bounded_logit(self.predict_proba(X))

    def _check_enough_rows(self, n_samples: int) -> None:
        needed = self.n_neighbors + (1 if self.exclude_self else 0)
        if n_samples < needed:
            reason = ", as a row is no neighbour of itself" if self.exclude_self else ""
            raise ValueError(
                f"n_neighbors={self.n_neighbors} needs at least {needed} training rows{reason}; "
                f"got n_samples={n_samples}. Lower n_neighbors or give more rows."
            )

    def _count_neighbors(self, X: Any) -> NDArray[np.intp]:
        """Count the neighbours of each row that have each label; ``X=None`` is the training rows without themselves."""
        neighbors = self.neighbors_.kneighbors(X, return_distance=False)
        counts = np.zeros((len(neighbors), self._indicator.shape[1]), dtype=np.intp)
        for nth in neighbors.T:  # one neighbour at a time keeps memory at the size of the answer
            counts += self._indicator[nth]
        return counts

    def _learn_posterior(self, counts: NDArray[np.intp]) -> NDArray[np.float64]:
        has_label = self._indicator.astype(bool)
        prior = (self.s + has_label.sum(axis=0)) / (2 * self.s + len(counts))
        joint = prior * self._likelihood(counts, has_label)
        joint_without = (1 - prior) * self._likelihood(counts, ~has_label)
        posterior = joint / (joint + joint_without)
        # Where the two differ in the last bit only, the quotient rounds to 1/2; the label is not to win there.
        posterior[(joint < joint_without) & (posterior == 0.5)] = np.nextafter(0.5, 0)
        return posterior

    def _likelihood(self, counts: NDArray[np.intp], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Smoothed probability of each count among the marked rows, shape (n_neighbors + 1, n_labels)."""
        n_labels = counts.shape[1]
        cells = (counts * n_labels + np.arange(n_labels))[rows]
        histogram = np.bincount(cells, minlength=(self.n_neighbors + 1) * n_labels).reshape(-1, n_labels)
        return (self.s + histogram) / (self.s * (self.n_neighbors + 1) + histogram.sum(axis=0))

    def __sklearn_tags__(self) -> Any:
        tags = set_multilabel_tags(super().__sklearn_tags__())
        tags.input_tags.sparse = True
        return tags
