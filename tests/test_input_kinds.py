"""Every kind of input with every kind of estimator: the same pictures give the same answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skdeep import CNNClassifier, CNNFeatureExtractor
from skdeep.multilabel import BinaryRelevance, ClassifierChain, LabelPowerset, MLkNN

Array = NDArray[Any]

SIZE = 32
Y = np.array([[0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])
NUMBERS = np.linspace(-1, 1, 12).reshape(6, 2)


def read_only(pictures: Array, folder: Path) -> Array:
    np.save(folder / "pictures.npy", pictures)
    return np.load(folder / "pictures.npy", mmap_mode="r")


def flat(pictures: Array) -> Array:
    return pictures.reshape(len(pictures), -1)


# Each from the pictures, their files and a folder to write in.
KINDS: dict[str, Callable[[Array, list[str], Path], Any]] = {
    "list of str": lambda pictures, paths, folder: paths,
    "tuple of Path": lambda pictures, paths, folder: tuple(map(Path, paths)),
    "array of str": lambda pictures, paths, folder: np.array(paths),
    "array of objects": lambda pictures, paths, folder: np.array(list(map(Path, paths)), dtype=object),
    "column of paths": lambda pictures, paths, folder: np.array(paths)[:, None],
    "Series": lambda pictures, paths, folder: pd.Series(paths, index=list("fedcba")),
    "DataFrame": lambda pictures, paths, folder: pd.DataFrame({"image": paths}),
    "PIL images": lambda pictures, paths, folder: list(map(Image.fromarray, pictures)),
    "opened files": lambda pictures, paths, folder: list(map(Image.open, paths)),
    "list of arrays": lambda pictures, paths, folder: list(pictures),
    "channels last": lambda pictures, paths, folder: pictures,
    "channels first": lambda pictures, paths, folder: np.moveaxis(pictures, -1, 1),
    "integers": lambda pictures, paths, folder: pictures.astype(np.int64),
    "floats to 255": lambda pictures, paths, folder: pictures.astype(np.float64),
    "tensor": lambda pictures, paths, folder: torch.from_numpy(pictures),
    "memory map": lambda pictures, paths, folder: read_only(pictures, folder),
    "flat rows": lambda pictures, paths, folder: flat(pictures),
    "flat frame": lambda pictures, paths, folder: pd.DataFrame(flat(pictures)),
    "sparse rows": lambda pictures, paths, folder: sparse.csr_matrix(flat(pictures)),
    "sparse array": lambda pictures, paths, folder: sparse.csr_array(flat(pictures).astype(np.float32)),
}
WITH_NUMBERS: dict[str, Callable[[Array, list[str], Path], Any]] = {
    "paths": lambda pictures, paths, folder: framed(paths),
    "PIL images": lambda pictures, paths, folder: framed(list(map(Image.fromarray, pictures))),
    "arrays": lambda pictures, paths, folder: framed(list(pictures)),
    "flat rows": lambda pictures, paths, folder: np.hstack([flat(pictures), NUMBERS]),
    "sparse rows": lambda pictures, paths, folder: sparse.csr_matrix(np.hstack([flat(pictures), NUMBERS])),
}


def framed(images: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"image": images, "a": NUMBERS[:, 0], "b": NUMBERS[:, 1]})


def extractor() -> CNNFeatureExtractor:
    return CNNFeatureExtractor("small_cnn", weights=None, image_size=SIZE, precision="float32", random_state=0)


def classifier(phases: str) -> CNNClassifier:
    return CNNClassifier(
        "small_cnn", weights=None, image_size=SIZE, precision="float32", phases=phases, max_epochs=2, random_state=0
    )


ESTIMATORS = {
    "CNNClassifier, head": classifier("linear_probe"),
    "CNNClassifier, all": classifier("from_scratch"),
    "BinaryRelevance on features": make_pipeline(extractor(), BinaryRelevance(LogisticRegression())),
    "ClassifierChain on features": make_pipeline(extractor(), ClassifierChain(LogisticRegression())),
    "LabelPowerset on features": make_pipeline(extractor(), LabelPowerset(LogisticRegression())),
    "MLkNN on features": make_pipeline(extractor(), MLkNN(n_neighbors=2)),
    "BinaryRelevance of CNNClassifier": BinaryRelevance(classifier("linear_probe")),
    "ClassifierChain of CNNClassifier": ClassifierChain(classifier("linear_probe")),
    "LabelPowerset of CNNClassifier": LabelPowerset(classifier("linear_probe")),
}


def told_the_shape(estimator: Any, kind: str) -> Any:
    """A clone that knows the shape of a picture in flat rows."""
    estimator = clone(estimator)
    if kind.startswith(("flat", "sparse")):
        shapes = {name: (SIZE, SIZE, 3) for name in estimator.get_params() if name.endswith("image_shape")}
        assert shapes
        estimator.set_params(**shapes)
    return estimator


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_kind_of_pictures_gives_the_same_probabilities(
    name: str, kind: str, pictures: Array, paths: list[str], tmp_path: Path
) -> None:
    expected = clone(ESTIMATORS[name]).fit(pictures, Y).predict_proba(pictures)
    X = KINDS[kind](pictures, paths, tmp_path)
    fitted = told_the_shape(ESTIMATORS[name], kind).fit(X, Y)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", WITH_NUMBERS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_kind_of_numbers_beside_pictures_gives_the_same_probabilities(
    name: str, kind: str, pictures: Array, paths: list[str], tmp_path: Path
) -> None:
    expected = clone(ESTIMATORS[name]).fit(framed(paths), Y).predict_proba(framed(paths))
    assert (clone(ESTIMATORS[name]).fit(paths, Y).predict_proba(paths) != expected).any()
    X = WITH_NUMBERS[kind](pictures, paths, tmp_path)
    fitted = told_the_shape(ESTIMATORS[name], kind).fit(X, Y)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_pictures_gives_the_same_features(
    kind: str, pictures: Array, paths: list[str], tmp_path: Path
) -> None:
    X = KINDS[kind](pictures, paths, tmp_path)
    expected = extractor().fit_transform(pictures)
    np.testing.assert_array_equal(told_the_shape(extractor(), kind).fit_transform(X), expected)
