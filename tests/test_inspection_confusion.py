"""The display of right and wrong decisions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import multilabel_confusion_matrix
from sklearn.tree import DecisionTreeClassifier

from skdeep.inspection import MultilabelConfusionDisplay
from skdeep.multilabel import BinaryRelevance
from tests.drawing import close_figures, drawn_within, overlapping  # noqa: F401

rng = np.random.default_rng(0)
TRUE = rng.integers(2, size=(40, 5))
PREDICTED = rng.integers(2, size=(40, 5))


def written(display: MultilabelConfusionDisplay) -> list[list[str]]:
    n_labels = 1 + max(row for row, _ in display.texts_)
    return [[display.texts_[row, column].get_text() for column in range(4)] for row in range(n_labels)]


def colours(display: MultilabelConfusionDisplay) -> NDArray[np.float64]:
    """The values of both images, of which each shows what the other hides."""
    right, wrong = (np.ma.asarray(image.get_array()) for image in display.images_)
    assert (right.mask ^ wrong.mask).all()
    return np.where(right.mask, wrong.data, right.data)


def test_counts_are_those_of_scikit_learn() -> None:
    display = MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED)
    expected = multilabel_confusion_matrix(TRUE, PREDICTED)
    np.testing.assert_array_equal(display.confusion, expected)
    assert written(display) == [[str(cell) for cell in row] for row in expected.reshape(-1, 4)]


@pytest.mark.parametrize(
    ("normalize", "groups"), [("true", [[0, 1], [2, 3]]), ("pred", [[0, 2], [1, 3]]), ("all", [[0, 1, 2, 3]])]
)
def test_shares_sum_to_one_within_what_they_are_shares_of(normalize: str, groups: list[list[int]]) -> None:
    display = MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED, normalize=normalize)
    for cells in groups:
        np.testing.assert_allclose(colours(display)[:, cells].sum(axis=1), 1)
    assert written(display) == [[f"{share:.2f}"[1:] for share in row] for row in colours(display)]


def test_colours_of_counts_are_shares_of_what_is_true() -> None:
    counts = MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED)
    shares = MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED, normalize="true")
    np.testing.assert_array_equal(colours(counts), colours(shares))


def test_errors_have_a_colour_of_their_own() -> None:
    right, wrong = MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED).images_
    assert right.get_cmap().name != wrong.get_cmap().name
    assert np.ma.getmaskarray(wrong.get_array())[0].tolist() == [True, False, False, True]


def test_a_label_that_never_occurs_has_no_shares() -> None:
    display = MultilabelConfusionDisplay.from_predictions([[0], [0], [0]], [[0], [0], [1]], normalize="true")
    assert written(display) == [[".67", ".33", "-", "-"]]


def test_only_exact_shares_are_written_as_nought_and_one() -> None:
    confusion = [[[999, 1], [0, 5]]]
    assert written(MultilabelConfusionDisplay(confusion, normalize="true").plot()) == [["1.0", ".00", "0", "1"]]


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, pd.DataFrame, lambda y: y.astype(bool)])
def test_every_form_of_an_indicator_will_do(form: type) -> None:
    display = MultilabelConfusionDisplay.from_predictions(form(TRUE), form(PREDICTED))
    np.testing.assert_array_equal(display.confusion, multilabel_confusion_matrix(TRUE, PREDICTED))


@pytest.mark.parametrize("flat", [False, True])
def test_one_label_is_one_row(flat: bool) -> None:
    true, predicted = TRUE[:, :1], PREDICTED[:, :1]
    display = MultilabelConfusionDisplay.from_predictions(
        *(values.ravel() if flat else values for values in (true, predicted))
    )
    fp, fn = int(((true == 0) & (predicted == 1)).sum()), int(((true == 1) & (predicted == 0)).sum())
    assert [cells[1:3] for cells in written(display)] == [[str(fp), str(fn)]]
    assert drawn_within(display.figure_)


def test_names_come_from_the_caller_the_columns_or_the_classifier() -> None:
    def names(display: MultilabelConfusionDisplay) -> list[str]:
        return [text.get_text() for text in display.ax_.get_yticklabels()]

    named = pd.DataFrame(TRUE, columns=list("abcde"))
    assert names(MultilabelConfusionDisplay.from_predictions(named, PREDICTED)) == list("abcde")
    assert names(MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED, label_names="vwxyz")) == list("vwxyz")
    X = rng.normal(size=(40, 3))
    classifier = BinaryRelevance(DecisionTreeClassifier(max_depth=1)).fit(X, named)
    display = MultilabelConfusionDisplay.from_estimator(classifier, X, TRUE)
    assert names(display) == list("abcde")
    np.testing.assert_array_equal(display.confusion, multilabel_confusion_matrix(TRUE, classifier.predict(X)))


def test_seventeen_labels_fit_into_the_figure_with_their_names() -> None:
    display = MultilabelConfusionDisplay(np.full((17, 2, 2), 40_479), label_names=["conventional_mine"] * 17).plot()
    assert drawn_within(display.figure_)
    assert display.figure_.get_size_inches()[0] <= 6.4
    assert overlapping(display.figure_, display.ax_.get_yticklabels(), display.ax_.get_xticklabels()) == []


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"y_true has shape \(40, 5\), so y_pred must have it too, got \(40, 4\)"):
        MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED[:, :4])
    with pytest.raises(ValueError, match="holds only 0 and 1"):
        MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED * 0.3)
    with pytest.raises(ValueError, match=r"'label_names' parameter must hold one name .* 5 labels. Got 2 instead"):
        MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED, label_names=["a", "b"])
    with pytest.raises(ValueError, match=r"The 'normalize' parameter of MultilabelConfusionDisplay\.from_predictions"):
        MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED, normalize="rows")


def test_given_axes_are_plotted_on() -> None:
    figure, ax = plt.subplots()
    display = MultilabelConfusionDisplay.from_predictions(TRUE, PREDICTED, ax=ax)
    assert (display.figure_, display.ax_) == (figure, ax)
