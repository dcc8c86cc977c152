"""Extraction over the feature store: each image passes the network once, and all that shapes it is in its key."""

from __future__ import annotations

import dataclasses
import hashlib
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from skdeep import CNNFeatureExtractor, features
from skdeep._blobcache import MemoryLayer
from skdeep.backbones import Backbone, resolve_backbone
from skdeep.exceptions import ImageError, ImageWarning
from skdeep.features import Store, extract, extract_features, open_store, store
from skdeep.images import as_images
from skdeep.multilabel import BinaryRelevance

Array = NDArray[Any]


def database_of(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "features-v2.sqlite", isolation_level=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_cache_false_leaves_no_trace(cache_folder: Path, pictures: Array) -> None:
    CNNFeatureExtractor("small_cnn", weights=None, image_size=32, cache=False).fit_transform(pictures)
    assert not list(cache_folder.iterdir())


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    torch.save(resolve_small_cnn().state_dict(), tmp_path / "small.pth")
    return tmp_path / "small.pth"


def resolve_small_cnn() -> nn.Module:
    from skdeep.backbones.small_cnn import SmallCNN

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return SmallCNN()


BASE = {"backbone": "small_cnn", "weights": None, "image_size": 32, "precision": "float32", "random_state": 0}

# What each parameter may be instead, and whether the features of the base are then found
VARIED: dict[str, list[tuple[Any, bool]]] = {
    "backbone": [("squeezenet1_1", False), ("own", False)],
    "weights": [("file", False)],
    "backbone_params": [({}, True)],
    "layer": [("blocks", False), (["blocks", "dense"], False)],
    "pool": [("max", False), ("flatten", False)],
    "image_size": [(40, False), ((32, 40), False), (None, False)],
    "resize": [("squash", True), ("crop", False), ("pad", False)],
    "channel_axis": [("last", True)],
    "extra_channels": [("zero", True), ("sum", True)],
    "precision": [("bf16", False)],
    "on_error": [("nan", True)],
    "random_state": [(1, False)],
    "image_shape": [((32, 32, 3), True)],
    "pixel_range": [(255, True)],
    "batch_size": [(1, True), (5, True)],
    "device": [("cpu", True)],
    "cache": [("another folder", False)],
    "fingerprint": [("of no module", True)],
}


def test_each_parameter_of_the_extractor_is_varied() -> None:
    assert VARIED.keys() == CNNFeatureExtractor().get_params().keys()


@pytest.mark.parametrize(
    ("name", "value", "is_found"), [(name, *case) for name, cases in VARIED.items() for case in cases]
)
def test_features_are_found_unless_a_parameter_that_shapes_them_changes(
    name: str, value: Any, is_found: bool, weights_file: Path, tmp_path: Path, pictures: Array
) -> None:
    special = {"file": weights_file, "another folder": tmp_path / "other", "own": nn.AvgPool2d(16)}
    changed = {**BASE, name: special.get(value, value) if isinstance(value, str) else value}
    if value == "own":
        changed["fingerprint"] = "mean colours"
    CNNFeatureExtractor(**BASE).fit_transform(pictures)
    CNNFeatureExtractor(**changed).fit_transform(pictures)
    n_computed = features.info().n_computed + (features.info(tmp_path / "other").n_computed if name == "cache" else 0)
    assert n_computed == len(pictures) * (1 if is_found else 2)
    found = CNNFeatureExtractor(**changed).fit_transform(pictures)
    expected = CNNFeatureExtractor(**{**changed, "cache": False}).fit_transform(pictures)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_equal_weights_share_features_wherever_the_file_lies(weights_file: Path, pictures: Array) -> None:
    other = weights_file.with_name("copy.pth")
    other.write_bytes(weights_file.read_bytes())
    for path in (weights_file, str(other)):
        CNNFeatureExtractor("small_cnn", weights=path, image_size=32).fit_transform(pictures)
    assert features.info().n_computed == 6


class Logging(nn.Module):
    """Mean colours by quarter of the picture; writes a line with a hash of each picture that passes."""

    def __init__(self, log: str) -> None:
        super().__init__()
        self.log = log

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        lines = [hashlib.sha256(image.numpy().tobytes()).hexdigest() + "\n" for image in images.contiguous()]
        with open(self.log, "a") as file:  # noqa: PTH123
            file.write("".join(lines))
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


EMPTY = hashlib.sha256(np.zeros((3, 16, 16), dtype=np.float32).tobytes()).hexdigest()


def passed(log: Path) -> list[str]:
    """What passed the network, but for the empty picture that asks it for its size."""
    lines = log.read_text().split() if log.exists() else []
    return [line for line in lines if line != EMPTY]


def logging_extractor(log: Path, **options: Any) -> CNNFeatureExtractor:
    return CNNFeatureExtractor(Logging(str(log)), **{"image_size": 16, "fingerprint": "quarters", **options})


def make_scenes(n: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    Y = np.array([[row % 2, row // 2 % 2, row // 4 % 2] for row in range(n)])
    X = rng.integers(100, size=(n, 16, 16, 3)) + 100 * Y[:, None, None, :]
    return X.astype(np.uint8), Y


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("fresh_workers")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_passes_each_image_through_the_network_once(n_jobs: int | None, tmp_path: Path) -> None:
    X, Y = make_scenes(40)
    log = tmp_path / "log"
    pipeline = make_pipeline(logging_extractor(log, batch_size=8), BinaryRelevance(LogisticRegression()))
    candidates = {"binaryrelevance__estimator__C": np.logspace(-3, 3, 12)}
    search = GridSearchCV(pipeline, candidates, cv=5, n_jobs=n_jobs, scoring="roc_auc", error_score="raise")
    search.fit(X, Y)
    assert len(passed(log)) == len(set(passed(log))) == len(X)
    assert search.best_score_ > 0.9
    search.fit(X, Y)
    search.predict(X)
    assert len(passed(log)) == len(X)


def test_a_module_without_fingerprint_is_not_stored(tmp_path: Path, cache_folder: Path) -> None:
    X, _ = make_scenes(8)
    extractor = logging_extractor(tmp_path / "log", fingerprint=None).fit(X)
    np.testing.assert_array_equal(extractor.transform(X), extractor.transform(X))
    assert len(passed(tmp_path / "log")) == 16
    assert not list(cache_folder.iterdir())


@pytest.mark.parametrize("cache", [True, False])
def test_equal_images_pass_the_network_once(cache: bool, tmp_path: Path) -> None:
    X, _ = make_scenes(4)
    found = logging_extractor(tmp_path / "log", cache=cache).fit_transform(X[[0, 1, 0, 2, 2, 0, 3]])
    assert len(passed(tmp_path / "log")) == 4
    np.testing.assert_array_equal(found[[0, 3]], found[[5, 4]])
    np.testing.assert_allclose(found[:, 0], X[[0, 1, 0, 2, 2, 0, 3], :8, :8, 0].mean(axis=(1, 2)) / 255, rtol=1e-5)


def test_stored_and_computed_features_are_equal(tmp_path: Path, pictures: Array) -> None:
    extractor = CNNFeatureExtractor(**BASE).fit(pictures)
    computed = extractor.transform(pictures)
    store._shared_store.cache_clear()  # as in another process
    np.testing.assert_array_equal(extractor.transform(pictures), computed)
    np.testing.assert_array_equal(extractor.set_params(cache=False).transform(pictures), computed)
    np.testing.assert_array_equal(
        extractor.set_params(cache=tmp_path / "other").transform(pictures[::-1]), computed[::-1]
    )


def change_a_bit(path: str) -> None:
    """Damage a file inside, so that only decoding can tell that it is broken."""
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])


def test_a_broken_image_leaves_what_was_computed_and_no_claim(
    tmp_path: Path, paths: list[str], cache_folder: Path
) -> None:
    broken = Path(paths[4])
    whole = broken.read_bytes()
    # what is cut short would be found before anything is computed
    change_a_bit(paths[4])
    extractor = CNNFeatureExtractor(**BASE, batch_size=2).fit(paths)
    with pytest.raises(ImageError, match=r"4\.png"):
        extractor.transform(paths)
    assert features.info().n_computed == 4
    with closing(database_of(cache_folder)) as database:
        assert database.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    broken.write_bytes(whole)
    assert extractor.transform(paths).shape == (6, 64)
    assert features.info().n_computed == 6


class Failing(nn.Module):
    """A network that runs out of memory on the second batch."""

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.n_calls += 1
        if self.n_calls == 3:
            raise RuntimeError("out of memory")
        return images.flatten(1)


def test_a_failing_network_releases_its_claims_and_ends_its_thread(pictures: Array, cache_folder: Path) -> None:
    extractor = CNNFeatureExtractor(Failing(), image_size=8, fingerprint="failing", batch_size=1).fit(pictures)
    with pytest.raises(RuntimeError, match="out of memory"):
        extractor.transform(pictures)
    with closing(database_of(cache_folder)) as database:
        assert database.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skdeep-images")]
    assert extractor.transform(pictures).shape == (6, 192)


def test_rows_that_vanish_are_computed_again(pictures: Array, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    images = as_images(pictures)
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    options = {"batch_size": 2, "device": "cpu"}
    expected = extract_features(images, backbone, store=None, **options)
    tiny = Store(folder)
    tiny.features._max_bytes = 1
    monkeypatch.setattr(tiny.features, "_memory", MemoryLayer(0))

    def another_was_faster(keys: Any, size: int, stop: Any) -> Iterator[list[bytes]]:
        monkeypatch.undo()
        yield from ()

    monkeypatch.setattr(tiny.features, "claims", another_was_faster)
    np.testing.assert_array_equal(extract_features(images, backbone, store=tiny, **options), expected)


def test_rows_that_are_said_to_be_stored_but_never_found_are_computed(
    pictures: Array, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    images = as_images(pictures)
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    opened = Store(folder)
    options = {"store": opened, "batch_size": 2, "device": "cpu"}
    expected = extract_features(images, backbone, **options)
    n_reads = iter(range(5))

    def find_nothing(keys: Any) -> dict[bytes, bytes]:
        next(n_reads)  # an error where it goes on for ever
        return {}

    monkeypatch.setattr(opened.features, "read", find_nothing)
    np.testing.assert_array_equal(extract_features(images, backbone, **options), expected)


def test_threads_share_the_work(pictures: Array, tmp_path: Path) -> None:
    X, _ = make_scenes(24)
    extractor = logging_extractor(tmp_path / "log", batch_size=2).fit(X)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(extractor.transform, [X, X[::-1], X, X[::-1]]))
    assert len(passed(tmp_path / "log")) == 24
    np.testing.assert_array_equal(found[0], found[1][::-1])


def test_nothing_warns_in_ordinary_use(pictures: Array) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CNNFeatureExtractor(**BASE).fit_transform(pictures)


class OutOfMemory(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")


def test_an_error_does_not_wait_for_what_others_claimed(pictures: Array, folder: Path) -> None:
    images = as_images(pictures)
    backbone = resolve_backbone(OutOfMemory(), weights=None, image_size=32, seed=0, fingerprint="failing")
    opened, another = Store(folder), Store(folder).features
    keys = extract._keys(images.digests(), backbone, "cpu", "float32")
    claimed = next(another.claims(keys[3:], 3))
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(extract_features, images, backbone, store=opened, batch_size=3, device="cpu")
        with pytest.raises(RuntimeError, match="out of memory"):
            failing.result(timeout=20)
    assert claimed == keys[3:]
    assert next(another.claims(keys[:3], 3)) == keys[:3]


def test_features_are_float32_even_within_autocast(pictures: Array) -> None:
    images = as_images(pictures)
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    options = {"store": None, "batch_size": 6, "device": "cpu"}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = extract_features(images, backbone, **options)
    np.testing.assert_array_equal(within, extract_features(images, backbone, **options))


def keys_of(backbone: Backbone, digests: list[bytes], precision: str = "float32") -> list[bytes]:
    return extract._keys(digests, backbone, "cpu", precision)


def test_weights_count_by_their_content_wherever_they_came_from(weights_file: Path, pictures: Array) -> None:
    digests = as_images(pictures).digests()
    backbone = resolve_backbone("small_cnn", weights=weights_file, image_size=32, seed=0)
    published = dataclasses.replace(backbone.weights, source="published", name="V1")
    assert keys_of(dataclasses.replace(backbone, weights=published), digests) == keys_of(backbone, digests)
    other = dataclasses.replace(backbone.weights, digest="0" * 64)
    assert set(keys_of(dataclasses.replace(backbone, weights=other), digests)).isdisjoint(keys_of(backbone, digests))


def test_every_detail_of_a_backbone_and_the_precision_change_keys(pictures: Array) -> None:
    digests = as_images(pictures).digests()
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    geometries = [{"size": (32, 33)}, {"policy": "crop", "resize": 40}, {"interpolation": "bicubic"}]
    changed = [
        backbone,
        resolve_backbone("small_cnn", weights=None, image_size=32, seed=1),
        resolve_backbone(nn.Flatten(), weights=None, image_size=32, seed=0, fingerprint="0"),
        dataclasses.replace(backbone, mean=(0.0, 0.0, 0.1)),
        dataclasses.replace(backbone, std=(1.0, 1.0, 0.9)),
        dataclasses.replace(backbone, params='{"n": 1}'),
        dataclasses.replace(backbone, layers=("blocks",), pool="avg"),
        dataclasses.replace(backbone, layers=("dense",), pool="avg"),
        dataclasses.replace(backbone, layers=("blocks",), pool="gem"),
        dataclasses.replace(backbone, n_channels=4),
        dataclasses.replace(backbone, n_channels=4, extra_channels="zero"),
        *(
            dataclasses.replace(backbone, geometry=dataclasses.replace(backbone.geometry, **change))
            for change in geometries
        ),
    ]
    keys = [key for one in changed for key in keys_of(one, digests)] + keys_of(backbone, digests, "bf16")
    assert len(set(keys)) == len(keys) == 15 * len(digests)


@pytest.mark.parametrize("library", ["PIL", "torch", "torchvision"])
def test_versions_change_keys(library: str, pictures: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = as_images(pictures).digests()
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    before = keys_of(backbone, digests)
    monkeypatch.setattr(f"{library}.__version__", "0.0")
    assert set(before).isdisjoint(keys_of(backbone, digests))


SWITCHES = """
import torch
from skdeep.backbones import resolve_backbone
from skdeep.features import extract

def show_key():
    print(*extract._keys([b"digest"], backbone, "cpu", "float32"))

backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
show_key()
torch.set_float32_matmul_precision("medium")
show_key()
torch.backends.cudnn.allow_tf32 = False
show_key()
if hasattr(torch.backends, "fp32_precision"):
    torch.backends.mkldnn.conv.fp32_precision = "bf16"
    show_key()
    torch.backends.fp32_precision = "tf32"
    show_key()
"""


def test_all_that_switches_what_torch_computes_float32_in_changes_keys() -> None:
    # a process of its own: what these switches were before, torch does not tell
    command = [sys.executable, "-W", "error", "-c", SWITCHES]
    keys = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(set(keys)) == len(keys) == (5 if hasattr(torch.backends, "fp32_precision") else 3)


def cut_short(path: str) -> None:
    """Leave the head of a file, so that only decoding can tell that it is broken."""
    Path(path).write_bytes(Path(path).read_bytes()[:-300])


def extract_with_nan(X: Any, folder: Path | None, **options: Any) -> Array:
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    opened = Store(folder) if folder else None
    options = {"batch_size": 2, "device": "cpu", "on_error": "nan", **options}
    return extract_features(as_images(X), backbone, store=opened, **options)


@pytest.mark.parametrize("is_stored", [True, False])
def test_images_that_fail_become_nan_and_one_warning(is_stored: bool, paths: list[str], folder: Path) -> None:
    expected = extract_with_nan(paths, None)
    cut_short(paths[1])
    Path(paths[4]).write_text("no picture")
    for _ in range(2):
        with pytest.warns(ImageWarning, match=r"2 of 6 images cannot be used, .* row 1 \(.+\), row 4 \(.+\)") as caught:
            found = extract_with_nan(paths, folder if is_stored else None)
        assert len(caught) == 1
        assert np.isnan(found[[1, 4]]).all()
        np.testing.assert_allclose(found[[0, 2, 3, 5]], expected[[0, 2, 3, 5]], rtol=1e-5)
    if is_stored:
        assert Store(folder).info().n_rows == Store(folder).info().n_computed == 4
        with closing(database_of(folder)) as database:
            assert database.execute("SELECT count(*) FROM claims").fetchone() == (0,)


@pytest.mark.filterwarnings("ignore::skdeep.exceptions.ImageWarning")
@pytest.mark.parametrize("failing", [(0, 1), (1, 2)], ids=["a whole batch", "parts of batches"])
@pytest.mark.parametrize("device", ["cpu", "beside the loader"])
def test_nobody_waits_for_images_that_failed(
    failing: tuple[int, int], device: str, paths: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for row in failing:
        change_a_bit(paths[row])
    if device != "cpu":
        load_batches = extract.load_batches
        monkeypatch.setattr(
            extract, "load_batches", lambda *args, **options: load_batches(*args, **options | {"device": "meta"})
        )
    images = as_images(paths)
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    opened, another = Store(folder), Store(folder).features
    keys = extract._keys(images.digests(), backbone, "cpu", "float32")
    failed = [keys[row] for row in failing]
    assert next(another.claims(keys[5:], 1)) == keys[5:]
    options = {"store": opened, "batch_size": 2, "device": "cpu", "on_error": "nan"}
    stop = threading.Event()
    timer = threading.Timer(10, stop.set)
    timer.start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(extract_features, images, backbone, **options)
        try:
            while another.count() < 3 and not stop.is_set():
                time.sleep(0.01)
            # all that is left for the other is row 5
            assert list(another.claims(failed, 2, stop)) == [failed]
        finally:
            timer.cancel()
            another.release(keys)
        assert np.isnan(waiting.result(timeout=20)).all(axis=1).nonzero()[0].tolist() == list(failing)


def test_equal_images_fail_together(paths: list[str], folder: Path) -> None:
    cut_short(paths[1])
    with pytest.warns(ImageWarning, match=r"2 of 3 images"):
        found = extract_with_nan([paths[1], paths[0], paths[1]], folder)
    assert np.isnan(found).all(axis=1).tolist() == [True, False, True]


@pytest.mark.parametrize("how", ["cut short", "no picture", "gone"])
def test_features_are_nan_even_where_no_image_is_left(how: str, paths: list[str], folder: Path) -> None:
    images = as_images(paths)
    for path in paths:
        if how == "cut short":
            cut_short(path)
        elif how == "gone":
            Path(path).unlink()
        else:
            Path(path).write_text(how)
    backbone = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    options = {"store": Store(folder), "batch_size": 4, "device": "cpu"}
    with pytest.warns(ImageWarning, match=r"6 of 6 images"):
        found = extract_features(images, backbone, on_error="nan", **options)
    assert found.shape == (6, 64)
    assert np.isnan(found).all()
    with pytest.raises(ImageError):
        extract_features(images, backbone, **options)


def test_files_that_cannot_be_read_are_errors_before_any_image_passes(paths: list[str], tmp_path: Path) -> None:
    extractor = logging_extractor(tmp_path / "log", batch_size=1).fit(paths)
    images = as_images(paths)
    Path(paths[5]).unlink()
    with pytest.raises(ImageError, match=r"1 of 6 .*5\.png"):
        extract_features(images, extractor.backbone_, store=open_store(True), batch_size=1, device="cpu")
    assert passed(tmp_path / "log") == []


def test_features_may_be_written_to(pictures: Array) -> None:
    for _ in range(2):
        found = CNNFeatureExtractor(**BASE).fit_transform(pictures)
        found += 1
