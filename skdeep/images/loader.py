"""Batches of pictures, decoded and resized by the cores that the network leaves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import torch

from skdeep.images.resize import Geometry
from skdeep.images.sources import Images

Batch = tuple[Sequence[int], torch.Tensor]


def load_batches(
    images: Images, batches: Iterable[Sequence[int]], geometry: Geometry, *, device: str = "cpu"
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

    Yields
    ------
    rows : sequence of int
    pixels : tensor of shape (n_rows, n_channels, height, width)
        uint8, or float32 from 0 to 1.
    """
    kind = torch.device(device).type
    with ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="skdeep-images") as pool:

        def load(rows: Sequence[int]) -> Batch:
            pixels = _stack(list(pool.map(lambda row: images.pixels(row, geometry), rows)))
            return rows, pixels.pin_memory() if kind == "cuda" else pixels

        loaded = map(load, batches)
        if kind == "cpu":
            yield from loaded
        else:
            with closing(_ahead(loaded)) as batches_ahead:
                yield from batches_ahead


def _ahead(batches: Iterator[Batch]) -> Generator[Batch]:
    """Draw from an iterator in a thread, one item ahead of the caller."""
    draw: Callable[[], Batch | None] = lambda: next(batches, None)  # noqa: E731
    with ThreadPoolExecutor(1, thread_name_prefix="skdeep-ahead") as thread:
        ahead: Future[Batch | None] = thread.submit(draw)
        while (batch := ahead.result()) is not None:
            ahead = thread.submit(draw)
            yield batch


def _stack(pictures: list[torch.Tensor]) -> torch.Tensor:
    """Stack pictures; whole numbers and fractions may meet in one batch."""
    if len({picture.dtype for picture in pictures}) > 1:
        pictures = [picture if picture.is_floating_point() else picture / 255 for picture in pictures]
    # with channels last, as pictures lie in memory and as networks are fastest
    return torch.stack([picture.permute(1, 2, 0) for picture in pictures]).permute(0, 3, 1, 2)
