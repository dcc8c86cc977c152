"""Batches: which rows they hold, in which order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from skdeep.training import Lesson, TableRows
from skdeep.training.batches import Batch, Batches


def numbered(n_rows: int) -> Lesson:
    """Rows whose number is their only column, their target, and twice their weight before scaling."""
    return Lesson(TableRows(np.arange(n_rows)[:, None]), np.arange(n_rows), np.arange(1, n_rows + 1) / 2)


@pytest.mark.parametrize("n_rows", [1, 2, 5, 8, 9, 10])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 20])
@pytest.mark.parametrize("seed", [None, 0])
def test_batches_hold_each_row_once_but_a_single_one_left_over(n_rows: int, batch_size: int, seed: Any) -> None:
    lesson = numbered(n_rows)
    batches = Batches(lesson, batch_size, seed)
    taken = list(batches)
    assert len(taken) == len(batches)
    assert max(len(weights) for _, (_, weights) in taken) <= batch_size
    n_left_out = int(seed is not None and n_rows > batch_size > 1 and n_rows % batch_size == 1)
    rows = [int(row) for arguments, _ in taken for row in arguments["table"][:, 0]]
    assert len(set(rows)) == len(rows) == n_rows - n_left_out
    assert seed is not None or rows == list(range(n_rows))
    scaled = lesson.weights / lesson.weights.mean()
    for arguments, (targets, weights) in taken:
        assert arguments["table"][:, 0].tolist() == targets.tolist()
        np.testing.assert_allclose(weights, scaled[targets], rtol=1e-6)


def test_a_seed_decides_the_order() -> None:
    first, second, other = ([targets.tolist() for _, (targets, _) in Batches(numbered(50), 10, s)] for s in (0, 0, 1))
    assert first == second
    assert first != other


def test_targets_are_classes_or_an_indicator() -> None:
    rows = TableRows(np.zeros((4, 1)))
    for targets, dtype in ((np.arange(4), torch.int64), (np.eye(4), torch.float32)):
        ((_, (taken, _)),) = Batches(Lesson(rows, targets, np.ones(4)), 4)
        assert taken.dtype == dtype


def test_a_change_is_made_to_each_batch_by_the_seed() -> None:
    def noise(batch: Batch, generator: torch.Generator) -> Batch:
        arguments, answers = batch
        return {"table": torch.rand(arguments["table"].shape, generator=generator)}, answers

    def tables(seed: int) -> torch.Tensor:
        return torch.cat([arguments["table"] for arguments, _ in Batches(numbered(6), 2, seed, noise)])

    assert torch.equal(tables(0), tables(0))
    assert not torch.equal(tables(0), tables(1))
    assert len(tables(0).unique()) == 6
