"""Pictures are brought to the size that a network takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import models

from skdeep.backbones import resolve_backbone
from skdeep.exceptions import ImageError
from skdeep.images import Geometry

sides = st.integers(1, 40)
sizes = st.tuples(sides, sides)
policies = st.sampled_from(["squash", "crop", "pad"])
interpolations = st.sampled_from(["bilinear", "bicubic"])
fills = st.lists(st.integers(0, 255), min_size=1, max_size=5).map(tuple)


@pytest.mark.parametrize("network", ["squeezenet1_1", "resnet50", "efficientnet_b0", "efficientnet_b3"])
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


@settings(max_examples=150, deadline=None)
@given(sizes, sizes, policies, interpolations, fills, st.integers(1, 5), st.booleans(), st.data())
def test_geometry_gives_the_size_and_keeps_a_constant_picture_constant(
    of: Any, size: Any, policy: Any, interpolation: str, fill: Any, n_channels: int, fractions: bool, data: Any
) -> None:
    resize = None
    if policy == "crop":
        resize = data.draw(st.none() | st.integers(max(size), max(size) + 20))
    geometry = Geometry(size, policy, resize, interpolation, fill)
    colour = torch.arange(7, 7 + n_channels, dtype=torch.uint8)[:, None, None]
    pixels = colour.expand(n_channels, *of)
    result = geometry(pixels / 255) if fractions else geometry(pixels)
    if policy == "pad" and n_channels == 1 and len(set(fill)) > 1:
        n_channels = len(fill)  # grey cannot show a coloured border
    assert result.shape == (n_channels, *size)
    assert result.dtype == (torch.float32 if fractions else torch.uint8)
    whole = (result * 255).round() if fractions else result
    if policy != "pad":
        assert (whole == colour).all()
        return
    height, width = geometry.whole_size(*of)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    expected = torch.tensor([fill[i % len(fill)] for i in range(n_channels)])[:, None, None].repeat(1, *size)
    expected[:, top : top + height, left : left + width] = colour
    assert (whole == expected).all()


def test_geometry_refuses_to_cut_the_centre_out_of_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = torch.zeros(3, 2, 6000, dtype=torch.uint8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    with pytest.raises(ImageError, match="6000 x 2 pixels are too thin to cut the centre out: they would first become"):
        Geometry((224, 224), "crop", 256)(thread)
    assert Geometry((224, 224), "pad")(thread).shape == (3, 224, 224)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert Geometry((8, 8), "crop")(thread).shape == (3, 8, 8)


@given(sizes, sizes)
def test_geometry_pad_keeps_the_proportions_and_touches_two_edges(of: Any, size: Any) -> None:
    whole = Geometry(size, "pad").whole_size(*of)
    assert whole[0] <= size[0]
    assert whole[1] <= size[1]
    assert whole[0] == size[0] or whole[1] == size[1]
    scale = min(size[0] / of[0], size[1] / of[1])
    # to the nearest pixel, but never to none
    assert all(abs(side - scale * was) <= 0.5 or side == 1 for side, was in zip(whole, of, strict=True))


@given(sizes, sizes, st.none() | st.integers(0, 20))
def test_geometry_crop_keeps_the_proportions_and_covers_the_size(of: Any, size: Any, more: int | None) -> None:
    resize = None if more is None else max(size) + more
    whole = Geometry(size, "crop", resize).whole_size(*of)
    assert whole[0] >= size[0]
    assert whole[1] >= size[1]
    scale = max(size[0] / of[0], size[1] / of[1]) if resize is None else resize / min(of)
    assert all(scale * was - 1 < side <= scale * was + 1e-9 for side, was in zip(whole, of, strict=True))


@settings(deadline=None)
@given(sizes, sides)
def test_geometry_crop_to_a_square_without_resize_is_the_crop_of_the_least_resize(of: Any, side: int) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(256, size=(3, *of), dtype=np.uint8))
    least, named = Geometry((side, side), "crop"), Geometry((side, side), "crop", side)
    assert torch.equal(least(pixels), named(pixels))


@settings(deadline=None)
@given(sizes, sizes, policies, interpolations, st.integers(1, 5))
def test_geometry_does_not_depend_on_the_order_in_memory(
    of: Any, size: Any, policy: Any, interpolation: str, n_channels: int
) -> None:
    assume(of != size)
    geometry = Geometry(size, policy, None, interpolation)
    channels_first = torch.from_numpy(
        np.random.default_rng(0).integers(256, size=(n_channels, *of), dtype=np.uint8),
    )
    channels_last = channels_first.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    torch.testing.assert_close(geometry(channels_last), geometry(channels_first), rtol=0, atol=1)
    batch = torch.stack([channels_first, channels_first])
    torch.testing.assert_close(geometry(batch)[1], geometry(channels_first), rtol=0, atol=1)


def triangle_weights(n_in: int, n_out: int) -> torch.Tensor:
    """What each pixel of a line gives to each pixel of the result: linear interpolation, widened when shrinking."""
    step = n_in / n_out
    centres = (torch.arange(n_out, dtype=torch.double)[:, None] + 0.5) * step
    distances = (torch.arange(n_in, dtype=torch.double) + 0.5 - centres).abs()
    weights = (1 - distances / max(step, 1)).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


@settings(max_examples=200, deadline=None)
@given(sizes, sizes, st.integers(1, 5), st.booleans(), st.booleans())
def test_geometry_resizes_as_the_definition_says(
    of: Any, size: Any, n_channels: int, side_by_side: bool, fractions: bool
) -> None:
    numbers = np.random.default_rng(0).integers(256, size=(*of, n_channels), dtype=np.uint8)
    pixels = torch.from_numpy(numbers).permute(2, 0, 1)
    expected = triangle_weights(of[0], size[0]) @ pixels.double() @ triangle_weights(of[1], size[1]).T
    pixels = pixels if side_by_side else pixels.contiguous()
    resized = Geometry(size)(pixels / 255) * 255 if fractions else Geometry(size)(pixels)
    # two passes, each of which rounds bytes
    torch.testing.assert_close(resized.double(), expected, rtol=0, atol=0.01 if fractions else 1.5)


def test_geometry_is_antialiased() -> None:
    # stripes of one pixel, of which a method without antialiasing would take one colour or the other
    stripes = torch.zeros(3, 64, 64, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    for policy in ("squash", "crop", "pad"):
        for interpolation in ("bilinear", "bicubic"):
            inner = Geometry((8, 8), policy, interpolation=interpolation)(stripes)[:, :, 2:-2]  # type: ignore[arg-type]
            assert ((inner > 120) & (inner < 135)).all()


def test_geometry_leaves_what_it_is_given_as_it_was() -> None:
    pixels = torch.full((3, 8, 8), 9, dtype=torch.uint8)
    for policy in ("squash", "crop", "pad"):
        Geometry((8, 8), policy)(pixels)  # type: ignore[arg-type]
        Geometry((4, 16), policy)(pixels)  # type: ignore[arg-type]
    assert (pixels == 9).all()


def test_geometry_keeps_channels_side_by_side() -> None:
    pixels = torch.zeros(20, 30, 3, dtype=torch.uint8).permute(2, 0, 1)
    for policy in ("squash", "pad"):
        assert Geometry((8, 8), policy)(pixels).permute(1, 2, 0).is_contiguous()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (8,)}, "size must be a height and a width"),
        ({"size": (8, 0)}, "size must be .* at least one pixel, got"),
        ({"size": (8, 8), "policy": "stretch"}, r"policy must be one of \('squash', 'crop', 'pad'\), got 'stretch'"),
        ({"size": (8, 8), "interpolation": "lanczos"}, r"interpolation must be one of .*got 'lanczos'"),
        ({"size": (8, 8), "resize": 9}, "needs policy='crop' .*got policy='squash' and resize=9"),
        ({"size": (8, 9), "policy": "crop", "resize": 8}, r"at least the longer side of size=\(8, 9\)"),
        ({"size": (8, 8), "fill": ()}, "fill must hold numbers from 0 to 255, at least one"),
        ({"size": (8, 8), "fill": (256,)}, r"fill must hold .*got \(256,\)"),
    ],
)
def test_geometry_refuses_attributes_that_do_not_fit(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Geometry(**arguments)
