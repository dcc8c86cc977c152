"""What a net learns from: rows of a table, or images, taken a batch at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from skdeep.images import Geometry, Images, load_batches

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
    """Images at the size that a network takes, and the numbers beside them."""

    def __init__(self, images: Images, geometry: Geometry) -> None:
        self._images = images
        self._geometry = geometry

    def __len__(self) -> int:
        return len(self._images)

    def take(self, batches: Iterable[list[int]]) -> Iterator[Arguments]:
        """Load batches, one ahead of the caller."""
        for batch, pixels in load_batches(self._images, batches, self._geometry):
            side: NDArray[np.float32] = self._images.side_features[list(batch)]
            yield {"images": pixels, "side_features": torch.from_numpy(side)}
