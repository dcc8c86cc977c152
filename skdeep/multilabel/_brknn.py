"""BRkNN: the share of a row's neighbours that have a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from skdeep.multilabel._base import places_in_row
from skdeep.multilabel._neighbors import NeighborsClassifier


class BRkNN(NeighborsClassifier):
    """Binary relevance k-nearest neighbours, which are searched once for all labels.

    Parameters
    ----------
    n_neighbors : int, default=10
        How many neighbours count.
    extension : {"a", "b"}, default=None
        None predicts the labels that at least half of the neighbours have. ``"a"`` predicts the most frequent label
        where there would be none. ``"b"`` predicts as many labels as the neighbours have on average, rounded half to
        even: the most frequent ones. Of labels that are equally frequent the first comes first.
    metric : str or callable, default="euclidean"
        Distance, as :class:`~sklearn.neighbors.NearestNeighbors` takes it.
    algorithm : {"auto", "ball_tree", "kd_tree", "brute", "torch"}, default="auto"
        How neighbours are searched, as in :class:`MLkNN`.
    device : str, default="auto"
        Where ``"torch"`` searches, as in :class:`MLkNN`.
    n_jobs : int, default=None
        Parallel jobs of the search.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    neighbors_ : object
        The fitted search: a :class:`~sklearn.neighbors.NearestNeighbors`, or torch's.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if ``X`` was a DataFrame with column names that are all strings.

    See Also
    --------
    MLkNN : Weighs the neighbours against those of the training rows.

    References
    ----------
    E. Spyromitros, G. Tsoumakas, I. Vlahavas, "An empirical study of lazy multilabel classification algorithms", SETN
    2008, section 3.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skdeep.multilabel import BRkNN
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> classifier = BRkNN(n_neighbors=5, extension="a").fit(X, Y)
    >>> classifier.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    >>> classifier.predict_proba(X[:2])
    array([[0. , 1. , 0. ],
           [0.2, 1. , 0.2]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NeighborsClassifier._parameter_constraints,
        "extension": [StrOptions({"a", "b"}), None],
    }

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        extension: str | None = None,
        metric: str | Callable[..., float] = "euclidean",
        algorithm: str = "auto",
        device: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.extension = extension
        self.metric = metric
        self.algorithm = algorithm
        self.device = device
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any) -> Self:
        """Store the rows and their labels.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Training rows.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.

        Returns
        -------
        self : BRkNN
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``X`` is no table of finite numbers, if ``y`` is no indicator or has not one row for each row of ``X``,
            or if there are fewer rows than ``n_neighbors``.
        """
        self._fit_neighbors(X, y, besides_itself=False)
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the labels of each row, as ``extension`` has it.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)
        """
        counts = self._count(self._neighbors_of(X))
        if self.extension == "b":
            sizes = np.round(counts.sum(axis=1, keepdims=True) / self.n_neighbors)
            return (places_in_row(counts) < sizes).astype(np.int64)
        predicted = 2 * counts >= self.n_neighbors
        if self.extension == "a":
            predicted |= ~predicted.any(axis=1, keepdims=True) & (places_in_row(counts) == 0)
        return predicted.astype(np.int64)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each label: the share of the neighbours that have it.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        return self._count(self._neighbors_of(X)) / self.n_neighbors
