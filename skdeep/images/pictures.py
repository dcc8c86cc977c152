"""Pictures of one size, kept so that no file is decoded and resized twice.

The idea is fast.ai's, whose ``data.resize`` wrote a folder of smaller files before training (fastai 0.7).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import PIL
import torchvision
from numpy.typing import NDArray

from skdeep._blobcache import SCHEMA, BlobCache
from skdeep._cachefile import CacheFile, CacheFolder
from skdeep.images.resize import Geometry

Pictures = dict[bytes, NDArray[np.uint8]]

# raised whenever the way from a file to its picture changes: pictures stored before are no longer found
_FORMAT = 1
_VERSION = 1
_MAX_BYTES_DISK = 5 * 2**30
_MAX_BYTES_MEMORY = 512 * 2**20
_SHAPE = struct.Struct("<III")


class PictureCache:
    """Decoded and resized pictures of files.

    Parameters
    ----------
    folder : CacheFolder
        The pictures lie in a file of their own, so that they never take the place of features.
    max_bytes : int, default=5 GiB
        Size of the file beyond which pictures go.
    max_bytes_memory : int, default=512 MiB
    """

    def __init__(
        self, folder: CacheFolder, *, max_bytes: int = _MAX_BYTES_DISK, max_bytes_memory: int = _MAX_BYTES_MEMORY
    ) -> None:
        file = CacheFile(folder, "pictures", SCHEMA, version=_VERSION, page_size=65536)
        self.cache = BlobCache(file, max_bytes=max_bytes, max_bytes_memory=max_bytes_memory)

    def read(self, keys: Iterable[bytes]) -> Pictures:
        """The pictures that are stored, by key.

        Parameters
        ----------
        keys : iterable of bytes
            From ``picture_keys``.

        Returns
        -------
        pictures : dict of ndarray of uint8 of shape (height, width, n_channels)
            Not to be written to.
        """
        return {key: _unpacked(blob) for key, blob in self.cache.read(keys).items()}

    def write(self, pictures: Mapping[bytes, NDArray[np.uint8]]) -> None:
        """Store pictures of shape (height, width, n_channels)."""
        self.cache.write({key: _packed(picture) for key, picture in pictures.items()})


def picture_keys(digests: Sequence[bytes], geometry: Geometry) -> list[bytes]:
    """A key for each file's picture: equal keys, equal pictures.

    Parameters
    ----------
    digests : sequence of bytes
        Of the files, as ``Images.digests`` gives them.
    geometry : Geometry
    """
    context = {
        "format": _FORMAT,
        "geometry": asdict(geometry),
        "versions": [PIL.__version__, torchvision.__version__],
    }
    prefix = hashlib.sha256(json.dumps(context, sort_keys=True).encode()).digest()
    return [hashlib.sha256(prefix + digest).digest()[:16] for digest in digests]


def _packed(picture: NDArray[np.uint8]) -> bytes:
    if picture.dtype != np.uint8 or picture.ndim != 3:
        raise ValueError(
            "Pictures must be of uint8 and of shape (height, width, n_channels), got an array of "
            f"{picture.dtype} and shape {picture.shape}."
        )
    return _SHAPE.pack(*picture.shape) + picture.tobytes()


def _unpacked(blob: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(blob, dtype=np.uint8, offset=_SHAPE.size).reshape(_SHAPE.unpack_from(blob))
