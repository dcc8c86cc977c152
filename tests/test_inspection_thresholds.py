"""The display of scores against thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_fscore_support

from skdeep.inspection import ThresholdCurveDisplay
from skdeep.inspection.thresholds import threshold_curves
from skdeep.metrics import fbeta_at_threshold
from skdeep.multilabel import BinaryRelevance
from tests.drawing import close_figures, drawn_within  # noqa: F401

rng = np.random.default_rng(0)
TRUE = rng.integers(2, size=(60, 4))
# many probabilities lie on a threshold
PROBA = np.where(rng.random((60, 4)) < 0.5, rng.integers(101, size=(60, 4)) / 100, rng.random((60, 4)))


@pytest.mark.parametrize("average", ["samples", "micro", "macro"])
@pytest.mark.parametrize("beta", [0.5, 1, 2])
def test_fbeta_is_that_of_metrics_at_every_threshold(average: str, beta: float) -> None:
    display = ThresholdCurveDisplay.from_predictions(TRUE, PROBA, average=average, beta=beta)
    expected = [
        fbeta_at_threshold(TRUE, PROBA, beta=beta, threshold=threshold, average=average)
        for threshold in display.thresholds
    ]
    np.testing.assert_allclose(display.fbeta, expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["samples", "micro", "macro"]), st.floats(0, 1))
def test_fbeta_is_that_of_metrics_for_rows_and_labels_without_anything(seed: int, average: str, share: float) -> None:
    rng = np.random.default_rng(seed)
    true = (rng.random((6, 3)) < share).astype(np.uint8)
    proba = rng.integers(5, size=(6, 3)) / 4
    thresholds = np.array([0, 0.25, 0.6, 1])
    expected = [fbeta_at_threshold(true, proba, threshold=threshold, average=average) for threshold in thresholds]
    np.testing.assert_allclose(threshold_curves(true, proba, thresholds, 2, average)[2], expected)


@pytest.mark.parametrize("average", ["samples", "micro", "macro"])
def test_precision_and_recall_are_those_of_scikit_learn(average: str) -> None:
    # every row and every label has something that is true
    true = np.hstack([TRUE, 1 - TRUE])
    proba = np.hstack([PROBA, PROBA[:, ::-1]])
    display = ThresholdCurveDisplay.from_predictions(true, proba, average=average)
    for threshold, *got in zip(display.thresholds, display.precision, display.recall, strict=True):
        expected = precision_recall_fscore_support(true, proba >= threshold, average=average, zero_division=0)[:2]
        np.testing.assert_allclose(np.nan_to_num(got), expected)


@pytest.mark.parametrize("label", [2, "c"])
def test_one_label_is_scored_alone(label: int | str) -> None:
    display = ThresholdCurveDisplay.from_predictions(TRUE, PROBA, label=label, label_names=list("abcd"), beta=1)
    for threshold, *got in zip(display.thresholds, display.precision, display.recall, display.fbeta, strict=True):
        predicted = PROBA[:, 2] >= threshold
        expected = precision_recall_fscore_support(TRUE[:, 2], predicted, average="binary", zero_division=np.nan)[:3]
        np.testing.assert_allclose(got[:2], expected[:2])
        np.testing.assert_allclose(got[2], np.nan_to_num(expected[2]))
    assert display.ax_.get_title() == "c"


def test_precision_of_nothing_is_not_drawn() -> None:
    display = ThresholdCurveDisplay.from_predictions([0, 1], [0.2, 0.6])
    assert np.isnan(display.precision[-1])
    assert display.recall[-1] == 0


def test_the_best_threshold_is_the_lowest_of_the_best_and_is_marked() -> None:
    display = ThresholdCurveDisplay.from_predictions(TRUE, PROBA)
    assert display.best_score == max(display.fbeta)
    assert display.best_threshold == display.thresholds[list(display.fbeta).index(max(display.fbeta))]
    assert display.mark_.get_xdata()[0] == display.best_threshold
    for name in ("precision", "recall", "fbeta"):
        np.testing.assert_array_equal(display.lines_[name].get_ydata(), getattr(display, name))
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["precision", "recall", "F2", f"best F2: {display.best_score:.3f} at {display.best_threshold:.2f}"]
    assert drawn_within(display.figure_)


def test_the_default_thresholds_are_the_floats_that_are_written() -> None:
    display = ThresholdCurveDisplay.from_predictions(TRUE, PROBA)
    assert display.thresholds.tolist() == [float(f"0.{percent:02}") for percent in range(100)] + [1.0]


def test_other_thresholds_may_be_given_and_must_rise() -> None:
    display = ThresholdCurveDisplay.from_predictions(TRUE, PROBA, thresholds=[0.2, 0.5])
    assert [line.get_xdata().tolist() for line in display.lines_.values()] == [[0.2, 0.5]] * 3
    for wrong in ([0.5, 0.2], [], [0.2, 1.2], [[0.2]], [np.nan]):
        with pytest.raises(ValueError, match="'thresholds' parameter of ThresholdCurveDisplay must be rising numbers"):
            ThresholdCurveDisplay.from_predictions(TRUE, PROBA, thresholds=wrong)


def test_a_classifier_is_asked_for_probabilities_and_names() -> None:
    X = rng.normal(size=(60, 3))
    classifier = BinaryRelevance(LogisticRegression()).fit(X, TRUE)
    display = ThresholdCurveDisplay.from_estimator(classifier, X, TRUE, label="y1", average="macro")
    expected = ThresholdCurveDisplay.from_predictions(TRUE, classifier.predict_proba(X), label=1)
    np.testing.assert_array_equal(display.fbeta, expected.fbeta)
    with pytest.raises(ValueError, match="has no predict_proba"):
        ThresholdCurveDisplay.from_estimator(object(), X, TRUE)


def test_of_two_classes_the_second_is_the_label_and_of_more_each_is() -> None:
    y = np.array(["cat", "dog", "dog", "cat"])
    proba = np.array([0.3, 0.8, 0.6, 0.4])
    binary = ThresholdCurveDisplay.from_predictions(y, np.column_stack([1 - proba, proba]))
    alone = ThresholdCurveDisplay.from_predictions((y == "dog").astype(int), proba)
    np.testing.assert_array_equal(binary.fbeta, alone.fbeta)
    assert binary.ax_.get_title() == "dog"
    classes = np.array(["a", "b", "c", "a"])
    three = rng.dirichlet([1, 1, 1], size=4)
    one = ThresholdCurveDisplay.from_predictions(classes, three, label="b")
    other = ThresholdCurveDisplay.from_predictions((classes == "b").astype(int), three[:, 1])
    np.testing.assert_array_equal(one.fbeta, other.fbeta)


def test_rows_that_are_counted_in_parts_are_all_counted() -> None:
    rng = np.random.default_rng(1)
    true, proba = (rng.random((40_479, 17)) < 0.2).astype(np.uint8), rng.random((40_479, 17))
    display = ThresholdCurveDisplay.from_predictions(true, proba)
    assert display.fbeta[20] == pytest.approx(fbeta_at_threshold(true, proba, threshold=0.2))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"The 'average' parameter of ThresholdCurveDisplay\.from_predictions"):
        ThresholdCurveDisplay.from_predictions(TRUE, PROBA, average="weighted")
    with pytest.raises(ValueError, match=r"The 'beta' parameter of ThresholdCurveDisplay\.from_predictions"):
        ThresholdCurveDisplay.from_predictions(TRUE, PROBA, beta=0)
    with pytest.raises(ValueError, match=r"'label' parameter must be one of the 4 names y0, y1.* Got 'haze' instead"):
        ThresholdCurveDisplay.from_predictions(TRUE, PROBA, label="haze")
    with pytest.raises(ValueError, match=r"must lie between 0 and 1, got values from .*expit"):
        ThresholdCurveDisplay.from_predictions(TRUE, PROBA * 3)
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        ThresholdCurveDisplay.from_predictions(TRUE, PROBA * np.nan)
    with pytest.raises(ValueError, match=r"y_true has shape \(60, 4\), so the probabilities .* got \(60, 3\)"):
        ThresholdCurveDisplay.from_predictions(TRUE, PROBA[:, :3])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ThresholdCurveDisplay.from_predictions(TRUE, PROBA[:9])
    with pytest.raises(ValueError, match="must be one array, got a list of arrays"):
        ThresholdCurveDisplay.from_predictions(TRUE, [PROBA[:, :2]] * 4)
    with pytest.raises(ValueError, match=r"one column for each of the 2 classes a, b, got shape \(2, 3\)"):
        ThresholdCurveDisplay.from_predictions(["a", "b"], np.full((2, 3), 0.3))
    with pytest.raises(ValueError, match="holds classes that are not among the 2 given: c"):
        ThresholdCurveDisplay.from_predictions(["a", "c"], np.full((2, 2), 0.3), label_names=["a", "b"])


def test_given_axes_are_plotted_on() -> None:
    figure, ax = plt.subplots()
    display = ThresholdCurveDisplay.from_predictions(TRUE, PROBA, ax=ax)
    assert (display.figure_, display.ax_) == (figure, ax)
