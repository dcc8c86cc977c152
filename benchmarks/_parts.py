"""Yeast's features are of two kinds, each with similarities of its own: sums of kernels, exact and approximate.

The first 79 features are a gene's expression in micro-arrays, the last 24 its phylogenetic profile. Genes of common
descent have almost the same profile, which a kernel on all 103 features hides.

References
----------
Pavlidis, Weston, Cai and Grundy, "Gene functional classification from heterogeneous data", RECOMB, 2001: intermediate
integration adds a kernel of each kind.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils.validation import check_is_fitted, validate_data

# of standardised features: name, columns, kernel, gamma and landmarks of the approximation
PARTS = [
    ("expression", slice(0, 79), "rbf", 0.02, 300),
    ("near profiles", slice(-24, None), "rbf", 0.2, 600),
    ("profiles", slice(-24, None), "rbf", 0.05, 300),
    ("all", slice(0, None), "laplacian", 0.03, 300),
]


class MeanKernel(TransformerMixin, BaseEstimator):
    """The mean of the kernels of all parts, between rows and the training rows, for ``kernel="precomputed"``."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Keep the training rows."""
        self.rows_ = validate_data(self, X)
        return self

    def transform(self, X: Any) -> np.ndarray[Any, Any]:
        """Kernel of shape (n_samples, n_training_rows)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        kernels = [
            pairwise_kernels(X[:, columns], self.rows_[:, columns], metric=kernel, gamma=gamma)
            for _, columns, kernel, gamma, _ in PARTS
        ]
        return np.mean(kernels, axis=0)


def landmark_features(*, smoke: bool) -> ColumnTransformer:
    """Features whose products approximate the kernel of each part, side by side."""
    return ColumnTransformer(
        [
            (name, Nystroem(kernel, gamma=gamma, n_components=5 if smoke else n_landmarks, random_state=0), columns)
            for name, columns, kernel, gamma, n_landmarks in PARTS
        ]
    )
