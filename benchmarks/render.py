"""Render the tables of README.md, benchmarks/README.md and docs/ from the records in ``benchmarks/results``.

    python -m benchmarks.render [--check]

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; ``NAME`` is one of ``TABLES``. With ``--check``
nothing is written, and the exit status says whether the files are up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._records import LABEL_SCORES, RANKING_SCORES, RESULTS, Record, read_records, summarise, to_markdown
from benchmarks._timing import LEAST_PAIRS
from benchmarks.finetuning import table as ladder_table
from benchmarks.generated import table as generated_table
from benchmarks.scaling import table as scaling_table
from benchmarks.scikit_multilearn import table as multilearn_table
from benchmarks.stratification import table as stratification_table
from skdeep.study import corrected_resampled_ttest

_ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    _ROOT / "README.md",
    _ROOT / "benchmarks" / "README.md",
    _ROOT / "docs" / "clusters.md",
    _ROOT / "docs" / "scikit-multilearn.md",
)
NOT_YET = "Not measured yet.\n"
_TABLE = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def comparison(file: str, *scores: str, data: str = "", models: Sequence[str] | None = None) -> str:
    """The table of a comparison, the chosen scores and models only, and the commands that made it.

    Of several data sets in a file, the one whose name begins so; of repeated folds, the first. Features and weights are
    left out where all models have the same.
    """
    records = [
        record
        for record in _recorded(file)
        if record["data"].startswith(data)
        and not record.get("repeat")
        and (models is None or record["model"] in models)
    ]
    if not records:
        return NOT_YET
    headings = {**LABEL_SCORES, **RANKING_SCORES}
    table = summarise(records, {score: headings[score] for score in scores})
    table = table.drop(columns=[name for name in ("features", "weights") if len(set(table[name])) == 1])
    origins = "\n".join(dict.fromkeys(_origin(record) for record in records))
    return f"{to_markdown(table)}\n\n{records[0]['data']}. {origins}\n"


def differences(file: str, data: str, other: str, *scores: str) -> str:
    """How much better each model is than another over the same folds, and the interval of that."""
    records = [record for record in _recorded(file) if record["data"].startswith(data)]
    if not records:
        return NOT_YET
    headings = {**LABEL_SCORES, **RANKING_SCORES}
    frame = pd.DataFrame(
        {**{name: record[name] for name in ("row", "model", "repeat", "fold")}, **record["scores"]}
        for record in records
    )
    tables = {score: frame.pivot_table(index=["repeat", "fold"], columns="model", values=score) for score in scores}
    ratio = 1 / (frame["fold"].nunique() - 1)
    rows = [
        {
            "model": model,
            **{
                headings[score]: _difference((table[model] - table[other]).to_numpy(), ratio)
                for score, table in tables.items()
            },
        }
        for model in frame.sort_values("row")["model"].unique()
        if model != other
    ]
    return _with_origins(rows, records)


def _difference(values: np.ndarray[Any, Any], ratio: float) -> str:
    found = corrected_resampled_ttest(values, ratio)
    return f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def speed(*files: str, what: Sequence[str] = ("",)) -> str:
    """The ratios of the speed benchmark's parts, of those comparisons whose names begin so."""
    records = [record for record in _recorded(*files) if "ratio" in record and record["what"].startswith(tuple(what))]
    rows = [
        {
            "what": record["what"],
            "data": record["data"],
            "ratio [95 % interval]": _ratio(record),
            "seconds": "{first_seconds:.3f} / {second_seconds:.3f}".format(**record),
        }
        for record in records
    ]
    return _with_origins(rows, records)


def lookup(file: str) -> str:
    """The table of the look-up of stored rows."""
    records = _recorded(file)
    rows = [
        {
            "data": record["data"],
            **{
                f"{name}, s [interval]": "{:.3f} [{:.3f}, {:.3f}]".format(
                    record[f"{name}_seconds"], *record[f"{name}_interval"]
                )
                for name in ("fit", "cold", "warm")
            },
            "processes": record["n_processes"],
        }
        for record in records
    ]
    return _with_origins(rows, records)


def precision(file: str) -> str:
    """The table of the scores that follow features in float32 and in bf16."""
    records = [record for record in _recorded(file) if "differences" in record]
    rows = [
        {
            "data": record["data"],
            "weights": record["weights"],
            **{
                f"{heading}: float32, bf16 (difference)": "{:.4f}, {:.4f} ({:+.4f})".format(
                    *(record["scores"][name][score] for name in ("float32", "bf16")), record["differences"][score]
                )
                for score, heading in (("f2_at_threshold", "F2 at 0.2"), ("map_macro", "mAP"))
            },
        }
        for record in records
    ]
    return _with_origins(rows, records)


def finetuning(*files: str, tuned: bool = True) -> str:
    """The ladder from base rates to fine-tuning, with tuned thresholds or without."""
    records = _recorded(*files)
    if not records:
        return NOT_YET
    table = ladder_table(records)
    if not tuned:
        table = table[~table["model"].str.contains("tuned threshold")]
    labels = f"mAP over {', '.join(records[0]['labels'])}."
    origins = "\n".join(dict.fromkeys(_origin(record) for record in records))
    return f"{to_markdown(table)}\n\n{records[0]['data']}, {records[0]['n_folds']} folds. {labels}\n\n{origins}\n"


def thresholds(file: str) -> str:
    """The exact threshold search against grids, with the score that each reaches."""
    records = [record for record in _recorded(file) if "ratio" in record]
    rows = [
        {
            "what": record["what"],
            "data": record["data"],
            "ratio [95 % interval]": _ratio(record),
            "seconds": "{first_seconds:.3f} / {second_seconds:.3f}".format(**record),
            "F2": "{grid:.5f} / {exact:.5f}".format(**record["scores"]),
        }
        for record in records
    ]
    return _with_origins(rows, records)


def as_is(table: Callable[[list[Record]], pd.DataFrame], file: str) -> str:
    """The table that a benchmark makes of its own records."""
    records = _recorded(file)
    return f"{to_markdown(table(records))}\n\n{_origin(records[0])}\n" if records else NOT_YET


_IMAGES = ("f2_at_threshold", "f1_macro", "hamming_loss", "average_precision", "map_macro", "seconds")
_YEAST = ("hamming_loss", "ranking_loss", "one_error", "coverage", "average_precision", "subset_accuracy")
# what the first page shows of longer tables
_YEAST_MODELS = (
    "label frequencies",
    "BR, logistic regression",
    "ECC, logistic regression",
    "RAkEL, logistic regression",
    "ML-kNN, k=10",
    "IBLR-ML, k=10",
    "BR, calibrated RBF SVM",
    "MLP 512-512, BCE",
    "vote of SVM and MLP on kernels of parts",
)
_LADDER = ("finetuning.jsonl", "finetuning-fastai.jsonl")
_MIXED = ("finetuning-mixed-fastai.jsonl", "finetuning-mixed-pair.jsonl", "finetuning-defaults.jsonl")
_RIVALS = (
    "scikit-multilearn-ng",
    "embetter",
    "DataLoader",
    "5-fold grid of 12, cache=False",
    "5-fold grid of 12, joblib.Memory",
    "fastai / CNNClassifier, an epoch of all six phases",
)
TABLES: dict[str, Callable[[], str]] = {
    "planet": lambda: comparison("planet.jsonl", *_IMAGES),
    "scenes": lambda: comparison("scenes.jsonl", *_IMAGES),
    "yeast-in-short": lambda: comparison("yeast.jsonl", *_YEAST, data="yeast, 10-fold", models=_YEAST_MODELS),
    "yeast": lambda: comparison("yeast.jsonl", *_YEAST, data="yeast, official split"),
    "yeast-10-fold": lambda: comparison("yeast.jsonl", *_YEAST, data="yeast, 10-fold"),
    "yeast-repeats": lambda: differences(
        "yeast-repeats.jsonl",
        "yeast, 10-fold",
        "BR, calibrated RBF SVM",
        "hamming_loss",
        "ranking_loss",
        "average_precision",
    ),
    "scikit-multilearn": lambda: as_is(multilearn_table, "scikit-multilearn.jsonl"),
    "generated": lambda: as_is(generated_table, "generated.jsonl"),
    "scaling": lambda: as_is(scaling_table, "scaling.jsonl"),
    "study": lambda: speed("speed-study.jsonl"),
    "stratification": lambda: as_is(stratification_table, "stratification.jsonl"),
    "mlknn": lambda: speed("speed-mlknn.jsonl"),
    "transformations": lambda: speed("speed-transformations.jsonl"),
    "thresholds": lambda: thresholds("speed-thresholds.jsonl"),
    "extraction": lambda: speed("speed-extraction.jsonl"),
    "precision": lambda: speed("speed-precision.jsonl"),
    "precision-avx512": lambda: speed("speed-precision-avx512.jsonl"),
    "precision-scores": lambda: precision("speed-precision.jsonl"),
    "rivals": lambda: speed("speed-rivals.jsonl"),
    "grid": lambda: speed("speed-grid.jsonl"),
    "lookup": lambda: lookup("speed-lookup.jsonl"),
    "training": lambda: speed("speed-training.jsonl"),
    "fastai": lambda: speed("speed-fastai.jsonl"),
    "finetuning": lambda: finetuning(*_LADDER),
    "finetuning-in-short": lambda: finetuning(*_LADDER, tuned=False),
    "finetuning-mixed": lambda: finetuning(*_MIXED),
    "finetuning-mixed-in-short": lambda: finetuning(*_MIXED, tuned=False),
    "speed-in-short": lambda: speed(
        "speed-mlknn.jsonl",
        "speed-transformations.jsonl",
        "speed-rivals.jsonl",
        "speed-grid.jsonl",
        "speed-fastai.jsonl",
        what=_RIVALS,
    ),
}


def render(text: str) -> str:
    """Replace every table in a text by what the records say today."""
    return _TABLE.sub(lambda found: f"{found[1]}{TABLES[found['name']]()}{found[3]}", text)


def main(argv: Sequence[str] | None = None) -> int:
    """Render the tables, or check them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a document is out of date")
    arguments = parser.parse_args(argv)
    texts = {document: document.read_text(encoding="utf-8") for document in DOCUMENTS}
    stale = {document: rendered for document, text in texts.items() if (rendered := render(text)) != text}
    for document, rendered in stale.items():
        if arguments.check:
            print(f"{document} is out of date: run python -m benchmarks.render")
        else:
            document.write_text(rendered, encoding="utf-8")
    return int(arguments.check and bool(stale))


def _recorded(*files: str) -> list[Record]:
    """The records of those files that are there."""
    return [record for file in files if (RESULTS / file).exists() for record in read_records(RESULTS / file)]


def _with_origins(rows: list[dict[str, str]], records: list[Record]) -> str:
    """A table, and below it the commands that made it."""
    if not rows:
        return NOT_YET
    origins = dict.fromkeys(_origin(record) for record in records)
    return f"{to_markdown(pd.DataFrame(rows))}\n\n" + "\n".join(origins) + "\n"


def _ratio(record: Record) -> str:
    cell = "{:.2f} [{:.2f}, {:.2f}]".format(record["ratio"], *record["ratio_interval"])
    few = record["n_pairs"] < LEAST_PAIRS
    return f"{cell} (range of {record['n_pairs']} pairs)" if few else cell


def _origin(record: Record) -> str:
    return f"`{record['command']}` ({record['machine']}, commit {record['commit']}, {record['time'][:10]})"


if __name__ == "__main__":
    sys.exit(main())
