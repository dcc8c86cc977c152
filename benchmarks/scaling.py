"""What a study takes as images become more: time to plan, and bytes on disk and on the way, up to a million images.

The models learn nothing but how often each label is on, so that all else can be seen. Paths are given that lead
nowhere: no image is read.

    python -m benchmarks.scaling [--rows N]... [--out FILE]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from benchmarks._records import Record, default_output, environment, open_output, write_record
from skdeep.study import Study

N_ROWS = (1_000, 10_000, 100_000, 1_000_000)
N_LABELS, N_FOLDS = 17, 5
_KIB, _MIB = 2**10, 2**20


class Frequencies(ClassifierMixin, BaseEstimator):
    """Predicts how often each label was on, and keeps in a file when it was first asked to learn."""

    def __init__(self, clock: Path) -> None:
        self.clock = clock

    def fit(self, X: Any, y: Any) -> Frequencies:
        if not self.clock.exists():
            self.clock.write_text(str(time.time()), encoding="ascii")
        self.frequencies_ = y.mean(axis=0)
        self.classes_ = np.tile([0, 1], (y.shape[1], 1))
        return self

    def predict_proba(self, X: Any) -> np.ndarray[Any, Any]:
        return np.tile(self.frequencies_, (len(X), 1))

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        return (self.predict_proba(X) > 0.5).astype(int)


def images(n_rows: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Paths, and labels as frequent as those of satellite images."""
    rng = np.random.default_rng(0)
    frequencies = np.geomspace(0.7, 0.003, N_LABELS)
    paths = np.array([f"images/{row:07d}.jpg" for row in range(n_rows)])
    return paths, (rng.random((n_rows, N_LABELS)) < frequencies).astype(np.uint8)


def measure(n_rows: int) -> Record:
    """Run a study of two models on so many images, and weigh what it leaves."""
    with TemporaryDirectory() as scratch:
        folder, clock = Path(scratch) / "study", Path(scratch) / "clock"
        models = {"frequencies": Frequencies(clock), "again": Frequencies(Path(scratch) / "other-clock")}
        started = time.time()
        results = Study(models, {"images": partial(images, n_rows)}, cv=N_FOLDS).run(folder)
        sizes = {
            kind: [path.stat().st_size for path in folder.glob(pattern)]
            for kind, pattern in (("split", "splits/*.npz"), ("answers", "units/*.npz"), ("record", "units/*.json"))
        }
        return {
            "n_rows": n_rows,
            "n_labels": N_LABELS,
            "n_folds": N_FOLDS,
            "n_units": len(results.units),
            "seconds_to_first_unit": float(clock.read_text(encoding="ascii")) - started,
            "peak_mb": results.units["peak_mb"].max(),
            "bytes": {kind: float(np.mean(of)) for kind, of in sizes.items()},
        }


def table(records: Sequence[Record]) -> pd.DataFrame:
    """A line for each number of images."""
    return pd.DataFrame(
        {
            "images": f"{record['n_rows']:,}",
            "plan, s": f"{record['seconds_to_first_unit']:.1f}",
            "split (a fold), MiB": f"{record['bytes']['split'] / _MIB:.2f}",
            "answers (a unit), MiB": f"{record['bytes']['answers'] / _MIB:.2f}",
            "record (a unit), KiB": f"{record['bytes']['record'] / _KIB:.1f}",
            "process at its peak, MiB": f"{record['peak_mb']:.0f}",
        }
        for record in records
    )


def run(numbers: Sequence[int]) -> Iterator[Record]:
    """A record for each number of images."""
    for n_rows in numbers:
        yield {"benchmark": "scaling", **environment(), **measure(n_rows)}


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", action="append", type=int, metavar="N", help="number of images; repeatable")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON lines go; never overwritten")
    arguments = parser.parse_args(argv)
    out = arguments.out or default_output("scaling")
    records = []
    with open_output(out) as file:
        for record in run(arguments.rows or N_ROWS):
            records.append(record)
            write_record(file, record)
    print(table(records).to_string(index=False))
    print(f"Records: {out}")
    return records


if __name__ == "__main__":
    main()
