"""What travels with a fitted backbone: weights, unless a public name recovers them."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from torch import nn
from torchvision import models

from skdeep import CNNClassifier, CNNFeatureExtractor
from skdeep.backbones import build_backbone, registry, resolve_backbone, weights
from skdeep.exceptions import WeightsError, WeightsUnavailableError

LOAD = """
import pickle, sys
import numpy as np
extractor = pickle.load(open(sys.argv[1], "rb"))
np.save(sys.argv[3], extractor.transform(np.load(sys.argv[2])))
"""


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        torch.save(models.squeezenet1_1(num_classes=10).state_dict(), tmp_path / "squeezenet.pth")
    return tmp_path / "squeezenet.pth"


def extractor(source: Any, **options: Any) -> CNNFeatureExtractor:
    return CNNFeatureExtractor("squeezenet1_1", weights=source, image_size=32, cache=False, random_state=0, **options)


def elsewhere(fitted: Any, pictures: NDArray[np.uint8], folder: Path) -> NDArray[np.float32]:
    """Features that another process computes with a pickle."""
    (folder / "fitted.pkl").write_bytes(pickle.dumps(fitted))
    np.save(folder / "pictures.npy", pictures)
    names = [str(folder / name) for name in ("fitted.pkl", "pictures.npy", "features.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *names], check=True)
    return np.load(folder / "features.npy")


@pytest.mark.parametrize("source", ["file", None])
def test_features_elsewhere_are_the_same_without_the_file(
    source: str | None,
    weights_file: Path,
    pictures: NDArray[np.uint8],
    tmp_path: Path,
    forget_networks: Callable[[], None],
) -> None:
    fitted = extractor(weights_file if source else None)
    expected = fitted.fit_transform(pictures)
    content = pickle.dumps(fitted)
    weights_file.unlink()
    forget_networks()
    np.testing.assert_array_equal(pickle.loads(content).transform(pictures), expected)
    again = pickle.loads(content)
    np.testing.assert_array_equal(elsewhere(again, pictures, tmp_path), expected)


def test_random_weights_travel_to_another_version_of_torch(
    monkeypatch: pytest.MonkeyPatch, forget_networks: Callable[[], None]
) -> None:
    options: dict[str, Any] = {"weights": None, "image_size": 32, "seed": 0}
    here = resolve_backbone("small_cnn", **options)
    content = pickle.dumps(here)
    monkeypatch.setattr(torch, "__version__", "99.0")
    there = resolve_backbone("small_cnn", **options)
    assert there.fingerprint != here.fingerprint
    # whatever a seed gives there
    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", lambda tensor, **_: tensor.data.zero_())
    forget_networks()
    loaded = pickle.loads(content)
    assert loaded.fingerprint == here.fingerprint
    assert build_backbone(loaded, "cpu").state_dict()["dense.1.weight"].abs().sum() > 0
    assert build_backbone(there, "cpu").state_dict()["dense.1.weight"].abs().sum() == 0


def test_layers_and_channels_travel(pictures: NDArray[np.uint8], forget_networks: Callable[[], None]) -> None:
    backbone = resolve_backbone(
        "squeezenet1_1", weights=None, image_size=32, seed=0, layer=["features.3", "features.6"], n_channels=4
    )
    images = backbone.normalise(torch.rand(2, 4, 32, 32))
    with torch.inference_mode():
        expected = build_backbone(backbone, "cpu")(images)
        loaded = pickle.loads(pickle.dumps(backbone))
        forget_networks()
        assert torch.equal(build_backbone(loaded, "cpu")(images), expected)
    assert loaded == backbone


def test_published_weights_do_not_travel_but_must_be_the_same(
    weights_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pictures: NDArray[np.uint8],
    forget_networks: Callable[[], None],
) -> None:
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(models.SqueezeNet1_1_Weights.IMAGENET1K_V1.value, "url", "http://127.0.0.1:9/squeezenet-1.pth")
    local = folder / "squeezenet-1.pth"
    local.write_bytes(weights_file.read_bytes())
    fitted = extractor("DEFAULT")
    expected = fitted.fit_transform(pictures)
    content = pickle.dumps(fitted)
    assert len(content) < 10_000
    forget_networks()
    np.testing.assert_array_equal(pickle.loads(content).transform(pictures), expected)
    local.write_bytes(weights_file.read_bytes() + b"more")
    forget_networks()
    with pytest.raises(WeightsError, match="is not the one that was fitted: its content has changed"):
        pickle.loads(content).transform(pictures)
    local.unlink()
    with pytest.raises(WeightsUnavailableError, match=r"could not be downloaded from http://127.0.0.1:9/"):
        pickle.loads(content).transform(pictures)


@pytest.mark.parametrize("change", ["gone", "other"])
def test_a_network_in_memory_travels_whatever_becomes_of_its_file(
    change: str, weights_file: Path, forget_networks: Callable[[], None]
) -> None:
    backbone = resolve_backbone("squeezenet1_1", weights=weights_file, image_size=32, seed=0, n_channels=4)
    network = build_backbone(backbone, "cpu")
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weights_file.unlink()
    if change == "other":
        weights_file.write_bytes(b"other")
    content = pickle.dumps(backbone)
    del network
    forget_networks()
    gc.collect()
    with pytest.raises((WeightsError, WeightsUnavailableError), match=r"squeezenet.pth"):
        pickle.dumps(backbone)
    loaded = build_backbone(pickle.loads(content), "cpu").state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.items())


def test_copies_and_clones_are_light(monkeypatch: pytest.MonkeyPatch, pictures: NDArray[np.uint8]) -> None:
    fitted = extractor(None).fit(pictures)

    def refuse(*_: Any) -> bytes:
        raise AssertionError("a state dict was packed")

    monkeypatch.setattr(registry, "pack", refuse)
    assert copy.deepcopy(fitted).backbone_ == fitted.backbone_
    assert copy.copy(fitted.backbone_) is fitted.backbone_
    assert not hasattr(clone(fitted), "backbone_")
    assert fitted.backbone_.state is None
    with pytest.raises(AssertionError, match="packed"):
        pickle.dumps(fitted)


def test_weights_travel_once_and_in_full(weights_file: Path, pictures: NDArray[np.uint8]) -> None:
    content = pickle.dumps(extractor(weights_file).fit(pictures))
    state = torch.load(weights_file, weights_only=True)
    n_bytes = sum(tensor.nbytes for name, tensor in state.items() if not name.startswith("classifier.1."))
    assert n_bytes < len(content) < n_bytes + 50_000
    assert len(pickle.dumps(pickle.loads(content))) == pytest.approx(len(content), abs=100)


def test_a_network_that_has_learnt_travels_once(pictures: NDArray[np.uint8]) -> None:
    Y = np.array([[0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])
    clf = CNNClassifier("small_cnn", weights=None, phases="from_scratch", image_size=32, max_epochs=1, random_state=0)
    expected = clf.fit(pictures, Y).predict_proba(pictures)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(pictures), expected)
    assert pickle.dumps(clf.net_.module_.description) == pickle.dumps(copy.deepcopy(clf.net_.module_.description))
    assert len(pickle.dumps(clf.net_.module_.description)) < 5_000


def test_an_own_module_travels_with_its_weights(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    fitted = CNNFeatureExtractor(module, image_size=32, cache=False)
    expected = fitted.fit_transform(pictures)
    np.testing.assert_array_equal(elsewhere(fitted, pictures, tmp_path), expected)


def test_joblib_files_hold_the_weights_too(
    weights_file: Path, tmp_path: Path, pictures: NDArray[np.uint8], forget_networks: Callable[[], None]
) -> None:
    fitted = extractor(weights_file)
    expected = fitted.fit_transform(pictures)
    joblib.dump(fitted, tmp_path / "fitted.joblib", compress=1)
    weights_file.unlink()
    forget_networks()
    np.testing.assert_array_equal(joblib.load(tmp_path / "fitted.joblib").transform(pictures), expected)


def test_packed_states_are_equal_to_the_last_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(4, 3, 2, 2, generator=generator)
    state = {"a": one, "tied": one, "last": one.contiguous(memory_format=torch.channels_last), "n": torch.tensor(3)}
    state["half"] = one.bfloat16()
    unpacked = weights.unpack(weights.pack(state))
    assert unpacked.keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in unpacked.items())
    assert weights.content_digest(unpacked) == weights.content_digest(state)
    assert weights.content_digest({**state, "n": torch.tensor(4)}) != weights.content_digest(state)
    assert weights.content_digest({**state, "n": torch.tensor([3])}) != weights.content_digest(state)
