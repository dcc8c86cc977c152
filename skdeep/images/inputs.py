"""What X may be: files, arrays, PIL images or flat rows, with numbers beside them or without."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from skdeep.exceptions import ImageError
from skdeep.images.decode import to_rgb
from skdeep.images.sources import ArrayImages, FileImages, ImageFormat, Images, ImageShape

PixelRange = Literal["auto", 255, 1]

_CHANNELS = (1, 3)
_ITEMS = (str, os.PathLike, Image.Image)


def as_images(
    X: Any,
    *,
    image_shape: ImageShape | None = None,
    pixel_range: PixelRange = "auto",
    like: ImageFormat | None = None,
) -> Images:
    """Take X as images.

    Parameters
    ----------
    X : list, array, Series or one-column DataFrame of paths; array or tensor of images; list of PIL images
        Arrays are of shape (n, height, width, channels), (n, channels, height, width) or (n, height, width) with 1 or
        3 channels; where both readings are possible the channels come last. With ``image_shape``, X may be flat rows,
        dense or sparse. A DataFrame may hold numbers to the right of its image column, and flat rows to the right of
        their pixels: side features.
    image_shape : tuple of int, default=None
        Shape of one image in flat rows: (height, width), (height, width, channels) or (channels, height, width).
    pixel_range : {"auto", 255, 1}, default="auto"
        The value of white in arrays. ``"auto"``: 255 for integers, 1 for booleans, and for floats 255 if any value
        exceeds 1.
    like : ImageFormat, default=None
        The format that ``fit`` settled on; it overrules the two parameters above.

    Returns
    -------
    images : Images

    Raises
    ------
    ImageError
        If X is none of these, a file is missing, or a value lies outside the pixel range.
    ValueError
        If ``image_shape`` is no shape of an image.
    """
    if like is not None:
        image_shape, pixel_range = like.image_shape, like.pixel_range
    elif image_shape is not None and not _is_shape(image_shape):
        raise ValueError(
            "image_shape must be (height, width), (height, width, channels) or (channels, height, width) in positive "
            f"integers, got {image_shape!r}."
        )
    column, side_features = _split(X, image_shape)
    if like is not None and side_features.shape[1] != like.n_side_features:
        raise ImageError(
            f"X holds {side_features.shape[1]} side features beside each image, but {like.n_side_features} were there "
            "during fit."
        )
    side_names = _side_names(X, image_shape)
    if like is not None and None not in (side_names, like.side_names) and side_names != like.side_names:
        raise ImageError(
            "The feature names should match those that were passed during fit: beside the images there were "
            f"{like.side_names}, now there are {side_names}."
        )
    if len(column) == 0:
        raise ImageError("Found array with 0 sample(s) in X while a minimum of 1 is required.")
    n_side_features = side_features.shape[1]
    if isinstance(column, np.ndarray) and column.ndim > 1:
        resolved = _check_values([column], pixel_range, settled=like is not None)
        return ArrayImages(column, side_features, ImageFormat(resolved, image_shape, n_side_features, side_names))
    items = list(column)
    if all(issubclass(kind, str | os.PathLike) for kind in set(map(type, items))):
        resolved = 255 if pixel_range == "auto" else pixel_range
        image_format = ImageFormat(resolved, image_shape, n_side_features, side_names)
        return FileImages([os.fspath(item) for item in items], side_features, image_format)
    arrays = [_item_array(item) for item in items]
    resolved = _check_values(arrays, pixel_range, settled=like is not None)
    return ArrayImages(arrays, side_features, ImageFormat(resolved, image_shape, n_side_features, side_names))


def _side_names(X: Any, image_shape: ImageShape | None) -> tuple[str, ...] | None:
    if _is_image_frame(X, image_shape):
        return tuple(str(name) for name in X.columns[1:])
    return None


def _is_shape(image_shape: Sequence[Any]) -> bool:
    return len(image_shape) in (2, 3) and all(isinstance(side, int | np.integer) and side > 0 for side in image_shape)


def _split(X: Any, image_shape: ImageShape | None) -> tuple[Any, NDArray[np.float32]]:
    """Part X into a column of images and the numbers beside them."""
    if _is_image_frame(X, image_shape):
        return X.iloc[:, 0].tolist(), _as_side_features(X.iloc[:, 1:])
    if isinstance(X, pd.Series):
        X = X.tolist()
    if isinstance(X, str | os.PathLike | Image.Image):
        raise ImageError(f"X must hold one image a row, got the single image {str(X)!r}; pass a list.")
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu().numpy()
    if sparse.issparse(X):
        X = X.toarray()
    if isinstance(X, list | tuple) and len(X) and not _holds_items(X):
        X = np.asarray(X)
    if isinstance(X, list | tuple):
        return list(X), np.zeros((len(X), 0), dtype=np.float32)
    X = np.asarray(X)
    if X.ndim == 2 and X.dtype.kind in "OUS" and X.shape[1] == 1:
        X = X.ravel()
    if X.ndim == 2 and image_shape is not None:
        return _unflatten(X, image_shape)
    if X.ndim in (3, 4) and X.dtype.kind in "buif":
        return _channels_last(X, (len(X), *X.shape[1:])), np.zeros((len(X), 0), dtype=np.float32)
    if X.ndim == 1 and X.dtype.kind in "OU":
        return X.tolist(), np.zeros((len(X), 0), dtype=np.float32)
    raise ImageError(
        "X must hold images: paths, PIL images, or an array of shape (n, height, width[, channels]) or "
        f"(n, channels, height, width); got an array of shape {X.shape} and dtype {X.dtype}. "
        "Flat rows need image_shape=(height, width, channels)."
    )


def _is_image_frame(X: Any, image_shape: ImageShape | None) -> bool:
    """Whether X is a DataFrame whose first column may hold images, rather than the first of flat rows' numbers."""
    if not isinstance(X, pd.DataFrame) or image_shape is not None:
        return False
    return X.shape[1] > 0 and not pd.api.types.is_numeric_dtype(X.dtypes.iloc[0])


def _holds_items(X: Sequence[Any]) -> bool:
    """Whether a list holds paths, pictures or arrays, rather than rows of numbers."""
    others = {kind for kind in set(map(type, X)) if not issubclass(kind, _ITEMS)}
    if not all(issubclass(kind, np.ndarray | torch.Tensor) for kind in others):
        return False
    return not others or all(isinstance(item, _ITEMS) or item.ndim != 1 for item in X)


def _unflatten(X: NDArray[Any], image_shape: ImageShape) -> tuple[NDArray[Any], NDArray[np.float32]]:
    n_pixels = int(np.prod(image_shape))
    if X.dtype.kind == "O":
        X = _as_numbers(X)
    if X.shape[1] < n_pixels or X.dtype.kind not in "buif":
        raise ImageError(
            f"Flat rows with image_shape={tuple(image_shape)} need at least {n_pixels} numbers each, got X of shape "
            f"{X.shape} and dtype {X.dtype}."
        )
    images = X[:, :n_pixels].reshape(len(X), *image_shape)
    return _channels_last(images, images.shape), _as_side_features(X[:, n_pixels:])


def _as_numbers(X: NDArray[Any]) -> NDArray[Any]:
    """Make numbers of objects, as which pandas hands out columns of several types, where they are some."""
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError):
        return X


def _as_side_features(table: Any) -> NDArray[np.float32]:
    try:
        numbers = np.asarray(table, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ImageError(f"The columns beside the images must hold numbers: {error}") from error
    if not np.isfinite(numbers).all():
        raise ImageError("Input X contains NaN or infinity in the numbers beside the images.")
    return numbers


def _item_array(item: Any) -> NDArray[Any]:
    if isinstance(item, Image.Image):
        return to_rgb(item)
    if isinstance(item, torch.Tensor):
        item = item.detach().cpu().numpy()
    if isinstance(item, np.ndarray) and item.ndim in (2, 3) and item.dtype.kind in "buif":
        return _channels_last(item[None], (1, *item.shape))[0]
    raise ImageError(
        "X must hold paths only, or PIL images and arrays of 2 or 3 axes only, got one row that is a "
        f"{type(item).__name__}{item.shape if isinstance(item, np.ndarray) else ''}."
    )


def _channels_last(X: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """View images of shape (n, h, w), (n, h, w, c) or (n, c, h, w) as (n, h, w, c)."""
    if X.ndim == 3:
        return X[..., None]
    if shape[-1] in _CHANNELS:
        return X
    if shape[1] in _CHANNELS:
        return np.moveaxis(X, 1, -1)
    raise ImageError(f"Images must have 1 or 3 channels on their first or last axis, got images of shape {shape[1:]}.")


def _check_values(arrays: Sequence[NDArray[Any]], pixel_range: PixelRange, *, settled: bool) -> Literal[255, 1]:
    """Resolve the pixel range, and refuse values that lie outside it, or speak of another than was settled."""
    if empty := [array.shape for array in arrays if array.size == 0]:
        raise ImageError(f"Images must have at least one pixel, got an array of shape {empty[0]}.")
    # numpy's minimum and maximum, for Python's own pass over NaN
    lowest = float(np.min([array.min() for array in arrays]))
    highest = float(np.max([array.max() for array in arrays]))
    if not np.isfinite([lowest, highest]).all():
        raise ImageError("Input X contains NaN or infinity.")
    if pixel_range == "auto":
        kinds = {array.dtype.kind for array in arrays}
        integers = kinds <= set("ui")
        pixel_range = 255 if integers or highest > 1 else 1
    if lowest < 0 or highest > pixel_range:
        raise ImageError(
            f"Pixels must lie between 0 and {pixel_range}, got values from {lowest:g} to {highest:g}; rescale X or set "
            "pixel_range."
        )
    if settled and pixel_range == 255 and highest <= 1 and any(np.any(array != np.rint(array)) for array in arrays):
        raise ImageError(
            "Pixels are fractions from 0 to 1, but in fit the value of white was settled as 255; multiply X by 255, or "
            "fit with pixel_range=1."
        )
    return pixel_range
