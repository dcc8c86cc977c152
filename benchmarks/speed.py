"""How fast the library is, beside its floor or a rival: both in one run, in interleaved pairs.

    python -m benchmarks.speed PART [--help]

``benchmarks/README.md`` says what each part compares, and what its figures mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from benchmarks import (
    _extraction,
    _fastai,
    _grid,
    _lookup,
    _mlknn,
    _precision,
    _rates,
    _rivals,
    _study_cost,
    _thresholds,
    _training,
    _transformations,
)
from benchmarks._records import Record, default_output, environment, open_output, write_record


class Part(Protocol):
    """What a part's module offers."""

    __doc__: str | None

    def add_options(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> Iterator[Record]: ...


PARTS: dict[str, Part] = {
    "mlknn": _mlknn,
    "transformations": _transformations,
    "thresholds": _thresholds,
    "extraction": _extraction,
    "precision": _precision,
    "rivals": _rivals,
    "grid": _grid,
    "lookup": _lookup,
    "batch-size": _rates,
    "training": _training,
    "fastai": _fastai,
    "study": _study_cost,
}


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run one part of the benchmark."""
    arguments = _parse(argv)
    written = []
    out = arguments.out or default_output(f"speed-{arguments.part}")
    with open_output(out) as file:
        for record in PARTS[arguments.part].run(arguments):
            written.append({"benchmark": "speed", **environment(), "threads": torch.get_num_threads(), **record})
            write_record(file, written[-1])
            print(told(record))
    print(f"Records: {out}")
    return written


def told(record: Record) -> str:
    """A record in one line."""
    title = f"{record['what']} ({record['data']})"
    if "ratio" not in record:
        return f"{title}: " + ", ".join(f"{key} {_short(record[key])}" for key in record if key not in {"what", "data"})
    low, high = record["ratio_interval"]
    line = (
        f"{title}: {record['ratio']:.2f} [{low:.2f}, {high:.2f}], "
        f"medians {record['first_seconds']:.4f} s / {record['second_seconds']:.4f} s"
    )
    details = ("images_per_second", "relative_error", "images_through_network", "largest_score_difference", "scores")
    return ", ".join([line, *(f"{key} {_short(record[key])}" for key in details if key in record)])


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=(__doc__ or "").splitlines()[0])
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--out", type=Path, metavar="FILE", help="where the JSON lines go; never overwritten")
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, part in PARTS.items():
        sentence = (part.__doc__ or "").splitlines()[0]
        part.add_options(parts.add_parser(name, parents=[shared], help=sentence, description=sentence))
    return parser.parse_args(argv)


def _short(value: Any) -> str:
    """Three digits of every number, however deep it lies."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_short(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_short, value)) + "]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
