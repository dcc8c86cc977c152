"""Learning rates: those of a schedule, and the sweep by which one is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skdeep.inspection._answers import last_step
from skdeep.inspection._plotting import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Stretch,
    legend_below,
    one_axes,
    phase_text,
    pyplot,
    shade,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEAD = VERMILION
_BACKBONE = (BLUE, SKY, GREEN, ORANGE, PURPLE)
_STYLES = ("-", "--", "-.", ":")
# what a curve may suggest, and what it is called
_SUGGESTIONS = {"steepest": "steepest", "valley": "valley", "minimum_tenth": "minimum / 10"}


class LearningRateScheduleDisplay:
    """The learning rate at each step of training, a line for each group of layers.

    Use :meth:`from_estimator` or :meth:`from_phases`; the constructor takes what they compute.

    Parameters
    ----------
    rates : array-like of shape (n_steps,) or (n_steps, n_groups)
        The groups from the input to the head, which is last. A rate of 0 is that of layers that do not learn; it is
        not drawn.
    phases : sequence of (int, int, str), default=()
        First step, last step and text of each phase; steps count from 1.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : list of matplotlib Line2D
        One a group, the head last.
    phase_texts_ : list of matplotlib Text

    Examples
    --------
    >>> from skdeep.inspection import LearningRateScheduleDisplay
    >>> display = LearningRateScheduleDisplay([[0.001, 0.003], [0.002, 0.006]]).plot()
    >>> [line.get_label() for line in display.lines_]
    ['backbone', 'head']
    """

    def __init__(self, rates: ArrayLike, *, phases: Sequence[tuple[int, int, str]] = ()) -> None:
        self.rates = rates
        self.phases = phases

    @classmethod
    def from_estimator(cls, estimator: Any, *, log: bool = False, ax: Axes | None = None) -> Self:
        """Plot the rates at which ``fit`` trained a classifier, as far as it came.

        Parameters
        ----------
        estimator : fitted CNNClassifier, or a pipeline or search around one
        log : bool, default=False
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : LearningRateScheduleDisplay

        Raises
        ------
        NotFittedError
            If the classifier has no ``history_`` and ``phases_``.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        classifier = last_step(estimator)
        check_is_fitted(classifier, ["history_", "phases_"])
        history = classifier.history_
        # what partial_fit adds belongs to no phase, and where it began there were none
        planned = history[history["phase"] > 0] if (history["phase"] > 0).any() else history.iloc[:1].assign(phase=1)
        run = planned.groupby("phase")["n_steps"].agg(["first", "sum"])
        # phases that were never reached have no epoch
        phases = [classifier.phases_[position - 1] for position in run.index]
        return cls._of(phases, run["first"].tolist(), run["sum"].tolist()).plot(log=log, ax=ax)

    @classmethod
    def from_phases(
        cls,
        phases: Sequence[Any],
        n_batches: int | Sequence[int],
        *,
        log: bool = False,
        ax: Axes | None = None,
    ) -> Self:
        """Plot what phases plan.

        Parameters
        ----------
        phases : sequence of Phase
            Resolved: with epochs and a rate.
        n_batches : int or sequence of int
            Steps in an epoch, of all phases or of each.
        log : bool, default=False
        ax : Axes, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : LearningRateScheduleDisplay

        Raises
        ------
        ValueError
            If there is no phase, or not one number of batches for each.
        """
        pyplot(f"{cls.__name__}.from_phases")
        steps = [n_batches] * len(phases) if isinstance(n_batches, int | np.integer) else list(n_batches)
        if not phases or len(steps) != len(phases):
            raise ValueError(
                "There must be at least one phase, and one number of batches for each, got "
                f"{len(phases)} phases and {len(steps)} numbers of batches."
            )
        return cls._of(phases, steps, [None] * len(phases)).plot(log=log, ax=ax)

    @classmethod
    def _of(cls, phases: Sequence[Any], n_batches: Sequence[int], n_steps: Sequence[int | None]) -> Self:
        """Of each phase, the first so many steps."""
        from skdeep.training.schedules import learning_rates

        tables, stretches, n_before = [], [], 0
        for phase, batches, steps in zip(phases, n_batches, n_steps, strict=True):
            tables.append(np.outer(learning_rates(phase, batches)[:steps], phase.group_factors()))
            stretches.append(
                Stretch(n_before + 1, n_before + len(tables[-1]), phase_text(phase.train, phase.image_size))
            )
            n_before += len(tables[-1])
        return cls(np.concatenate(list(_aligned(tables))), phases=stretches)

    def plot(self, *, log: bool = False, ax: Axes | None = None) -> Self:
        """Plot.

        Parameters
        ----------
        log : bool, default=False
            Whether rates are in proportion to powers of ten.
        ax : Axes, default=None
            None makes a figure.

        Returns
        -------
        self : LearningRateScheduleDisplay
        """
        self.figure_, self.ax_ = one_axes(self, ax, (6.4, 3.6))
        rates = np.asarray(self.rates, dtype=float)
        rates = rates.reshape(len(rates), -1)
        steps = np.arange(1, len(rates) + 1)
        n_groups = rates.shape[1]
        self.lines_ = []
        for group in range(n_groups):
            drawn = np.where(rates[:, group] > 0, rates[:, group], np.nan)
            is_head = group == n_groups - 1
            (line,) = self.ax_.plot(
                steps,
                drawn,
                label=_group_name(group, n_groups),
                color=_HEAD if is_head else _BACKBONE[group % len(_BACKBONE)],
                linestyle="-" if is_head else _STYLES[1 + group % 3],
                linewidth=1.8,
                # at the same rate the broken lines of the others show upon the head's
                zorder=2 if is_head else 2.1,
            )
            self.lines_.append(line)
        if log:
            self.ax_.set_yscale("log")
        else:
            self.ax_.set_ylim(bottom=0)
            # a common factor would stand where the phases' texts are
            self.ax_.yaxis.set_major_formatter("{x:g}")
        self.ax_.set(xlabel="step", ylabel="learning rate")
        tidy(self.ax_)
        learning = [line for line, column in zip(self.lines_, rates.T, strict=True) if (column > 0).any()]
        if len(learning) > 1:
            # the head's rate is the highest: first in the list too
            legend_below(self.ax_, learning[::-1])
        self.phase_texts_ = shade([self.ax_], [Stretch(*phase) for phase in self.phases])
        return self


class LearningRateFinderDisplay:
    """The loss while the learning rate grows from step to step, and the rates that this suggests.

    Use :meth:`from_curve`; the constructor takes what it finds. The y-axis shows how the loss falls, and as much of
    its rise as half of the fall again: where training diverges, the curves leave the picture.

    Parameters
    ----------
    rates, losses, smoothed : array-like of shape (n_steps,)
    suggestions : mapping of str to float, default=None
        Rates by the names that they get in the legend.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : dict of str to matplotlib Line2D
        ``"losses"`` and ``"smoothed"``.
    marks_ : dict of str to matplotlib Line2D
        The suggestions.

    References
    ----------
    L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3.

    Examples
    --------
    >>> from skdeep.inspection import LearningRateFinderDisplay
    >>> rates, losses = [1e-4, 1e-3, 1e-2, 1e-1], [0.7, 0.6, 0.3, 0.9]
    >>> display = LearningRateFinderDisplay(rates, losses, losses, {"steepest": 1e-3}).plot()
    >>> display.ax_.get_xscale(), list(display.marks_)
    ('log', ['steepest'])
    """

    def __init__(
        self, rates: ArrayLike, losses: ArrayLike, smoothed: ArrayLike, suggestions: Mapping[str, float] | None = None
    ) -> None:
        self.rates = rates
        self.losses = losses
        self.smoothed = smoothed
        self.suggestions = suggestions

    @classmethod
    def from_curve(cls, curve: Any, *, ax: Axes | None = None) -> Self:
        """Plot a curve, as ``CNNClassifier.find_lr`` gives it.

        Parameters
        ----------
        curve : RateCurve
            With the attributes ``rates``, ``losses``, ``smoothed``, ``steepest``, ``valley`` and ``minimum_tenth``. A
            curve too short to suggest anything is drawn without marks.
        ax : Axes, default=None
            None makes a figure.

        Returns
        -------
        display : LearningRateFinderDisplay
        """
        pyplot(f"{cls.__name__}.from_curve")
        try:
            suggestions = {name: float(getattr(curve, attribute)) for attribute, name in _SUGGESTIONS.items()}
        except ValueError:
            suggestions = {}
        return cls(curve.rates, curve.losses, curve.smoothed, suggestions).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a figure.

        Returns
        -------
        self : LearningRateFinderDisplay
        """
        self.figure_, self.ax_ = one_axes(self, ax, (6.4, 3.8))
        smoothed = np.asarray(self.smoothed, dtype=float)
        (raw,) = self.ax_.plot(self.rates, self.losses, color="0.7", linewidth=1, label="loss")
        (smooth,) = self.ax_.plot(self.rates, smoothed, color="black", linewidth=2, label="smoothed")
        self.lines_ = {"losses": raw, "smoothed": smooth}
        self.ax_.set_xscale("log")
        self.ax_.set(xlabel="learning rate", ylabel="loss")
        self.ax_.set_ylim(_loss_range(np.asarray(self.losses, dtype=float), smoothed))
        self.marks_ = {
            name: self.ax_.axvline(rate, color=colour, linestyle=style, linewidth=1.8, label=f"{name}: {rate:.1e}")
            for (name, rate), colour, style in zip(
                (self.suggestions or {}).items(), (BLUE, VERMILION, GREEN, PURPLE), _STYLES, strict=False
            )
        }
        tidy(self.ax_)
        self.ax_.legend(framealpha=0.85, edgecolor="none")
        return self


def _loss_range(losses: NDArray[np.float64], smoothed: NDArray[np.float64]) -> tuple[float, float]:
    """Bottom and top of the y-axis."""
    known = np.isfinite(losses) & np.isfinite(smoothed)
    if not known.any():
        return 0, 1
    losses, smoothed = losses[known], smoothed[known]
    before = slice(0, int(smoothed.argmin()) + 1)
    # the smoothed loss falls behind the losses themselves
    bottom, top = min(losses[before].min(), smoothed.min()), smoothed[before].max()
    # one that only rises has no fall to go by
    fall = top - bottom or np.ptp(smoothed) or 1
    return bottom - 0.1 * fall, top + 0.5 * fall


def _group_name(group: int, n_groups: int) -> str:
    if group == n_groups - 1:
        return "head"
    return "backbone" if n_groups == 2 else f"group {group + 1}"


def _aligned(tables: Sequence[NDArray[np.float64]]) -> Iterator[NDArray[np.float64]]:
    """Give all phases as many groups: where one has fewer, its first stands for several."""
    n_groups = max(table.shape[1] for table in tables)
    for table in tables:
        yield np.pad(table, ((0, 0), (n_groups - table.shape[1], 0)), mode="edge")
