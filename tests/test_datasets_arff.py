"""ARFF files: what the format allows, and that no damage passes unseen."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.io import arff as scipy_arff

from skdeep.datasets._arff import read_arff, split_values, unquote
from skdeep.exceptions import DatasetError

HEADER = "@relation r\n@attribute a numeric\n@attribute b {0,1}\n@data\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes, name: str = "table.arff") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_dense_rows_are_read_whatever_the_line_ends(write, newline):
    relation = read_arff(write((HEADER + "1.5,0\n-2e3,1\n").replace("\n", newline)))
    assert_array_equal(relation.data, [[1.5, 0], [-2000, 1]])
    assert_array_equal(relation.lines, [5, 6])


def test_header_keywords_comments_and_blank_lines_are_free(write):
    text = "% c\n\n@RELATION r\n% c\n@Attribute\ta   REAL\n@aTTRIBUTE b{0,1}\n\n@DATA\n% c\n\n 1 , 1 \n%\n"
    relation = read_arff(write(text))
    assert [attribute.name for attribute in relation.attributes] == ["a", "b"]
    assert_array_equal(relation.data, [[1, 1]])
    assert_array_equal(relation.lines, [11])


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("'a b'", "a b"),
        ('"a,b"', "a,b"),
        (r"'it\'s'", "it's"),
        (r'"say \"x\""', 'say "x"'),
        ("'{x}'", "{x}"),
        ("plain'quote", "plain'quote"),
        ("'%'", "%"),
        (r"'a\\b'", r"a\b"),
        ("größe", "größe"),
    ],
)
def test_attribute_names_lose_quotes_and_escapes(write, written, name):
    relation = read_arff(write(f"@relation r\n@attribute {written} numeric\n@data\n1\n"))
    assert relation.attributes[0].name == name


def test_nominal_values_are_positions_unless_all_are_numbers(write):
    text = "@relation r\n@attribute a {red,'dark blue',\"x,y\"}\n@attribute b {3, 1}\n@data\n'dark blue',3\n\"x,y\",1\n"
    assert_array_equal(read_arff(write(text)).data, [[1, 3], [2, 1]])


def test_nominal_values_with_one_number_among_them_are_positions(write):
    relation = read_arff(write("@relation r\n@attribute a {x,1}\n@data\n1\nx\n"))
    assert_array_equal(relation.data, [[1], [0]])


def test_missing_values_are_nan_but_a_quoted_question_mark_is_a_value(write):
    text = "@relation r\n@attribute a numeric\n@attribute b {'?',x}\n@data\n?,'?'\n1,?\n"
    assert_array_equal(read_arff(write(text)).data, [[np.nan, 0], [1, np.nan]])


def test_sparse_rows_give_a_csr_array(write):
    relation = read_arff(write(HEADER + "{0 1.5, 1 1}\n{}\n{ 1 1 }\n{1 1,0 2}\n{0 ?}\n"))
    assert isinstance(relation.data, sparse.csr_array)
    assert relation.data.has_canonical_format
    assert_array_equal(relation.data.toarray(), [[1.5, 1], [0, 0], [0, 1], [2, 1], [np.nan, 0]])


def test_sparse_rows_leave_out_the_first_declared_value(write):
    text = "@relation r\n@attribute a {x,y}\n@attribute b {5,6}\n@attribute c numeric\n@data\n{}\n{0 y,1 6}\n{1 5}\n"
    assert_array_equal(read_arff(write(text)).data.toarray(), [[0, 5, 0], [1, 6, 0], [0, 5, 0]])


def test_gzip_and_latin_1_are_read(write):
    text = "@relation r\n@attribute café numeric\n@data\n1\n"
    assert read_arff(write(gzip.compress(text.encode()), "t.arff.gz")).attributes[0].name == "café"
    assert read_arff(write(text.encode("latin-1"))).attributes[0].name == "café"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no @data line"),
        ("@relation r\n@attribute a numeric\n", "no @data line"),
        (HEADER, "no rows follow @data"),
        ("@relation r\n@data\n1\n", r"line 2: @data comes before any @attribute"),
        ("1,2\n", r"line 1: expected @relation, @attribute or @data, got '1,2'"),
        ("@relation r\n@attribute a string\n@data\nx\n", r"line 2: attribute 'a' is of type 'string'; only numeric"),
        ('@relation r\n@attribute a date "yyyy"\n@data\nx\n', r"'date'"),
        ("@relation r\n@attribute a\n@data\n1\n", r"line 2: expected '@attribute NAME TYPE'"),
        ("@relation r\n@attribute a {0,1\n@data\n1\n", r"line 2: attribute 'a': expected declared values"),
        ("@relation r\n@attribute a {'0,1}\n@data\n1\n", r"line 2: attribute 'a': a quote is not closed"),
        ("@relation r\n@attribute a real\n@attribute a real\n@data\n1,1\n", r"line 3: attribute 'a' is declared twice"),
        (HEADER + "1,0\n1\n2,1\n", r"line 6: expected 2 values separated by commas, got 1\.$"),
        (HEADER + "1,0\n1,1,1\n", r"line 6: expected 2 values .* got 3"),
        (HEADER + "1,0\n1\n", r"line 6: .* it is the last row, so the file may have been cut short"),
        (HEADER + "1,0\nabc,1\n", r"line 6: attribute 'a' holds 'abc', which is not a number"),
        (HEADER + "1-2,0\n", r"line 5: attribute 'a' holds '1-2', which is not a number"),
        (HEADER + ",0\n", r"line 5: attribute 'a' holds '', which is not a number"),
        (HEADER + "nan,0\n", r"holds 'nan', which is not a number"),
        (HEADER + "1_0,0\n", r"holds '1_0', which is not a number"),
        (HEADER + "1,0\n\n1,2\n", r"line 7: attribute 'b' holds '2', which is not among its declared values \{0, 1\}"),
        (HEADER + "1,'0\n", r"line 5: a quote is not closed"),
        (HEADER + "{0 1}\n1,1\n", r"line 6: expected a sparse row"),
        (HEADER + "1,1\n{0 1}\n", r"line 6: expected 2 values"),
        (HEADER + "{0 1,1 1\n", r"line 5: expected a sparse row .* cut short"),
        (HEADER + "{2 1}\n", r"line 5: expected 'index value' with an index from 0 to 1, got '2 1'"),
        (HEADER + "{-1 1}\n", r"got '-1 1'"),
        (HEADER + "{0 1,0 2}\n", r"index 0 stands twice"),
        (HEADER + "{1 7}\n", r"attribute 'b' holds '7'"),
        ("@relation r\n@attribute a {x,y}\n@data\nz\n", r"line 4: attribute 'a' holds 'z', .* \{x, y\}"),
    ],
)
def test_damage_is_an_error_that_names_the_place(write, text, message):
    path = write(text)
    with pytest.raises(DatasetError, match=message) as caught:
        read_arff(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [10, 40, 60])
def test_a_gzip_file_that_is_cut_or_no_gzip_is_an_error(write, kept):
    whole = gzip.compress((HEADER + "1,0\n" * 50).encode())
    with pytest.raises(DatasetError, match="damaged or cut short"):
        read_arff(write(whole[:kept], "cut.arff.gz"))
    with pytest.raises(DatasetError, match="damaged or cut short"):
        read_arff(write(HEADER + "1,0\n", "plain.arff.gz"))


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_arff(tmp_path / "none.arff")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1))
def test_quoted_values_survive_whatever_they_hold(values):
    written = ",".join("'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for value in values)
    assert [unquote(value) for value in split_values(written)] == values


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="a'\",\\", max_size=60))
def test_any_text_is_split_or_refused(text):
    try:
        values = split_values(text)
    except ValueError:
        return
    assert len(values) >= 1


@pytest.mark.data
@pytest.mark.parametrize("part", ["train", "test"])
def test_yeast_equals_what_scipy_reads(data_folder, part):
    path = data_folder / "yeast" / f"yeast-{part}.arff"
    relation = read_arff(path)
    rows, meta = scipy_arff.loadarff(path)
    assert [attribute.name for attribute in relation.attributes] == list(meta.names())
    assert_array_equal(relation.data, np.array(rows.tolist()).astype(float))


@pytest.mark.data
def test_yeast_cut_anywhere_inside_a_row_is_an_error(data_folder, write):
    content = (data_folder / "yeast" / "yeast-train.arff").read_bytes()
    start = content.rindex(b"\n", 0, len(content) - 2)
    for kept in (start + 2, start + 300, len(content) // 2):
        with pytest.raises(DatasetError, match="cut short"):
            read_arff(write(content[:kept]))
