"""Columns of images: pixels, digests, and rows that are broken."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from skdeep.exceptions import ImageError
from skdeep.images import Geometry, as_images, sources
from skdeep.images.decode import decode
from tests.reading import digests_of

Array = NDArray[Any]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_digests_do_not_depend_on_the_dtype_of_equal_values(dtype: type, pictures: Array) -> None:
    assert digests_of(pictures.astype(dtype), pixel_range=255) == digests_of(pictures)


def test_digests_tell_pictures_apart(pictures: Array) -> None:
    changed = pictures.copy()
    changed[:, -1, -1, -1] ^= 1
    assert len(set(digests_of(pictures) + digests_of(changed))) == 12
    shapes = [np.zeros((1, 4, 6, 3), np.uint8), np.zeros((1, 6, 4, 3), np.uint8)]
    assert digests_of(shapes[0]) != digests_of(shapes[1])


def test_digests_follow_the_channels_that_pixels_have(pictures: Array) -> None:
    grey = pictures[..., 0]
    repeated = np.repeat(grey[..., None], 3, axis=-1)
    assert digests_of(grey) != digests_of(repeated)
    assert digests_of(grey, like=as_images(pictures).format) == digests_of(repeated)


def test_files_that_hold_no_whole_picture_are_reported_with_reasons(tmp_path: Path, paths: list[str]) -> None:
    text, cut = tmp_path / "text.jpg", tmp_path / "cut.png"
    text.write_text("not a picture")
    cut.write_bytes(Path(paths[0]).read_bytes()[:-100])
    images = as_images([*paths, text, cut])
    assert images.broken(range(6)) == {}
    images.check(range(6))
    broken = images.broken([7, 0, 6])
    assert list(broken) == [7, 6]
    assert "truncated" in broken[7]
    assert "no image" in broken[6]
    with pytest.raises(
        ImageError, match=r"2 of 8 images cannot be read: '.*text.jpg' \(it is no image.*'.*cut.png' \("
    ):
        images.check(range(8))
    for row in (6, 7):
        with pytest.raises(ImageError, match=r"The image '.*(text.jpg|cut.png)' cannot be read: "):
            images.pixels(row, Geometry((8, 8)))


def test_files_are_examined_in_as_many_threads_as_torch_may_use(
    paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = as_images(paths)
    together = threading.Barrier(3, timeout=10)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(sources, "find_fault", lambda content: f"{len(content) + 0 * together.wait()} bytes")
    expected = {row: f"{Path(paths[row]).stat().st_size} bytes" for row in (5, 0, 3)}
    assert list(images.broken([5, 0, 3]).items()) == list(expected.items())


def test_files_are_decoded_for_the_size_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.linear_gradient("L").resize((512, 512)).save(path)
    geometry = Geometry((64, 64))
    pixels = as_images([path]).pixels(0, geometry)
    drafted = torch.from_numpy(decode(path.read_bytes(), geometry)).permute(2, 0, 1)
    assert drafted.shape == (3, 128, 128)
    assert torch.equal(pixels, geometry(drafted))


def test_channels_lie_side_by_side_and_nothing_is_copied_without_need(pictures: Array, paths: list[str]) -> None:
    geometry = Geometry((32, 32))
    assert np.shares_memory(as_images(pictures).pixels(1, geometry).numpy(), pictures)
    for X in (pictures, paths):
        assert as_images(X).pixels(0, geometry).permute(1, 2, 0).is_contiguous()
        assert as_images(X).pixels(0, Geometry((16, 16))).permute(1, 2, 0).is_contiguous()


def test_a_file_that_changes_while_in_use_is_noticed(paths: list[str], pictures: Array) -> None:
    images = as_images(paths)
    images.digests()
    Image.fromarray(pictures[1]).save(paths[0])
    with pytest.raises(ImageError, match=r"0.png' cannot be read: it was changed while it was being used"):
        images.pixels(0, Geometry((8, 8)))


def test_read_only_channels_first_images_are_fine(pictures: Array) -> None:
    channels_first = np.ascontiguousarray(np.moveaxis(pictures, -1, 1))
    channels_first.flags.writeable = False
    geometry = Geometry((16, 16))
    assert torch.equal(as_images(channels_first).pixels(0, geometry), as_images(pictures).pixels(0, geometry))


def test_a_file_that_vanishes_is_named(paths: list[str]) -> None:
    images = as_images(paths)
    Path(paths[1]).unlink()
    assert images.digests()[1] == b""
    assert images.broken(range(6)).keys() == {1}
    with pytest.raises(ImageError, match=r"1\.png"):
        images.pixels(1, Geometry((8, 8)))


def test_what_no_file_system_takes_for_a_path_is_broken() -> None:
    images = as_images(["no\0file.png"], on_error="nan")
    assert images.digests() == [b""]
    assert "null" in images.broken([0])[0]
    with pytest.raises(ImageError, match=r"The image 'no.*file.png' cannot be read: .*null"):
        images.pixels(0, Geometry((8, 8)))


@pytest.mark.data
def test_planet_chips_are_cmyk_files_that_become_rgb(data_folder: Path) -> None:
    chips = sorted((data_folder / "planet_sample" / "train-jpg").glob("*.jpg"))[:3]
    with Image.open(chips[0]) as chip:
        assert chip.mode == "CMYK"
    images = as_images(chips)
    assert images.broken(range(3)) == {}
    pixels = torch.stack([images.pixels(row, Geometry((256, 256))) for row in range(3)]).float()
    assert pixels.shape == (3, 3, 256, 256)
    assert 20 < pixels.mean() < 200
