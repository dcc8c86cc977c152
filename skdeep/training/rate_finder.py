"""Which learning rate to train at, read off one short training at rates that rise from step to step."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, InvalidParameterError, validate_params

Array = NDArray[np.float64]

# Share of the average so far that the moving average keeps at each step.
_MEMORY = 0.98
# A smoothed loss of so many times the best one is divergence, unless batches differ as much: so many steps tell.
_DIVERGED = 4
_N_FIRST = 10
_FEWEST_STEPS = 5
# A fall by no more than this part of the loss is that of rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class RateCurve:
    """The loss at each rate of a sweep, and the rates that it suggests.

    Suggestions are read off the smoothed losses. They leave out the step at which training diverged and what follows,
    and the first tenth of the steps, where the average is of few batches. If fewer than 5 steps came before divergence,
    or the loss is nowhere below the first of those that are left, the curve shows nothing and each suggestion is an
    error.

    Parameters
    ----------
    rates, losses : ndarray of shape (n_steps,)
        Rates that rise, and the loss of the step at each. The last loss may be that of divergence, even NaN.

    Raises
    ------
    ValueError
        If the two are not of one length, or the rates do not rise.

    References
    ----------
    Smith, "Cyclical learning rates for training neural networks", WACV, 2017, section 3.3. Smoothing, divergence,
    ``valley``, ``steepest`` and ``minimum_tenth`` follow ``Learner.lr_find`` of fastai 2, which leaves out the last 5
    steps instead of divergence, and takes a middle up to 2 steps lower.

    Examples
    --------
    >>> import numpy as np
    >>> rates = np.geomspace(1e-6, 1, 60)
    >>> curve = RateCurve(rates, 1 / (1 + rates / 1e-3))
    >>> 1e-4 < curve.valley < 1e-1
    True
    """

    rates: Array
    losses: Array

    def __post_init__(self) -> None:
        for name in ("rates", "losses"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        if self.rates.ndim != 1 or self.rates.shape != self.losses.shape:
            raise ValueError(
                "A curve needs one loss for each rate, got rates of shape "
                f"{self.rates.shape} and losses of shape {self.losses.shape}."
            )
        if not (np.all(self.rates > 0) and np.all(np.diff(self.rates) > 0)):
            raise ValueError(f"The rates of a curve must be above 0 and rise, got {self.rates}.")

    @cached_property
    def smoothed(self) -> Array:
        """Exponential moving average of the losses that keeps 0.98 at each step, corrected for its start at 0."""
        sums = accumulate(self.losses.tolist(), lambda mean, loss: _MEMORY * mean + (1 - _MEMORY) * loss, initial=0.0)
        return np.array(list(sums)[1:]) / (1 - _MEMORY ** np.arange(1, len(self.losses) + 1))

    @cached_property
    def n_stable(self) -> int:
        """Steps before the first that diverged.

        A step has diverged if its loss is not finite, or if its smoothed loss is above 4 times the lowest smoothed so
        far and lies above that by more than the range of the losses of the first 10 steps. For where a network has
        learnt before, losses are next to 0 and vary many times over from batch to batch, whatever the rate.
        """
        lowest = np.minimum.accumulate(self.smoothed)
        first = self.losses[:_N_FIRST]
        with np.errstate(invalid="ignore"):  # of infinite losses, which have diverged anyway
            ranges = np.maximum.accumulate(first) - np.minimum.accumulate(first)
        ranges = np.append(ranges, np.full(len(self.losses) - len(first), ranges[-1]))
        rises = (self.smoothed > _DIVERGED * lowest) & (self.smoothed > lowest + ranges)
        # where losses may be negative, a multiple of the lowest says nothing
        diverged = ~np.isfinite(self.losses) | (rises & (lowest > 0))
        return int(diverged.argmax()) if diverged.any() else len(self.losses)

    @property
    def steepest(self) -> float:
        """The rate at which the loss falls fastest against the logarithm of the rate."""
        rates, losses = self._telling()
        return float(rates[np.gradient(losses, np.log(rates)).argmin()])

    @property
    def valley(self) -> float:
        """The rate in the middle of the longest fall.

        A fall is a sequence of losses, not necessarily neighbours, each below the one before. Its middle is taken to be
        half as many steps before its end as it has members. A curve that falls from first to last gives the middle of
        the rates, as their logarithms go.
        """
        rates, losses = self._telling()
        lengths = _lengths_of_falls(losses)
        end = int(lengths.argmax())
        return float(rates[end - int(lengths[end]) // 2])

    @property
    def minimum_tenth(self) -> float:
        """A tenth of the rate at the lowest loss."""
        return self._at_lowest() / 10

    @property
    def suggestion(self) -> float:
        """The rate to train at: ``valley``, within bounds.

        It is at least the rate at which a twentieth of the fall from the first loss to the lowest has happened. For
        where batches hardly differ, as when one batch is all the data, the loss falls by a trace at each of the lowest
        rates too, and the middle of the longest fall is only that of the sweep. It is at most the rate at the lowest
        loss.
        """
        rates, losses = self._telling()
        fallen = losses[0] - losses
        under_way = float(rates[(fallen >= fallen.max() / 20).argmax()])
        return min(max(self.valley, under_way), self._at_lowest())

    def _at_lowest(self) -> float:
        rates, losses = self._telling()
        return float(rates[losses.argmin()])

    def _telling(self) -> tuple[Array, Array]:
        """Rates and smoothed losses that suggestions are read off."""
        if self.n_stable < _FEWEST_STEPS:
            raise ValueError(
                f"A suggestion needs a loss at {_FEWEST_STEPS} rates or more, got {self.n_stable} before divergence: "
                "start the sweep at a lower rate, or make it of more steps."
            )
        telling = slice(self.n_stable // 10, self.n_stable)
        rates, losses = self.rates[telling], self.smoothed[telling]
        if losses[0] - losses.min() <= _ROUNDING * np.abs(losses).max():
            raise ValueError(
                f"The loss falls at no rate from {rates[0]:g} to {rates[-1]:g}: sweep over others, or see whether "
                "anything learns at all."
            )
        return rates, losses


@validate_params(
    {
        "step": [callable],
        "lowest": [Interval(Real, 0, None, closed="neither")],
        "highest": [Interval(Real, 0, None, closed="neither")],
        "n_steps": [Interval(Integral, _FEWEST_STEPS, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def sweep_rates(
    step: Callable[[float], float], *, lowest: float = 1e-7, highest: float = 10.0, n_steps: int = 100
) -> RateCurve:
    """Train for a few steps, each at a rate that is a constant factor above the one before.

    The sweep ends early when training diverges, as :attr:`RateCurve.n_stable` says. It changes what ``step`` trains;
    to take that back is up to the caller.

    Parameters
    ----------
    step : callable
        Given a rate, takes one training step at it and gives its batch's loss from before the update. It must go round
        the data as often as it is asked: a sweep that ends with one pass over few batches sees nothing happen.
    lowest, highest : float, default=1e-7 and 10
        The first rate and the last.
    n_steps : int, default=100
        At least 5.

    Returns
    -------
    curve : RateCurve
        With the step at which training diverged as its last, if it did.

    Raises
    ------
    ValueError
        If a parameter is none of these, or ``highest`` is not above ``lowest``.

    References
    ----------
    As :class:`RateCurve`.

    Examples
    --------
    Descent on a parabola, which diverges at rates above 1:

    >>> place = 1.0
    >>> def step(rate):
    ...     global place
    ...     loss = place**2
    ...     place -= rate * 2 * place
    ...     return loss
    >>> curve = sweep_rates(step)
    >>> 1e-3 < curve.suggestion < 1
    True
    """
    if highest <= lowest:
        raise InvalidParameterError(
            f"The 'highest' parameter of sweep_rates must be above lowest={lowest!r}. Got {highest!r} instead."
        )
    rates = np.geomspace(lowest, highest, n_steps)
    losses: list[float] = []
    for rate in rates:
        losses.append(float(step(float(rate))))
        curve = RateCurve(rates[: len(losses)], np.array(losses))
        if curve.n_stable < len(losses):
            break
    return curve


def _lengths_of_falls(losses: Array) -> NDArray[np.int64]:
    """For each loss, the members of the longest falling subsequence that ends with it.

    By patience sorting: ``ends[k]`` is the negative of the highest loss with which a fall of k + 1 members can end.
    """
    ends: list[float] = []
    lengths = []
    for loss in losses:
        place = bisect_left(ends, -loss)
        ends[place : place + 1] = [-loss]
        lengths.append(place + 1)
    return np.array(lengths)
