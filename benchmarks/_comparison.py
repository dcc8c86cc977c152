"""Compare models fairly: a study of the same folds for all, each model searched inside its training parts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from benchmarks._records import LABEL_SCORES, RANKING_SCORES, Record, environment, open_output, summarise, write_record
from skdeep.study import Study, StudyResults

Split = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
Preset = Literal["smoke", "quick", "full"]

STUDIES = Path(__file__).parent / "studies"
INNER_FOLDS = KFold(3, shuffle=True, random_state=1)


@dataclass(frozen=True)
class Model:
    """One row of the table.

    Attributes
    ----------
    name : str
    features, weights : str
        What the model sees, and which weights made it.
    estimator : estimator
    grid : dict
        Candidates for a search; empty where the parameters are those of the literature.
    """

    name: str
    features: str
    weights: str
    estimator: Any
    grid: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What tells it from the other rows."""
        return ", ".join(part for part in (self.name, self.features, self.weights) if part not in {"-", "table"})


@dataclass(frozen=True)
class Data:
    """A data set and how its rows are divided.

    Attributes
    ----------
    source : (X, y), Bunch or callable
    cv : splitter or list of splits
    n_repeats : int
    """

    source: Any
    cv: Any
    n_repeats: int = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that all comparisons share."""
    presets = parser.add_mutually_exclusive_group()
    for preset, text in (
        ("smoke", "a run of seconds that only shows that all parts work"),
        ("quick", "the run that README speaks of (default)"),
        ("full", "every model on all folds"),
    ):
        presets.add_argument(f"--{preset}", action="store_const", const=preset, dest="preset", help=text)
    parser.set_defaults(preset="quick")
    parser.add_argument("--n-jobs", type=int, default=1, metavar="N", help="fits at once (default: 1)")
    parser.add_argument("--model", action="append", metavar="NAME", help="only this row; repeatable (default: all)")
    parser.add_argument("--cv", type=int, metavar="K", help="number of folds")
    parser.add_argument(
        "--study",
        type=Path,
        metavar="FOLDER",
        help="where the study is kept and continued (default: benchmarks/studies/BENCHMARK-PRESET)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where the JSON lines go in the end; never overwritten"
    )


def study_folder(benchmark: str, arguments: argparse.Namespace) -> Path:
    """Where a benchmark's study is kept."""
    return arguments.study or STUDIES / f"{benchmark}-{arguments.preset}"


def compare(
    benchmark: str,
    models: Sequence[Model],
    datasets: Mapping[str, Data],
    *,
    scoring: Any,
    arguments: argparse.Namespace,
    images: Mapping[str, Any] | None = None,
) -> list[Record]:
    """Run every model on every fold as a study, print the table, and write the page and the records.

    Parameters
    ----------
    benchmark : str
        What the records say of themselves.
    models : sequence of Model
    datasets : dict of str to Data
    scoring : str
        Scorer that chooses among a model's candidates, by three folds of the training part.
    arguments : Namespace
        With the options that :func:`add_options` adds.
    images : dict of str to sequence, default=None
        Of a data set, what the page shows of its rows.

    Returns
    -------
    records : list of dict
    """
    if unknown := set(arguments.model or ()) - {model.name for model in models}:
        raise SystemExit(f"No model is called {', '.join(sorted(unknown))}: see the first column of the table.")
    if arguments.out is not None and arguments.out.exists():
        raise SystemExit(f"{arguments.out} is already there: give another --out, or move it away.")
    chosen = [model for model in models if not arguments.model or model.name in arguments.model]
    study = Study(
        {model.title: model.estimator for model in chosen},
        {name: data.source for name, data in datasets.items()},
        cv={name: data.cv for name, data in datasets.items()},
        n_repeats={name: data.n_repeats for name, data in datasets.items()},
        search={model.title: model.grid for model in chosen if model.grid},
        search_cv=INNER_FOLDS,
        search_scoring=scoring,
    )
    # more threads than one cost small problems more in waiting than they give; torch's own are not touched
    with threadpool_limits(1, user_api="blas"):
        results = study.run(study_folder(benchmark, arguments), n_jobs=arguments.n_jobs, verbose=1)
    common = {"benchmark": benchmark, "n_jobs": arguments.n_jobs, **environment()}
    records = _records(results, models, common)
    for name in datasets:
        print(f"\n{name}; mean ± deviation over {results.n_folds[name]} fold(s), threshold 0.5 unless said")
        for columns in (LABEL_SCORES, RANKING_SCORES):
            print(summarise([r for r in records if r["data"] == name], columns).to_string(index=False), end="\n\n")
    for _, failure in results.failures.iterrows():
        print(f"failed: {failure['model']}, fold {failure['fold']}: {failure['type']}: {failure['message']}")
    print(f"Page: {results.report(results.folder / 'report.html', images=images)}")
    if arguments.out is not None:
        with open_output(arguments.out) as file:
            for record in records:
                write_record(file, record)
        print(f"Records: {arguments.out}")
    return records


def k_folds(n_samples: int, n_folds: int) -> list[Split]:
    """The one splitter under which all models of a run stand."""
    return list(shuffled(n_folds).split(np.zeros(n_samples)))


def shuffled(n_folds: int) -> KFold:
    """Folds by chance."""
    return KFold(n_folds, shuffle=True, random_state=0)


def _records(results: StudyResults, models: Sequence[Model], common: Record) -> list[Record]:
    """A line for each unit that ended well, as the tables take it."""
    rows = {model.title: (row, model) for row, model in enumerate(models)}
    records = []
    for unit in results.records:
        if unit["status"] == "failed":
            continue
        row, model = rows[unit["model"]]
        scores = {name: float("nan") if score is None else score for name, score in unit["scores"].items()}
        names = {"row": row, "model": model.name, "features": model.features, "weights": model.weights}
        place = {"data": unit["dataset"], "n_folds": results.n_folds[unit["dataset"]]}
        kept = ("repeat", "fold", "parameters", "fit_seconds", "peak_mb")
        records.append(
            {
                **common,
                **place,
                **names,
                **{name: unit[name] for name in kept},
                "scores": {**scores, "seconds": unit["fit_seconds"] + unit["predict_seconds"]},
            }
        )
    return records
