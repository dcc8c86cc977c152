r"""Tables of a study for papers: mean ± standard deviation in Markdown and LaTeX, the best in bold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from skdeep.study._results import StudyResults

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


class Table(NamedTuple):
    """Cells of one data set, and which of them are to be bold.

    Attributes
    ----------
    dataset : str
    cells : DataFrame of str
        Models by measures, or the other way round; its columns' name says which stands at the left.
    bold : DataFrame of bool
    """

    dataset: str
    cells: pd.DataFrame
    bold: pd.DataFrame


def export_results(results: StudyResults, path: str | os.PathLike[str], measures: Sequence[str]) -> None:
    """Write the units, or tables of their means, as the suffix says."""
    path = Path(path)
    writers: dict[str, Callable[[], str]] = {
        ".csv": lambda: units_csv(results, measures),
        ".md": lambda: to_markdown(summary_tables(results, measures)),
        ".tex": lambda: to_latex(summary_tables(results, measures)),
    }
    if path.suffix not in writers:
        raise ValueError(f"The 'path' parameter must end in one of {', '.join(writers)}. Got {str(path)!r} instead.")
    path.write_text(writers[path.suffix](), encoding="utf-8")


def units_csv(results: StudyResults, measures: Sequence[str]) -> str:
    """The units with these measures."""
    units = results.units
    return units.drop(columns=[name for name in results.measures if name not in measures]).to_csv(index=False)


def summary_tables(results: StudyResults, measures: Sequence[str]) -> Iterator[Table]:
    """A table for each data set, of the measures that it has."""
    summary = results.summary(measures)
    for dataset in results.manifest["datasets"]:
        if dataset not in summary.index:
            continue
        part = summary.loc[dataset]
        found = [measure for measure in measures if part[measure, "count"].any()]
        cells, bold = pd.DataFrame(index=part.index), pd.DataFrame(index=part.index)
        for measure in found:
            greater = results.measures[measure]
            cells[heading(measure, greater)] = _cells(part[measure], results.n_folds[dataset])
            bold[heading(measure, greater)] = _is_best(part[measure], greater)
        if len(found) > len(part):
            yield Table(dataset, cells.T.rename_axis(columns="measure"), bold.T)
        else:
            yield Table(dataset, cells.rename_axis(columns="model"), bold)


def to_markdown(tables: Iterator[Table]) -> str:
    """Tables in Markdown, each under the name of its data set."""
    return "\n\n".join(f"## {_markdown(table.dataset)}\n\n{_markdown_table(table)}" for table in tables) + "\n"


def to_latex(tables: Iterator[Table]) -> str:
    r"""Tables in LaTeX, each in a ``table`` of its own, which needs ``\usepackage{booktabs}``."""
    return "\n\n".join(_latex_table(table) for table in tables) + "\n"


def heading(measure: str, greater_is_better: bool) -> str:
    """The measure, with an arrow that says which way is better."""
    return f"{measure} {'↑' if greater_is_better else '↓'}"


def short(number: float) -> str:
    """Three digits behind the point, and no zero before it: ``.167``."""
    text = f"{round(number, 3) + 0.0:.3f}"  # no zero is negative
    return text.replace("0.", ".", 1) if abs(number) < 1 else text


def _cells(summary: pd.DataFrame, planned: int) -> list[str]:
    """Mean ± deviation, and how many folds there are if some lack."""
    cells = []
    for mean, std, count in summary[["mean", "std", "count"]].itertuples(index=False):
        spread = "" if pd.isna(std) else f" ±{short(std)}"
        lacking = "" if count == planned else f" ({count:.0f} of {planned})"
        cells.append(short(mean) + spread + lacking if count else "-")
    return cells


def _is_best(summary: pd.DataFrame, greater_is_better: bool) -> pd.Series[bool]:
    """Which models are best, as far as the digits shown tell; of fewer folds than another, none is."""
    means = summary["mean"].where(summary["count"] == summary["count"].max())
    best = means.max() if greater_is_better else means.min()
    return means.round(3) == round(best, 3)


def _rows(table: Table, escape: Callable[[str], str], bold: Callable[[str], str]) -> Iterator[list[str]]:
    """The heading, then the rows."""
    yield [str(table.cells.columns.name), *map(escape, table.cells.columns)]
    for name, cells, marks in zip(table.cells.index, table.cells.to_numpy(), table.bold.to_numpy(), strict=True):
        yield [
            escape(name),
            *(bold(escape(cell)) if mark else escape(cell) for cell, mark in zip(cells, marks, strict=True)),
        ]


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
            f"\\caption{{{_latex(table.dataset)}: mean $\\pm$ standard deviation over folds, the best in bold.}}",
            f"\\begin{{tabular}}{{l{'r' * table.cells.shape[1]}}}",
            r"\toprule",
            names,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )
