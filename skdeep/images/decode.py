"""From an image file or a PIL image to the RGB picture that a person would see.

All that Pillow reads becomes RGB of 8 bits. Where formats leave room, these are the rules:

- The first frame of an animation, the first page of a document.
- EXIF orientation is undone. An EXIF block that cannot be read says nothing.
- CMYK and YCCK become RGB by Pillow's formula; colour profiles are not applied. JPEGs hold CMYK inverted, as Adobe has
  it, whether Adobe's mark is there or not.
- What is transparent shows white, whether by an alpha channel (premultiplied or not), by a palette or by a
  transparent colour.
- 16 bits lose their lower 8. Nothing is stretched: a TIFF whose 12-bit values sit in 16 bits becomes dark.
- 32-bit integers, signed integers and floating-point numbers (TIFF) are refused: nobody says what is white. A PGM file
  does say it, and is read.
- TIFF of four bands and more: the first three are red, green and blue, in the order of the file. The fourth is alpha
  only if the tag ExtraSamples says so (1, premultiplied; 2, not); without the tag, or where it is 0, the fourth and all
  further bands are left out, be they infrared or anything else. Those who want them pass arrays.
- TIFF of 16 bits: grey and interleaved bands are read (CMYK from Pillow 11 on); bands in planes of their own are
  refused, because Pillow reads them wrongly. Where a file says that 0 is white, it is.
"""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from skdeep.exceptions import ImageError
from skdeep.images.resize import Geometry

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# TIFF's tags
_BITS, _PHOTOMETRIC, _PLANES, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 262, 284, 338, 339


def decode(content: bytes, geometry: Geometry | None = None) -> NDArray[np.uint8]:
    """Decode the content of an image file.

    Parameters
    ----------
    content : bytes
        The whole file.
    geometry : Geometry or None
        To which the picture will be resized. A JPEG that is much larger is decoded at a half, a quarter or an eighth
        of its size, such that at least twice the size that is wanted remains.

    Returns
    -------
    pixels : ndarray of uint8 of shape (height, width, 3)

    Raises
    ------
    ImageError
        If the content is no image, is cut short, is larger than Pillow's ``Image.MAX_IMAGE_PIXELS`` or cannot be shown.
    """
    with opened(content) as image:
        if geometry is not None and image.format in {"JPEG", "MPO"}:
            _draft(image, geometry)
        return to_rgb(image)


@contextmanager
def opened(content: bytes) -> Generator[Image.Image]:
    """Open a file, without decoding it; whatever goes wrong with the image is an ``ImageError`` that says what."""
    with _explained(), Image.open(io.BytesIO(content)) as image:
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and image.width * image.height > limit:
            raise ImageError(
                f"its {image.width} x {image.height} pixels are more than PIL.Image.MAX_IMAGE_PIXELS = {limit}: it may "
                "be a decompression bomb; raise that limit if you trust it"
            )
        yield image


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Turn any PIL image upright and into RGB; what is transparent becomes white.

    Raises
    ------
    ImageError
        If the image cannot be loaded, or its pixels are numbers of which nobody says what is white.
    """
    with _explained():
        image.load()
        coloured = _coloured(image)
        orientation = _orientation(image)
        if orientation in _UPRIGHT:
            coloured = coloured.transpose(_UPRIGHT[orientation])
        return np.array(coloured)


@contextmanager
def _explained() -> Generator[None]:
    """Make an ``ImageError`` of whatever Pillow raises: on damaged files its readers may raise anything."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ImageError("it is no image, or of a kind that Pillow cannot read") from error
    except Exception as error:
        raise ImageError(str(error) or type(error).__name__) from error


def _draft(image: Image.Image, geometry: Geometry) -> None:
    """Have a JPEG decoded at the least scale that leaves twice the size that is wanted."""
    turned = _orientation(image) >= 5
    wanted = geometry.whole_size(*((image.width, image.height) if turned else (image.height, image.width)))
    sides = tuple(zip(image.size, wanted if turned else wanted[::-1], strict=True))
    for scale in (8, 4, 2):
        large = all(side >= 2 * scale * target for side, target in sides)
        # where the scale does not divide the side the last block overhangs: by 1/16 pixel of the result at most
        exact = all(-side % scale * target * 16 <= side for side, target in sides)
        if large and exact:
            image.draft(None, (image.width // scale, image.height // scale))
            return


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # what Pillow raises on damaged EXIF has no common class; the picture itself may be whole
        return 1


def _coloured(image: Image.Image) -> Image.Image:
    """A loaded image in RGB."""
    tags = getattr(image, "tag_v2", {})
    if tags:
        _check_tiff(tags)
    # of PGM files alone Pillow brings 32-bit numbers to a known range
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return _eight_bits(image, inverted=tags.get(_PHOTOMETRIC) == 0).convert("RGB")
    if image.mode in {"I", "F"}:
        raise ImageError(f"pixels of mode {image.mode!r} have no known range; scale them to 8 or 16 bits")
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if not image.has_transparency_data or (tags and not _first(tags, _EXTRA_SAMPLES)):
        return image.convert("RGB")
    return _on_white(image)


def _check_tiff(tags: Any) -> None:
    if _first(tags, _BITS) > 8 and tags.get(_PLANES) == 2:
        raise ImageError("Pillow cannot read TIFF bands of 16 bits in planes of their own; save them interleaved")
    if _first(tags, _SAMPLE_FORMAT) == 2:
        raise ImageError("signed pixels have no known range; scale them to 8 or 16 bits without sign")


def _first(tags: Any, tag: int) -> int:
    """The first value of a TIFF tag, 0 where there is none."""
    return int(np.ravel(tags.get(tag, 0))[0])


def _eight_bits(image: Image.Image, *, inverted: bool) -> Image.Image:
    """The upper 8 of the 16 bits of grey; Pillow itself would cut off all above 255."""
    values = np.asarray(image)
    grey = (values >> 8).astype(np.uint8)
    if inverted:
        grey = 255 - grey
    if "transparency" in image.info:
        grey[values == image.info["transparency"]] = 255
    return Image.fromarray(grey)


def _on_white(image: Image.Image) -> Image.Image:
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:
        # the colour that is transparent in a PNG of 16 bits, of which Pillow keeps the upper 8
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
    if image.mode == "La":
        image = image.convert("LA")
    coloured = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured).convert("RGB")
