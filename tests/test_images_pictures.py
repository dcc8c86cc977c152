"""Resized pictures, kept so that no file is decoded twice."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from skdeep._blobcache import used_bytes
from skdeep._cachefile import CacheFolder
from skdeep.features import Store
from skdeep.images import Geometry, PictureCache
from skdeep.images.pictures import picture_keys

GEOMETRY = Geometry((24, 20), policy="crop", resize=30)
DIGESTS = [bytes([number]) * 32 for number in range(6)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def kept(pictures: NDArray[np.uint8]) -> dict[bytes, NDArray[np.uint8]]:
    """Pictures of 3 channels and of one, of several sizes, under keys."""
    shaped = [np.moveaxis(picture, -1, 0) for picture in pictures]
    shaped[1] = shaped[1][:1, :20, :24]
    return dict(zip(picture_keys(DIGESTS, GEOMETRY), shaped, strict=True))


def assert_pictures_equal(found: dict[bytes, NDArray[np.uint8]], expected: dict[bytes, NDArray[np.uint8]]) -> None:
    assert found.keys() == expected.keys()
    for key, picture in found.items():
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, expected[key])


def test_pictures_come_back_from_memory_and_file(folder: Path, kept: dict[bytes, NDArray[np.uint8]]) -> None:
    cache = PictureCache(CacheFolder(folder))
    cache.write(kept)
    keys = [*kept, b"another key"]
    assert_pictures_equal(cache.read(keys), kept)
    assert_pictures_equal(PictureCache(CacheFolder(folder)).read(keys), kept)


def test_pictures_are_copies_that_cannot_be_written_to(folder: Path, kept: dict[bytes, NDArray[np.uint8]]) -> None:
    cache = PictureCache(CacheFolder(folder))
    cache.write(kept)
    expected = {key: picture.copy() for key, picture in kept.items()}
    next(iter(kept.values()))[:] = 0
    found = cache.read(kept)
    assert_pictures_equal(found, expected)
    with pytest.raises(ValueError, match="read-only"):
        next(iter(found.values()))[:] = 0


@pytest.mark.parametrize("wrong", [np.zeros((3, 4, 4), dtype=np.float32), np.zeros((4, 4), dtype=np.uint8)])
def test_what_is_no_picture_is_refused(wrong: NDArray[np.uint8], folder: Path) -> None:
    with pytest.raises(ValueError, match=r"uint8 and of shape \(height, width, n_channels\), got an array of"):
        PictureCache(CacheFolder(folder)).write({b"key": wrong})


def test_all_that_shapes_a_picture_changes_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    geometries = [
        GEOMETRY,
        dataclasses.replace(GEOMETRY, size=(20, 24)),
        dataclasses.replace(GEOMETRY, resize=None),
        dataclasses.replace(GEOMETRY, interpolation="bicubic"),
    ]
    keys = [key for geometry in geometries for key in picture_keys(DIGESTS, geometry)]
    for library in ("PIL", "torchvision"):
        with monkeypatch.context() as patched:
            patched.setattr(f"{library}.__version__", "0.0")
            keys += picture_keys(DIGESTS, GEOMETRY)
    assert len(set(keys)) == len(keys) == 6 * len(DIGESTS)
    assert picture_keys(DIGESTS, dataclasses.replace(GEOMETRY)) == keys[: len(DIGESTS)]


def test_a_damaged_picture_is_missing(folder: Path, kept: dict[bytes, NDArray[np.uint8]]) -> None:
    PictureCache(CacheFolder(folder)).write(kept)
    with closing(sqlite3.connect(folder / "pictures-v1.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE blobs SET value = zeroblob(length(value)) WHERE id = 2")
    found = PictureCache(CacheFolder(folder)).read(kept)
    assert len(found) == len(kept) - 1
    assert_pictures_equal(found, {key: kept[key] for key in found})


def test_pictures_are_bounded_and_take_no_place_of_features(folder: Path) -> None:
    store = Store(folder)
    store.features.write({b"row": b"feature"})
    cache = PictureCache(CacheFolder(folder), max_bytes=2**21, max_bytes_memory=2**18)
    rng = np.random.default_rng(0)
    pictures = {number.to_bytes(2): rng.integers(256, size=(3, 64, 64), dtype=np.uint8) for number in range(400)}
    keys = list(pictures)
    for start in range(0, 400, 20):
        cache.write({key: pictures[key] for key in keys[start : start + 20]})
    with closing(sqlite3.connect(folder / "pictures-v1.sqlite")) as database:
        assert used_bytes(database) <= 2**21
    found = cache.read(keys)
    assert 50 < len(found) < 200
    assert_pictures_equal(found, {key: pictures[key] for key in found})
    assert Store(folder).features.read([b"row"]) == {b"row": b"feature"}
