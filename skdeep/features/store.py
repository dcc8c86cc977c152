"""The feature store: rows of float32 under the digest of all that shaped them, and what makes them cheap to find.

Three SQLite files a folder, shared by all processes of a host: features, resized pictures and digests of files. A row
that is missing is claimed by whoever sets out to compute it, so that two processes do not compute the same one.
Whatever goes wrong with a file, the answer is to compute again: the store can be slow or absent, it cannot be wrong.
"""

from __future__ import annotations

import functools
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import platformdirs

from skdeep._blobcache import SCHEMA, BlobCache, evict, insert, stored_keys
from skdeep._cachefile import CacheFile, CacheFolder, transaction
from skdeep.images import FileDigests, PictureCache

Place: TypeAlias = bool | str | os.PathLike[str]
Cache: TypeAlias = Place | Sequence[Place]

_VERSION = 2
_MAX_BYTES_DISK = 10 * 2**30
_MAX_BYTES_MEMORY = 512 * 2**20
_CLAIM_SECONDS = 300  # after that long without a sign of life a claim is free for others
_POLL_SECONDS = (0.02, 0.2)  # the first wait for others' rows, and the longest
_SCHEMA = f"""{SCHEMA};
CREATE TABLE claims (
    key BLOB PRIMARY KEY, owner BLOB NOT NULL, pid INTEGER NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE counts (computed INTEGER NOT NULL);
INSERT INTO counts VALUES (0)
"""


@dataclass(frozen=True)
class StoreInfo:
    """What a feature store holds.

    Attributes
    ----------
    folder : Path
    n_rows : int
        Rows of features that are stored.
    n_computed : int
        Rows that were ever computed for it, in any process; more than were ever missing would mean work done twice.
    n_pictures : int
        Resized pictures that are stored.
    n_bytes : int
        Size of all its files on disk.
    """

    folder: Path
    n_rows: int
    n_computed: int
    n_pictures: int
    n_bytes: int


def split_cache(cache: Cache) -> tuple[Place, list[str]]:
    """Tell the store and the feature files apart that a ``cache=`` parameter names.

    Parameters
    ----------
    cache : bool, str, path or list of these
        As for :func:`open_store`, or a list of that and of files. True, alone or in a list, brings the files in
        ``SKDEEP_FEATURE_FILES`` too.

    Returns
    -------
    store : bool, str or path
    files : list of str

    Raises
    ------
    ValueError
        If it is anything else.
    """
    parts: list[Any] = list(cache) if isinstance(cache, (list, tuple)) and cache else [cache]
    store, *files = parts
    are_paths = all(isinstance(name, (str, os.PathLike)) for name in files)
    if not isinstance(store, (bool, str, os.PathLike)) or not are_paths:
        raise ValueError(
            "The 'cache' parameter must be True, False or a folder, or a list of one of these and, after it, paths of "
            f"feature files. Got {cache!r} instead."
        )
    if isinstance(store, (str, os.PathLike)) and Path(store).is_file():
        raise ValueError(
            f"The 'cache' parameter names the file {os.fspath(store)!r} in the place of a store, which is a folder: "
            "pass [True, file] to look into a feature file before the usual store, or [False, file] for it alone."
        )
    if store is True:
        files += os.environ.get("SKDEEP_FEATURE_FILES", "").split(os.pathsep)
    return store, [os.fspath(name) for name in files if name]


def open_store(cache: Cache) -> Store | None:
    """Open the store that a ``cache=`` parameter names.

    Parameters
    ----------
    cache : bool, str, path or list of these
        True: the folder in ``SKDEEP_CACHE_DIR`` (none if that is empty), or the user's cache folder; False: none. Of a
        list, the first counts.

    Returns
    -------
    store : Store or None
    """
    folder = _folder(split_cache(cache)[0])
    # absolute: the folder stays the same wherever the process goes
    return None if folder is None else _shared_store(os.path.abspath(folder))  # noqa: PTH100 -- keeps what no file has


def info(cache: Cache = True) -> StoreInfo:
    """Say what a feature store holds.

    Parameters
    ----------
    cache : True, str, path or list of these, default=True
        The store, as in the estimators' parameter ``cache``; feature files are left alone.

    Returns
    -------
    info : StoreInfo

    Raises
    ------
    ValueError
        If the store is switched off.
    """
    return open_named(cache).info()


def clear(cache: Cache = True) -> None:
    """Remove all that a feature store holds, and damaged files with it.

    Other processes may go on using it: its files go in moments when none does.

    Parameters
    ----------
    cache : True, str, path or list of these, default=True
        The store, as in the estimators' parameter ``cache``; feature files are left alone.

    Raises
    ------
    ValueError
        If the store is switched off.
    """
    open_named(cache).clear()


def open_named(cache: Cache) -> Store:
    """Open a store; an error where ``cache`` names none."""
    store = open_store(cache)
    if store is None:
        raise ValueError(f"cache={cache!r} names no feature store: it is switched off.")
    return store


class Store:
    """All that is kept of images, in a folder that all processes of this host may use at once.

    Parameters
    ----------
    folder : Path
        Made when it is first used.

    Attributes
    ----------
    folder : Path
    features : FeatureStore
    pictures : PictureCache
    digests : FileDigests
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = CacheFolder(folder)
        self.features = FeatureStore(files)
        self.pictures = PictureCache(files)
        self.digests = FileDigests(files)

    def info(self) -> StoreInfo:
        """Say what the store holds."""
        caches = self._caches()
        return StoreInfo(
            self.folder,
            n_rows=self.features.count(),
            n_computed=self.features.count_computed(),
            n_pictures=self.pictures.cache.count(),
            n_bytes=sum(cache.n_bytes() for cache in caches),
        )

    def clear(self) -> None:
        """Remove all of it."""
        for cache in self._caches():
            cache.clear()

    def _caches(self) -> tuple[BlobCache, ...]:
        return self.features, self.pictures.cache, self.digests.cache


class FeatureStore(BlobCache):
    """Rows of float32, as bytes, under keys that a process may claim.

    Parameters
    ----------
    folder : CacheFolder
    max_bytes : int, default=10 GiB
        Size of the file beyond which rows go.
    max_bytes_memory : int, default=512 MiB
    busy_seconds : float, default=60
        How long to wait while others keep the file locked.
    """

    _file: CacheFile

    def __init__(
        self,
        folder: CacheFolder,
        *,
        max_bytes: int = _MAX_BYTES_DISK,
        max_bytes_memory: int = _MAX_BYTES_MEMORY,
        busy_seconds: float = 60,
    ) -> None:
        file = CacheFile(folder, "features", _SCHEMA, version=_VERSION, busy_seconds=busy_seconds)
        super().__init__(file, max_bytes=max_bytes, max_bytes_memory=max_bytes_memory)

    def claims(self, keys: Sequence[bytes], size: int, stop: threading.Event | None = None) -> Iterator[list[bytes]]:
        """Claim missing rows, at most ``size`` at a time, until each is stored or was claimed here.

        While only rows are left that others compute, this waits for them, unless ``stop`` is set.
        """
        stop = stop or threading.Event()
        waiting = list(keys)
        while waiting and not stop.is_set():
            without_store = waiting[:size], waiting[size:]
            work = functools.partial(_claim, keys=waiting, size=size)
            claimed, waiting = self._file.run(work, without_store, writes=True)
            if claimed:
                yield claimed
            elif waiting:
                self._await_others(set(waiting), stop)

    def _await_others(self, keys: set[bytes], stop: threading.Event) -> None:
        """Wait until one of these keys is no longer claimed by others; nothing is written but signs of life."""
        pause, longest = _POLL_SECONDS
        renewal = time.monotonic() + _CLAIM_SECONDS / 4
        while not stop.wait(pause):
            nobodys: set[bytes] = set()
            if not keys <= self._file.run(_claimed_keys, nobodys):
                return
            if time.monotonic() > renewal:
                self._file.run(_renew, None, writes=True)
                renewal = time.monotonic() + _CLAIM_SECONDS / 4
            pause = min(1.5 * pause, longest)

    def _insert(self, database: sqlite3.Connection, blobs: Mapping[bytes, bytes]) -> None:
        """Store rows and give up all claims on them."""
        with transaction(database):
            insert(database, blobs)
            database.executemany("DELETE FROM claims WHERE key = ?", [(key,) for key in blobs])
            database.execute("UPDATE counts SET computed = computed + ?", (len(blobs),))
            evict(database, self._max_bytes)

    def release(self, keys: Iterable[bytes]) -> None:
        """Give up claims without storing anything."""
        claims = [(key, _owner(os.getpid())) for key in keys]
        self._file.run(lambda database: _release(database, claims), None, writes=True)

    def count_computed(self) -> int:
        """How many rows were ever written to the file."""
        query = "SELECT coalesce(max(CAST(computed AS INTEGER)), 0) FROM counts"
        if not self._file.exists():
            return 0
        return self._file.run(lambda database: database.execute(query).fetchone()[0], 0)


def _claim(database: sqlite3.Connection, keys: list[bytes], size: int) -> tuple[list[bytes], list[bytes]]:
    """Claim the first ``size`` free keys; return them, and those that are neither claimed here nor stored."""
    claimed: list[bytes] = []
    left: list[bytes] = []
    n_seen = 0
    with transaction(database):
        held = _claimed_keys(database)
        while n_seen < len(keys) and len(claimed) < size:
            some = keys[n_seen : n_seen + size]
            stored = stored_keys(database, some)
            for key in some:
                if key not in stored:
                    (left if key in held or len(claimed) == size else claimed).append(key)
            n_seen += len(some)
        pid, owner, expires = os.getpid(), _owner(os.getpid()), time.time() + _CLAIM_SECONDS
        _renew(database)
        database.executemany(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", [(key, owner, pid, expires) for key in claimed]
        )
    return claimed, left + keys[n_seen:]


def _claimed_keys(database: sqlite3.Connection) -> set[bytes]:
    """The keys that living processes have claimed; what cannot be a claim, in a damaged file, is none."""
    now = time.time()
    query = """
        SELECT key, owner, pid FROM claims
        WHERE expires BETWEEN ? AND ? AND typeof(pid) = 'integer' AND pid BETWEEN 1 AND 2147483647
    """
    claims = database.execute(query, (now, now + _CLAIM_SECONDS))
    return {key for key, *claimant in claims if _is_alive(*claimant)}


def _renew(database: sqlite3.Connection) -> None:
    """Show that this process lives."""
    expires = time.time() + _CLAIM_SECONDS
    database.execute("UPDATE claims SET expires = ? WHERE owner = ?", (expires, _owner(os.getpid())))


def _release(database: sqlite3.Connection, claims: list[tuple[bytes, bytes]]) -> None:
    with transaction(database):
        database.executemany("DELETE FROM claims WHERE key = ? AND owner = ?", claims)


def _folder(cache: Place) -> str | None:
    if cache is False:
        return None
    named = os.environ.get("SKDEEP_CACHE_DIR") if cache is True else os.fspath(cache)
    if named is None:
        return str(platformdirs.user_cache_path("skdeep"))
    # unlike Path's, this leaves an unknown user's home as it is
    return os.path.expanduser(named) if named else None  # noqa: PTH111


@functools.lru_cache(maxsize=8)
def _shared_store(folder: str) -> Store:
    """One store a folder: its rows in memory serve all estimators."""
    return Store(Path(folder))


@functools.lru_cache(maxsize=1)
def _owner(pid: int) -> bytes:
    """A name for this process that no other ever has; its pid may come again."""
    return secrets.token_bytes(8)


def _is_alive(owner: bytes, pid: int) -> bool:
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
