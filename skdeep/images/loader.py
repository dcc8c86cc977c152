"""Batches of pictures, decoded and resized while the network works on the batch before."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from skdeep.exceptions import ImageError
from skdeep.images.resize import Geometry
from skdeep.images.sources import Images

Batch = tuple[Sequence[int], torch.Tensor]


def load_batches(
    images: Images,
    batches: Iterable[Sequence[int]],
    geometry: Geometry,
    failures: dict[int, str] | None = None,
) -> Generator[Batch]:
    """Load batches of rows, one batch ahead of the caller.

    Parameters
    ----------
    images : Images
    batches : iterable of sequences of int
        Rows of each batch; drawn from in the loading thread, one batch ahead.
    geometry : Geometry
    failures : dict of int to str, default=None
        Where given, rows that cannot be decoded are entered here, with the reason, and left out of their batches;
        otherwise they are errors.

    Yields
    ------
    rows : sequence of int
    pixels : tensor of shape (n_rows, 3, height, width)
        uint8, or float32 from 0 to 1.
    """
    rows = iter(batches)

    def load_next() -> Batch | None:
        batch = next(rows, None)
        if batch is None:
            return None
        loaded: list[int] = []
        pictures: list[torch.Tensor] = []
        for row in batch:
            try:
                pictures.append(geometry(images.pixels(row)))
                loaded.append(row)
            except ImageError as error:
                if failures is None:
                    raise
                failures[row] = str(error)
        return loaded, _stack(pictures)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="skdeep-images") as pool:
        ahead: Future[Batch | None] = pool.submit(load_next)
        while (batch := ahead.result()) is not None:
            ahead = pool.submit(load_next)
            if batch[0]:
                yield batch


def _stack(pictures: list[torch.Tensor]) -> torch.Tensor:
    """Stack pictures; whole numbers and fractions may meet in one batch."""
    if len({picture.dtype for picture in pictures}) > 1:
        pictures = [picture if picture.is_floating_point() else picture / 255 for picture in pictures]
    return torch.stack(pictures) if pictures else torch.empty(0)
