"""The threshold of BP-MLL."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from skdeep.training import RankingThreshold
from skdeep.training.bp_mll import best_thresholds

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
    # rows that come later count beside those before
    first, last = (
        (outputs[rows], indicator[rows].astype(np.uint8), weights[rows]) for rows in (slice(50), slice(50, 60))
    )
    together = RankingThreshold(*last, before=RankingThreshold(*first))
    np.testing.assert_allclose([*together.coef, together.intercept], [*threshold.coef, threshold.intercept])
