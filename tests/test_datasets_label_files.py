"""Folders of classes, CSV files of labels, and files of predictions: what is read, what is refused, what comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skdeep.datasets import load_image_csv, load_image_folder, load_planet, load_planet_labels, write_submission
from skdeep.exceptions import DatasetError


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Make empty files in a folder."""

    def tree(*names: str) -> Path:
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        return folder

    return tree


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], Path]:
    def table(text: str) -> Path:
        path = tmp_path / "labels.csv"
        path.write_bytes(text.encode())
        return path

    return table


def names_below(folder: Path, paths: np.ndarray) -> list[str]:
    return [Path(path).relative_to(folder).as_posix() for path in paths]


def test_each_folder_is_a_class_in_the_order_of_names(tree):
    folder = tree("dog/2.jpg", "dog/10.jpg", "cat/b.png", "Zebra/é.webp", "cat/a.jpg")
    images = load_image_folder(folder)
    assert images.target_names == ["Zebra", "cat", "dog"]
    assert names_below(folder, images.data) == ["Zebra/é.webp", "cat/a.jpg", "cat/b.png", "dog/10.jpg", "dog/2.jpg"]
    assert_array_equal(images.target, [0, 1, 1, 2, 2])
    assert images.target.dtype == np.int64
    assert images.data.dtype.kind == "U"
    assert "5 samples, 3 classes" in images.DESCR
    assert_array_equal(load_image_folder(str(folder)).data, images.data)


def test_nested_folders_belong_to_the_class_above_them(tree):
    folder = tree("cat/2019/may/1.jpg", "cat/2.jpg", "dog/1.jpg")
    images = load_image_folder(folder)
    assert names_below(folder, images.data) == ["cat/2.jpg", "cat/2019/may/1.jpg", "dog/1.jpg"]
    assert images.target_names == ["cat", "dog"]


def test_hidden_and_other_files_are_left_out(tree):
    folder = tree("cat/1.jpg", "cat/.2.jpg", "cat/.cache/3.jpg", "cat/notes.txt", "cat/jpg", ".git/4.jpg", "5.jpg")
    assert names_below(folder, load_image_folder(folder).data) == ["cat/1.jpg"]


def test_suffixes_are_of_any_case_and_can_be_chosen(tree):
    folder = tree("a/1.JPG", "a/2.npy", "a/3.jpg")
    assert len(load_image_folder(folder).data) == 2
    assert names_below(folder, load_image_folder(folder, suffixes=[".NPY"]).data) == ["a/2.npy"]


def test_categories_choose_classes_and_keep_the_order_of_names(tree):
    folder = tree("a/1.jpg", "b/1.jpg", "c/1.jpg", "empty/notes.txt")
    images = load_image_folder(folder, categories=["c", "a"])
    assert images.target_names == ["a", "c"]
    assert_array_equal(images.target, [0, 1])
    with pytest.raises(DatasetError, match=r"lacks 1 of the 2 categories: 'd'\. It has 'a', 'b', 'c', 'empty'"):
        load_image_folder(folder, categories=["a", "d"])


def test_classes_without_images_are_named_together(tree):
    folder = tree("a/1.jpg", "b/notes.txt", "c/.1.jpg")
    with pytest.raises(DatasetError, match=r"has 2 classes without an image \(\.bmp, .*\): 'b', 'c'\. Remove"):
        load_image_folder(folder)


def test_a_folder_without_folders_or_none_at_all_is_an_error(tree, tmp_path):
    with pytest.raises(DatasetError, match="has no folders in it; expected one for each class"):
        load_image_folder(tree("1.jpg"))
    with pytest.raises(FileNotFoundError):
        load_image_folder(tmp_path / "none")


def test_links_are_followed_to_files_and_folders(tree, tmp_path):
    folder = tree("cat/1.jpg")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "9.jpg").touch()
    (folder / "dog").symlink_to(tmp_path / "store")
    (folder / "cat" / "2.jpg").symlink_to(tmp_path / "store" / "9.jpg")
    (folder / "cat" / "more").symlink_to(folder / "dog")
    images = load_image_folder(folder)
    assert names_below(folder, images.data) == ["cat/1.jpg", "cat/2.jpg", "cat/more/9.jpg", "dog/9.jpg"]


@pytest.mark.parametrize("target", [".", "..", "../..", "../dog", "../../.."])
def test_a_link_that_leads_back_is_an_error(tree, target):
    folder = tree("cat/1.jpg", "dog/1.jpg")
    (folder / "dog" / "cats").symlink_to("../cat")
    (folder / "cat" / "loop").symlink_to(target)
    with pytest.raises(DatasetError, match="is a link that leads back to"):
        load_image_folder(folder)


@pytest.mark.parametrize("target", ["nowhere", "2.jpg"])
def test_a_link_that_leads_nowhere_is_an_error(tree, target):
    folder = tree("cat/1.jpg")
    (folder / "cat" / "2.jpg").symlink_to(target)
    with pytest.raises(DatasetError, match=r"has 1 links that lead nowhere: .*2\.jpg\. Remove or mend them"):
        load_image_folder(folder)


def test_a_column_of_classes_gives_texts_in_the_order_of_the_rows(tree, table):
    folder = tree("b.jpg", "a.jpg", "c.jpg", "unnamed.jpg")
    dogs = load_image_csv(table("id,breed\nb,whippet\na,borzoi\nc,whippet\n"), folder, suffix=".jpg")
    assert names_below(folder, dogs.data) == ["b.jpg", "a.jpg", "c.jpg"]
    assert dogs.target.tolist() == ["whippet", "borzoi", "whippet"]
    assert dogs.target.dtype.kind == "U"
    assert dogs.target_names == ["borzoi", "whippet"]
    assert dogs.image_names.tolist() == ["b", "a", "c"]
    assert "3 samples, 2 classes" in dogs.DESCR


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "0", "12"], [1, 0, 12]),
        (["-1", "1", "1"], [-1, 1, 1]),
        (["01", "1", "2"], ["01", "1", "2"]),
        (["1.0", "1", "2"], ["1.0", "1", "2"]),
        ([" 1", "1", "2"], [" 1", "1", "2"]),
        (["9" * 30, "1", "2"], ["9" * 30, "1", "2"]),
    ],
)
def test_classes_are_integers_where_nothing_is_lost(tree, table, cells, expected):
    rows = "".join(f"{name},{cell}\n" for name, cell in zip("abc", cells, strict=True))
    images = load_image_csv(table(f"file,class\n{rows}"), tree("a", "b", "c"))
    assert images.target.tolist() == expected


def test_tags_give_an_indicator_with_names(tree, table):
    path = table("image_name,tags\na,road road clear\nb,\nc, clear \t haze\n")
    chips = load_image_csv(path, tree("a.tif", "b.tif", "c.tif"), suffix=".tif", separator=" ", as_frame=True)
    expected = pd.DataFrame({"clear": [1, 0, 1], "haze": [0, 0, 1], "road": [1, 0, 0]})
    pd.testing.assert_frame_equal(chips.target, expected)
    assert chips.target_names == ["clear", "haze", "road"]
    assert "3 samples, 3 labels" in chips.DESCR


def test_another_separator_keeps_white_space_within_tags(tree, table):
    images = load_image_csv(table("f,t\na,bare ground; road\nb,;road;\n"), tree("a", "b"), separator=";")
    assert images.target_names == ["bare ground", "road"]
    assert images.target.tolist() == [[1, 1], [0, 1]]


def test_tags_are_those_that_the_loader_of_planet_reads(tree):
    folder = tree("planet/train-jpg/a.jpg", "planet/train-jpg/b.jpg") / "planet"
    path = folder / "train_v2.csv"
    path.write_text("image_name,tags\na,clear road\nb,haze\n")
    planet = load_planet(folder)
    images = load_image_csv(path, folder / "train-jpg", suffix=".jpg", separator=" ")
    assert_array_equal(images.target, planet.target)
    assert_array_equal(images.data, planet.data)
    assert_array_equal(images.image_names, planet.image_names)
    assert images.target_names == planet.target_names


def test_several_columns_are_a_label_each(tree, table):
    folder = tree("a", "b")
    path = table("who,road,file,haze\nann,1,a,False\nbob,0.0,b,TRUE\n")
    options = {"image_column": "file", "label_columns": ["haze", "road"]}
    images = load_image_csv(path, folder, **options)
    assert images.target.dtype == np.int64
    assert images.target.tolist() == [[0, 1], [1, 0]]
    framed = load_image_csv(path, folder, **options, as_frame=True).target
    pd.testing.assert_frame_equal(framed, pd.DataFrame({"haze": [0, 1], "road": [1, 0]}))
    with pytest.raises(DatasetError, match=r"column 'who' must hold 0 or 1 in every row, got 'ann' for 'a' and 1 more"):
        load_image_csv(path, folder, image_column="file")


def test_one_column_may_be_chosen_by_its_name_alone(tree, table):
    images = load_image_csv(table("f,x,y\na,1,dog\nb,0,cat\n"), tree("a", "b"), label_columns="y")
    assert images.target.tolist() == ["dog", "cat"]


def test_names_may_have_folders_before_them(tree, table):
    folder = tree("cats/1.jpg", "dogs/old/1.jpg", "dogs/2.jpg")
    images = load_image_csv(table("f,c\ndogs/old/1,dog\ncats/1,cat\ndogs/2,dog\n"), folder, suffix=".jpg")
    assert names_below(folder, images.data) == ["dogs/old/1.jpg", "cats/1.jpg", "dogs/2.jpg"]
    assert all(Path(path).is_file() for path in images.data)


@pytest.mark.parametrize("name", ["../a", "x/../../a", "/etc/passwd", "x//a", "./a", "x/", "", r"x\a", "C:a", '"a\nb"'])
def test_a_name_that_leads_out_of_the_folder_is_refused(tree, table, name):
    path = table(f"f,c\nok,cat\n{name},dog\n")
    with pytest.raises(
        DatasetError, match="has 1 names that are not the plain name of a file, or of one in a subfolde"
    ):
        load_image_csv(path, tree("ok", "a"))


def test_a_link_out_of_the_folder_is_refused_of_a_file_and_of_a_subfolder(tree, table, tmp_path):
    folder = tree("ok")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "1").touch()
    (folder / "sub").symlink_to(tmp_path / "secret")
    (folder / "one").symlink_to(tmp_path / "secret" / "1")
    (folder / "fine").symlink_to("ok")
    assert len(load_image_csv(table("f,c\nok,1\nfine,0\n"), folder).data) == 2
    with pytest.raises(DatasetError, match="holds 2 links that lead out of it: sub/1, one"):
        load_image_csv(table("f,c\nok,1\nsub/1,0\none,1\n"), folder)


def test_missing_files_are_named_together_with_what_was_looked_for(tree, table):
    path = table("f,c\n" + "".join(f"n{i},x\n" for i in range(9)))
    message = r"lacks 8 of the 9 images that labels\.csv names: n1, .*n5, \.\.\. \(8 in all\)\. .* as 'n1\.jpg'"
    with pytest.raises(DatasetError, match=message):
        load_image_csv(path, tree("n0.jpg", "N1.jpg"), suffix=".jpg")


def test_a_file_in_place_of_the_folder_of_a_name_is_missing(tree, table):
    with pytest.raises(DatasetError, match="lacks 2 of the 2 images"):
        load_image_csv(table("f,c\na/b,x\nloop,y\n"), linked_to_itself(tree("a"), "loop"))


def linked_to_itself(folder: Path, name: str) -> Path:
    (folder / name).symlink_to(name)
    return folder


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "no rows follow the header"),
        ("f,c\n", {}, "no rows follow the header"),
        ("f\na\n", {}, "expected a column of images and at least one other of labels, got 'f' and none"),
        ("f,c,c\na,1,2\n", {}, "has 1 columns of the same name: 'c'"),
        ("f,c\na,\nb,x\n", {}, "has 1 images without a class: 'a'"),
        ("f,c\na,x\na,y\n", {}, "has 1 names that stand more than once: 'a'"),
        ("f,c\na,x,y\n", {}, r"line 2: expected f,c, got 3 columns \('a,x,y'\)"),
        ("f,c\na,x\n", {"image_column": "g"}, "has no column 'g'; it has 'f', 'c'"),
        ("f,c\na,x\n", {"label_columns": ["c", "d"]}, "has no column 'd'"),
        ("f,c\na,x\n", {"label_columns": ["f"]}, "got 'f' and 'f'"),
        ("f,c\na,\nb,\n", {"separator": " "}, "none of its 2 rows has a tag"),
        ('f,c\na,"x\n', {}, "not a CSV file in UTF-8"),
    ],
)
def test_a_broken_table_is_an_error(tree, table, text, options, message):
    path = table(text)
    with pytest.raises(DatasetError, match=message) as caught:
        load_image_csv(path, tree("a", "b"), **options)
    assert str(path) in str(caught.value)


def test_separators_that_do_not_fit_are_errors(tree, table):
    path, folder = table("f,c,d\na,x,y\n"), tree("a")
    with pytest.raises(ValueError, match="'separator' is for one column of tags, got 2: c, d"):
        load_image_csv(path, folder, separator=" ")
    with pytest.raises(
        ValueError, match="The 'separator' parameter of load_image_csv must be None or hold a character"
    ):
        load_image_csv(path, folder, separator="")


def test_files_and_folders_that_are_not_there_are_errors(tree, table, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not a folder; expected the images that labels\.csv names in it"):
        load_image_csv(table("f,c\na,x\n"), tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        load_image_csv(tmp_path / "none.csv", tree("a"))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, lambda y: y.astype(bool)])
def test_a_written_indicator_is_read_back(tmp_path, kind):
    y = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]])
    path = tmp_path / "submission.csv"
    write_submission(path, ["b", "ä,b", "a"], kind(y), label_names=["clear", "haze", "road"])
    labels = load_planet_labels(path)
    assert_array_equal(labels.target, y)
    assert labels.target_names == ["clear", "haze", "road"]
    assert labels.image_names.tolist() == ["b", "ä,b", "a"]


def test_a_frame_brings_its_names_and_classes_need_none(tmp_path):
    path = tmp_path / "submission.csv"
    frame = pd.DataFrame([[1, 1], [0, 1]], columns=["bare ground", "road"])
    write_submission(path, ["a", "b"], frame, header=["id", "labels"], separator=";")
    assert path.read_text() == "id,labels\na,bare ground;road\nb,road\n"
    write_submission(path, np.array(["a", "b"]), np.array(["borzoi", "whippet"]), header=("id", "breed"))
    assert path.read_text() == "id,breed\na,borzoi\nb,whippet\n"


@pytest.mark.parametrize(("threshold", "expected"), [(0.2, ["x y", "x"]), ([0.5, 0.05], ["x y", "y"]), (1, ["x", ""])])
def test_a_threshold_is_reached_from_itself_on(tmp_path, threshold, expected):
    path = tmp_path / "submission.csv"
    probabilities = np.array([[1.0, 0.2], [0.4, 0.1]])
    write_submission(path, ["a", "b"], probabilities, label_names=["x", "y"], threshold=threshold)
    assert pd.read_csv(path, keep_default_na=False)["tags"].tolist() == expected


def test_a_file_is_replaced_as_a_whole_or_kept(tmp_path, monkeypatch):
    path = tmp_path / "submission.csv"
    path.write_text("kept")
    monkeypatch.setattr("csv.writer", lambda *args, **kwargs: Broken())
    with pytest.raises(OSError, match="disk is full"):
        write_submission(path, ["a"], ["x"])
    assert path.read_text() == "kept"
    monkeypatch.undo()
    write_submission(path, ["a"], ["x"])
    assert path.read_text() == "image_name,tags\na,x\n"
    assert list(tmp_path.iterdir()) == [path]


class Broken:
    def writerows(self, rows: object) -> None:
        raise OSError("disk is full")


@pytest.mark.parametrize(
    ("names", "y", "options", "message"),
    [
        (["a"], [[1, 0]], {}, "label_names must be given"),
        (["a"], [[1, 0]], {"label_names": ["x"]}, "label_names must name the 2 labels of y, got 1 names"),
        (["a"], [[0.5, 0]], {"label_names": ["x", "y"]}, "must be a label indicator that holds only 0 and 1"),
        (["a", "b"], [[1, 0]], {"label_names": ["x", "y"]}, "inconsistent numbers of samples"),
        (["a", "b"], ["x"], {}, "y must have a row for each of the 2 image_names, got 1 rows"),
        (["a", "a"], ["x", "y"], {}, "image_names has 1 names that stand more than once: a"),
        (["a"], [[1, 0]], {"label_names": ["x y", "z"]}, "has 1 that would be read back as others .*: 'x y'"),
        (["a"], [[1, 0]], {"label_names": ["", "z"]}, "has 1 that would be read back as others"),
        (["a"], ["x"], {"threshold": 0.5}, "threshold is for probabilities of shape"),
        (["a"], [[1.5, 0]], {"label_names": ["x", "y"], "threshold": 0.5}, "must hold probabilities"),
        (["a"], [[np.nan, 0]], {"label_names": ["x", "y"], "threshold": 0.5}, "must hold probabilities"),
        (["a"], [[0.5, 0]], {"label_names": ["x", "y"], "threshold": [0.5]}, "one for each of the 2 labels"),
        (["a"], ["x"], {"header": ["one"]}, "The 'header' parameter of write_submission must be two names"),
    ],
)
def test_predictions_that_cannot_be_written_are_an_error_before_any_file(tmp_path, names, y, options, message):
    with pytest.raises(ValueError, match=message):
        write_submission(tmp_path / "submission.csv", names, y, **options)
    assert not list(tmp_path.iterdir())


def test_parameters_are_checked(tmp_path):
    with pytest.raises(ValueError, match="The 'suffixes' parameter of load_image_folder must be"):
        load_image_folder(tmp_path, suffixes=".jpg")
    with pytest.raises(ValueError, match="The 'suffix' parameter of load_image_csv must be"):
        load_image_csv(tmp_path / "a.csv", tmp_path, suffix=None)
    with pytest.raises(ValueError, match="The 'path' parameter of write_submission must be"):
        write_submission(None, ["a"], ["x"])


@pytest.mark.data
def test_real_chips_are_read_from_their_table(data_folder):
    folder = data_folder / "planet_sample"
    images = load_image_csv(folder / "train_v2.csv", folder / "train-jpg", suffix=".jpg", separator=" ")
    planet = load_planet(folder)
    assert_array_equal(images.target, planet.target)
    assert_array_equal(images.data, planet.data)
