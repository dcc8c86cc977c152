"""ML-kNN: a Bayesian rule on how many neighbours have a label."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from skdeep.multilabel._neighbors import NeighborsClassifier


class MLkNN(NeighborsClassifier):
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
    algorithm : {"auto", "ball_tree", "kd_tree", "brute", "torch"}, default="auto"
        How neighbours are searched, as :class:`~sklearn.neighbors.NearestNeighbors` takes it; always exactly.
        ``"torch"`` compares all rows in float64 on ``device``, and takes dense rows and Euclidean distances only.
    device : str, default="auto"
        Where ``"torch"`` searches: a device of torch, or ``"auto"`` for the fastest that has float64.
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
    neighbors_ : object
        The fitted search: a :class:`~sklearn.neighbors.NearestNeighbors`, or torch's.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if ``X`` was a DataFrame with column names that are all strings.

    See Also
    --------
    BRkNN : The share of neighbours that have a label, as it is.

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
        **NeighborsClassifier._parameter_constraints,
        "s": [Interval(Real, 0, None, closed="neither")],
        "exclude_self": ["boolean"],
    }

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        s: float = 1.0,
        exclude_self: bool = True,
        metric: str | Callable[..., float] = "euclidean",
        algorithm: str = "auto",
        device: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.s = s
        self.exclude_self = exclude_self
        self.metric = metric
        self.algorithm = algorithm
        self.device = device
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
        X = self._fit_neighbors(X, y, besides_itself=self.exclude_self)
        neighbors = self.neighbors_.kneighbors(None if self.exclude_self else X, return_distance=False)
        self.posterior_ = self._learn_posterior(self._count(neighbors))
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
        counts = self._count(self._neighbors_of(X))
        return np.take_along_axis(self.posterior_, counts, axis=0)

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
