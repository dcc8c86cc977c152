"""Batches of pictures, decoded and resized by the cores that the network leaves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skdeep.exceptions import ImageError
from skdeep.images.digests import FileDigests
from skdeep.images.pictures import PictureCache, picture_keys
from skdeep.images.resize import Geometry
from skdeep.images.sources import FileImages, Images

Batch = tuple[Sequence[int], torch.Tensor]
Picture = NDArray[Any]  # of shape (height, width, n_channels), as pictures lie in memory and as networks are fastest


def load_batches(
    images: Images,
    batches: Iterable[Sequence[int]],
    geometry: Geometry,
    *,
    device: str = "cpu",
    failures: dict[int, str] | None = None,
    cache: PictureCache | None = None,
) -> Generator[Batch]:
    """Load batches of rows, each picture in a thread of its own, as many at once as torch may use.

    That number is a joblib worker's share of the cores within one, and no process is ever started. Beside an
    accelerator the next batch is loaded while the network works on this one. On a CPU there is nothing to gain by
    that: the network keeps all cores busy, and is slowed down by more than it would save.

    Parameters
    ----------
    images : Images
    batches : iterable of sequences of int
        Rows of each batch. Beside an accelerator it is drawn from in the loading thread, one batch ahead.
    geometry : Geometry
    device : str, default="cpu"
        Where the network computes; the pictures stay on the CPU, for CUDA in pinned memory.
    failures : dict of int to str, default=None
        Where given, rows that cannot be loaded are entered here, with the reason, and left out of their batches;
        otherwise they are errors.
    cache : PictureCache, default=None
        Where pictures of files are found that were loaded before, and others put.

    Yields
    ------
    rows : sequence of int
    pixels : tensor of shape (n_rows, n_channels, height, width)
        uint8, or float32 from 0 to 1; the channels lie side by side in memory.
    """
    kind = torch.device(device).type
    with ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="skdeep-images") as pool:
        pictures = _Pictures(images, geometry, pool, failures, cache)

        def load(rows: Sequence[int]) -> Batch:
            found = pictures.load(rows)
            whole = [row for row in rows if row in found]
            pixels = _stack([found[row] for row in whole])
            return whole, pixels.pin_memory() if kind == "cuda" else pixels

        loaded = (batch for batch in map(load, batches) if batch[0])
        if kind == "cpu":
            yield from loaded
        else:
            with closing(_ahead(loaded)) as loaded_ahead:
                yield from loaded_ahead


def check_images(
    images: Images,
    geometry: Geometry,
    cache: PictureCache | None = None,
    remembered: FileDigests | None = None,
) -> None:
    """Raise ``ImageError`` if some images visibly hold no whole picture, before any is loaded.

    Parameters
    ----------
    images : Images
    geometry : Geometry
    cache : PictureCache, default=None
        As for ``load_batches``. Files whose pictures are there were whole, and are not read again.
    remembered : FileDigests, default=None
        As for ``Images.digests``.
    """
    rows: Sequence[int] = range(len(images))
    if cache is not None and isinstance(images, FileImages):
        keys = picture_keys(images.digests(remembered), geometry)
        kept = cache.cache.holds(keys)
        rows = [row for row in rows if keys[row] not in kept]
    images.check(rows)


class _Pictures:
    """The pictures of a column of images at one size, from the cache or else from the images."""

    def __init__(
        self,
        images: Images,
        geometry: Geometry,
        pool: Executor,
        failures: dict[int, str] | None,
        cache: PictureCache | None,
    ) -> None:
        self._images = images
        self._geometry = geometry
        self._pool = pool
        self._failures = failures
        # arrays are in memory already
        self._cache = cache if isinstance(images, FileImages) else None
        self._keys = picture_keys(images.digests(), geometry) if self._cache else []

    def load(self, rows: Sequence[int]) -> dict[int, Picture]:
        """The pictures of some rows, without those that failed."""
        if self._cache is None:
            return self._decode(rows)
        kept = self._cache.read({self._keys[row] for row in rows})
        fresh = self._decode([row for row in rows if self._keys[row] not in kept])
        self._cache.write({self._keys[row]: picture for row, picture in fresh.items()})
        return fresh | {row: kept[self._keys[row]] for row in rows if self._keys[row] in kept}

    def _decode(self, rows: Sequence[int]) -> dict[int, Picture]:
        decoded = zip(rows, self._pool.map(self._decode_one, rows), strict=True)
        return {row: picture for row, picture in decoded if picture is not None}

    def _decode_one(self, row: int) -> Picture | None:
        try:
            return self._images.pixels(row, self._geometry).permute(1, 2, 0).numpy()
        except ImageError as error:
            if self._failures is None:
                raise
            self._failures[row] = str(error)
            return None


def _ahead(batches: Iterator[Batch]) -> Generator[Batch]:
    """Draw from an iterator in a thread, one item ahead of the caller."""
    draw: Callable[[], Batch | None] = lambda: next(batches, None)  # noqa: E731
    with ThreadPoolExecutor(1, thread_name_prefix="skdeep-ahead") as thread:
        ahead: Future[Batch | None] = thread.submit(draw)
        while (batch := ahead.result()) is not None:
            ahead = thread.submit(draw)
            yield batch


def _stack(pictures: list[Picture]) -> torch.Tensor:
    """Stack pictures; whole numbers and fractions may meet in one batch."""
    if not pictures:
        return torch.empty(0)
    if len({picture.dtype for picture in pictures}) > 1:
        pictures = [picture / np.float32(255) if picture.dtype == np.uint8 else picture for picture in pictures]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
