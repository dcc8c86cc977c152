"""Feature files: rows of float32 under their keys, computed elsewhere, in one file that is only read.

The feature store is for one host, since SQLite is not for network file systems. A feature file is for all hosts that
can read it: it is written whole or not at all, and reading locks and writes nothing. Its rows carry the checksums of
the store, so that one that is damaged is as one that is missing.
"""

from __future__ import annotations

import functools
import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from skdeep._blobcache import Blobs, MemoryLayer, checksum_of, slices
from skdeep._tensorfile import TensorPlace, find_tensors, write_tensors
from skdeep.exceptions import FeatureStoreWarning
from skdeep.features.store import Cache, open_named, split_cache

_KIND = "features"
_KEY_BYTES = 16
_READ_BYTES = 2**20  # at once; a network file system answers late, and with much
_READ_ROWS = 10_000  # of a store at once
_MAX_BYTES_MEMORY = 512 * 2**20


@dataclass(frozen=True)
class FeatureFileInfo:
    """What a feature file holds.

    Attributes
    ----------
    path : Path
    n_rows : int
        Rows of features.
    n_bytes : int
        Size of the file.
    context : dict or None
        All that shaped the rows beside the images, such as precision, kind of device and versions of libraries: other
        features are not found in the file. None for the rows of a store, which does not know.
    """

    path: Path
    n_rows: int
    n_bytes: int
    context: dict[str, Any] | None


def export_features(path: str | os.PathLike[str], *, cache: Cache = True) -> FeatureFileInfo:
    """Write all rows of a feature store to one file that other hosts can read.

    To write those of certain images, use :meth:`skdeep.CNNFeatureExtractor.export`, or a store that holds no others.
    All rows are in memory meanwhile, up to three times.

    Parameters
    ----------
    path : str or path
        A safetensors file, in place of the one that may be there.
    cache : True, str, path or list of these, default=True
        The store, as in the estimators' parameter ``cache``.

    Returns
    -------
    info : FeatureFileInfo

    Raises
    ------
    ValueError
        If the store is switched off or holds no features.
    OSError
        If the file cannot be written; an old one is then as it was.
    """
    check_folder(path)
    features = open_named(cache).features
    rows: Blobs = {}
    for keys in slices(features.keys(), _READ_ROWS):
        rows.update(features.read(keys))
    return write_features(path, rows)


def file_info(path: str | os.PathLike[str]) -> FeatureFileInfo:
    """Say what a feature file holds.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    info : FeatureFileInfo

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged, or no feature file.
    """
    with Path(path).open("rb") as file:
        tables, context = _read_index(file)
        n_bytes = os.fstat(file.fileno()).st_size
    return FeatureFileInfo(Path(path), sum(len(table.keys) for table in tables), n_bytes, context)


def write_features(
    path: str | os.PathLike[str], rows: Mapping[bytes, bytes], context: Mapping[str, Any] | None = None
) -> FeatureFileInfo:
    """Write rows of float32 to a feature file.

    Parameters
    ----------
    path : str or path
    rows : mapping of bytes to bytes
        By key of 16 bytes. Each width gets tensors of its own: the keys in order, the rows and their checksums.
    context : mapping or None, default=None
        What is told of the rows.

    Returns
    -------
    info : FeatureFileInfo

    Raises
    ------
    ValueError
        If there are none.
    OSError
        If the file cannot be written.
    """
    if not rows:
        raise ValueError(f"There are no features to write to {str(path)!r}: extract some first.")
    keys_of: dict[int, list[bytes]] = {}
    for key in sorted(rows):
        keys_of.setdefault(len(rows[key]) // 4, []).append(key)
    tensors: dict[str, torch.Tensor] = {}
    digests: dict[str, str] = {}
    for width, keys in keys_of.items():
        index = [bytearray().join(keys), bytearray().join(checksum_of(key, rows[key]) for key in keys)]
        values = torch.frombuffer(bytearray().join(rows[key] for key in keys), dtype=torch.float32)
        parts = [torch.frombuffer(part, dtype=torch.uint8).reshape(len(keys), -1) for part in index]
        tensors.update(zip(_names(width), [*parts, values.reshape(len(keys), width)], strict=True))
        digests[str(width)] = _digest(*index)
    write_tensors(path, tensors, {"kind": _KIND, "digests": digests, "context": context})
    return file_info(path)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raise an error, before features are computed for a file, if its folder is not there."""
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"The folder {str(folder)!r} is not there: make it before features are written to it.")


def open_files(cache: Cache) -> list[FeatureFile]:
    """Open the feature files that a ``cache=`` parameter names, in the order in which rows are looked for in them."""
    # absolute: a file stays the same wherever the process goes; expanduser as for stores
    return [_shared_file(os.path.abspath(os.path.expanduser(name))) for name in split_cache(cache)[1]]  # noqa: PTH100, PTH111


class FeatureFile:
    """Rows of float32, as bytes, under keys, in a file that is only read.

    The file is open for moments only: no handle goes over a fork, and another file may take its place. It is not mapped
    into memory, since a process that has mapped a file ends where a network file system loses that.

    Parameters
    ----------
    path : Path
    max_bytes_memory : int, default=512 MiB
        Of the rows in memory, where those go first that were not used for longest.
    """

    def __init__(self, path: Path, *, max_bytes_memory: int = _MAX_BYTES_MEMORY) -> None:
        self.path = path
        self._memory = MemoryLayer(max_bytes_memory)
        self._index: tuple[tuple[int, ...], list[_Table]] | None = None
        self._has_complained = False

    def read(self, keys: Iterable[bytes]) -> Blobs:
        """The rows that are here, by key; those that are missing or damaged are left out, the latter with a warning."""
        keys = list(keys)
        rows = self._memory.read(keys)
        missing = [key for key in keys if key not in rows]
        if missing:
            found = self._look_up(missing)
            self._memory.write(found)
            rows.update(found)
        return rows

    def _look_up(self, keys: list[bytes]) -> Blobs:
        rows: Blobs = {}
        n_damaged = 0
        try:
            with self.path.open("rb") as file:
                for table in self._tables(file):
                    for key, row, is_whole in table.select(file, keys):
                        if is_whole:
                            rows[key] = row
                        else:
                            n_damaged += 1
            if n_damaged:
                self._complain(f"damaged rows: {n_damaged}")
        except (OSError, ValueError, MemoryError) as error:
            self._complain(str(error))
        return rows

    def _tables(self, file: BinaryIO) -> list[_Table]:
        """What is known of the rows; read again where another file has taken the place of the last."""
        status = os.fstat(file.fileno())
        state = status.st_ino, status.st_size, status.st_mtime_ns
        if self._index is None or self._index[0] != state:
            self._index = state, _read_index(file)[0]
        return self._index[1]

    def _complain(self, reason: str) -> None:
        """Warn, unless that was done before."""
        if self._has_complained:
            return
        self._has_complained = True
        warnings.warn(
            f"The feature file {str(self.path)!r} cannot be used as it should ({reason}): features that are not found "
            "are computed again. Write it again, or leave it out of SKDEEP_FEATURE_FILES and cache=.",
            FeatureStoreWarning,
            stacklevel=2,
        )


@dataclass(frozen=True)
class _Table:
    """The rows of one width: their keys in order, their checksums, and where they lie."""

    keys: NDArray[np.bytes_]
    checksums: bytes
    rows: TensorPlace

    def select(self, file: BinaryIO, keys: list[bytes]) -> Iterator[tuple[bytes, bytes, bool]]:
        """Keys among these, their rows, and whether those are whole; neighbours are read at once."""
        wanted = _as_array(b"".join(keys))
        found = np.searchsorted(self.keys, wanted)
        found[found == len(self.keys)] = 0
        hits = np.flatnonzero(self.keys[found] == wanted)
        hits = hits[np.argsort(found[hits])]
        size = 4 * self.rows.shape[1]
        blocks = found[hits] // max(1, _READ_BYTES // size)
        for some in np.split(hits, np.flatnonzero(np.diff(blocks)) + 1):
            yield from self._read(file, [(int(found[hit]), keys[hit]) for hit in some], size)

    def _read(self, file: BinaryIO, placed: list[tuple[int, bytes]], size: int) -> Iterator[tuple[bytes, bytes, bool]]:
        if not placed:
            return
        first, last = placed[0][0], placed[-1][0]
        file.seek(self.rows.start + first * size)
        content = file.read((last + 1 - first) * size)
        for place, key in placed:
            row = content[(place - first) * size : (place + 1 - first) * size]
            checksum = self.checksums[place * _KEY_BYTES : (place + 1) * _KEY_BYTES]
            yield key, row, checksum_of(key, row) == checksum


def _read_index(file: BinaryIO) -> tuple[list[_Table], dict[str, Any] | None]:
    """All of a file but its rows, and what is told of them."""
    places, document = find_tensors(file)
    if document.get("kind") != _KIND:
        raise ValueError(f"{str(file.name)!r} is no feature file.")
    try:
        tables = [_read_table(file, places, int(width), digest) for width, digest in document["digests"].items()]
        return tables, document["context"]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{str(file.name)!r} is damaged: what it says of its rows is wrong ({error!r}).") from error


def _read_table(file: BinaryIO, places: Mapping[str, TensorPlace], width: int, digest: str) -> _Table:
    keys, checksums, rows = (places[name] for name in _names(width))
    n_rows = rows.shape[0]
    expected = [("U8", _KEY_BYTES, 1), ("U8", _KEY_BYTES, 1), ("F32", width, 4)]
    for part, (dtype, n_columns, itemsize) in zip((keys, checksums, rows), expected, strict=True):
        n_bytes = n_rows * n_columns * itemsize
        if not n_bytes > 0 or part != TensorPlace(dtype, (n_rows, n_columns), part.start, n_bytes):
            raise ValueError(f"unexpected {part}")
    index = [_read_part(file, part) for part in (keys, checksums)]
    if _digest(*index) != digest:
        raise ValueError("the keys do not have their digest")
    return _Table(_as_array(index[0]), index[1], rows)


def _read_part(file: BinaryIO, place: TensorPlace) -> bytes:
    file.seek(place.start)
    return file.read(place.n_bytes)


def _names(width: int) -> list[str]:
    return [f"{part}/{width}" for part in ("keys", "checksums", "rows")]


def _digest(keys: bytes | bytearray, checksums: bytes | bytearray) -> str:
    return hashlib.sha256(keys + checksums).hexdigest()


def _as_array(keys: bytes) -> NDArray[np.bytes_]:
    # numpy strips zeros at the end of such values, but compares them as if they were there
    return np.frombuffer(keys, dtype=f"S{_KEY_BYTES}")


@functools.lru_cache(maxsize=32)
def _shared_file(path: str) -> FeatureFile:
    """One object a file: its rows in memory serve all estimators."""
    return FeatureFile(Path(path))
