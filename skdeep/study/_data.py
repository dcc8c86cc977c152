"""The data sets of a study: given as they are, or as whoever loads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import indexable

from skdeep._digest import digest_of
from skdeep._validation import Targets, check_targets
from skdeep._wholefile import written_whole


@dataclass(frozen=True)
class Rows:
    """A data set in memory.

    Attributes
    ----------
    X : any
        As the estimators take it.
    y : any
        Targets as they were given; of sparse ones rows can be taken.
    groups : array-like or None
        For splitters that keep the rows of a group together.
    targets : Targets
        What ``y`` says, with the names of the labels.
    """

    X: Any
    y: Any
    groups: Any
    targets: Targets

    @property
    def strata(self) -> NDArray[Any]:
        """What splitters see of the targets: an indicator, or the classes."""
        return self.targets.values if self.targets.kind == "multilabel" else np.asarray(self.y)


@dataclass(frozen=True)
class Source:
    """Where a process that knows nothing but this finds a data set.

    Attributes
    ----------
    name, digest : str
    load : callable or None
        The user's own, if a function was given.
    path : Path
        Where other processes find the rows if none was; they are written when this is first sent to one.
    given : Rows or None
        The rows themselves, in the process to which they were given.
    """

    name: str
    digest: str
    load: Callable[[], Any] | None
    path: Path
    given: Rows | None = None

    def __getstate__(self) -> dict[str, Any]:
        if self.given is not None and not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(self.path) as draft:
                joblib.dump(self.given, draft)
        return {**vars(self), "given": None}

    def rows(self) -> Rows:
        """The data set, loaded once in a row of units that need it."""
        rows = self.given or _LOADED.get(self.digest)
        if rows is None:
            rows = self._read() if self.load is None else self._load(self.load)
            hold(self.digest, rows)
        return rows

    def _load(self, load: Callable[[], Any]) -> Rows:
        rows = load_rows(self.name, load)
        if data_digest(rows) != self.digest:
            raise ValueError(
                f"The function that loads the data set {self.name!r} has given other rows than before: it must give "
                "the same each time. If it draws them, fix its random_state."
            )
        return rows

    def _read(self) -> Rows:
        try:
            return joblib.load(self.path, mmap_mode="r")
        except FileNotFoundError:
            raise FileNotFoundError(
                f"The data set {self.name!r} is not in {str(self.path)!r}: a study that runs on several machines needs "
                "a folder that all of them share."
            ) from None


_LOADED: dict[str, Rows] = {}


def hold(digest: str, rows: Rows) -> None:
    """Let this process find a data set without loading it again."""
    # one at a time: units come data set by data set
    _LOADED.clear()
    _LOADED[digest] = rows


def load_rows(name: str, source: Any) -> Rows:
    """Take a data set as ``(X, y)``, as a Bunch, or from a function that gives either.

    Raises
    ------
    ValueError
        If it is neither, or its targets are none that a classifier can learn.
    """
    X, y, groups, label_names = _parts(name, source() if callable(source) else source)
    try:
        X, y, groups = indexable(X, y, groups)
        targets = check_targets(X, y)
    except ValueError as error:
        raise ValueError(f"The data set {name!r} cannot be used: {error}") from error
    named = targets.label_names is not None and label_names is not None and not hasattr(y, "columns")
    if named and len(label_names) == len(targets.classes):
        targets = replace(targets, label_names=np.array([str(label) for label in label_names], dtype=object))
    return Rows(_compact(X), y, groups, targets)


def data_digest(rows: Rows) -> str:
    """Of the rows and targets; of files their content counts."""
    paths = paths_of(rows.X)
    files = None if paths is None else file_digests(paths)
    return digest_of({"X": rows.X, "files": files, "y": rows.y, "groups": rows.groups})


def _parts(name: str, given: Any) -> tuple[Any, Any, Any, Any]:
    if isinstance(given, Mapping) and {"data", "target"} <= given.keys():
        return given["data"], given["target"], given.get("groups"), given.get("target_names")
    if isinstance(given, tuple) and len(given) == 2:
        return (*given, None, None)
    raise ValueError(
        f"The data set {name!r} must be a tuple (X, y), a Bunch with data and target (and groups, if there are any), "
        f"or a function without parameters that gives either. Got {type(given).__name__} instead."
    )


def paths_of(X: Any) -> list[str] | None:
    """The paths that a list, an array or the first column of a DataFrame holds; None if it holds anything else.

    Lists and arrays may be of rows with one path each.
    """
    column = X.iloc[:, 0] if getattr(X, "ndim", 1) == 2 and hasattr(X, "iloc") and X.shape[1] else X
    if isinstance(column, np.ndarray) and column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if getattr(column, "ndim", 1) != 1 or not (isinstance(column, list | tuple) or hasattr(column, "dtype")):
        return None
    values = [row[0] if isinstance(row, list | tuple) and len(row) == 1 else row for row in column]
    are_paths = bool(values) and all(isinstance(path, str | os.PathLike) for path in values)
    return [os.fspath(path) for path in values] if are_paths else None


def _compact(X: Any) -> Any:
    """A list of paths as an array."""
    is_flat = isinstance(X, list) and not any(isinstance(row, list | tuple) for row in X[:1])
    paths = paths_of(X) if is_flat else None
    return X if paths is None else np.array(paths, dtype=object)


def file_digests(paths: Sequence[str]) -> list[bytes]:
    """Digests of what files hold; empty where there is no file."""
    from skdeep.features import open_store
    from skdeep.images import FileDigests
    from skdeep.images.digests import identities

    store = open_store(cache=True)
    return (store.digests if store else FileDigests(None)).of(paths, identities(paths))
