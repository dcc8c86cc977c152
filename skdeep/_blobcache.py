"""Values under keys: a bounded file that processes share, under a bounded layer in memory.

A value in the file carries a checksum that binds it to its key; one that is damaged is as one that is missing.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from skdeep._cachefile import CacheFile, transaction

Blobs = dict[bytes, bytes]
Found = tuple[Blobs, list[bytes], list[bytes]]

# Keys and values lie apart, so that noting the use of a value writes some bytes rather than the value
SCHEMA = """
CREATE TABLE entries (key BLOB PRIMARY KEY, id INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE blobs (id INTEGER PRIMARY KEY, value BLOB NOT NULL, checksum BLOB NOT NULL)
"""

_QUERY = 500  # keys in one query; SQLite's oldest limit is 999
_OVERHEAD = 200  # bytes that a key and its place in memory take, about

# held for moments only, and never while another thread forks
_memory_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_memory_lock.acquire, after_in_parent=_memory_lock.release, after_in_child=_memory_lock.release
    )


class BlobCache:
    """Bytes under keys, in a file and in memory.

    Parameters
    ----------
    file : CacheFile or None
        Made with ``SCHEMA``; None keeps the values in memory only.
    max_bytes : int
        Size of the file beyond which values go: those that were not used for most hours, and among equals those of the
        lowest keys. So passing over more values than fit finds some of them again each time.
    max_bytes_memory : int
        Of the values in memory, where those go first that were not used for longest.
    """

    def __init__(self, file: CacheFile | None, *, max_bytes: int, max_bytes_memory: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._memory = MemoryLayer(max_bytes_memory)

    def read(self, keys: Iterable[bytes]) -> Blobs:
        """The values that are stored, by key; those that are missing or damaged are left out."""
        keys = list(keys)
        blobs = self._memory.read(keys)
        if self._file is None or len(blobs) == len(keys):
            return blobs
        missing = [key for key in keys if key not in blobs]
        nothing: Found = ({}, [], [])
        stored, unnoted, damaged = self._file.run(lambda database: _select(database, missing), nothing)
        if damaged:
            self._file.run(lambda database: _forget(database, damaged), None, writes=True)
        if unnoted:
            self._file.run(lambda database: _note_use(database, unnoted), None, writes=True)
        self._memory.write(stored)
        blobs.update(stored)
        return blobs

    def holds(self, keys: Iterable[bytes]) -> set[bytes]:
        """The keys under which a value is stored; none is read, so that some may be damaged."""
        keys = list(keys)
        held = set(self._memory.read(keys))
        missing = [key for key in keys if key not in held]
        if self._file is not None and missing:
            nothing: set[bytes] = set()
            held |= self._file.run(lambda database: stored_keys(database, missing), nothing)
        return held

    def keys(self) -> list[bytes]:
        """The keys under which the file holds a value, in order; none is read, so that some may be damaged."""
        nothing: list[bytes] = []
        if self._file is None or not self._file.exists():
            return nothing
        return self._file.run(_all_keys, nothing)

    def write(self, blobs: Mapping[bytes, bytes]) -> None:
        """Store values."""
        self._memory.write(blobs)
        if self._file is not None and blobs:
            self._file.run(lambda database: self._insert(database, blobs), None, writes=True)

    def _insert(self, database: sqlite3.Connection, blobs: Mapping[bytes, bytes]) -> None:
        with transaction(database):
            insert(database, blobs)
            evict(database, self._max_bytes)

    def count(self) -> int:
        """How many values the file holds."""
        if self._file is None or not self._file.exists():
            return 0
        return self._file.run(lambda database: database.execute("SELECT count(*) FROM entries").fetchone()[0], 0)

    def n_bytes(self) -> int:
        """Bytes on disk."""
        return 0 if self._file is None else self._file.n_bytes()

    def clear(self) -> None:
        """Remove every value, and a damaged file with them."""
        self._memory.clear()
        if self._file is not None:
            self._file.clear()


class MemoryLayer:
    """The values read or written last, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._blobs: OrderedDict[bytes, bytes] = OrderedDict()

    def read(self, keys: list[bytes]) -> Blobs:
        """The values that are here."""
        with _memory_lock:
            find, move_to_end = self._blobs.get, self._blobs.move_to_end
            found = {key: blob for key, blob in zip(keys, map(find, keys), strict=True) if blob is not None}
            for key in found:
                move_to_end(key)
        return found

    def write(self, blobs: Mapping[bytes, bytes]) -> None:
        """Keep values; those used longest ago go."""
        with _memory_lock:
            for key, value in blobs.items():
                if key not in self._blobs:
                    self._blobs[key] = value
                    self._n_bytes += len(value) + _OVERHEAD
            while self._n_bytes > self._max_bytes:
                _, value = self._blobs.popitem(last=False)
                self._n_bytes -= len(value) + _OVERHEAD

    def clear(self) -> None:
        """Forget all."""
        with _memory_lock:
            self._blobs.clear()
            self._n_bytes = 0


def stored_keys(database: sqlite3.Connection, keys: list[bytes]) -> set[bytes]:
    """Those among some keys under which a value is stored."""
    return {
        key
        for some in slices(keys, _QUERY)
        for (key,) in database.execute(f"SELECT key FROM entries WHERE key IN ({_marks(some)})", some)
    }


def insert(database: sqlite3.Connection, blobs: Mapping[bytes, bytes]) -> None:
    """Store values within a transaction, in the place of those that are there."""
    hour = _hour()
    _remove(database, list(blobs))
    for key, value in blobs.items():
        place = database.execute("INSERT INTO blobs (value, checksum) VALUES (?, ?)", (value, checksum_of(key, value)))
        database.execute("INSERT INTO entries VALUES (?, ?, ?)", (key, place.lastrowid, hour))


def evict(database: sqlite3.Connection, max_bytes: int) -> None:
    """Let values go within a transaction, a tenth at a time, while the file is too large."""
    n_removed = 1
    while n_removed and used_bytes(database) > max_bytes:
        oldest = database.execute(
            "SELECT key FROM entries ORDER BY used, key LIMIT (SELECT 1 + count(*) / 10 FROM entries)"
        ).fetchall()
        n_removed = _remove(database, [key for (key,) in oldest])


def used_bytes(database: sqlite3.Connection) -> int:
    """Bytes of the pages that hold something."""
    pages, free, page_size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page_size


def checksum_of(key: bytes, value: bytes) -> bytes:
    """What binds a value to its key."""
    checksum = hashlib.sha256(key)
    checksum.update(value)
    return checksum.digest()[:16]


def slices(keys: list[bytes], size: int) -> Iterator[list[bytes]]:
    """Cut keys into lists of ``size``, the last of which may be shorter."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _all_keys(database: sqlite3.Connection) -> list[bytes]:
    """All keys; what cannot be one, in a damaged file, is none."""
    return [key for (key,) in database.execute("SELECT key FROM entries WHERE typeof(key) = 'blob' ORDER BY key")]


def _select(database: sqlite3.Connection, keys: list[bytes]) -> Found:
    """Values that are whole, the keys whose use in this hour is not noted yet, and the keys of damaged values."""
    blobs: Blobs = {}
    unnoted, damaged = [], []
    hour = _hour()
    for some in slices(keys, _QUERY):
        query = (
            "SELECT entries.key, value, checksum, used IS NOT ? "
            f"FROM entries LEFT JOIN blobs USING (id) WHERE entries.key IN ({_marks(some)})"
        )
        for key, value, checksum, is_unnoted in database.execute(query, (hour, *some)):
            if not isinstance(value, bytes) or checksum_of(key, value) != checksum:
                damaged.append(key)
                continue
            blobs[key] = value
            if is_unnoted:
                unnoted.append(key)
    return blobs, unnoted, damaged


def _forget(database: sqlite3.Connection, keys: list[bytes]) -> None:
    with transaction(database):
        _remove(database, keys)


def _note_use(database: sqlite3.Connection, keys: list[bytes]) -> None:
    hour = _hour()
    with transaction(database):
        database.executemany("UPDATE entries SET used = ? WHERE key = ?", [(hour, key) for key in keys])


def _remove(database: sqlite3.Connection, keys: list[bytes]) -> int:
    """Remove values within a transaction, and say how many there were."""
    rows = [(key,) for key in keys]
    database.executemany("DELETE FROM blobs WHERE id = (SELECT id FROM entries WHERE key = ?)", rows)
    return database.executemany("DELETE FROM entries WHERE key = ?", rows).rowcount


def _hour() -> int:
    """Now, in hours: uses within one hour are equal, and reading writes at most once in it."""
    return int(time.time() // 3600)


def _marks(keys: list[bytes]) -> str:
    return ",".join("?" * len(keys))
