"""Flat rows of pixels, dense and sparse."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse

from skdeep.exceptions import FlatRowsWarning, ImageError
from skdeep.images import as_images
from skdeep.images.rows import split_rows
from tests.reading import digests_of, pixels_of

Array = NDArray[Any]


def in_two_parts(rows: Array) -> Any:
    """A csr array that holds every number as the sum of two, in no order."""
    whole = sparse.coo_array(rows.astype(np.int32))
    halves = np.concatenate([whole.data // 2, whole.data - whole.data // 2])
    where = (np.tile(whole.coords[0], 2), np.tile(whole.coords[1], 2))
    order = np.lexsort((-where[1], where[0]))
    start = np.searchsorted(where[0][order], np.arange(len(rows) + 1))
    return sparse.csr_array((halves[order], where[1][order], start), shape=rows.shape)


FORMS_OF_ROWS = {
    "array": lambda rows: rows,
    "list": lambda rows: rows.tolist(),
    "list of arrays": list,
    "csr matrix": sparse.csr_matrix,
    "csr array": sparse.csr_array,
    "csc array": sparse.csc_array,
    "coo array": sparse.coo_array,
    "lil matrix": sparse.lil_matrix,
    "dok array": sparse.dok_array,
    "bsr array": sparse.bsr_array,
    "csr array of float64": lambda rows: sparse.csr_array(rows.astype(np.float64)),
    "csr array of int64": lambda rows: sparse.csr_array(rows.astype(np.int64)),
    "csr array whose numbers come in two parts": lambda rows: in_two_parts(rows),
    "tensor": torch.from_numpy,
    "float64": lambda rows: rows.astype(np.float64),
    "DataFrame": pd.DataFrame,
    "DataFrame of several types": lambda rows: pd.DataFrame(rows).astype({0: np.float64, 1: object}),
}


@pytest.mark.parametrize("form", FORMS_OF_ROWS)
def test_flat_rows_give_the_same_pixels_in_every_form(form: str, pictures: Array) -> None:
    X = FORMS_OF_ROWS[form](pictures.reshape(len(pictures), -1))
    np.testing.assert_array_equal(pixels_of(X, image_shape=(32, 32, 3)), pictures)
    assert digests_of(X, image_shape=(32, 32, 3)) == digests_of(pictures)


@pytest.mark.parametrize(
    ("channel_axis", "image_shape", "expected_shape"),
    [
        ("auto", (4, 5), (4, 5, 1)),
        ("auto", [4, 5], (4, 5, 1)),
        ("auto", (4, 5, 3), (4, 5, 3)),
        ("auto", (3, 4, 5), (4, 5, 3)),
        ("last", (4, 5, 7), (4, 5, 7)),
        ("first", (7, 4, 5), (4, 5, 7)),
    ],
)
def test_flat_rows_have_the_shape_that_image_shape_says(
    channel_axis: str, image_shape: Any, expected_shape: Any
) -> None:
    shaped = np.random.default_rng(0).integers(256, size=(2, *image_shape), dtype=np.uint8)
    expected = np.moveaxis(shaped, 1, -1) if tuple(image_shape) != expected_shape[: len(image_shape)] else shaped
    rows = shaped.reshape(2, -1)
    for X in (rows, sparse.csr_array(rows)):
        pixels = pixels_of(X, size=(4, 5), image_shape=image_shape, channel_axis=channel_axis)
        np.testing.assert_array_equal(pixels, expected.reshape(2, *expected_shape))


@pytest.mark.parametrize(
    ("values", "pixel_range", "dtype", "resolved"),
    [
        (np.array([[0, 1, 0, 1]], np.int64), "auto", np.uint8, 255),
        (np.array([[0, 9, 0, 255]], np.float64), "auto", np.uint8, 255),
        (np.array([[0, 1, 0, 1]], np.float64), "auto", np.float32, 1),
        (np.array([[0, 1, 0, 1]], np.float64), 255, np.uint8, 255),
        (np.array([[0, 9.5, 0, 255]], np.float64), "auto", np.float32, 255),
        (np.array([[0, 0.5, 0, 1]], np.float64), "auto", np.float32, 1),
        (np.array([[False, True, False, True]]), "auto", np.bool_, 1),
        (np.zeros((1, 4)), "auto", np.float32, 1),
        (np.zeros((1, 4), np.int32), "auto", np.uint8, 255),
    ],
)
def test_sparse_rows_take_the_smallest_dtype_and_mean_what_dense_ones_do(
    values: Array, pixel_range: Any, dtype: type, resolved: int
) -> None:
    images, _ = split_rows(sparse.csr_array(values), (2, 2), pixel_range)
    assert images.dtype == dtype
    np.testing.assert_array_equal(images.reshape(1, 4), values.astype(dtype))
    options = {"image_shape": (2, 2), "pixel_range": pixel_range}
    for X in (values, sparse.csr_array(values)):
        assert as_images(X, **options).format.pixel_range == resolved
    assert digests_of(sparse.csr_array(values), **options) == digests_of(values, **options)


@pytest.mark.parametrize("value", [-1, 256, np.nan])
def test_sparse_values_outside_the_pixel_range_are_refused(value: float) -> None:
    X = sparse.csr_array(np.array([[0, value, 3, 0]]))
    with pytest.raises(ImageError, match=r"between 0 and 255, got values from|contains NaN"):
        as_images(X, image_shape=(2, 2))


def test_sparse_rows_are_made_dense_without_a_second_copy_and_left_as_they_were() -> None:
    # 48 MB of pixels, which as one array of float64 would be 384 MB
    X = sparse.random_array((1000, 48_000), density=0.01, rng=0, data_sampler=lambda size: np.full(size, 3.0))
    X = X.tocsr()
    before = X.copy()
    tracemalloc.start()
    images, _ = split_rows(X, (200, 240), "auto")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert images.nbytes == 48_000_000
    assert peak < images.nbytes + 35_000_000
    assert (before != X).nnz == 0


def test_sparse_rows_without_an_image_shape_are_refused_before_they_are_made_dense() -> None:
    with pytest.raises(ImageError, match="Flat rows need image_shape="):
        as_images(sparse.csr_array((10**6, 10**6), dtype=np.uint8))


def test_large_dense_rows_get_one_warning_that_names_the_better_road() -> None:
    # zeros that are never written take no memory
    rows = np.zeros((1000, 30_000), dtype=np.float32)
    with pytest.warns(
        FlatRowsWarning, match=r"114 MiB of flat rows, float32 .*paths .*uint8, which takes 29 MiB"
    ) as caught:
        images = as_images(rows, image_shape=(100, 100, 3))
    assert len(caught) == 1
    as_images(rows, like=images.format)
    as_images(rows[:800], image_shape=(100, 100, 3))
    as_images(sparse.csr_array((1000, 150_000), dtype=np.uint8), image_shape=(500, 300))
