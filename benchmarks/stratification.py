"""How evenly and how fast label sets are divided into folds, beside other packages.

Every splitter divides the same rows into 10 folds, once for each seed, in a process of its own. Deviations are from
equal shares of the positives, medians over the seeds. One that is not done at the time limit is not tried again.

    python -m benchmarks.stratification [LABELS.csv] [--ng-python PATH] [--few N] [--seeds N] [--limit SECONDS]
                                        [--smoke] [--out FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._records import Record, default_output, environment, open_output, to_markdown, write_record
from benchmarks._stratification_runs import Splitter, run, splitters
from skdeep.datasets import load_planet_labels

Array = np.ndarray[Any, Any]

N_SPLITS = 10
COMMON = 1000  # positives from which a label's deviation is told in per cent
MEASURES = {
    "label_deviation": ("worst label ↓", "{:.1f}"),
    "rare_deviation": ("worst rare label (< 1000) ↓", "{:.1f}"),
    "common_deviation": ("worst common label ↓", "{:.2%}"),
    "pair_deviation": ("mean of pairs ↓", "{:.2f}"),
    "size_spread": ("sizes, largest - smallest ↓", "{:.0f}"),
}


def measures(Y: Array, folds: Array) -> dict[str, float | None]:
    """How uneven folds are; None where no label is rare, or none common.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_labels)
    folds : ndarray of int of shape (n_samples,)

    Returns
    -------
    measures : dict
        Greatest deviation of a label's count in a fold from its share, of all labels and of those below ``COMMON``
        positives; the greatest relative one of the others; the mean deviation of all pairs of labels in all folds; and
        the rows of the largest fold less those of the smallest.
    """
    positives = Y.sum(axis=0, dtype=np.int64)
    farthest = np.abs(_counts(Y, folds) - positives / N_SPLITS).max(axis=0)
    common = positives >= COMMON
    both = np.triu_indices(Y.shape[1], 1)
    pairs = np.array([_together(Y[folds == fold])[both] for fold in range(N_SPLITS)])
    return {
        "label_deviation": float(farthest.max()),
        "rare_deviation": float(farthest[~common].max()) if not common.all() else None,
        "common_deviation": float((farthest / positives * N_SPLITS)[common].max()) if common.any() else None,
        "pair_deviation": float(np.abs(pairs - pairs.mean(axis=0)).mean()),
        "size_spread": int(np.ptp(np.bincount(folds, minlength=N_SPLITS))),
    }


def generated_labels(n_samples: int) -> Array:
    """Thirty labels, from rare to frequent, that five common causes make go together."""
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((n_samples, 5)) @ rng.standard_normal((5, 30))
    return (causes + 0.7 * rng.standard_normal((n_samples, 30)) > rng.uniform(-1, 6, 30)).astype(np.int64)


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run the benchmark."""
    arguments = _parse(argv)
    records = []
    out = arguments.out or default_output("stratification")
    with open_output(out) as file:
        for name, Y in _data(arguments):
            for splitter in splitters(arguments.ng_python):
                found = _run_all(splitter, Y, arguments.seeds, arguments.limit)
                records.append({"benchmark": "stratification", **environment(), "data": name, **found})
                write_record(file, records[-1])
                print(f"{splitter.name}, order {splitter.order}, {name}: {_seconds(records[-1])} s", flush=True)
    print(f"\n{to_markdown(table(records))}\n\nRecords: {out}")
    return records


def table(records: Sequence[Record]) -> pd.DataFrame:
    """A row for each record."""
    return pd.DataFrame(
        [
            {
                "data": record["data"],
                "splitter": record["splitter"],
                "order": record["order"],
                "CPU seconds": _seconds(record),
                **{
                    heading: _shown(record["measures"].get(measure), form)
                    for measure, (heading, form) in MEASURES.items()
                },
            }
            for record in records
        ]
    )


def _run_all(splitter: Splitter, Y: Array, n_seeds: int, limit: float) -> Record:
    """Seconds and measures of each seed, and the medians of the measures; none of them if the limit was reached."""
    record: Record = {
        "splitter": splitter.name,
        "order": splitter.order,
        "n_splits": N_SPLITS,
        "limit": limit,
        "seconds": [],
        "measures": {},
    }
    each = []
    for seed in range(n_seeds):
        done = run(splitter, Y, N_SPLITS, seed, limit)
        if done is None:
            break
        folds, seconds, record["version"] = done
        record["seconds"].append(seconds)
        each.append(measures(Y, folds))
    if each:
        medians = pd.DataFrame(each, dtype=float).median()
        record["measures"] = {name: value for name, value in medians.items() if not pd.isna(value)}
    return record


def _counts(Y: Array, folds: Array) -> Array:
    return np.array([Y[folds == fold].sum(axis=0) for fold in range(N_SPLITS)])


def _together(Y: Array) -> Array:
    """How many rows have both of two labels; in floats, which numpy multiplies faster."""
    return Y.T.astype(float) @ Y


def _data(arguments: argparse.Namespace) -> Iterator[tuple[str, Array]]:
    """All rows, and a few of them for the slow ones."""
    if arguments.labels:
        name, Y = "Planet", load_planet_labels(arguments.labels).target
    else:
        name, Y = "generated", generated_labels(600 if arguments.smoke else 20_000)
    yield f"{name}, {len(Y)} rows, {Y.shape[1]} labels", Y
    if arguments.few < len(Y):
        few = Y[np.sort(np.random.default_rng(0).permutation(len(Y))[: arguments.few])]
        yield f"{name}, {len(few)} rows, {Y.shape[1]} labels", few


def _seconds(record: Record) -> str:
    return f"{np.median(record['seconds']):.3f}" if record["seconds"] else f"> {record['limit']:g}"


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stratification", description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="?", metavar="LABELS.csv", help="label file of Planet (default: generated)")
    parser.add_argument("--ng-python", metavar="PATH", help="python of an environment that has scikit-multilearn-ng")
    parser.add_argument("--few", type=int, metavar="N", help="rows of the second, smaller run (default: 4000)")
    parser.add_argument("--seeds", type=int, metavar="N", help="how many times each splitter works (default: 5)")
    parser.add_argument("--limit", type=float, default=600, metavar="SECONDS", help="of one run (default: 600)")
    parser.add_argument("--smoke", action="store_true", help="a run of seconds that only shows that all parts work")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON lines go; never overwritten")
    arguments = parser.parse_args(argv)
    arguments.few = arguments.few or 4000
    arguments.seeds = arguments.seeds or (1 if arguments.smoke else 5)
    return arguments


if __name__ == "__main__":
    main()
