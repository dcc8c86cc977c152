"""The plan of a study: every unit, known by a digest of all that decides its scores, before any is run."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdeep._digest import digest_of
from skdeep._text import listed
from skdeep._wholefile import written_whole
from skdeep.study._data import Rows, Source, data_digest, file_digests, hold, load_rows
from skdeep.study._units import Search, Unit, Work, splitter_for, with_state

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """A training and a test part.

    Attributes
    ----------
    repeat, fold : int
    train, test : ndarray of int
        Row numbers.
    """

    repeat: int
    fold: int
    train: Positions
    test: Positions


@dataclass(frozen=True)
class Design:
    """What the user asked for, checked.

    Attributes
    ----------
    estimators : dict of str to estimator
    datasets : dict of str to source
    cv : dict of str to int, splitter or list of splits
        By data set.
    n_repeats : dict of str to int
        By data set.
    train_sizes : list of float
    searches : dict of str to Search
        Of those models that are searched.
    scoring : any
    random_state : int
    """

    estimators: Mapping[str, Any]
    datasets: Mapping[str, Any]
    cv: Mapping[str, Any]
    n_repeats: Mapping[str, int]
    train_sizes: Sequence[float]
    searches: Mapping[str, Search]
    scoring: Any
    random_state: int


@dataclass(frozen=True)
class Plan:
    """All units of a study, and what is known of its data sets.

    Attributes
    ----------
    works : list of Work
        In the order in which they are run: fold by fold, so that a study that was stopped compares all models on the
        folds that it has.
    datasets : dict of str to dict
        As the manifest lists them.
    """

    works: list[Work]
    datasets: dict[str, dict[str, Any]]


def make_plan(design: Design, folder: Path, *, keep_answers: bool) -> Plan:
    """Load each data set, divide it, and name every unit; splits and rows are left in the folder for the workers."""
    models = {
        name: _model_digest(estimator, design.searches.get(name)) for name, estimator in design.estimators.items()
    }
    measured = digest_of({"scoring": design.scoring})
    works: list[Work] = []
    datasets = {}
    for name, given in design.datasets.items():
        rows = load_rows(name, given)
        digest = data_digest(rows)
        path = folder / "data" / f"{digest[:16]}.joblib"
        if callable(given):
            source = Source(name, digest, given, path)
            hold(digest, rows)
        else:
            source = Source(name, digest, None, path, rows)
        datasets[name] = _described(rows, digest)
        for fold in _naming(name, split_rows(design.cv[name], rows, design.n_repeats[name], design.random_state)):
            split_digest, split_path = _write_split(fold, folder / "splits")
            seed = int(np.random.SeedSequence([design.random_state, fold.repeat, fold.fold]).generate_state(1)[0] >> 1)
            for size in design.train_sizes:
                for model, estimator in design.estimators.items():
                    parts = [models[model], digest, split_digest, repr(size), str(seed), measured]
                    unit = Unit(name, model, fold.repeat, fold.fold, size, seed, split_digest, _joined(parts))
                    search = design.searches.get(model)
                    works.append(Work(unit, estimator, search, design.scoring, source, split_path, keep_answers))
    return Plan(works, datasets)


def _model_digest(estimator: Any, search: Search | None) -> str:
    """Of a model, of how it is searched, and of what the files hold that their parameters name."""
    files = sorted({*_files_of(estimator), *_files_of(None if search is None else search.grid)})
    contents = dict(zip(files, file_digests(files), strict=True)) if files else {}
    return digest_of({"estimator": estimator, "search": search, "files": contents})


def _files_of(value: Any) -> Iterator[str]:
    """The files that are there and that a value names, or a part of it: of a list, a grid, an estimator."""
    if isinstance(value, str | os.PathLike):
        path = os.fsdecode(value)
        path = path.rpartition("#sha256=")[0] or path  # as weights= takes them
        if os.path.isfile(path):  # noqa: PTH113 -- Path's own raises where a name is too long
            yield path
    elif isinstance(value, Mapping):
        for name, part in value.items():
            # the rows of feature files are found by all that shapes them
            if str(name).rpartition("__")[2] != "cache":
                yield from _files_of(part)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        yield from _files_of(value.ravel().tolist())
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _files_of(part)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        yield from _files_of(value.get_params(deep=False))


def split_rows(cv: Any, rows: Rows, n_repeats: int, random_state: int) -> Iterator[Fold]:
    """Divide the rows of a data set into training and test parts, once for each fold and repeat.

    Parameters
    ----------
    cv : int, splitter or list of (train, test)
        A number means shuffled folds that give each label or class its share. Repeat ``r`` of a splitter that shuffles
        has its ``random_state`` plus ``r``; one that was left open takes the study's, and a ``RandomState`` goes on.
    rows : Rows
    n_repeats : int
    random_state : int

    Raises
    ------
    ValueError
        If a part is empty, holds rows that are not there, or shares rows with the other, or if repeats would all be
        the same.
    """
    if isinstance(cv, int):
        cv = splitter_for(rows, cv, random_state)
    n_rows = len(rows.targets.values)
    if not hasattr(cv, "split"):
        yield from (Fold(0, fold, *_check_split(split, n_rows)) for fold, split in enumerate(cv))
        return
    within = getattr(cv, "n_repeats", 1)
    splitter = with_state(cv, random_state)
    n_splits = splitter.get_n_splits(rows.X, rows.strata, rows.groups) // within
    for repeat in range(n_repeats):
        for number, split in enumerate(splitter.split(rows.X, rows.strata, rows.groups)):
            yield Fold(repeat + number // n_splits, number % n_splits, *_check_split(split, n_rows))
        if isinstance(getattr(splitter, "random_state", None), int | np.integer):
            splitter.random_state += 1


def _naming(dataset: str, folds: Iterator[Fold]) -> Iterator[Fold]:
    """The same folds; errors and warnings on the way say of which data set."""
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fold = next(folds, None)
            except ValueError as error:
                remedy = " Groups come with a Bunch that has data, target and groups." if "groups" in str(error) else ""
                raise ValueError(f"The data set {dataset!r} cannot be divided: {error}{remedy}") from error
        for warning in caught:
            warnings.warn(f"On the data set {dataset!r}: {warning.message}", warning.category, stacklevel=4)
        if fold is None:
            return
        yield fold


def _check_split(split: Any, n_rows: int) -> tuple[Positions, Positions]:
    train, test = (_positions(part) for part in split)
    for name, part in (("training", train), ("test", test)):
        if len(part) == 0:
            raise ValueError(f"A split has an empty {name} part.")
        if part.min() < 0 or part.max() >= n_rows:
            raise ValueError(f"The {name} part of a split holds row {part.max()}, but the data set has {n_rows} rows.")
    shared = np.intersect1d(train, test)
    if len(shared):
        raise ValueError(
            f"The training and the test part of a split share {len(shared)} row(s): {listed(shared)}. What is learnt "
            "from cannot be scored on."
        )
    return train, test


def _positions(part: Any) -> Positions:
    part = np.asarray(part)
    return np.flatnonzero(part) if part.dtype == bool else part.astype(np.int64)


def _write_split(fold: Fold, folder: Path) -> tuple[str, Path]:
    """Leave a split where workers find it, under its digest."""
    digest = digest_of({"train": fold.train, "test": fold.test})
    path = folder / f"{digest[:16]}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as draft, draft.open("wb") as file:
            np.savez(file, train=_small(fold.train), test=_small(fold.test))
    return digest, path


def _small(positions: Positions) -> NDArray[Any]:
    return positions.astype(np.min_scalar_type(int(positions.max())))


def _described(rows: Rows, digest: str) -> dict[str, Any]:
    targets = rows.targets
    names = targets.label_names if targets.kind == "multilabel" else targets.classes
    return {
        "n_samples": len(targets.values),
        "n_labels": len(targets.classes) if targets.kind == "multilabel" else None,
        "kind": targets.kind,
        "label_names": [str(name) for name in names] if names is not None else None,
        "digest": digest,
    }


def _joined(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
