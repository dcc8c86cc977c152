"""Records: how a benchmark writes what it measured, and how tables come out of it."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

Record = dict[str, Any]

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("skdeep", "numpy", "scipy", "scikit-learn", "torch", "torchvision", "skorch", "pillow")

# column of a record's scores -> heading; an arrow says which way is better
LABEL_SCORES = {
    "hamming_loss": "Hamming ↓",
    "f2_samples": "F2 ↑",
    "f2_at_threshold": "F2 at 0.2 ↑",
    "f1_micro": "F1 micro ↑",
    "f1_macro": "F1 macro ↑",
    "f1_samples": "F1 samples ↑",
    "subset_accuracy": "subset acc. ↑",
}
RANKING_SCORES = {
    "ranking_loss": "ranking ↓",
    "one_error": "one-error ↓",
    "coverage": "coverage ↓",
    "average_precision": "avg. precision ↑",
    "map_macro": "mAP ↑",
    "seconds": "seconds",
}


def environment() -> Record:
    """What a figure depends on beside its parameters."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", _module_name(), *sys.argv[1:]]),
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": ", ".join([platform.machine(), f"{os.cpu_count()} cores", *_processor(Path("/proc/cpuinfo"))]),
        "versions": {package: version(package) for package in _PACKAGES},
    }


def default_output(name: str) -> Path:
    """A file in ``benchmarks/results`` that no other run has."""
    return RESULTS / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}.jsonl"


def open_output(path: Path) -> TextIO:
    """Open a file of records for writing; an existing one is never overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.open("x", encoding="utf-8")
    except FileExistsError:
        raise SystemExit(f"{path} is already there: give another --out, or move it away.") from None


def write_record(file: TextIO, record: Record) -> None:
    """Write one record, whole, so that a killed run keeps what it has measured."""
    file.write(json.dumps(record, default=str) + "\n")
    file.flush()


def read_records(path: Path) -> list[Record]:
    """Read a file of records."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def summarise(records: Iterable[Record], columns: dict[str, str]) -> pd.DataFrame:
    """Mean ± deviation over folds: a line for each ``row`` of the records.

    Parameters
    ----------
    records : iterable of records
        With ``row``, ``model``, ``features``, ``weights`` and ``scores``.
    columns : dict of str to str
        Score -> heading.
    """
    names = ["row", "model", "features", "weights"]
    flat = pd.DataFrame([{**{name: record[name] for name in names}, **record["scores"]} for record in records])
    groups = flat.groupby(names)[list(columns)]
    means, deviations = groups.mean(), groups.std()
    table = means.index.to_frame(index=False).drop(columns="row")
    for score, heading in columns.items():
        table[heading] = list(_cells(means[score], deviations[score]))
    return table


def to_markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(means: Iterable[float], deviations: Iterable[float]) -> Iterator[str]:
    for mean, deviation in zip(means, deviations, strict=True):
        spread = "" if pd.isna(deviation) else f" ±{_short(deviation)}"
        yield _short(mean) + spread


def _short(number: float) -> str:
    """Three digits behind the point, and no zero before it: ``.167``."""
    return f"{number:.3f}".removeprefix("0")


def _module_name() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec else "benchmarks"


def _processor(information: Path) -> Iterator[str]:
    """The processor, and what it has to multiply bf16 with, where the system tells."""
    try:
        lines = information.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    told = {name.strip(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    if "model name" in told:
        yield told["model name"]
    flags = told.get("flags", "").split()
    yield from (text for flag, text in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16")) if flag in flags)


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + (" with changes" if changed.stdout.strip() else "")
