"""What X may be, and what is refused."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from skdeep.exceptions import ImageError
from skdeep.images import Geometry, as_images
from tests.reading import digests_of, pixels_of

Array = NDArray[Any]


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


def as_objects(items: list[Any]) -> Array:
    column = np.empty(len(items), dtype=object)
    column[:] = items
    return column


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
    "DataFrame of PIL and numbers": lambda pictures: pd.DataFrame(
        {"image": [Image.fromarray(picture) for picture in pictures], "side": range(len(pictures))}
    ),
    "int64": lambda pictures: pictures.astype(np.int64),
    "float64": lambda pictures: pictures.astype(np.float64),
    "float16": lambda pictures: pictures.astype(np.float16),
    "uint16, big-endian": lambda pictures: pictures.astype(">u2"),
    "float32 tensor": lambda pictures: torch.from_numpy(pictures).float(),
    "bfloat16 tensor": lambda pictures: torch.from_numpy(pictures).bfloat16(),
    "tensor that learns": lambda pictures: torch.from_numpy(pictures).double().requires_grad_(),
    "steps backwards": lambda pictures: pictures[:, ::-1].copy()[:, ::-1],
    "array of PIL": lambda pictures: as_objects([Image.fromarray(picture) for picture in pictures]),
    "list of arrays and PIL": lambda pictures: [*pictures[:3], *map(Image.fromarray, pictures[3:])],
    "list of channels-first arrays and PIL": lambda pictures: [
        *np.moveaxis(pictures[:3], -1, 1),
        *map(Image.fromarray, pictures[3:]),
    ],
}


@pytest.mark.parametrize("form", FORMS_OF_ARRAYS)
def test_arrays_give_the_same_pixels_and_digests_in_every_form(form: str, pictures: Array) -> None:
    X = FORMS_OF_ARRAYS[form](pictures)
    np.testing.assert_array_equal(pixels_of(X), pictures)
    assert digests_of(X) == digests_of(pictures)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (1, 4, 5)])
def test_grey_arrays_alone_keep_their_one_channel(shape: tuple[int, ...]) -> None:
    grey = np.random.default_rng(0).integers(256, size=(3, 4, 5), dtype=np.uint8)
    for X in (grey.reshape(3, *shape), list(grey.reshape(3, *shape))):
        np.testing.assert_array_equal(pixels_of(X, size=(4, 5)), grey[..., None])
        assert as_images(X).format.n_channels == 1


def test_read_only_memory_maps_are_read(tmp_path: Path, pictures: Array) -> None:
    np.save(tmp_path / "pictures.npy", pictures)
    mapped = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    assert not mapped.flags.writeable
    np.testing.assert_array_equal(pixels_of(mapped), pictures)


def test_pictures_of_several_sizes_and_kinds_may_meet(pictures: Array) -> None:
    X = [Image.fromarray(pictures[0]), pictures[1][:20], torch.from_numpy(pictures[2])]
    images = as_images(X)
    for row, picture in enumerate([pictures[0], pictures[1][:20], pictures[2]]):
        pixels = images.pixels(row, Geometry(picture.shape[:2]))
        np.testing.assert_array_equal(pixels.permute(1, 2, 0), picture)


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


def test_side_features_in_another_order_are_refused(paths: list[str]) -> None:
    frame = pd.DataFrame({"image": paths, "age": 1.0, "area": 2.0})
    fitted = as_images(frame).format
    as_images(frame, like=fitted)
    with pytest.raises(ImageError, match="feature names should match"):
        as_images(frame[["image", "area", "age"]], like=fitted)


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
    assert later.digests()[0] == as_images(dark.astype(np.uint8)).digests()[0]


def test_pixel_range_1_reads_fractions_and_is_255_times_as_bright() -> None:
    X = np.array([[[0.0, 0.2], [0.5, 1.0]]])
    fraction = as_images(X, pixel_range=1).pixels(0, Geometry((2, 2)))
    np.testing.assert_allclose(fraction[0], X[0], rtol=1e-6)
    np.testing.assert_allclose(as_images(X, pixel_range=255).pixels(0, Geometry((2, 2))), fraction / 255, rtol=1e-6)


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


def test_fractions_are_refused_where_white_was_settled_as_255(pictures: Array) -> None:
    fitted = as_images(pictures).format
    with pytest.raises(ImageError, match="fractions from 0 to 1"):
        as_images(pictures / 255, like=fitted)


@pytest.mark.parametrize("is_settled", [False, True])
@pytest.mark.parametrize("kind", ["PIL", "uint8", "int64"])
def test_fractions_among_whole_numbers_are_refused(kind: str, is_settled: bool, pictures: Array) -> None:
    like = as_images(pictures).format if is_settled else None
    whole = [Image.fromarray(picture) if kind == "PIL" else picture.astype(kind) for picture in pictures[:3]]
    mixed = [*whole, *(pictures[3:5] / 255), pictures[5].astype(np.float32)]
    with pytest.raises(ImageError, match=r"mixes pictures of whole numbers, .* with 2 of fractions from 0 to 1"):
        as_images(mixed, like=like)


def test_dark_pictures_among_whole_numbers_are_read(pictures: Array) -> None:
    black, dim = np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.5)
    for fitted in (None, as_images(pictures).format):
        assert as_images([pictures[0], black, black + 1], like=fitted).format.pixel_range == 255
    # who says what white is knows
    assert as_images([pictures[0], dim], pixel_range=255).format.pixel_range == 255


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
        (np.zeros((2, 6, 5, 5)), {}, "Cannot tell the channels"),
        (["a.jpg", np.nan], {}, "some rows are paths, but row 1 is a float"),
        ([[[1, 2], [3]]], {}, "all rows of one form: .*inhomogeneous"),
        (np.zeros((2, 11)), {"image_shape": (2, 2, 3)}, r"image_shape=\(2, 2, 3\) need at least 12 numbers"),
        (np.full((2, 12), "a", dtype=object), {"image_shape": (2, 2, 3)}, "need at least 12 numbers.*dtype object"),
        ([np.zeros((2, 2)), Path("a.jpg")], {}, "some rows are paths, but row 0 is a ndarray"),
        ([np.zeros((2, 2)), np.zeros((1, 2, 2, 1))], {}, r"in row 1 a ndarray of shape \(1, 2, 2, 1\)"),
        ([{}, {}], {}, "PIL images and arrays of 2 or 3 axes only, got in row 0 a dict"),
    ],
)
def test_x_that_holds_no_images_is_refused(X: Any, options: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        as_images(X, **options)


def test_missing_files_are_counted_and_named(paths: list[str]) -> None:
    with pytest.raises(ImageError, match=r"2 of 8 image files cannot be found: no.jpg, neither.jpg"):
        as_images([*paths, "no.jpg", "neither.jpg"])
    with pytest.raises(
        ImageError, match=r"9 of 9 image files cannot be found: a0, a1, a2, a3, a4, \.\.\. \(9 in all\)\."
    ):
        as_images([f"a{row}" for row in range(9)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pixel_range": 2}, r"pixel_range must be one of \('auto', 255, 1\), got 2"),
        ({"channel_axis": 1}, r"channel_axis must be one of \('auto', 'first', 'last'\), got 1"),
        ({"on_error": "ignore"}, r"on_error must be one of \('raise', 'nan'\), got 'ignore'"),
        ({"image_shape": (4,)}, r"image_shape must be .*got \(4,\)"),
        ({"image_shape": (4, 4, 0)}, r"image_shape must be .*got \(4, 4, 0\)"),
    ],
)
def test_parameters_outside_their_values_are_refused(pictures: Array, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_images(pictures, **options)


def test_missing_files_are_rows_that_broken_reports_where_errors_become_nan(paths: list[str]) -> None:
    images = as_images([*paths, "no.jpg"], on_error="nan")
    assert images.broken(range(7)) == {6: "No such file or directory"}
    with pytest.raises(ImageError, match=r"The image 'no.jpg' cannot be read: .*No such file"):
        images.pixels(6, Geometry((8, 8)))


def test_pil_images_that_cannot_be_loaded_are_named_by_their_rows(pictures: Array) -> None:
    def lazy_and_cut_short() -> Image.Image:
        buffer = io.BytesIO()
        Image.fromarray(pictures[0]).save(buffer, "PNG")
        return Image.open(io.BytesIO(buffer.getvalue()[:-500]))

    whole = Image.fromarray(pictures[1])
    with pytest.raises(ImageError, match=r"1 of 2 images cannot be read: row 1 \(.*truncated"):
        as_images([whole, lazy_and_cut_short()])
    images = as_images([whole, lazy_and_cut_short(), pictures[2]], on_error="nan")
    assert list(images.broken(range(3))) == [1]
    assert images.format.pixel_range == 255
    np.testing.assert_array_equal(images.pixels(2, Geometry((32, 32))).permute(1, 2, 0), pictures[2])
    with pytest.raises(ImageError, match=r"The image of row 1 cannot be read: .*truncated"):
        images.pixels(1, Geometry((8, 8)))
    assert images.digests()[1] not in digests_of(np.zeros((1, 1, 1, 3), np.uint8))
    alone = as_images([lazy_and_cut_short()], on_error="nan")
    assert alone.format.n_channels == 3


def test_what_is_no_image_is_an_error_even_where_errors_become_nan(pictures: Array) -> None:
    for X in ([*pictures, None], np.zeros((2, 12)), [*pictures, np.full((2, 2, 3), np.nan)]):
        with pytest.raises(ImageError):
            as_images(X, on_error="nan")


@pytest.mark.parametrize("axis", ["first", "last"])
def test_format_of_fit_keeps_channel_axis_and_number(axis: str) -> None:
    bands = np.random.default_rng(0).integers(256, size=(2, 4, 6, 5), dtype=np.uint8)
    X = np.moveaxis(bands, -1, 1) if axis == "first" else bands
    fitted = as_images(X, channel_axis=axis).format
    assert (fitted.channel_axis, fitted.n_channels) == (axis, 5)
    np.testing.assert_array_equal(pixels_of(X, size=(4, 6), like=fitted), bands)
    np.testing.assert_array_equal(pixels_of(list(X), size=(4, 6), like=fitted), bands)


def test_an_axis_that_fit_did_not_see_stays_open(paths: list[str], pictures: Array) -> None:
    fitted = as_images(paths).format
    assert (fitted.channel_axis, fitted.n_channels) == ("auto", 3)
    for X in (pictures, np.moveaxis(pictures, -1, 1)):
        np.testing.assert_array_equal(pixels_of(X, like=fitted), pictures)


def test_arrays_of_either_axis_are_read_alike_after_fit(pictures: Array) -> None:
    channels_first = np.moveaxis(pictures, -1, 1)
    for fitted, X in [(pictures, channels_first), (channels_first, pictures), (channels_first, list(pictures))]:
        np.testing.assert_array_equal(pixels_of(X, like=as_images(fitted).format), pictures)


def test_another_number_of_channels_than_in_fit_is_refused(pictures: Array, paths: list[str]) -> None:
    four = np.dstack([*np.moveaxis(pictures, -1, 0), pictures[..., 0]]).reshape(6, 32, 32, 4)
    with pytest.raises(ImageError, match=r"X have 3 channels .*but 4 were there during fit"):
        as_images(paths, like=as_images(four, channel_axis="last").format)
    with pytest.raises(ImageError, match=r"X have 4 channels .*but 3 were there during fit"):
        as_images(four, like=as_images(pictures).format)


def test_grey_after_colour_is_repeated_and_colour_after_grey_is_refused(paths: list[str], pictures: Array) -> None:
    grey = pictures[..., 0]
    for fitted in (as_images(paths).format, as_images(pictures).format):
        np.testing.assert_array_equal(pixels_of(grey, like=fitted), np.repeat(grey[..., None], 3, axis=-1))
    for X in (paths, pictures, [grey[0], pictures[0]]):
        with pytest.raises(ImageError, match=r"have .*3 channels .*but 1 were there during fit"):
            as_images(X, like=as_images(grey).format)


def test_grey_among_colour_is_repeated(pictures: Array) -> None:
    mixed = pixels_of([pictures[0], pictures[1, ..., 0], Image.fromarray(pictures[2])])
    expected = np.repeat(pictures[1, ..., :1], 3, axis=-1)
    np.testing.assert_array_equal(mixed, [pictures[0], expected, pictures[2]])


def test_a_large_array_of_bytes_is_not_read_before_it_is_asked_for(tmp_path: Path) -> None:
    # a sparse file: reading all its bytes would take long, and memory
    mapped = np.memmap(tmp_path / "large", dtype=np.uint8, mode="w+", shape=(700, 1024, 1024, 3))
    mapped[699] = 7
    start = time.process_time()
    assert (as_images(mapped).pixels(699, Geometry((2, 2))) == 7).all()
    assert time.process_time() - start < 0.3
