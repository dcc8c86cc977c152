"""Find the files that hold no whole picture, without decoding those that do."""

from __future__ import annotations

from collections.abc import Callable

from skdeep.exceptions import ImageError
from skdeep.images.decode import decode, opened


def find_fault(content: bytes) -> str | None:
    """Say why the content of a file is no whole picture; None if nothing speaks against it.

    A file that can be opened and bears the mark of its format's end is taken for whole: this finds files that are no
    images or were cut short, not bits that changed inside. All others are decoded, and decoding alone decides.
    """
    try:
        with opened(content) as image:
            ends = _ENDS.get(image.format or "")
        if ends is None or not ends(content):
            decode(content)
    except ImageError as error:
        return str(error)
    return None


def _jpeg_ends(content: bytes) -> bool:
    """Whether an end marker follows the last start of a scan; inside a scan neither can occur."""
    end = content.rfind(b"\xff\xd9")
    return end >= 0 and content.find(b"\xff\xda", end) < 0


def _png_ends(content: bytes) -> bool:
    return content[-8:-4] == b"IEND"


def _gif_ends(content: bytes) -> bool:
    """Whether the blocks of the first frame are there to the last; the trailer alone may be there by chance."""
    try:
        position = 13 + _gif_colours(content[10])
        while content[position] == 0x21:
            position = _after_gif_blocks(content, position + 2)
        if content[position] != 0x2C:
            return False
        _after_gif_blocks(content, position + 11 + _gif_colours(content[position + 9]))
    except IndexError:
        return False
    return True


def _gif_colours(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0


def _after_gif_blocks(content: bytes, position: int) -> int:
    while size := content[position]:
        position += size + 1
    return position + 1


def _webp_ends(content: bytes) -> bool:
    return len(content) >= int.from_bytes(content[4:8], "little") + 8


_ENDS: dict[str, Callable[[bytes], bool]] = {
    "JPEG": _jpeg_ends,
    "MPO": _jpeg_ends,
    "PNG": _png_ends,
    "GIF": _gif_ends,
    "WEBP": _webp_ends,
}
