"""Tables of the report: numbers as text, what is best, and the summary of a data set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skdeep.study._wording import measure_text

NO_VALUE = "\N{EN DASH}"

# what papers report first; of other measures the first ones are shown
_MAIN = (
    "f1_samples",
    "f1_micro",
    "f1_macro",
    "f2_at_threshold",
    "map_macro",
    "subset_accuracy",
    "hamming_loss",
    "ranking_loss",
)
_COSTS = {"fit_seconds": "Fit, s", "predict_seconds": "Predict, s", "peak_mb": "Peak, MB"}
_SIGNIFICANT = 3


@dataclass(frozen=True)
class Column:
    """The head of a column; ``best`` is ``"high"`` or ``"low"`` where one value is better than another."""

    text: str
    measure: str = ""
    main: bool = True
    best: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """A cell: its text, the value it is sorted by, and the share of it that a bar covers."""

    text: str
    value: float | None = None
    note: str = ""
    best: bool = False
    bar: float | None = None

    @property
    def classes(self) -> str:
        """Classes of the page's style sheet."""
        held = {"n": self.value is not None or self.text == NO_VALUE, "best": self.best, "bar": self.bar is not None}
        return " ".join(name for name, holds in held.items() if holds)


@dataclass(frozen=True)
class Row:
    """A row under a name, and what is to be known of it."""

    name: str
    cells: list[Cell]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table; a caption names it for those who cannot see where it stands."""

    caption: str
    columns: list[Column]
    rows: list[Row]
    sortable: bool = True

    @property
    def name_width(self) -> int:
        """Letters of the longest name."""
        return max((len(row.name) for row in self.rows), default=0)


def main_measures(measures: Iterable[str]) -> list[str]:
    """The measures that are shown unless others are asked for, the first of which says what the best model is."""
    measures = list(measures)
    return [name for name in _MAIN if name in measures] or measures[: len(_MAIN)]


def decimals(values: ArrayLike) -> int:
    """Decimals that show the largest of the values in so many digits that models can be told apart."""
    array = np.abs(np.asarray(values, dtype=np.float64))
    largest = array[np.isfinite(array)].max(initial=0)
    return 3 if largest <= 1 else max(0, _SIGNIFICANT - math.floor(math.log10(largest)) - 1)


def number(value: float, places: int) -> str:
    """A number with so many decimals, or a dash where there is none."""
    return f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else NO_VALUE


def p_text(value: float) -> str:
    """A p-value."""
    return "< 0.001" if value < 0.001 else number(value, 3)


def counted(count: int, word: str) -> str:
    """A count and what was counted: ``1 fold``, ``2,417 rows``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def sorted_cell(text: str, value: float, note: str = "", *, best: bool = False, bar: float | None = None) -> Cell:
    """A cell that is sorted by a value, of which six digits are enough."""
    return Cell(text, float(f"{value:.6g}") if math.isfinite(value) else None, note, best, bar)


def value_cell(value: float, places: int, note: str = "", *, best: bool = False, bar: float | None = None) -> Cell:
    """A cell that holds a number, or a dash where there is none."""
    if not math.isfinite(value):
        return Cell(NO_VALUE)
    return sorted_cell(number(value, places), value, note, best=best, bar=bar)


def text_row(name: object, texts: Sequence[object]) -> Row:
    """A row of texts."""
    return Row(str(name), [Cell(str(text)) for text in texts])


def is_best(
    values: ArrayLike, places: int, *, greater_is_better: bool = True, eligible: ArrayLike = True
) -> list[bool]:
    """Which of the eligible values are best, as far as so many decimals tell; none if all are."""
    array = np.round(np.asarray(values, dtype=np.float64), places) * (1 if greater_is_better else -1)
    array = np.where(np.isfinite(array) & np.asarray(eligible), array, -np.inf)
    top = array.max(initial=-np.inf)
    best = (array == top) & np.isfinite(top)
    return (best & ~best.all()).tolist()


def summary_table(
    dataset: str, units: pd.DataFrame, models: Sequence[str], measures: Mapping[str, bool], n_folds: int
) -> Table:
    """Mean and deviation of each measure and cost, a row a model.

    Parameters
    ----------
    dataset : str
    units : DataFrame
        The units of this data set at the full training size, failed ones too.
    models : sequence of str
    measures : mapping of str to bool
        Whether greater is better.
    n_folds : int
        How many are planned, repeats included.
    """
    main = main_measures(measures)
    costs = [name for name in _COSTS if units[name].notna().any()]
    names = [*main, *(name for name in measures if name not in main), *costs]
    grouped = units[units["status"] == "done"].groupby("model")[names]
    mean, deviation, count = (table.reindex(list(models)) for table in (grouped.mean(), grouped.std(), grouped.count()))
    done = count.max(axis=1).fillna(0).astype(int)
    columns, cells = [Column("Model", numeric=False)], []
    for name in names:
        greater, places = measures.get(name, False), decimals(mean[name])
        # a mean over other folds cannot be compared
        eligible = (count[name] == done.max()) & (name in measures)
        best = is_best(mean[name], places, greater_is_better=greater, eligible=eligible)
        shown = name in [*main, "fit_seconds"]
        columns.append(Column(_COSTS.get(name, measure_text(name)), name, shown, "high" if greater else "low"))
        spreads = deviation[name] if name in measures else deviation[name] * np.nan
        notes = [
            _spread(spread, places, int(n) if n < whole else None)
            for spread, n, whole in zip(spreads, count[name].fillna(0), done, strict=True)
        ]
        cells.append(
            [
                value_cell(value, places if name in measures else decimals(value), note, best=top)
                for value, note, top in zip(mean[name], notes, best, strict=True)
            ]
        )
    lacking = ["" if n_done == n_folds else f"{n_done} of {n_folds} folds" for n_done in done]
    rows = [Row(model, [column[row] for column in cells], lacking[row]) for row, model in enumerate(models)]
    return Table(f"Mean scores on {dataset}", columns, rows)


def _spread(deviation: float, places: int, count: int | None) -> str:
    spread = f"± {number(deviation, places)}" if math.isfinite(deviation) else ""
    return spread if count is None else f"{spread} (n = {count})"
