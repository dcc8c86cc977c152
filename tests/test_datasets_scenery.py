"""Painters: what a tag names is seen in its scene, and looks as its name says."""

from __future__ import annotations

import numpy as np
import pytest

from skdeep.datasets._canvas import Canvas
from skdeep.datasets._scene_tags import TAGS, WEATHER
from skdeep.datasets._scenery import paint_ground, paint_scene

SEEDS = range(12)


def scene(*content: str, seed: int = 0, size: int = 64) -> np.ndarray:
    return paint_scene(Canvas(size, np.random.SeedSequence(seed)), frozenset(content))


def ground(*content: str, seed: int = 0, size: int = 64) -> np.ndarray:
    canvas = Canvas(size, np.random.SeedSequence(seed))
    paint_ground(canvas, frozenset(content))
    return canvas.image


@pytest.mark.parametrize("tag", sorted(set(TAGS) - set(WEATHER) - {"primary"}))
def test_each_thing_on_the_ground_is_seen_at_64_pixels(tag):
    for seed in SEEDS:
        difference = np.abs(ground("primary", tag, seed=seed) - ground("primary", seed=seed)).max(axis=2)
        assert (difference > 0.04).sum() >= 8, seed


@pytest.mark.parametrize("content", [("clear",), ("clear", "water"), ("clear", "agriculture", "road", "habitation")])
def test_scenes_without_forest_are_painted(content):
    pixels = scene(*content)
    assert (pixels.shape, pixels.dtype) == ((64, 64, 3), np.uint8)


def test_forest_is_rougher_than_water():
    for seed in SEEDS:
        forest, water = (ground(tag, seed=seed)[:, :, 1] for tag in ("primary", "water"))
        rough = [np.median(np.abs(np.diff(field, axis=0))) / field.mean() for field in (forest, water)]
        assert rough[0] > rough[1]


def test_haze_flattens_and_clouds_brighten():
    def spread(*content: str) -> float:
        return float(np.mean([scene(*content, seed=seed).std() for seed in SEEDS]))

    def bright(*content: str) -> float:
        return float(np.mean([(scene(*content, seed=seed).min(axis=2) > 150).mean() for seed in SEEDS]))

    assert spread("haze", "primary", "agriculture") < 0.6 * spread("clear", "primary", "agriculture")
    assert bright("clear", "primary") < 0.03
    assert 0.03 < bright("partly_cloudy", "primary") < 0.4
    assert bright("cloudy") > 0.5


def test_painting_depends_on_the_seed_alone():
    content = ("partly_cloudy", "primary", *sorted(set(TAGS) - set(WEATHER) - {"primary"}))
    assert np.array_equal(scene(*content, seed=3), scene(*reversed(content), seed=3))
    assert not np.array_equal(scene(*content, seed=3), scene(*content, seed=4))
