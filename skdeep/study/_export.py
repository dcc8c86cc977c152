r"""Tables of a study for papers: mean ± standard deviation in Markdown and LaTeX, the best in bold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from skdeep._wholefile import written_whole
from skdeep.study._statistics import average_ranks
from skdeep.study._wording import heading

if TYPE_CHECKING:
    from skdeep.study._results import StudyResults

By = Literal["dataset", "measure"]

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
    }
)
_MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in r"\|*`<"})


class Column(NamedTuple):
    """What the models have of a measure, or on a data set, and which of them are to be bold."""

    head: str
    cells: list[str]
    bold: list[bool]


class Table(NamedTuple):
    """Cells of one data set or measure.

    Attributes
    ----------
    title : str
    corner : str
        What stands at the left.
    heads, names : list of str
        Of the columns and rows.
    rows : sequence of sequence of (str, bool)
        The cells, and whether they are to be bold.
    """

    title: str
    corner: str
    heads: list[str]
    names: list[str]
    rows: Sequence[Sequence[tuple[str, bool]]]


def export_results(results: StudyResults, path: str | os.PathLike[str], measures: Sequence[str], by: By) -> None:
    """Write the units, or tables of their means, as the suffix says."""
    path = Path(path)
    makers = {"dataset": tables_by_dataset, "measure": tables_by_measure}
    if by not in makers:
        raise ValueError(f"The 'by' parameter must be one of {', '.join(map(repr, makers))}. Got {by!r} instead.")
    writers: dict[str, Callable[[], str]] = {
        ".csv": lambda: units_csv(results, measures),
        ".md": lambda: to_markdown(makers[by](results, measures)),
        ".tex": lambda: to_latex(makers[by](results, measures)),
    }
    if path.suffix not in writers:
        raise ValueError(f"The 'path' parameter must end in one of {', '.join(writers)}. Got {str(path)!r} instead.")
    with written_whole(path) as draft:
        draft.write_text(writers[path.suffix](), encoding="utf-8")


def units_csv(results: StudyResults, measures: Sequence[str]) -> str:
    """The units with these measures."""
    units = results.units
    return units.drop(columns=[name for name in results.measures if name not in measures]).to_csv(index=False)


def tables_by_dataset(results: StudyResults, measures: Sequence[str]) -> Iterator[Table]:
    """A table for each data set, of the measures that it has."""
    summary = results.summary(measures)
    for dataset in results.manifest["datasets"]:
        places = [(heading(measure, results.measures[measure]), dataset, measure) for measure in measures]
        if columns := list(_columns(results, summary, places)):
            yield _table(dataset, list(results.manifest["models"]), columns, "measure")


def tables_by_measure(results: StudyResults, measures: Sequence[str]) -> Iterator[Table]:
    """A table for each measure, of the data sets that have it, and the average rank if there are several."""
    summary = results.summary(measures)
    for measure in measures:
        greater, means = results.measures[measure], results.table(measure)
        places = [(dataset, dataset, measure) for dataset in results.manifest["datasets"]]
        columns = list(_columns(results, summary, places))
        if len(columns) > 1 and means.notna().to_numpy().all():
            ranks = average_ranks(means, greater_is_better=greater).round(2)
            columns.append(Column("average rank", [f"{rank:.2f}" for rank in ranks], (ranks == ranks.min()).tolist()))
        if columns:
            yield _table(heading(measure, greater), list(results.manifest["models"]), columns, "data set")


def to_markdown(tables: Iterator[Table]) -> str:
    """Tables in Markdown, each under its title."""
    return "\n\n".join(f"## {_markdown(table.title)}\n\n{_markdown_table(table)}" for table in tables) + "\n"


def to_latex(tables: Iterator[Table]) -> str:
    r"""Tables in LaTeX, each in a ``table`` of its own, which needs ``\usepackage{booktabs}``."""
    return "\n\n".join(_latex_table(table) for table in tables) + "\n"


def short(number: float) -> str:
    """Three digits behind the point, and no zero before it: ``.167``."""
    text = f"{round(number, 3) + 0.0:.3f}"  # no zero is negative
    return text.replace("0.", ".", 1) if abs(number) < 1 else text


def _columns(results: StudyResults, summary: pd.DataFrame, places: Sequence[tuple[str, str, str]]) -> Iterator[Column]:
    """A column for each head, data set and measure of which there is a value."""
    for head, dataset, measure in places:
        part: Any = summary.loc[dataset][measure]
        if part["count"].any():
            best = _are_best(part, results.measures[measure])
            yield Column(head, _cells(part, results.n_folds[dataset]), best)


def _table(title: str, models: list[str], columns: list[Column], others: str) -> Table:
    """Models at the left, unless there are more columns than models."""
    heads = [column.head for column in columns]
    marked = [list(zip(column.cells, column.bold, strict=True)) for column in columns]
    if len(columns) > len(models):
        return Table(title, others, models, heads, marked)
    return Table(title, "model", heads, models, list(zip(*marked, strict=True)))


def _cells(summary: pd.DataFrame, planned: int) -> list[str]:
    """Mean ± deviation, and how many folds there are if some lack."""
    cells = []
    for mean, std, count in summary[["mean", "std", "count"]].itertuples(index=False):
        spread = "" if pd.isna(std) else f" ±{short(std)}"
        lacking = "" if count == planned else f" ({count:.0f} of {planned})"
        cells.append(short(mean) + spread + lacking if count else "-")
    return cells


def _are_best(summary: pd.DataFrame, greater_is_better: bool) -> list[bool]:
    """Which models are best, as far as the digits shown tell; of fewer folds than another, none is."""
    means = summary["mean"].where(summary["count"] == summary["count"].max())
    best = means.max() if greater_is_better else means.min()
    return (means.round(3) == round(best, 3)).tolist()


def _rows(table: Table, escape: Callable[[str], str], bold: Callable[[str], str]) -> Iterator[list[str]]:
    """The heading, then the rows."""
    yield [table.corner, *map(escape, table.heads)]
    for name, cells in zip(table.names, table.rows, strict=True):
        yield [escape(name), *(bold(escape(cell)) if is_bold else escape(cell) for cell, is_bold in cells)]


def _markdown(text: str) -> str:
    return text.translate(_MARKDOWN)


def _markdown_table(table: Table) -> str:
    names, *rows = _rows(table, _markdown, lambda cell: f"**{cell}**")
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, ["---"] * len(names), *rows))


def _latex(text: str) -> str:
    return text.translate(_LATEX)


def _latex_table(table: Table) -> str:
    names, *rows = (f"{' & '.join(row)} \\\\" for row in _rows(table, _latex, lambda cell: f"\\textbf{{{cell}}}"))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            f"\\caption{{{_latex(table.title)}: mean $\\pm$ standard deviation over folds, the best in bold.}}",
            f"\\begin{{tabular}}{{l{'r' * len(table.heads)}}}",
            r"\toprule",
            names,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )
