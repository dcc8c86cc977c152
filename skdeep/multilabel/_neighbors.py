"""What the classifiers by neighbours share: parameters, the exact search, and how many neighbours have each label."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import VALID_METRICS, NearestNeighbors
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._validation import check_indicator, indicator_classes
from skdeep.multilabel._base import DecidesByProbability, set_multilabel_tags

_METRICS = set().union(*VALID_METRICS.values()) - {"precomputed"}


class NeighborsClassifier(DecidesByProbability, ClassifierMixin, BaseEstimator):
    """Base of the multi-label classifiers that count among a row's neighbours."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions(_METRICS), callable],
        "algorithm": [StrOptions({"auto", "ball_tree", "kd_tree", "brute", "torch"})],
        "device": [str],
        "n_jobs": [Integral, None],
    }

    n_neighbors: int
    metric: Any
    algorithm: str
    device: str
    n_jobs: int | None

    def _fit_neighbors(self, X: Any, y: Any, *, besides_itself: bool) -> Any:
        """Check all that ``fit`` is given and store the rows; return them, checked."""
        self._validate_params()
        X = validate_data(self, X, accept_sparse=self.algorithm != "torch" and "csr", dtype=[np.float64, np.float32])
        indicator, self.label_names_ = check_indicator(X, y)
        self._check_enough_rows(len(indicator), besides_itself)
        self.classes_ = indicator_classes(indicator.shape[1])
        self.neighbors_ = self._make_search().fit(X)
        self._indicator = indicator
        return X

    def _check_enough_rows(self, n_samples: int, besides_itself: bool) -> None:
        needed = self.n_neighbors + (1 if besides_itself else 0)
        if n_samples < needed:
            reason = ", as a row is no neighbour of itself" if besides_itself else ""
            raise ValueError(
                f"n_neighbors={self.n_neighbors} needs at least {needed} training rows{reason}; "
                f"got n_samples={n_samples}. Lower n_neighbors or give more rows."
            )

    def _make_search(self) -> Any:
        if self.algorithm != "torch":
            return NearestNeighbors(
                n_neighbors=self.n_neighbors, metric=self.metric, algorithm=self.algorithm, n_jobs=self.n_jobs
            )
        if self.metric != "euclidean":
            raise ValueError(f"algorithm='torch' knows metric='euclidean' only. Got metric={self.metric!r} instead.")
        from skdeep.multilabel._torch_neighbors import TorchNeighbors

        return TorchNeighbors(self.n_neighbors, self.device)

    def _neighbors_of(self, X: Any) -> NDArray[np.intp]:
        """Check rows and find their neighbours, shape (n_samples, n_neighbors)."""
        X = self._check_rows(X)
        return self.neighbors_.kneighbors(X, return_distance=False)

    def _check_rows(self, X: Any) -> Any:
        """Check rows of which something is asked."""
        check_is_fitted(self)
        accept_sparse = self.algorithm != "torch" and "csr"
        return validate_data(self, X, accept_sparse=accept_sparse, dtype=[np.float64, np.float32], reset=False)

    def _count(self, neighbors: NDArray[np.intp]) -> NDArray[np.intp]:
        """Count the neighbours of each row that have each label, shape (n_samples, n_labels)."""
        counts = np.zeros((len(neighbors), self._indicator.shape[1]), dtype=np.intp)
        for nth in neighbors.T:  # one neighbour at a time keeps memory at the size of the answer
            counts += self._indicator[nth]
        return counts

    def __sklearn_tags__(self) -> Any:
        tags = set_multilabel_tags(super().__sklearn_tags__())
        tags.input_tags.sparse = self.algorithm != "torch"
        return tags
