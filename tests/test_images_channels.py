"""Which axis of an array holds the channels, and how many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skdeep.exceptions import ImageError
from skdeep.images import as_images
from skdeep.images.channels import channels_last, find_channel_axis, resolve_channel_axis, settle_n_channels


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((8, 9, 3), "last"),
        ((8, 9, 1), "last"),
        ((3, 8, 9), "first"),
        ((1, 8, 9), "first"),
        ((3, 5, 3), "last"),
        ((1, 8, 3), "last"),
        ((8, 9, 4), "last"),
        ((4, 8, 9), "first"),
        ((2, 8, 9), "first"),
        ((4, 8, 4), "last"),
        # one or three channels are likelier than two or four, wherever they are
        ((3, 8, 4), "first"),
        ((4, 8, 3), "last"),
        ((1, 8, 2), "first"),
    ],
)
def test_channel_axis_is_found_by_the_rule(shape: tuple[int, ...], axis: str) -> None:
    assert find_channel_axis([shape]) == axis


def test_channel_axis_fits_all_shapes_of_a_list() -> None:
    assert find_channel_axis([(3, 8, 3), (3, 9, 9)]) == "first"
    assert find_channel_axis([(3, 8, 3), (9, 9, 3), (5, 5, 1)]) == "last"


def test_channel_axis_that_cannot_be_found_asks_for_the_parameter() -> None:
    with pytest.raises(ImageError, match=r"images of shape \(4, 4, 5\) and \(8, 9, 5\)\. Say .*channel_axis='first'"):
        find_channel_axis([(8, 9, 5), (4, 4, 5)])
    with pytest.raises(ImageError, match="channel_axis="):
        as_images(np.zeros((2, 8, 9, 7)))


def test_channels_last_gives_views() -> None:
    X = np.zeros((2, 3, 4, 5))
    assert channels_last(X, "first").shape == (2, 4, 5, 3)
    assert channels_last(X[0], "first").shape == (4, 5, 3)
    assert channels_last(X, "last").shape == X.shape
    assert np.shares_memory(channels_last(X, "first"), X)


@pytest.mark.parametrize(
    ("shape", "settled", "n_channels", "expected"),
    [
        ((3, 8, 9), "last", 3, "first"),
        ((8, 9, 3), "first", 3, "last"),
        # both readings are possible, or none: what fit settled on holds
        ((3, 8, 3), "first", 3, "first"),
        ((3, 8, 3), "last", 3, "last"),
        ((4, 8, 9), "last", 3, "last"),
        ((3, 8, 9), "last", None, "last"),
        ((8, 9, 4), "auto", 7, "last"),
    ],
)
def test_channel_axis_of_fit_holds_unless_the_other_alone_fits(
    shape: tuple[int, ...], settled: Any, n_channels: int | None, expected: str
) -> None:
    assert resolve_channel_axis([shape], settled, n_channels) == expected
    assert resolve_channel_axis([], settled, n_channels) == settled


@pytest.mark.parametrize(
    ("counts", "settled", "expected"),
    [({3}, None, 3), ({1}, None, 1), ({1, 3}, None, 3), ({7}, None, 7), ({1}, 3, 3), ({1, 3}, 3, 3), ({1}, 1, 1)],
)
def test_number_of_channels_is_one_for_all(counts: set[int], settled: int | None, expected: int) -> None:
    assert settle_n_channels(counts, settled) == expected


@pytest.mark.parametrize(
    ("counts", "settled", "message"),
    [
        ({3, 4}, None, "same number of channels .*got 3 and 4"),
        ({1, 4}, None, "same number of channels .*got 1 and 4"),
        ({3}, 1, "have 3 channels .*but 1 were there during fit"),
        ({1, 3}, 4, "have 1 and 3 channels .*but 4 were there during fit"),
    ],
)
def test_numbers_of_channels_that_do_not_meet_are_refused(counts: set[int], settled: int | None, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        settle_n_channels(counts, settled)
