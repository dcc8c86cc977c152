"""Displays of learning rates."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from skdeep import CNNClassifier
from skdeep.inspection import LearningRateFinderDisplay, LearningRateScheduleDisplay, TrainingHistoryDisplay
from skdeep.training.phases import Phase, resolve_phases
from skdeep.training.schedules import learning_rates
from tests.drawing import close_figures, drawn_within, fitted, overlapping  # noqa: F401


@dataclass
class Stage:
    """As much of a phase as the display asks for."""

    train: str | int
    factors: tuple[float, ...]
    max_epochs: int = 2
    image_size: Any = 64
    lr: float = 0.1

    def group_factors(self) -> tuple[float, ...]:
        return self.factors


@pytest.fixture
def falling_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedules in which the rate falls from step to step."""

    def learning_rates(phase: Stage, n_batches: int) -> NDArray[np.float64]:
        return phase.lr / np.arange(1, phase.max_epochs * n_batches + 1)

    module = ModuleType("skdeep.training.schedules")
    module.learning_rates = learning_rates  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "skdeep.training.schedules", module)


def finite(line: Any) -> list[float]:
    values = np.asarray(line.get_ydata(), dtype=float)
    return values[np.isfinite(values)].tolist()


def test_each_group_has_a_line_and_frozen_layers_have_none() -> None:
    display = LearningRateScheduleDisplay([[0, 1, 3], [0, 1, 2], [0.5, 1, 1]]).plot()
    assert [finite(line) for line in display.lines_] == [[0.5], [1, 1, 1], [3, 2, 1]]
    assert [line.get_label() for line in display.lines_] == ["group 1", "group 2", "head"]
    assert display.lines_[-1].get_xdata().tolist() == [1, 2, 3]
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["head", "group 2", "group 1"]


def test_layers_that_never_learn_are_left_out_of_the_legend() -> None:
    display = LearningRateScheduleDisplay([[0, 3], [0, 2]]).plot()
    assert display.ax_.get_legend() is None
    assert [finite(line) for line in display.lines_] == [[], [3, 2]]


def test_one_column_is_the_head() -> None:
    display = LearningRateScheduleDisplay([0.1, 0.2]).plot(log=True)
    assert [line.get_label() for line in display.lines_] == ["head"]
    assert display.ax_.get_yscale() == "log"


@pytest.mark.usefixtures("falling_rates")
def test_phases_give_the_rates_of_every_group_at_every_step() -> None:
    phases = [Stage("head", (0, 1)), Stage("all", (0.25, 0.5, 1), max_epochs=1, image_size=(128, 96))]
    display = LearningRateScheduleDisplay.from_phases(phases, [2, 3])
    head = [0.1, 0.1 / 2, 0.1 / 3, 0.1 / 4, 0.1, 0.1 / 2, 0.1 / 3]
    np.testing.assert_allclose(display.rates[:, 2], head)
    np.testing.assert_allclose(display.rates[4:], np.outer(head[4:], [0.25, 0.5, 1]))
    assert (display.rates[:4, :2] == 0).all()
    assert display.phases == [(1, 4, "head\n64 px"), (5, 7, "all\n128 px")]


@pytest.mark.usefixtures("falling_rates")
def test_the_first_group_of_a_coarse_cut_stands_for_all_that_a_finer_one_makes_of_it() -> None:
    phases = [Stage("all", (0.5, 1), max_epochs=1), Stage("all", (0.1, 0.2, 0.3, 1), max_epochs=1)]
    display = LearningRateScheduleDisplay.from_phases(phases, 1)
    np.testing.assert_allclose(display.rates, 0.1 * np.array([[0.5, 0.5, 0.5, 1], [0.1, 0.2, 0.3, 1]]))


@pytest.mark.usefixtures("falling_rates")
def test_a_classifier_shows_the_steps_that_it_took_and_no_more() -> None:
    phases = [Stage("head", (0, 1), max_epochs=3), Stage("all", (0.5, 1), max_epochs=3), Stage("all", (1, 1))]
    # the second phase was stopped early, the third never began, and partial_fit went on
    history = pd.DataFrame({"phase": [1, 1, 1, 2, 0], "n_steps": [2, 2, 2, 4, 9]})
    display = LearningRateScheduleDisplay.from_estimator(fitted(phases_=phases, history_=history))
    assert [phase[:2] for phase in display.phases] == [(1, 6), (7, 10)]
    expected = [*(0.1 / np.arange(1, 7)), *(0.1 / np.arange(1, 5))]
    np.testing.assert_allclose(display.rates[:, 1], expected)


def test_the_phases_of_a_recipe_are_shown_as_they_are_planned() -> None:
    planet = resolve_phases("planet", lr=0.01, max_epochs=None, image_size=None)
    display = LearningRateScheduleDisplay.from_phases(planet, 5)
    np.testing.assert_allclose(display.rates[:, -1], np.concatenate([learning_rates(phase, 5) for phase in planet]))
    assert len(display.phases) == len(planet)
    assert overlapping(display.figure_, display.phase_texts_) == []


def test_a_network_shows_the_rates_that_it_has_noted(pictures: NDArray[np.uint8]) -> None:
    phases = [Phase(max_epochs=1, train="head"), Phase(max_epochs=2, image_size=40, lr_mult=(0.1, 0.5, 1.0))]
    network = CNNClassifier("small_cnn", weights=None, phases=phases, image_size=32, batch_size=2, random_state=0)
    network.fit(pictures, [0, 1] * 3)
    display = LearningRateScheduleDisplay.from_estimator(network)
    assert display.phases == [(1, 3, "head\n32 px"), (4, 9, "all\n40 px")]
    np.testing.assert_allclose(display.rates[[2, 5, 8], 2], network.history_["lr"])
    planned = display.rates
    np.testing.assert_array_equal(
        LearningRateScheduleDisplay.from_estimator(network.partial_fit(pictures, [0, 1] * 3)).rates, planned
    )
    epochs = TrainingHistoryDisplay.from_estimator(network)
    np.testing.assert_array_equal(epochs.lines_["train_loss"].get_ydata(), network.history_["train_loss"])


def test_phases_and_their_numbers_of_batches_must_fit() -> None:
    with pytest.raises(ValueError, match="got 1 phases and 2 numbers of batches"):
        LearningRateScheduleDisplay.from_phases([Stage("head", (0, 1))], [1, 2])
    with pytest.raises(ValueError, match=r"at least one phase.* got 0 phases"):
        LearningRateScheduleDisplay.from_phases([], 3)


@pytest.mark.parametrize("log", [False, True])
def test_a_schedule_stays_within_its_figure(log: bool) -> None:
    phases = [(40 * i + 1, 40 * i + 40, "head\n128 px") for i in range(6)]
    rates = np.outer(np.linspace(1e-2, 1e-5, 240), [1 / 27, 1 / 9, 1 / 3, 1])
    display = LearningRateScheduleDisplay(rates, phases=phases).plot(log=log)
    assert overlapping(display.figure_, display.phase_texts_) == []
    assert drawn_within(display.figure_)


def curve_of(losses: NDArray[np.float64], **suggestions: float) -> SimpleNamespace:
    return SimpleNamespace(rates=np.logspace(-6, 1, len(losses)), losses=losses, smoothed=losses, **suggestions)


def test_a_curve_is_drawn_over_powers_of_ten_with_its_suggestions() -> None:
    curve = curve_of(np.array([1.0, 0.9, 0.5, 0.4, 3.0]), steepest=1e-4, valley=2e-4, minimum_tenth=3e-3)
    display = LearningRateFinderDisplay.from_curve(curve)
    assert display.ax_.get_xscale() == "log"
    np.testing.assert_array_equal(display.lines_["losses"].get_xdata(), curve.rates)
    np.testing.assert_array_equal(display.lines_["smoothed"].get_ydata(), curve.smoothed)
    marks = {name: line.get_xdata()[0] for name, line in display.marks_.items()}
    assert marks == {"steepest": 1e-4, "valley": 2e-4, "minimum / 10": 3e-3}
    assert "valley: 2.0e-04" in [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert drawn_within(display.figure_)


def test_divergence_does_not_squeeze_the_fall() -> None:
    fall = np.linspace(1, 0.5, 20)
    display = LearningRateFinderDisplay.from_curve(
        curve_of(np.append(fall, [1, 1e3, np.inf]), steepest=1, valley=1, minimum_tenth=1)
    )
    bottom, top = display.ax_.get_ylim()
    assert bottom < 0.5 < 1 < top < 2


def test_losses_in_front_of_the_smoothed_minimum_are_all_shown() -> None:
    losses = np.array([1.0, 0.9, 0.2, 0.1, 0.3, 5.0])
    smoothed = np.array([1.0, 0.99, 0.9, 0.8, 0.7, 2.0])
    bottom, top = LearningRateFinderDisplay(np.logspace(-3, 0, 6), losses, smoothed).plot().ax_.get_ylim()
    assert bottom < 0.1 < 1 < top < 2


@pytest.mark.parametrize("losses", [[0.5, 0.5], [0.5, 0.7, 0.9], [np.nan, np.nan]])
def test_a_curve_that_never_falls_is_drawn_all_the_same(losses: list[float]) -> None:
    display = LearningRateFinderDisplay([1e-3, 1e-2, 1e-1][: len(losses)], losses, losses).plot()
    bottom, top = display.ax_.get_ylim()
    assert top > bottom
    assert display.marks_ == {}


def test_a_curve_too_short_to_suggest_anything_has_no_marks() -> None:
    class Short:
        rates, losses, smoothed = [1e-3, 1e-2], [0.5, 0.4], [0.5, 0.4]

        @property
        def steepest(self) -> float:
            raise ValueError("too few points")

    assert LearningRateFinderDisplay.from_curve(Short()).marks_ == {}


def test_given_axes_are_plotted_on() -> None:
    figure, (left, right) = plt.subplots(1, 2)
    assert LearningRateScheduleDisplay([0.1]).plot(ax=left).ax_ is left
    assert LearningRateFinderDisplay([0.1], [1.0], [1.0]).plot(ax=right).figure_ is figure
