"""Compare models fairly: the same folds for all, each searched inside its training part."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.utils import _safe_indexing
from threadpoolctl import threadpool_limits

from benchmarks._records import (
    LABEL_SCORES,
    RANKING_SCORES,
    Record,
    default_output,
    environment,
    open_output,
    summarise,
    write_record,
)
from skdeep.metrics import fbeta_at_threshold, get_scorer, multilabel_scores

Split = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


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
        Candidates for ``GridSearchCV``; empty where the parameters are those of the literature.
    """

    name: str
    features: str
    weights: str
    estimator: Any
    grid: dict[str, list[Any]] = field(default_factory=dict)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that all comparisons share."""
    parser.add_argument("--smoke", action="store_true", help="a run of seconds that only shows that all parts work")
    parser.add_argument("--n-jobs", type=int, default=1, metavar="N", help="processes of each grid search (default: 1)")
    parser.add_argument("--model", action="append", metavar="NAME", help="only this row; repeatable (default: all)")
    parser.add_argument("--cv", type=int, metavar="K", help="number of folds")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON lines go; never overwritten")


def compare(
    benchmark: str,
    models: Sequence[Model],
    X: Any,
    Y: Any,
    splits: Sequence[Split],
    *,
    scoring: str,
    data: str,
    arguments: argparse.Namespace,
) -> list[Record]:
    """Fit every model on every split, write a record of each, and print the table.

    Parameters
    ----------
    benchmark, data : str
        What the records say of themselves.
    models : sequence of Model
    X, Y : rows and their label indicator
    splits : sequence of (train, test)
        Row positions.
    scoring : str
        Scorer that chooses among a model's candidates, by three folds of the training part.
    arguments : Namespace
        With ``n_jobs``, ``model`` and ``out``.

    Returns
    -------
    records : list of dict
    """
    if unknown := set(arguments.model or ()) - {model.name for model in models}:
        raise SystemExit(f"No model is called {', '.join(sorted(unknown))}: see the first column of the table.")
    chosen = [row for row, model in enumerate(models) if not arguments.model or model.name in arguments.model]
    console = Console()
    out = arguments.out or default_output(benchmark)
    common = {"benchmark": benchmark, "data": data, "n_folds": len(splits), "n_jobs": arguments.n_jobs, **environment()}
    records = []
    with open_output(out) as file, _progress(console) as progress:
        task = progress.add_task("", total=len(chosen) * len(splits))
        for row in chosen:
            model = models[row]
            for fold, (train, test) in enumerate(splits):
                progress.update(task, description=f"{model.name}, fold {fold + 1}")
                result = measure(model, X, Y, train, test, scoring=scoring, n_jobs=arguments.n_jobs)
                names = {"row": row, "model": model.name, "features": model.features, "weights": model.weights}
                records.append({**common, **names, "fold": fold, **result})
                write_record(file, records[-1])
                progress.advance(task)
    print(f"\n{data}; mean ± deviation over {len(splits)} fold(s), threshold 0.5 unless said")
    for columns in (LABEL_SCORES, RANKING_SCORES):
        print(summarise(records, columns).to_string(index=False), end="\n\n")
    print(f"Records: {out}")
    return records


def k_folds(n_samples: int, n_folds: int) -> list[Split]:
    """The one splitter under which all models of a run stand."""
    return list(KFold(n_folds, shuffle=True, random_state=0).split(np.zeros(n_samples)))


def measure(model: Model, X: Any, Y: Any, train: Any, test: Any, *, scoring: str, n_jobs: int) -> Record:
    """Search a model inside one training part, and score it on the test part.

    Returns
    -------
    record : dict
        ``parameters`` (the best), ``fit_seconds`` and ``scores``.
    """
    estimator = clone(model.estimator)
    if model.grid:
        inner = KFold(3, shuffle=True, random_state=1)
        estimator = GridSearchCV(
            estimator, model.grid, scoring=get_scorer(scoring), cv=inner, n_jobs=n_jobs, error_score="raise"
        )
    X_train, X_test, Y_train, Y_test = (
        _safe_indexing(table, rows) for table, rows in ((X, train), (X, test), (Y, train), (Y, test))
    )
    start = time.perf_counter()
    # more threads than one cost small problems more in waiting than they give; torch's own are not touched
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        # a candidate that did not converge still has its place in the search
        warnings.simplefilter("ignore", ConvergenceWarning)
        # label powersets have many classes
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        estimator.fit(X_train, Y_train)
    fitted = time.perf_counter()
    predicted = estimator.predict(X_test)
    probabilities = estimator.predict_proba(X_test)
    scores = multilabel_scores(Y_test, predicted, probabilities)
    scores["f2_at_threshold"] = fbeta_at_threshold(Y_test, probabilities, beta=2)
    scores["seconds"] = time.perf_counter() - start
    return {
        "parameters": getattr(estimator, "best_params_", {}),
        "fit_seconds": fitted - start,
        "scores": scores,
    }


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=console,
    )
