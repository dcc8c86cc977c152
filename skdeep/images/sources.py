"""Columns of images: files that are read when they are asked for, or arrays in memory."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from skdeep._text import listed
from skdeep.exceptions import ImageError
from skdeep.images.channels import ChannelAxis
from skdeep.images.decode import decode
from skdeep.images.digests import FileDigests, identities
from skdeep.images.faults import find_fault
from skdeep.images.resize import Geometry

ImageShape = tuple[int, ...]

_EXAMINED = 1000  # files that wait for a thread at a time: each takes two kilobytes


@dataclass(frozen=True)
class ImageFormat:
    """What ``fit`` has learnt of the form of X, so that no later batch is read in another way.

    Attributes
    ----------
    pixel_range : {255, 1}
        The value of white in arrays.
    image_shape : tuple of int or None
        Shape of one image where X holds flat rows.
    channel_axis : {"auto", "first", "last"}
        Where the channels are in arrays; "auto" as long as X had no arrays that showed it.
    n_channels : int
        Channels of every picture; 3 where X holds files or PIL images.
    n_side_features : int
        Numbers that stand beside each image.
    side_names : tuple of str or None
        Their names, where X was a DataFrame.
    """

    pixel_range: Literal[255, 1]
    image_shape: ImageShape | None
    channel_axis: ChannelAxis
    n_channels: int
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
    def pixels(self, row: int, geometry: Geometry) -> torch.Tensor:
        """One picture as a network takes it.

        Parameters
        ----------
        row : int
        geometry : Geometry
            The size of the picture, and how it is brought to it.

        Returns
        -------
        pixels : tensor of shape (n_channels, height, width)
            uint8, or float32 from 0 to 1. Nobody may write into it: it may be a view of X. The channels lie side by
            side in memory, but where X has them apart.

        Raises
        ------
        ImageError
            If the row holds no whole picture.
        """

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
        """The rows among these that visibly hold no whole picture, and why; cheap beside a network.

        Whoever trusts it is told of files that are missing, no images, too large or cut short before hours are spent;
        bits that changed inside a file are left to ``pixels``.
        """

    @abstractmethod
    def some(self, rows: Sequence[int]) -> Self:
        """The images of some rows, in their order; nothing is copied."""

    def check(self, rows: Sequence[int]) -> None:
        """Raise ``ImageError`` if some of these rows visibly hold no whole picture; cheap beside a network."""
        broken = self.broken(rows)
        if broken:
            named = listed(f"{self._name(row)} ({reason})" for row, reason in broken.items())
            raise ImageError(f"{len(broken)} of {len(self)} images cannot be read: {named}.")

    @abstractmethod
    def _name(self, row: int) -> str:
        """What errors call an image."""


class FileImages(Images):
    """Images in files, read when they are asked for."""

    def __init__(
        self,
        paths: list[str],
        side_features: NDArray[np.float32],
        image_format: ImageFormat,
        *,
        missing_ok: bool = False,
    ) -> None:
        super().__init__(side_features, image_format)
        self._paths = paths
        self._identities = identities(paths)
        self._digests: list[bytes] | None = None
        missing = [path for path, identity in zip(paths, self._identities, strict=True) if identity is None]
        if missing and not missing_ok:
            raise ImageError(f"{len(missing)} of {len(paths)} image files cannot be found: {listed(missing)}.")

    def pixels(self, row: int, geometry: Geometry) -> torch.Tensor:
        """Read, decode and resize a file."""
        try:
            content = self._read(row)
            if self._digests is not None and hashlib.sha256(content).digest() != self._digests[row]:
                raise ImageError("it was changed while it was being used")
            return geometry(_tensor(decode(content, geometry)))
        except ImageError as error:
            raise ImageError(f"The image {self._name(row)} cannot be read: {error}.") from error

    def digests(self, remembered: FileDigests | None = None) -> list[bytes]:
        """SHA-256 of the files."""
        if self._digests is None:
            self._digests = (remembered or FileDigests(None)).of(self._paths, self._identities)
        return self._digests

    def some(self, rows: Sequence[int]) -> Self:
        """The files of some rows."""
        part = copy.copy(self)
        part.side_features = self.side_features[list(rows)]
        part._paths, part._identities = _picked(self._paths, rows), _picked(self._identities, rows)
        part._digests = None if self._digests is None else _picked(self._digests, rows)
        return part

    def broken(self, rows: Sequence[int]) -> dict[int, str]:
        """Read files, as many at once as torch may use threads; decode those whose end is not as it should be."""
        faults: dict[int, str | None] = {}
        with ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="skdeep-images") as pool:
            for start in range(0, len(rows), _EXAMINED):
                some = rows[start : start + _EXAMINED]
                faults.update(zip(some, pool.map(self._fault, some), strict=True))
        return {row: fault for row, fault in faults.items() if fault is not None}

    def _fault(self, row: int) -> str | None:
        try:
            return find_fault(self._read(row))
        except ImageError as error:
            return str(error)

    def _read(self, row: int) -> bytes:
        try:
            return Path(self._paths[row]).read_bytes()
        except (OSError, ValueError) as error:  # the latter for what no file system takes for a path
            raise ImageError(getattr(error, "strerror", None) or str(error)) from error

    def _name(self, row: int) -> str:
        return repr(self._paths[row])


class ArrayImages(Images):
    """Images as arrays in memory: one array of them all, or a list of arrays of any sizes; the channels come last.

    Attributes
    ----------
    faults : dict of int to str
        Rows that hold no picture, and why; their arrays are empty.
    """

    def __init__(
        self,
        arrays: NDArray[Any] | list[NDArray[Any]],
        side_features: NDArray[np.float32],
        image_format: ImageFormat,
        faults: dict[int, str] | None = None,
    ) -> None:
        super().__init__(side_features, image_format)
        self._arrays = arrays
        self.faults = faults or {}

    def pixels(self, row: int, geometry: Geometry) -> torch.Tensor:
        """Resize an array."""
        if row in self.faults:
            raise ImageError(f"The image of {self._name(row)} cannot be read: {self.faults[row]}.")
        return geometry(_tensor(self._canonical(row)))

    def digests(self, remembered: FileDigests | None = None) -> list[bytes]:
        """SHA-256 of shape, dtype and values."""
        return [self._digest(row) for row in range(len(self))]

    def _digest(self, row: int) -> bytes:
        pixels = self._canonical(row)
        digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype}".encode())
        digest.update(np.ascontiguousarray(pixels).data)
        return digest.digest()

    def some(self, rows: Sequence[int]) -> Self:
        """The arrays of some rows."""
        part = copy.copy(self)
        part.side_features = self.side_features[list(rows)]
        part._arrays = _picked(self._arrays, rows)
        part.faults = {position: self.faults[row] for position, row in enumerate(rows) if row in self.faults}
        return part

    def broken(self, rows: Sequence[int]) -> dict[int, str]:
        """The rows that were found broken when they came in."""
        return {row: self.faults[row] for row in rows if row in self.faults}

    def _name(self, row: int) -> str:
        return f"row {row}"

    def _canonical(self, row: int) -> NDArray[Any]:
        """The same array for the same picture, whichever dtype a caller's wrapper made of it."""
        pixels = np.asarray(self._arrays[row])
        if pixels.shape[-1] < self.format.n_channels:
            pixels = np.repeat(pixels, self.format.n_channels, axis=-1)
        if self.format.pixel_range == 1:
            return pixels.astype(np.float32, copy=False)
        if pixels.dtype == np.uint8:
            return pixels
        whole = pixels.astype(np.uint8)
        return whole if np.array_equal(whole, pixels) else pixels.astype(np.float32) / np.float32(255)


def _picked(items: Any, rows: Sequence[int]) -> list[Any]:
    return [items[row] for row in rows]


def _tensor(pixels: NDArray[Any]) -> torch.Tensor:
    """An (h, w, c) array as a (c, h, w) tensor, without a copy where torch can do without."""
    # torch warns of what is read-only, and knows no steps backwards
    if not pixels.flags.writeable or min(pixels.strides) < 0:
        pixels = pixels.copy()
    return torch.from_numpy(pixels).permute(2, 0, 1)
