"""Multi-label scores against scikit-learn, against loops over the definitions, and by hand."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.svm import LinearSVC

from skdeep.metrics import (
    coverage,
    fbeta_at_threshold,
    get_scorer,
    get_scorer_names,
    multilabel_scores,
    one_error,
)
from skdeep.multilabel import BinaryRelevance

# Three rows worked out on paper; the labels from the highest score to the lowest are 1 0 2, 2 1 0 and 0 2 1.
TRUE = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0]])
SCORE = np.array([[0.4, 0.7, 0.1], [0.1, 0.3, 0.8], [0.9, 0.2, 0.6]])
PREDICTED = np.array([[0, 1, 0], [0, 1, 1], [1, 0, 1]])
BY_HAND = {
    "hamming_loss": 4 / 9,
    "f2_samples": (0 + 1 + 0.5) / 3,
    "f1_samples": (0 + 1 + 0.5) / 3,
    "f1_micro": 2 * 3 / (5 + 5),
    "f1_macro": (2 / 3 + 1 / 2 + 2 / 3) / 3,
    "subset_accuracy": 1 / 3,
    "ranking_loss": (1 / 2 + 0 + 1 / 2) / 3,
    "one_error": 1 / 3,
    "coverage": (1 + 1 + 2) / 3,
    "average_precision": (1 / 2 + 1 + (1 + 2 / 3) / 2) / 3,
    "map_macro": (1 + (1 / 2 + 2 / 3) / 2 + 1) / 3,
}


@st.composite
def rankings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of few values, so that ties and empty rows are common."""
    n_samples, n_labels = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    cells = n_samples * n_labels
    labels = draw(st.lists(st.integers(0, 1), min_size=cells, max_size=cells))
    scores = draw(st.lists(st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.9, 1.0]), min_size=cells, max_size=cells))
    return np.reshape(labels, (n_samples, n_labels)), np.reshape(scores, (n_samples, n_labels))


def mean_average_precision(Y: np.ndarray, S: np.ndarray) -> float:
    values = [sk.average_precision_score(Y[:, j], S[:, j]) for j in range(Y.shape[1]) if Y[:, j].any()]
    return float(np.mean(values)) if values else float("nan")


def mean_f1_of_labels(Y: np.ndarray, P: np.ndarray) -> float:
    values = [sk.f1_score(Y[:, j], P[:, j]) for j in range(Y.shape[1]) if Y[:, j].any() or P[:, j].any()]
    return float(np.mean(values)) if values else float("nan")


def test_scores_of_three_rows_are_those_worked_out_by_hand() -> None:
    assert multilabel_scores(TRUE, PREDICTED, SCORE) == pytest.approx(BY_HAND)


@settings(deadline=None, max_examples=200)
@given(rankings())
def test_scores_equal_scikit_learns(case: tuple[np.ndarray, np.ndarray]) -> None:
    Y, S = case
    P = (S >= 0.5).astype(int)
    scores = multilabel_scores(Y, P, S)
    expected = {
        "hamming_loss": np.mean(Y != P),
        "subset_accuracy": np.mean((Y == P).all(axis=1)),
        "f1_micro": sk.f1_score(Y.ravel(), P.ravel(), zero_division=1),
        "f1_samples": np.mean([sk.f1_score(y, p, zero_division=1) for y, p in zip(Y, P, strict=True)]),
        "f2_samples": np.mean([sk.fbeta_score(y, p, beta=2, zero_division=1) for y, p in zip(Y, P, strict=True)]),
        "f1_macro": mean_f1_of_labels(Y, P),
        "map_macro": mean_average_precision(Y, S),
    }
    if Y.shape[1] > 1:
        expected["ranking_loss"] = sk.label_ranking_loss(Y, S)
        expected["average_precision"] = sk.label_ranking_average_precision_score(Y, S)
        expected["coverage"] = sk.coverage_error(Y, S) - Y.any(axis=1).mean()
    assert {name: scores[name] for name in expected} == pytest.approx(expected, nan_ok=True)


@settings(deadline=None)
@given(rankings())
def test_one_error_is_the_mean_over_the_tied_labels(case: tuple[np.ndarray, np.ndarray]) -> None:
    Y, S = case
    rows = []
    for y, s in zip(Y, S, strict=True):
        top = np.flatnonzero(s == s.max())
        rows.append(float(np.mean(y[top] == 0)) if y.any() else 0.0)
    assert one_error(Y, S) == pytest.approx(np.mean(rows))


@settings(deadline=None)
@given(rankings(), st.randoms())
def test_scores_do_not_depend_on_the_order_of_labels_or_rows(case: tuple[np.ndarray, np.ndarray], random: Any) -> None:
    Y, S = case
    rows, columns = list(range(Y.shape[0])), list(range(Y.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    cells = np.ix_(rows, columns)
    straight = multilabel_scores(Y, S >= 0.5, S)
    assert multilabel_scores(Y[cells], (S >= 0.5)[cells], S[cells]) == pytest.approx(straight, nan_ok=True)


@pytest.mark.parametrize("average", ["samples", "micro"])
@settings(deadline=None)
@given(case=rankings(), beta=st.sampled_from([0.5, 1, 2]), threshold=st.sampled_from([None, 0, 0.2, 0.5, 1]))
def test_fbeta_at_threshold_equals_scikit_learns(case: Any, beta: float, threshold: float | None, average: Any) -> None:
    Y, S = case
    cut = 1 / (1 + beta**2) if threshold is None else threshold
    P = np.greater_equal(S, cut)
    if average == "micro":
        expected = sk.fbeta_score(Y.ravel(), P.ravel(), beta=beta, zero_division=1)
    else:
        expected = np.mean([sk.fbeta_score(y, p, beta=beta, zero_division=1) for y, p in zip(Y, P, strict=True)])
    assert fbeta_at_threshold(Y, S, beta=beta, threshold=threshold, average=average) == pytest.approx(expected)


def test_fbeta_of_labels_leaves_out_those_never_seen() -> None:
    Y, S = np.array([[1, 0, 0], [1, 0, 1]]), np.array([[0.9, 0.0, 0.9], [0.9, 0.1, 0.0]])
    assert fbeta_at_threshold(Y, S, average="macro") == pytest.approx((1 + 0) / 2)
    assert np.isnan(fbeta_at_threshold(Y[:, 1], S[:, 1], average="macro"))


def test_rows_without_a_positive_count_as_ranked_without_fault() -> None:
    Y, S = np.zeros((2, 3), dtype=int), np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    scores = multilabel_scores(Y, Y, S)
    assert (scores["one_error"], scores["coverage"], scores["ranking_loss"]) == (0, 0, 0)
    assert scores["average_precision"] == scores["f1_samples"] == 1
    assert np.isnan(scores["map_macro"])
    assert np.isnan(scores["f1_macro"])


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, pd.DataFrame, np.ndarray.tolist])
def test_targets_of_each_kind_score_alike(container: Any) -> None:
    scores = multilabel_scores(container(TRUE), container(PREDICTED), SCORE)
    assert scores == multilabel_scores(TRUE, PREDICTED, SCORE)


def test_one_label_may_be_a_vector_or_a_column() -> None:
    vector = multilabel_scores(TRUE[:, 0], PREDICTED[:, 0], SCORE[:, 0])
    assert vector == multilabel_scores(TRUE[:, :1], PREDICTED[:, :1], SCORE[:, :1])
    assert vector["f1_micro"] == pytest.approx(sk.f1_score(TRUE[:, 0], PREDICTED[:, 0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_error(TRUE, SCORE[:, :2]), r"y_true has shape \(3, 3\).*got \(3, 2\)"),
        (lambda: coverage(TRUE, [SCORE, SCORE, SCORE]), "list with one array a label"),
        (lambda: coverage(TRUE[:2], SCORE), "inconsistent numbers of samples"),
        (lambda: one_error(TRUE + 1, SCORE), "only 0 and 1, it also holds 2"),
        (lambda: one_error(TRUE, SCORE * np.nan), "NaN or infinity"),
        (lambda: fbeta_at_threshold(TRUE, SCORE - 1), "probabilities between 0 and 1, got values from -0.9 to -0.1"),
        (lambda: fbeta_at_threshold(TRUE, SCORE, threshold=2), "The 'threshold' parameter of fbeta_at_threshold"),
        (lambda: fbeta_at_threshold(TRUE, SCORE, beta=0), "The 'beta' parameter of fbeta_at_threshold"),
        (lambda: multilabel_scores(TRUE, SCORE, SCORE), "only 0 and 1, it also holds 0.1"),
        (lambda: multilabel_scores(TRUE, PREDICTED[:, :2], SCORE), "so the predictions must be one array"),
        (lambda: get_scorer("one_error"), "'one_error' is no scorer of skdeep.*neg_one_error"),
    ],
)
def test_wrong_input_is_refused_with_the_reason(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", get_scorer_names())
def test_scorers_choose_by_grid_search(name: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 3))
    Y = (X > [0.2, 0.5, -0.3]).astype(int)
    search = GridSearchCV(
        BinaryRelevance(LogisticRegression()), {"estimator__C": [1e-6, 10.0]}, scoring=get_scorer(name), cv=3
    )
    assert search.fit(X, Y).best_params_ == {"estimator__C": 10.0}


def test_scorers_give_the_measures() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 3))
    Y = (X + rng.standard_normal(X.shape) > 0).astype(int)
    model = BinaryRelevance(LogisticRegression()).fit(X, Y)
    proba, predicted = model.predict_proba(X), model.predict(X)
    scores = multilabel_scores(Y, predicted, proba)
    assert {name: get_scorer(name)(model, X, Y) for name in get_scorer_names()} == pytest.approx(
        {
            "f2_at_threshold": fbeta_at_threshold(Y, proba),
            "f2_samples": scores["f2_samples"],
            "neg_coverage": -scores["coverage"],
            "neg_hamming_loss": -scores["hamming_loss"],
            "neg_one_error": -scores["one_error"],
            "neg_ranking_loss": -scores["ranking_loss"],
        }
    )
    assert get_scorer("f1_micro")(model, X, Y) == pytest.approx(scores["f1_micro"])


def test_ranking_scorers_take_decision_values_and_lists_of_probabilities() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 3))
    Y = (X + rng.standard_normal(X.shape) > 0).astype(int)
    scorer = get_scorer("neg_ranking_loss")
    margins = BinaryRelevance(LinearSVC()).fit(X, Y)
    assert scorer(margins, X, Y) == pytest.approx(-sk.label_ranking_loss(Y, margins.decision_function(X)))
    forest = RandomForestClassifier(10, random_state=0).fit(X, Y)
    stacked = np.column_stack([proba[:, 1] for proba in forest.predict_proba(X)])
    assert scorer(forest, X, Y) == pytest.approx(-sk.label_ranking_loss(Y, stacked))


def test_all_scores_of_forty_thousand_rows_take_under_two_seconds() -> None:
    rng = np.random.default_rng(0)
    Y, S = (rng.random((40_479, 17)) < 0.17).astype(int), rng.random((40_479, 17))
    start = time.perf_counter()
    multilabel_scores(Y, S > 0.5, S)
    assert time.perf_counter() - start < 2
