"""The display of epochs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep.inspection import TrainingHistoryDisplay
from tests.drawing import close_figures, drawn_within, fitted, overlapping  # noqa: F401


def history_of(*phases: tuple[str | int, float, int], **columns: Any) -> pd.DataFrame:
    """A table of so many epochs for each (train, image_size, n_epochs)."""
    rows = [
        {"phase": number, "train": train, "image_size": size}
        for number, (train, size, n_epochs) in enumerate(phases, 1)
        for _ in range(n_epochs)
    ]
    table = pd.DataFrame(rows)
    table.insert(0, "epoch", np.arange(1, len(rows) + 1))
    table["train_loss"] = np.linspace(1, 0.1, len(rows))
    table["valid_loss"] = np.linspace(1, 0.2, len(rows))
    table["score"] = np.linspace(0.5, 0.9, len(rows))
    return table.assign(**columns)


PLANET = [("head", 64, 7), ("all", 64, 7), ("head", 128, 7), ("all", 128, 7), ("head", 256, 7), ("all", 256, 7)]


def test_a_history_becomes_lines_of_its_values() -> None:
    history = history_of(("head", 64, 2), ("all", 128, 3))
    display = TrainingHistoryDisplay.from_history(history, score_name="f2")
    assert len(display.axes_) == 2
    for name in ("train_loss", "valid_loss", "score"):
        line = display.lines_[name]
        np.testing.assert_array_equal(line.get_xdata(), history["epoch"])
        np.testing.assert_array_equal(line.get_ydata(), history[name])
        assert line.axes is display.axes_[int(name == "score")]
    assert display.ax_ is display.axes_[0]
    assert display.axes_[1].get_ylabel() == "f2"
    assert display.axes_[1].get_xlabel() == "epoch"


def test_what_is_nan_or_missing_is_not_drawn() -> None:
    history = history_of(("head", np.nan, 3), valid_loss=np.nan, score=np.nan)
    assert list(TrainingHistoryDisplay.from_history(history).lines_) == ["train_loss"]
    bare = history[["epoch", "train_loss"]]
    display = TrainingHistoryDisplay.from_history(bare)
    assert list(display.lines_) == ["train_loss"]
    assert display.phase_texts_ == []


def test_phases_are_shaded_in_turn_and_say_what_learns_at_which_size() -> None:
    display = TrainingHistoryDisplay.from_history(history_of(("head", 64, 2), ("all", 64, 3), (2, 128, 4), (1, 128, 1)))
    assert list(display.phases) == [
        (1, 2, "head\n64 px"),
        (3, 5, "all\n64 px"),
        (6, 9, "2 groups\n128 px"),
        (10, 10, "head\n128 px"),
    ]
    for panel in display.axes_:
        shaded = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in panel.patches]
        assert shaded == [(2.5, 5.5), (9.5, 10.5)]
        assert panel.get_xlim() == (0.5, 10.5)


def test_a_phase_whose_number_comes_again_is_another_stretch() -> None:
    history = history_of(("head", 64, 2), ("all", 64, 2), ("head", 64, 1))
    history.loc[4, "phase"] = 1
    display = TrainingHistoryDisplay.from_history(history)
    assert [phase[:2] for phase in display.phases] == [(1, 2), (3, 4), (5, 5)]


def test_tables_have_no_size_of_picture() -> None:
    assert TrainingHistoryDisplay.from_history(history_of(("all", np.nan, 2))).phases == [(1, 2, "all")]


@pytest.mark.parametrize("phases", [PLANET, [("head", 224, 1), ("all", 224, 5)], [("head", 224, 1), ("all", 224, 40)]])
def test_texts_of_phases_neither_overlap_nor_leave_the_figure(phases: list[Any]) -> None:
    display = TrainingHistoryDisplay.from_history(history_of(*phases))
    assert overlapping(display.figure_, display.phase_texts_) == []
    assert drawn_within(display.figure_)


def test_a_fitted_classifier_is_found_within_pipelines_and_searches() -> None:
    pipeline = make_pipeline(StandardScaler(), fitted(history_=history_of(("head", 64, 2)), scoring="f2_samples"))
    search = GridSearchCV(pipeline, {})
    search.best_estimator_ = pipeline
    display = TrainingHistoryDisplay.from_estimator(search)
    assert display.axes_[1].get_ylabel() == "f2_samples"
    assert display.lines_["train_loss"].get_ydata().tolist() == [1, 0.1]


def test_a_classifier_without_a_history_is_refused() -> None:
    with pytest.raises(NotFittedError):
        TrainingHistoryDisplay.from_estimator(make_pipeline(StandardScaler(), LogisticRegression()))


def test_a_history_that_lacks_columns_or_epochs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"columns epoch, train_loss, got loss: epoch, train_loss missing"):
        TrainingHistoryDisplay.from_history(pd.DataFrame({"loss": [1.0]}))
    with pytest.raises(ValueError, match="at least one epoch, got none"):
        TrainingHistoryDisplay.from_history(pd.DataFrame({"epoch": [], "train_loss": []}))


def test_given_axes_are_plotted_on_and_must_be_as_many_as_panels() -> None:
    history = history_of(("head", 64, 2))
    figure, axes = plt.subplots(2)
    display = TrainingHistoryDisplay.from_history(history, ax=axes)
    assert display.figure_ is figure
    assert display.axes_.tolist() == axes.tolist()
    with pytest.raises(ValueError, match=r"The 'ax' parameter .* must hold 2 axes \(2 x 1\), or be None. Got 1"):
        TrainingHistoryDisplay.from_history(history, ax=axes[0])
    assert TrainingHistoryDisplay.from_history(history.assign(score=np.nan), ax=axes[0]).ax_ is axes[0]
