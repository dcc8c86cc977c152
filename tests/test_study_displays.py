"""The displays of what a study has found."""

from __future__ import annotations

import sys
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from skdeep.study._displays import (
    CostDisplay,
    CriticalDifferenceDisplay,
    FoldScatterDisplay,
    LearningCurveDisplay,
    _groups,
)
from skdeep.study._results import StudyResults
from skdeep.study._statistics import average_ranks, nemenyi_test
from tests.drawing import close_figures, drawn_within  # noqa: F401
from tests.study_folders import score_of, write_study

MODELS = ("BR", "CC", "ML-kNN")
LONG = [f"RAkEL, {k} labels in each of {2 * k}" for k in range(3, 15)]


@pytest.fixture
def results(tmp_path: Path) -> StudyResults:
    """Two data sets, three models, three training sizes and folds; one unit failed."""
    folder = write_study(tmp_path / "study", train_sizes=(0.25, 0.5, 1.0), n_rows=60, failed=[("yeast", "CC", 0, 1)])
    return StudyResults.load(folder)


def covering(figure: Any, texts: list[Any]) -> list[tuple[str, str]]:
    """Pairs of texts of which one covers the other."""
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [(one, two) for (one, box), (two, other) in combinations(boxes, 2) if box.overlaps(other)]


# critical differences


@given(st.lists(st.integers(10, 60), min_size=2, max_size=12), st.integers(0, 60))
def test_groups_are_the_largest_sets_within_the_difference(tenths: list[int], difference: int) -> None:
    ranks = pd.Series(sorted(tenths), dtype=float)
    groups = [set(range(first, last)) for first, last in _groups(ranks, difference)]

    def together(places: set[int]) -> bool:
        return np.ptp(ranks[list(places)]) <= difference

    # within the difference, and with nobody else to add
    for group in groups:
        assert len(group) > 1
        assert together(group)
        assert not any(together(group | {other}) for other in set(ranks.index) - group)
    # two models stand in a group together just where they cannot be told apart
    for one, two in combinations(ranks.index, 2):
        assert together({one, two}) == any({one, two} <= group for group in groups)


def test_bars_reach_over_the_ranks_of_their_group_and_keep_off_each_other() -> None:
    rng = np.random.default_rng(0)
    for n_models in (3, 10, 25):
        table = rng.random((12, n_models)) + np.linspace(0, 1.5, n_models)
        display = CriticalDifferenceDisplay.from_table(table)
        ranks = average_ranks(table)
        ranks.index = ranks.index.map(str)
        assert len(display.bars_) == len(display.groups_) > 0
        spans = []
        for bar, group in zip(display.bars_, display.groups_, strict=True):
            low, high = bar.get_xdata()
            assert low < ranks[group].min() <= ranks[group].max() < high
            spans.append((low, high, bar.get_ydata()[0]))
        for (low, high, level), (other_low, other_high, other_level) in combinations(spans, 2):
            assert level != other_level or high < other_low or other_high < low


@pytest.mark.parametrize("n_models", [2, 3, 4, 7, 12, 25])
def test_names_of_all_models_are_read_without_covering_each_other(n_models: int) -> None:
    names = [f"{'A long name of ' if place % 3 else ''}model {place}" for place in range(n_models)]
    table = pd.DataFrame(np.random.default_rng(n_models).random((20, n_models)), columns=names)
    display = CriticalDifferenceDisplay.from_table(table, label="average rank by f1_micro over 20 data sets")
    ranks = average_ranks(table)
    assert set(display.texts_) == set(names)
    for name, text in display.texts_.items():
        assert name in text.get_text()
        assert f"{ranks[name]:.2f}" in text.get_text()
    assert covering(display.figure_, [*display.ax_.texts, display.ax_.title]) == []
    assert drawn_within(display.figure_)


def test_lines_lead_from_a_rank_to_the_height_of_its_name_and_do_not_cross() -> None:
    table = np.random.default_rng(0).random((20, 9))
    display = CriticalDifferenceDisplay.from_table(table)
    ranks = average_ranks(table)
    legs = []
    for name, line in display.lines_.items():
        (x, _, side), (top, row, _) = line.get_data()
        assert x == pytest.approx(ranks[int(name)])
        assert top == 0
        assert display.texts_[name].xy == (side, row)
        legs.append((min(x, side), max(x, side), row, x))
    for (low, high, row, _), (_, _, other_row, x) in permutations(legs, 2):
        # upright lines end at their own row, so those of lower rows pass all rows above
        assert not (low < x < high and row < other_row)


def test_models_of_equal_ranks_have_a_line_each() -> None:
    display = CriticalDifferenceDisplay({"a": 2, "b": 2, "c": 2}, 1.0).plot()
    assert display.groups_ == [["a", "b", "c"]]
    assert len({tuple(line.get_ydata()) for line in display.lines_.values()}) > 1
    assert covering(display.figure_, list(display.texts_.values())) == []


def test_a_difference_longer_than_the_axis_is_written_without_a_ruler() -> None:
    short, long = (CriticalDifferenceDisplay({"a": 1, "b": 2, "c": 3}, cd).plot() for cd in (1.5, 2.5))
    assert len(short.ax_.lines) - len(short.bars_) == len(long.ax_.lines) - len(long.bars_) + 1
    for display, text in ((short, "critical difference 1.50"), (long, "critical difference 2.50")):
        assert text in [written.get_text() for written in display.ax_.texts]


def test_ranks_of_results_are_those_of_their_table(results: StudyResults) -> None:
    for measure in results.measures:
        display = CriticalDifferenceDisplay.from_results(results, measure, dataset=["planet"], over="fold", alpha=0.1)
        pd.testing.assert_series_equal(display.ranks, results.average_ranks(measure, "fold", "planet"))
        table = results.table(measure, "fold", "planet")
        assert display.critical_difference == nemenyi_test(table, alpha=0.1).critical_difference
        assert display.ax_.get_title() == f"average rank by {measure} over 3 folds"


def test_the_best_stands_at_the_left_of_losses_too(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, score=lambda place, *_: MODELS.index(place[1]) / 10))
    for measure, first in (("f1_micro", "ML-kNN"), ("hamming_loss", "BR")):
        display = CriticalDifferenceDisplay.from_results(results, measure)
        assert display.lines_[first].get_xdata()[0] == 1
        assert display.texts_[first].get_ha() == "right"


# learning curves, costs and folds


def test_curves_are_means_and_deviations_over_folds(results: StudyResults) -> None:
    display = LearningCurveDisplay.from_results(results, "f1_micro", dataset="yeast")
    assert list(display.lines_) == list(MODELS)
    for model, line in display.lines_.items():
        folds = [fold for fold in range(3) if (model, fold) != ("CC", 1)]
        rows, means = line.get_data()
        np.testing.assert_array_equal(rows, [10, 20, 40])
        for mean, size in zip(means, (0.25, 0.5, 1.0), strict=True):
            scores = [score_of(("yeast", model, 0, fold), "f1_micro", size) for fold in folds]
            assert mean == pytest.approx(np.mean(scores))
    assert display.ax_.get_ylabel() == "F1 micro ↑"
    curve = display.curves[display.curves["model"] == "BR"].set_index("n_train")
    scores = [score_of(("yeast", "BR", 0, fold), "f1_micro", 0.5) for fold in range(3)]
    assert curve.loc[20, "std"] == pytest.approx(np.std(scores, ddof=1))


def test_a_curve_needs_several_training_sizes(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, datasets=["yeast"]))
    with pytest.raises(ValueError, match=r"a learning curve needs one with train_sizes=\[...\]"):
        LearningCurveDisplay.from_results(results, "f1_micro")


def test_costs_are_of_the_largest_training_size(results: StudyResults) -> None:
    display = CostDisplay.from_results(results, "hamming_loss", dataset="yeast")
    means = results.summary("hamming_loss").loc["yeast"]["hamming_loss", "mean"]
    units = results.units[results.units["train_size"] == 1]
    for model, point in display.points_.items():
        done = units[(units["dataset"] == "yeast") & (units["model"] == model) & (units["status"] == "done")]
        assert point.get_xdata() == pytest.approx([done["fit_seconds"].mean()])
        assert point.get_ydata() == pytest.approx([means[model]])
    assert display.ax_.get_ylabel() == "Hamming loss ↓"
    assert display.ax_.get_xscale() == "log"


def test_points_are_the_scores_of_the_folds(results: StudyResults) -> None:
    display = FoldScatterDisplay.from_results(results, "f1_micro", dataset="yeast")
    table = results.table("f1_micro", "fold", "yeast")
    for place, (model, points) in enumerate(display.points_.items()):
        np.testing.assert_array_equal(points.get_ydata(), table[model])
        assert np.abs(np.asarray(points.get_xdata()) - place).max() < 0.5
        assert list(display.means_[model].get_ydata()) == pytest.approx([table[model].mean()] * 2)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == list(MODELS)


@pytest.mark.parametrize("display", [LearningCurveDisplay, CostDisplay, FoldScatterDisplay, CriticalDifferenceDisplay])
@pytest.mark.parametrize("models", [["BR"], ["BR", "CC"], LONG])
@pytest.mark.parametrize("n_folds", [1, 3])
def test_all_is_drawn_within_the_figure(display: Any, models: list[str], n_folds: int, tmp_path: Path) -> None:
    sizes = (0.5, 1.0) if display is LearningCurveDisplay else (1.0,)
    folder = write_study(tmp_path, datasets=["yeast"], models=models, n_folds=n_folds, train_sizes=sizes)
    results = StudyResults.load(folder)
    if display is CriticalDifferenceDisplay:
        if n_folds == 1 or len(models) == 1:
            with pytest.raises(ValueError, match="at least 2"):
                display.from_results(results, "f1_micro", over="fold")
            return
        drawn = display.from_results(results, "f1_micro", over="fold")
    else:
        drawn = display.from_results(results, "f1_micro")
    assert drawn_within(drawn.figure_)
    names = [label for label in drawn.ax_.get_xticklabels() if label.get_text() in models and not label.get_rotation()]
    assert covering(drawn.figure_, names) == []


def test_models_look_different(tmp_path: Path) -> None:
    results = StudyResults.load(
        write_study(tmp_path, datasets=["yeast"], models=[*LONG, *"abcdefgh"], train_sizes=(0.5, 1))
    )
    lines = LearningCurveDisplay.from_results(results, "f1_micro").lines_.values()
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 20


def test_models_that_failed_everywhere_are_left_out(tmp_path: Path) -> None:
    failed = [("yeast", "CC", 0, fold) for fold in range(3)]
    results = StudyResults.load(write_study(tmp_path, datasets=["yeast"], failed=failed, train_sizes=(0.5, 1.0)))
    assert list(LearningCurveDisplay.from_results(results, "f1_micro").lines_) == ["BR", "ML-kNN"]
    assert list(CostDisplay.from_results(results, "f1_micro").points_) == ["BR", "ML-kNN"]
    scatter = FoldScatterDisplay.from_results(results, "f1_micro")
    assert np.isnan(np.asarray(scatter.points_["CC"].get_ydata(), dtype=float)).all()
    with pytest.raises(ValueError, match=r"none in 3 of 3 blocks: yeast 0 0 \(CC\)"):
        CriticalDifferenceDisplay.from_results(results, "f1_micro", over="fold")


def test_a_study_without_scores_has_no_curves(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, datasets=["yeast"], score=lambda *_: None))
    for display in (LearningCurveDisplay, CostDisplay):
        with pytest.raises(
            ValueError, match=r"No unit on 'yeast' has a value of 'f1_micro': see failures, and missing"
        ):
            display.from_results(results, "f1_micro")


@pytest.mark.parametrize("display", [LearningCurveDisplay, CostDisplay, FoldScatterDisplay])
def test_the_data_set_and_the_measure_must_be_known(results: StudyResults, display: Any) -> None:
    for dataset in (None, "rcv1"):
        with pytest.raises(ValueError, match=r"'dataset' parameter must be one of yeast, planet\. Got (None|'rcv1')"):
            display.from_results(results, "f1_micro", dataset=dataset)
    with pytest.raises(ValueError, match=r"'measure' parameter must be one of f1_micro, hamming_loss\. Got 'f2'"):
        display.from_results(results, "f2", dataset="yeast")


@pytest.mark.parametrize("display", [LearningCurveDisplay, CostDisplay, FoldScatterDisplay, CriticalDifferenceDisplay])
def test_displays_draw_on_the_axes_given(results: StudyResults, display: Any) -> None:
    figure, ax = plt.subplots(figsize=(7, 4))
    drawn = display.from_results(results, "f1_micro", dataset="planet", ax=ax, **_over_folds(display))
    assert drawn.ax_ is ax
    assert drawn.figure_ is figure


@pytest.mark.parametrize("display", [LearningCurveDisplay, CostDisplay, FoldScatterDisplay, CriticalDifferenceDisplay])
def test_matplotlib_is_asked_for_by_the_name_of_the_extra(
    results: StudyResults, display: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ImportError, match=rf"{display.__name__}\.from_\w+ needs matplotlib. Install it with: pip install"
    ):
        display.from_results(results, "f1_micro", dataset="planet", **_over_folds(display))


def _over_folds(display: Any) -> dict[str, str]:
    return {"over": "fold"} if display is CriticalDifferenceDisplay else {}
