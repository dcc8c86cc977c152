"""Which axis of an array holds the channels of a picture, and how many there are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from skdeep.exceptions import ImageError

ChannelAxis = Literal["auto", "first", "last"]

# numbers of channels that "auto" looks for, the likelier ones first
_LIKELY = ((1, 3), (2, 4))


def find_channel_axis(shapes: Collection[tuple[int, ...]]) -> Literal["first", "last"]:
    """Tell by the shapes of pictures which axis holds their channels.

    The rule: 1 or 3 channels last, else 1 or 3 first, else 2 or 4 last, else 2 or 4 first.

    Parameters
    ----------
    shapes : collection of tuples of int
        Of single pictures, three axes each; one answer must fit them all.

    Raises
    ------
    ImageError
        If neither axis fits all shapes.
    """
    for counts in _LIKELY:
        if all(shape[-1] in counts for shape in shapes):
            return "last"
        if all(shape[0] in counts for shape in shapes):
            return "first"
    raise ImageError(
        "Cannot tell the channels of images from their height and width: neither the last nor the first axis has 1 or "
        f"3, or 2 or 4, in images of shape {' and '.join(map(str, sorted(set(shapes))[:3]))}. Say which axis it is: "
        "channel_axis='first' or 'last'."
    )


def resolve_channel_axis(
    shapes: Collection[tuple[int, ...]], channel_axis: ChannelAxis, n_channels: int | None
) -> ChannelAxis:
    """Tell which axis of pictures holds their channels.

    Parameters
    ----------
    shapes : collection of tuples of int
        Of single pictures, three axes each; without any, the question stays open.
    channel_axis : {"auto", "first", "last"}
        What the user says, or ``fit`` has settled on.
    n_channels : int or None
        What ``fit`` has seen. Where the other axis alone has that number, that is the one: no second reading is
        possible.

    Raises
    ------
    ImageError
        If neither the user nor the shapes tell.
    """
    if not shapes:
        return channel_axis
    if channel_axis == "auto":
        return find_channel_axis(shapes)
    counts = {"first": {shape[0] for shape in shapes}, "last": {shape[-1] for shape in shapes}}
    other: ChannelAxis = "first" if channel_axis == "last" else "last"
    return other if counts[other] == {n_channels} != counts[channel_axis] else channel_axis


def channels_last(X: NDArray[Any], channel_axis: ChannelAxis) -> NDArray[Any]:
    """View images of shape (..., h, w, c) or (..., c, h, w) as (..., h, w, c)."""
    return np.moveaxis(X, -3, -1) if channel_axis == "first" else X


def settle_n_channels(counts: Collection[int], settled: int | None) -> int:
    """The number of channels of every picture of X, once grey ones among coloured ones are repeated.

    Parameters
    ----------
    counts : collection of int
        Numbers of channels in X.
    settled : int or None
        What ``fit`` has seen.

    Raises
    ------
    ImageError
        If the numbers are several and no repetition of grey makes them one, or differ from what ``fit`` has seen.
        Grey is repeated to three channels alone: what a grey picture looks like in other bands, nobody knows. Colour
        is never made grey behind the user's back.
    """
    n_channels = max(counts) if settled is None else settled
    if set(counts) <= ({1, 3} if n_channels == 3 else {n_channels}):
        return n_channels
    found = " and ".join(map(str, sorted(set(counts))))
    if settled is None:
        raise ImageError(f"All images must have the same number of channels (grey may stand among RGB), got {found}.")
    raise ImageError(
        f"The images of X have {found} channels (files and PIL images are read as RGB, 3 channels), but {settled} were "
        "there during fit."
    )
