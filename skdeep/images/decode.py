"""From an image file or a PIL image to the RGB picture that a person would see."""

from __future__ import annotations

import io
import os
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from skdeep.exceptions import ImageError

# What Pillow raises on a file that is broken, cut short, or dangerously large.
_BROKEN = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def decode(content: bytes, name: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Decode the content of an image file.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str or path
        What an error calls it.

    Returns
    -------
    pixels : ndarray of uint8 of shape (height, width, 3)

    Raises
    ------
    ImageError
        If the content is no image, is cut short, or is a decompression bomb.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return to_rgb(image)
    except _BROKEN as error:
        raise ImageError(f"Cannot decode the image {str(name)!r}: {error}") from error


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Turn any PIL image upright and into RGB; what is transparent becomes white.

    Raises
    ------
    ImageError
        If the pixels are 32-bit numbers, of which nobody says what is white.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in {"I", "F"}:
        raise ImageError(f"pixels of mode {image.mode!r} have no known range; scale them to 8 or 16 bits.")
    if image.mode.startswith("I;16"):
        # Pillow itself would cut off all above 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)
    return np.array(image.convert("RGB"))


def unreadable(paths: list[str]) -> list[str]:
    """The files among ``paths`` whose first bytes are not those of an image."""
    return [path for path in paths if not _is_image(path)]


def _is_image(path: str) -> bool:
    try:
        with Image.open(path):
            return True
    except _BROKEN:
        return False
