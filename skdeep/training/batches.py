"""Rows with their targets and weights, in batches whose order a seed decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skdeep.training.inputs import Arguments, Rows

Answers = tuple[torch.Tensor, torch.Tensor]  # targets and weights
Batch = tuple[Arguments, Answers]
Change = Callable[[Batch, torch.Generator], Batch]


@dataclass(frozen=True)
class Lesson:
    """Rows, and what is to be learnt of them.

    Attributes
    ----------
    rows : Rows
    targets : ndarray
        Class positions of shape (n_rows,) for cross-entropy, else an indicator of shape (n_rows, n_outputs).
    weights : ndarray of float of shape (n_rows,)
        Those who make batches leave out rows of weight 0, and scale the others to a mean of 1.
    """

    rows: Rows
    targets: NDArray[Any]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)


class Batches:
    """One pass over a lesson, its batches taken whole rather than row by row.

    Rows of weight 0 are left out, for they would shape the statistics of batch normalisation; but not where fewer than
    2 others are left. When shuffled, a last batch of a single row is left out, for batch normalisation cannot learn
    from one row; the next epoch's order brings the row back.

    Parameters
    ----------
    lesson : Lesson
    batch_size : int
    seed : int or None
        Of the order, and of what ``change`` draws; None keeps the order of rows.
    change : callable or None
        What is done to each batch, given a generator that ``seed`` decides.
    """

    def __init__(self, lesson: Lesson, batch_size: int, seed: int | None = None, change: Change | None = None) -> None:
        self._lesson = lesson
        self._batch_size = batch_size
        self._seed = seed
        self._change = change
        dtype = torch.int64 if lesson.targets.ndim == 1 else torch.float32
        self._targets = torch.as_tensor(lesson.targets, dtype=dtype)
        weighing = np.flatnonzero(lesson.weights)
        self._rows = weighing if len(weighing) > 1 else np.arange(len(lesson))
        mean = lesson.weights[self._rows].mean()
        self._weights = torch.as_tensor(lesson.weights / mean, dtype=torch.float32)

    def __len__(self) -> int:
        return n_batches(len(self._rows), self._batch_size, shuffled=self._seed is not None)

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(self._seed or 0)
        rows = self._order(generator)
        for some, arguments in zip(rows, self._lesson.rows.take(iter(rows)), strict=True):
            batch = arguments, (self._targets[some], self._weights[some])
            yield self._change(batch, generator) if self._change else batch

    def _order(self, generator: torch.Generator) -> list[list[int]]:
        n_rows, size = len(self._rows), self._batch_size
        places = np.arange(n_rows) if self._seed is None else torch.randperm(n_rows, generator=generator).numpy()
        order = self._rows[places].tolist()
        return [order[start * size : (start + 1) * size] for start in range(len(self))]


def n_batches(n_rows: int, batch_size: int, *, shuffled: bool = True) -> int:
    """Batches in one pass; a single row that is left over makes none when shuffled."""
    n_whole, n_left = divmod(n_rows, batch_size)
    return n_whole + (n_left > (1 if shuffled and n_whole else 0))
