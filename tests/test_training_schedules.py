"""Learning rates and momenta, held against torch's schedulers and formulas of their own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from skdeep.training.phases import Phase
from skdeep.training.schedules import averaged_ends, cycle_ends, learning_rates, momenta

POLICIES = ("constant", "one_cycle", "sgdr")


def optimizer(lr: float = 0.3) -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def course(scheduler: lr_scheduler.LRScheduler, n_steps: int) -> Iterator[tuple[float, float]]:
    """Rate and momentum of torch's scheduler at each step."""
    for _ in range(n_steps):
        group = scheduler.optimizer.param_groups[0]
        yield group["lr"], group["momentum"]
        scheduler.optimizer.step()
        scheduler.step()


@st.composite
def phases(draw: st.DrawFn) -> Phase:
    policy = draw(st.sampled_from(POLICIES))
    own: dict[str, Any] = {}
    if policy == "sgdr":
        own = {"cycle_len": draw(st.integers(1, 5)), "cycle_mult": draw(st.integers(1, 4))}
    elif policy == "constant":
        own = {"warmup": draw(st.floats(0, 1))}
    return Phase(policy=policy, max_epochs=draw(st.integers(1, 30)), lr=draw(st.floats(1e-8, 100)), **own)


@given(phases(), st.integers(1, 20))
def test_rates_are_positive_and_never_above_lr(phase: Phase, n_batches: int) -> None:
    rates = learning_rates(phase, n_batches)
    assert rates.shape == (phase.max_epochs * n_batches,)
    assert rates.dtype == np.float64
    assert np.all(rates > 0)
    assert np.all(rates <= phase.lr * (1 + 1e-12))


@given(phases(), st.integers(1, 20), st.floats(1e-3, 1e3))
def test_rates_scale_with_lr(phase: Phase, n_batches: int, factor: float) -> None:
    scaled = Phase(**{**vars(phase), "lr": phase.lr * factor})
    np.testing.assert_allclose(learning_rates(scaled, n_batches), factor * learning_rates(phase, n_batches), rtol=1e-12)


@given(st.integers(1, 30), st.integers(1, 20))
def test_momenta_of_one_cycle_mirror_its_rates(max_epochs: int, n_batches: int) -> None:
    phase = Phase(max_epochs=max_epochs, lr=1.0)
    rates = learning_rates(phase, n_batches)
    lowest = np.where(np.arange(len(rates)) < len(rates) / 4, 1 / 25, 1e-5)
    np.testing.assert_allclose(momenta(phase, n_batches), 0.95 - 0.1 * (rates - lowest) / (1 - lowest), rtol=1e-12)


@pytest.mark.parametrize("policy", ["constant", "sgdr"])
def test_momenta_of_other_policies_stay(policy: str) -> None:
    assert momenta(Phase(policy=policy, max_epochs=3), 4).tolist() == [0.9] * 12


@given(phases())
def test_cycles_fill_the_phase_and_none_but_the_last_is_stretched(phase: Phase) -> None:
    ends = cycle_ends(phase)
    assert ends[-1] == phase.max_epochs
    lengths = np.diff([0, *ends]).tolist()
    if phase.policy == "sgdr":
        planned = [phase.cycle_len * phase.cycle_mult**number for number in range(len(lengths) + 1)]
        assert lengths[:-1] == planned[: len(lengths) - 1]
        # another whole cycle would have been one more cycle
        assert lengths[-1] < planned[-2] + planned[-1]
        assert lengths[-1] >= planned[-2] or len(lengths) == 1
    else:
        assert ends == [phase.max_epochs]


@given(phases().filter(lambda phase: phase.policy == "sgdr"), st.integers(1, 20))
def test_each_cycle_starts_at_lr_and_falls_to_almost_nothing(phase: Phase, n_batches: int) -> None:
    rates = learning_rates(phase, n_batches)
    for start, end in itertools.pairwise([0, *cycle_ends(phase)]):
        cycle = rates[start * n_batches : end * n_batches]
        assert cycle[0] == phase.lr
        assert np.all(np.diff(cycle) < 0)
        # sin(x) <= x, where x is what one step is of a quarter turn
        assert cycle[-1] <= phase.lr * (math.pi / 2 / len(cycle)) ** 2


@pytest.mark.parametrize(
    ("cycle_len", "cycle_mult", "max_epochs", "ends"),
    [
        (1, 2, 7, [1, 3, 7]),
        (1, 2, 8, [1, 3, 8]),
        (1, 2, 14, [1, 3, 14]),
        (1, 2, 15, [1, 3, 7, 15]),
        (1, 1, 3, [1, 2, 3]),
        (2, 1, 5, [2, 5]),
        (3, 3, 2, [2]),
    ],
)
def test_cycles_end_where_counting_says(cycle_len: int, cycle_mult: int, max_epochs: int, ends: list[int]) -> None:
    phase = Phase(policy="sgdr", cycle_len=cycle_len, cycle_mult=cycle_mult, max_epochs=max_epochs)
    assert cycle_ends(phase) == ends


@given(phases())
def test_weights_are_averaged_over_cycles_or_the_last_quarter(phase: Phase) -> None:
    ends = averaged_ends(phase)
    assert ends[-1] == phase.max_epochs
    if phase.policy == "sgdr":
        assert ends == cycle_ends(phase)
    else:
        assert ends == [epoch for epoch in range(1, ends[-1] + 1) if epoch / ends[-1] >= 0.75]


@pytest.mark.parametrize(("cycle_len", "cycle_mult", "max_epochs"), [(1, 1, 4), (1, 2, 7), (2, 3, 8), (3, 1, 9)])
def test_whole_cycles_are_torchs_warm_restarts(cycle_len: int, cycle_mult: int, max_epochs: int) -> None:
    n_batches = 5
    phase = Phase(policy="sgdr", cycle_len=cycle_len, cycle_mult=cycle_mult, max_epochs=max_epochs, lr=0.3)
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer(), T_0=cycle_len, T_mult=cycle_mult)
    expected = []
    for step in range(max_epochs * n_batches):
        scheduler.step(step // n_batches + step % n_batches / n_batches)
        expected.append(scheduler.get_last_lr()[0])
    np.testing.assert_allclose(learning_rates(phase, n_batches), expected, rtol=1e-9)


def test_a_stretched_cycle_is_one_annealing_of_its_own_length() -> None:
    rates = learning_rates(Phase(policy="sgdr", cycle_mult=2, max_epochs=8, lr=0.3), 4)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer(), T_max=5 * 4)
    np.testing.assert_allclose(rates[3 * 4 :], [rate for rate, _ in course(scheduler, 5 * 4)], rtol=1e-9)


@pytest.mark.parametrize(("max_epochs", "n_batches"), [(1, 1), (1, 2), (1, 3), (2, 4), (3, 7), (5, 20)])
def test_one_cycle_is_torchs_when_both_measure_time_alike(max_epochs: int, n_batches: int) -> None:
    n_steps = max_epochs * n_batches
    # torch reaches the end at the last of its steps, so ours are all but its last; and so for the peak
    scheduler = lr_scheduler.OneCycleLR(
        optimizer(),
        max_lr=0.3,
        total_steps=n_steps + 1,
        pct_start=(n_steps / 4 + 1) / (n_steps + 1),
        div_factor=25,
        final_div_factor=1e5 / 25,
    )
    expected = np.array(list(course(scheduler, n_steps)))
    phase = Phase(max_epochs=max_epochs, lr=0.3)
    np.testing.assert_allclose(learning_rates(phase, n_batches), expected[:, 0], rtol=1e-9)
    np.testing.assert_allclose(momenta(phase, n_batches), expected[:, 1], rtol=1e-9)


def test_one_cycle_passes_its_marks() -> None:
    rates = learning_rates(Phase(max_epochs=2, lr=50.0), 4)
    assert rates[0] == pytest.approx(2.0)
    assert rates[1] == pytest.approx(26.0)
    assert rates[2] == 50.0
    # a third and two thirds down the second cosine stand three quarters and one quarter of the way above its end
    low = 50 / 1e5
    assert rates[[4, 6]] == pytest.approx([low + (50 - low) * 0.75, low + (50 - low) * 0.25])


def test_a_constant_rate_rises_over_its_warm_up_only() -> None:
    phase = Phase(policy="constant", warmup=0.25, max_epochs=4, lr=0.8)
    np.testing.assert_allclose(learning_rates(phase, 4), [0.2, 0.4, 0.6, 0.8] + [0.8] * 12)
    # 0.7 of 4 steps is nearest to 3
    uneven = Phase(policy="constant", warmup=0.7, max_epochs=1, lr=0.9)
    np.testing.assert_allclose(learning_rates(uneven, 4), [0.3, 0.6, 0.9, 0.9])
    assert set(learning_rates(Phase(policy="constant", max_epochs=4, lr=0.8), 4)) == {0.8}
    np.testing.assert_allclose(learning_rates(Phase(policy="constant", warmup=1.0, max_epochs=1, lr=1.0), 2), [0.5, 1])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_phase_of_one_step_learns(policy: str) -> None:
    (rate,) = learning_rates(Phase(policy=policy, max_epochs=1, lr=0.5), 1)
    assert rate == pytest.approx(0.02 if policy == "one_cycle" else 0.5)


def test_open_phases_and_empty_epochs_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a phase with lr, as resolve_phases gives it, got Phase"):
        learning_rates(Phase(max_epochs=1), 1)
    for schedule in (lambda p: learning_rates(p, 1), lambda p: momenta(p, 1), cycle_ends, averaged_ends):
        with pytest.raises(ValueError, match="needs a phase with max_epochs, as resolve_phases gives it, got Phase"):
            schedule(Phase(lr=0.1))
    for schedule in (learning_rates, momenta):
        with pytest.raises(ValueError, match="at least one step in an epoch, got n_batches=0"):
            schedule(Phase(lr=0.1, max_epochs=1), 0)
