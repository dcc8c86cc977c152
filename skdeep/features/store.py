"""The feature store: rows of float32 under the digest of all that shaped them.

One SQLite file in WAL mode a folder, shared by all processes of a host, under a bounded layer in memory. A row that is
stored carries a checksum; a row that is missing is claimed by whoever sets out to compute it, so that two processes do
not compute the same one. Whatever goes wrong with the file, the answer is to compute again: the store can be slow or
absent, it cannot be wrong.
"""

from __future__ import annotations

import functools
import os
import secrets
import sqlite3
import threading
import time
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import platformdirs
from numpy.typing import NDArray

from skdeep.exceptions import FeatureStoreWarning

T = TypeVar("T")
Rows = dict[bytes, NDArray[np.float32]]

_FILE = "features-v1.sqlite"
_MAX_BYTES_DISK = 10 * 2**30
_MAX_BYTES_MEMORY = 512 * 2**20
_CLAIM_SECONDS = 120  # after that long without a sign of life a claim is free for others
_POLL_SECONDS = 0.02
_BUSY_SECONDS = 60  # before a store that others keep locked counts as broken
_TOUCH_SECONDS = 3600  # a row's last use is noted at most that often: reading stays free of writing
_QUERY = 500  # keys in one query; SQLite's oldest limit is 999

_VERSION = 1
_SCHEMA = f"""
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS features (
    key BLOB PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS features_used ON features (used);
CREATE TABLE IF NOT EXISTS claims (
    key BLOB PRIMARY KEY, owner TEXT NOT NULL, pid INTEGER NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (computed INTEGER NOT NULL);
INSERT INTO counts SELECT 0 WHERE NOT EXISTS (SELECT * FROM counts);
PRAGMA user_version = {_VERSION};
COMMIT;
"""


@dataclass(frozen=True)
class StoreInfo:
    """What a feature store holds.

    Attributes
    ----------
    folder : Path
    n_rows : int
        Rows that are stored.
    n_computed : int
        Rows that were ever computed for it, in any process; more than were ever missing would mean work done twice.
    n_bytes : int
        Size of the file on disk.
    """

    folder: Path
    n_rows: int
    n_computed: int
    n_bytes: int


def open_store(cache: bool | str | os.PathLike[str]) -> FeatureStore | None:
    """Open the store that a ``cache=`` parameter names.

    Parameters
    ----------
    cache : bool, str or path
        True: the folder in ``SKDEEP_CACHE_DIR`` (none if that is empty), or the user's cache folder; False: none.

    Returns
    -------
    store : FeatureStore or None
    """
    folder = _folder(cache)
    return None if folder is None else _shared_store(str(folder), os.getpid())


def info(cache: bool | str | os.PathLike[str] = True) -> StoreInfo:
    """Say what a feature store holds.

    Parameters
    ----------
    cache : True, str or path, default=True
        The store, as in the estimators' parameter ``cache``.

    Returns
    -------
    info : StoreInfo

    Raises
    ------
    ValueError
        If the store is switched off.
    """
    return _open_named(cache).info()


def clear(cache: bool | str | os.PathLike[str] = True) -> None:
    """Remove every row of a feature store.

    Parameters
    ----------
    cache : True, str or path, default=True
        The store, as in the estimators' parameter ``cache``.

    Raises
    ------
    ValueError
        If the store is switched off.
    """
    _open_named(cache).clear()


def _open_named(cache: bool | str | os.PathLike[str]) -> FeatureStore:
    store = open_store(cache)
    if store is None:
        raise ValueError(f"cache={cache!r} names no feature store: it is switched off.")
    return store


class FeatureStore:
    """Rows under keys, in a folder that all processes of this host may use at once.

    Connections live no longer than a call, so none is ever carried over a fork or into another thread.

    Parameters
    ----------
    folder : path
        Made when it is first used.
    max_bytes : int
        Size of the file beyond which the rows go that were not used for longest.
    """

    def __init__(self, folder: Path, *, max_bytes: int = _MAX_BYTES_DISK) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._path = folder / _FILE
        self._memory = _MemoryLayer(_MAX_BYTES_MEMORY)
        self._broken = False

    def read(self, keys: Iterable[bytes]) -> Rows:
        """The rows that are stored, by key; those that are missing or damaged are left out."""
        rows, missing = self._memory.read(keys)
        if missing:
            nothing: Rows = {}
            stored = self._run(lambda database: _select(database, missing), nothing)
            self._memory.write(stored)
            rows.update(stored)
        return rows

    def claims(self, keys: Sequence[bytes], size: int, stop: threading.Event | None = None) -> Iterator[list[bytes]]:
        """Claim missing rows, at most ``size`` at a time, until each is stored or was claimed here.

        While only rows are left that others compute, this waits for them, unless ``stop`` is set.
        """
        stop = stop or threading.Event()
        waiting = list(keys)
        while waiting and not stop.is_set():
            without_store = waiting[:size], waiting[size:]
            claimed, waiting = self._run(functools.partial(_claim, keys=waiting, size=size), without_store)
            if claimed:
                yield claimed
            elif waiting:
                stop.wait(_POLL_SECONDS)

    def write(self, rows: Rows) -> None:
        """Store rows and give up the claims on them."""
        self._memory.write(rows)
        self._run(lambda database: _insert(database, rows, self.max_bytes), None)

    def release(self, keys: Iterable[bytes]) -> None:
        """Give up claims without storing anything."""
        claims = [(key, _owner(os.getpid())) for key in keys]
        self._run(lambda database: _change(database, "DELETE FROM claims WHERE key = ? AND owner = ?", claims), None)

    def info(self) -> StoreInfo:
        """Say what the store holds."""
        n_rows, n_computed = self._run(_count, (0, 0)) if self._path.exists() else (0, 0)
        n_bytes = self._path.stat().st_size if self._path.exists() else 0
        return StoreInfo(self.folder, n_rows, n_computed, n_bytes)

    def clear(self) -> None:
        """Remove every row, and a damaged file with them."""
        self._memory.clear()
        self._broken = False
        for path in (self._path, *(Path(f"{self._path}{ending}") for ending in ("-wal", "-shm"))):
            path.unlink(missing_ok=True)

    def _run(self, work: Callable[[sqlite3.Connection], T], fallback: T) -> T:
        """Do something that may be repeated; if it fails, say so once and live without the database from then on."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while not self._broken:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
                    _set_up(database)
                    return work(database)
            except (sqlite3.Error, OSError) as error:
                # SQLite itself does not wait while another process makes the file or cleans up behind it
                if _is_busy(error) and time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
                    continue
                self._broken = True
                warnings.warn(
                    f"The feature store in {str(self.folder)!r} cannot be used ({error}): features are computed again "
                    "and not kept. Call skdeep.features.clear() if the file is damaged, or move the store with "
                    "SKDEEP_CACHE_DIR or cache=.",
                    FeatureStoreWarning,
                    stacklevel=2,
                )
        return fallback


def _set_up(database: sqlite3.Connection) -> None:
    if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        database.executescript(_SCHEMA)
    database.execute("PRAGMA synchronous = NORMAL")


def _is_busy(error: Exception) -> bool:
    # the lowest byte of the extended codes is the code itself
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _select(database: sqlite3.Connection, keys: list[bytes]) -> Rows:
    """Read rows; note their use now and then, and remove those whose checksum is wrong."""
    rows: Rows = {}
    now = int(time.time())
    unnoted, damaged = [], []
    for some in slices(keys, _QUERY):
        query = f"SELECT key, value, checksum, used FROM features WHERE key IN ({_marks(some)})"
        for key, value, checksum, used in database.execute(query, some):
            if _checksum(key, value) != checksum:
                damaged.append((key,))
                continue
            rows[key] = np.frombuffer(value, dtype=np.float32)
            if now - used > _TOUCH_SECONDS:
                unnoted.append((now, key))
    _change(database, "UPDATE features SET used = ? WHERE key = ?", unnoted)
    _change(database, "DELETE FROM features WHERE key = ?", damaged)
    return rows


def _change(database: sqlite3.Connection, statement: str, values: Sequence[tuple[bytes | int | str, ...]]) -> None:
    """Run a statement for many values in one transaction, and in none for no value."""
    if values:
        database.execute("BEGIN IMMEDIATE")
        database.executemany(statement, values)
        database.execute("COMMIT")


def _claim(database: sqlite3.Connection, keys: list[bytes], size: int) -> tuple[list[bytes], list[bytes]]:
    """Claim the first ``size`` free keys; return them, and those that are neither claimed here nor stored."""
    now = time.time()
    claimed: list[bytes] = []
    left: list[bytes] = []
    database.execute("BEGIN IMMEDIATE")
    for start, some in enumerate(slices(keys, _QUERY)):
        if len(claimed) == size:
            left.extend(keys[start * _QUERY :])
            break
        stored = {key for (key,) in database.execute(f"SELECT key FROM features WHERE key IN ({_marks(some)})", some)}
        query = f"SELECT key, owner, pid FROM claims WHERE expires > ? AND key IN ({_marks(some)})"
        held = {key for key, *claimant in database.execute(query, (now, *some)) if _is_alive(*claimant)}
        for key in some:
            if key in stored:
                continue
            (left if key in held or len(claimed) == size else claimed).append(key)
    pid, expires = os.getpid(), now + _CLAIM_SECONDS
    owner = _owner(pid)
    database.execute("UPDATE claims SET expires = ? WHERE owner = ?", (expires, owner))
    database.executemany(
        "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", [(key, owner, pid, expires) for key in claimed]
    )
    database.execute("COMMIT")
    return claimed, left


def _insert(database: sqlite3.Connection, rows: Rows, max_bytes: int) -> None:
    now = int(time.time())
    values = [(key, row.tobytes()) for key, row in rows.items()]
    database.execute("BEGIN IMMEDIATE")
    database.executemany(
        "INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)",
        [(key, value, _checksum(key, value), now) for key, value in values],
    )
    database.executemany("DELETE FROM claims WHERE key = ?", [(key,) for key in rows])
    database.execute("UPDATE counts SET computed = computed + ?", (len(rows),))
    _evict(database, max_bytes)
    database.execute("COMMIT")


def _evict(database: sqlite3.Connection, max_bytes: int) -> None:
    """Let the rows go that were not used for longest, a tenth at a time, while the store is too large."""
    n_removed = 1
    while n_removed and _used_bytes(database) > max_bytes:
        n_removed = database.execute(
            "DELETE FROM features WHERE key IN (SELECT key FROM features ORDER BY used "
            "LIMIT (SELECT 1 + count(*) / 10 FROM features))"
        ).rowcount


def _used_bytes(database: sqlite3.Connection) -> int:
    pages, free, page_size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page_size


def _count(database: sqlite3.Connection) -> tuple[int, int]:
    n_rows = database.execute("SELECT count(*) FROM features").fetchone()[0]
    return n_rows, database.execute("SELECT computed FROM counts").fetchone()[0]


class _MemoryLayer:
    """The rows read or written last, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._rows: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, keys: Iterable[bytes]) -> tuple[Rows, list[bytes]]:
        """The rows that are here, and the keys of the others."""
        rows: Rows = {}
        missing = []
        with self._lock:
            for key in keys:
                row = self._rows.get(key)
                if row is None:
                    missing.append(key)
                else:
                    self._rows.move_to_end(key)
                    rows[key] = row
        return rows, missing

    def write(self, rows: Rows) -> None:
        with self._lock:
            for key, row in rows.items():
                if key not in self._rows:
                    # a copy: a view would keep its whole batch alive
                    self._rows[key] = row.copy()
                    self._n_bytes += row.nbytes
            while self._n_bytes > self._max_bytes:
                _, row = self._rows.popitem(last=False)
                self._n_bytes -= row.nbytes

    def clear(self) -> None:
        with self._lock:
            self._rows.clear()
            self._n_bytes = 0


def _folder(cache: bool | str | os.PathLike[str]) -> Path | None:
    if cache is False:
        return None
    if cache is not True:
        return Path(cache).expanduser()
    named = os.environ.get("SKDEEP_CACHE_DIR")
    if named is None:
        return platformdirs.user_cache_path("skdeep")
    return Path(named).expanduser() if named else None


@functools.lru_cache(maxsize=8)
def _shared_store(folder: str, pid: int) -> FeatureStore:
    """One store a folder and process: a fork must not inherit a lock that another thread holds."""
    return FeatureStore(Path(folder))


@functools.lru_cache(maxsize=1)
def _owner(pid: int) -> str:
    """A name for this process that no other ever has; its pid may come again."""
    return secrets.token_hex(8)


def _is_alive(owner: str, pid: int) -> bool:
    if pid == os.getpid():
        return owner == _owner(pid)
    if os.name != "posix":
        return True  # there, only the claim's expiry tells
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _checksum(key: bytes, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(key))


def _marks(keys: list[bytes]) -> str:
    return ",".join("?" * len(keys))


def slices(keys: list[bytes], size: int) -> Iterator[list[bytes]]:
    """Cut keys into lists of ``size``, the last of which may be shorter."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
