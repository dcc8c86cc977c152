"""Kaggle's layout of Planet's chips: what it may hold, and that no name leads out of it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdeep import CNNClassifier
from skdeep.datasets import load_planet, load_planet_labels, make_aerial_scenes
from skdeep.exceptions import DatasetError

ROWS = ["b,primary clear", "a,haze primary water", "c,cloudy"]


@pytest.fixture
def chips(tmp_path: Path):
    def chips(rows: list[str], images: list[str] | None = None, header: str = "image_name,tags") -> Path:
        folder = tmp_path / "planet"
        (folder / "train-jpg").mkdir(parents=True)
        (folder / "train_v2.csv").write_text("\n".join([header, *rows, ""]))
        for name in ["a", "b", "c", "unnamed"] if images is None else images:
            (folder / "train-jpg" / f"{name}.jpg").write_bytes(b"")
        return folder

    return chips


@pytest.fixture
def labels(tmp_path: Path):
    def labels(text: str) -> Path:
        path = tmp_path / "labels.csv"
        path.write_bytes(text.encode())
        return path

    return labels


def test_paths_and_tags_keep_the_order_of_the_rows(chips):
    folder = chips(ROWS)
    planet = load_planet(folder)
    assert planet.target_names == ["clear", "cloudy", "haze", "primary", "water"]
    assert_array_equal(planet.target, [[1, 0, 0, 1, 0], [0, 0, 1, 1, 1], [0, 1, 0, 0, 0]])
    assert planet.target.dtype == np.int64
    assert planet.image_names.tolist() == ["b", "a", "c"]
    assert planet.data.tolist() == [str(folder / "train-jpg" / f"{name}.jpg") for name in "bac"]
    assert planet.data.dtype.kind == "U"


def test_labels_alone_equal_those_with_images(chips):
    folder = chips(ROWS)
    planet, labels = load_planet(str(folder)), load_planet_labels(str(folder / "train_v2.csv"))
    assert_array_equal(planet.target, labels.target)
    assert planet.DESCR == labels.DESCR
    assert "3 samples, 5 tags, 2.000 tags a sample" in labels.DESCR


def test_a_frame_of_tags_has_their_names(chips):
    folder = chips(ROWS)
    planet, framed = load_planet(folder), load_planet(folder, as_frame=True)
    expected = pd.DataFrame(planet.target, columns=planet.target_names)
    pd.testing.assert_frame_equal(framed.target, expected)
    pd.testing.assert_frame_equal(load_planet_labels(folder / "train_v2.csv", as_frame=True).target, expected)
    assert_array_equal(framed.data, planet.data)
    network = CNNClassifier("small_cnn", weights=None, image_size=32, max_epochs=1)
    scenes = make_aerial_scenes(6, random_state=0, folder=folder / "drawn", as_frame=True)
    assert network.fit(scenes.data, scenes.target).label_names_.tolist() == scenes.target_names
    drawn = make_aerial_scenes(6, random_state=0, as_frame=True)
    pd.testing.assert_frame_equal(drawn.target[scenes.target_names], scenes.target)


def test_a_tag_named_twice_counts_once_and_no_tag_is_a_row_of_zeros(labels):
    planet = load_planet_labels(labels("image_name,tags\na,road road clear\nb,\nc, clear \n"))
    assert_array_equal(planet.target, [[1, 1], [0, 0], [1, 0]])


@pytest.mark.parametrize(
    "text",
    [
        "image_name,tags\r\na,x y\r\nb,y\r\n",
        "\ufeffimage_name,tags\na,x y\nb,y",
        'image_name,tags\n"a","x y"\n\nb,y\n\n',
    ],
)
def test_line_ends_quotes_and_byte_order_mark_are_free(labels, text):
    planet = load_planet_labels(labels(text))
    assert planet.image_names.tolist() == ["a", "b"]
    assert_array_equal(planet.target, [[1, 1], [0, 1]])


@pytest.mark.parametrize(
    "name",
    ["../a", "..", ".", "", "/etc/passwd", "sub/a", r"..\a", r"\\host\a", "C:a", r"C:\a", '"a\nb/../c"', "a\tb"],
)
def test_a_name_that_is_no_plain_file_name_is_refused(labels, name):
    path = labels(f"image_name,tags\nok,clear\n{name},clear\n")
    with pytest.raises(DatasetError, match="has 1 names that are not the plain name of a file"):
        load_planet_labels(path)


@pytest.mark.parametrize("name", ["a.b", "train 1", "größe", "..a", "a.."])
def test_unusual_plain_names_are_fine(labels, name):
    assert load_planet_labels(labels(f"image_name,tags\n{name},clear\n")).image_names.tolist() == [name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the header image_name,tags, got ''"),
        ("image,labels\na,clear\n", "expected the header image_name,tags, got 'image,labels'"),
        ("tags,image_name\nclear,a\n", "expected the header"),
        ("image_name,tags,more\na,clear,1\n", "expected the header"),
        ("image_name,tags\n", "no rows follow the header"),
        ("image_name,tags\na,\nb,\n", "none of its 2 rows has a tag"),
        ("image_name,tags\na,clear\nb\n", r"line 3: expected image_name,tags, got 1 columns \('b'\)\. .* cut short"),
        ("image_name,tags\na,clear,road\n", r"line 2: .* got 3 columns .* Separate tags by spaces"),
        ('image_name,tags\na,"clear\n', "not a CSV file"),
        ("image_name,tags\na,clear\nb,haze\na,road\n", "has 1 names that stand more than once: 'a'"),
    ],
)
def test_a_broken_label_file_is_an_error(labels, text, message):
    path = labels(text)
    with pytest.raises(DatasetError, match=message) as caught:
        load_planet_labels(path)
    assert str(path) in str(caught.value)


def test_a_label_file_that_is_no_text_is_an_error(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b"image_name,tags\n\xff\xfe,clear\n")
    with pytest.raises(DatasetError, match="not a CSV file in UTF-8"):
        load_planet_labels(path)


def test_missing_images_are_counted_and_the_first_named(chips):
    folder = chips([f"n{i},clear" for i in range(9)], images=["n0"])
    with pytest.raises(DatasetError, match=r"lacks 8 of the 9 images .*: n1, n2, n3, n4, n5, \.\.\. \(8 in all\)"):
        load_planet(folder)


def test_a_folder_in_place_of_an_image_is_missing(chips):
    folder = chips(ROWS, images=["a", "b"])
    (folder / "train-jpg" / "c.jpg").mkdir()
    with pytest.raises(DatasetError, match="lacks 1 of the 3 images"):
        load_planet(folder)


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_fine(chips, tmp_path):
    folder = chips(ROWS, images=["a", "b"])
    link = folder / "train-jpg" / "c.jpg"
    link.symlink_to("a.jpg")
    assert len(load_planet(folder).data) == 3
    link.unlink()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"")
    link.symlink_to(secret)
    with pytest.raises(DatasetError, match=r"holds 1 links that lead out of it: c\.jpg"):
        load_planet(folder)


def test_a_folder_of_images_that_is_itself_a_link_is_fine(chips, tmp_path):
    folder = chips(ROWS)
    (folder / "train-jpg").rename(tmp_path / "elsewhere")
    (folder / "train-jpg").symlink_to(tmp_path / "elsewhere")
    assert len(load_planet(folder).data) == 3


@pytest.mark.parametrize("absent", ["train_v2.csv", "train-jpg"])
def test_a_folder_without_its_parts_is_an_error(chips, absent):
    folder = chips(ROWS)
    (folder / absent).rename(folder / "away")
    with pytest.raises(FileNotFoundError, match=f"{absent} is not there; expected train_v2.csv and train-jpg/NAME.jpg"):
        load_planet(folder)


def test_parameters_are_checked(tmp_path):
    with pytest.raises(ValueError, match="The 'folder' parameter of load_planet must be"):
        load_planet(None)
    with pytest.raises(ValueError, match="The 'path' parameter of load_planet_labels must be"):
        load_planet_labels(1)
    with pytest.raises(FileNotFoundError):
        load_planet_labels(tmp_path / "none.csv")


@pytest.mark.data
def test_real_chips_have_their_known_statistics(data_folder):
    planet = load_planet(data_folder / "planet_sample")
    counts = dict(zip(planet.target_names, planet.target.sum(axis=0).tolist(), strict=True))
    assert planet.target.shape == (800, 17)
    assert planet.target.sum(axis=1).mean() == pytest.approx(2.9, abs=0.01)
    assert (counts["blow_down"], counts["conventional_mine"]) == (1, 2)
    assert all(Path(path).is_file() for path in planet.data)


@pytest.mark.data
def test_all_real_labels_are_read_in_a_second(data_folder):
    path = data_folder / "planet_train_v2_all_labels.csv"
    start = time.process_time()
    labels = load_planet_labels(path)
    assert time.process_time() - start < 1
    assert labels.target.shape == (40479, 17)
    named = sum(len(line.split(",")[1].split()) for line in path.read_text().splitlines()[1:])
    assert named / 40479 == pytest.approx(2.873, abs=5e-4)
    assert labels.target.sum() == named - 73
