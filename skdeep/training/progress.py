"""What a user sees while a net learns: nothing, a bar, or a line for each epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from skdeep.training.course import Record, Report


@contextmanager
def report(verbose: int, n_epochs: int) -> Iterator[Report]:
    """Whoever tells of epochs.

    Parameters
    ----------
    verbose : int
        0 is silent, 1 shows a bar, and more prints a line for each epoch.
    n_epochs : int
        That training takes unless it ends early.
    """
    if verbose <= 0:
        yield lambda record: None
    elif verbose > 1:
        yield lambda record: Console().print(describe(record), highlight=False)
    else:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(TextColumn("{task.description}"), *columns, console=Console()) as progress:
            task = progress.add_task("training", total=n_epochs)
            yield lambda record: progress.update(task, advance=1, description=describe(record))


def describe(record: Record) -> str:
    """An epoch in one line.

    Examples
    --------
    >>> describe({"epoch": 3, "phase": 1, "image_size": 64, "train_loss": 0.25, "valid_loss": 0.5, "seconds": 2.0})
    'epoch 3, phase 1 at 64 px, 2.0 s: train_loss 0.2500, valid_loss 0.5000'
    """
    size = "" if _is_missing(record["image_size"]) else f" at {record['image_size']} px"
    told = [name for name in ("train_loss", "valid_loss", "score") if not _is_missing(record.get(name))]
    numbers = ", ".join(f"{name} {record[name]:.4f}" for name in told)
    return f"epoch {record['epoch']}, phase {record['phase']}{size}, {record['seconds']:.1f} s: {numbers}"


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
