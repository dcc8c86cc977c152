"""The display of labels that come together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import sparse

from skdeep.inspection import LabelCooccurrenceDisplay
from tests.drawing import close_figures, drawn_within, overlapping  # noqa: F401

Y = np.random.default_rng(0).integers(2, size=(30, 4))


def test_counts_are_those_of_rows_with_both_labels() -> None:
    display = LabelCooccurrenceDisplay.from_indicator(Y)
    for i in range(4):
        for j in range(4):
            count = sum(1 for row in Y if row[i] and row[j])
            assert display.counts[i, j] == count
            assert display.texts_[i, j].get_text() == str(count)
    np.testing.assert_array_equal(display.image_.get_array(), display.counts)


def test_conditional_cells_are_shares_of_the_row_without_the_diagonal() -> None:
    display = LabelCooccurrenceDisplay.from_indicator(Y, conditional=True)
    cells = np.ma.asarray(display.image_.get_array())
    for i in range(4):
        for j in range(4):
            if i == j:
                assert cells.mask[i, j]
                assert (i, j) not in display.texts_
            else:
                assert cells[i, j] == pytest.approx(Y[Y[:, i] == 1, j].mean())
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == [f"y{i} ({Y[:, i].sum()})" for i in range(4)]


def test_a_label_that_never_occurs_has_counts_but_no_shares() -> None:
    y = [[1, 0], [1, 0]]
    assert LabelCooccurrenceDisplay.from_indicator(y).texts_[1, 1].get_text() == "0"
    assert list(LabelCooccurrenceDisplay.from_indicator(y, conditional=True).texts_) == [(0, 1)]
    assert LabelCooccurrenceDisplay.from_indicator([[0, 0]]).counts.sum() == 0


@pytest.mark.parametrize(
    "form", [sparse.csr_matrix, lambda y: pd.DataFrame(y, columns=list("abcd")), np.ndarray.tolist]
)
def test_every_form_of_an_indicator_will_do(form: type) -> None:
    np.testing.assert_array_equal(LabelCooccurrenceDisplay.from_indicator(form(Y)).counts, Y.T @ Y)


def test_rows_of_names_count_as_their_indicator() -> None:
    names = np.array(list("dcba"))
    display = LabelCooccurrenceDisplay.from_labels([names[row == 1] for row in Y], names)
    np.testing.assert_array_equal(display.counts, Y.T @ Y)
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == list("dcba")
    ordered = LabelCooccurrenceDisplay.from_labels([["road", "haze", "road"], []])
    assert ordered.label_names == ["haze", "road"]
    assert ordered.counts.tolist() == [[1, 1], [1, 1]]


def test_one_label_has_one_cell() -> None:
    display = LabelCooccurrenceDisplay.from_indicator([0, 1, 1])
    assert {cell: text.get_text() for cell, text in display.texts_.items()} == {(0, 0): "2"}
    assert LabelCooccurrenceDisplay.from_indicator([0, 1, 1], conditional=True).texts_ == {}


@pytest.mark.parametrize("conditional", [False, True])
def test_seventeen_labels_are_readable_at_640_pixels(conditional: bool) -> None:
    counts = np.full((17, 17), 9_999)
    display = LabelCooccurrenceDisplay(counts, label_names=["conventional_mine"] * 17, conditional=conditional).plot()
    assert display.figure_.get_size_inches()[0] <= 6.4
    assert drawn_within(display.figure_)
    cells = [
        [display.texts_[row, column] for column in range(17) if (row, column) in display.texts_] for row in range(17)
    ]
    assert overlapping(display.figure_, *cells, display.ax_.get_xticklabels(), display.ax_.get_yticklabels()) == []


def test_large_counts_are_shortened() -> None:
    display = LabelCooccurrenceDisplay(np.array([[40_479, 9_999], [9_999, 1_234_567]])).plot()
    assert [text.get_text() for text in display.texts_.values()] == ["40k", "9999", "9999", "1M"]


def test_text_is_light_on_dark_cells_and_dark_on_light_ones() -> None:
    display = LabelCooccurrenceDisplay(np.array([[100, 1], [1, 100]])).plot()
    assert [text.get_color() for text in display.texts_.values()] == ["white", "black", "black", "white"]


def test_what_is_no_indicator_and_unknown_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="holds only 0 and 1"):
        LabelCooccurrenceDisplay.from_indicator([[0.5, 1]])
    with pytest.raises(ValueError, match=r"one name for each of the 4 labels. Got 1 instead"):
        LabelCooccurrenceDisplay.from_indicator(Y, label_names=["a"])
    with pytest.raises(ValueError, match="labels that label_names lacks: haze"):
        LabelCooccurrenceDisplay.from_labels([["road", "haze"]], ["road"])
    with pytest.raises(ValueError, match="got none in 2 rows"):
        LabelCooccurrenceDisplay.from_labels([[], []])
    with pytest.raises(ValueError, match="row 1 is the string 'road haze'"):
        LabelCooccurrenceDisplay.from_labels([["road"], "road haze"])


def test_given_axes_are_plotted_on() -> None:
    figure, ax = plt.subplots()
    display = LabelCooccurrenceDisplay.from_indicator(Y, ax=ax)
    assert (display.figure_, display.ax_) == (figure, ax)
