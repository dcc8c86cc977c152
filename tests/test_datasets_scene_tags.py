"""Tags of drawn scenes: in Planet's proportions, and as wrong as people are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdeep.datasets import load_planet_labels
from skdeep.datasets._scene_tags import TAGS, WEATHER, draw_content, indicator_row, misread

GROUND = [tag for tag in TAGS if tag not in WEATHER]
RARE = ["artisinal_mine", "blooming", "blow_down", "conventional_mine", "selective_logging", "slash_burn"]


@pytest.fixture(scope="module")
def labels():
    """Labels of many scenes, which need not be painted to be counted."""
    rng = np.random.default_rng(0)
    return np.array([indicator_row(misread(draw_content(rng), rng)) for _ in range(20_000)])


def column(labels, tag):
    return labels[:, TAGS.index(tag)]


def test_each_scene_has_one_weather_and_cloudy_hides_the_ground(labels):
    assert (sum(column(labels, tag) for tag in WEATHER) == 1).all()
    ground = sum(column(labels, tag) for tag in GROUND)
    assert (ground[column(labels, "cloudy") == 1] == 0).all()
    assert (ground[column(labels, "cloudy") == 0] > 0).mean() > 0.99


def test_tags_are_as_frequent_as_documented(labels):
    expected = {"primary": 0.925, "agriculture": 0.30, "road": 0.20, "water": 0.18, "cultivation": 0.11}
    expected |= {"habitation": 0.09, "bare_ground": 0.021, "clear": 0.703, "partly_cloudy": 0.179}
    expected |= {"haze": 0.067, "cloudy": 0.051} | dict.fromkeys(RARE, 0.019)
    frequency = dict(zip(TAGS, labels.mean(axis=0), strict=True))
    assert set(expected) == set(frequency)
    for tag, share in expected.items():
        assert frequency[tag] == pytest.approx(share, rel=0.15, abs=0.006), tag
    assert labels.sum(axis=1).mean() == pytest.approx(2.95, abs=0.1)


def test_a_set_of_600_has_a_few_of_each(labels):
    assert labels[:18_000].reshape(30, 600, len(TAGS)).sum(axis=1).min() >= 2


@pytest.mark.data
def test_common_tags_go_together_as_in_planet(data_folder, labels):
    planet = load_planet_labels(data_folder / "planet_train_v2_all_labels.csv")
    common = [j for j, tag in enumerate(TAGS) if tag not in RARE]
    assert planet.target_names == TAGS
    together = [(y[:, common].T @ y[:, common]) / len(y) for y in (labels, planet.target)]
    assert_allclose(together[0], together[1], atol=0.025)


def test_human_errors_leave_the_weather_and_few_ground_tags_wrong():
    rng = np.random.default_rng(0)
    contents = [draw_content(rng) for _ in range(5000)]
    readings = [misread(content, rng) for content in contents]
    missed = sum(len(content - reading) for content, reading in zip(contents, readings, strict=True))
    added = sum(len(reading - content) for content, reading in zip(contents, readings, strict=True))
    total = sum(len(content & set(GROUND) - {"primary"}) for content in contents)
    assert 0.03 < missed / total < 0.05
    assert 0.01 < added / total < 0.05
    assert all(
        content & set(WEATHER) == reading & set(WEATHER) for content, reading in zip(contents, readings, strict=True)
    )
