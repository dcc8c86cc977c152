"""Batches are loaded one ahead, in order, and leave nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from skdeep.exceptions import ImageError
from skdeep.images import Geometry, as_images, load_batches

Array = NDArray[Any]


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


def test_load_batches_is_one_batch_ahead_and_no_more(pictures: Array) -> None:
    asked: list[int] = []
    second_asked = threading.Event()

    def batches() -> Iterator[list[int]]:
        for row in range(6):
            asked.append(row)
            if row == 1:
                second_asked.set()
            yield [row]

    loader = load_batches(as_images(pictures), batches(), Geometry(size=(8, 8)))
    next(loader)
    assert second_asked.wait(timeout=10)
    time.sleep(0.05)
    assert asked == [0, 1]
    assert len(list(loader)) == 5


@pytest.mark.parametrize("culprit", ["picture", "batches"])
def test_load_batches_passes_on_what_went_wrong(culprit: str, tmp_path: Path, paths: list[str]) -> None:
    (tmp_path / "text.png").write_text("not a picture")

    def batches() -> Iterator[list[int]]:
        yield [0]
        if culprit == "batches":
            raise RuntimeError("no more claims")
        yield [6]

    loader = load_batches(as_images([*paths, tmp_path / "text.png"]), batches(), Geometry(size=(8, 8)))
    assert next(loader)[0] == [0]
    error, message = (ImageError, "text.png") if culprit == "picture" else (RuntimeError, "no more claims")
    with pytest.raises(error, match=message):
        next(loader)


def test_load_batches_ends_its_thread_when_abandoned(pictures: Array) -> None:
    loader = load_batches(as_images(pictures), ([row % 6] for row in range(10**9)), Geometry(size=(8, 8)))
    next(loader)
    start = time.monotonic()
    loader.close()
    assert time.monotonic() - start < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skdeep-images")]
