"""The kernels of yeast's two kinds of features, against their formulas."""

from __future__ import annotations

import numpy as np

from benchmarks._parts import MeanKernel, landmark_features


def make_rows(n_rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_rows, 103))


def kernels_by_formula(X: np.ndarray, Z: np.ndarray) -> list[np.ndarray]:
    differences = X[:, None] - Z[None]
    squares = differences**2
    expression, profiles = squares[..., :79].sum(axis=-1), squares[..., 79:].sum(axis=-1)
    return [
        np.exp(-0.02 * expression),
        np.exp(-0.2 * profiles),
        np.exp(-0.05 * profiles),
        np.exp(-0.03 * np.abs(differences).sum(axis=-1)),
    ]


def test_mean_kernel_is_the_mean_of_the_parts_between_rows_and_training_rows() -> None:
    X, Z = make_rows(6, 0), make_rows(4, 1)
    expected = np.mean(kernels_by_formula(Z, X), axis=0)
    np.testing.assert_allclose(MeanKernel().fit(X).transform(Z), expected, rtol=1e-10, atol=1e-14)


def test_products_of_landmark_features_are_the_kernels_where_all_rows_are_landmarks() -> None:
    X = make_rows(5, 0)
    features = landmark_features(smoke=True).fit_transform(X)
    np.testing.assert_allclose(features @ features.T, np.sum(kernels_by_formula(X, X), axis=0), atol=1e-8)
