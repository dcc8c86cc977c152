"""Times of two sides in interleaved pairs, and how closely their results agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from benchmarks._records import Record

Timed = Callable[[], float]  # does the work once and gives its seconds

LEAST_PAIRS = 6  # of fewer values not even the range holds the median in 95 of 100 cases

_RTOL = 1e-4  # the same arithmetic in another order
_LOOSE = 0.05  # of a whole matrix: bf16, or another library's way of resizing


def timed(work: Callable[[], object]) -> Timed:
    """Work that tells its seconds."""

    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def interleaved_pairs(
    first: Timed, second: Timed, n_pairs: int, *, n_images: int | None = None, warm_up: bool = True
) -> Record:
    """Time two pieces of work in turn: the median ratio of their seconds and its interval of 95 %.

    Parameters
    ----------
    first, second : callable
        Does its side's work once and gives its seconds.
    n_pairs : int
    n_images : int, optional
        What each side's work consists of: the record then says images per second too.
    warm_up : bool, default=True
        Whether each side runs once before it counts.
    """
    if warm_up:
        first(), second()
    seconds = np.array([(first(), second()) for _ in range(n_pairs)])
    ratio, interval = median_interval(seconds[:, 0] / seconds[:, 1])
    medians = np.median(seconds, axis=0)
    record: Record = {
        "n_pairs": n_pairs,
        "ratio": ratio,
        "ratio_interval": interval,
        "first_seconds": float(medians[0]),
        "second_seconds": float(medians[1]),
    }
    if n_images is not None:
        record |= {"n_images": n_images, "images_per_second": (n_images / medians).tolist()}
    return record


def median_interval(values: Sequence[float] | np.ndarray[Any, Any]) -> tuple[float, list[float]]:
    """Median, and its interval of 95 % whatever the distribution.

    The interval lies between two order statistics; below ``LEAST_PAIRS`` values it is the whole range, and holds less.
    """
    values = np.sort(values)
    low = int(max(binom.ppf(0.025, len(values), 0.5) - 1, 0))
    return float(np.median(values)), [float(values[low]), float(values[len(values) - 1 - low])]


def relative_error(first: ArrayLike, second: ArrayLike) -> float:
    """Norm of the difference of two matrices over the norm of the second."""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return float(np.linalg.norm(first - second) / np.linalg.norm(second))


def check_agreement(first: ArrayLike, second: ArrayLike, *, close: bool) -> float:
    """Stop the benchmark if two sides do not compute the same; else give their relative error.

    Parameters
    ----------
    first, second : arrays of equal shape
    close : bool
        Whether each number must agree to 1e-4 (of itself and of the mean size of the numbers), which float32 gives on
        the same tensors. Otherwise the whole matrices must agree to 0.05.

    Raises
    ------
    RuntimeError
        If they do not.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise RuntimeError(f"The two sides give results of shapes {first.shape} and {second.shape}.")
    error = relative_error(first, second)
    agree = np.allclose(first, second, rtol=_RTOL, atol=_RTOL * np.abs(second).mean()) if close else error < _LOOSE
    if not agree:
        raise RuntimeError(f"The two sides do not compute the same: their relative error is {error:.2g}.")
    return error
