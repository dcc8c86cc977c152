"""The folder of a study: what was planned, a record of each unit that was run, and its answers."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdeep._wholefile import drafts_left, written_whole

if sys.platform != "win32":
    import fcntl

Record = dict[str, Any]
Answers = dict[str, NDArray[Any]]

_FORMAT = 1


class StudyFolder:
    """What a study keeps on disk; whatever stands in it was written whole.

    ``study.json`` says what was planned and in which environment. ``units/DIGEST.json`` is the record of a unit, and
    ``units/DIGEST.npz`` holds what its model answered on the test rows. The digest is that of all that decides the
    unit's scores, so a record is found again as long as nothing of this changes, and never by another unit. The rows of
    each split lie in ``splits``, and for as long as the study runs in several processes those of data sets that no
    function loads in ``data``. ``lock`` is empty, and locked by whoever runs the study.

    Parameters
    ----------
    path : str or path
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._units = self.path / "units"

    def make(self) -> None:
        """Make the folder; ``OSError`` if that cannot be done."""
        self._units.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folder, and keep it from others who run a study; what killed writers have left is removed.

        At the end, so are the copies of data sets that were made for other processes.

        Raises
        ------
        OSError
            If it cannot be made or written to.
        RuntimeError
            If a study is being run in it.
        """
        self.make()
        with _locked(self.path / "lock"):
            for folder in (self.path, *self.path.glob("*/")):
                for left in drafts_left(folder):
                    left.unlink(missing_ok=True)
            try:
                yield
            finally:
                shutil.rmtree(self.path / "data", ignore_errors=True)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Keep what is planned, in place of what was."""
        _write_json(self.path / "study.json", {"format": _FORMAT, **manifest})

    def read_manifest(self) -> dict[str, Any]:
        """What was planned last.

        Raises
        ------
        FileNotFoundError
            If no study was run in this folder.
        ValueError
            If it is damaged, or of a format that this version does not read.
        """
        path = self.path / "study.json"
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FileNotFoundError(f"{str(self.path)!r} holds no study: there is no study.json in it.") from None
        except ValueError as error:
            raise ValueError(f"{str(path)!r} is damaged ({error}): run the study again to write it anew.") from error
        if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
            raise ValueError(f"{str(path)!r} is not of format {_FORMAT}, the one that this version of skdeep reads.")
        return manifest

    def write(self, record: Record, answers: Answers | None) -> None:
        """Keep the record of a unit and its answers, in place of what was."""
        if answers is not None:
            with written_whole(self._units / f"{record['digest']}.npz") as draft, draft.open("wb") as file:
                np.savez(file, **answers)  # type: ignore[arg-type]
        _write_json(self._units / f"{record['digest']}.json", record)

    def read(self, digest: str) -> Record | None:
        """The record of a unit; None if there is none, or none that can be read."""
        try:
            record = json.loads((self._units / f"{digest}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) and record.get("digest") == digest else None

    def records(self) -> Iterator[Record]:
        """The records of the units that were planned last, in the order of the plan."""
        for unit in self.read_manifest()["units"]:
            record = self.read(unit["digest"])
            if record is not None:
                yield record

    def answers(self, digest: str) -> Answers:
        """What a unit's model answered on the test rows.

        Raises
        ------
        FileNotFoundError
            If answers were not kept.
        """
        path = self._units / f"{digest}.npz"
        if not path.exists():
            raise FileNotFoundError(
                f"{str(path)!r} is not there: this unit was run with keep_answers=False, and what is done is not run "
                "again. Run the study in another folder to have its answers."
            )
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock, which ends with this process, where the system has such."""
    with path.open("ab") as file:
        try:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"Another study is being run in {str(path.parent)!r}: wait until it has come to its end, or choose "
                "another folder."
            ) from None
        except OSError:
            # a file system without locks
            pass
        yield


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    with written_whole(path) as draft:
        draft.write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")
