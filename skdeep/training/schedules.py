"""The course of learning rate and momentum through a phase, known for every step before the first."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from skdeep.training.phases import Phase

Array = NDArray[np.float64]

# Momentum of SGD, or the first beta of Adam.
_MOMENTUM = 0.9
_ONE_CYCLE_MOMENTA = (0.95, 0.85, 0.95)
# What the highest rate is divided by at the start and at the end of a cycle, and where in between it is reached.
_START_DIVISOR, _END_DIVISOR, _PEAK = 25, 1e5, 0.25
# Share of a phase after which its weights are averaged.
_UNTIL_AVERAGED = 0.75


def learning_rates(phase: Phase, n_batches: int) -> Array:
    r"""The rate of a phase at each of its steps; that of a layer group is it times the group's factor.

    Step :math:`i` of :math:`n` stands at :math:`t = i / n`, counted from 0, so that the first is where the course
    starts and the last one step before its end.

    ``"constant"`` is ``lr``, after a rise to :math:`(i + 1) / k` of it in the first :math:`k` steps, ``warmup`` of all.

    ``"one_cycle"`` follows half a cosine from ``lr / 25`` up to ``lr`` at :math:`t = 1 / 4`, and another down to
    ``lr / 100_000`` at :math:`t = 1`.

    ``"sgdr"`` starts again in each cycle, whose :math:`t` is its own: ``lr`` times :math:`(1 + \cos \pi t) / 2`. Cycles
    are as :func:`cycle_ends` says.

    Parameters
    ----------
    phase : Phase
        With ``lr`` and ``max_epochs``, as from :func:`resolve_phases`.
    n_batches : int
        Steps in an epoch, at least 1.

    Returns
    -------
    rates : ndarray of float64 of shape (max_epochs * n_batches,)
        All above 0.

    Raises
    ------
    ValueError
        If the phase's ``lr`` or ``max_epochs`` is None, or there is no step in an epoch.

    References
    ----------
    ``"one_cycle"``: Smith, "A disciplined approach to neural network hyper-parameters: part 1", 2018, with the cosines
    and the numbers of fastai 2's ``fit_one_cycle``. ``"sgdr"``: Loshchilov and Hutter, "SGDR: stochastic gradient
    descent with warm restarts", ICLR, 2017, equation 5 with a lowest rate of 0; as in fast.ai 0.7, but without the
    hundredth of the rate at which that takes the first twentieth of the first cycle.

    Examples
    --------
    >>> phase = Phase(policy="sgdr", max_epochs=3, cycle_mult=2, lr=1.0)
    >>> learning_rates(phase, 2).round(2)
    array([1.  , 0.5 , 1.  , 0.85, 0.5 , 0.15])
    """
    if phase.lr is None:
        raise ValueError(f"A schedule needs a phase with lr, as resolve_phases gives it, got {phase}.")
    n_steps = _n_steps(phase, n_batches)
    if phase.policy == "constant":
        return phase.lr * _warm_up(n_steps, phase.warmup)
    if phase.policy == "one_cycle":
        return phase.lr * _two_cosines(n_steps, 1 / _START_DIVISOR, 1.0, 1 / _END_DIVISOR)
    cycles = [_cosine(1.0, 0.0, _times(length * n_batches)) for length in _cycle_lengths(phase)]
    return phase.lr * np.concatenate(cycles)


def momenta(phase: Phase, n_batches: int) -> Array:
    """The momentum at each step: SGD's, or the first beta of Adam.

    Under ``"one_cycle"`` it goes against the rate, from 0.95 to 0.85 and back along cosines of the same lengths; else
    it is 0.9.

    Parameters
    ----------
    phase : Phase
        With ``max_epochs``; its ``lr`` may be None.
    n_batches : int
        Steps in an epoch, at least 1.

    Returns
    -------
    momenta : ndarray of float64 of shape (max_epochs * n_batches,)

    Raises
    ------
    ValueError
        If the phase's ``max_epochs`` is None, or there is no step in an epoch.

    References
    ----------
    As ``"one_cycle"`` of :func:`learning_rates`.

    Examples
    --------
    >>> momenta(Phase(max_epochs=2), 2).round(3)
    array([0.95 , 0.85 , 0.875, 0.925])
    """
    n_steps = _n_steps(phase, n_batches)
    if phase.policy == "one_cycle":
        return _two_cosines(n_steps, *_ONE_CYCLE_MOMENTA)
    return np.full(n_steps, _MOMENTUM)


def cycle_ends(phase: Phase) -> list[int]:
    """The epochs at whose end the rate is at its lowest, where networks may be kept for an average.

    The first cycle of ``"sgdr"`` takes ``cycle_len`` epochs, and each further one ``cycle_mult`` times as many as the
    one before. Epochs that are too few for a whole next cycle lengthen the last one, so that training never ends at a
    high rate; a phase shorter than the first cycle is one short cycle. Other policies are one cycle.

    Parameters
    ----------
    phase : Phase
        With ``max_epochs``.

    Returns
    -------
    epochs : list of int
        Counted from 1 at the start of the phase; the last is ``max_epochs``.

    Raises
    ------
    ValueError
        If the phase's ``max_epochs`` is None.

    Examples
    --------
    >>> cycle_ends(Phase(policy="sgdr", max_epochs=7, cycle_mult=2))
    [1, 3, 7]
    >>> cycle_ends(Phase(policy="sgdr", max_epochs=8, cycle_mult=2))
    [1, 3, 8]
    """
    return list(accumulate(_cycle_lengths(phase)))


def averaged_ends(phase: Phase) -> list[int]:
    """The epochs at whose end weights enter a stochastic weight average.

    They are the cycle ends of ``"sgdr"``, and for other policies all epochs from three quarters of the phase on, as the
    paper has it: what is learnt until then is where its averaging starts.

    Parameters
    ----------
    phase : Phase
        With ``max_epochs``.

    Returns
    -------
    epochs : list of int
        Counted from 1 at the start of the phase; the last is ``max_epochs``.

    Raises
    ------
    ValueError
        If the phase's ``max_epochs`` is None.

    References
    ----------
    Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, "Averaging weights leads to wider optima and better
    generalization", UAI, 2018: section 3.2.

    Examples
    --------
    >>> averaged_ends(Phase(policy="constant", max_epochs=8))
    [6, 7, 8]
    >>> averaged_ends(Phase(policy="sgdr", max_epochs=8, cycle_len=2))
    [2, 4, 6, 8]
    """
    if phase.policy == "sgdr":
        return cycle_ends(phase)
    n_epochs = _max_epochs(phase)
    return list(range(math.ceil(_UNTIL_AVERAGED * n_epochs), n_epochs + 1))


def _cycle_lengths(phase: Phase) -> list[int]:
    left = _max_epochs(phase)
    if phase.policy != "sgdr" or left < phase.cycle_len:
        return [left]
    lengths, length = [], phase.cycle_len
    while left >= length:
        lengths.append(length)
        left -= length
        length *= phase.cycle_mult
    lengths[-1] += left
    return lengths


def _max_epochs(phase: Phase) -> int:
    if phase.max_epochs is None:
        raise ValueError(f"A schedule needs a phase with max_epochs, as resolve_phases gives it, got {phase}.")
    return phase.max_epochs


def _n_steps(phase: Phase, n_batches: int) -> int:
    if n_batches < 1:
        raise ValueError(f"A schedule needs at least one step in an epoch, got n_batches={n_batches}.")
    return _max_epochs(phase) * n_batches


def _times(n_steps: int) -> Array:
    return np.arange(n_steps) / n_steps


def _cosine(start: float, end: float, t: Array) -> Array:
    """Half a cosine; by its square at half the angle, which does not round to 0 short of the end."""
    return end + (start - end) * np.cos(math.pi / 2 * t) ** 2


def _two_cosines(n_steps: int, start: float, middle: float, end: float) -> Array:
    t = _times(n_steps)
    return np.where(t < _PEAK, _cosine(start, middle, t / _PEAK), _cosine(middle, end, (t - _PEAK) / (1 - _PEAK)))


def _warm_up(n_steps: int, share: float) -> Array:
    n_rising = max(1, round(share * n_steps))
    return np.minimum(1.0, np.arange(1, n_steps + 1) / n_rising)
