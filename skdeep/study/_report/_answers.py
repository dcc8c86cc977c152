"""What models answered on the test rows: scores of each label, and scores against the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from skdeep.inspection.thresholds import divide, threshold_curves
from skdeep.metrics._rankings import ScoredLabels
from skdeep.study._report._charts import N_COLOURS, Chart, threshold_chart
from skdeep.study._report._tables import Cell, Column, Row, Table, is_best, value_cell

_SMALLEST = 1e-7  # a lower probability of what is true costs no more
_THRESHOLDS = np.arange(101) / 100
_PLACES = 3  # decimals of scores
_CURVES = {"F2": 2.0, "F1": 1.0}  # text -> beta


@dataclass(frozen=True)
class Answers:
    """Decisions of a model on labels; of several classes, each counts as a label.

    Attributes
    ----------
    names : list of str
        Of the labels or classes.
    rows : ndarray of int of shape (n_rows,)
        Where the rows stand in X.
    true, predicted : ndarray of bool of shape (n_rows, n_labels)
    probabilities : ndarray of float of shape (n_rows, n_labels), or None
        None if the model has no scores.
    squashed : bool
        Whether they are decision values, brought between 0 and 1 by the logistic function or softmax.
    exclusive : bool
        Whether a row has one label only.
    """

    names: list[str]
    rows: NDArray[np.int64]
    true: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    probabilities: NDArray[np.float64] | None
    squashed: bool
    exclusive: bool

    @property
    def log_loss(self) -> NDArray[np.float64]:
        """Of each row: mean over its labels, or that of its class."""
        assert self.probabilities is not None
        likely = np.clip(np.where(self.true, self.probabilities, 1 - self.probabilities), _SMALLEST, 1)
        return -np.log(likely[self.true]) if self.exclusive else -np.log(likely).mean(axis=1)


def as_answers(predictions: Mapping[str, Any], dataset: Mapping[str, Any]) -> Answers:
    """Take what ``StudyResults.predictions`` gives, and what the manifest says of the data set, as decisions."""
    exclusive = dataset["kind"] != "multilabel"
    target, predicted = np.asarray(predictions["target"]), np.asarray(predictions["predicted"])
    names = [str(name) for name in dataset["label_names"] or range(_count_labels(target, predictions.get("scores")))]
    scores, squashed = predictions.get("scores"), str(predictions.get("scores_are", "")) == "decision_function"
    if exclusive:
        target = target.reshape(-1, 1) == np.arange(len(names))
        predicted = predicted.reshape(-1, 1) == np.arange(len(names))
    return Answers(
        names,
        np.asarray(predictions["rows"]),
        target.astype(bool),
        predicted.astype(bool),
        None if scores is None else _probabilities(np.asarray(scores, np.float64), squashed, exclusive),
        squashed,
        exclusive,
    )


def _count_labels(target: NDArray[Any], scores: NDArray[Any] | None) -> int:
    if target.ndim == 2:
        return target.shape[1]
    return max(int(target.max()) + 1, 1 if scores is None or scores.ndim == 1 else scores.shape[1])


def _probabilities(scores: NDArray[np.float64], squashed: bool, exclusive: bool) -> NDArray[np.float64]:
    if exclusive and (scores.ndim == 1 or scores.shape[1] == 1):
        second = expit(scores.ravel()) if squashed else scores.ravel()
        return np.column_stack([1 - second, second])
    if not squashed:
        return scores
    return softmax(scores, axis=1) if exclusive else expit(scores)


def label_tables(dataset: str, answers: Mapping[str, Answers]) -> dict[str, Table]:
    """Scores of each label, a column a model: average precision, and F1 of what reaches a half."""
    answers = {model: some for model, some in answers.items() if some.probabilities is not None}
    if not answers:
        return {}
    # a model of which folds are missing has fewer rows
    first = max(answers.values(), key=lambda some: len(some.rows))
    positives = first.true.sum(axis=0)
    whole = [len(some.rows) == len(first.rows) for some in answers.values()]
    tables = {}
    for text, score in (("Average precision", _average_precisions), ("F1 at 0.5", _f1_at_half)):
        values = {model: score(some) for model, some in answers.items()}
        table = np.column_stack(list(values.values()))
        rows = []
        for name, count, scores in zip(first.names, positives, table, strict=True):
            best = is_best(scores, _PLACES, eligible=whole)
            share = Cell(f"{count:,}", float(count), f"({count / len(first.rows):.1%})")
            cells = [
                value_cell(score, _PLACES, best=top, bar=round(float(np.nan_to_num(score)), 3))
                for score, top in zip(scores, best, strict=True)
            ]
            rows.append(Row(name, [share, *cells]))
        columns = [Column("Class" if first.exclusive else "Label", numeric=False), Column("Positives", best="")]
        columns += [Column(model, best="high") for model in values]
        tables[text] = Table(f"{text} of each label of {dataset}", columns, rows)
    return tables


def threshold_charts(dataset: str, answers: Mapping[str, Answers], order: Sequence[str]) -> list[Chart]:
    """F2 and F1 against the threshold, for as many models as a chart can name, the first in ``order``."""
    shown = [model for model in order if model in answers and answers[model].probabilities is not None][:N_COLOURS]
    if not shown:
        return []
    curves = {model: _fbeta_curves(answers[model]) for model in shown}
    charts = []
    for text in _CURVES:
        lines = {model: (_THRESHOLDS, curve[text]) for model, curve in curves.items()}
        tops = [f"{model} {y.max():.3f} at {_THRESHOLDS[int(y.argmax())]:.2f}" for model, (_, y) in lines.items()]
        about = f"{text} on {dataset} against the threshold. Highest: {', '.join(tops)}."
        charts.append(threshold_chart(about, ("Threshold", text), lines))
    return charts


def _fbeta_curves(answers: Answers) -> dict[str, NDArray[np.float64]]:
    assert answers.probabilities is not None
    true = answers.true.astype(np.uint8)
    return {
        text: threshold_curves(true, answers.probabilities, _THRESHOLDS, beta, "samples")[2]
        for text, beta in _CURVES.items()
    }


def _average_precisions(answers: Answers) -> NDArray[np.float64]:
    assert answers.probabilities is not None
    # of a label over the rows it is what the precisions of a row are over the labels
    true, n_above, n_above_true = ScoredLabels(answers.true.T, answers.probabilities.T).ranking
    return divide(np.where(true, n_above_true / n_above, 0).sum(axis=1), true.sum(axis=1))


def _f1_at_half(answers: Answers) -> NDArray[np.float64]:
    assert answers.probabilities is not None
    predicted = answers.probabilities >= 0.5
    return divide(2 * (predicted & answers.true).sum(axis=0), predicted.sum(axis=0) + answers.true.sum(axis=0))
