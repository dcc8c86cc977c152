"""Thresholds, batches and the net behind the estimators."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from skdeep.backbones import seeded
from skdeep.images import Geometry, as_images
from skdeep.training import (
    CRITERIA,
    ImageRows,
    RankingThreshold,
    TableRows,
    fit_net,
    net_outputs,
)
from skdeep.training.bp_mll import best_thresholds
from skdeep.training.net import RowBatches, WeightedRows

Array = NDArray[Any]


def logits_and_indicator(n_rows: int = 20, n_labels: int = 5) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    indicator = rng.integers(2, size=(n_rows, n_labels))
    indicator[0], indicator[1] = 0, 1
    return rng.normal(scale=3, size=(n_rows, n_labels)), indicator


@settings(deadline=None)
@given(st.data())
def test_best_thresholds_are_as_good_as_any_other(data: st.DataObject) -> None:
    n_labels = data.draw(st.integers(1, 6))
    # few different values, so that ties are met
    values = st.sampled_from([-0.9, -0.5, -0.1, 0.0, 0.3, 0.8])
    outputs = np.array([data.draw(st.lists(values, min_size=n_labels, max_size=n_labels))])
    relevant = np.array([data.draw(st.lists(st.integers(0, 1), min_size=n_labels, max_size=n_labels))], dtype=np.uint8)
    (threshold,) = best_thresholds(outputs, relevant)

    def errors(cut: float) -> int:
        return int(((outputs > cut) != relevant).sum())

    distinct = np.unique(outputs)
    edges = np.array([distinct[0] - 2, *distinct, distinct[-1] + 2])
    middles, widths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    all_errors = np.array([errors(cut) for cut in middles])
    assert errors(threshold) == all_errors.min()
    nearest = np.abs(middles - threshold).argmin()
    assert threshold == pytest.approx(middles[nearest])
    assert widths[nearest] == pytest.approx(widths[all_errors == all_errors.min()].max())


def test_ranking_threshold_is_the_least_squares_fit_to_the_best_thresholds() -> None:
    logits, indicator = logits_and_indicator(60)
    outputs = np.tanh(logits)
    weights = np.arange(60) % 3
    threshold = RankingThreshold(outputs, indicator.astype(np.uint8), weights)
    residual = best_thresholds(outputs, indicator.astype(np.uint8)) - threshold(outputs)
    np.testing.assert_allclose(outputs.T @ (weights * residual), 0, atol=1e-9)
    assert weights @ residual == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_table_rows_give_batches_in_the_order_asked(form: Any) -> None:
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    rows = TableRows(form(table))
    assert len(rows) == 6
    batches = [[5, 0], [3]]
    for batch, arguments in zip(batches, rows.take(batches), strict=True):
        np.testing.assert_array_equal(arguments["table"].numpy(), table[batch])


def test_image_rows_keep_numbers_beside_their_images() -> None:
    rng = np.random.default_rng(0)
    X = np.hstack([rng.integers(256, size=(5, 12)), np.arange(5)[:, None]])
    rows = ImageRows(as_images(X, image_shape=(2, 2, 3)), Geometry(size=(2, 2)), "cpu")
    assert len(rows) == 5
    (arguments,) = rows.take([[4, 1]])
    np.testing.assert_array_equal(arguments["side_features"].numpy(), [[4], [1]])
    np.testing.assert_array_equal(arguments["images"].permute(0, 2, 3, 1).reshape(2, 12).numpy(), X[[4, 1], :12])


def row_batches(n_rows: int, batch_size: int, seed: int | None) -> RowBatches:
    rows = TableRows(np.arange(n_rows, dtype=np.float32)[:, None])
    targets, weights = torch.arange(n_rows), torch.arange(n_rows) / 2
    return RowBatches(WeightedRows(rows, targets, weights), batch_size, seed)


@pytest.mark.parametrize("n_rows", [1, 2, 5, 8, 9, 10])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 20])
@pytest.mark.parametrize("seed", [None, 0])
def test_row_batches_hold_each_row_once_but_a_single_one_left_over(n_rows: int, batch_size: int, seed: Any) -> None:
    batches = row_batches(n_rows, batch_size, seed)
    for _ in range(2):
        assert len(batches) == len(batches)
        taken = list(batches)
        assert len(taken) == len(batches)
        sizes = [len(weights) for _, (_, weights) in taken]
        assert max(sizes) <= batch_size
        n_left_out = int(seed is not None and n_rows > batch_size > 1 and n_rows % batch_size == 1)
        rows = [int(row) for arguments, _ in taken for row in arguments["table"][:, 0]]
        assert len(set(rows)) == len(rows) == n_rows - n_left_out
        assert seed is not None or rows == list(range(n_rows))
        for arguments, (targets, weights) in taken:
            assert arguments["table"][:, 0].tolist() == targets.tolist() == (weights * 2).tolist()


def test_row_batches_are_shuffled_anew_each_epoch_but_equally_for_equal_seeds() -> None:
    first, second, other = (row_batches(50, 10, seed) for seed in (0, 0, 1))
    epochs = [[targets.tolist() for _, (targets, _) in batches] for batches in (first, first, second, second, other)]
    assert epochs[0] == epochs[2]
    assert epochs[1] == epochs[3]
    assert epochs[0] != epochs[1]
    assert epochs[0] != epochs[4]


def make_problem(n_rows: int = 64) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    return X, (X @ rng.normal(size=(4, 3)) > 0).astype(np.uint8)


def fit(module: nn.Module, rows: TableRows, Y: Array, **options: Any) -> Any:
    """Fit a net with the options that a test does not care for."""
    settled: dict[str, Any] = {
        "criterion": CRITERIA["bce"](),
        "sample_weight": np.ones(len(rows)),
        "lr": 0.05,
        "weight_decay": 0.0,
        "max_epochs": 10,
        "batch_size": 16,
        "device": "cpu",
        "seed": 0,
        "verbose": 0,
    }
    return fit_net(module, rows, Y, **{**settled, **options})


def train(X: Array, Y: Array, weights: Array | None = None, **options: Any) -> Array:
    """Outputs of a linear net that was trained on X and Y."""
    with seeded(0, "cpu"):
        module = Linear(X.shape[1], Y.shape[1], options.pop("dropout", 0.0))
    if weights is not None:
        options["sample_weight"] = weights
    return net_outputs(fit(module, TableRows(X), Y, **options), TableRows(X))


class Linear(nn.Module):
    def __init__(self, n_in: int, n_out: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Dropout(dropout), nn.Linear(n_in, n_out))

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        return self.layer(table)


def test_fit_net_learns_a_linear_problem() -> None:
    X, Y = make_problem()
    outputs = train(X, Y, max_epochs=60)
    assert outputs.dtype == np.float64
    assert ((outputs > 0) == Y).mean() > 0.95


def test_rows_of_weight_zero_count_as_absent() -> None:
    X, Y = make_problem()
    weights = np.random.default_rng(1).integers(0, 3, size=len(X)).astype(float)
    kept = weights > 0
    whole = train(X, Y, weights, batch_size=len(X))
    without = train(X[kept], Y[kept], weights[kept], batch_size=len(X))
    np.testing.assert_allclose(whole[kept], without, rtol=1e-4, atol=1e-5)
    assert np.abs(whole - train(X, Y, batch_size=len(X))).max() > 0.01


def test_integer_weights_count_as_repeated_rows_and_their_scale_is_free() -> None:
    X, Y = make_problem()
    weights = np.random.default_rng(1).integers(1, 4, size=len(X))
    repeated = np.repeat(np.arange(len(X)), weights)
    whole = train(X, Y, weights.astype(float), batch_size=1000)
    np.testing.assert_allclose(whole[repeated], train(X[repeated], Y[repeated], batch_size=1000), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(train(X, Y, weights * 1e-9, batch_size=1000), whole, rtol=1e-5, atol=1e-6)


def test_equal_seeds_give_equal_bits_and_leave_the_global_generators() -> None:
    X, Y = make_problem()
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = train(X, Y, dropout=0.5)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    torch.rand(3)
    np.testing.assert_array_equal(train(X, Y, dropout=0.5), first)
    assert (train(X, Y, dropout=0.5, seed=1) != first).any()


def test_a_loss_that_is_not_finite_says_when_and_what_to_do() -> None:
    X, Y = make_problem()
    with pytest.raises(ValueError, match=r"The loss was (nan|inf) in epoch \d+ of 10: try a smaller lr than 1e\+30"):
        train(X * 1e20, Y, lr=1e30)


def test_verbose_prints_each_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    X, Y = make_problem()
    train(X, Y, max_epochs=2)
    assert capsys.readouterr().out == ""
    train(X, Y, max_epochs=2, verbose=1)
    assert "train_loss" in capsys.readouterr().out


def test_net_outputs_are_those_of_the_module_in_evaluation_mode() -> None:
    X, Y = make_problem()
    module = Linear(4, 3, dropout=0.9)
    net = fit(module, TableRows(X), Y, lr=0.01, max_epochs=1)
    with torch.no_grad():
        expected = copy.deepcopy(net.module_).eval()(torch.tensor(X)).numpy()
    np.testing.assert_allclose(net_outputs(net, TableRows(X)), expected, rtol=1e-5)


def test_frozen_parameters_stay_as_they_are() -> None:
    X, Y = make_problem()
    module = Linear(4, 3)
    layer: Any = module.layer[1]
    layer.bias.requires_grad_(False)
    before = layer.bias.clone(), layer.weight.detach().clone()
    fit(module, TableRows(X), Y, lr=0.01, weight_decay=0.1, max_epochs=1)
    assert torch.equal(layer.bias, before[0])
    assert not torch.equal(layer.weight, before[1])


def test_seeded_restores_the_generator_after_an_error() -> None:
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(0, "cpu"):
        torch.rand(3) / (1 // 0)
    assert torch.equal(torch.get_rng_state(), before)


class OnceOnly(TableRows):
    """Rows that note how often batches were drawn from them."""

    n_drawn = 0

    def take(self, batches: Iterable[list[int]]) -> Iterator[dict[str, torch.Tensor]]:
        self.n_drawn += 1
        return super().take(batches)


def test_rows_are_drawn_once_an_epoch() -> None:
    X, Y = make_problem()
    rows = OnceOnly(X)
    fit(Linear(4, 3), rows, Y, lr=0.01, max_epochs=7)
    assert rows.n_drawn == 7


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
    fit(module, TableRows(X), (X[:, :2] > 0).astype(np.uint8), lr=0.1, max_epochs=3)
    with torch.no_grad():
        inputs = module.first(torch.from_numpy(X))
    torch.testing.assert_close(module.norm.running_mean, inputs.mean(dim=0))
    assert module.norm.momentum == 0.1
    assert not module.training
