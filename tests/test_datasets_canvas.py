"""The canvas: shapes and noise that mean the same at every resolution."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.datasets._canvas import Canvas

SQUARE = np.array([(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)])


def canvas(size: int = 64, seed: int = 0) -> Canvas:
    return Canvas(size, np.random.SeedSequence(seed))


@pytest.mark.parametrize("size", [16, 64, 200, 512])
def test_masks_cover_the_same_share_at_every_size(size):
    surface = canvas(size)
    assert surface.polygons([SQUARE]).mean() == pytest.approx(0.25, rel=0.1)
    disc = surface.discs(np.array([(0.5, 0.5)]), np.array([0.3]))
    assert disc.mean() == pytest.approx(np.pi * 0.09, rel=0.1)
    line = surface.lines([np.array([(-0.2, 0.5), (1.2, 0.5)])], 0.1)
    assert line.mean() == pytest.approx(0.1, rel=0.2)


def test_masks_are_float_fields_from_0_to_1_that_grow_nowhere_else():
    mask = canvas().polygons([SQUARE])
    assert (mask.dtype, mask.shape, mask.min(), mask.max()) == (np.float32, (64, 64), 0, 1)
    assert mask[:15].sum() == mask[:, 49:].sum() == 0


def test_points_are_x_and_y():
    mask = canvas().discs(np.array([(0.9, 0.1)]), np.array([0.05]))
    assert np.unravel_index(mask.argmax(), mask.shape)[0] < 10
    assert np.unravel_index(mask.argmax(), mask.shape)[1] > 50


@pytest.mark.parametrize("cells", [(1,), (3, 7), (16, 32, 64)])
def test_noise_has_unit_variance(cells):
    fields = np.array([canvas(seed=seed).noise(*cells) for seed in range(200)])
    assert fields.dtype == np.float32
    assert fields.var() == pytest.approx(1, rel=0.15)


def test_noise_is_smooth_where_cells_are_few():
    field = canvas().noise(4)
    assert np.abs(np.diff(field, axis=0)).max() < 0.5


@pytest.mark.parametrize("cells", [(4, 8), (32,)])
def test_noise_is_the_same_at_every_size(cells):
    small, large = canvas(64).noise(*cells), canvas(256).noise(*cells)
    reduced = large.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), reduced.ravel())[0, 1] > 0.98


def test_noise_finer_than_the_pixels_is_left_out_but_drawn():
    coarse, fine = canvas(16), canvas(128)
    assert not coarse.noise(64).any()
    assert fine.noise(64).any()
    assert coarse.rng.random() == fine.rng.random()


def test_blend_covers_where_the_mask_is_1():
    surface = canvas()
    surface.blend(surface.polygons([SQUARE]), (0.2, 0.4, 0.6), 0.5)
    assert_allclose(surface.image[32, 32], (0.3, 0.6, 0.9), rtol=1e-6)
    assert_array_equal(surface.image[2, 2], (0, 0, 0))
    assert surface.image.dtype == np.float32


def test_soften_and_moved_keep_the_mass_of_a_mask():
    surface = canvas()
    mask = surface.polygons([SQUARE])
    assert surface.soften(mask, 0.03).sum() == pytest.approx(mask.sum(), rel=0.01)
    moved = surface.moved(mask, 0.125, 0)
    assert_allclose(moved[:, 8:], mask[:, :-8], atol=1e-6)
