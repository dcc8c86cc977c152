"""Displays of what a study has found, in the manner of scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skdeep.inspection._plotting import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, one_axes, pyplot, tidy
from skdeep.study._results import Over, StudyResults, check_measures, one_dataset
from skdeep.study._statistics import average_ranks, nemenyi_test
from skdeep.study._wording import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS = "osD^vPX"
_GREY = "0.45"
_FEW_RANKS = 15  # up to which each has a tick
_SHORT = 9  # letters of a name that stands upright below a column


class CriticalDifferenceDisplay:
    """Average ranks on an axis, the best at the left; bars join models that cannot be told apart.

    Use :meth:`from_results` or :meth:`from_table`; the constructor takes what they compute.

    Parameters
    ----------
    ranks : Series or dict of str to float
        Average rank of each model.
    critical_difference : float
        Models whose ranks lie further apart are different.
    label : str, default="average rank"
        Of the axis.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : dict of str to matplotlib Line2D
        By model, from its rank to its name.
    texts_ : dict of str to matplotlib Text
        By model.
    bars_ : list of matplotlib Line2D
        One for each of ``groups_``.
    groups_ : list of list of str
        The largest groups of models next to each other whose ranks all lie within the critical difference.

    References
    ----------
    J. Demšar, "Statistical comparisons of classifiers over multiple data sets", Journal of Machine Learning Research 7,
    2006, section 3.2.4.

    Examples
    --------
    >>> from skdeep.study import CriticalDifferenceDisplay
    >>> display = CriticalDifferenceDisplay({"BR": 3.2, "CC": 1.8, "ML-kNN": 1.0}, 1.2).plot()
    >>> display.groups_
    [['ML-kNN', 'CC']]
    """

    def __init__(
        self, ranks: pd.Series[float] | Mapping[str, float], critical_difference: float, *, label: str = "average rank"
    ) -> None:
        self.ranks = ranks
        self.critical_difference = critical_difference
        self.label = label

    @classmethod
    def from_results(
        cls,
        results: StudyResults,
        measure: str,
        *,
        over: Over = "dataset",
        dataset: str | Sequence[str] | None = None,
        alpha: float = 0.05,
        ax: Axes | None = None,
    ) -> Self:
        """Plot the ranks that models of a study have by one measure.

        Parameters
        ----------
        results : StudyResults
        measure : str
        over : {"dataset", "fold"}, default="dataset"
        dataset : str or sequence of str, default=None
            As in :meth:`StudyResults.table`.
        alpha : float, default=0.05
            Level of the critical difference, which is that of Nemenyi's test.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : CriticalDifferenceDisplay

        Raises
        ------
        ValueError
            If there are fewer than 2 models or 2 blocks, or a block has no value for a model.
        """
        table = results.table(measure, over, dataset)
        blocks = {"dataset": "data sets", "fold": "folds"}[over]
        label = f"average rank by {measure} over {len(table)} {blocks}"
        return cls.from_table(table, greater_is_better=results.measures[measure], alpha=alpha, label=label, ax=ax)

    @classmethod
    def from_table(
        cls,
        table: ArrayLike | pd.DataFrame,
        *,
        greater_is_better: bool = True,
        alpha: float = 0.05,
        label: str = "average rank",
        ax: Axes | None = None,
    ) -> Self:
        """Plot the ranks of a table of blocks by models.

        Parameters
        ----------
        table : DataFrame or array-like of shape (n_blocks, n_models)
        greater_is_better : bool, default=True
        alpha : float, default=0.05
            Level of the critical difference, which is that of Nemenyi's test.
        label : str, default="average rank"
            Of the axis.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : CriticalDifferenceDisplay

        Raises
        ------
        ValueError
            If there are fewer than 2 models or 2 blocks, or a block has no value for a model.
        """
        pyplot(f"{cls.__name__}.from_table")
        ranks = average_ranks(table, greater_is_better=greater_is_better)
        difference = nemenyi_test(table, alpha=alpha).critical_difference
        return cls(ranks, difference, label=label).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a figure, large enough for all names.

        Returns
        -------
        self : CriticalDifferenceDisplay
        """
        # scikit-posthocs has such a diagram too; this one keeps bars that do not meet on one level, shows the ruler of
        # the critical difference, and asks for nothing but matplotlib
        ranks = pd.Series(self.ranks, dtype=float).sort_values(kind="stable")
        ranks.index = ranks.index.map(str)
        n_models = len(ranks)
        self.groups_ = [list(ranks.index[first:last]) for first, last in _groups(ranks, self.critical_difference)]
        spans = [(ranks[group[0]], ranks[group[-1]]) for group in self.groups_]
        pad = 0.012 * max(n_models - 1, 1)
        levels = _levels(spans, 4 * pad)
        n_left = (n_models + 1) // 2
        top = 0.9 + 0.5 * (max(levels, default=-1) + 1)
        bottom = top + n_left - 0.5
        width = (
            4.2
            + 0.06 * n_models
            + 0.085 * sum(max(map(len, names), default=0) for names in (ranks.index[:n_left], ranks.index[n_left:]))
        )
        self.figure_, self.ax_ = one_axes(self, ax, (width, 0.22 * (bottom + 3.2)))
        self.ax_.set(xlim=(1 - 2 * pad, n_models + 2 * pad), ylim=(bottom, -3.2))
        self.ax_.set_axis_off()
        self._draw_axis(n_models)
        self._draw_ruler(n_models)
        self.bars_ = [
            self.ax_.plot([low - pad, high + pad], [0.7 + 0.5 * level] * 2, color=VERMILION, linewidth=4, zorder=3)[0]
            for (low, high), level in zip(spans, levels, strict=True)
        ]
        self.lines_: dict[str, Line2D] = {}
        self.texts_: dict[str, Text] = {}
        for place, (name, rank) in enumerate(ranks.items()):
            is_left = place < n_left
            row = top + (place if is_left else n_models - 1 - place)
            self._draw_model(str(name), float(rank), row, 1 - 2 * pad if is_left else n_models + 2 * pad, is_left)
        return self

    def _draw_axis(self, n_models: int) -> None:
        self.ax_.plot([1, n_models], [0, 0], color="black", linewidth=1.2)
        step = 1 if n_models <= _FEW_RANKS else 2
        for rank in range(1, n_models + 1, step):
            self.ax_.plot([rank, rank], [0, -0.25], color="black", linewidth=1)
            self.ax_.text(rank, -0.4, str(rank), ha="center", va="bottom", fontsize=9)
        self.ax_.set_title(self.label, fontsize=10)

    def _draw_ruler(self, n_models: int) -> None:
        """The critical difference in the units of the axis, if it is not longer than the axis."""
        if self.critical_difference < n_models - 1:
            end = 1 + self.critical_difference
            self.ax_.plot([1, 1, end, end], [-1.6, -1.85, -1.85, -1.6], color=_GREY, linewidth=1.2)
        self.ax_.text(
            1, -2.0, f"critical difference {self.critical_difference:.2f}", color=_GREY, va="bottom", fontsize=9
        )

    def _draw_model(self, name: str, rank: float, row: float, side: float, is_left: bool) -> None:
        (self.lines_[name],) = self.ax_.plot([rank, rank, side], [0, row, row], color="black", linewidth=0.9)
        self.texts_[name] = self.ax_.annotate(
            f"{name}  {rank:.2f}" if is_left else f"{rank:.2f}  {name}",
            (side, row),
            xytext=(-4 if is_left else 4, 0),
            textcoords="offset points",
            ha="right" if is_left else "left",
            va="center",
            fontsize=9,
        )


class LearningCurveDisplay:
    """Score against the number of training rows: mean and deviation over folds, a line a model.

    Use :meth:`from_results`; the constructor takes what it computes.

    Parameters
    ----------
    curves : DataFrame
        Columns ``model``, ``n_train``, ``mean`` and ``std``, which may be NaN.
    score_name : str, default="score"

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : dict of str to matplotlib Line2D
        By model.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdeep.study import LearningCurveDisplay
    >>> curves = pd.DataFrame({"model": ["BR", "BR"], "n_train": [100, 200], "mean": [0.6, 0.7], "std": [0.03, 0.02]})
    >>> LearningCurveDisplay(curves).plot().lines_["BR"].get_ydata().tolist()
    [0.6, 0.7]
    """

    def __init__(self, curves: pd.DataFrame, *, score_name: str = "score") -> None:
        self.curves = curves
        self.score_name = score_name

    @classmethod
    def from_results(
        cls, results: StudyResults, measure: str, *, dataset: str | None = None, ax: Axes | None = None
    ) -> Self:
        """Plot how scores grow with the training rows.

        Parameters
        ----------
        results : StudyResults
            Of a study with ``train_sizes``.
        measure : str
        dataset : str, default=None
            None will do if there is one only.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : LearningCurveDisplay

        Raises
        ------
        ValueError
            If the study has one training size only, there is no such measure or data set, or no unit has a value.
        """
        pyplot(f"{cls.__name__}.from_results")
        units = _units_with(results, measure, dataset)
        if len(results.manifest["train_sizes"]) == 1:
            raise ValueError("The study has one training size: a learning curve needs one with train_sizes=[...].")
        groups = units.groupby(["model", "train_size"], sort=False)
        curves = groups.agg(n_train=("n_train", "mean"), mean=(measure, "mean"), std=(measure, "std")).reset_index()
        return cls(curves, score_name=heading(measure, results.measures[measure])).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a figure.

        Returns
        -------
        self : LearningCurveDisplay
        """
        models = list(dict.fromkeys(self.curves["model"]))
        self.figure_, self.ax_ = one_axes(self, ax, _size_beside_legend(models))
        self.lines_ = {}
        for model, style in zip(models, _styles(), strict=False):
            curve = self.curves[self.curves["model"] == model].sort_values("n_train")
            rows, mean, std = (curve[name].to_numpy(float) for name in ("n_train", "mean", "std"))
            (self.lines_[model],) = self.ax_.plot(rows, mean, label=model, linewidth=1.8, markersize=4, **style)
            self.ax_.fill_between(rows, mean - std, mean + std, color=style["color"], alpha=0.12, linewidth=0)
        self.ax_.set(xlabel="training rows", ylabel=self.score_name)
        tidy(self.ax_)
        _legend_beside(self.ax_)
        return self


class CostDisplay:
    """Score against the seconds of a fit, a point a model, with the deviation over folds.

    Use :meth:`from_results`; the constructor takes what it computes.

    Parameters
    ----------
    costs : DataFrame
        By model, the columns ``seconds``, ``mean`` and ``std``, which may be NaN.
    score_name : str, default="score"

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    points_ : dict of str to matplotlib Line2D
        By model.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdeep.study import CostDisplay
    >>> costs = pd.DataFrame({"seconds": [0.5, 20], "mean": [0.6, 0.7], "std": [0.03, 0.02]}, index=["BR", "CC"])
    >>> sorted(CostDisplay(costs).plot().points_)
    ['BR', 'CC']
    """

    def __init__(self, costs: pd.DataFrame, *, score_name: str = "score") -> None:
        self.costs = costs
        self.score_name = score_name

    @classmethod
    def from_results(
        cls, results: StudyResults, measure: str, *, dataset: str | None = None, ax: Axes | None = None
    ) -> Self:
        """Plot what a better score costs.

        Parameters
        ----------
        results : StudyResults
        measure : str
        dataset : str, default=None
            None will do if there is one only.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : CostDisplay

        Raises
        ------
        ValueError
            If there is no such measure or data set, or no unit has a value.
        """
        pyplot(f"{cls.__name__}.from_results")
        units = _units_with(results, measure, dataset)
        units = units[units["train_size"] == units["train_size"].max()]
        groups = units.groupby("model", sort=False)
        costs = groups.agg(seconds=("fit_seconds", "mean"), mean=(measure, "mean"), std=(measure, "std"))
        return cls(costs, score_name=heading(measure, results.measures[measure])).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a figure.

        Returns
        -------
        self : CostDisplay
        """
        models = [str(name) for name in self.costs.index]
        self.figure_, self.ax_ = one_axes(self, ax, _size_beside_legend(models))
        self.points_ = {}
        values = self.costs[["seconds", "mean", "std"]].to_numpy(float)
        for model, (seconds, mean, std), style in zip(models, values, _styles(), strict=False):
            style = {**style, "linestyle": "", "markersize": 7, "elinewidth": 1}
            drawn = self.ax_.errorbar(seconds, mean, yerr=np.nan_to_num(std), label=model, **style)
            self.points_[model] = drawn.lines[0]
        self.ax_.set_xscale("log")
        self.ax_.set(xlabel="seconds of a fit", ylabel=self.score_name)
        tidy(self.ax_)
        _legend_beside(self.ax_)
        return self


class FoldScatterDisplay:
    """Each fold's score, a column a model, with the mean as a line.

    Use :meth:`from_results`; the constructor takes what it finds.

    Parameters
    ----------
    table : DataFrame of shape (n_folds, n_models)
        NaN is not drawn.
    score_name : str, default="score"

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    points_ : dict of str to matplotlib Line2D
        By model.
    means_ : dict of str to matplotlib Line2D
        By model.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdeep.study import FoldScatterDisplay
    >>> display = FoldScatterDisplay(pd.DataFrame({"BR": [0.5, 0.6], "CC": [0.6, 0.8]})).plot()
    >>> display.points_["CC"].get_ydata().tolist()
    [0.6, 0.8]
    """

    def __init__(self, table: pd.DataFrame, *, score_name: str = "score") -> None:
        self.table = table
        self.score_name = score_name

    @classmethod
    def from_results(
        cls, results: StudyResults, measure: str, *, dataset: str | None = None, ax: Axes | None = None
    ) -> Self:
        """Plot the scores of all folds and repeats.

        Parameters
        ----------
        results : StudyResults
        measure : str
        dataset : str, default=None
            None will do if there is one only.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : FoldScatterDisplay

        Raises
        ------
        ValueError
            If there is no such measure or data set.
        """
        pyplot(f"{cls.__name__}.from_results")
        table = results.table(measure, "fold", one_dataset(results, dataset))
        return cls(table, score_name=heading(measure, results.measures[measure])).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a figure, wide enough for all models.

        Returns
        -------
        self : FoldScatterDisplay
        """
        models = [str(name) for name in self.table.columns]
        longest = max(map(len, models))
        is_crowded = longest > _SHORT
        size = max(4.8, 1.2 + 0.55 * len(models)), 3.8 + (0.05 * longest if is_crowded else 0)
        self.figure_, self.ax_ = one_axes(self, ax, size)
        # side by side, so that folds of equal scores are seen
        offsets = np.linspace(-0.18, 0.18, len(self.table)) if len(self.table) > 1 else np.zeros(1)
        self.points_, self.means_ = {}, {}
        for place, model in enumerate(models):
            scores = self.table.iloc[:, place].astype(float)
            (self.points_[model],) = self.ax_.plot(
                place + offsets, scores, "o", color=BLUE, markersize=4.5, alpha=0.6, markeredgewidth=0
            )
            (self.means_[model],) = self.ax_.plot(
                [place - 0.3, place + 0.3], [scores.mean()] * 2, color=VERMILION, linewidth=2
            )
        slant: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if is_crowded else {}
        self.ax_.set_xticks(range(len(models)), models, **slant)
        self.ax_.set(xlim=(-0.6, len(models) - 0.4), ylabel=self.score_name)
        tidy(self.ax_)
        self.ax_.grid(visible=False, axis="x")
        return self


def _groups(ranks: pd.Series[float], critical_difference: float) -> list[tuple[int, int]]:
    """First and last (exclusive) of the largest runs of sorted ranks within the critical difference, of 2 or more."""
    values = ranks.to_numpy()
    ends = np.searchsorted(values, values + critical_difference, side="right").tolist()
    # a run that ends where an earlier one does lies within it
    return [
        (first, last) for first, last in enumerate(ends) if last - first > 1 and (first == 0 or ends[first - 1] < last)
    ]


def _levels(spans: Sequence[tuple[float, float]], gap: float) -> list[int]:
    """The first level for each bar on which it keeps off those before it."""
    levels: list[int] = []
    ends: list[float] = []
    for low, high in spans:
        level = next((level for level, end in enumerate(ends) if end + gap < low), len(ends))
        ends[level : level + 1] = [high]
        levels.append(level)
    return levels


def _units_with(results: StudyResults, measure: str, dataset: str | None) -> pd.DataFrame:
    """The units of one data set that have a value."""
    check_measures(results, measure)
    name = one_dataset(results, dataset)
    units = results.units
    units = units[(units["dataset"] == name) & units[measure].notna()]
    if units.empty:
        raise ValueError(f"No unit on {name!r} has a value of {measure!r}: see failures, and missing.")
    return units


def _styles() -> Iterator[dict[str, Any]]:
    """A look for each model: six colours, then the same with other markers and lines."""
    looks = zip(cycle(_MARKERS), cycle(("-", "--", ":")), strict=False)
    return ({"color": colour, "marker": marker, "linestyle": line} for marker, line in looks for colour in _COLOURS)


def _size_beside_legend(names: Sequence[str]) -> tuple[float, float]:
    return 5.2 + 0.085 * max(map(len, names)), max(3.6, 0.6 + 0.22 * len(names))


def _legend_beside(ax: Axes) -> None:
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, fontsize=9)
