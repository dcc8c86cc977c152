"""What a study costs beside the bare loop over models: CPU time, and memory as units become more."""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.datasets import make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, ShuffleSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._comparison import shuffled
from benchmarks._records import Record
from benchmarks._tables import add_table_options, chosen_tables
from benchmarks._timing import Timed, check_agreement, interleaved_pairs
from skdeep.metrics import multilabel_scorer
from skdeep.multilabel import BinaryRelevance, ClassifierChain, LabelPowerset, MLkNN
from skdeep.study import Study

N_UNITS = (100, 1000)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_table_options(parser)


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """The ratio of CPU times on each table, and the coordinator's memory for few and for many units."""
    for table in chosen_tables(arguments):
        cv = shuffled(10)
        with TemporaryDirectory() as scratch:
            folders = (Path(scratch) / str(number) for number in range(10_000))
            ours = partial(_study, table.X, table.Y, cv, folders)
            bare = partial(_bare, table.X, table.Y, cv)
            check_agreement(ours(), bare(), close=True)
            yield {
                "what": "study / bare cross_validate loop, CPU time",
                "data": f"{table.name}, {len(_models())} models in 10 folds",
                **interleaved_pairs(_cpu_timed(ours), _cpu_timed(bare), arguments.pairs),
            }
    yield {
        "what": "memory of the coordinator",
        "data": f"{N_UNITS[0]} and {N_UNITS[1]} units",
        "peak_mb": [_peak_mb(n_units) for n_units in N_UNITS],
    }


def _models() -> dict[str, Any]:
    logistic = LogisticRegression(max_iter=1000)
    return {
        "BR": make_pipeline(StandardScaler(), BinaryRelevance(logistic)),
        "CC": make_pipeline(StandardScaler(), ClassifierChain(logistic)),
        "LP": make_pipeline(StandardScaler(), LabelPowerset(logistic)),
        "ML-kNN": MLkNN(),
    }


def _study(X: Any, Y: Any, cv: KFold, folders: Iterator[Path]) -> np.ndarray[Any, Any]:
    units = Study(_models(), {"table": (X, Y)}, cv=cv).run(next(folders)).units
    return units.pivot(index="model", columns="fold", values="map_macro").loc[list(_models())].to_numpy()


def _bare(X: Any, Y: Any, cv: KFold) -> np.ndarray[Any, Any]:
    return np.stack(
        [
            cross_validate(model, X, Y, cv=cv, scoring=multilabel_scorer)["test_map_macro"]
            for model in _models().values()
        ]
    )


def _cpu_timed(work: Callable[[], object]) -> Timed:
    def run() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return run


def _peak_mb(n_units: int) -> float:
    """The most that Python objects took until the last of so many units, beyond what was there before."""
    peaks = [0]

    def scoring(estimator: Any, X: Any, y: Any) -> dict[str, float]:
        peaks[0] = tracemalloc.get_traced_memory()[1]
        return multilabel_scorer(estimator, X, y)

    data = make_multilabel_classification(200, random_state=0)
    study = Study(
        {"frequencies": BinaryRelevance(DummyClassifier(strategy="prior"))},
        {"made": data},
        cv=ShuffleSplit(n_units, test_size=0.5, random_state=0),
        scoring=scoring,
    )
    with TemporaryDirectory() as folder:
        tracemalloc.start()
        study.run(folder)
        tracemalloc.stop()
    return peaks[0] / 2**20
