"""Flat rows: the pixels of one image in each, dense or sparse, and numbers to the right of them."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from skdeep.exceptions import FlatRowsWarning, ImageError

_MIB = 2**20
_LARGE = 100 * _MIB  # bytes of dense rows from which on the user is told of a better road
_BLOCK = 8 * _MIB  # bytes of sparse rows that are made dense at a time


def split_rows(
    X: Any, image_shape: tuple[int, ...], pixel_range: Literal["auto", 255, 1]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Part flat rows into images and the numbers beside them.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, n_pixels + n_side_features)
    image_shape : tuple of int
    pixel_range : {"auto", 255, 1}
        The value of white.

    Returns
    -------
    images : ndarray of shape (n, *image_shape)
        A view of dense rows. Of sparse ones, the smallest dtype that leaves the pictures as they are: bool, uint8 or
        float32.
    side_features : ndarray of shape (n, n_side_features)

    Raises
    ------
    ImageError
        If the rows hold too few numbers, or none.
    """
    n_pixels = int(np.prod(image_shape))
    if not sparse.issparse(X) and X.dtype.kind == "O":
        X = _as_numbers(X)
    if X.shape[1] < n_pixels or X.dtype.kind not in "buif":
        raise ImageError(
            f"Flat rows with image_shape={tuple(image_shape)} need at least {n_pixels} numbers each, got X of shape "
            f"{X.shape} and dtype {X.dtype}."
        )
    if sparse.issparse(X):
        X = X.tocsr()
        images, side_features = _dense(X[:, :n_pixels], pixel_range), X[:, n_pixels:].toarray()
    else:
        images, side_features = X[:, :n_pixels], X[:, n_pixels:]
    return images.reshape(len(images), *image_shape), side_features


def warn_if_large(X: NDArray[Any]) -> None:
    """Tell of the better road than large dense rows."""
    if X.nbytes > _LARGE:
        warnings.warn(
            f"X holds {X.nbytes / _MIB:.0f} MiB of flat rows, {X.dtype} numbers, and whatever copies X needs as much "
            f"again. Pass the paths of image files, or an (n, height, width, channels) array of uint8, which takes "
            f"{X.size / _MIB:.0f} MiB.",
            FlatRowsWarning,
            stacklevel=2,
        )


def _as_numbers(X: NDArray[Any]) -> NDArray[Any]:
    """Make numbers of objects, as which pandas hands out columns of several types, where they are some."""
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError):
        return X


def _dense(X: Any, pixel_range: Literal["auto", 255, 1]) -> NDArray[Any]:
    """Make sparse rows dense, a block at a time, so that no more memory is needed than the result takes."""
    if not X.has_canonical_format:
        # numbers given several times are summed; the slice may share the user's own, so they are copied
        X = X.copy()
        X.sum_duplicates()
    dense = np.empty(X.shape, dtype=_smallest_dtype(X, pixel_range))
    n_rows = max(1, _BLOCK // (X.dtype.itemsize * X.shape[1]))
    for start in range(0, X.shape[0], n_rows):
        dense[start : start + n_rows] = X[start : start + n_rows].toarray()
    return dense


def _smallest_dtype(X: Any, pixel_range: Literal["auto", 255, 1]) -> type:
    if X.dtype.kind == "b":
        return np.bool_
    if X.nnz == 0:
        return np.uint8 if X.dtype.kind in "ui" or pixel_range == 255 else np.float32
    lowest, highest = X.data.min(), X.data.max()
    if not (lowest >= 0 and highest <= 255):
        return np.float32
    if X.dtype.kind in "ui":
        return np.uint8
    # fractions, and floats whose white is 1, stay what they are
    white_is_255 = pixel_range == 255 or (pixel_range == "auto" and highest > 1)
    return np.uint8 if white_is_255 and _are_whole(X.data) else np.float32


def _are_whole(values: NDArray[Any]) -> bool:
    blocks = (values[start : start + _BLOCK] for start in range(0, len(values), _BLOCK))
    return all(np.array_equal(block, np.rint(block)) for block in blocks)
