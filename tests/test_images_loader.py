"""Batches are loaded in order, beside an accelerator one ahead, and leave nothing behind."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from skdeep._cachefile import CacheFolder
from skdeep.exceptions import ImageError
from skdeep.images import Geometry, PictureCache, as_images, check_images, load_batches
from skdeep.images.sources import FileImages

Array = NDArray[Any]

# a device of torch's that every machine has, and that is not its processor
ACCELERATOR = "meta"


def test_load_batches_keeps_the_order_of_rows(pictures: Array) -> None:
    batches = [[4, 2], [0], [1, 3, 5]]
    loaded = list(load_batches(as_images(pictures), batches, Geometry(size=(32, 32))))
    assert [list(rows) for rows, _ in loaded] == batches
    for rows, pixels in loaded:
        np.testing.assert_array_equal(np.moveaxis(pixels.numpy(), 1, -1), pictures[rows])


def test_load_batches_mixes_whole_numbers_and_fractions() -> None:
    X = [np.full((2, 2), 255.0), np.full((2, 2), 127.5)]
    ((_, pixels),) = load_batches(as_images(X), [[0, 1]], Geometry(size=(2, 2)))
    np.testing.assert_allclose(pixels[:, 0, 0, 0], [1, 0.5])


def test_load_batches_is_one_batch_ahead_of_an_accelerator_and_no_more(pictures: Array) -> None:
    asked: list[int] = []
    second_asked = threading.Event()

    def batches() -> Iterator[list[int]]:
        for row in range(6):
            asked.append(row)
            if row == 1:
                second_asked.set()
            yield [row]

    loader = load_batches(as_images(pictures), batches(), Geometry(size=(8, 8)), device=ACCELERATOR)
    next(loader)
    assert second_asked.wait(timeout=10)
    time.sleep(0.05)
    assert asked == [0, 1]
    assert len(list(loader)) == 5


def test_load_batches_leaves_the_cores_to_a_network_on_the_cpu(pictures: Array) -> None:
    asked: list[int] = []
    loader = load_batches(as_images(pictures), ([asked.append(row) or row] for row in range(6)), Geometry(size=(8, 8)))
    next(loader)
    time.sleep(0.05)
    assert asked == [0]
    assert len(list(loader)) == 5


@pytest.mark.parametrize("device", ["cpu", ACCELERATOR])
@pytest.mark.parametrize("culprit", ["picture", "batches"])
def test_load_batches_passes_on_what_went_wrong(culprit: str, device: str, tmp_path: Path, paths: list[str]) -> None:
    (tmp_path / "text.png").write_text("not a picture")

    def batches() -> Iterator[list[int]]:
        yield [0]
        if culprit == "batches":
            raise RuntimeError("no more claims")
        yield [6]

    loader = load_batches(as_images([*paths, tmp_path / "text.png"]), batches(), Geometry((8, 8)), device=device)
    assert next(loader)[0] == [0]
    error, message = (ImageError, "text.png") if culprit == "picture" else (RuntimeError, "no more claims")
    with pytest.raises(error, match=message):
        next(loader)


@pytest.mark.parametrize("device", ["cpu", ACCELERATOR])
def test_load_batches_ends_its_threads_when_abandoned(device: str, pictures: Array) -> None:
    batches = ([row % 6] for row in range(10**9))
    loader = load_batches(as_images(pictures), batches, Geometry(size=(8, 8)), device=device)
    next(loader)
    start = time.monotonic()
    loader.close()
    assert time.monotonic() - start < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skdeep-")]


@pytest.mark.parametrize("device", ["cpu", ACCELERATOR])
def test_load_batches_holds_no_more_than_a_few_batches(
    device: str, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = as_images(paths * 20)
    alive: set[int] = set()
    most = 0

    def count(row: int, geometry: Geometry) -> torch.Tensor:
        nonlocal most
        pixels = FileImages.pixels(images, row, geometry).numpy().copy()
        alive.add(id(pixels))
        weakref.finalize(pixels, alive.discard, id(pixels))
        most = max(most, len(alive))
        return torch.from_numpy(pixels)

    monkeypatch.setattr(images, "pixels", count)
    batches = [range(start, start + 4) for start in range(0, 120, 4)]
    for _ in load_batches(images, batches, Geometry(size=(8, 8)), device=device):
        pass
    assert 4 <= most <= 12


def test_pictures_that_are_kept_are_not_examined_again(tmp_path: Path, paths: list[str]) -> None:
    geometry, cache = Geometry((8, 8)), PictureCache(CacheFolder(tmp_path / "store"))
    images = as_images(paths)
    digests = images.digests()
    for _ in load_batches(images, [[0, 1, 2], [4, 5]], geometry, cache=cache):
        pass
    for path in paths:
        Path(path).write_text("no picture")
    with pytest.raises(ImageError, match=r"1 of 6 images cannot be read: '.*3.png'"):
        check_images(images, geometry, cache)
    with pytest.raises(ImageError, match="6 of 6 images"):
        check_images(images, geometry, None)
    with pytest.raises(ImageError, match="6 of 6 images"):
        check_images(images, Geometry((9, 8)), cache)
    changed = as_images(paths)
    assert set(changed.digests()).isdisjoint(digests)
    with pytest.raises(ImageError, match="6 of 6 images"):
        check_images(changed, geometry, cache)


def test_arrays_are_checked_beside_a_cache(tmp_path: Path, pictures: Array) -> None:
    cache = PictureCache(CacheFolder(tmp_path / "store"))
    check_images(as_images(pictures), Geometry((8, 8)), cache)
    assert not (tmp_path / "store").exists()


def test_load_batches_decodes_in_as_many_threads_as_torch_may_use(
    pictures: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = as_images(pictures)
    together = threading.Barrier(3, timeout=10)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(images, "pixels", lambda row, geometry: torch.full((3, 8, 8), row + 0 * together.wait()))
    ((_, pixels),) = load_batches(images, [[0, 1, 2]], Geometry(size=(8, 8)))
    assert pixels[:, 0, 0, 0].tolist() == [0, 1, 2]
