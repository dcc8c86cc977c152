"""Digests of files, each file read once until it changes."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from skdeep._blobcache import SCHEMA, BlobCache
from skdeep._cachefile import CacheFile, CacheFolder

_VERSION = 2
_MAX_BYTES_DISK = 256 * 2**20  # two million files, about
_MAX_BYTES_MEMORY = 64 * 2**20
_RACY_SECONDS = 2  # the coarsest clock of a file system, FAT's
_IDENTITY = struct.Struct("<16sQQqqq")


def identities(paths: Sequence[str]) -> list[bytes | None]:
    """A digest of the path, device, inode, size and times of last change of files; None where there is no regular file.

    The path counts because there are file systems, such as FAT, where an inode's number means another file after a
    while, and times are coarse.
    """
    found: list[bytes | None] = []
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 -- a Path costs more than the call itself
        except (OSError, ValueError):
            found.append(None)
            continue
        found.append(_identity(path, status) if stat.S_ISREG(status.st_mode) else None)
    return found


class FileDigests:
    """SHA-256 of files' contents, remembered as long as the files' identities stay.

    A file that was moved, or is found by another path, is read again.

    What was changed within two seconds before it was read is not remembered, for within its clock's tick a file system
    does not tell a second change from the first (git calls such an entry racy). Nor is anything remembered on Windows,
    whose files do not say when they were last changed.

    Parameters
    ----------
    folder : CacheFolder or None
        Where to remember across processes; None remembers in this process only.
    """

    def __init__(self, folder: CacheFolder | None) -> None:
        file = None
        if folder is not None:
            file = CacheFile(folder, "digests", SCHEMA, version=_VERSION, page_size=4096)
        self.cache = BlobCache(file, max_bytes=_MAX_BYTES_DISK, max_bytes_memory=_MAX_BYTES_MEMORY)

    def of(self, paths: Sequence[str], identified: Sequence[bytes | None]) -> list[bytes]:
        """Digest files.

        Parameters
        ----------
        paths : sequence of str
        identified : sequence of bytes or None
            What ``identities`` said of them, earlier.

        Returns
        -------
        digests : list of bytes
            Empty for a file that cannot be read.
        """
        known = self.cache.read(identity for identity in dict.fromkeys(identified) if identity is not None)
        fresh: dict[bytes, bytes] = {}
        digests = []
        for path, identity in zip(paths, identified, strict=True):
            digest = None if identity is None else known.get(identity)
            if digest is None:
                digest, is_lasting = _read(path, identity)
                if identity is not None and is_lasting:
                    known[identity] = fresh[identity] = digest
            digests.append(digest)
        self.cache.write(fresh)
        return digests


def _identity(path: str, status: os.stat_result) -> bytes:
    absolute = os.fsencode(os.path.abspath(path))  # noqa: PTH100 -- a Path costs more
    return _IDENTITY.pack(
        hashlib.blake2b(absolute, digest_size=16).digest(),
        status.st_dev & 0xFFFFFFFFFFFFFFFF,
        status.st_ino & 0xFFFFFFFFFFFFFFFF,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _read(path: str, identity: bytes | None) -> tuple[bytes, bool]:
    """The digest of a file, empty if it cannot be read, and whether the identity given will tell a change of it."""
    started = time.time()
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError):
        return b"", False
    digest = hashlib.sha256(content).digest()
    if os.name != "posix" or identity is None or identities([path]) != [identity]:
        return digest, False
    changed = max(_IDENTITY.unpack(identity)[-2:]) / 1e9
    return digest, changed < started - _RACY_SECONDS
