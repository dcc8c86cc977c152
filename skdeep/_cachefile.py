"""One SQLite file that processes share, and that may fail without harm.

Whoever uses it must be able to do without: what is asked of a file that is damaged, locked, full, of another version or
out of reach gives the caller's own fallback, after one warning a folder.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from skdeep.exceptions import FeatureStoreWarning

if sys.platform != "win32":
    import fcntl

T = TypeVar("T")

_BUSY_SECONDS = 60.0  # before a file that others keep locked counts as broken
_SQLITE_WAIT = 0.1  # seconds that SQLite itself waits for a lock; a fork must wait as long
_RETRY_SECONDS = 0.005
_WAL_BYTES = 64 * 2**20  # to which SQLite cuts its log after use

# SQLite's own state within the process must not be copied half-way: no fork while a connection is open
_no_fork = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_no_fork.release)


class CacheFolder:
    """A folder of cache files, and the one warning that a process gives about it, however many files fail.

    Parameters
    ----------
    path : Path
        Made when a file of it is first used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._has_complained = False

    def complain(self, error: Exception) -> None:
        """Warn, unless that was done before."""
        with _no_fork:  # two threads may fail at once
            if self._has_complained:
                return
            self._has_complained = True
        warnings.warn(
            f"The feature store in {str(self.path)!r} cannot be used ({error}): features are computed again and not "
            "kept. Call skdeep.features.clear() if a file is damaged, or move the store with SKDEEP_CACHE_DIR or "
            "cache=.",
            FeatureStoreWarning,
            stacklevel=2,
        )

    def forgive(self) -> None:
        """Let a later failure be told again."""
        self._has_complained = False


class CacheFile:
    """A database of one version's tables, in a file of its own.

    Connections live no longer than a call, so none is ever carried over a fork or into another thread.

    Parameters
    ----------
    folder : CacheFolder
    name : str
        Of the file; the version becomes part of it, so that files of other versions are left alone.
    schema : str
        Statements that make the tables.
    version : int
        Raised whenever the tables or the meaning of their values change.
    page_size : int, default=16384
        Bytes of a page; several values should fit on one.
    busy_seconds : float, default=60
        How long to wait while others keep the file locked.
    """

    def __init__(
        self,
        folder: CacheFolder,
        name: str,
        schema: str,
        *,
        version: int,
        page_size: int = 16384,
        busy_seconds: float = _BUSY_SECONDS,
    ) -> None:
        self.path = folder.path / f"{name}-v{version}.sqlite"
        self._folder = folder
        self._schema = schema
        self._version = version
        self._page_size = page_size
        self._busy_seconds = busy_seconds
        self._broken = False
        self._full = False

    def run(self, work: Callable[[sqlite3.Connection], T], fallback: T, *, writes: bool = False) -> T:
        """Do something with the database that may be repeated; where that cannot be, give the fallback.

        After a failure the file is not tried again. A full disk ends writing only.

        Parameters
        ----------
        work : callable
            Called with a connection in autocommit mode.
        fallback : object
            Given back instead of the work's result.
        writes : bool, default=False
            Whether the work needs space on the disk.
        """
        deadline = time.monotonic() + self._busy_seconds
        while not (self._broken or (writes and self._full)):
            try:
                self._folder.path.mkdir(parents=True, exist_ok=True)
                with _no_fork, self._in_use(), closing(self._connect()) as database:
                    return work(database)
            except (sqlite3.Error, OSError, MemoryError, ValueError) as error:
                if _is_busy(error) and time.monotonic() < deadline:
                    time.sleep(_RETRY_SECONDS)
                    continue
                if writes and _code(error) == sqlite3.SQLITE_FULL:
                    self._full = True
                else:
                    self._broken = True
                self._folder.complain(error)
        return fallback

    def clear(self) -> None:
        """Remove the file, damaged or not, in a moment when no process uses it."""
        deadline = time.monotonic() + self._busy_seconds
        while _exists(self._folder.path):
            try:
                with _no_fork, self._in_use(alone=True):
                    for path in self._parts():
                        _remove(path)
                break
            except OSError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    self._folder.complain(error)
                    return
                time.sleep(_RETRY_SECONDS)
        self._broken = self._full = False
        self._folder.forgive()

    def exists(self) -> bool:
        """Whether there is a file yet."""
        return _exists(self.path)

    def n_bytes(self) -> int:
        """Bytes on disk, SQLite's own files beside the database included."""
        sizes = 0
        for path in self._parts():
            with contextlib.suppress(OSError, ValueError):
                sizes += path.stat().st_size
        return sizes

    def _parts(self) -> list[Path]:
        return [self.path, *(Path(f"{self.path}{ending}") for ending in ("-wal", "-shm"))]

    @contextmanager
    def _in_use(self, *, alone: bool = False) -> Iterator[None]:
        """Tell all processes that the file is in use, or wait for a moment when no other uses it.

        To remove a database under an open connection would mix its pages with those of the next one. Whoever wants the
        file alone keeps the door shut meanwhile, or new users would keep it in use for ever.
        """
        if sys.platform == "win32":
            yield  # there, a file in use cannot be removed
            return
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        with ExitStack() as inside:
            with _locked(f"{self.path}-door", kind):
                inside.enter_context(_locked(f"{self.path}-lock", kind, patience=1 if alone else 0))
            yield

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=_SQLITE_WAIT, isolation_level=None)
        try:
            # a damaged file may hold text that is none
            database.text_factory = bytes
            self._set_up(database)
        except BaseException:
            database.close()
            raise
        return database

    def _set_up(self, database: sqlite3.Connection) -> None:
        database.execute(f"PRAGMA page_size = {self._page_size}")
        version = _version(database)
        if version is None:
            database.execute("PRAGMA journal_mode = WAL")
            with transaction(database):
                version = _version(database)
                if version is None:
                    for statement in self._schema.split(";"):
                        database.execute(statement)
                    version = self._version
                    database.execute(f"PRAGMA user_version = {version}")
        if version != self._version:
            raise sqlite3.DatabaseError(f"{self.path.name} is of version {version}, not {self._version}")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """One transaction that may write; an error undoes it all."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # the error that led here counts; one that undid the transaction by itself leaves nothing to undo
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


@contextmanager
def _locked(path: str, kind: int, patience: float = 0) -> Iterator[None]:
    """Hold a lock on a file that nobody removes; ``BlockingIOError`` if others hold it for longer than some seconds."""
    deadline = time.monotonic() + patience
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
        yield
    finally:
        os.close(file)


def _version(database: sqlite3.Connection) -> int | None:
    """The version of a database's tables; None if it has no tables yet."""
    # tables before version: another process may make both between the two questions
    has_tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    return version if has_tables or version else None


def _code(error: Exception) -> int:
    # the lowest byte of SQLite's extended codes is the code itself
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_busy(error: Exception) -> bool:
    # Windows refuses to remove what another process has open
    return _code(error) == sqlite3.SQLITE_BUSY or isinstance(
        error, BlockingIOError if sys.platform != "win32" else PermissionError
    )


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 -- Path's own raises where a name is too long


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
