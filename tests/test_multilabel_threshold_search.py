"""Exact thresholds against a search through all there are, and the rules for ties, midpoints and absent labels."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import expit, logit

from skdeep.datasets import load_planet_labels
from skdeep.metrics import fbeta_at_threshold, multilabel_fbeta, multilabel_jaccard
from skdeep.multilabel import optimal_thresholds
from skdeep.multilabel._threshold_search import DecisionRule, thresholds_of_known

AVERAGES = ["samples", "micro", "macro"]
MEANS_OVER_ROWS = ["f1_samples", "f2_samples", "f0.5_samples", "jaccard_samples", "subset_accuracy"]
SEPARABLE = ["f1_micro", "f2_micro", "f1_macro", "f0.5_macro", "jaccard_micro", "jaccard_macro", "neg_hamming_loss"]
METRICS = MEANS_OVER_ROWS + SEPARABLE
SCOPES = ["global", "per_label", "cardinality", "rank"]

Y_BY_HAND = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 1]])
S_BY_HAND = np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.2], [0.4, 0.6, 0.3], [0.6, 0.1, 0.25]])


def measure(metric: str, Y: np.ndarray, P: np.ndarray) -> float:
    if metric == "subset_accuracy":
        return float(np.mean((Y == P).all(axis=1)))
    if metric == "neg_hamming_loss":
        return -float(np.mean(Y != P))
    kind, average = metric.split("_")
    if kind == "jaccard":
        return multilabel_jaccard(Y, P, average=average)  # type: ignore[arg-type]
    return multilabel_fbeta(Y, P, beta=float(kind[1:]), average=average)  # type: ignore[arg-type]


def best(metric: str, Y: np.ndarray, predictions: Iterable[np.ndarray]) -> float:
    return max(measure(metric, Y, P) for P in predictions)


def cuts(scores: np.ndarray) -> list[float]:
    return [np.inf, *np.unique(scores)]


def all_global(Y: np.ndarray, S: np.ndarray) -> Iterator[np.ndarray]:
    return (cut <= S for cut in cuts(S))


def all_per_label(Y: np.ndarray, S: np.ndarray) -> Iterator[np.ndarray]:
    return (np.asarray(some) <= S for some in itertools.product(*(cuts(column) for column in S.T)))


def all_multiples(Y: np.ndarray, S: np.ndarray) -> Iterator[np.ndarray]:
    """A row's label is on if no more rows reach its score than the multiple of the label's positives."""
    reaching = (S[np.newaxis] >= S[:, np.newaxis]).sum(axis=1)
    with np.errstate(divide="ignore"):
        needed = reaching / Y.sum(axis=0)
    return (needed <= multiple for multiple in [0, *np.unique(needed[np.isfinite(needed)])])


def all_ranks(Y: np.ndarray, S: np.ndarray) -> Iterator[np.ndarray]:
    for number in range(S.shape[1] + 1):
        P = np.zeros(S.shape, dtype=bool)
        for row, scores in enumerate(S):
            P[row, sorted(range(S.shape[1]), key=lambda label: (-scores[label], label))[:number]] = True
        yield P


ALL = {"global": all_global, "per_label": all_per_label, "cardinality": all_multiples, "rank": all_ranks}


@st.composite
def problems(draw: st.DrawFn, max_samples: int = 6, max_labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of few values, so that ties, empty rows and absent labels are common."""
    n_samples, n_labels = draw(st.integers(1, max_samples)), draw(st.integers(1, max_labels))
    cells = n_samples * n_labels
    labels = draw(st.lists(st.integers(0, 1), min_size=cells, max_size=cells))
    values = st.sampled_from([-1.5, 0.0, 0.2, 0.25, 0.3, 0.5, 0.7, 0.9, 2.0])
    scores = draw(st.lists(values, min_size=cells, max_size=cells))
    Y, S = np.reshape(labels, (n_samples, n_labels)), np.reshape(scores, (n_samples, n_labels))
    assume(Y.any())  # without a positive macro metrics are NaN; tested apart
    return Y, S


@pytest.mark.parametrize("scope", ["global", "cardinality", "rank"])
@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None, max_examples=40)
@given(case=problems())
def test_no_other_rule_of_the_scope_is_better(metric: str, scope: Any, case: tuple[np.ndarray, np.ndarray]) -> None:
    Y, S = case
    assert optimal_thresholds(Y, S, metric=metric, scope=scope).score == pytest.approx(
        best(metric, Y, ALL[scope](Y, S))
    )


@pytest.mark.parametrize("metric", SEPARABLE)
@settings(deadline=None, max_examples=60)
@given(case=problems(max_samples=4, max_labels=3))
def test_no_other_combination_of_thresholds_is_better(metric: str, case: tuple[np.ndarray, np.ndarray]) -> None:
    Y, S = case
    found = optimal_thresholds(Y, S, metric=metric, scope="per_label").score
    assert found == pytest.approx(best(metric, Y, all_per_label(Y, S)))


@pytest.mark.parametrize("metric", SEPARABLE)
@settings(deadline=None, max_examples=60)
@given(case=problems(max_samples=4, max_labels=3), data=st.data())
def test_cells_that_are_not_known_decide_no_threshold(
    metric: str, case: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    Y, S = case
    known = draw_known(data, Y)
    rule, unlearnt = thresholds_of_known(Y, S, known, metric=metric, otherwise=0.5)
    assume(not len(unlearnt))
    found = measure(metric, Y & known, known & rule.predict(S))
    assert found == pytest.approx(best(metric, Y & known, (known & P for P in all_per_label(Y, S))))
    assert rule.score == pytest.approx(measure(metric, Y, rule.predict(S)))


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None, max_examples=60)
@given(case=problems(), data=st.data())
def test_label_without_a_known_positive_gets_the_best_global_threshold(
    metric: str, case: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    Y, S = case
    known = draw_known(data, Y)
    rule, unlearnt = thresholds_of_known(Y, S, known, metric=metric, otherwise=0.5)
    assert rule.thresholds is not None
    assert unlearnt.tolist() == [
        label for label in range(Y.shape[1]) if Y[:, label].any() and not (Y & known)[:, label].any()
    ]
    for threshold in rule.thresholds[unlearnt]:
        found = measure(metric, Y & known, known & (threshold <= S))
        assert found == pytest.approx(best(metric, Y & known, (known & P for P in all_global(Y, S))))


def draw_known(data: st.DataObject, Y: np.ndarray) -> np.ndarray:
    known = np.reshape(data.draw(st.lists(st.booleans(), min_size=Y.size, max_size=Y.size)), Y.shape)
    assume((Y & known).any())
    return known


def test_otherwise_is_the_threshold_where_no_positive_is_known() -> None:
    Y, known = np.eye(2, dtype=int), ~np.eye(2, dtype=bool)
    rule, unlearnt = thresholds_of_known(Y, Y, known, metric="f1_macro", otherwise=0.5)
    np.testing.assert_array_equal(rule.thresholds, [0.5, 0.5])
    assert unlearnt.tolist() == [0, 1]
    assert rule.score == 1


@pytest.mark.parametrize("metric", MEANS_OVER_ROWS)
@settings(deadline=None, max_examples=60)
@given(case=problems(max_samples=8))
def test_means_over_rows_reach_a_local_optimum_that_betters_the_global_threshold(
    metric: str, case: tuple[np.ndarray, np.ndarray]
) -> None:
    Y, S = case
    rule = optimal_thresholds(Y, S, metric=metric, scope="per_label")
    assert rule.thresholds is not None
    assert rule.score >= optimal_thresholds(Y, S, metric=metric, scope="global").score - 1e-9
    for label, column in enumerate(S.T):
        for cut in cuts(column):
            moved = rule.thresholds.copy()
            moved[label] = cut
            assert measure(metric, Y, moved <= S) <= rule.score + 1e-9


@pytest.mark.parametrize("scope", SCOPES)
@settings(deadline=None)
@given(case=problems(), metric=st.sampled_from(METRICS))
def test_score_is_that_of_the_rules_own_predictions(
    scope: Any, case: tuple[np.ndarray, np.ndarray], metric: str
) -> None:
    Y, S = case
    rule = optimal_thresholds(Y, S, metric=metric, scope=scope)
    predicted = rule.predict(S)
    assert predicted.dtype == np.int64
    assert rule.score == pytest.approx(measure(metric, Y, predicted))


@pytest.mark.parametrize("scope", ["global", "rank", "cardinality"])
@settings(deadline=None)
@given(case=problems(), metric=st.sampled_from(METRICS))
def test_of_rules_that_serve_equally_well_the_one_that_predicts_least_is_taken(
    scope: Any, case: tuple[np.ndarray, np.ndarray], metric: str
) -> None:
    Y, S = case
    rule = optimal_thresholds(Y, S, metric=metric, scope=scope)
    as_good = [P.sum() for P in ALL[scope](Y, S) if measure(metric, Y, P) > rule.score - 1e-9]
    assert rule.predict(S).sum() == min(as_good)


@pytest.mark.parametrize("scope", ["global", "per_label", "cardinality"])
@settings(deadline=None)
@given(case=problems(), metric=st.sampled_from(METRICS), random=st.randoms())
def test_thresholds_do_not_depend_on_the_order_of_rows(
    scope: Any, case: tuple[np.ndarray, np.ndarray], metric: str, random: Any
) -> None:
    Y, S = case
    rows = list(range(len(Y)))
    random.shuffle(rows)
    straight, shuffled = (
        optimal_thresholds(Y[order], S[order], metric=metric, scope=scope) for order in (slice(None), rows)
    )
    np.testing.assert_array_equal(straight.thresholds, shuffled.thresholds)


@pytest.mark.parametrize("scope", SCOPES)
@settings(deadline=None)
@given(case=problems(), metric=st.sampled_from(METRICS))
def test_only_the_order_of_the_scores_counts(scope: Any, case: tuple[np.ndarray, np.ndarray], metric: str) -> None:
    Y, S = case
    _, ranks = np.unique(S, return_inverse=True)
    straight, ranked = (optimal_thresholds(Y, T, metric=metric, scope=scope) for T in (S, ranks.reshape(S.shape)))
    np.testing.assert_array_equal(straight.predict(S), ranked.predict(ranks.reshape(S.shape)))


@pytest.mark.parametrize("scope", ["global", "per_label", "cardinality"])
@settings(deadline=None, max_examples=200)
@given(data=st.data(), metric=st.sampled_from(METRICS))
def test_thresholds_separate_any_floats(scope: Any, data: st.DataObject, metric: str) -> None:
    """Also those next to each other, subnormal ones, and those whose sum is too large for a float."""
    start = data.draw(st.floats(allow_nan=False, allow_infinity=False))
    neighbours = [start]
    for _ in range(3):
        neighbours.append(math.nextafter(neighbours[-1], 0))
    values = st.sampled_from(neighbours) | st.floats(allow_nan=False, allow_infinity=False)
    S = np.reshape(data.draw(st.lists(values, min_size=8, max_size=8)), (4, 2))
    Y = np.reshape(data.draw(st.lists(st.integers(0, 1), min_size=8, max_size=8)), (4, 2))
    assume(Y.any())
    rule = optimal_thresholds(Y, S, metric=metric, scope=scope)
    assert rule.thresholds is not None
    assert rule.score == pytest.approx(measure(metric, Y, rule.predict(S)))
    if scope == "global":
        assert rule.score == pytest.approx(best(metric, Y, all_global(Y, S)))
    elif metric in SEPARABLE and scope == "per_label":
        assert rule.score == pytest.approx(best(metric, Y, all_per_label(Y, S)))


def test_threshold_lies_midway_between_neighbouring_scores() -> None:
    rule = optimal_thresholds([[1, 0], [1, 1], [0, 0]], [[7, 3], [4, 6], [1, 2]], metric="f1_macro", scope="per_label")
    assert rule.thresholds.tolist() == [2.5, 4.5]  # type: ignore[union-attr]
    assert optimal_thresholds([1, 0], [0.8, 0.4]).thresholds == pytest.approx(0.6)


def test_threshold_between_neighbouring_floats_is_the_higher_one() -> None:
    low = 1 - np.finfo(np.float64).eps / 2
    rule = optimal_thresholds([1, 0], [1.0, low])
    assert rule.thresholds == 1.0
    assert rule.predict([1.0, low]).ravel().tolist() == [1, 0]


def test_thresholds_beyond_all_scores_are_infinite() -> None:
    Y, S = [[1, 0], [1, 0], [1, 0]], [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]
    rule = optimal_thresholds(Y, S, metric="neg_hamming_loss", scope="per_label")
    assert rule.thresholds.tolist() == [-np.inf, np.inf]  # type: ignore[union-attr]
    assert rule.predict([[-9.0, 9.0]]).tolist() == [[1, 0]]


@pytest.mark.parametrize("scope", ["per_label", "cardinality"])
@pytest.mark.parametrize("metric", METRICS)
def test_label_without_a_positive_is_never_predicted(metric: str, scope: Any) -> None:
    rng = np.random.default_rng(0)
    Y, S = rng.integers(0, 2, (30, 4)), rng.random((30, 4))
    Y[:, 2], S[:, 2] = 0, 1
    rule = optimal_thresholds(Y, S, metric=metric, scope=scope)
    assert rule.thresholds is not None
    assert np.isposinf(rule.thresholds[2])
    without = optimal_thresholds(Y[:, [0, 1, 3]], S[:, [0, 1, 3]], metric=metric, scope=scope)
    if metric not in MEANS_OVER_ROWS or scope != "per_label":  # local optima may differ
        np.testing.assert_array_equal(rule.thresholds[[0, 1, 3]], without.thresholds)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("metric", METRICS)
def test_nothing_is_predicted_where_no_label_has_a_positive(metric: str, scope: Any) -> None:
    Y, S = np.zeros((3, 2)), np.arange(6.0).reshape(3, 2)
    rule = optimal_thresholds(Y, S, metric=metric, scope=scope)
    assert not rule.predict(S).any()
    assert rule.score == pytest.approx(measure(metric, Y, np.zeros((3, 2))), nan_ok=True)


def test_all_scopes_of_four_rows_are_those_worked_out_by_hand() -> None:
    found = {scope: optimal_thresholds(Y_BY_HAND, S_BY_HAND, metric="f1_micro", scope=scope) for scope in SCOPES}  # type: ignore[arg-type]
    # 0.9 1, 0.8 1, 0.7 1, 0.6 1 and 1, then 0.5 0: five of the six positives, no other
    assert found["global"].thresholds == pytest.approx([0.55] * 3)
    assert found["global"].score == pytest.approx(2 * 5 / (5 + 6))
    # the last positive is third of its label's scores: all others right, one wrong
    assert found["per_label"].thresholds == pytest.approx([0.5, 0.55, 0.225])
    assert found["per_label"].score == pytest.approx(2 * 6 / (7 + 6))
    # each label for as many rows as have it, its one row excepted: 0.3 is not the one
    assert found["cardinality"].thresholds == pytest.approx([0.5, 0.55, 0.275])
    assert found["cardinality"].score == pytest.approx(2 * 5 / (6 + 6))
    # the first label of each row is right; of the second ones two are right, the other positives, and two wrong
    assert found["rank"].n_labels_per_row == 2
    assert found["rank"].score == pytest.approx(2 * 6 / (8 + 6))


def test_rank_takes_the_first_of_labels_with_equal_scores() -> None:
    rule = optimal_thresholds([[1, 0, 0], [0, 1, 0]], [[0.5, 0.5, 0.5], [0.1, 0.7, 0.7]], scope="rank")
    assert rule.thresholds is None
    assert rule.n_labels_per_row == 1
    assert rule.predict([[0.2, 0.3, 0.3], [0.1, 0.1, 0.1]]).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_cardinality_predicts_each_label_for_the_same_multiple_of_its_rows() -> None:
    rng = np.random.default_rng(0)
    Y = rng.random((400, 3)) < [0.5, 0.25, 0.1]
    S = rng.random((400, 3)) + Y / 2
    n_predicted = optimal_thresholds(Y, S, metric="f2_micro", scope="cardinality").predict(S).sum(axis=0)
    n_true = Y.sum(axis=0)
    multiple = (n_predicted / n_true).max()
    assert multiple > 1
    np.testing.assert_array_equal(n_predicted, np.floor(multiple * n_true + 1e-9))


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, pd.DataFrame, np.ndarray.tolist])
def test_targets_of_each_kind_give_the_same_thresholds(container: Any) -> None:
    expected = optimal_thresholds(Y_BY_HAND, S_BY_HAND).thresholds
    np.testing.assert_array_equal(optimal_thresholds(container(Y_BY_HAND), S_BY_HAND).thresholds, expected)


def test_single_precision_is_compared_as_it_is() -> None:
    S = np.float32([[0.3], [np.nextafter(np.float32(0.3), np.float32(0))]])
    rule = optimal_thresholds([1, 0], S)
    assert rule.predict(S).ravel().tolist() == [1, 0]
    assert S[1, 0] < rule.thresholds < S[0, 0]  # type: ignore[operator]


@pytest.mark.parametrize(
    "metric", ["f1", "f0_macro", "f_samples", "f-1_samples", "f1_weighted", "hamming_loss", 2, None]
)
def test_unknown_metric_is_refused_with_those_that_are_known(metric: Any) -> None:
    message = r"The 'metric' parameter of optimal_thresholds must be 'f<beta>_<average>' .* Got .* instead"
    with pytest.raises(ValueError, match=message):
        optimal_thresholds([1, 0], [0.5, 0.4], metric=metric)


def test_unknown_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="The 'scope' parameter of optimal_thresholds must be a str among"):
        optimal_thresholds([1, 0], [0.5, 0.4], scope="row")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[0.1], [np.nan]], "NaN or infinity"),
        ([[0.1, 0.2], [0.1, 0.2]], r"y_true has shape \(2, 1\).*got \(2, 2\)"),
        ([0.1], "inconsistent numbers of samples"),
    ],
)
def test_wrong_scores_are_refused_with_the_reason(scores: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        optimal_thresholds([1, 0], scores)


def test_scores_of_other_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"thresholds for 2 labels.*\(n_samples, 2\), got \(1, 3\)"):
        DecisionRule(np.zeros(2), None, 1.0).predict([[0.1, 0.2, 0.3]])


@pytest.fixture(scope="module")
def planet(data_folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Planet's labels, and scores that tell them apart about as well as a network's do."""
    Y = load_planet_labels(data_folder / "planet_train_v2_all_labels.csv").target
    shares = Y.mean(axis=0)
    noise = np.random.default_rng(0).normal(scale=1.2, size=Y.shape)
    return Y, expit(logit(shares) + 2.5 * (Y - shares) + noise)


@pytest.mark.data
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("metric", ["f2_samples", "f2_micro", "f2_macro", "subset_accuracy", "neg_hamming_loss"])
def test_all_of_planets_labels_take_half_a_second(
    planet: tuple[np.ndarray, np.ndarray], metric: str, scope: Any
) -> None:
    start = time.process_time()
    optimal_thresholds(*planet, metric=metric, scope=scope)
    assert time.process_time() - start < 0.5


@pytest.mark.data
@pytest.mark.parametrize("average", AVERAGES)
def test_exact_threshold_betters_the_grid_on_planets_labels(
    planet: tuple[np.ndarray, np.ndarray], average: Any
) -> None:
    grid = max(fbeta_at_threshold(*planet, threshold=step / 20, average=average) for step in range(21))
    exact = optimal_thresholds(*planet, metric=f"f2_{average}")
    assert grid < exact.score < grid + 0.01
    assert exact.score == pytest.approx(
        fbeta_at_threshold(*planet, threshold=float(exact.thresholds[0]), average=average)  # type: ignore[index]
    )
    assert optimal_thresholds(*planet, metric=f"f2_{average}", scope="per_label").score > exact.score
