"""The documentation's pictures: drawn small here, and those that are kept."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks import pictures
from benchmarks.pictures import FORMATS, OUT, PICTURES
from skdeep.datasets import make_aerial_scenes


def test_pictures_are_drawn_as_wide_as_asked_and_not_blank(tmp_path, capsys):
    written = pictures.main(["--out", str(tmp_path / "new" / "folder"), "--width", "240"])
    assert [path.stem for path in written] == list(PICTURES)
    said = capsys.readouterr().out
    for path in written:
        assert str(path) in said
        pixels = np.asarray(Image.open(path).convert("RGB"))
        assert pixels.shape[1] == 240
        assert (pixels[0] == 255).all()  # a white margin
        assert (pixels < 200).any(axis=2).mean() > 0.02
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


def test_pictures_are_the_same_whenever_they_are_drawn(tmp_path):
    first, second = (
        [path.read_bytes() for path in pictures.main(["--out", str(tmp_path / name), "--width", "120"])]
        for name in ("first", "second")
    )
    assert first == second


def test_pictures_may_show_a_folder_of_scenes(tmp_path):
    make_aerial_scenes(3, image_size=16, random_state=0, folder=tmp_path / "scenes")
    scenes = pictures._scenes(str(tmp_path / "scenes"), 2)
    assert scenes.shape == (2, pictures._SIDE, pictures._SIDE, 3)
    assert len(pictures.augmented_views(str(tmp_path / "scenes")).axes) == 4 * 8
    assert not np.array_equal(scenes, pictures._scenes(None, 2))


@pytest.mark.parametrize("name", FORMATS)
def test_odd_format_is_decoded_to_the_scene(name, tmp_path):
    scene = pictures._scenes(None, 1)[0]
    suffix, save = FORMATS[name]
    path = tmp_path / f"scene{suffix}"
    save(Image.fromarray(scene), path)
    decoded = pictures._decoded([str(path)])[0]

    def blurred_grey(pixels):
        """Means of blocks, for 1 bit is grey from afar only; of the left quarter, where all formats are opaque."""
        grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=float)
        side = pictures._SIDE // 8
        return grey.reshape(8, side, 8, side).mean(axis=(1, 3))[:, :2]

    assert np.abs(blurred_grey(decoded) - blurred_grey(scene)).max() < 12
    assert blurred_grey(scene).std() > 12


def test_kept_pictures_are_all_there_and_small():
    kept = {path.stem: path for path in OUT.iterdir()}
    assert set(kept) == set(PICTURES), "run python -m benchmarks.pictures"
    for path in kept.values():
        with Image.open(path) as picture:
            assert picture.width == 1200
        assert path.stat().st_size < 400_000
