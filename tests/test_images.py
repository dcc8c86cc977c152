"""What X may be, how files are decoded, resized and loaded."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse
from torchvision import models

from skdeep.backbones import resolve_backbone
from skdeep.exceptions import ImageError
from skdeep.images import Geometry, as_images, load_batches
from skdeep.images.decode import decode, to_rgb

Array = NDArray[Any]


def pixels_of(X: Any, **options: Any) -> Array:
    """All pictures of X as one uint8 array (n, h, w, 3), whatever range X came in."""
    images = as_images(X, **options)
    pixels = [images.pixels(row) for row in range(len(images))]
    assert all(picture.dtype in (torch.uint8, torch.float32) for picture in pixels)
    whole = [picture * 255 if picture.is_floating_point() else picture.float() for picture in pixels]
    stacked = torch.stack(whole).numpy()
    np.testing.assert_allclose(stacked, stacked.round(), atol=1e-3)
    return np.moveaxis(stacked.round().astype(np.uint8), 1, -1)


def digests_of(X: Any, **options: Any) -> list[bytes]:
    return as_images(X, **options).digests()


FORMS_OF_PATHS = {
    "list of str": list,
    "list of Path": lambda paths: [Path(path) for path in paths],
    "tuple": tuple,
    "array of str": np.array,
    "array of object": lambda paths: np.array(paths, dtype=object),
    "column of str": lambda paths: np.array(paths)[:, None],
    "nested list": lambda paths: [[path] for path in paths],
    "Series": pd.Series,
    "Series of other index": lambda paths: pd.Series(paths, index=range(10, 10 + len(paths))),
    "categorical Series": lambda paths: pd.Series(paths, dtype="category"),
    "DataFrame": lambda paths: pd.DataFrame({"image": paths}),
}


@pytest.mark.parametrize("form", FORMS_OF_PATHS)
def test_paths_give_the_same_pixels_in_every_form(form: str, paths: list[str], pictures: Array) -> None:
    X = FORMS_OF_PATHS[form](paths)
    np.testing.assert_array_equal(pixels_of(X), pictures)
    assert digests_of(X) == digests_of(paths)


FORMS_OF_ARRAYS = {
    "nhwc": lambda pictures: pictures,
    "nchw": lambda pictures: np.moveaxis(pictures, -1, 1),
    "fortran order": np.asfortranarray,
    "nested lists": lambda pictures: pictures.tolist(),
    "list of arrays": list,
    "list of channels-first arrays": lambda pictures: list(np.moveaxis(pictures, -1, 1)),
    "tensor": torch.from_numpy,
    "tensor nchw": lambda pictures: torch.from_numpy(pictures).permute(0, 3, 1, 2),
    "list of tensors": lambda pictures: list(torch.from_numpy(pictures)),
    "PIL": lambda pictures: [Image.fromarray(picture) for picture in pictures],
    "Series of PIL": lambda pictures: pd.Series([Image.fromarray(picture) for picture in pictures]),
    "DataFrame of arrays": lambda pictures: pd.DataFrame({"image": list(pictures)}),
    "int64": lambda pictures: pictures.astype(np.int64),
    "float64": lambda pictures: pictures.astype(np.float64),
    "float16": lambda pictures: pictures.astype(np.float16),
}


@pytest.mark.parametrize("form", FORMS_OF_ARRAYS)
def test_arrays_give_the_same_pixels_and_digests_in_every_form(form: str, pictures: Array) -> None:
    X = FORMS_OF_ARRAYS[form](pictures)
    np.testing.assert_array_equal(pixels_of(X), pictures)
    assert digests_of(X) == digests_of(pictures)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (1, 4, 5)])
def test_grey_pictures_are_repeated_on_three_channels(shape: tuple[int, ...]) -> None:
    grey = np.random.default_rng(0).integers(256, size=(3, 4, 5), dtype=np.uint8)
    expected = np.repeat(grey[..., None], 3, axis=-1)
    np.testing.assert_array_equal(pixels_of(grey.reshape(3, *shape)), expected)
    np.testing.assert_array_equal(pixels_of(list(grey.reshape(3, *shape))), expected)


FORMS_OF_ROWS = {
    "array": lambda rows: rows,
    "list": lambda rows: rows.tolist(),
    "list of arrays": list,
    "csr matrix": sparse.csr_matrix,
    "csc array": sparse.csc_array,
    "float64": lambda rows: rows.astype(np.float64),
    "DataFrame": pd.DataFrame,
    "DataFrame of several types": lambda rows: pd.DataFrame(rows).astype({0: np.float64, 1: object}),
}


@pytest.mark.parametrize("form", FORMS_OF_ROWS)
def test_flat_rows_give_the_same_pixels_in_every_form(form: str, pictures: Array) -> None:
    X = FORMS_OF_ROWS[form](pictures.reshape(len(pictures), -1))
    np.testing.assert_array_equal(pixels_of(X, image_shape=(32, 32, 3)), pictures)
    assert digests_of(X, image_shape=(32, 32, 3)) == digests_of(pictures)


def test_flat_rows_have_the_shape_that_image_shape_says() -> None:
    rng = np.random.default_rng(0)
    last, first, grey = (
        rng.integers(256, size=(2, *shape), dtype=np.uint8) for shape in [(4, 5, 3), (3, 4, 5), (4, 5)]
    )
    np.testing.assert_array_equal(pixels_of(last.reshape(2, -1), image_shape=(4, 5, 3)), last)
    np.testing.assert_array_equal(pixels_of(first.reshape(2, -1), image_shape=(3, 4, 5)), np.moveaxis(first, 1, -1))
    expected = np.repeat(grey[..., None], 3, axis=-1)
    np.testing.assert_array_equal(pixels_of(grey.reshape(2, -1), image_shape=[4, 5]), expected)


def test_read_only_memory_maps_are_read(tmp_path: Path, pictures: Array) -> None:
    np.save(tmp_path / "pictures.npy", pictures)
    mapped = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    assert not mapped.flags.writeable
    np.testing.assert_array_equal(pixels_of(mapped), pictures)


def test_pictures_of_several_sizes_and_kinds_may_meet(pictures: Array) -> None:
    X = [Image.fromarray(pictures[0]), pictures[1][:20], torch.from_numpy(pictures[2])]
    images = as_images(X)
    assert [tuple(images.pixels(row).shape) for row in range(3)] == [(3, 32, 32), (3, 20, 32), (3, 32, 32)]


def test_channels_come_last_where_both_readings_are_possible() -> None:
    X = np.random.default_rng(0).integers(256, size=(2, 3, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pixels_of(X), X)


def test_side_features_stand_right_of_images(paths: list[str], pictures: Array) -> None:
    side = np.arange(12).reshape(6, 2)
    frame = pd.DataFrame({"image": paths, "height": side[:, 0], "cloudy": side[:, 1]})
    rows = np.hstack([pictures.reshape(6, -1).astype(float), side])
    flat = [as_images(table, image_shape=(32, 32, 3)) for table in (rows, sparse.csr_array(rows), pd.DataFrame(rows))]
    for images in [as_images(frame), *flat]:
        np.testing.assert_array_equal(images.side_features, side)
        assert images.side_features.dtype == np.float32
        assert images.format.n_side_features == 2
    assert digests_of(frame) == digests_of(paths)
    assert digests_of(rows, image_shape=(32, 32, 3)) == digests_of(pictures)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"image": ["a", "b"], "side": ["x", "y"]}), "columns beside the images must hold numbers"),
        (pd.DataFrame({"image": ["a", "b"], "side": [0.0, np.nan]}), "NaN or infinity in the numbers beside"),
    ],
)
def test_side_features_that_are_no_numbers_are_refused(X: pd.DataFrame, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        as_images(X)


def test_another_number_of_side_features_than_in_fit_is_refused(paths: list[str]) -> None:
    fitted = as_images(pd.DataFrame({"image": paths, "side": range(6)})).format
    with pytest.raises(ImageError, match="X holds 0 side features beside each image, but 1 were there during fit"):
        as_images(paths, like=fitted)


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.array([[[0, 1], [1, 0]]], dtype=np.uint8), 255),
        (np.array([[[0, 1], [1, 0]]], dtype=np.int64), 255),
        (np.array([[[False, True]]]), 1),
        (np.array([[[0.0, 1.0]]]), 1),
        (np.array([[[0.0, 1.5]]]), 255),
    ],
)
def test_auto_pixel_range_follows_dtype_and_values(X: Array, expected: int) -> None:
    assert as_images(X).format.pixel_range == expected


def test_pixel_range_of_fit_overrules_what_a_later_batch_looks_like() -> None:
    bright, dark = np.full((1, 2, 2), 200.0), np.full((1, 2, 2), 1.0)
    later = as_images(dark, like=as_images(bright).format)
    assert later.format.pixel_range == 255
    assert later.digests() == as_images(dark.astype(np.uint8)).digests()


def test_pixel_range_1_reads_fractions_and_is_255_times_as_bright() -> None:
    X = np.array([[[0.0, 0.2], [0.5, 1.0]]])
    fraction = as_images(X, pixel_range=1).pixels(0)
    np.testing.assert_allclose(fraction[0], X[0], rtol=1e-6)
    np.testing.assert_allclose(as_images(X, pixel_range=255).pixels(0), fraction / 255, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_digests_do_not_depend_on_the_dtype_of_equal_values(dtype: type, pictures: Array) -> None:
    assert digests_of(pictures.astype(dtype), pixel_range=255) == digests_of(pictures)


def test_digests_tell_pictures_apart(pictures: Array) -> None:
    changed = pictures.copy()
    changed[:, -1, -1, -1] ^= 1
    assert len(set(digests_of(pictures) + digests_of(changed))) == 12
    shapes = [np.zeros((1, 4, 6, 3), np.uint8), np.zeros((1, 6, 4, 3), np.uint8)]
    assert digests_of(shapes[0]) != digests_of(shapes[1])


@pytest.mark.parametrize(
    ("X", "pixel_range", "message"),
    [
        (np.full((1, 2, 2), 256), "auto", "between 0 and 255, got values from 256 to 256"),
        (np.full((1, 2, 2), -1), "auto", "between 0 and 255, got values from -1 to -1"),
        (np.full((1, 2, 2), 2), 1, "between 0 and 1, got values from 2 to 2"),
        (np.full((1, 2, 2), -0.5), "auto", "between 0 and 1, got values from -0.5"),
        (np.full((1, 2, 2), np.nan), "auto", "contains NaN or infinity"),
        (np.full((1, 2, 2), np.inf), 255, "contains NaN or infinity"),
        ([np.zeros((2, 2)), np.full((2, 2), np.nan)], "auto", "contains NaN or infinity"),
    ],
)
def test_values_outside_the_pixel_range_are_refused(X: Any, pixel_range: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        as_images(X, pixel_range=pixel_range)


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        ("a.jpg", {}, "one image a row, got the single image 'a.jpg'; pass a list"),
        (Path("a.jpg"), {}, "single image 'a.jpg'; pass a list"),
        (Image.new("RGB", (4, 5)), {}, "single image .*; pass a list"),
        ([], {}, "0 sample"),
        (np.zeros((0, 4, 4)), {}, "0 sample"),
        (pd.DataFrame(), {}, r"must hold images: .*got an array of shape \(0, 0\)"),
        (np.zeros((3, 0, 5, 3)), {}, r"at least one pixel, got an array of shape \(3, 0, 5, 3\)"),
        (np.zeros((2, 12)), {}, r"shape \(2, 12\).*Flat rows need image_shape="),
        (pd.DataFrame(np.zeros((2, 12))), {}, r"shape \(2, 12\).*Flat rows need image_shape="),
        ([np.zeros(12)] * 2, {}, r"shape \(2, 12\).*Flat rows need image_shape="),
        (np.zeros(12), {}, r"shape \(12,\)"),
        (None, {}, r"shape \(\)"),
        (np.zeros((2, 4, 4, 5)), {}, r"1 or 3 channels .* got images of shape \(4, 4, 5\)"),
        (np.zeros((2, 11)), {"image_shape": (2, 2, 3)}, r"image_shape=\(2, 2, 3\) need at least 12 numbers"),
        (np.full((2, 12), "a", dtype=object), {"image_shape": (2, 2, 3)}, "need at least 12 numbers.*dtype object"),
        ([np.zeros((2, 2)), "a.jpg"], {}, "PIL images and arrays of 2 or 3 axes"),
        ([{}, {}], {}, "PIL images and arrays of 2 or 3 axes"),
    ],
)
def test_x_that_holds_no_images_is_refused(X: Any, options: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        as_images(X, **options)


def test_missing_files_are_counted_and_named(paths: list[str]) -> None:
    with pytest.raises(ImageError, match=r"2 of 8 image files cannot be found: no.jpg, neither.jpg"):
        as_images([*paths, "no.jpg", "neither.jpg"])
    with pytest.raises(ImageError, match=r"9 of 9 image files cannot be found: a0, a1, a2, a3, a4, \.\.\. \(9 in all\)\."):
        as_images([f"a{row}" for row in range(9)])


def test_files_that_are_no_images_are_found_by_a_look_at_their_beginning(tmp_path: Path, paths: list[str]) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    images = as_images([*paths, text])
    images.check(range(6))
    with pytest.raises(ImageError, match=r"1 of 7 image files cannot be read as images: .*text.jpg"):
        images.check(range(7))
    with pytest.raises(ImageError, match=r"Cannot decode the image '.*text.jpg'"):
        images.pixels(6)


def test_a_truncated_jpeg_fails_when_it_is_decoded(tmp_path: Path, pictures: Array) -> None:
    whole = io.BytesIO()
    Image.fromarray(pictures[0]).save(whole, "JPEG")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.getvalue()[:-300])
    images = as_images([cut])
    images.check([0])
    with pytest.raises(ImageError, match=r"Cannot decode the image '.*cut.jpg': .*truncated"):
        images.pixels(0)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "PPM"])
def test_damaged_files_give_pixels_or_image_error_and_nothing_else(format: str) -> None:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(256, size=(7, 7, 3), dtype=np.uint8)).save(buffer, format)
    content = buffer.getvalue()
    n_refused = 0
    for cut in range(0, len(content), 3):
        flipped = content[:cut] + bytes([content[cut] ^ 255]) + content[cut + 1 :]
        for damaged in (content[:cut], flipped):
            try:
                assert decode(damaged, "x").dtype == np.uint8
            except ImageError:
                n_refused += 1
    assert n_refused > 10


def test_a_file_that_changes_while_in_use_is_noticed(paths: list[str], pictures: Array) -> None:
    images = as_images(paths)
    images.digests()
    Image.fromarray(pictures[1]).save(paths[0])
    with pytest.raises(ImageError, match=r"0.png' was changed while it was being used"):
        images.pixels(0)


def test_gigantic_pictures_are_refused(monkeypatch: pytest.MonkeyPatch, paths: list[str]) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    images = as_images(paths)
    with pytest.raises(ImageError, match="decompression bomb"):
        images.pixels(0)
    with pytest.raises(ImageError, match="6 of 6 image files"):
        images.check(range(6))


def rgb(*colours: tuple[int, int, int]) -> Array:
    return np.array([colours], dtype=np.uint8)


def saved(image: Image.Image, format: str, **options: Any) -> Array:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return decode(buffer.getvalue(), "x")


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan, full magenta and yellow: red
    np.testing.assert_allclose(saved(image, "JPEG", quality=100)[0, 0].astype(int), [255, 0, 0], atol=4)
    np.testing.assert_array_equal(to_rgb(image)[0, 0], [255, 0, 0])


def test_palettes_become_their_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 150, 100])
    image.putdata([1, 0])
    np.testing.assert_array_equal(saved(image, "PNG"), rgb((200, 150, 100), (10, 20, 30)))


def test_transparency_becomes_white() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(0, 0, 0, 0), (10, 20, 30, 255), (0, 0, 0, 51)])
    np.testing.assert_array_equal(saved(image, "PNG"), rgb((255, 255, 255), (10, 20, 30), (204, 204, 204)))
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 9, 8, 7])
    palette.putdata([0, 1])
    np.testing.assert_array_equal(saved(palette, "PNG", transparency=0), rgb((255, 255, 255), (9, 8, 7)))


def test_bits_and_grey_become_rgb() -> None:
    bits = Image.new("1", (2, 1))
    bits.putdata([0, 1])
    np.testing.assert_array_equal(saved(bits, "PNG"), rgb((0, 0, 0), (255, 255, 255)))
    np.testing.assert_array_equal(saved(Image.new("L", (1, 1), 77), "PNG"), rgb((77, 77, 77)))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_cut_off(format: str) -> None:
    image = Image.fromarray(np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16))
    np.testing.assert_array_equal(saved(image, format)[0, :, 0], [0, 0, 1, 128, 255])


def test_pixels_without_a_known_range_are_refused() -> None:
    with pytest.raises(ImageError, match="mode 'F' have no known range; scale them"):
        saved(Image.new("F", (2, 2), 0.5), "TIFF")
    with pytest.raises(ImageError, match="mode 'I' have no known range"):
        as_images([Image.new("I", (2, 2), 70000)])


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, lambda a: a), (2, np.fliplr), (3, lambda a: np.rot90(a, 2)), (6, lambda a: np.rot90(a, -1)), (8, np.rot90)],
)
def test_exif_orientation_is_undone(orientation: int, upright: Any) -> None:
    stored = np.random.default_rng(0).integers(256, size=(3, 5, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(saved(Image.fromarray(stored), "PNG", exif=exif), upright(stored))


@pytest.mark.parametrize("network", ["squeezenet1_1", "resnet50", "efficientnet_b0", "inception_v3"])
def test_geometry_and_normalisation_equal_the_weights_own_transforms(network: str) -> None:
    backbone = resolve_backbone(network, weights=None, image_size=None, seed=0)
    theirs = models.get_model_weights(network).DEFAULT.transforms()
    whole = torch.from_numpy(np.random.default_rng(0).integers(256, size=(3, 300, 380), dtype=np.uint8))
    fractions = backbone.normalise(backbone.geometry(whole / 255))
    torch.testing.assert_close(fractions, theirs(whole / 255), rtol=0, atol=1e-6)
    # of whole numbers the reference is Pillow, with which weights were scored; the two may round by one step of 255
    ours = backbone.normalise(backbone.geometry(whole))
    picture = Image.fromarray(whole.permute(1, 2, 0).numpy())
    torch.testing.assert_close(ours, theirs(picture), rtol=0, atol=1.01 / 255 / min(backbone.std))


def test_geometry_squashes_the_whole_picture_without_resize() -> None:
    halves = torch.zeros(3, 20, 60)
    halves[:, :, 30:] = 1
    squashed = Geometry(size=(8, 8))(halves)
    assert squashed.shape == (3, 8, 8)
    assert (squashed[:, :, :3] == 0).all()
    torch.testing.assert_close(squashed[:, :, 5:], torch.ones(3, 8, 3))


def test_load_batches_keeps_the_order_of_rows(pictures: Array) -> None:
    batches = [[4, 2], [0], [1, 3, 5]]
    loaded = list(load_batches(as_images(pictures), batches, Geometry(size=(32, 32))))
    assert [list(rows) for rows, _ in loaded] == batches
    for rows, pixels in loaded:
        np.testing.assert_array_equal(np.moveaxis(pixels.numpy(), 1, -1), pictures[rows])


def test_load_batches_mixes_whole_numbers_and_fractions() -> None:
    X = [np.full((2, 2), 255.0), np.full((2, 2), 127.5)]
    ((_, pixels),) = load_batches(as_images(X), [[0, 1]], Geometry(size=(2, 2)))
    np.testing.assert_allclose(pixels[:, 0, 0, 0], [1, 0.5])


def test_load_batches_is_one_batch_ahead_and_no_more(pictures: Array) -> None:
    asked: list[int] = []
    second_asked = threading.Event()

    def batches() -> Iterator[list[int]]:
        for row in range(6):
            asked.append(row)
            if row == 1:
                second_asked.set()
            yield [row]

    loader = load_batches(as_images(pictures), batches(), Geometry(size=(8, 8)))
    next(loader)
    assert second_asked.wait(timeout=10)
    time.sleep(0.05)
    assert asked == [0, 1]
    assert len(list(loader)) == 5


@pytest.mark.parametrize("culprit", ["picture", "batches"])
def test_load_batches_passes_on_what_went_wrong(culprit: str, tmp_path: Path, paths: list[str]) -> None:
    (tmp_path / "text.png").write_text("not a picture")

    def batches() -> Iterator[list[int]]:
        yield [0]
        if culprit == "batches":
            raise RuntimeError("no more claims")
        yield [6]

    loader = load_batches(as_images([*paths, tmp_path / "text.png"]), batches(), Geometry(size=(8, 8)))
    assert next(loader)[0] == [0]
    error, message = (ImageError, "text.png") if culprit == "picture" else (RuntimeError, "no more claims")
    with pytest.raises(error, match=message):
        next(loader)


def test_load_batches_ends_its_thread_when_abandoned(pictures: Array) -> None:
    loader = load_batches(as_images(pictures), ([row % 6] for row in range(10**9)), Geometry(size=(8, 8)))
    next(loader)
    start = time.monotonic()
    loader.close()
    assert time.monotonic() - start < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skdeep-images")]


@pytest.mark.data
def test_planet_chips_are_cmyk_files_that_become_rgb(data_folder: Path) -> None:
    chips = sorted((data_folder / "planet_sample" / "train-jpg").glob("*.jpg"))[:3]
    with Image.open(chips[0]) as chip:
        assert chip.mode == "CMYK"
    pixels = pixels_of(chips)
    assert pixels.shape == (3, 256, 256, 3)
    assert 20 < pixels.mean() < 200


def test_side_features_in_another_order_are_refused(paths: list[str]) -> None:
    frame = pd.DataFrame({"image": paths, "age": 1.0, "area": 2.0})
    fitted = as_images(frame).format
    as_images(frame, like=fitted)
    with pytest.raises(ImageError, match="feature names should match"):
        as_images(frame[["image", "area", "age"]], like=fitted)


def test_fractions_are_refused_where_white_was_settled_as_255(pictures: Array) -> None:
    fitted = as_images(pictures).format
    with pytest.raises(ImageError, match="fractions from 0 to 1"):
        as_images(pictures / 255, like=fitted)


def test_read_only_channels_first_images_are_fine(pictures: Array) -> None:
    channels_first = np.ascontiguousarray(np.moveaxis(pictures, -1, 1))
    channels_first.flags.writeable = False
    assert torch.equal(as_images(channels_first).pixels(0), as_images(pictures).pixels(0))


def test_a_file_that_vanishes_is_named(paths: list[str]) -> None:
    images = as_images(paths)
    Path(paths[1]).unlink()
    assert [bool(digest) for digest in images.digests()] == [row != 1 for row in range(len(paths))]
    with pytest.raises(ImageError, match=r"1\.png"):
        images.check(range(len(paths)))
