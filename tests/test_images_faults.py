"""Files that hold no whole picture are found without decoding those that do."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from skdeep.exceptions import ImageError
from skdeep.images import decode as decoding
from skdeep.images import faults
from skdeep.images.faults import find_fault

Array = NDArray[Any]

FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {},
    "progressive JPEG": {"progressive": True},
    "PNG": {},
    "GIF": {},
    "WEBP": {},
    "TIFF": {},
    "BMP": {},
    "PPM": {},
}
MARKED = ["JPEG", "progressive JPEG", "PNG", "GIF", "WEBP"]


def encoded(name: str, pixels: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name.split()[-1], **{**FORMATS[name], **options})
    return buffer.getvalue()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of what was decoded, in order."""
    lengths: list[int] = []

    def decode(content: bytes) -> Array:
        lengths.append(len(content))
        return decoding.decode(content)

    monkeypatch.setattr(faults, "decode", decode)
    return lengths


@pytest.mark.parametrize("name", FORMATS)
def test_whole_files_are_whole(name: str, pictures: Array) -> None:
    assert find_fault(encoded(name, pictures[0])) is None


@pytest.mark.parametrize("name", MARKED)
def test_whole_files_are_not_decoded(name: str, pictures: Array, decoded: list[int]) -> None:
    find_fault(encoded(name, pictures[0]))
    assert decoded == []


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", FORMATS)
def test_files_cut_short_are_faulty_exactly_where_they_cannot_be_decoded(name: str, pictures: Array) -> None:
    content = encoded(name, pictures[0])
    n_faulty = 0
    for end in range(0, len(content), len(content) // 40):
        fault = find_fault(content[:end])
        assert fault == reason(content[:end])
        n_faulty += fault is not None
    assert n_faulty > 30


def reason(content: bytes) -> str | None:
    """Why a file cannot be decoded, by decoding it."""
    try:
        decoding.decode(content)
    except ImageError as error:
        return str(error)
    return None


def test_a_thumbnails_end_marker_does_not_hide_that_the_picture_was_cut_short(pictures: Array) -> None:
    thumbnail = b"Exif\0\0" + encoded("JPEG", pictures[1][:8, :8])
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    content = encoded("JPEG", pictures[0])
    content = content[:2] + segment + content[2:]
    assert find_fault(content) is None
    assert find_fault(content[:-200]) is not None


@pytest.mark.parametrize("name", MARKED)
def test_what_follows_the_end_does_not_make_a_whole_file_faulty(name: str, pictures: Array, decoded: list[int]) -> None:
    content = encoded(name, pictures[0]) + b"\xff\xda and a phone's own notes"
    assert find_fault(content) is None
    # of a RIFF file and of a GIF's frame the length is known, whatever follows
    assert decoded == ([] if name in {"WEBP", "GIF"} else [len(content)])


def test_pillows_leniency_towards_truncated_files_is_honoured(monkeypatch: pytest.MonkeyPatch, pictures: Array) -> None:
    content = encoded("JPEG", pictures[0])[:-300]
    assert "truncated" in str(find_fault(content))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert find_fault(content) is None


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_gigantic_pictures_are_found_without_decoding(
    monkeypatch: pytest.MonkeyPatch, pictures: Array, decoded: list[int]
) -> None:
    content = encoded("PNG", pictures[0])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "decompression bomb" in str(find_fault(content))
    assert decoded == []


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\xff\xd8\xff\xd9", b"GIF89a\0;", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images_are_faulty(content: bytes) -> None:
    assert find_fault(content) is not None


def test_pixels_that_cannot_be_shown_are_a_fault() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((2, 2), np.float32)).save(buffer, "TIFF")
    assert "no known range" in str(find_fault(buffer.getvalue()))
