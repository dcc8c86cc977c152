"""What X may be: files, arrays, PIL images or flat rows, with numbers beside them or without."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from skdeep._text import listed
from skdeep.exceptions import ImageError
from skdeep.images.channels import ChannelAxis, channels_last, resolve_channel_axis, settle_n_channels
from skdeep.images.decode import to_rgb
from skdeep.images.rows import split_rows, warn_if_large
from skdeep.images.sources import ArrayImages, FileImages, ImageFormat, Images, ImageShape

PixelRange = Literal["auto", 255, 1]
OnError = Literal["raise", "nan"]

_RGB = 3  # channels of files and of PIL images


def as_images(
    X: Any,
    *,
    image_shape: ImageShape | None = None,
    pixel_range: PixelRange = "auto",
    channel_axis: ChannelAxis = "auto",
    on_error: OnError = "raise",
    like: ImageFormat | None = None,
) -> Images:
    """Take X as images.

    Parameters
    ----------
    X : list, array, Series or one-column DataFrame of paths; array or tensor of images; list of PIL images
        Arrays are of shape (n, height, width, channels), (n, channels, height, width) or (n, height, width). With
        ``image_shape``, X may be flat rows, dense or sparse. A DataFrame may hold numbers to the right of its image
        column, and flat rows to the right of their pixels: side features. In lists, arrays and PIL images of several
        sizes may meet.
    image_shape : tuple of int, default=None
        Shape of one image in flat rows: (height, width), (height, width, channels) or (channels, height, width).
    pixel_range : {"auto", 255, 1}, default="auto"
        The value of white in arrays. ``"auto"``: 255 for integers, 1 for booleans, and for floats 255 if any value
        exceeds 1.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where arrays, and ``image_shape``, have their channels, of which there may then be any number. ``"auto"``: 1 or
        3 channels last, else 1 or 3 first, else 2 or 4 last, else 2 or 4 first.
    on_error : {"raise", "nan"}, default="raise"
        What becomes of a file that is missing, or a PIL image that cannot be loaded: an error, or a row that
        ``Images.broken`` reports. All else that is wrong with X is an error.
    like : ImageFormat, default=None
        The format that ``fit`` settled on; it overrules ``image_shape``, ``pixel_range`` and ``channel_axis``. Grey
        images are repeated to three channels where ``fit`` saw three, as among RGB images in a list; any other number
        of channels than in ``fit`` is an error. Arrays whose other axis alone has that number are read by it.

    Returns
    -------
    images : Images

    Raises
    ------
    ImageError
        If X is none of these, a file is missing, a value lies outside the pixel range, or pictures of fractions from 0
        to 1 lie among some of whole numbers up to 255, unless ``pixel_range`` says so.
    ValueError
        If ``image_shape`` is no shape of an image, or another parameter none of its values.

    Warns
    -----
    FlatRowsWarning
        If X holds more than 100 MiB of dense flat rows, and ``like`` is None.
    """
    _check_parameters(image_shape, pixel_range, channel_axis, on_error)
    if like is not None:
        image_shape, pixel_range, channel_axis = like.image_shape, like.pixel_range, like.channel_axis
    column, side_features = _split(X, image_shape, pixel_range, warn=like is None)
    side_names = _side_names(X, image_shape)
    if like is not None:
        _check_side_features(side_features.shape[1], side_names, like)
    if len(column) == 0:
        raise ImageError("Found array with 0 sample(s) in X while a minimum of 1 is required.")

    n_channels = None if like is None else like.n_channels
    if isinstance(column, list) and _are_paths(column):
        white: Literal[255, 1] = 255 if pixel_range == "auto" else pixel_range
        n_channels = settle_n_channels({_RGB}, n_channels)
        image_format = ImageFormat(white, image_shape, channel_axis, n_channels, side_features.shape[1], side_names)
        paths = [os.fspath(item) for item in column]
        return FileImages(paths, side_features, image_format, missing_ok=on_error == "nan")
    if isinstance(column, list):
        arrays, channel_axis, faults = _item_arrays(column, channel_axis, n_channels)
        pictures = [array for row, array in enumerate(arrays) if row not in faults]
        images: list[NDArray[Any]] | NDArray[Any] = arrays
    else:
        images, channel_axis, faults = *_one_array(column, channel_axis, n_channels), {}
        pictures = [images]
    if faults and on_error == "raise":
        named = listed(f"row {row} ({reason})" for row, reason in faults.items())
        raise ImageError(f"{len(faults)} of {len(images)} images cannot be read: {named}.")
    white = _check_values(pictures, pixel_range, settled=like is not None)
    n_channels = settle_n_channels({array.shape[-1] for array in pictures} or {_RGB}, n_channels)
    image_format = ImageFormat(white, image_shape, channel_axis, n_channels, side_features.shape[1], side_names)
    return ArrayImages(images, side_features, image_format, faults)


def _check_parameters(image_shape: Any, pixel_range: Any, channel_axis: Any, on_error: Any) -> None:
    if image_shape is not None and not _is_shape(image_shape):
        raise ValueError(
            "image_shape must be (height, width), (height, width, channels) or (channels, height, width) in positive "
            f"integers, got {image_shape!r}."
        )
    for name, value, literal in [
        ("pixel_range", pixel_range, PixelRange),
        ("channel_axis", channel_axis, ChannelAxis),
        ("on_error", on_error, OnError),
    ]:
        if value not in get_args(literal):
            raise ValueError(f"{name} must be one of {get_args(literal)}, got {value!r}.")


def _is_shape(image_shape: Sequence[Any]) -> bool:
    return len(image_shape) in (2, 3) and all(isinstance(side, int | np.integer) and side > 0 for side in image_shape)


def _check_side_features(n_side_features: int, side_names: tuple[str, ...] | None, like: ImageFormat) -> None:
    if n_side_features != like.n_side_features:
        raise ImageError(
            f"X holds {n_side_features} side features beside each image, but {like.n_side_features} were there during "
            "fit."
        )
    if None not in (side_names, like.side_names) and side_names != like.side_names:
        raise ImageError(
            "The feature names should match those that were passed during fit: beside the images there were "
            f"{like.side_names}, now there are {side_names}."
        )


def _side_names(X: Any, image_shape: ImageShape | None) -> tuple[str, ...] | None:
    if _is_image_frame(X, image_shape):
        return tuple(str(name) for name in X.columns[1:])
    return None


def _split(
    X: Any, image_shape: ImageShape | None, pixel_range: PixelRange, *, warn: bool
) -> tuple[list[Any] | NDArray[Any], NDArray[np.float32]]:
    """Part X into a column of images, a list or one array, and the numbers beside them."""
    if _is_image_frame(X, image_shape):
        return X.iloc[:, 0].tolist(), _as_side_features(X.iloc[:, 1:])
    if isinstance(X, pd.Series):
        X = X.tolist()
    if isinstance(X, str | os.PathLike | Image.Image):
        raise ImageError(f"X must hold one image a row, got the single image {str(X)!r}; pass a list.")
    if isinstance(X, list | tuple) and (not X or any(_is_item(item) for item in X)):
        return list(X), _no_side_features(len(X))
    if not sparse.issparse(X):
        X = _as_array(X)
    if X.ndim == 2 and X.dtype.kind in "OUS" and X.shape[1] == 1:
        X = X.ravel()
    if X.ndim == 2 and image_shape is not None:
        images, side_features = split_rows(X, image_shape, pixel_range)
        if warn and not sparse.issparse(X):
            warn_if_large(images)
        return images, _as_side_features(side_features)
    if X.ndim in (3, 4) and X.dtype.kind in "buif":
        return X, _no_side_features(len(X))
    if X.ndim == 1 and X.dtype.kind in "OU":
        return X.tolist(), _no_side_features(len(X))
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


def _is_item(item: Any) -> bool:
    """Whether an item of a list is an image, rather than a row of numbers."""
    if isinstance(item, np.ndarray | torch.Tensor):
        return item.ndim > 1
    return isinstance(item, str | os.PathLike | Image.Image)


def _as_array(X: Any) -> NDArray[Any]:
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        # numpy has no such numbers
        return (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ImageError(f"X must hold images, all rows of one form: {error}") from error


def _no_side_features(n_images: int) -> NDArray[np.float32]:
    return np.zeros((n_images, 0), dtype=np.float32)


def _as_side_features(table: Any) -> NDArray[np.float32]:
    try:
        numbers = np.asarray(table, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ImageError(f"The columns beside the images must hold numbers: {error}") from error
    if not np.isfinite(numbers).all():
        raise ImageError("Input X contains NaN or infinity in the numbers beside the images.")
    return numbers


def _are_paths(items: Sequence[Any]) -> bool:
    """Whether all items are paths; raise ``ImageError`` if only some of them are."""
    are = {kind: issubclass(kind, str | os.PathLike) for kind in set(map(type, items))}
    if any(are.values()) and not all(are.values()):
        row, item = next((row, item) for row, item in enumerate(items) if not are[type(item)])
        raise ImageError(
            "X must hold paths only, or PIL images and arrays only: some rows are paths, but row "
            f"{row} is a {type(item).__name__}."
        )
    return all(are.values())


def _one_array(X: NDArray[Any], channel_axis: ChannelAxis, n_channels: int | None) -> tuple[NDArray[Any], ChannelAxis]:
    """View an array of all images as one whose channels come last, and say where they came."""
    if X.ndim == 3:
        return X[..., None], channel_axis
    channel_axis = resolve_channel_axis([X.shape[1:]], channel_axis, n_channels)
    return channels_last(X, channel_axis), channel_axis


def _item_arrays(
    items: Sequence[Any], channel_axis: ChannelAxis, n_channels: int | None
) -> tuple[list[NDArray[Any]], ChannelAxis, dict[int, str]]:
    """Turn PIL images and arrays into arrays whose channels come last; those that cannot be loaded are empty.

    One channel axis, which is returned, serves all.
    """
    arrays, faults, open_rows = [], {}, []
    for row, item in enumerate(items):
        if isinstance(item, Image.Image):
            try:
                arrays.append(to_rgb(item))
            except ImageError as error:
                faults[row] = str(error)
                arrays.append(np.empty((0, 0, _RGB), dtype=np.uint8))
            continue
        array = _as_array(item) if isinstance(item, np.ndarray | torch.Tensor) else None
        if array is None or array.ndim not in (2, 3) or array.dtype.kind not in "buif":
            raise ImageError(
                "X must hold paths only, or PIL images and arrays of 2 or 3 axes only, got in row "
                f"{row} a {type(item).__name__}{'' if array is None else f' of shape {array.shape}'}."
            )
        if array.ndim == 3:
            open_rows.append(row)
        arrays.append(array if array.ndim == 3 else array[..., None])
    channel_axis = resolve_channel_axis([arrays[row].shape for row in open_rows], channel_axis, n_channels)
    for row in open_rows:
        arrays[row] = channels_last(arrays[row], channel_axis)
    return arrays, channel_axis, faults


def _check_values(arrays: Sequence[NDArray[Any]], pixel_range: PixelRange, *, settled: bool) -> Literal[255, 1]:
    """Resolve the pixel range, and refuse values that lie outside it, or speak of another than was settled."""
    if empty := [array.shape for array in arrays if array.size == 0]:
        raise ImageError(f"Images must have at least one pixel, got an array of shape {empty[0]}.")
    if pixel_range != 1 and all(array.dtype == np.uint8 for array in arrays):
        return 255
    # numpy's minimum and maximum, for Python's own pass over NaN
    lowest = float(np.min([array.min() for array in arrays]))
    brightest = [float(array.max()) for array in arrays]
    highest = float(np.max(brightest))
    if not np.isfinite([lowest, highest]).all():
        raise ImageError("Input X contains NaN or infinity.")
    is_given = pixel_range != "auto" and not settled
    kinds = {array.dtype.kind for array in arrays}
    if pixel_range == "auto":
        pixel_range = 255 if kinds <= {"u", "i"} or highest > 1 else 1
    if lowest < 0 or highest > pixel_range:
        raise ImageError(
            f"Pixels must lie between 0 and {pixel_range}, got values from {lowest:g} to {highest:g}; rescale X or set "
            "pixel_range."
        )
    if settled and pixel_range == 255 and highest <= 1 and any(_holds_fractions(array) for array in arrays):
        raise ImageError(
            "Pixels are fractions from 0 to 1, but in fit the value of white was settled as 255; multiply X by 255, or "
            "fit with pixel_range=1."
        )
    if pixel_range == 255 and not is_given and "f" in kinds and not kinds.isdisjoint("ui"):
        dark = [array for array, top in zip(arrays, brightest, strict=True) if array.dtype.kind == "f" and top <= 1]
        if n_fractions := sum(map(_holds_fractions, dark)):
            raise ImageError(
                f"X mixes pictures of whole numbers, of which 255 is white, with {n_fractions} of fractions from 0 to "
                "1, which would be black; multiply the latter by 255."
            )
    return pixel_range


def _holds_fractions(array: NDArray[Any]) -> bool:
    """Picture by picture: of a large X no second one is made."""
    return any(bool(np.any(part != np.rint(part))) for part in array)
