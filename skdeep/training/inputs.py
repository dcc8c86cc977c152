"""What a net learns from: rows of a table, or images, taken a batch at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from skdeep.images import Geometry, Images, PictureCache, load_batches

Arguments = dict[str, torch.Tensor]


class Rows(ABC):
    """Rows that become the keyword arguments of a module's ``forward``."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, batches: Iterable[list[int]]) -> Iterator[Arguments]:
        """The arguments for each batch of rows, in order."""


class TableRows(Rows):
    """Rows of numbers.

    Parameters
    ----------
    table : ndarray of float32 or CSR of shape (n_rows, n_columns)
    """

    def __init__(self, table: Any) -> None:
        dense = not sparse.issparse(table)
        self._table: Any = torch.as_tensor(np.array(table, dtype=np.float32)) if dense else table.tocsr()

    def __len__(self) -> int:
        return int(self._table.shape[0])

    def take(self, batches: Iterable[list[int]]) -> Iterator[Arguments]:
        """Cut batches out of the table; sparse ones become dense."""
        for batch in batches:
            rows = self._table[batch]
            yield {"table": torch.from_numpy(rows.toarray()) if sparse.issparse(rows) else rows}


class ImageRows(Rows):
    """Images at the size that a network takes, and the numbers beside them; on the device where it computes.

    Parameters
    ----------
    images : Images
    geometry : Geometry
    device : str
    cache : PictureCache or None
        Where resized pictures of files are kept from one epoch to the next.
    """

    def __init__(self, images: Images, geometry: Geometry, device: str, cache: PictureCache | None = None) -> None:
        self._images = images
        self._geometry = geometry
        self._device = device
        self._cache = cache

    def __len__(self) -> int:
        return len(self._images)

    def take(self, batches: Iterable[list[int]]) -> Iterator[Arguments]:
        """Load batches."""
        loaded = load_batches(self._images, batches, self._geometry, device=self._device, cache=self._cache)
        for batch, pixels in loaded:
            side: NDArray[np.float32] = self._images.side_features[list(batch)]
            yield {
                "images": pixels.to(self._device, non_blocking=True),
                "side_features": torch.from_numpy(side).to(self._device),
            }
