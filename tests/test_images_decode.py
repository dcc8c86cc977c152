"""The picture that a person would see, whatever file it comes in."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from skdeep.exceptions import ImageError
from skdeep.images import Geometry
from skdeep.images.decode import decode, to_rgb

Array = NDArray[Any]


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def saved(image: Image.Image, format: str, **options: Any) -> Array:
    return decode(encoded(image, format, **options))


def rgb(*colours: tuple[int, int, int]) -> Array:
    return np.array([colours], dtype=np.uint8)


def row_of(mode: str, colours: Sequence[Any]) -> Image.Image:
    image = Image.new(mode, (len(colours), 1))
    image.putdata(colours)
    return image


def natural(height: int, width: int) -> Image.Image:
    """A picture with something at every scale, as nature has it."""
    rng = np.random.default_rng(0)
    layers = [
        np.asarray(Image.fromarray(rng.normal(0, 24, (2**k, 2**k)).astype(np.float32)).resize((width, height)))
        for k in range(1, 8)
    ]
    grey = 128 + np.sum(layers, axis=0)
    return Image.fromarray(np.dstack([grey, 0.8 * grey, 255 - grey]).clip(0, 255).astype(np.uint8))


def tiff(
    bands: Sequence[int],
    dtype: str = "u1",
    *,
    photometric: int = 2,
    extra_samples: Sequence[int] | None = None,
    planes: bool = False,
) -> bytes:
    """An uncompressed TIFF of one colour, 3 x 2 pixels, which Pillow itself would not write."""
    order, kind = ("<" if dtype[0] != ">" else ">"), np.dtype(dtype)
    pixels = np.tile(np.array(bands, dtype=kind), (2, 3, 1))
    data = np.ascontiguousarray(np.moveaxis(pixels, -1, 0) if planes else pixels).tobytes()
    n_bands = len(bands)
    n_strips = n_bands if planes else 1
    n_tags = 12 if extra_samples is None else 13
    start = 8 + 2 + 12 * n_tags + 4
    tail = b""

    def entry(tag: int, code: str, values: Sequence[int]) -> bytes:
        nonlocal tail
        raw = struct.pack(f"{order}{len(values)}{code}", *values)
        head = struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[code], len(values))
        if len(raw) <= 4:
            return head + raw.ljust(4, b"\0")
        tail += raw
        return head + struct.pack(f"{order}I", start + len(tail) - len(raw))

    data_start, strip = start + 200, len(data) // n_strips
    entries = [
        entry(256, "H", [3]),
        entry(257, "H", [2]),
        entry(258, "H", [8 * kind.itemsize] * n_bands),
        entry(259, "H", [1]),
        entry(262, "H", [photometric]),
        entry(273, "I", [data_start + i * strip for i in range(n_strips)]),
        entry(277, "H", [n_bands]),
        entry(278, "H", [2]),
        entry(279, "I", [strip] * n_strips),
        entry(284, "H", [2 if planes else 1]),
        entry(296, "H", [1]),
        *([] if extra_samples is None else [entry(338, "H", extra_samples)]),
        entry(339, "H", [{"u": 1, "i": 2, "f": 3}[kind.kind]] * n_bands),
    ]
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, n_tags)
    return head + b"".join(entries) + bytes(4) + tail.ljust(200, b"\0") + data


def png(bands: Sequence[int], *, transparent: Sequence[int] = ()) -> bytes:
    """A PNG of one pixel in 16 bits, of which Pillow writes grey alone."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    colour = {1: 0, 2: 4, 3: 2, 4: 6}[len(bands)]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, colour, 0, 0, 0))
    key = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)) if transparent else b""
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(f">{len(bands)}H", *bands)))
    return b"\x89PNG\r\n\x1a\n" + header + key + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "TGA", "WEBP"])
def test_lossless_formats_keep_every_pixel(format: str, pictures: Array) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    pixels = saved(Image.fromarray(pictures[0]), format, **options)
    np.testing.assert_array_equal(pixels, pictures[0])
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


def test_progressive_jpeg_equals_the_baseline_one() -> None:
    image = natural(60, 90)
    np.testing.assert_array_equal(saved(image, "JPEG", progressive=True), saved(image, "JPEG", progressive=False))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_and_documents_show_their_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    pixels = saved(frames[0], format, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(pixels, np.broadcast_to(rgb((255, 0, 0)), (8, 8, 3)))


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan, full magenta and yellow: red
    np.testing.assert_allclose(saved(image, "JPEG", quality=100)[0, 0].astype(int), [255, 0, 0], atol=4)
    np.testing.assert_array_equal(to_rgb(image)[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(saved(image, "TIFF")[0, 0], [255, 0, 0])


def test_cmyk_jpegs_are_read_in_adobes_way_even_without_its_mark() -> None:
    content = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    start = content.index(b"\xff\xee")
    length = struct.unpack(">H", content[start + 2 : start + 4])[0]
    unmarked = content[:start] + content[start + 2 + length :]
    np.testing.assert_allclose(decode(unmarked)[0, 0].astype(int), [255, 0, 0], atol=4)


def test_ycck_becomes_rgb() -> None:
    # Adobe's inverted CMY of red is cyan; as luminance and chrominance, and black inverted too
    luminance, blue, red = Image.new("RGB", (1, 1), (0, 255, 255)).convert("YCbCr").getpixel((0, 0))  # type: ignore[misc]
    image = Image.new("CMYK", (16, 16), (255 - luminance, 255 - blue, 255 - red, 0))
    content = bytearray(encoded(image, "JPEG", quality=100))
    content[content.index(b"Adobe") + 11] = 2  # from CMYK as it is to YCCK
    np.testing.assert_allclose(decode(bytes(content))[0, 0].astype(int), [255, 0, 0], atol=5)


def test_palettes_become_their_colours() -> None:
    image = row_of("P", [1, 0])
    image.putpalette([10, 20, 30, 200, 150, 100])
    for format in ("PNG", "GIF", "TIFF", "BMP"):
        np.testing.assert_array_equal(saved(image, format), rgb((200, 150, 100), (10, 20, 30)))


def test_transparency_of_an_alpha_channel_becomes_white() -> None:
    colours = [(0, 0, 0, 0), (10, 20, 30, 255), (0, 0, 0, 51)]
    expected = rgb((255, 255, 255), (10, 20, 30), (204, 204, 204))
    image = row_of("RGBA", colours)
    np.testing.assert_array_equal(saved(image, "PNG"), expected)
    np.testing.assert_array_equal(saved(image, "TIFF"), expected)
    np.testing.assert_array_equal(saved(image, "WEBP", lossless=True, exact=True), expected)
    np.testing.assert_array_equal(to_rgb(image.convert("RGBa")), expected)
    grey = row_of("LA", [(0, 0), (20, 255), (0, 51)])
    expected = rgb((255, 255, 255), (20, 20, 20), (204, 204, 204))
    np.testing.assert_array_equal(saved(grey, "PNG"), expected)
    np.testing.assert_array_equal(to_rgb(grey.convert("La")), expected)
    palette = row_of("P", [0, 1, 0])
    palette.putpalette([0, 0, 0, 20, 20, 20])
    palette.putalpha(grey.getchannel("A"))
    assert palette.mode == "PA"
    np.testing.assert_array_equal(to_rgb(palette), expected)


def test_transparency_of_a_palette_becomes_white() -> None:
    image = row_of("P", [0, 1])
    image.putpalette([0, 0, 0, 9, 8, 7])
    for format in ("PNG", "GIF"):
        np.testing.assert_array_equal(saved(image, format, transparency=0), rgb((255, 255, 255), (9, 8, 7)))
    pixels = saved(image, "PNG", transparency=bytes([51, 255]))
    np.testing.assert_array_equal(pixels, rgb((204, 204, 204), (9, 8, 7)))


def test_transparent_colours_become_white() -> None:
    image = row_of("RGB", [(1, 2, 3), (1, 2, 4)])
    np.testing.assert_array_equal(saved(image, "PNG", transparency=(1, 2, 3)), rgb((255, 255, 255), (1, 2, 4)))
    np.testing.assert_array_equal(saved(row_of("L", [7, 8]), "PNG", transparency=7), rgb((255, 255, 255), (8, 8, 8)))
    np.testing.assert_array_equal(
        saved(row_of("1", [0, 1]), "PNG", transparency=0), rgb((255, 255, 255), (255, 255, 255))
    )
    colour = (0x1234, 0x5678, 0x9ABC)
    np.testing.assert_array_equal(decode(png(colour, transparent=colour)), rgb((255, 255, 255)))
    np.testing.assert_array_equal(decode(png([0x1234], transparent=[0x1234])), rgb((255, 255, 255)))
    np.testing.assert_array_equal(decode(png([0x1235], transparent=[0x1234])), rgb((0x12, 0x12, 0x12)))


def test_bits_and_grey_become_rgb() -> None:
    for format in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(saved(row_of("1", [0, 1]), format), rgb((0, 0, 0), (255, 255, 255)))
        np.testing.assert_array_equal(saved(Image.new("L", (1, 1), 77), format), rgb((77, 77, 77)))


def test_sixteen_bits_of_grey_are_scaled_not_cut_off() -> None:
    values, expected = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16), [0, 0, 1, 128, 255]
    for format in ("PNG", "TIFF"):
        np.testing.assert_array_equal(saved(Image.fromarray(values), format)[0, :, 0], expected)
    graymap = b"P5 5 1 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode(graymap)[0, :, 0], expected)


def test_sixteen_bits_of_grey_are_read_in_either_order() -> None:
    values = np.array([[0x1234, 0xFFFF]], dtype=np.uint16)
    for mode, dtype in [("I;16", "<u2"), ("I;16B", ">u2")]:
        image = Image.frombytes(mode, (2, 1), values.astype(dtype).tobytes())
        np.testing.assert_array_equal(to_rgb(image), rgb((0x12, 0x12, 0x12), (255, 255, 255)))


def test_sixteen_bits_of_colour_lose_their_lower_eight() -> None:
    np.testing.assert_array_equal(decode(png([0x12FF, 0x3400, 0xFFFF])), rgb((0x12, 0x34, 255)))
    np.testing.assert_array_equal(decode(png([0x12FF, 0x3400, 0xFFFF, 0])), rgb((255, 255, 255)))
    np.testing.assert_array_equal(decode(png([0x12FF, 0xFFFF])), rgb((0x12, 0x12, 0x12)))


@pytest.mark.parametrize(
    ("content", "colour"),
    [
        (tiff([100, 50, 200]), (100, 50, 200)),
        (tiff([100, 50, 200], planes=True), (100, 50, 200)),
        (tiff([0x64FF, 0x3200, 0xC8FF], "<u2"), (100, 50, 200)),
        (tiff([0x64FF, 0x3200, 0xC8FF], ">u2"), (100, 50, 200)),
        # without a word on the fourth band, or with the word that it is anything, it is left out
        (tiff([100, 50, 200, 128]), (100, 50, 200)),
        (tiff([100, 50, 200, 128], planes=True), (100, 50, 200)),
        (tiff([100, 50, 200, 128], extra_samples=[0]), (100, 50, 200)),
        (tiff([0x6400, 0x3200, 0xC800, 0x8000], "<u2"), (100, 50, 200)),
        (tiff([0x6400, 0x3200, 0xC800, 0x8000], ">u2", extra_samples=[0]), (100, 50, 200)),
        (tiff([100, 50, 200, 128, 7], extra_samples=[0, 0]), (100, 50, 200)),
        # alpha: 51 of 255 shows a fifth of the colour, and four fifths of white; premultiplied, it is a fifth already
        (tiff([100, 50, 200, 51], extra_samples=[2]), (224, 214, 244)),
        (tiff([20, 10, 40, 51], extra_samples=[1]), (224, 214, 244)),
        (tiff([0x6400, 0x3200, 0xC800, 0x3333], "<u2", extra_samples=[2]), (224, 214, 244)),
        (tiff([0x1400, 0x0A00, 0x2800, 0x3333], ">u2", extra_samples=[1]), (224, 214, 244)),
        (tiff([100, 50, 200, 51, 7], extra_samples=[2, 0]), (224, 214, 244)),
        (tiff([100, 51], photometric=1, extra_samples=[2]), (224, 224, 224)),
        (tiff([0, 255, 255, 0], photometric=5), (255, 0, 0)),
        # where 0 is white
        (tiff([100], photometric=0), (155, 155, 155)),
        (tiff([0x6400], "<u2", photometric=0), (155, 155, 155)),
        (tiff([0x6400], "<u2", photometric=1), (100, 100, 100)),
        (tiff([0x6400], ">u2", photometric=1), (100, 100, 100)),
    ],
)
def test_tiff_bands_follow_the_documented_rules(content: bytes, colour: tuple[int, int, int]) -> None:
    np.testing.assert_array_equal(decode(content), np.broadcast_to(rgb(colour), (2, 3, 3)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiff([100, 200, 300], "<u2", planes=True), "bands of 16 bits in planes of their own"),
        (tiff([100, 200, 300, 400], "<u2", planes=True, extra_samples=[2]), "bands of 16 bits in planes of their own"),
        (tiff([100], "i1", photometric=1), "signed pixels have no known range; scale them"),
        (tiff([100], "<i2", photometric=1), "signed pixels have no known range"),
        (tiff([70000], "<u4", photometric=1), "mode 'I' have no known range"),
        (tiff([1], "<f4", photometric=1), "mode 'F' have no known range; scale them"),
        (tiff([1, 1, 1], "<f4"), "a kind that Pillow cannot read"),
    ],
)
def test_tiff_pixels_of_which_nobody_says_what_is_white_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode(content)


UPRIGHT: dict[int, Callable[[Array], Array]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(np.swapaxes(stored, 0, 1), 2),
    8: np.rot90,
}


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_undone(orientation: int) -> None:
    stored = np.random.default_rng(0).integers(256, size=(3, 5, 3), dtype=np.uint8)
    exif, image = turned(orientation), Image.fromarray(stored)
    upright = UPRIGHT[orientation](stored)
    np.testing.assert_array_equal(saved(image, "PNG", exif=exif), upright)
    np.testing.assert_array_equal(saved(image, "TIFF", exif=exif), upright)
    np.testing.assert_array_equal(saved(image, "TIFF", exif=exif, compression="tiff_lzw"), upright)
    np.testing.assert_array_equal(saved(image, "WEBP", exif=exif, lossless=True), upright)
    smooth = natural(24, 40)
    plain, marked = saved(smooth, "JPEG"), saved(smooth, "JPEG", exif=exif)
    np.testing.assert_array_equal(marked, UPRIGHT[orientation](plain))


def test_exif_that_cannot_be_read_says_nothing(pictures: Array) -> None:
    image = Image.fromarray(pictures[0])
    damaged = encoded(image, "PNG", exif=b"Exif\0\0II*\0 this is no directory of tags")
    np.testing.assert_array_equal(decode(damaged), pictures[0])
    np.testing.assert_array_equal(saved(image, "PNG", exif=turned(77)), pictures[0])


def test_a_pil_image_is_left_as_it_was(pictures: Array) -> None:
    image = Image.open(io.BytesIO(encoded(Image.fromarray(pictures[0]), "PNG", exif=turned(6))))
    np.testing.assert_array_equal(to_rgb(image), np.rot90(pictures[0], -1))
    np.testing.assert_array_equal(np.asarray(image), pictures[0])
    assert image.getexif()[0x0112] == 6


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [1, 600, 1023])
def test_pictures_beyond_pillows_limit_are_refused(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    content = encoded(Image.new("RGB", (32, 32)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match="decompression bomb"):
        decode(content)


@pytest.mark.parametrize("limit", [1024, 10**9, None])
def test_pictures_within_the_limit_that_a_user_sets_are_read(
    monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    content = encoded(Image.new("RGB", (32, 32)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert decode(content).shape == (32, 32, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "PPM", "WEBP"])
def test_damaged_files_give_pixels_or_image_error_and_nothing_else(format: str) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(7, 7, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(pixels), format)
    n_refused = 0
    for cut in range(0, len(content), 3):
        flipped = content[:cut] + bytes([content[cut] ^ 255]) + content[cut + 1 :]
        for damaged in (content[:cut], flipped):
            try:
                assert decode(damaged).dtype == np.uint8
            except ImageError:
                n_refused += 1
    assert n_refused > 10


def test_running_out_of_memory_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        raise MemoryError

    image = Image.new("RGB", (2, 2))
    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(MemoryError):
        to_rgb(image)


DRAFTED = [
    (Geometry((100, 100)), (300, 400)),
    (Geometry((37, 300)), (600, 800)),
    (Geometry((100, 100), "crop"), (300, 400)),
    (Geometry((90, 90), "crop", 150), (300, 400)),
    (Geometry((90, 90), "crop", 151), (600, 800)),
    (Geometry((100, 200), "pad"), (300, 400)),
    (Geometry((600, 600)), (1200, 1600)),
    (Geometry((601, 16)), (1200, 1600)),
    (Geometry((20, 20)), (150, 200)),
]


@pytest.mark.parametrize(("geometry", "size"), DRAFTED)
def test_large_jpegs_are_decoded_at_the_least_scale_that_leaves_twice_the_size(geometry: Geometry, size: Any) -> None:
    content = encoded(natural(1200, 1600), "JPEG", quality=90)
    drafted, whole = decode(content, geometry), decode(content)
    assert drafted.shape == (*size, 3)
    wanted = geometry.whole_size(1200, 1600)
    assert all(got >= 2 * side or got == was for got, side, was in zip(size, wanted, (1200, 1600), strict=True))
    assert_close(geometry, drafted, whole)


def assert_close(geometry: Geometry, drafted: Array, whole: Array) -> None:
    """The result of a drafted picture is within 1 of 255 on average, and nowhere beyond 12."""
    difference = np.abs(resized(geometry, drafted).astype(float) - resized(geometry, whole))
    assert difference.mean() < 1
    assert difference.max() < 12


def resized(geometry: Geometry, pixels: Array) -> Array:
    return geometry(torch.from_numpy(pixels).permute(2, 0, 1)).numpy()


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_drafts_of_turned_pictures_are_right(orientation: int) -> None:
    content = encoded(natural(400, 800), "JPEG", exif=turned(orientation))
    upright = (800, 400) if orientation >= 5 else (400, 800)
    for geometry in (Geometry((100, 50)), Geometry((50, 100)), Geometry((50, 50), "crop"), Geometry((90, 90), "pad")):
        drafted = decode(content, geometry)
        assert drafted.shape[0] * drafted.shape[1] < 400 * 800
        assert drafted.shape[0] * upright[1] == drafted.shape[1] * upright[0]
        assert_close(geometry, drafted, decode(content))


def test_drafts_of_cmyk_pictures_are_right() -> None:
    content = encoded(natural(400, 800).convert("CMYK"), "JPEG", quality=90)
    geometry = Geometry((50, 60))
    assert decode(content, geometry).shape == (100, 200, 3)
    assert_close(geometry, decode(content, geometry), decode(content))


@pytest.mark.parametrize(("side", "drafted"), [(800, 100), (797, 399), (795, 199), (783, 783), (63, 63)])
def test_drafts_move_no_edge_by_more_than_a_sixteenth_of_a_pixel(side: int, drafted: int) -> None:
    geometry = Geometry((49, 49))
    content = encoded(natural(side, side), "JPEG", quality=90)
    assert decode(content, geometry).shape == (drafted, drafted, 3)
    assert_close(geometry, decode(content, geometry), decode(content))


def test_drafts_are_much_cheaper() -> None:
    content = encoded(natural(2400, 3200), "JPEG", quality=90)

    def seconds(geometry: Geometry | None) -> float:
        start = time.process_time()
        decode(content, geometry)
        return time.process_time() - start

    runs = [(seconds(None), seconds(Geometry((100, 100)))) for _ in range(5)]
    whole, drafted = np.min(runs, axis=0)
    assert drafted < whole / 2


def test_other_formats_are_not_drafted() -> None:
    assert decode(encoded(natural(400, 800), "PNG"), Geometry((10, 10))).shape == (400, 800, 3)
