"""Augmentation: what the named ones do to pictures, and what a user's own is given."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import ndimage
from torchvision.transforms import v2

from skdeep.images import Augmentation, augment, resolve_augmentation
from skdeep.images.augment import RandomViews, Views

Array = NDArray[Any]
NAMES = ["side_on", "top_down"]
ONLY_SYMMETRIES: dict[str, Any] = {"max_degrees": 0, "max_zoom": 1, "max_brightness": 0, "max_contrast": 0}
NOTHING = RandomViews(n_symmetries=1, **ONLY_SYMMETRIES)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 6, channels: int = 3, height: int = 20, width: int = 20, *, dtype=torch.uint8) -> torch.Tensor:
    """Random pictures, all different; smooth enough that resampling does not blur them to grey."""
    noise = np.random.default_rng(n).random((n, channels, height, width))
    smooth = ndimage.gaussian_filter(noise, sigma=(0, 0, 2, 2))
    low, high = smooth.min(), smooth.max()
    pixels = torch.from_numpy(np.rint((smooth - low) / (high - low) * 255).astype(np.uint8))
    return pixels if dtype == torch.uint8 else pixels / 255


def repeated(picture: torch.Tensor, n: int) -> torch.Tensor:
    return picture.expand(n, *picture.shape)


def still(n: int, **changes: Any) -> Views:
    """Views that change nothing but what is named."""
    zero, one = torch.zeros(n), torch.ones(n)
    nothing = {"symmetry": zero.long(), "angle": zero, "zoom": one, "centre": torch.complex(zero, zero)}
    return Views(**{**nothing, "brightness": zero, "contrast": one, **changes})


def symmetries(picture: torch.Tensor) -> list[bytes]:
    """The eight symmetries of a square picture by numpy."""
    turned = [np.rot90(picture.numpy(), k, axes=(1, 2)) for k in range(4)]
    return [view.tobytes() for view in turned] + [np.flip(view, axis=2).tobytes() for view in turned]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("side", [1, 7, 20])
def test_symmetries_alone_are_exact_permutations(side, dtype):
    picture = batch(1, height=side, width=side, dtype=dtype)[0]
    views = RandomViews(n_symmetries=8, **ONLY_SYMMETRIES)(repeated(picture, 40), seeded())
    assert {view.numpy().tobytes() for view in views} == set(symmetries(picture))


def test_the_eight_symmetries_are_equally_likely():
    picture = batch(1)[0]
    views = RandomViews(n_symmetries=8, **ONLY_SYMMETRIES)(repeated(picture, 1600), seeded())
    seen = [view.numpy().tobytes() for view in views]
    counts = [seen.count(symmetry) for symmetry in symmetries(picture)]
    assert sum(counts) == 1600
    assert all(140 < count < 260 for count in counts)  # 200 ± 4.5 deviations


def test_top_down_of_pictures_that_are_not_square_keeps_their_shape():
    picture = batch(1, height=12, width=20)[0]
    views = RandomViews(n_symmetries=8, **ONLY_SYMMETRIES)(repeated(picture, 40), seeded())
    flips = [picture.flip(axes) for axes in ([], [1], [2], [1, 2])]
    assert {view.numpy().tobytes() for view in views} == {flip.numpy().tobytes() for flip in flips}
    assert Augmentation("top_down")(picture[None], seeded()).shape == (1, 3, 12, 20)


def test_side_on_mirrors_half_of_the_pictures_and_never_turns_one_upside_down():
    upper = torch.arange(20.0).flip(0)[:, None].expand(20, 20) / 19
    left = upper.T
    views = Augmentation("side_on")(repeated(torch.stack([upper, left]), 400), seeded())
    halves = views.reshape(400, 2, 2, 10, 2, 10).mean(dim=(3, 5))
    assert (halves[:, 0, 0] > halves[:, 0, 1]).all()
    mirrored = (halves[:, 1, :, 0] < halves[:, 1, :, 1]).all(dim=1)
    kept = (halves[:, 1, :, 0] > halves[:, 1, :, 1]).all(dim=1)
    assert (mirrored | kept).all()
    assert 155 < mirrored.sum() < 245  # 200 ± 4.5 deviations


@settings(max_examples=60, deadline=None)
@given(
    symmetry=st.integers(0, 7),
    degrees=st.floats(-180, 180, width=16),
    zoom=st.floats(1, 2, width=16),
    place=st.tuples(st.floats(-1, 1, width=16), st.floats(-1, 1, width=16)),
    sides=st.tuples(st.integers(2, 24), st.integers(2, 24)),
    channels=st.integers(1, 5),
)
def test_moving_equals_an_affine_map_with_reflection(symmetry, degrees, zoom, place, sides, channels):
    height, width = sides
    if height != width:
        symmetry &= 3
    centre = (1 - 1 / zoom) * np.array(place)
    pixels = batch(1, channels, height, width, dtype=torch.float32)
    views = still(
        1,
        symmetry=torch.tensor([symmetry]),
        angle=torch.deg2rad(torch.tensor([degrees])),
        zoom=torch.tensor([zoom]),
        centre=torch.tensor([complex(*centre)]),
    )
    moved = augment._move(pixels, views)[0].numpy()
    # scipy's: the place in the picture of each pixel of the view, in rows and columns
    cosine, sine = np.cos(np.deg2rad(degrees)) / zoom, np.sin(np.deg2rad(degrees)) / zoom
    flip = np.diag([-1 if symmetry & 2 else 1, -1 if symmetry & 1 else 1])
    swap = np.array([[0, 1], [1, 0]]) if symmetry & 4 else np.eye(2)
    matrix = np.array([[cosine, sine], [-sine, cosine]]) @ swap @ flip
    middle = (np.array([height, width]) - 1) / 2
    target = middle + centre[::-1] * np.array([height, width]) / 2
    expected = [
        ndimage.affine_transform(channel, matrix, target - matrix @ middle, order=1, mode="reflect")
        for channel in pixels[0].numpy().astype(float)
    ]
    assert_allclose(moved, expected, atol=1e-4)


def test_rotation_and_zoom_keep_within_their_bounds_and_spare_a_quarter_each():
    views = RandomViews(n_symmetries=8).draw(4000, 8, seeded())
    degrees = torch.rad2deg(views.angle)
    for values, low, high, neutral in [(degrees, -10, 10, 0), (views.zoom, 1, 1.05, 1)]:
        changed = values[values != neutral]
        assert 0.71 < len(changed) / 4000 < 0.79
        assert low <= changed.min() < low + 0.02 * (high - low)
        assert high >= changed.max() > high - 0.02 * (high - low)
    room = 1 - 1 / views.zoom
    assert (views.centre.real.abs() <= room).all()
    assert (views.centre.imag.abs() <= room).all()
    assert views.centre.real.min() < -0.03
    assert views.centre.imag.max() > 0.03


def test_zoom_alone_looks_at_nothing_outside_the_picture():
    views = still(1, zoom=torch.tensor([1.05]), centre=torch.tensor([1 - 1 / 1.05 - 1j * (1 - 1 / 1.05)]))
    grid = augment._sampling_grid(views, 30, 40)
    # of whole pixels: the window's edge lies half a pixel of the view beyond its outermost centres
    assert grid[..., 0].max() + 1 / 40 / 1.05 == pytest.approx(1)
    assert grid[..., 1].min() - 1 / 30 / 1.05 == pytest.approx(-1)


def test_light_is_a_line_through_the_mean_within_its_bounds():
    picture = 0.3 + 0.4 * batch(1, dtype=torch.float32)[0]
    light = RandomViews(n_symmetries=1, max_degrees=0, max_zoom=1)
    views = light(repeated(picture, 500), seeded()).numpy()
    brightness = views.mean(axis=(1, 2, 3)) - picture.mean().item()
    contrast = views.std(axis=(1, 2, 3)) / picture.std(correction=0).item()
    expected = (picture.numpy() - picture.mean().item()) * contrast[:, None, None, None] + picture.mean().item()
    assert_allclose(views, expected + brightness[:, None, None, None], atol=1e-5)
    for values, low, high in [(brightness, -0.05, 0.05), (contrast, 1 / 1.05, 1.05)]:
        margin = 0.02 * (high - low)
        assert low - 1e-6 <= values.min() < low + margin
        assert high + 1e-6 >= values.max() > high - margin


def test_whole_numbers_are_rounded_to_the_nearest_and_clipped():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(200, 1, 1, 1)
    light = RandomViews(n_symmetries=1, max_degrees=0, max_zoom=1, max_brightness=0.2, max_contrast=0.5)
    views = light.draw(200, 1, seeded())
    got = light(pixels, seeded()).numpy().astype(float)
    factor, shift = (values.double().numpy()[:, None, None, None] for values in (views.contrast, views.brightness))
    exact = (pixels.numpy() - 127.5) * factor + 127.5 + 255 * shift
    assert exact.min() < 0
    assert exact.max() > 255
    assert np.abs(got - exact.clip(0, 255)).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_constant_picture_stays_constant_without_light(dtype):
    pixels = torch.full((50, 3, 15, 21), 77, dtype=torch.uint8)
    pixels = pixels if dtype == torch.uint8 else pixels / 255
    moved = RandomViews(n_symmetries=8, max_brightness=0, max_contrast=0)(pixels, seeded())
    assert_allclose(moved, pixels, rtol=1e-6 if dtype == torch.float32 else 0)


def test_what_has_nothing_to_draw_gives_the_pictures_back():
    for dtype in (torch.uint8, torch.float32):
        pixels = batch(dtype=dtype)
        assert torch.equal(NOTHING(pixels, seeded()), pixels)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_named_augmentation_takes_any_number_of_channels_alike(name, channels):
    pixels = batch(channels=1, dtype=torch.float32).repeat(1, channels, 1, 1)
    augmented = Augmentation(name)(pixels, seeded())
    assert augmented.shape == pixels.shape
    assert_allclose(augmented, augmented[:, :1].expand_as(augmented), atol=1e-6)
    assert_allclose(augmented[:, :1], Augmentation(name)(pixels[:, :1], seeded()), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_named_augmentation_is_the_same_for_fractions_and_whole_numbers(name):
    whole = Augmentation(name)(batch(40), seeded())
    fractions = Augmentation(name)(batch(40, dtype=torch.float32), seeded())
    assert (whole.dtype, fractions.dtype) == (torch.uint8, torch.float32)
    assert 0 <= fractions.min() <= fractions.max() <= 1
    assert_allclose(whole / 255, fractions, atol=0.501 / 255)


@pytest.mark.parametrize("name", NAMES)
def test_named_augmentation_takes_any_layout_in_memory_and_leaves_its_input_alone(name):
    pixels = batch()
    expected = Augmentation(name)(pixels, seeded())
    assert torch.equal(pixels, batch())
    permuted = pixels.contiguous(memory_format=torch.channels_last)
    augmented = Augmentation(name)(permuted, seeded())
    assert torch.equal(augmented, expected)
    assert augmented.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(Augmentation(name)(repeated(pixels[0], 3), seeded())[:1], expected[:1])


def draws_of_torch(picture: torch.Tensor) -> torch.Tensor:
    return torch.rand(picture.shape)


def draws_of_numpy(picture: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.random.random(tuple(picture.shape)).astype(np.float32))  # noqa: NPY002


def draws_of_python(picture: torch.Tensor) -> torch.Tensor:
    return picture * random.random()


AUGMENTATIONS: dict[str, str | Callable[[torch.Tensor], torch.Tensor]] = {
    **{name: name for name in NAMES},
    "v2": v2.Compose([v2.RandomHorizontalFlip(), v2.RandomRotation(10), v2.ColorJitter(0.1, 0.1)]),
    "torch": draws_of_torch,
    "numpy": draws_of_numpy,
    "python": draws_of_python,
}


@pytest.mark.parametrize("transform", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_the_generator_alone_decides(transform):
    pixels = batch(dtype=torch.float32)
    augmentation = Augmentation(transform)
    generator = seeded()
    first, second = (augmentation(pixels, generator) for _ in range(2))
    torch.rand(3), np.random.random(3), random.random()  # noqa: NPY002
    assert torch.equal(augmentation(pixels, seeded()), first)
    assert not torch.equal(first, second)
    assert not torch.equal(augmentation(pixels, seeded(1)), first)


@pytest.mark.parametrize("transform", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_a_picture_depends_on_its_own_draws_only(transform):
    pixels = batch(7, dtype=torch.float32)
    together = Augmentation(transform)(pixels, seeded())
    assert torch.equal(Augmentation(transform)(pixels[:3], seeded()), together[:3])
    others = pixels.flip(0)
    others[2] = pixels[2]
    assert torch.equal(Augmentation(transform)(others, seeded())[2], together[2])
    same = Augmentation(transform)(repeated(pixels[0], 20), seeded())
    assert len({view.numpy().tobytes() for view in same}) > 1


def test_batches_are_cut_into_chunks_that_change_nothing(monkeypatch):
    pixels = batch(7)
    whole = Augmentation("top_down")(pixels, seeded())
    for n_values in (1, 2500, 3600):
        monkeypatch.setattr(augment, "_CHUNK", n_values)
        assert torch.equal(Augmentation("top_down")(pixels, seeded()), whole)


def global_states() -> list[bytes]:
    states = [torch.get_rng_state().numpy(), np.random.get_state(), random.getstate()]  # noqa: NPY002
    return [pickle.dumps(state) for state in states]


@pytest.mark.parametrize("transform", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_global_generators_are_left_as_found(transform):
    before = global_states()
    Augmentation(transform)(batch(dtype=torch.float32), seeded())
    assert global_states() == before


def test_global_generators_are_left_as_found_by_a_transform_that_fails():
    def fails(picture: torch.Tensor) -> torch.Tensor:
        torch.rand(1), np.random.random(), random.random()  # noqa: NPY002
        raise RuntimeError("no view today")

    before = global_states()
    with pytest.raises(RuntimeError, match="no view today"):
        Augmentation(fails)(batch(), seeded())
    assert global_states() == before


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_own_transform_is_called_once_a_picture_with_the_picture(dtype):
    seen = []

    def note(picture: torch.Tensor) -> torch.Tensor:
        seen.append(picture.clone())
        return picture.flip(-1)

    pixels = batch(dtype=dtype)
    augmented = Augmentation(note)(pixels, seeded())
    assert torch.equal(torch.stack(seen), pixels)
    assert torch.equal(augmented, pixels.flip(-1))


def test_own_transform_may_work_in_place():
    pixels = batch()
    augmented = Augmentation(lambda picture: picture.zero_())(pixels, seeded())
    assert not augmented.any()
    assert torch.equal(pixels, batch())


@pytest.mark.parametrize(
    ("transform", "got"),
    [
        (v2.CenterCrop(10), r"a tensor of shape \(3, 10, 10\) and dtype torch.uint8"),
        (v2.ToDtype(torch.float32, scale=True), r"a tensor of shape \(3, 20, 20\) and dtype torch.float32"),
        (lambda picture: picture.numpy(), "a ndarray"),
    ],
)
def test_own_transform_that_changes_the_form_is_refused(transform, got):
    expected = r"must give a tensor of shape \(3, 20, 20\) and dtype torch.uint8, as it was given, but gave "
    with pytest.raises(ValueError, match=f"{expected}{got}; leave resizing and conversion to the estimator"):
        Augmentation(transform)(batch(), seeded())


@pytest.mark.parametrize("unknown", ["topdown", "", 3, v2.RandomHorizontalFlip])
def test_resolve_augmentation_refuses_what_is_none(unknown):
    with pytest.raises(ValueError, match=r"must be a str among {'side_on', 'top_down'}, a callable .* instead"):
        resolve_augmentation(unknown)


def test_resolve_augmentation_takes_names_callables_and_none():
    assert resolve_augmentation(None) is None
    assert resolve_augmentation(Augmentation()) is None
    assert resolve_augmentation(Augmentation(mixup=0.2)) == Augmentation(None, mixup=0.2)
    assert resolve_augmentation("top_down") == Augmentation("top_down")
    transform = v2.RandomHorizontalFlip()
    resolved = resolve_augmentation(transform)
    assert resolved == Augmentation(transform)
    assert resolve_augmentation(resolved) is resolved


@pytest.mark.parametrize("transform", [*NAMES, AUGMENTATIONS["v2"]])
def test_augmentation_survives_pickling(transform):
    augmentation = Augmentation(transform)
    copied = pickle.loads(pickle.dumps(augmentation))
    assert torch.equal(copied(batch(), seeded()), augmentation(batch(), seeded()))


@pytest.mark.parametrize("transform", [*NAMES, v2.RandomHorizontalFlip()])
def test_augmentation_of_no_picture_is_no_picture(transform):
    assert Augmentation(transform)(torch.empty(0, 3, 8, 8), seeded()).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("pixels", [torch.zeros(3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.int64)])
def test_augmentation_refuses_what_is_no_batch_of_pictures(pixels):
    with pytest.raises(ValueError, match=r"takes a batch of shape .* and dtype uint8 or float32, got shape"):
        Augmentation("top_down")(pixels, seeded())


@pytest.mark.parametrize(
    ("augmentation", "changes", "mixes"),
    [
        (Augmentation(), False, False),
        (Augmentation("side_on"), True, False),
        (Augmentation(mixup=0.4), False, True),
        (Augmentation(v2.RandomHorizontalFlip(), cutmix=1), True, True),
    ],
)
def test_augmentation_says_what_it_does(augmentation, changes, mixes):
    assert (augmentation.changes_pictures, augmentation.mixes) == (changes, mixes)


def test_a_call_changes_pictures_and_mixes_none():
    pixels = batch()
    assert torch.equal(Augmentation(mixup=1, cutmix=1)(pixels, seeded()), pixels)
    mixing = Augmentation("top_down", mixup=1, cutmix=1)
    assert torch.equal(mixing(pixels, seeded()), Augmentation("top_down")(pixels, seeded()))


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize("alpha", [-0.1, float("inf"), float("nan"), "0.4", None])
def test_mixing_by_what_is_no_parameter_of_beta_is_refused(name, alpha):
    message = rf"'{name}' parameter of Augmentation must be a float in the range \[0.0, inf\). Got {alpha!r} instead"
    with pytest.raises(ValueError, match=message):
        Augmentation(**{name: alpha})


@pytest.mark.parametrize("transform", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_a_view_depends_on_the_picture_alone(transform):
    pixels = batch(7, dtype=torch.float32)
    augmentation = Augmentation(transform)
    together = augmentation.view(pixels, 2, seed=5)
    for _ in range(2):
        for row in range(7):
            assert torch.equal(augmentation.view(pixels[row : row + 1], 2, seed=5)[0], together[row])
    assert torch.equal(augmentation.view(pixels.flip(0), 2, seed=5), together.flip(0))
    same = augmentation.view(repeated(pixels[0], 5), 2, seed=5)
    assert torch.equal(same, repeated(together[0], 5))


@pytest.mark.parametrize("transform", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_views_differ_by_number_and_by_seed_and_leave_global_generators(transform):
    before = global_states()
    pixels = batch(1, dtype=torch.float32)
    numbers = [Augmentation(transform).view(pixels, k, seed=0).numpy().tobytes() for k in range(1, 17)]
    seeds = [Augmentation(transform).view(pixels, 1, seed=seed).numpy().tobytes() for seed in range(8)]
    assert len(set(numbers)) == 16
    assert len(set(seeds)) == 8
    assert global_states() == before


@pytest.mark.parametrize(("n_symmetries", "sides"), [(8, (20, 20)), (8, (20, 12)), (2, (20, 20)), (2, (12, 20))])
def test_views_go_round_the_symmetries_and_begin_with_those_that_change_the_picture(n_symmetries, sides):
    pixels = batch(1, height=sides[0], width=sides[1])
    moves = RandomViews(n_symmetries=n_symmetries, **ONLY_SYMMETRIES)
    n = n_symmetries if sides[0] == sides[1] else min(n_symmetries, 4)
    views = [moves.view(pixels, k, seed=k).numpy().tobytes() for k in range(1, 2 * n + 1)]
    assert views[n - 1] == pixels.numpy().tobytes()
    assert len(set(views[:n])) == n
    assert views[:n] == views[n:]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 3, 8])
def test_a_view_of_a_named_augmentation_is_one_that_training_may_draw(name, k):
    pixels = batch(3)
    preset = augment._PRESETS[name]
    drawn = preset.draw(1, preset.n_symmetries, seeded(4))
    view = preset.view(pixels, k, seed=4)
    for row in range(3):
        views = Views(**{**vars(drawn), "symmetry": torch.tensor([k % preset.n_symmetries])})
        expected = augment._light(augment._move(pixels[row : row + 1], views), views, torch.uint8)
        assert torch.equal(view[row : row + 1], expected.to(torch.uint8))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_views_keep_shape_and_dtype_and_their_input(dtype):
    pixels = batch(height=12, dtype=dtype)
    view = Augmentation("top_down").view(pixels, 5, seed=0)
    assert (view.shape, view.dtype) == (pixels.shape, dtype)
    assert torch.equal(pixels, batch(height=12, dtype=dtype))
    assert Augmentation("top_down").view(pixels[:0], 5, seed=0).shape == (0, 3, 12, 20)


@pytest.mark.parametrize(
    ("transform", "k", "message"),
    [
        ("top_down", 0, "Other views of a picture are numbered from 1, got k=0"),
        (None, 1, r"need a transform, got Augmentation\(transform=None\)"),
    ],
)
def test_views_that_are_none_are_refused(transform, k, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(transform, mixup=0.2).view(batch(), k, seed=0)
    with pytest.raises(ValueError, match="takes a batch of shape"):
        Augmentation(transform, mixup=0.2).view(batch()[0], 1, seed=0)
