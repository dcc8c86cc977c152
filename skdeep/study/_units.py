"""One unit of a study: a model is searched, fitted and scored on one training and one test part."""

from __future__ import annotations

import copy
import functools
import math
import os
import socket
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import _safe_indexing

from skdeep.model_selection import MultilabelStratifiedKFold
from skdeep.study._data import Rows, Source
from skdeep.study._folder import Answers, Record
from skdeep.study._memory import peak_memory
from skdeep.study._scoring import Asked, Scores, score

Splitter = Any
Positions = NDArray[np.int64]
_MOST_WARNINGS = 20
_GRIDS = {"param_grid", "param_distributions"}  # what scikit-learn's searches call them
# what a record says of a unit that got nowhere
_NOTHING: Record = {
    "n_train": None,
    "n_test": None,
    "scores": {},
    "parameters": {},
    "fit_seconds": None,
    "predict_seconds": None,
    "cpu_seconds": None,
    "peak_mb": None,
    "peak_gpu_mb": None,
}


@dataclass(frozen=True, slots=True)
class Unit:
    """What tells a unit from the others of its study.

    Attributes
    ----------
    dataset, model : str
    repeat, fold : int
    train_size : float
        Share of the training part that is learnt from.
    seed : int
        Of every random state that the user left open.
    split_digest : str
        Of the training and test rows, before ``train_size``.
    digest : str
        Of all that decides the scores.
    """

    dataset: str
    model: str
    repeat: int
    fold: int
    train_size: float
    seed: int
    split_digest: str
    digest: str


@dataclass(frozen=True)
class Search:
    """A search inside the training part.

    Attributes
    ----------
    grid : dict or list of dict
        As ``GridSearchCV`` takes it.
    cv : int or splitter
    scoring : any
        What a candidate is chosen by.
    """

    grid: Any
    cv: Any
    scoring: Any


@dataclass(frozen=True, slots=True)
class Work:
    """A unit and all that a process needs to run it; it holds no rows, so it is cheap to send.

    Attributes
    ----------
    unit : Unit
    estimator : estimator
    search : Search or None
    scoring : any
    source : Source
    split_path : Path
        Where the rows of the split stand.
    keep_answers : bool
    """

    unit: Unit
    estimator: Any
    search: Search | None
    scoring: Any
    source: Source
    split_path: Path
    keep_answers: bool


def run_unit(work: Work) -> tuple[Record, Answers | None]:
    """Run a unit; whatever goes wrong in it becomes part of its record.

    Returns
    -------
    record : dict
        With ``status`` "done" or "failed".
    answers : dict of arrays or None
        What the model answered on the test rows; None if it failed, or if answers are not kept.
    """
    run = _Run(work)
    with _noted_warnings() as noted:
        try:
            run.go()
            failure = None
        except Exception as error:  # of whatever kind: the other models go on
            failure = {
                "stage": run.stage,
                "type": type(error).__name__,
                "message": str(error),
                "traceback": "".join(traceback.format_exception(error)),
            }
    return run.record(failure, noted), run.answers if failure is None and work.keep_answers else None


def failed_record(unit: Unit, error: BaseException) -> Record:
    """The record of a unit whose process died, or that could not be sent to one."""
    failure = {
        "stage": "process",
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    return {**asdict(unit), "status": "failed", **_NOTHING, "failure": failure, "warnings": [], **_surroundings()}


def splitter_for(rows: Rows, n_splits: int, seed: int) -> Splitter:
    """Shuffled folds with each label or class in its share, and groups kept together where there are some."""
    kfold = StratifiedKFold if rows.groups is None else StratifiedGroupKFold
    if rows.targets.kind == "multilabel":
        kfold = MultilabelStratifiedKFold
    return kfold(n_splits, shuffle=True, random_state=seed)


def with_state(splitter: Splitter, seed: int) -> Splitter:
    """A copy of a splitter; if it shuffles and its random state was left open, it takes the seed."""
    splitter = copy.deepcopy(splitter)
    if getattr(splitter, "random_state", seed) is None and getattr(splitter, "shuffle", True):
        splitter.random_state = seed
    return splitter


@functools.lru_cache(maxsize=2)  # all models of a fold follow one another
def read_split(path: Path) -> tuple[Positions, Positions]:
    """Training and test rows."""
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["train"].astype(np.int64), arrays["test"].astype(np.int64)


def seed_open_states(estimator: Any, seed: int) -> None:
    """Give every parameter ``random_state`` that is None, at any depth, a number of its own; splitters likewise.

    So are those of estimators in the grids of searches. What the user has set stays as it is.
    """
    parameters = estimator.get_params(deep=True)
    drawn = _draw_states(estimator, seed)
    if opened := {name: number for name, number in drawn.items() if parameters[name] is None}:
        estimator.set_params(**opened)
    # such as the folds of a search
    splitters = {name: value for name, value in parameters.items() if hasattr(value, "get_n_splits")}
    estimator.set_params(**{name: with_state(splitter, seed) for name, splitter in splitters.items()})
    grids = {name: grid for name, grid in parameters.items() if name.rpartition("__")[2] in _GRIDS}
    estimator.set_params(**{name: seeded_grid(grid, seed) for name, grid in grids.items()})


def seeded_grid(grid: Any, seed: int) -> Any:
    """A grid with copies of its estimators and splitters whose open states are seeded; itself if it has none."""
    if isinstance(grid, Mapping):
        values = {name: seeded_grid(value, seed) for name, value in grid.items()}
        return values if any(values[name] is not value for name, value in grid.items()) else grid
    if isinstance(grid, list | tuple) or (isinstance(grid, np.ndarray) and grid.dtype == object):
        given = list(grid)
        parts = [seeded_grid(part, seed) for part in given]
        if all(part is before for part, before in zip(parts, given, strict=True)):
            return grid
        return tuple(parts) if isinstance(grid, tuple) else parts
    if isinstance(grid, type):
        return grid
    if hasattr(grid, "get_n_splits"):
        return with_state(grid, seed)
    if hasattr(grid, "get_params"):
        grid = clone(grid)
        seed_open_states(grid, seed)
    return grid


class _Run:
    """A unit on its way, and what is known of it so far."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.stage = "load"
        self.answers: Answers | None = None
        self._facts = dict(_NOTHING)

    def go(self) -> None:
        unit = self._work.unit
        rows = self._work.source.rows()
        train, test = read_split(self._work.split_path)
        train = _part_of(train, unit.train_size, unit.seed)
        self._facts |= {"n_train": len(train), "n_test": len(test)}
        X_train, y_train = _safe_indexing(rows.X, train), _safe_indexing(rows.y, train)
        X_test, y_test = _safe_indexing(rows.X, test), _safe_indexing(rows.y, test)
        started = _cpu_seconds()
        with peak_memory() as peaks:
            self.stage = "fit"
            estimator = self._estimator(rows, train, X_train)
            self._timed("fit_seconds", lambda: estimator.fit(X_train, y_train))
            self._facts["parameters"] = {
                name: _plain(value, unit.seed) for name, value in getattr(estimator, "best_params_", {}).items()
            }
            self.stage = "predict"
            asked = Asked(estimator, X_test)
            answers = self._timed("predict_seconds", lambda: asked.answers(rows.targets.kind))
        self._facts |= {"cpu_seconds": _cpu_seconds() - started, **peaks}
        self.stage = "score"
        scores = score(self._work.scoring, asked, answers, X_test, y_test, rows.targets)
        self._facts["scores"] = _finite(scores)
        self.answers = _to_keep(answers, test, rows, getattr(estimator, "classes_", None))

    def record(self, failure: Mapping[str, str] | None, noted: list[warnings.WarningMessage]) -> Record:
        texts = dict.fromkeys(f"{item.category.__name__}: {item.message}" for item in noted)
        return {
            **asdict(self._work.unit),
            "status": "done" if failure is None else "failed",
            **self._facts,
            "failure": failure,
            "warnings": list(texts)[:_MOST_WARNINGS],
            **_surroundings(),
        }

    def _estimator(self, rows: Rows, train: Positions, X_train: Any) -> Any:
        unit, search = self._work.unit, self._work.search
        estimator = clone(self._work.estimator)
        seed_open_states(estimator, unit.seed)
        if search is None:
            return estimator
        inner = splitter_for(rows, search.cv, unit.seed) if isinstance(search.cv, int) else search.cv
        groups = None if rows.groups is None else _safe_indexing(rows.groups, train)
        splits = with_state(inner, unit.seed).split(X_train, rows.strata[train], groups)
        grid = seeded_grid(search.grid, unit.seed)
        return GridSearchCV(estimator, grid, scoring=search.scoring, cv=list(splits), error_score="raise")

    def _timed(self, name: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        try:
            return call()
        finally:
            self._facts[name] = time.perf_counter() - start


def _draw_states(estimator: Any, seed: int) -> dict[str, int]:
    """A number for each parameter ``random_state``, at any depth, the same whether others are set or not."""
    rng = np.random.RandomState(seed)
    names = [name for name in sorted(estimator.get_params(deep=True)) if name.rpartition("__")[2] == "random_state"]
    return {name: int(rng.randint(np.iinfo(np.int32).max)) for name in names}


def _part_of(train: Positions, share: float, seed: int) -> Positions:
    """The first rows in an order by chance, so that a smaller part lies within a larger."""
    if share == 1:
        return train
    n_rows = max(1, round(share * len(train)))
    return np.sort(np.random.RandomState(seed).permutation(train)[:n_rows])


def _to_keep(answers: Mapping[str, NDArray[Any]], test: Positions, rows: Rows, classes: Any) -> Answers:
    """What is kept of a model that knows these classes."""
    kept = {"rows": test, "target": rows.targets.values[test], **answers}
    if rows.targets.kind == "multilabel":
        kept["predicted"] = np.reshape(kept["predicted"], kept["target"].shape).astype(np.uint8)
    else:
        # positions of classes, as the target has them
        kept["predicted"] = np.searchsorted(rows.targets.classes, kept["predicted"])
        # a training part may lack classes: scores of the others alone would be taken for those of all
        if not np.array_equal(classes, rows.targets.classes):
            for name in ("scores", "scores_are"):
                kept.pop(name, None)
    if "scores" in kept:
        kept["scores"] = kept["scores"].astype(np.float32)
    return kept


def _surroundings() -> Record:
    return {"time": datetime.now(UTC).isoformat(timespec="seconds"), "host": socket.gethostname(), "pid": os.getpid()}


def _finite(scores: Scores) -> dict[str, float | None]:
    """As JSON can write them."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def _plain(value: Any, seed: int) -> Any:
    """As JSON can write it; an estimator as the user gave it, without what the seed of the unit made of it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, BaseEstimator):
        value = clone(value)
        parameters = value.get_params(deep=True)
        drawn = _draw_states(value, seed)
        value.set_params(**{name: None for name, number in drawn.items() if parameters[name] == number})
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _cpu_seconds() -> float:
    """Of this process, its threads, and those of its children that have ended."""
    return sum(os.times()[:4])


@contextmanager
def _noted_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Warnings go to the record; where threads share one interpreter they go where they always go."""
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    with warnings.catch_warnings(record=True) as noted:
        yield noted
