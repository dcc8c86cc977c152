"""Columns of images: files that are read when they are asked for, or arrays in memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from skdeep._text import listed
from skdeep.exceptions import ImageError
from skdeep.images.decode import decode, unreadable
from skdeep.images.digests import FileDigests, identities

ImageShape = tuple[int, ...]


@dataclass(frozen=True)
class ImageFormat:
    """What ``fit`` has learnt of the form of X, so that no later batch is read in another way.

    Attributes
    ----------
    pixel_range : {255, 1}
        The value of white in arrays.
    image_shape : tuple of int or None
        Shape of one image where X holds flat rows.
    n_side_features : int
        Numbers that stand beside each image.
    side_names : tuple of str or None
        Their names, where X was a DataFrame.
    """

    pixel_range: Literal[255, 1]
    image_shape: ImageShape | None
    n_side_features: int
    side_names: tuple[str, ...] | None = None


class Images(ABC):
    """A column of images, and the numbers beside them.

    Attributes
    ----------
    side_features : ndarray of float32 of shape (n_images, n_side_features)
    format : ImageFormat
    """

    def __init__(self, side_features: NDArray[np.float32], image_format: ImageFormat) -> None:
        self.side_features = side_features
        self.format = image_format

    def __len__(self) -> int:
        return len(self.side_features)

    @abstractmethod
    def pixels(self, row: int) -> torch.Tensor:
        """One picture: uint8, or float32 from 0 to 1, of shape (3, height, width)."""

    @abstractmethod
    def digests(self, remembered: FileDigests | None = None) -> list[bytes]:
        """Digests of all that the rows' ``pixels`` depend on; empty for a row that cannot be read.

        Parameters
        ----------
        remembered : FileDigests or None
            What spares files that were read before; None reads them all.
        """

    @abstractmethod
    def broken(self, rows: Sequence[int]) -> dict[int, str]:
        """The rows among these that visibly hold no image, and why; cheap beside decoding."""

    def check(self, rows: Sequence[int]) -> None:
        """Raise ``ImageError`` if some of these rows visibly hold no image."""
        broken = self.broken(rows)
        if broken:
            raise ImageError(
                f"{len(broken)} of {len(self)} image files cannot be read as images: {listed(broken.values())}."
            )


class FileImages(Images):
    """Images in files, read when they are asked for."""

    def __init__(self, paths: list[str], side_features: NDArray[np.float32], image_format: ImageFormat) -> None:
        super().__init__(side_features, image_format)
        self._paths = paths
        self._identities = identities(paths)
        self._digests: list[bytes] | None = None
        missing = [path for path, identity in zip(paths, self._identities, strict=True) if identity is None]
        if missing:
            raise ImageError(f"{len(missing)} of {len(paths)} image files cannot be found: {listed(missing)}.")

    def pixels(self, row: int) -> torch.Tensor:
        """Read and decode a file."""
        content = self._read(row)
        if self._digests is not None and hashlib.sha256(content).digest() != self._digests[row]:
            raise ImageError(f"The image {self._paths[row]!r} was changed while it was being used.")
        return _channels_first(decode(content, self._paths[row]))

    def digests(self, remembered: FileDigests | None = None) -> list[bytes]:
        """SHA-256 of the files."""
        if self._digests is None:
            self._digests = (remembered or FileDigests(None)).of(self._paths, self._identities)
        return self._digests

    def _read(self, row: int) -> bytes:
        try:
            return Path(self._paths[row]).read_bytes()
        except OSError as error:
            raise ImageError(f"The image {self._paths[row]!r} cannot be read: {error}.") from error

    def broken(self, rows: Sequence[int]) -> dict[int, str]:
        """Look at the first bytes of files."""
        path_of = {row: self._paths[row] for row in rows}
        names = set(unreadable(list(path_of.values())))
        return {row: path for row, path in path_of.items() if path in names}


class ArrayImages(Images):
    """Images as arrays in memory: one array of them all, or a list of arrays of any sizes."""

    def __init__(
        self,
        arrays: NDArray[Any] | list[NDArray[Any]],
        side_features: NDArray[np.float32],
        image_format: ImageFormat,
    ) -> None:
        super().__init__(side_features, image_format)
        self._arrays = arrays

    def pixels(self, row: int) -> torch.Tensor:
        """One array, as it came."""
        return _channels_first(self._canonical(row))

    def digests(self, remembered: FileDigests | None = None) -> list[bytes]:
        """SHA-256 of shape, dtype and values."""
        return [self._digest(row) for row in range(len(self))]

    def _digest(self, row: int) -> bytes:
        pixels = self._canonical(row)
        digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype}".encode())
        digest.update(np.ascontiguousarray(pixels).data)
        return digest.digest()

    def broken(self, rows: Sequence[int]) -> dict[int, str]:
        """None: arrays were checked when they came in."""
        return {}

    def _canonical(self, row: int) -> NDArray[Any]:
        """The same array for the same picture, whichever dtype a caller's wrapper made of it."""
        pixels = np.asarray(self._arrays[row])
        if self.format.pixel_range == 1:
            return pixels.astype(np.float32)
        if pixels.dtype == np.uint8:
            return pixels
        whole = pixels.astype(np.uint8)
        return whole if np.array_equal(whole, pixels) else pixels.astype(np.float32) / np.float32(255)


def _channels_first(pixels: NDArray[Any]) -> torch.Tensor:
    """An (h, w, c) array as a contiguous (3, h, w) tensor; grey is repeated."""
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    return torch.from_numpy(pixels if pixels.flags.writeable else pixels.copy())
