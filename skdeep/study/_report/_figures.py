"""Figures of the report: folds, cost, learning curves and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdeep._text import listed
from skdeep.study._report._charts import (
    Chart,
    Strip,
    Strips,
    cost_chart,
    dots,
    learning_chart,
    level,
    linear,
    upright,
)
from skdeep.study._report._tables import (
    Cell,
    Column,
    Row,
    Table,
    decimals,
    number,
    p_text,
    sorted_cell,
    value_cell,
)
from skdeep.study._statistics import average_ranks, friedman_test, nemenyi_test, resampled_ttests
from skdeep.study._wording import measure_text

_MOST_PAIRS = 8  # models up to which all pairs are listed
_LEVEL = 0.05  # the template and the words below say 5 %


@dataclass(frozen=True)
class Option:
    """A figure that is shown if its text is chosen."""

    text: str
    figure: Any


@dataclass(frozen=True)
class DatasetFigures:
    """What the folds of a data set show of one measure."""

    folds: Strips
    cost: Chart | None
    learning: Chart | None


@dataclass(frozen=True)
class Ranks:
    """Average ranks and what a test says of them."""

    strips: Strips
    words: str


@dataclass(frozen=True)
class Pairs:
    """Average ranks over the folds of a data set, if they are shown, and the tests of pairs of models."""

    strips: Strips | None
    table: Table | None
    words: str


def dataset_figures(dataset: str, units: pd.DataFrame, measure: str, *, greater: bool) -> DatasetFigures:
    """Figures of one measure.

    Parameters
    ----------
    dataset : str
    units : DataFrame
        The units of this data set that have a value, of all training sizes.
    measure : str
    greater : bool
        Whether greater is better.
    """
    full = units[units["train_size"] == units["train_size"].max()]
    means = full.groupby("model", sort=False)[measure].mean()
    order = means.sort_values(ascending=not greater, kind="stable").index.tolist()
    text = f"{measure_text(measure)} ({'higher' if greater else 'lower'} is better)"
    seconds = full.groupby("model", sort=False)["fit_seconds"].mean()
    costs, scores = seconds[seconds > 0].to_dict(), means.to_dict()
    cost = None
    if costs:
        about = f"{measure_text(measure)} on {dataset} against seconds to fit: " + ", ".join(
            f"{model} {costs[model]:.3g} s, {scores[model]:.3f}" for model in order if model in costs
        )
        cost = cost_chart(about, ("Seconds to fit, logarithmic", text), costs, scores, greater=greater)
    learning = _learning_chart(dataset, units, measure, order, text) if len(set(units["train_size"])) > 1 else None
    return DatasetFigures(_fold_strips(dataset, full, measure, order, text), cost, learning)


def _fold_strips(dataset: str, full: pd.DataFrame, measure: str, order: Sequence[str], text: str) -> Strips:
    scale = linear(full[measure])
    places = decimals(full[measure])
    by_model = dict(list(full.groupby("model")[measure]))
    rows = []
    for model in order:
        values = by_model[model]
        paths = {"dots": dots(values, scale), "mean": upright(values.mean(), scale)}
        rows.append(Strip(model, number(values.mean(), places), paths, marked=model == order[0]))
    return Strips(
        f"{measure_text(measure)} of each test fold of {dataset}, models from best to worst.", text, scale, rows
    )


def _learning_chart(dataset: str, units: pd.DataFrame, measure: str, order: Sequence[str], text: str) -> Chart:
    by_size = units.groupby(["model", "train_size"])
    rows, means, spreads = by_size["n_train"].mean(), by_size[measure].mean(), by_size[measure].std()
    lines = {model: (rows.loc[[model]].to_numpy(), means.loc[[model]].to_numpy()) for model in order}
    ends = ", ".join(f"{model} {y[0]:.3f} to {y[-1]:.3f}" for model, (_, y) in lines.items())
    about = f"{measure_text(measure)} on {dataset} against training rows, from fewest to most: {ends}."
    spread = {model: spreads.loc[[model]].to_numpy() for model in order}
    return learning_chart(about, ("Training rows", text), lines, spread, order)


def rank_figure(table: pd.DataFrame, *, greater: bool) -> Ranks | None:
    """Average ranks over data sets with the critical difference; None if too few models have a value on all.

    Parameters
    ----------
    table : DataFrame of shape (n_datasets, n_models)
    greater : bool
        Whether greater is better.
    """
    complete = table.dropna(how="all").dropna(axis=1)
    if complete.shape[1] < 3 or len(complete) < 3:
        return None
    difference = nemenyi_test(complete, alpha=_LEVEL).critical_difference
    friedman = friedman_test(complete)
    words = (
        f"Friedman test over {friedman.n_blocks} data sets and {friedman.n_models} models: chi-square "
        f"{friedman.statistic:.2f}, p {_equal(friedman.p_value)}; Iman and Davenport's F {friedman.f_statistic:.2f}, "
        f"p {_equal(friedman.f_p_value)}. Critical difference at the level of 5 %: {difference:.2f} ranks. "
        + ("" if friedman.f_p_value < _LEVEL else "The models are not shown to differ. ")
        + _left_out(table, complete)
    )
    ranks = average_ranks(complete, greater_is_better=greater)
    return Ranks(_rank_strips(ranks, f"{len(complete)} data sets", difference), words)


def pairs_figure(
    table: pd.DataFrame, dataset: str, measure: str, ratio: float, *, greater: bool, ranked: bool
) -> Pairs | None:
    """Tests of the pairs of models over the folds of a data set; None if there are no two models to compare.

    Parameters
    ----------
    table : DataFrame of shape (n_folds, n_models)
    dataset, measure : str
    ratio : float
        Of test rows to training rows.
    greater : bool
        Whether greater is better.
    ranked : bool
        Whether ranks over the folds are shown.
    """
    # a model that lacks a fold cannot be compared over the same rows
    complete = table.dropna(how="all").dropna(axis=1)
    if complete.shape[1] < 2 or len(complete) < 2:
        return None
    ranks = average_ranks(complete, greater_is_better=greater)
    strips = _rank_strips(ranks, f"{len(complete)} folds of {dataset}") if ranked else None
    return Pairs(strips, _pairs_table(dataset, measure, complete, ratio, greater=greater), _left_out(table, complete))


def compares_all(n_models: int) -> bool:
    """Whether so many models are compared in all pairs, or each with the best."""
    return n_models <= _MOST_PAIRS


def _pairs_table(dataset: str, measure: str, table: pd.DataFrame, ratio: float, *, greater: bool) -> Table:
    # from best to worst, so that the better one of a pair comes first
    table = table[table.mean().sort_values(ascending=not greater, kind="stable").index]
    control = None if compares_all(table.shape[1]) else table.columns[0]
    tests = resampled_ttests(table, ratio, control, level=1 - _LEVEL)
    places = decimals(tests[["difference", "low", "high"]])
    rows = [
        Row(
            test["model"],
            [
                Cell(test["other"]),
                value_cell(test["difference"], places),
                sorted_cell(f"{number(test['low'], places)} to {number(test['high'], places)}", test["low"]),
                sorted_cell(p_text(test["p_value"]), test["p_value"]),
                sorted_cell(p_text(test["p_holm"]), test["p_holm"], "*" if test["p_holm"] < _LEVEL else ""),
            ],
        )
        for test in tests.to_dict("records")
    ]
    columns = [Column("Model", numeric=False), Column("Against", numeric=False)]
    columns += [Column(text) for text in ("Difference", "95 % interval", "p", "p, Holm")]
    return Table(f"{measure_text(measure)} on {dataset}, pairs of models", columns, rows)


def _rank_strips(ranks: pd.Series[float], blocks: str, difference: float | None = None) -> Strips:
    ordered = ranks.sort_values(kind="stable")
    half = (difference or 0) / 2
    scale = linear([1, len(ranks)], n_ticks=min(len(ranks), 8))
    best = float(ordered.iloc[0])
    rows = []
    for model, rank in ordered.items():
        paths = {"reach": level(rank - half, rank + half, scale)} if difference else {}
        paths["rank"] = dot = f"M{10 * scale(rank):.0f} 12h0"
        if difference and rank - best > difference:
            paths["hollow"] = dot
        rows.append(Strip(str(model), f"{rank:.2f}", paths, marked=rank == best))
    band = (max(0.0, scale(best - half)), min(100.0, scale(best + half))) if difference else None
    return Strips(f"Average ranks over {blocks}, the best first.", "Average rank (1 is best)", scale, rows, band)


def _equal(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"


def _left_out(table: pd.DataFrame, complete: pd.DataFrame) -> str:
    lacking = [f"“{model}”" for model in table.columns if model not in complete.columns]
    return f"Left out, as a value is missing somewhere: {listed(lacking, 10)}." if lacking else ""


def best_models(units: pd.DataFrame, measure: str, *, greater: bool) -> list[str]:
    """Models from best to worst, those that finished most folds first."""
    found = units.groupby("model", sort=False)[measure].agg(["mean", "count"])
    found = found[found["count"] > 0]
    sign = -1 if greater else 1
    order = np.lexsort([sign * found["mean"].to_numpy(), -found["count"].to_numpy()])
    return found.index[order].tolist()
