"""Scores against the threshold from which on a label is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skdeep.inspection._answers import check_decisions, names_of, probabilities_of
from skdeep.inspection._plotting import BLUE, ORANGE, VERMILION, legend_below, one_axes, pyplot, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Average = Literal["samples", "micro", "macro"]

_CELLS = 2**19  # numbers of rows times thresholds that are counted at once


class ThresholdCurveDisplay:
    """Precision, recall and F-beta against the threshold, with the best threshold marked.

    .. warning::
        A threshold that is chosen on the data it is scored on looks better than it is: its score there is optimistic,
        the more so the fewer rows there are. Choose it on held-out or out-of-fold predictions, and score on others.

    Use :meth:`from_estimator` or :meth:`from_predictions`; the constructor takes what they compute.

    Parameters
    ----------
    thresholds, precision, recall, fbeta : array-like of shape (n_thresholds,)
        Values that do not exist are NaN, and not drawn.
    beta : float, default=2
    name : str, default=""
        Title: which label, or which average.

    Attributes
    ----------
    best_threshold : float
        The lowest of those with the highest F-beta.
    best_score : float
        That F-beta.
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : dict of str to matplotlib Line2D
        ``"precision"``, ``"recall"`` and ``"fbeta"``.
    mark_ : matplotlib Line2D
        The best threshold.

    See Also
    --------
    skdeep.metrics.fbeta_at_threshold : The same F-beta at one threshold.

    Notes
    -----
    A label is predicted if its probability is at least the threshold. For one label and for ``"micro"``, precision
    where nothing is predicted, and recall where nothing is true, are NaN. In means over rows or labels they count 0;
    but a row with no label, true or predicted, counts 1 in all three, and such a label is left out of the mean.

    Examples
    --------
    >>> from skdeep.inspection import ThresholdCurveDisplay
    >>> display = ThresholdCurveDisplay.from_predictions([1, 0, 1], [0.9, 0.4, 0.6], beta=1)
    >>> display.best_threshold, display.best_score
    (0.41, 1.0)
    """

    def __init__(
        self,
        thresholds: ArrayLike,
        precision: ArrayLike,
        recall: ArrayLike,
        fbeta: ArrayLike,
        *,
        beta: float = 2,
        name: str = "",
    ) -> None:
        self.thresholds = thresholds
        self.precision = precision
        self.recall = recall
        self.fbeta = fbeta
        self.beta = beta
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        label: str | int | None = None,
        average: Average = "samples",
        beta: float = 2,
        thresholds: ArrayLike | None = None,
        label_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Plot the curves of a classifier.

        Parameters
        ----------
        estimator : fitted classifier
            With ``predict_proba``.
        X : array-like
            As the classifier takes it; not what it was trained on.
        y : array-like of shape (n_samples,), or indicator of shape (n_samples, n_labels)
        label, average, beta, thresholds, ax
            As in :meth:`from_predictions`.
        label_names : sequence of str, default=None
            None takes the columns of a DataFrame, or the classifier's ``label_names_`` or ``classes_``.

        Returns
        -------
        display : ThresholdCurveDisplay

        Raises
        ------
        ValueError
            As in :meth:`from_predictions`, or if the classifier has no ``predict_proba``.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        return cls.from_predictions(
            y,
            probabilities_of(estimator, X),
            label=label,
            average=average,
            beta=beta,
            thresholds=thresholds,
            label_names=names_of(estimator, y) if label_names is None else label_names,
            ax=ax,
        )

    @classmethod
    @validate_params(
        {
            "average": [StrOptions({"samples", "micro", "macro"})],
            "beta": [Interval(Real, 0, None, closed="neither")],
        },
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        *,
        label: str | int | None = None,
        average: Average = "samples",
        beta: float = 2,
        thresholds: ArrayLike | None = None,
        label_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Plot the curves of probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,), or indicator of shape (n_samples, n_labels)
            Of two classes, the second is the label; of more, each.
        y_proba : array-like of shape (n_samples, n_labels), (n_samples, n_classes) or (n_samples,)
            Probabilities.
        label : str or int, default=None
            One label, by name or position. None: all, averaged.
        average : {"samples", "micro", "macro"}, default="samples"
            Mean over rows, all cells together, or mean over labels.
        beta : float, default=2
            How much more recall weighs than precision.
        thresholds : array-like of shape (n_thresholds,), default=None
            Rising, from 0 to 1. None is 0, 0.01, 0.02, ..., 1.
        label_names : sequence of str, default=None
            For ``y_true`` of one dimension, the classes. None reads them off ``y_true``.
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : ThresholdCurveDisplay

        Raises
        ------
        ValueError
            If ``y_true`` and ``y_proba`` do not fit each other, or there is no such label.
        """
        pyplot(f"{cls.__name__}.from_predictions")
        decisions = check_decisions(y_true, y_proba, label_names)
        grid = _check_thresholds(thresholds)
        true, proba, name = decisions.true, decisions.probabilities, f"{average} average"
        if label is not None or len(decisions.names) == 1:
            column = decisions.column(label)
            true, proba, name = true[:, [column]], proba[:, [column]], decisions.names[column]
            average = "micro"
        return cls(grid, *threshold_curves(true, proba, grid, beta, average), beta=beta, name=name).plot(ax=ax)

    @property
    def best_threshold(self) -> float:
        """The lowest threshold with the highest F-beta."""
        return float(np.asarray(self.thresholds)[np.nanargmax(self.fbeta)])

    @property
    def best_score(self) -> float:
        """The highest F-beta."""
        return float(np.nanmax(self.fbeta))

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a figure.

        Returns
        -------
        self : ThresholdCurveDisplay
        """
        self.figure_, self.ax_ = one_axes(self, ax, (6.4, 4.2))
        score = f"F{self.beta:g}"
        self.lines_ = {}
        for key, values, text, colour, style in (
            ("precision", self.precision, "precision", BLUE, "--"),
            ("recall", self.recall, "recall", ORANGE, "-."),
            ("fbeta", self.fbeta, score, "black", "-"),
        ):
            (self.lines_[key],) = self.ax_.plot(
                self.thresholds, values, label=text, color=colour, linestyle=style, linewidth=1.8
            )
        self.mark_ = self.ax_.axvline(
            self.best_threshold,
            color=VERMILION,
            linestyle=":",
            linewidth=1.8,
            label=f"best {score}: {self.best_score:.3f} at {self.best_threshold:.2f}",
        )
        self.ax_.set(xlabel="threshold", ylabel="score", xlim=(0, 1), ylim=(-0.02, 1.02), title=self.name)
        tidy(self.ax_)
        legend_below(self.ax_, [*self.lines_.values(), self.mark_])
        return self


class _Counts(NamedTuple):
    """Of each row: true positives and predictions at each threshold, and true labels.

    Of shape (n_rows, n_thresholds), and (n_rows, 1) for the true labels.
    """

    hits: NDArray[np.float64]
    predicted: NDArray[np.float64]
    true: NDArray[np.float64]


def _check_thresholds(thresholds: ArrayLike | None) -> NDArray[np.float64]:
    if thresholds is None:
        # quotients are the floats nearest to 0.01, 0.02, ...; sums would not be
        return np.arange(101) / 100
    grid = np.asarray(thresholds, dtype=np.float64)
    if grid.ndim != 1 or len(grid) == 0 or not (np.diff(grid) > 0).all() or not (grid[0] >= 0 and grid[-1] <= 1):
        raise ValueError(
            "The 'thresholds' parameter of ThresholdCurveDisplay must be rising numbers from 0 to 1, at least one. Got "
            f"{thresholds!r} instead."
        )
    return grid


def threshold_curves(
    true: NDArray[np.uint8], proba: NDArray[np.float64], thresholds: NDArray[np.float64], beta: float, average: Average
) -> NDArray[np.float64]:
    """Precision, recall and F-beta at each threshold: an array of shape (3, n_thresholds)."""
    if average == "micro":
        return _scores(_count(true.reshape(1, -1), proba.reshape(1, -1), thresholds), beta)[:, 0]
    if average == "macro":
        true, proba = true.T, proba.T
    totals, n_counted = np.zeros((3, len(thresholds))), np.zeros(len(thresholds))
    n_at_once = max(1, _CELLS // (len(thresholds) + true.shape[1]))
    for start in range(0, len(true), n_at_once):
        rows = slice(start, start + n_at_once)
        counts = _count(true[rows], proba[rows], thresholds)
        empty = counts.true + counts.predicted == 0
        values = np.where(empty, 1, np.nan_to_num(_scores(counts, beta)))
        counted = ~empty | (average == "samples")
        totals += values.sum(axis=1, where=counted)
        n_counted += counted.sum(axis=0)
    return divide(totals, n_counted)


def _count(true: NDArray[np.uint8], proba: NDArray[np.float64], thresholds: NDArray[np.float64]) -> _Counts:
    """Count within each row, for all thresholds at once."""
    n_rows, n_bins = len(true), len(thresholds) + 1
    # how many thresholds a probability reaches, as a cell in the table of its row
    cells = np.searchsorted(thresholds, proba, side="right") + n_bins * np.arange(n_rows)[:, None]
    tables = [
        np.bincount(some, minlength=n_rows * n_bins).reshape(n_rows, n_bins)
        for some in (cells[true == 1], cells.ravel())
    ]
    hits, predicted = (table[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:].astype(np.float64) for table in tables)
    return _Counts(hits, predicted, true.sum(axis=1, dtype=np.float64, keepdims=True))


def _scores(counts: _Counts, beta: float) -> NDArray[np.float64]:
    """Precision, recall and F-beta of each row, of shape (3, n_rows, n_thresholds)."""
    weight = beta**2 * counts.true + counts.predicted
    fbeta = divide((1 + beta**2) * counts.hits, weight)
    return np.stack(
        [divide(counts.hits, counts.predicted), divide(counts.hits, counts.true), np.where(weight == 0, 1, fbeta)]
    )


def divide(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotients, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)
