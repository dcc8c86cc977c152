"""An exact neighbour search on whatever device torch has."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_CHUNK = 2**25  # distances at once: 256 MB of float64


class TorchNeighbors:
    """Nearest neighbours by Euclidean distance, all pairs compared in float64.

    Parameters
    ----------
    n_neighbors : int
    device : str
        A device of torch with float64; ``"auto"`` is CUDA where there is one, else the CPU.
    """

    def __init__(self, n_neighbors: int, device: str) -> None:
        self._n_neighbors = n_neighbors
        self._device = device

    def fit(self, X: NDArray[Any]) -> Self:
        """Store the rows, shape (n_samples, n_features).

        Raises
        ------
        ValueError
            If torch cannot keep float64 on the device.
        """
        import torch

        device = self._resolve_device()
        try:
            torch.empty(0, dtype=torch.float64, device=device)
        except (RuntimeError, AssertionError, TypeError) as error:
            raise ValueError(f"device={device!r} cannot be used for an exact search in float64: {error}") from error
        self._rows = np.ascontiguousarray(X)
        return self

    def kneighbors(self, X: NDArray[Any] | None = None, *, return_distance: bool = False) -> NDArray[np.intp]:
        """Find the positions of each row's nearest training rows, the nearest first.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), default=None
            None is the training rows, each without itself.
        return_distance : bool, default=False
            Only False: the distances stay on the device.

        Returns
        -------
        neighbors : ndarray of int of shape (n_samples, n_neighbors)
        """
        import torch

        if return_distance:
            raise ValueError("Distances are not given back: ask with return_distance=False.")
        device = self._resolve_device()
        known = torch.as_tensor(self._rows, dtype=torch.float64, device=device)
        asked = known if X is None else torch.as_tensor(np.ascontiguousarray(X), dtype=torch.float64, device=device)
        step = max(1, _CHUNK // len(known))
        found = []
        for start in range(0, len(asked), step):
            # the quick way by a product of matrices loses the digits that tell near rows apart
            distances = torch.cdist(asked[start : start + step], known, compute_mode="donot_use_mm_for_euclid_dist")
            if X is None:
                rows = torch.arange(len(distances), device=device)
                distances[rows, rows + start] = torch.inf
            found.append(distances.topk(self._n_neighbors, largest=False).indices.cpu().numpy())
        return np.concatenate(found).astype(np.intp)

    def _resolve_device(self) -> str:
        """At each search anew, so that what was fitted on a GPU can be asked without one."""
        import torch

        if self._device != "auto":
            return self._device
        return "cuda" if torch.cuda.is_available() else "cpu"
