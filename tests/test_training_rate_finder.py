"""The learning-rate finder on curves whose answers are known, and on a small problem that it must help with."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from skdeep.training.rate_finder import RateCurve, sweep_rates

Array = NDArray[np.float64]
SUGGESTIONS = ("steepest", "valley", "minimum_tenth", "suggestion")

curves_of_noise = st.lists(st.floats(0.5, 1.0), min_size=12, max_size=60)


def curve_smoothed_to(smoothed: Array, rates: Array | None = None) -> RateCurve:
    """A curve with the losses that smoothing turns into these."""
    if rates is None:
        rates = np.geomspace(1e-7, 10, len(smoothed))
    sums = smoothed * (1 - 0.98 ** np.arange(1, len(smoothed) + 1))
    return RateCurve(rates, np.diff(sums, prepend=0.0) / 0.02 + np.append(0.0, sums[:-1]))


def suggestions(curve: RateCurve) -> list[float]:
    return [getattr(curve, name) for name in SUGGESTIONS]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=40))
def test_smoothing_is_an_average_whose_weights_fade(losses: list[float]) -> None:
    curve = RateCurve(np.geomspace(1e-7, 10, len(losses)), np.array(losses))
    expected = [np.average(losses[: end + 1], weights=0.98 ** np.arange(end, -1, -1.0)) for end in range(len(losses))]
    np.testing.assert_allclose(curve.smoothed, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("centre", [1e-4, 1e-3, 1e-2])
def test_the_steepest_rate_is_where_a_sigmoid_turns(centre: float) -> None:
    rates = np.geomspace(1e-7, 10, 161)
    curve = curve_smoothed_to(1 / (1 + rates / centre), rates)
    assert curve.steepest == pytest.approx(centre)


@pytest.mark.parametrize(("top", "bottom"), [(20, 60), (35, 80), (50, 53)])
def test_the_valley_is_the_middle_of_the_only_fall(top: int, bottom: int) -> None:
    rates = np.geomspace(1e-7, 10, 100)
    smoothed = np.interp(np.arange(100), [0, top, bottom, 99], [0.9, 1.0, 0.4, 0.6])
    curve = curve_smoothed_to(smoothed, rates)
    one_step = rates[1] / rates[0]
    middle = math.sqrt(rates[top] * rates[bottom])
    assert middle / one_step < curve.valley < middle * one_step
    assert curve.suggestion == curve.valley
    assert curve.minimum_tenth == pytest.approx(rates[bottom] / 10)


@given(curves_of_noise)
def test_the_valley_is_fastais_up_to_its_rounding(losses: list[float]) -> None:
    curve = RateCurve(np.geomspace(1e-7, 10, len(losses)), np.array(losses))
    first = len(losses) // 10
    smoothed = curve.smoothed[first:]
    assume(smoothed[0] - smoothed.min() > 1e-6)
    # the longest fall that ends at each step, from those that end before it
    longest: list[int] = []
    for loss in smoothed:
        longest.append(1 + max((n for n, before in zip(longest, smoothed, strict=False) if before > loss), default=0))
    n_members = max(longest)
    theirs = first + longest.index(n_members) - n_members + n_members // 3 + n_members // 6
    ours = int(np.flatnonzero(curve.rates == curve.valley)[0])
    assert 0 <= ours - theirs <= 2


@given(curves_of_noise, st.floats(1e-3, 1e3))
def test_suggestions_follow_the_rates_and_not_the_unit_of_the_loss(losses: list[float], factor: float) -> None:
    rates = np.geomspace(1e-7, 10, len(losses))
    curve = RateCurve(rates, np.array(losses))
    smoothed = curve.smoothed[len(losses) // 10 :]
    assume(smoothed[0] - smoothed.min() > 1e-6)
    powers_of_two = 2.0 ** round(math.log2(factor))
    assert suggestions(RateCurve(rates, powers_of_two * np.array(losses))) == suggestions(curve)
    shifted = suggestions(RateCurve(powers_of_two * rates, np.array(losses)))
    assert shifted[1:] == pytest.approx([powers_of_two * rate for rate in suggestions(curve)[1:]])


def test_a_flat_stretch_is_no_part_of_a_fall() -> None:
    # smoothing leaves zeros exactly as they are
    curve = RateCurve(np.geomspace(1e-7, 10, 100), np.repeat([0.0, -1.0], [60, 40]))
    assert curve.valley == pytest.approx(math.sqrt(curve.rates[60] * curve.rates[99]), rel=0.3)


def test_a_curve_that_only_falls_gives_its_middle() -> None:
    curve = curve_smoothed_to(np.linspace(1.0, 0.1, 100))
    rates = curve.rates
    middle = math.sqrt(rates[10] * rates[99])
    assert curve.suggestion == pytest.approx(middle, rel=rates[1] / rates[0] - 1)
    assert curve.minimum_tenth == pytest.approx(1.0)


def test_no_rate_beyond_the_lowest_loss_is_suggested() -> None:
    smoothed = np.concatenate([np.linspace(0.8, 1.0, 20), [0.3], np.linspace(0.9, 0.4, 79)])
    curve = curve_smoothed_to(smoothed)
    assert curve.suggestion == curve.rates[20] < curve.valley


@pytest.mark.parametrize("centre", [0.1, 1.0])
def test_traces_of_a_fall_at_lower_rates_do_not_lower_the_suggestion(centre: float) -> None:
    for n_decades in (8, 10, 12):
        rates = np.geomspace(10.0**-n_decades, 10, 20 * (n_decades + 1) + 1)
        curve = curve_smoothed_to(1 / (1 + rates / centre), rates)
        assert curve.valley < 0.01 * centre
        # a twentieth of the fall to 1 / (1 + 10 / centre)
        fallen = (1 - 1 / (1 + 10 / centre)) / 20
        expected = centre * fallen / (1 - fallen)
        assert expected * (1 - 1e-9) <= curve.suggestion < expected * rates[1] / rates[0]


@pytest.mark.parametrize("last", [float("nan"), float("inf"), -float("inf"), 1e6])
def test_the_step_of_divergence_is_kept_but_suggests_nothing(last: float) -> None:
    stable = curve_smoothed_to(1 / (1 + np.geomspace(1e-4, 1e2, 60)))
    diverged = RateCurve(np.append(stable.rates, 20.0), np.append(stable.losses, last))
    assert diverged.n_stable == stable.n_stable == 60
    assert len(diverged.losses) == len(diverged.smoothed) == 61
    assert suggestions(diverged) == suggestions(stable)


@pytest.mark.parametrize("n_stable", [0, 1, 4])
def test_a_curve_of_too_few_steps_suggests_nothing(n_stable: int) -> None:
    rates = np.geomspace(1e-3, 1, n_stable + 1)
    curve = RateCurve(rates, np.append(np.linspace(1, 0.5, n_stable), np.nan))
    for name in SUGGESTIONS:
        with pytest.raises(ValueError, match=f"at 5 rates or more, got {n_stable} before divergence: start the sweep"):
            getattr(curve, name)


@pytest.mark.parametrize("losses", [np.ones(50), np.full(50, 0.1), np.zeros(50), 1 + np.sin(np.linspace(0, 3, 50))])
def test_a_curve_that_never_falls_below_its_start_suggests_nothing(losses: Array) -> None:
    curve = RateCurve(np.geomspace(1e-7, 10, 50), losses)
    for name in SUGGESTIONS:
        with pytest.raises(ValueError, match=r"The loss falls at no rate from \S+ to 10: sweep over others"):
            getattr(curve, name)


@pytest.mark.parametrize(
    ("rates", "losses", "sentence"),
    [
        ([0.1, 0.2], [1.0], r"one loss for each rate, got rates of shape \(2,\) and losses of shape \(1,\)"),
        ([[0.1]], [[1.0]], r"got rates of shape \(1, 1\)"),
        ([0.0, 0.2], [1.0, 1.0], "must be above 0 and rise"),
        ([0.2, 0.1], [1.0, 1.0], "must be above 0 and rise"),
    ],
)
def test_a_curve_refuses_what_is_none(rates: Any, losses: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RateCurve(np.array(rates), np.array(losses))


def test_a_sweep_steps_once_at_each_of_its_rates() -> None:
    seen: list[float] = []
    curve = sweep_rates(lambda rate: seen.append(rate) or 1 / (1 + rate), lowest=1e-5, highest=1.0, n_steps=21)
    assert seen == curve.rates.tolist()
    assert curve.losses.tolist() == [1 / (1 + rate) for rate in seen]
    np.testing.assert_allclose(seen, 10 ** np.arange(-5, 0.1, 0.25), rtol=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e9])
def test_a_sweep_ends_at_divergence(bad: float) -> None:
    curve = sweep_rates(lambda rate: 1.0 if rate < 0.1 else bad)
    assert curve.rates[-2] < 0.1 <= curve.rates[-1]
    assert curve.n_stable == len(curve.rates) - 1 < 99


def test_a_sweep_ends_once_the_average_is_four_times_its_lowest() -> None:
    losses = iter([1.0] * 20 + [100.0] * 80)
    curve = sweep_rates(lambda rate: next(losses))
    assert curve.smoothed[-1] > 4 >= curve.smoothed[-2]


def test_losses_next_to_zero_that_vary_from_batch_to_batch_are_no_divergence() -> None:
    losses = 10 ** np.random.default_rng(0).uniform(-5, -2, size=60)
    losses[0] = 1e-5
    curve = RateCurve(np.geomspace(1e-7, 1, 60), losses)
    assert (curve.smoothed > 4 * np.minimum.accumulate(curve.smoothed)).any()
    assert curve.n_stable == 60
    exploding = RateCurve(np.geomspace(1e-7, 10, 61), np.append(losses, 5.0))
    assert exploding.n_stable == 60
    # what a sweep sees of it so far says the same
    for n_steps in (1, 5, 11, 30):
        assert RateCurve(exploding.rates[:n_steps], exploding.losses[:n_steps]).n_stable == n_steps


@pytest.mark.parametrize("loss", [0.0, -1.0])
def test_losses_that_are_not_positive_never_count_as_exploding(loss: float) -> None:
    losses = iter([loss] * 50 + [abs(loss)] * 50)
    assert len(sweep_rates(lambda rate: next(losses)).rates) == 100


@pytest.mark.parametrize(
    ("name", "wrong", "sentence"),
    [
        ("lowest", 0.0, r"The 'lowest' parameter of sweep_rates must be a float in the range \(0.0, inf\)"),
        ("highest", -1, r"The 'highest' parameter of sweep_rates must be a float in the range \(0.0, inf\)"),
        ("highest", 1e-7, r"The 'highest' parameter of sweep_rates must be above lowest=1e-07. Got 1e-07 instead"),
        ("n_steps", 4, r"The 'n_steps' parameter of sweep_rates must be an int in the range \[5, inf\)"),
        ("step", None, r"The 'step' parameter of sweep_rates must be a callable"),
    ],
)
def test_a_wrong_parameter_is_refused_before_any_step(name: str, wrong: Any, sentence: str) -> None:
    def step(rate: float) -> float:
        raise AssertionError("a step was taken")

    with pytest.raises(ValueError, match=sentence):
        sweep_rates(**{"step": step, name: wrong})


def regression(n_rows: int = 256) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Logistic regression of five labels on twenty numbers."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(n_rows, 20, generator=generator)
    noise = torch.randn(n_rows, 5, generator=generator)
    targets = (inputs @ torch.randn(20, 5, generator=generator) + noise > 0).float()
    module = nn.Linear(20, 5)
    with torch.no_grad():
        module.weight.copy_(0.1 * torch.randn(5, 20, generator=generator))
        module.bias.zero_()
    return module, inputs, targets


def training(module: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, kind: str) -> Callable[[float], float]:
    """A step function that goes round the rows, 32 at a time."""
    momentum = {"momentum": 0.9} if kind == "SGD" else {}
    optimizer = getattr(torch.optim, kind)(module.parameters(), lr=1.0, **momentum)
    n_taken = 0

    def step(rate: float) -> float:
        nonlocal n_taken
        rows = torch.arange(n_taken, n_taken + 32) % len(inputs)
        n_taken += 32
        optimizer.param_groups[0]["lr"] = rate
        loss = nn.functional.binary_cross_entropy_with_logits(module(inputs[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
@pytest.mark.parametrize("n_rows", [256, 32])
def test_training_at_the_suggestion_beats_timid_rates(kind: str, n_rows: int) -> None:
    module, inputs, targets = regression(n_rows)
    curve = sweep_rates(training(copy.deepcopy(module), inputs, targets, kind))
    # also where one batch is all the data, the sweep is as long
    assert len(curve.rates) == 100
    assert 1e-3 < curve.suggestion < 1

    def loss_after_training(rate: float) -> float:
        trained = copy.deepcopy(module)
        step = training(trained, inputs, targets, kind)
        for _ in range(60):
            step(rate)
        return nn.functional.binary_cross_entropy_with_logits(trained(inputs), targets).item()

    suggested = loss_after_training(curve.suggestion)
    assert suggested < 0.8 * loss_after_training(curve.suggestion / 10)
    assert suggested < 0.6 * loss_after_training(1e-7)
    if n_rows > 32:
        # one batch that a line can part is learnt at any rate
        assert suggested < 0.6 * loss_after_training(100.0)
