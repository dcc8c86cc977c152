"""The way through the phases: what learns, at which rate, under which average; and how it ends."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from skdeep.backbones import seeded
from skdeep.exceptions import SmallerBatchWarning
from skdeep.training import (
    AVERAGES,
    Checkpoint,
    Course,
    Lesson,
    Options,
    Phase,
    RateCurve,
    Stage,
    Stopping,
    TableRows,
    WeightedNet,
    course,
    find_rate,
    module_outputs,
    prepare,
)
from skdeep.training.averaging import MovingAverage
from skdeep.training.batch_norm import settle_batch_norm
from skdeep.training.losses import BinaryCrossEntropy
from skdeep.training.net import is_out_of_memory
from skdeep.training.schedules import learning_rates, momenta

Array = NDArray[Any]


class Linear(nn.Module):
    def __init__(self, n_in: int = 4, n_out: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Dropout(dropout), nn.Linear(n_in, n_out))

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        return self.layer(table)


def make_problem(n_rows: int = 64) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    return X, (X @ rng.normal(size=(4, 3)) > 0).astype(np.uint8)


def run(
    module: nn.Module,
    X: Array | TableRows,
    Y: Array,
    *,
    phases: list[Phase] | None = None,
    weights: Array | None = None,
    held_out: tuple[Array, Array] | None = None,
    groups: Any = None,
    score: Any = None,
    checkpoint: Any = None,
    precision: str = "float32",
    micro_batch_size: int | None = None,
    report: Any = lambda record: None,
    **options: Any,
) -> Course:
    """Run a course with the options that a test does not care for."""
    net, stage, settled = ready(
        module,
        X,
        Y,
        weights=weights,
        held_out=held_out,
        groups=groups,
        precision=precision,
        micro_batch_size=micro_batch_size,
        **options,
    )
    followed = Course(
        net,
        phases or [Phase(max_epochs=10, lr=0.05, policy="constant")],
        lambda *_: stage,
        settled,
        score=score,
        checkpoint=checkpoint,
        report=report,
    )
    with seeded(0):
        followed.run()
    return followed


def ready(
    module: nn.Module,
    X: Array | TableRows,
    Y: Array,
    *,
    weights: Array | None = None,
    held_out: tuple[Array, Array] | None = None,
    groups: Any = None,
    precision: str = "float32",
    micro_batch_size: int | None = None,
    **options: Any,
) -> tuple[WeightedNet, Stage, Options]:
    """A net, what it is to learn, and how."""
    net = WeightedNet(
        module,
        criterion=BinaryCrossEntropy(),
        batch_size=16,
        train_split=None,
        callbacks__print_log=None,
        precision=precision,
        micro_batch_size=micro_batch_size,
    )
    net.start()
    rows = X if isinstance(X, TableRows) else TableRows(X)
    stage = Stage(
        lesson=Lesson(rows, Y, np.ones(len(rows)) if weights is None else weights),
        held_out=held_out and Lesson(TableRows(held_out[0]), held_out[1], np.ones(len(held_out[1]))),
        groups=groups or [(1.0, [name for name, _ in module.named_parameters()])],
    )
    settled: dict[str, Any] = {"batch_size": 16, "optimizer": "adamw", "weight_decay": 0.0, "averaging": None}
    settled |= {"stopping": None, "seed": 0, **options}
    prepare(net, stage, Options(**settled))
    return net, stage, Options(**settled)


def linear(dropout: float = 0.0) -> Linear:
    with seeded(0):
        return Linear(dropout=dropout)


def outputs(module: nn.Module, X: Array) -> Array:
    return module_outputs(module, TableRows(X), batch_size=16, device="cpu")


def trained(X: Array, Y: Array, *, dropout: float = 0.0, **options: Any) -> Array:
    """Outputs of a linear net that was trained on X and Y."""
    module = linear(dropout)
    run(module, X, Y, **options)
    return outputs(module, X)


def test_a_linear_problem_is_learnt() -> None:
    X, Y = make_problem()
    answers = trained(X, Y, phases=[Phase(max_epochs=60, lr=0.05, policy="constant")])
    assert answers.dtype == np.float64
    assert ((answers > 0) == Y).mean() > 0.95


@pytest.mark.parametrize("policy", ["constant", "one_cycle", "sgdr"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_course_equals_a_plain_loop_at_the_scheduled_rates(policy: Any, optimizer: str) -> None:
    X, Y = make_problem()
    phase = Phase(max_epochs=3, lr=0.05, policy=policy)
    module, plain = linear(), linear()
    run(module, X, Y, phases=[phase], optimizer=optimizer, batch_size=64)
    rates, inertia = learning_rates(phase, 1), momenta(phase, 1)
    kind: Any = torch.optim.AdamW if optimizer == "adamw" else torch.optim.SGD
    by_hand = kind(plain.parameters(), weight_decay=0.0, **({} if optimizer == "adamw" else {"momentum": 0.9}))
    for rate, momentum in zip(rates, inertia, strict=True):
        for group in by_hand.param_groups:
            group["lr"] = rate
            group |= {"betas": (momentum, 0.999)} if optimizer == "adamw" else {"momentum": momentum}
        by_hand.zero_grad()
        nn.BCEWithLogitsLoss()(plain(torch.tensor(X)), torch.tensor(Y, dtype=torch.float32)).backward()
        by_hand.step()
    for ours, theirs in zip(module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("batch_size", [16, 64])
def test_rows_of_weight_zero_count_as_absent(batch_size: int) -> None:
    X, Y = make_problem()
    weights = np.random.default_rng(1).integers(0, 3, size=len(X)).astype(float)
    kept = weights > 0
    whole = trained(X, Y, weights=weights, batch_size=batch_size)
    without = trained(X[kept], Y[kept], weights=weights[kept], batch_size=batch_size)
    np.testing.assert_allclose(whole[kept], without, rtol=1e-4, atol=1e-5)
    assert np.abs(whole - trained(X, Y, batch_size=batch_size)).max() > 0.01


def test_rows_of_weight_zero_do_not_shape_batch_norm() -> None:
    X, Y = make_problem()
    weights = np.ones(len(X))
    weights[::4] = 0
    X[::4] = 1e3
    modules = []
    for rows in (slice(None), weights > 0):
        with seeded(0):
            modules.append(NormalisedTwice())
        run(modules[-1], X[rows], Y[rows, :2], weights=weights[rows])
    torch.testing.assert_close(modules[0].state_dict(), modules[1].state_dict())


def test_a_row_that_alone_has_weight_keeps_the_company_of_others() -> None:
    X, Y = make_problem(4)
    run(NormalisedTwice(), X, Y[:, :2], weights=np.array([0.0, 1.0, 0.0, 0.0]))


def test_integer_weights_count_as_repeated_rows_and_their_scale_is_free() -> None:
    X, Y = make_problem()
    weights = np.random.default_rng(1).integers(1, 4, size=len(X))
    repeated = np.repeat(np.arange(len(X)), weights)
    whole = trained(X, Y, weights=weights.astype(float), batch_size=1000)
    np.testing.assert_allclose(
        whole[repeated], trained(X[repeated], Y[repeated], batch_size=1000), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(trained(X, Y, weights=weights * 1e-9, batch_size=1000), whole, rtol=1e-5, atol=1e-6)


def test_equal_seeds_give_equal_bits_and_leave_the_global_generators() -> None:
    X, Y = make_problem()
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = trained(X, Y, dropout=0.5)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    torch.rand(3)
    np.testing.assert_array_equal(trained(X, Y, dropout=0.5), first)
    assert (trained(X, Y, dropout=0.5, seed=1) != first).any()


def test_a_loss_that_is_not_finite_says_when_and_what_to_do() -> None:
    X, Y = make_problem()
    phase = Phase(max_epochs=10, lr=1e30, policy="constant")
    with pytest.raises(ValueError, match=r"The loss was (nan|inf) in epoch \d+ of 10: try a smaller lr than 1e\+30"):
        trained(X * 1e20, Y, phases=[phase])
    with pytest.raises(ValueError, match=r"in epoch \d+ of 10 of phase 2: try"):
        trained(X * 1e20, Y, phases=[Phase(max_epochs=1, lr=1e-30), phase])


@pytest.mark.parametrize(
    ("factor", "size", "message"), [(1.0, 1.0, "outputs are not finite"), (1e8, 1e5, "Weights are not finite after")]
)
def test_a_last_step_that_runs_away_is_no_success(factor: float, size: float, message: str) -> None:
    X, Y = make_problem()
    module: Any = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    module.forward = lambda table: module[1](module[0](table))
    phases = [Phase(max_epochs=1, lr=1e30, policy="constant")]
    groups = [(factor, ["0.weight", "1.weight"])]
    with pytest.raises(ValueError, match=rf"{message}.*: try a smaller lr than 1e\+30"):
        run(module, X * np.float32(size), Y, phases=phases, groups=groups, optimizer="sgd", batch_size=64)


def test_batches_are_not_kept_in_the_history_of_the_net() -> None:
    X, Y = make_problem()
    history = run(linear(), X, Y).net.history
    assert [len(epoch["batches"]) for epoch in history] == [0] * 10
    assert np.isfinite([epoch["train_loss"] for epoch in history]).all()


def test_a_glance_at_an_epoch_takes_few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = make_problem(300)
    n_batches: list[int] = []
    settle = course.settle_batch_norm

    def noting(module: nn.Module, layers: Any, batches: Any, *arguments: Any) -> None:
        n_batches.append(0)

        def counted() -> Iterator[Any]:
            for batch in batches:
                n_batches[-1] += 1
                yield batch

        settle(module, layers, counted(), *arguments)

    monkeypatch.setattr(course, "settle_batch_norm", noting)
    stopping = Stopping(n_iter_no_change=20, tol=0.0)
    phases = [Phase(max_epochs=2, lr=0.1, policy="constant")]
    run(NormalisedTwice(), X, Y[:, :2], phases=phases, held_out=(X, Y[:, :2]), stopping=stopping, batch_size=2)
    assert n_batches == [10, 10, 100]


def test_only_the_groups_that_a_phase_teaches_learn_and_weight_decay_leaves_biases() -> None:
    X, Y = make_problem()
    module = linear()
    layer: Any = module.layer[1]
    before = layer.bias.detach().clone(), layer.weight.detach().clone()
    run(module, X, Y, groups=[(0.0, ["layer.1.bias"]), (1.0, ["layer.1.weight"])])
    assert torch.equal(layer.bias, before[0])
    assert not torch.equal(layer.weight, before[1])
    optimizer = run(linear(), X, Y, weight_decay=0.5).net.optimizer_
    decays = {
        parameter.ndim: group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]
    }
    assert decays == {2: 0.5, 1: 0.0}


def test_groups_learn_at_their_factor_of_the_rate() -> None:
    X, Y = make_problem()
    before = {name: weight.detach().clone() for name, weight in linear().named_parameters()}
    moved = []
    for factor in (1.0, 0.5):
        module = linear()
        groups = [(factor, ["layer.1.weight"]), (1.0, ["layer.1.bias"])]
        phases = [Phase(max_epochs=1, lr=0.01, policy="constant")]
        run(module, X, Y, phases=phases, groups=groups, optimizer="sgd", batch_size=64)
        moved.append({name: weight.detach() - before[name] for name, weight in module.named_parameters()})
    torch.testing.assert_close(moved[1]["layer.1.weight"], moved[0]["layer.1.weight"] / 2, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(moved[1]["layer.1.bias"], moved[0]["layer.1.bias"], rtol=1e-4, atol=1e-7)


class OnceOnly(TableRows):
    """Rows that note how often batches were drawn from them."""

    n_drawn = 0

    def take(self, batches: Iterable[list[int]]) -> Iterator[dict[str, torch.Tensor]]:
        self.n_drawn += 1
        return super().take(batches)


def test_rows_are_drawn_once_an_epoch_and_once_at_the_end() -> None:
    X, Y = make_problem()
    rows = OnceOnly(X)
    run(linear(), rows, Y, phases=[Phase(max_epochs=7, lr=0.01)])
    assert rows.n_drawn == 7 + 1


class NormalisedTwice(nn.Module):
    """A first layer that moves while the batch normalisation behind it learns, and dropout between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.norm, self.last = (
            nn.Linear(4, 6),
            nn.Dropout(0.5),
            nn.BatchNorm1d(6),
            nn.Linear(6, 2),
        )

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        return self.last(self.norm(self.drop(self.first(table))))


def test_batch_norm_ends_with_the_statistics_of_the_trained_network() -> None:
    X = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    module = NormalisedTwice()
    run(module, X, (X[:, :2] > 0).astype(np.uint8), phases=[Phase(max_epochs=3, lr=0.1, policy="constant")])
    with torch.no_grad():
        inputs = module.first(torch.from_numpy(X))
    torch.testing.assert_close(module.norm.running_mean, inputs.mean(dim=0))
    assert module.norm.momentum == 0.1
    assert not module.training


def test_statistics_of_a_short_batch_count_as_its_rows_do() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(34, 4)).astype(np.float32))
    module = nn.BatchNorm1d(4)
    settle_batch_norm(module, [module], [{"input": rows[:32]}, {"input": rows[32:]}], "cpu")
    torch.testing.assert_close(module.running_mean, rows.mean(dim=0))
    variances = torch.stack([part.var(dim=0) for part in (rows[:32], rows[32:])])
    torch.testing.assert_close(module.running_var, (32 * variances[0] + 2 * variances[1]) / 34)
    assert module.momentum == 0.1


def test_the_history_has_a_line_for_each_epoch() -> None:
    X, Y = make_problem()
    told: list[dict[str, Any]] = []
    phases = [Phase(max_epochs=2, lr=0.1, policy="sgdr", image_size=(8, 9)), Phase(max_epochs=1, lr=0.2, train="head")]
    records = run(linear(), X, Y, phases=phases, held_out=(X, Y), report=told.append).records
    assert told == records
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert [record["phase"] for record in records] == [1, 1, 2]
    assert [record["train"] for record in records] == ["all", "all", "head"]
    assert [record["n_steps"] for record in records] == [4, 4, 4]
    assert records[0]["image_size"] == 8
    assert np.isnan(records[2]["image_size"])
    assert [record["lr"] for record in records[:2]] == learning_rates(phases[0], 4)[[3, 7]].tolist()
    assert all(np.isfinite(record["valid_loss"]) and record["seconds"] > 0 for record in records)


def test_losses_of_the_history_are_those_of_the_net() -> None:
    X, Y = make_problem()
    module = linear()
    weights = np.random.default_rng(0).uniform(size=len(X))
    # so small a rate that nothing changes
    (record,) = run(
        module, X, Y, weights=weights, held_out=(X[:9], Y[:9]), phases=[Phase(max_epochs=1, lr=1e-12)], batch_size=10
    ).records
    losses = nn.BCEWithLogitsLoss(reduction="none")(torch.tensor(outputs(module, X)), torch.tensor(Y).double())
    per_row = losses.mean(dim=1).numpy()
    assert record["train_loss"] == pytest.approx(np.average(per_row, weights=weights), rel=1e-5)
    assert record["valid_loss"] == pytest.approx(per_row[:9].mean(), rel=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_batch_may_be_learnt_in_parts(precision: str) -> None:
    X, Y = make_problem()
    whole = trained(X, Y, precision=precision)
    for size in (2, 3, 5, 16, 100):
        np.testing.assert_allclose(trained(X, Y, micro_batch_size=size, precision=precision), whole, rtol=1e-3)


class Small(Linear):
    """A device whose memory holds few rows."""

    def __init__(self, room: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.room = room
        self.error = error

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        if len(table) > self.room and self.training:
            raise self.error("DefaultCPUAllocator: can't allocate memory")
        return super().forward(table)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_out_of_memory_is_answered_by_smaller_parts_and_the_same_steps(error: type[RuntimeError]) -> None:
    X, Y = make_problem()
    with seeded(0):
        module = Small(9, error)
    with pytest.warns(
        SmallerBatchWarning, match="too small for 16 rows at once: .* in parts of 8 .* batch_size=16"
    ) as w:
        net = run(module, X, Y).net
    assert len(w) == 1
    assert net.micro_batch_size == 8
    np.testing.assert_allclose(outputs(module, X), trained(X, Y), rtol=1e-3)


def test_memory_for_less_than_two_rows_and_other_errors_stop_training() -> None:
    X, Y = make_problem()
    with pytest.warns(SmallerBatchWarning), pytest.raises(torch.OutOfMemoryError):
        run(Small(1), X, Y)
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))


def test_a_moving_average_forgets_the_first_weights() -> None:
    module = linear()
    average = MovingAverage(module, 1000)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
    for _ in range(1000):
        average.update(module)
    for weights in average.weights.values():
        torch.testing.assert_close(weights, torch.ones_like(weights), rtol=0, atol=1e-4)


def test_swapping_an_average_twice_changes_nothing() -> None:
    module = linear()
    average = MovingAverage(module, 10)
    with torch.no_grad():
        module.layer[1].weight.zero_()
    before = copy.deepcopy(module.state_dict())
    average.swap(module)
    assert not torch.equal(module.layer[1].weight, before["layer.1.weight"])
    average.swap(module)
    assert torch.equal(module.layer[1].weight, before["layer.1.weight"])


def test_the_average_is_what_remains_and_what_is_examined() -> None:
    X, Y = make_problem()
    plain, averaged = linear(), linear()
    run(plain, X, Y)
    records = run(averaged, X, Y, averaging="ema", held_out=(X, Y)).records
    assert not torch.equal(plain.layer[1].weight, averaged.layer[1].weight)
    losses = nn.BCEWithLogitsLoss()(torch.tensor(outputs(averaged, X)), torch.tensor(Y).double())
    assert records[-1]["valid_loss"] == pytest.approx(float(losses), rel=1e-5)


class Noted:
    """Notes the weights at the end of each epoch."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.weights: list[dict[str, torch.Tensor]] = []

    def __call__(self, record: dict[str, Any]) -> None:
        self.weights.append({name: weight.detach().clone() for name, weight in self.module.named_parameters()})


@pytest.mark.parametrize("before", [[], [Phase(max_epochs=2, lr=0.1, policy="constant")]])
@pytest.mark.parametrize(
    ("phase", "averaged"),
    [
        (Phase(max_epochs=9, lr=0.05, policy="constant"), [7, 8, 9]),
        (Phase(max_epochs=4, lr=0.05), [3, 4]),
        (Phase(max_epochs=2, lr=0.05, policy="constant"), [2]),
        (Phase(max_epochs=7, lr=0.05, policy="sgdr", cycle_mult=2), [1, 3, 7]),
    ],
)
@pytest.mark.parametrize("held_out", [True, False])
def test_a_stochastic_average_is_the_mean_of_the_weights_at_the_ends_of_epochs(
    before: list[Phase], phase: Phase, averaged: list[int], held_out: bool
) -> None:
    X, Y = make_problem()
    module, plain = linear(), linear()
    noted, watched = Noted(module), Noted(plain)
    phases = [*before, phase]
    run(module, X, Y, phases=phases, averaging="swa", held_out=(X, Y) if held_out else None, report=noted)
    run(plain, X, Y, phases=phases, report=watched)
    ends = noted.weights[-(phase.max_epochs or 0) :]
    for name, weight in module.named_parameters():
        expected = torch.stack([ends[epoch - 1][name] for epoch in averaged]).double().mean(0)
        torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-6, atol=1e-7)
        # what learns is not the average
        torch.testing.assert_close(ends[-1][name], watched.weights[-1][name], rtol=0, atol=0)


def test_epochs_are_examined_under_the_stochastic_average_once_there_is_one() -> None:
    X, Y = make_problem()
    module = linear()
    phases = [Phase(max_epochs=8, lr=0.05, policy="constant")]
    records = run(module, X, Y, phases=phases, averaging="swa", held_out=(X, Y)).records
    losses = nn.BCEWithLogitsLoss()(torch.tensor(outputs(module, X)), torch.tensor(Y).double())
    assert records[-1]["valid_loss"] == pytest.approx(float(losses), rel=1e-5)
    plain = run(linear(), X, Y, phases=phases, held_out=(X, Y)).records
    same = [ours["valid_loss"] == theirs["valid_loss"] for ours, theirs in zip(records, plain, strict=True)]
    assert same == [True] * 6 + [False] * 2  # of one, the mean is that one


@pytest.mark.parametrize("best", [2, 7])
def test_a_stochastic_average_ends_with_the_best_epoch(best: int) -> None:
    X, Y = make_problem()
    seen: list[Array] = []

    def score(answers: Array) -> float:
        seen.append(answers)
        return float(len(seen) == best)

    module = linear()
    phases = [Phase(max_epochs=8, lr=0.05, policy="constant")]
    stopping = Stopping(n_iter_no_change=20, tol=1e-4)
    run(module, X, Y, phases=phases, averaging="swa", held_out=(X, Y), score=score, stopping=stopping)
    np.testing.assert_array_equal(outputs(module, X), seen[best - 1])


def test_a_stochastic_average_takes_its_statistics_of_all_rows() -> None:
    X, Y = make_problem(240)
    X *= np.linspace(0, 10, 240, dtype=np.float32)[:, None] ** 2
    errors = []
    for averaging in ("swa", "ema"):
        with seeded(0):
            module = NormalisedTwice()
        run(module, X, Y[:, :2], phases=[Phase(max_epochs=1, lr=1e-3)], batch_size=2, averaging=averaging)
        mean: Any = module.norm.running_mean
        errors.append(float((mean - module.first(torch.tensor(X)).detach().mean(0)).abs().max()))
    assert errors[0] < 1e-4
    # others look at 100 batches
    assert errors[1] > 1e-2


def test_snapshots_are_the_networks_at_the_cycle_ends_of_the_last_phase() -> None:
    X, Y = make_problem()
    module = linear()
    phases = [
        Phase(max_epochs=2, lr=0.01, policy="sgdr"),
        Phase(max_epochs=7, lr=0.05, policy="sgdr", cycle_mult=2),
    ]
    snapshots = run(module, X, Y, phases=phases, averaging="snapshots").snapshots
    assert len(snapshots) == 3
    np.testing.assert_array_equal(outputs(snapshots[-1], X), outputs(module, X))
    other = linear()
    run(other, X, Y, phases=[phases[0], Phase(max_epochs=3, lr=0.05, policy="sgdr", cycle_mult=2)])
    np.testing.assert_array_equal(outputs(snapshots[1], X), outputs(other, X))


@pytest.mark.parametrize("averaging", [None, "ema", "snapshots"])
def test_a_phase_may_leave_its_network_to_predict_beside_the_last(averaging: str | None) -> None:
    X, Y = make_problem()
    phases = [
        Phase(max_epochs=2, lr=0.05),
        Phase(max_epochs=3, lr=0.05, policy="sgdr", snapshot=True),
        Phase(max_epochs=3, lr=0.05, policy="sgdr", cycle_mult=2, snapshot=True),
    ]
    module, other = linear(), linear()
    followed = run(module, X, Y, phases=phases, averaging=averaging)
    assert followed.phases_of_snapshots == ([1, 2, 2] if averaging == "snapshots" else [1, 2])
    run(other, X, Y, phases=phases[:2], averaging=averaging)
    np.testing.assert_array_equal(outputs(followed.snapshots[0], X), outputs(other, X))
    np.testing.assert_array_equal(outputs(followed.snapshots[-1], X), outputs(module, X))
    # the last phase's own counts in any case
    assert run(linear(), X, Y, phases=phases[2:]).snapshots == []


@pytest.mark.parametrize(
    ("phase", "n_snapshots"),
    [
        (Phase(max_epochs=9, lr=0.05, policy="constant"), 1),
        (Phase(max_epochs=9, lr=0.05, policy="one_cycle"), 1),
        (Phase(max_epochs=9, lr=0.05, policy="sgdr", cycle_len=2), 2),
        (Phase(max_epochs=9, lr=0.05, policy="sgdr"), 3),
    ],
)
@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.5, 0.4, 0.3, 0.2], [0.1, 0.2, 0.5, *[0.4] * 6]])
def test_snapshots_end_with_the_best_epoch(phase: Phase, n_snapshots: int, scores: list[float]) -> None:
    X, Y = make_problem()
    seen: list[Array] = []

    def score(answers: Array) -> float:
        seen.append(answers)
        return scores[len(seen) - 1]

    module = linear()
    stopping = Stopping(n_iter_no_change=3 if len(scores) < 9 else 20, tol=1e-4)
    snapshots = run(
        module, X, Y, phases=[phase], held_out=(X, Y), score=score, stopping=stopping, averaging="snapshots"
    ).snapshots
    assert len(seen) == len(scores)
    assert len(snapshots) == n_snapshots
    of_epochs = {1: [2], 2: [1, 2], 3: [0, 1, 2]}[n_snapshots]
    for snapshot, epoch in zip(snapshots, of_epochs, strict=True):
        np.testing.assert_array_equal(outputs(snapshot, X), seen[epoch])
    np.testing.assert_array_equal(outputs(module, X), seen[2])


def test_a_phase_ends_with_its_best_epoch_and_the_next_goes_on_from_there() -> None:
    X, Y = make_problem()
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.9])
    seen: list[Array] = []

    def score(answers: Array) -> float:
        seen.append(answers)
        return next(scores)

    module = linear()
    phases = [Phase(max_epochs=10, lr=0.05), Phase(max_epochs=2, lr=1e-12)]
    stopping = Stopping(n_iter_no_change=2, tol=1e-4)
    records = run(module, X, Y, phases=phases, held_out=(X, Y), score=score, stopping=stopping).records
    assert [record["phase"] for record in records] == [1, 1, 1, 1, 2, 2]
    assert [record["score"] for record in records] == [0.1, 0.5, 0.4, 0.3, 0.2, 0.9]
    # the second phase changes nothing
    np.testing.assert_allclose(seen[4], seen[1], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(outputs(module, X), seen[1], rtol=1e-5, atol=1e-7)


def test_without_a_scorer_the_loss_stops_training() -> None:
    X, Y = make_problem()
    stopping = Stopping(n_iter_no_change=3, tol=10.0)
    records = run(linear(), X, Y, held_out=(X, Y), stopping=stopping).records
    # the first epoch is progress whatever it brings
    assert len(records) == 4


def test_a_rate_that_nobody_gave_is_found_once_for_each_kind_of_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = make_problem()
    curves = iter([0.01, 0.02])
    monkeypatch.setattr(course, "find_rate", lambda *_: SimpleNamespace(suggestion=next(curves)))
    phases = [Phase(max_epochs=1), Phase(max_epochs=1, train="head"), Phase(max_epochs=1), Phase(max_epochs=1, lr=0.5)]
    assert [phase.lr for phase in run(linear(), X, Y, phases=phases).phases] == [0.01, 0.02, 0.01, 0.5]


def test_where_no_rate_shows_training_goes_on_at_a_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = make_problem()
    phases = [Phase(max_epochs=1, lr=0.1), Phase(max_epochs=1)]
    monkeypatch.setattr(course, "find_rate", lambda *_: RateCurve(np.geomspace(1e-7, 1, 50), np.ones(50)))
    with pytest.warns(UserWarning, match="No learning rate was found .* train='all', .* at 0.001: give them an lr"):
        followed = run(linear(), X, Y, phases=phases)
    assert [phase.lr for phase in followed.phases] == [0.1, 1e-3]


def test_a_rate_is_found_after_a_phase_that_left_losses_next_to_zero() -> None:
    X, Y = make_problem()
    Y = (X[:, :3] > 0).astype(np.uint8)
    phases = [Phase(max_epochs=300, lr=0.3, policy="constant"), Phase(max_epochs=1)]
    rate = run(linear(), X, Y, phases=phases).phases[1].lr
    assert rate is not None
    assert rate > 0


def test_looking_for_a_rate_leaves_the_net_as_it_was_and_goes_round_small_data() -> None:
    X, Y = make_problem(20)
    with seeded(0):
        module = NormalisedTwice()
    net, stage, options = ready(module, X, Y[:, :2])
    before = copy.deepcopy(module.state_dict())
    curve = find_rate(net, stage, options, n_steps=30)
    assert len(curve.losses) > 10  # of two batches
    assert all(torch.equal(now, then) for now, then in zip(module.state_dict().values(), before.values(), strict=True))
    assert 1e-7 < curve.suggestion < 10


class KilledError(Exception):
    """What stands for the end of a process."""


@pytest.mark.parametrize("options", [*({"averaging": name} for name in (None, *AVERAGES)), {"optimizer": "sgd"}])
@pytest.mark.parametrize("n_epochs", [1, 3, 5, 7, 10])
def test_a_course_that_was_killed_goes_on_to_the_same_bits(tmp_path: Any, options: Any, n_epochs: int) -> None:
    X, Y = make_problem()
    phases = [
        Phase(max_epochs=3, policy="one_cycle", snapshot=True),
        Phase(max_epochs=7, lr=0.05, policy="sgdr", cycle_mult=2),
    ]
    stopping = Stopping(n_iter_no_change=3, tol=1e-4)
    options = {**options, "phases": phases, "held_out": (X, Y), "stopping": stopping}

    def die(record: dict[str, Any]) -> None:
        if record["epoch"] == n_epochs + 1:
            raise KilledError

    straight, broken, resumed = linear(0.2), linear(0.2), linear(0.2)
    expected = run(straight, X, Y, **options)
    checkpoint = Checkpoint(tmp_path, "0" * 64)
    with contextlib.suppress(KilledError):
        run(broken, X, Y, checkpoint=checkpoint, report=die, **options)
    finished = run(resumed, X, Y, checkpoint=checkpoint, **options)
    for ours, theirs in zip(resumed.state_dict().values(), straight.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert finished.phases_of_snapshots == expected.phases_of_snapshots
    for ours, theirs in zip(finished.snapshots, expected.snapshots, strict=True):
        np.testing.assert_array_equal(outputs(ours, X), outputs(theirs, X))
    ours, theirs = (pd.DataFrame(followed.records).drop(columns="seconds") for followed in (finished, expected))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
