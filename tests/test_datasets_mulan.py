"""Mulan and MEKA: which attributes are labels, and nothing guessed."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skdeep.datasets import load_mulan
from skdeep.exceptions import DatasetError

COLUMNS = "@attribute x numeric\n@attribute y numeric\n@attribute A {0,1}\n@attribute B {0,1}\n@data\n"
ROWS = "0.5,1,0,1\n-1,?,1,1\n"
XML = '<labels xmlns="http://mulan.sourceforge.net/labels"><label name="B"/><label name="A"></label></labels>'


@pytest.fixture
def table(tmp_path: Path):
    def table(rows: str = ROWS, relation: str = "songs", columns: str = COLUMNS) -> Path:
        path = tmp_path / "songs.arff"
        path.write_text(f"@relation '{relation}'\n{columns}{rows}")
        return path

    return table


@pytest.fixture
def xml(tmp_path: Path):
    def xml(text: str = XML) -> Path:
        path = tmp_path / "labels.xml"
        path.write_text(text)
        return path

    return xml


def assert_is_songs(dataset) -> None:
    assert_array_equal(dataset.data, [[0.5, 1], [-1, np.nan]])
    assert_array_equal(dataset.target, [[0, 1], [1, 1]])
    assert (dataset.data.dtype, dataset.target.dtype) == (np.float64, np.int64)
    assert (dataset.feature_names, dataset.target_names) == (["x", "y"], ["A", "B"])


def test_labels_by_xml_keep_the_order_of_the_file(table, xml):
    assert_is_songs(load_mulan(table(), labels=xml()))
    assert_is_songs(load_mulan(str(table()), labels=str(xml())))


def test_labels_by_name_keep_the_order_of_the_file(table):
    assert_is_songs(load_mulan(table(), labels=["B", "A"]))
    assert_is_songs(load_mulan(table(), labels=np.array(["B", "A"])))


def test_frames_have_the_names(table):
    songs, framed = (load_mulan(table(), n_labels=-2, as_frame=as_frame) for as_frame in (False, True))
    pd.testing.assert_frame_equal(framed.data, pd.DataFrame(songs.data, columns=["x", "y"]))
    pd.testing.assert_frame_equal(framed.target, pd.DataFrame(songs.target, columns=["A", "B"]))
    rows = load_mulan(table("{0 0.5,3 1}\n{2 1}\n"), n_labels=-2, as_frame=True)
    assert sparse.issparse(rows.data)
    pd.testing.assert_frame_equal(rows.target, pd.DataFrame({"A": [0, 1], "B": [1, 0]}))


@pytest.mark.parametrize("relation", ["songs: -C -2", "songs:-C -2", "songs: -split 1 -C -2 -x"])
def test_labels_by_mekas_option(table, relation):
    assert_is_songs(load_mulan(table(relation=relation)))


def test_labels_by_count_carry_mekas_sign(table):
    assert_is_songs(load_mulan(table(), n_labels=-2))
    first = load_mulan(table("1,0,3,4\n", columns=COLUMNS.replace("{0,1}", "real")), n_labels=2)
    assert first.target_names == ["x", "y"]
    assert load_mulan(table("1,0,3,4\n", "s: -C 2", COLUMNS.replace("{0,1}", "real"))).target_names == ["x", "y"]


def test_labels_in_a_hierarchy_are_flattened(table, xml):
    nested = '<labels><label name="A"><label name="B"></label></label></labels>'
    assert_is_songs(load_mulan(table(), labels=xml(nested)))


def test_labels_that_agree_with_mekas_option_are_fine(table, xml):
    assert_is_songs(load_mulan(table(relation="songs: -C -2"), labels=xml()))
    assert_is_songs(load_mulan(table(relation="songs: -C -2"), n_labels=-2))


def test_sparse_rows_give_sparse_data_and_dense_target(table):
    dataset = load_mulan(table("{0 0.5,1 1,3 1}\n{0 -1,1 ?,2 1,3 1}\n"), n_labels=-2)
    assert isinstance(dataset.data, sparse.csr_array)
    dataset.data = dataset.data.toarray()
    assert_is_songs(dataset)


def test_nominal_features_are_positions_or_numbers(table):
    columns = "@attribute x {low,high}\n@attribute y {2,4}\n@attribute A {0,1}\n@data\n"
    dataset = load_mulan(table("high,4,1\nlow,2,0\n", columns=columns), n_labels=-1)
    assert_array_equal(dataset.data, [[1, 4], [0, 2]])


def test_gzip_is_read(table, tmp_path):
    path = tmp_path / "songs.arff.gz"
    path.write_bytes(gzip.compress(table().read_bytes()))
    assert_is_songs(load_mulan(path, n_labels=-2))


def test_descr_counts(table):
    assert "2 samples, 2 features, 2 labels, 1.500 labels a sample" in load_mulan(table(), n_labels=-2).DESCR


def test_an_xml_file_beside_the_table_is_not_guessed(table, xml):
    path = table()
    xml().rename(path.with_suffix(".xml"))
    with pytest.raises(
        DatasetError, match=r"nothing says which of its 4 attributes are labels\. Pass labels= .* n_labels="
    ):
        load_mulan(path)


@pytest.mark.parametrize("told", [{"labels": ["B"]}, {"n_labels": 2}, {"n_labels": -1}])
def test_labels_that_contradict_mekas_option_are_an_error(table, told):
    with pytest.raises(DatasetError, match=r"-C -2 in @relation 2; they differ on "):
        load_mulan(table(relation="songs: -C -2"), **told)


@pytest.mark.parametrize("count", [0, 4, -4, 9])
def test_a_count_that_leaves_no_label_or_no_feature_is_an_error(table, count):
    with pytest.raises(DatasetError, match=f"n_labels={count} must take from 1 to 3 of the 4 attributes"):
        load_mulan(table(), n_labels=count)
    with pytest.raises(DatasetError, match=f"-C {count} in @relation must take from 1 to 3"):
        load_mulan(table(relation=f"songs: -C {count}"))


def test_names_that_are_no_attributes_are_listed(table):
    with pytest.raises(DatasetError, match=r"no attributes of .*: C, D\. Its last attributes are x, y, A, B"):
        load_mulan(table(), labels=["A", "D", "C"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "names 0 labels"),
        (["x", "y", "A", "B"], "at least one must be a label and one a feature"),
        (["A", "A"], "more than once: A"),
    ],
)
def test_names_that_make_no_sense_are_an_error(table, labels, message):
    with pytest.raises(DatasetError, match=message):
        load_mulan(table(), labels=labels)


@pytest.mark.parametrize("text", ["<labels>", "no xml", "<labels></labels>", "<labels><label/></labels>"])
def test_a_broken_xml_file_is_an_error(table, xml, text):
    with pytest.raises(DatasetError, match=r"labels\.xml"):
        load_mulan(table(), labels=xml(text))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0.5,1,0,1\n1,1,?,1\n", r"line 8: label 'A' is missing \(\?\); it must be 0 or 1"),
        ("{2 1}\n{3 ?}\n", r"line 8: label 'B' is missing"),
    ],
)
def test_a_missing_label_value_is_an_error(table, rows, message):
    with pytest.raises(DatasetError, match=message):
        load_mulan(table(rows), n_labels=-2)


def test_a_label_that_is_not_binary_is_an_error(table):
    with pytest.raises(DatasetError, match=r"line 7: label 'x' is 0\.5; it must be 0 or 1\. .* last n attributes"):
        load_mulan(table(), n_labels=2)
    columns = COLUMNS.replace("B {0,1}", "B {no,yes}")
    with pytest.raises(DatasetError, match=r"label 'B' is declared \{no, yes\}; a label must be numeric or \{0,1\}"):
        load_mulan(table("1,1,1,yes\n", columns=columns), n_labels=-2)


def test_parameters_are_checked(table):
    with pytest.raises(ValueError, match="pass only one of them"):
        load_mulan(table(), labels=["A"], n_labels=-1)
    with pytest.raises(ValueError, match="The 'n_labels' parameter of load_mulan must be"):
        load_mulan(table(), n_labels=1.5)
    with pytest.raises(ValueError, match="The 'path' parameter of load_mulan must be"):
        load_mulan(3)
    with pytest.raises(FileNotFoundError):
        load_mulan(table(), labels="none.xml")


def test_a_wide_table_is_read_in_seconds(tmp_path):
    values = np.random.default_rng(0).random((2000, 600)).round(6)
    header = "@relation wide\n" + "".join(f"@attribute x{j} numeric\n" for j in range(600))
    rows = "".join(",".join(map(str, row)) + ",1\n" for row in values.tolist())
    path = tmp_path / "wide.arff"
    path.write_text(header + "@attribute A {0,1}\n@data\n" + rows)
    start = time.process_time()
    dataset = load_mulan(path, n_labels=-1)
    assert time.process_time() - start < 3
    assert_array_equal(dataset.data, values)


@pytest.mark.data
@pytest.mark.parametrize(("part", "n_samples"), [("train", 1500), ("test", 917)])
def test_yeast_is_read_alike_by_every_way(data_folder, part, n_samples):
    folder = data_folder / "yeast"
    ways = [
        {},
        {"labels": folder / "yeast.xml"},
        {"n_labels": -14},
        {"labels": [f"Class{i}" for i in range(14, 0, -1)]},
    ]
    sets = [load_mulan(folder / f"yeast-{part}.arff", **way) for way in ways]
    for dataset in sets:
        assert dataset.data.shape == (n_samples, 103)
        assert dataset.target_names == [f"Class{i}" for i in range(1, 15)]
        assert np.isfinite(dataset.data).all()
        assert_array_equal(dataset.data, sets[0].data)
        assert_array_equal(dataset.target, sets[0].target)


@pytest.mark.data
def test_yeast_has_its_known_statistics(data_folder):
    parts = [load_mulan(data_folder / "yeast" / f"yeast-{part}.arff").target for part in ("train", "test")]
    target = np.vstack(parts)
    assert target.sum(axis=1).mean() == pytest.approx(4.237, abs=5e-4)
    assert len(np.unique(target, axis=0)) == 198
