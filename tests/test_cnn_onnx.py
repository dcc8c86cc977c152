"""Fitted image classifiers as ONNX files, run by onnxruntime."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from torch import nn

import skdeep
from skdeep import CNNClassifier, Phase

Array = NDArray[Any]

onnxruntime: Any = pytest.importorskip("onnxruntime")

Y = {
    "binary": np.array(["field", "road"] * 6),
    "multiclass": np.arange(12) % 3 + 5,
    "multilabel": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]] * 3),
}


def quick(backbone: Any = "small_cnn", **options: Any) -> CNNClassifier:
    settled = {"weights": None, "image_size": 32, "max_epochs": 1, "cache": False, "precision": "float32", "lr": 0.05}
    return CNNClassifier(backbone, **{**settled, "random_state": 0, **options})


@pytest.fixture
def X() -> Array:
    return np.random.default_rng(0).integers(256, size=(12, 32, 32, 3), dtype=np.uint8)


def pixels(X: Array) -> Array:
    """Pictures as the file takes them."""
    return np.moveaxis(X, -1, 1).astype(np.float32) / 255


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def metadata(path: Path) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in session(path).get_modelmeta().custom_metadata_map.items()}


def assert_same(path: Path, clf: CNNClassifier, X: Any, **inputs: Array) -> None:
    """Assert that a file gives what the classifier gives, for any number of rows."""
    expected, run = clf.predict_proba(X), session(path)
    assert [given.name for given in run.get_inputs()] == list(inputs)
    for rows in (slice(None), slice(5), slice(3, 4)):
        (probabilities,) = run.run(["probabilities"], {name: values[rows] for name, values in inputs.items()})
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, expected[rows], rtol=1e-4, atol=1e-6)


class Body(nn.Module):
    def __init__(self, n_channels: int = 3) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(n_channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU())

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.maps(pictures).mean((2, 3))


@pytest.mark.parametrize(
    ("kind", "phases", "options"),
    [
        ("binary", "linear_probe", {}),
        ("multiclass", "from_scratch", {"backbone": Body}),
        ("multilabel", "from_scratch", {"backbone": Body, "image_size": (24, 32), "resize": "crop"}),
    ],
)
def test_a_file_gives_the_probabilities_and_says_what_its_users_need_to_know(
    kind: str, phases: str, options: dict[str, Any], X: Array, tmp_path: Path
) -> None:
    size = options.get("image_size", (32, 32))
    X, path = X[:, : size[0]], tmp_path / "network.onnx"
    y: Any = pd.DataFrame(Y[kind], columns=["field", "haze", "road"]) if kind == "multilabel" else Y[kind]
    clf = quick(phases=phases, **options).fit(X, y)
    clf.to_onnx(path)
    assert_same(path, clf, X, images=pixels(X))
    assert list(tmp_path.iterdir()) == [path]
    names = {"binary": ["field", "road"], "multiclass": [5, 6, 7], "multilabel": ["field", "haze", "road"]}[kind]
    policy = options.get("resize", "squash")
    expected = {
        "target": kind,
        "label_names" if kind == "multilabel" else "classes": names,
        "image_size": list(size),
        "geometry": {"policy": policy, "resize": None, "interpolation": "bilinear", "fill": [0, 0, 0]},
        "n_channels": 3,
        "side_features": [],
        "threshold": 0.5,
        "version": skdeep.__version__,
    }
    if kind == "multiclass":
        del expected["threshold"]
    assert metadata(path) == expected


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("resnet18", {"phases": [Phase()]}),
        ("small_cnn", {"pool": "gem"}),
        pytest.param("squeezenet1_1", {}, marks=pytest.mark.slow),
        pytest.param("mobilenet_v2", {}, marks=pytest.mark.slow),
        pytest.param("timm/vit_tiny_patch16_224", {"image_size": 224}, marks=pytest.mark.slow),
    ],
)
def test_known_networks_can_be_written(backbone: str, options: dict[str, Any], tmp_path: Path) -> None:
    size = options.get("image_size", 64)
    X = np.random.default_rng(0).integers(256, size=(6, size, size, 3), dtype=np.uint8)
    clf = quick(backbone, **{"image_size": 64, **options}).fit(X, Y["multilabel"][:6])
    clf.to_onnx(tmp_path / "network.onnx")
    assert_same(tmp_path / "network.onnx", clf, X, images=pixels(X))


def test_numbers_beside_pictures_are_a_second_input(X: Array, tmp_path: Path) -> None:
    beside = pd.DataFrame({"picture": list(X), "height": np.linspace(0, 1, 12), "slope": np.arange(12) % 5})
    clf = quick(Body, phases="from_scratch", max_epochs=3).fit(beside, Y["multilabel"])
    clf.to_onnx(tmp_path / "network.onnx")
    side = beside[["height", "slope"]].to_numpy(np.float32)
    assert_same(tmp_path / "network.onnx", clf, beside, images=pixels(X), side_features=side)
    assert metadata(tmp_path / "network.onnx")["side_features"] == ["height", "slope"]


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_the_probabilities_of_several_networks_are_averaged(kind: str, X: Array, tmp_path: Path) -> None:
    phases = [Phase(policy="sgdr", max_epochs=2, train="head")]
    clf = quick(Body(), phases=phases, averaging="snapshots", lr=0.5).fit(X, Y[kind])
    assert len(clf.snapshots_) == 2
    clf.to_onnx(tmp_path / "network.onnx")
    assert_same(tmp_path / "network.onnx", clf, X, images=pixels(X))


def test_a_ranking_brings_its_threshold(X: Array, tmp_path: Path) -> None:
    clf = quick(Body, criterion="bp_mll", max_epochs=5).fit(X, Y["multilabel"])
    clf.to_onnx(tmp_path / "network.onnx")
    assert_same(tmp_path / "network.onnx", clf, X, images=pixels(X))


@pytest.mark.parametrize("n_channels", [1, 4])
def test_pictures_have_the_channels_of_the_training_images(n_channels: int, X: Array, tmp_path: Path) -> None:
    X = np.concatenate([X, X[..., :1]], axis=-1)[..., :n_channels]
    backbone = Body if n_channels == 1 else Body(4)  # a network of colours, fed with grey pictures
    clf = quick(backbone, phases="from_scratch").fit(X, Y["multilabel"])
    clf.to_onnx(tmp_path / "network.onnx")
    assert session(tmp_path / "network.onnx").get_inputs()[0].shape == ["n_samples", n_channels, 32, 32]
    assert_same(tmp_path / "network.onnx", clf, X, images=pixels(X))


def test_writing_leaves_the_classifier_and_chance_as_they_were(X: Array, tmp_path: Path) -> None:
    clf = quick(Body, phases="from_scratch").fit(X, Y["multilabel"])
    before, attributes, generator = clf.predict_proba(X), dict(vars(clf)), torch.get_rng_state()
    with torch.inference_mode():
        clf.to_onnx(tmp_path / "network.onnx")
    assert vars(clf) == attributes
    assert torch.equal(torch.get_rng_state(), generator)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert_same(tmp_path / "network.onnx", clf, X, images=pixels(X))
    clf.partial_fit(X, Y["multilabel"])


def test_the_version_of_operators_may_be_chosen(X: Array, tmp_path: Path) -> None:
    onnx: Any = pytest.importorskip("onnx")
    clf = quick(Body).fit(X, Y["multilabel"])
    clf.to_onnx(tmp_path / "network.onnx", opset_version=19)
    assert {one.domain: one.version for one in onnx.load(tmp_path / "network.onnx").opset_import}[""] == 19
    assert_same(tmp_path / "network.onnx", clf, X, images=pixels(X))


class Counts(Body):
    """Turns the number of pictures into a constant."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return super().forward(pictures).reshape(len(pictures), -1)


class Chooses(Body):
    """Goes one way or the other as values say."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return super().forward(pictures if pictures.sum() > 0 else -pictures)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (Counts, r"only be exported to ONNX for a fixed number of pictures at a time, .* use shape\[0\]"),
        (Chooses, "The network cannot be exported to ONNX: "),
    ],
)
def test_a_network_that_cannot_be_written_leaves_the_old_file(
    backbone: Any, message: str, X: Array, tmp_path: Path
) -> None:
    path = tmp_path / "network.onnx"
    path.write_text("old")
    with pytest.raises(ValueError, match=message):
        quick(backbone).fit(X, Y["multilabel"]).to_onnx(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_said_before_any_work(
    X: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "network.onnx"
    with pytest.raises(NotFittedError, match="This CNNClassifier instance is not fitted yet"):
        quick().to_onnx(path)
    clf = quick(Body, augmentation="side_on").fit(X, Y["multilabel"])
    with pytest.raises(FileNotFoundError):
        clf.to_onnx(tmp_path / "nowhere" / "network.onnx")
    with pytest.raises(ValueError, match="tta=2 averages random views, which no graph makes: set tta=0 to export"):
        clf.set_params(tta=2).to_onnx(path)
    # networks that want their pictures in different ways: of other sizes, or cut out and squashed
    for backbone, sides, ways in (
        (Body, (16, 32), r"squash to \(16, 16\), squash to \(32, 32\)"),
        ("resnet18", (None, 224), r"crop to \(224, 224\), squash to \(224, 224\)"),
    ):
        phases = [Phase(train="head", image_size=side, snapshot=True) for side in sides]
        pair = quick(backbone, phases=phases, image_size=None).fit(X, Y["multilabel"])
        with pytest.raises(ValueError, match=rf"several sizes or ways to them \({ways}\), and a graph takes one"):
            pair.to_onnx(path)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    with pytest.raises(ImportError, match=r"CNNClassifier.to_onnx needs onnxscript\. .*pip install 'skdeep\[onnx\]'"):
        clf.to_onnx(path)
    assert list(tmp_path.iterdir()) == []
