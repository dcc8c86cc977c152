"""make_aerial_scenes: repeatable, the same at any size, and in Kaggle's layout on disk."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from skdeep.datasets import load_planet, make_aerial_scenes
from skdeep.datasets._scene_tags import TAGS
from skdeep.exceptions import DatasetError


def test_scenes_are_images_and_an_indicator():
    scenes = make_aerial_scenes(5, image_size=32, random_state=0)
    assert (scenes.data.shape, scenes.data.dtype) == ((5, 32, 32, 3), np.uint8)
    assert (scenes.target.shape, scenes.target.dtype) == ((5, 17), np.int64)
    assert scenes.target_names == sorted(TAGS)
    assert "5 samples of 32 x 32 pixels, 17 tags" in scenes.DESCR


def test_scenes_repeat_and_a_larger_set_begins_with_the_smaller():
    few, many = (make_aerial_scenes(n, random_state=7) for n in (4, 9))
    assert_array_equal(few.data, many.data[:4])
    assert_array_equal(few.target, many.target[:4])
    other = make_aerial_scenes(4, random_state=8)
    assert (few.data != other.data).any()


def test_random_state_may_be_a_generator_that_goes_on():
    rng = np.random.RandomState(0)
    first, second = (make_aerial_scenes(2, random_state=rng) for _ in range(2))
    assert (first.data != second.data).any()
    assert_array_equal(first.data, make_aerial_scenes(2, random_state=np.random.RandomState(0)).data)


def test_global_generator_is_left_as_found():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_aerial_scenes(2, random_state=0)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("size", [32, 128, 256])
def test_the_same_scene_is_drawn_at_any_size(size):
    reference = make_aerial_scenes(12, image_size=64, random_state=1)
    scenes = make_aerial_scenes(12, image_size=size, random_state=1)
    assert_array_equal(scenes.target, reference.target)
    coarse = [
        np.array([np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.BOX)) for pixels in data]) / 255
        for data in (reference.data, scenes.data)
    ]
    assert np.abs(coarse[0] - coarse[1]).mean() < 0.015
    for one, other in zip(*coarse, strict=True):
        if one.std() > 0.05:
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.93


@pytest.mark.parametrize("size", [16, 17, 100, 1024])
def test_odd_and_extreme_sizes_work(size):
    assert make_aerial_scenes(1, image_size=size, random_state=0).data.shape == (1, size, size, 3)


def test_forest_differs_in_light_and_colour_from_scene_to_scene():
    scenes = make_aerial_scenes(200, random_state=0)
    clear_forest = (scenes.target[:, TAGS.index("clear")] == 1) & (scenes.target.sum(axis=1) == 2)
    means = scenes.data[clear_forest].mean(axis=(1, 2))
    assert means.std(axis=0).min() > 8


def test_a_folder_is_written_in_kaggles_layout(tmp_path):
    folder = tmp_path / "new" / "scenes"
    written = make_aerial_scenes(6, image_size=48, random_state=3, folder=folder)
    scenes = make_aerial_scenes(6, image_size=48, random_state=3)
    again = load_planet(folder)
    assert_array_equal(written.data, again.data)
    assert written.image_names.tolist() == [f"train_{i}" for i in range(6)]
    present = [TAGS.index(tag) for tag in written.target_names]
    assert_array_equal(written.target, scenes.target[:, present])
    assert written.target.sum() == scenes.target.sum()
    for path, pixels in zip(written.data, scenes.data, strict=True):
        with Image.open(path) as image:
            assert image.size == (48, 48)
            assert image.mode == "RGB"
            assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 12


@pytest.mark.parametrize("held", ["train_v2.csv", "train-jpg"])
def test_a_folder_that_holds_a_set_is_not_overwritten(tmp_path, held):
    (tmp_path / held).write_text("precious")
    with pytest.raises(DatasetError, match=r"already holds a .* would be overwritten"):
        make_aerial_scenes(1, folder=tmp_path)
    assert (tmp_path / held).read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_size", 15), ("image_size", 1025), ("image_size", 64.0), ("random_state", "x"), ("folder", 1)],
)
def test_parameters_are_checked(name, value):
    with pytest.raises(
        ValueError, match=f"The '{name}' parameter of make_aerial_scenes must be .* Got {value!r} instead"
    ):
        make_aerial_scenes(1, **{name: value})
    with pytest.raises(ValueError, match="The 'n_samples' parameter of make_aerial_scenes must be"):
        make_aerial_scenes(0)


def test_scenes_are_drawn_fast():
    make_aerial_scenes(2, random_state=0)
    start = time.process_time()
    make_aerial_scenes(200, random_state=0)
    assert time.process_time() - start < 2


def test_datasets_import_no_torch():
    code = "import sys, skdeep.datasets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
