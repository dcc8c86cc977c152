"""What a user sees of a running study: one live view, or in a log a line from time to time."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from skdeep.study._folder import Record
from skdeep.study._units import Unit

_LOG_SECONDS = 30.0  # between two lines in a log


class Told(Protocol):
    """Whoever is told of each record as it comes."""

    def __call__(self, record: Record) -> None: ...


class Progress:
    """How far a study has come, and how long the rest will take.

    Parameters
    ----------
    units : sequence of Unit
        All of the study.
    n_workers : int
        Processes that work at once.
    """

    def __init__(self, units: Sequence[Unit], n_workers: int) -> None:
        self.n_units = len(units)
        self.n_found = 0
        self.n_done = 0
        self.n_failed = 0
        self.last = ""
        self._n_workers = n_workers
        self._seconds: defaultdict[tuple[str, str, float], list[float]] = defaultdict(list)
        self._left = Counter((unit.dataset, unit.model, unit.train_size) for unit in units)

    def find(self, record: Record) -> None:
        """Take note of a record that an earlier run has left."""
        self.n_found += 1
        self._count(record)

    def tell(self, record: Record) -> None:
        """Take note of a record that this run has made."""
        self.last = f"{record['dataset']}, {record['model']}, repeat {record['repeat']}, fold {record['fold']}"
        self._count(record)

    @property
    def n_left(self) -> int:
        """Units that have no record yet."""
        return self.n_units - self.n_done

    @property
    def n_running(self) -> int:
        """Units that processes are at now."""
        return min(self._n_workers, self.n_left)

    def seconds_left(self) -> float | None:
        """An estimate from the units of the same model that are done; None as long as none is."""
        known = [second for seconds in self._seconds.values() for second in seconds]
        if not known:
            return None
        mean = sum(known) / len(known)
        total = 0.0
        for kind, n_left in self._left.items():
            own = self._seconds.get(kind)
            total += n_left * (sum(own) / len(own) if own else mean)
        return total / self._n_workers

    def line(self) -> str:
        """All of it in one line."""
        left = self.seconds_left()
        rest = "" if left is None or not self.n_left else f", about {_clock(left)} left"
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        return f"{self.n_done} of {self.n_units} units{failed}, {self.n_running} running, {self.n_left} to go{rest}"

    def _count(self, record: Record) -> None:
        self.n_done += 1
        self.n_failed += record["status"] == "failed"
        kind = _kind(record)
        self._left[kind] -= 1
        if record["status"] == "done":
            self._seconds[kind].append(record["fit_seconds"] + record["predict_seconds"])


@contextmanager
def told(progress: Progress, verbose: int) -> Iterator[Told]:
    """Show how far a study has come; whoever runs it calls what this gives with each record.

    Parameters
    ----------
    progress : Progress
    verbose : int
        0 is silent. Otherwise a terminal or a notebook has a live view, and a log a line each half minute.
    """
    console = Console()
    if verbose <= 0:
        yield progress.tell
    elif console.is_terminal or console.is_jupyter:
        with Live(_View(progress), console=console, refresh_per_second=2):
            yield progress.tell
    else:
        yield from _log(progress, console)


def _log(progress: Progress, console: Console) -> Iterator[Told]:
    written = time.monotonic()

    def tell(record: Record) -> None:
        nonlocal written
        progress.tell(record)
        if record["status"] == "failed":
            console.print(f"failed: {progress.last}: {_reason(record)}", highlight=False, markup=False, soft_wrap=True)
        if time.monotonic() - written >= _LOG_SECONDS and progress.n_left:
            written = time.monotonic()
            console.print(progress.line(), highlight=False, soft_wrap=True)

    found = f" ({progress.n_found} found in the folder)" if progress.n_found else ""
    console.print(progress.line() + found, highlight=False, soft_wrap=True)
    yield tell
    console.print(progress.line(), highlight=False, soft_wrap=True)


class _View:
    """What the live view shows now."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._started = time.monotonic()

    def __rich__(self) -> Group:
        progress = self._progress
        table = Table.grid(padding=(0, 2))
        left = progress.seconds_left()
        table.add_row(
            ProgressBar(total=progress.n_units, completed=progress.n_done, width=30),
            f"{progress.n_done}/{progress.n_units} units",
            f"{progress.n_running} running",
            f"{progress.n_left} to go",
            _clock(time.monotonic() - self._started),
            "" if left is None else f"about {_clock(left)} left",
            Text(f"{progress.n_failed} failed", style="bold red" if progress.n_failed else "dim"),
        )
        return Group(table, Text(progress.last, style="dim"))


def _kind(identity: Record) -> tuple[str, str, float]:
    return identity["dataset"], identity["model"], identity["train_size"]


def _reason(record: Record) -> str:
    message = str(record["failure"]["message"]).strip() or "no message"
    return f"{record['failure']['type']}: {message.splitlines()[0][:200]}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
