"""Multi-label measures against scikit-learn, against loops over the definitions, and by hand."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import UndefinedMetricWarning

from skdeep.metrics import (
    coverage,
    fbeta_at_threshold,
    is_error,
    multilabel_fbeta,
    multilabel_jaccard,
    multilabel_precision,
    multilabel_recall,
    multilabel_scores,
    one_error,
)

Case = tuple[np.ndarray, np.ndarray]

LOSSES = ("hamming_loss", "one_error", "coverage", "ranking_loss", "is_error")
ROW_RANKING = ("one_error", "coverage", "ranking_loss", "is_error", "average_precision")
AVERAGES = ("samples", "micro", "macro")
RATIOS = {
    "jaccard": multilabel_jaccard,
    "precision": multilabel_precision,
    "recall": multilabel_recall,
    "f1": lambda *indicators, **options: multilabel_fbeta(*indicators, beta=1, **options),
    "f2": lambda *indicators, **options: multilabel_fbeta(*indicators, beta=2, **options),
}
SKLEARN = {
    "jaccard": sk.jaccard_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "f2": lambda *indicators, **options: sk.fbeta_score(*indicators, beta=2, **options),
}

# Four rows worked out on paper. Hits, missed and false labels of the rows: 1 0 1, 2 0 0, 1 1 0, 0 0 1; of the labels:
# 2 0 0, 1 1 1, 1 0 1; in all: 4 1 2. The labels from the highest score to the lowest: 1 0 2, 2 1 0, 0 2 1, 0 2 1;
# the rows of each label: 2 0 3 1, 0 1 2 3, 1 2 3 0.
TRUE = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0]])
PREDICTED = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 1]])
SCORE = np.array([[0.4, 0.7, 0.1], [0.1, 0.3, 0.8], [0.9, 0.2, 0.6], [0.3, 0.1, 0.2]])
BY_HAND = {
    "hamming_loss": 3 / 12,
    "subset_accuracy": 1 / 4,
    "jaccard_samples": (1 / 2 + 1 + 1 / 2 + 0) / 4,
    "precision_samples": (1 / 2 + 1 + 1 + 0) / 4,
    "recall_samples": (1 + 1 + 1 / 2 + 0) / 4,
    "f1_samples": (2 / 3 + 1 + 2 / 3 + 0) / 4,
    "f2_samples": (5 / 6 + 1 + 5 / 9 + 0) / 4,
    "jaccard_micro": 4 / 7,
    "precision_micro": 4 / 6,
    "recall_micro": 4 / 5,
    "f1_micro": 8 / 11,
    "f2_micro": 20 / 26,
    "jaccard_macro": (1 + 1 / 3 + 1 / 2) / 3,
    "precision_macro": (1 + 1 / 2 + 1 / 2) / 3,
    "recall_macro": (1 + 1 / 2 + 1) / 3,
    "f1_macro": (1 + 1 / 2 + 2 / 3) / 3,
    "f2_macro": (1 + 1 / 2 + 5 / 6) / 3,
    "one_error": (1 + 0 + 0 + 0) / 4,
    "coverage": (1 + 1 + 2 + 0) / 4,
    "ranking_loss": (1 / 2 + 0 + 1 / 2 + 0) / 4,
    "is_error": (1 + 0 + 1 + 0) / 4,
    "average_precision": (1 / 2 + 1 + (1 + 2 / 3) / 2 + 1) / 4,
    "map_macro": (1 + (1 / 2 + 2 / 3) / 2 + 1) / 3,
}


@st.composite
def rankings(draw: st.DrawFn, min_labels: int = 1) -> Case:
    """Labels and scores of few values, so that ties and empty rows are common."""
    n_samples, n_labels = draw(st.integers(1, 6)), draw(st.integers(min_labels, 5))
    cells = n_samples * n_labels
    labels = draw(st.lists(st.integers(0, 1), min_size=cells, max_size=cells))
    scores = draw(st.lists(st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.9, 1.0]), min_size=cells, max_size=cells))
    return np.reshape(labels, (n_samples, n_labels)), np.reshape(scores, (n_samples, n_labels))


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def loop_ratios(true: Any, predicted: Any) -> dict[str, float] | None:
    """Precision, recall and the rest of one row, label or all cells; None where nothing is true nor predicted."""
    true_at, predicted_at = set(np.flatnonzero(true)), set(np.flatnonzero(predicted))
    if not true_at | predicted_at:
        return None
    n_hits = len(true_at & predicted_at)
    precision = n_hits / len(predicted_at) if predicted_at else 0.0
    recall = n_hits / len(true_at) if true_at else 0.0
    f1, f2 = ((1 + b) * precision * recall / (b * precision + recall) if n_hits else 0.0 for b in (1, 4))
    return {
        "jaccard": n_hits / len(true_at | predicted_at), "precision": precision, "recall": recall, "f1": f1, "f2": f2
    }  # fmt: skip


def loop_ranking(true: Any, score: Any) -> dict[str, float]:
    """The ranking measures of one row."""
    positive, negative = np.flatnonzero(true), np.flatnonzero(np.equal(true, 0))
    if len(positive) == 0:
        return {**dict.fromkeys(ROW_RANKING, 0.0), "average_precision": 1.0}
    top = [j for j in range(len(true)) if score[j] == max(score)]
    above = {i: [j for j in range(len(true)) if score[j] >= score[i]] for i in positive}
    n_wrong = sum(score[j] >= score[i] for i in positive for j in negative)
    return {
        "one_error": mean([float(true[j] == 0) for j in top]),
        "coverage": max(len(labels) for labels in above.values()) - 1,
        "ranking_loss": n_wrong / (len(positive) * len(negative)) if len(negative) else 0.0,
        "is_error": float(n_wrong > 0),
        "average_precision": mean([sum(true[j] for j in labels) / len(labels) for labels in above.values()]),
    }


def loop_scores(Y: np.ndarray, P: np.ndarray, S: np.ndarray) -> dict[str, float]:
    """All measures, by loops over the definitions."""
    n_rows, n_labels = Y.shape
    scores = {
        "hamming_loss": mean([float(Y[i, j] != P[i, j]) for i in range(n_rows) for j in range(n_labels)]),
        "subset_accuracy": mean([float(list(y) == list(p)) for y, p in zip(Y, P, strict=True)]),
    }
    of_rows = [loop_ratios(y, p) for y, p in zip(Y, P, strict=True)]
    of_labels = [loop_ratios(y, p) for y, p in zip(Y.T, P.T, strict=True)]
    of_all = loop_ratios(Y.ravel(), P.ravel())
    for name in RATIOS:
        scores[f"{name}_samples"] = mean([1.0 if row is None else row[name] for row in of_rows])
        scores[f"{name}_micro"] = 1.0 if of_all is None else of_all[name]
        scores[f"{name}_macro"] = mean([label[name] for label in of_labels if label is not None])
    ranked = [loop_ranking(y, s) for y, s in zip(Y, S, strict=True)]
    scores |= {name: mean([row[name] for row in ranked]) for name in ROW_RANKING}
    columns = [loop_ranking(y, s) for y, s in zip(Y.T, S.T, strict=True) if y.any()]
    return scores | {"map_macro": mean([column["average_precision"] for column in columns])}


def test_scores_of_four_rows_are_those_worked_out_by_hand() -> None:
    assert multilabel_scores(TRUE, PREDICTED, SCORE) == pytest.approx(BY_HAND)


@settings(deadline=None, max_examples=200)
@given(rankings())
def test_scores_equal_loops_over_the_definitions(case: Case) -> None:
    Y, S = case
    P = (S >= 0.5).astype(int)
    assert multilabel_scores(Y, P, S) == pytest.approx(loop_scores(Y, P, S), nan_ok=True)


@settings(deadline=None)
@given(rankings(min_labels=2))
def test_scores_equal_scikit_learns(case: Case) -> None:
    Y, S = case
    P = (S >= 0.5).astype(int)
    scores = multilabel_scores(Y, P, S)
    expected = {
        "hamming_loss": sk.hamming_loss(Y, P),
        "subset_accuracy": sk.accuracy_score(Y, P),
        "ranking_loss": sk.label_ranking_loss(Y, S),
        "average_precision": sk.label_ranking_average_precision_score(Y, S),
        "coverage": sk.coverage_error(Y, S) - Y.any(axis=1).mean(),
    }
    if Y.any():
        expected["map_macro"] = np.mean(
            [sk.average_precision_score(y, s) for y, s in zip(Y.T, S.T, strict=True) if y.any()]
        )
    seen = (Y | P).astype(bool)
    for name, measure in SKLEARN.items():
        # rows that are neither true nor predicted count 1 here, and 0 there
        of_rows = measure(Y, P, average="samples", zero_division=0)
        expected[f"{name}_samples"] = of_rows + 1 - seen.any(axis=1).mean()
        if seen.any():
            expected[f"{name}_micro"] = measure(Y, P, average="micro", zero_division=0)
            expected[f"{name}_macro"] = measure(Y, P, average=None, zero_division=0)[seen.any(axis=0)].mean()
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("name", ["jaccard", "f1", "f2"])
@settings(deadline=None)
@given(case=rankings(min_labels=2))
def test_rows_follow_scikit_learns_rule_of_zero_division_1(name: str, case: Case) -> None:
    Y, S = case
    P = (S >= 0.5).astype(int)
    expected = SKLEARN[name](Y, P, average="samples", zero_division=1)
    assert RATIOS[name](Y, P, average="samples") == pytest.approx(expected)


@settings(deadline=None)
@given(rankings())
def test_each_function_gives_the_score_of_its_name(case: Case) -> None:
    Y, S = case
    P = (S >= 0.5).astype(int)
    single = {
        f"{name}_{average}": measure(Y, P, average=average) for name, measure in RATIOS.items() for average in AVERAGES
    }
    single |= {"one_error": one_error(Y, S), "coverage": coverage(Y, S), "is_error": is_error(Y, S)}
    scores = multilabel_scores(Y, P, S)
    assert {name: scores[name] for name in single} == pytest.approx(single, nan_ok=True)


@settings(deadline=None)
@given(rankings(), st.randoms())
def test_scores_do_not_depend_on_the_order_of_labels_or_rows(case: Case, random: Any) -> None:
    Y, S = case
    rows, columns = list(range(Y.shape[0])), list(range(Y.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    cells = np.ix_(rows, columns)
    straight = multilabel_scores(Y, S >= 0.5, S)
    assert multilabel_scores(Y[cells], (S >= 0.5)[cells], S[cells]) == pytest.approx(straight, nan_ok=True)


@pytest.mark.parametrize("rise", [lambda s: 3 * s - 7, np.exp, lambda s: np.log(s + 0.01), lambda s: 1e9 * s**3])
@settings(deadline=None)
@given(case=rankings())
def test_ranking_measures_look_at_the_order_of_scores_only(rise: Any, case: Case) -> None:
    Y, S = case
    assert multilabel_scores(Y, Y, rise(S)) == pytest.approx(multilabel_scores(Y, Y, S), nan_ok=True)


@settings(deadline=None)
@given(rankings())
def test_measures_of_rows_do_not_compare_scores_of_different_rows(case: Case) -> None:
    Y, S = case
    shifted = S * np.arange(1, len(S) + 1)[:, None] - np.arange(len(S))[:, None]
    scores, same = multilabel_scores(Y, Y, S), multilabel_scores(Y, Y, shifted)
    assert [same[name] for name in ROW_RANKING] == pytest.approx([scores[name] for name in ROW_RANKING])


@settings(deadline=None)
@given(rankings())
def test_scores_stay_within_their_bounds(case: Case) -> None:
    Y, S = case
    scores = multilabel_scores(Y, S >= 0.5, S)
    rounding = 1e-12
    assert 0 <= scores["coverage"] <= Y.shape[1] - 1
    assert all(np.isnan(score) or 0 <= score <= 1 for name, score in scores.items() if name != "coverage")
    assert scores["subset_accuracy"] <= scores["jaccard_samples"] + rounding
    assert scores["jaccard_samples"] <= scores["f1_samples"] + rounding
    assert scores["hamming_loss"] <= 1 - scores["subset_accuracy"] + rounding
    assert max(scores["ranking_loss"], scores["one_error"]) <= scores["is_error"] + rounding


@settings(deadline=None)
@given(rankings())
def test_the_truth_scores_best(case: Case) -> None:
    Y, _ = case
    expected = {name: 0.0 if name in LOSSES else 1.0 for name in BY_HAND}
    expected["coverage"] = np.maximum(Y.sum(axis=1) - 1, 0).mean()
    if not Y.any():
        expected |= {name: float("nan") for name in BY_HAND if name.endswith("_macro")}
    assert multilabel_scores(Y, Y, Y) == pytest.approx(expected, nan_ok=True)


@settings(deadline=None)
@given(rankings(), st.sampled_from([sparse.csr_matrix, sparse.csr_array, sparse.coo_array]))
def test_sparse_and_dense_targets_score_alike(case: Case, container: Any) -> None:
    Y, S = case
    P = (S >= 0.5).astype(int)
    dense = multilabel_scores(Y, P, S)
    assert multilabel_scores(container(Y), container(P), S) == pytest.approx(dense, nan_ok=True, rel=0, abs=0)


@pytest.mark.parametrize("container", [pd.DataFrame, np.ndarray.tolist, lambda values: values.astype(bool)])
def test_targets_of_each_kind_score_alike(container: Any) -> None:
    scores = multilabel_scores(container(TRUE), container(PREDICTED), SCORE)
    assert scores == multilabel_scores(TRUE, PREDICTED, SCORE)


def test_scores_may_come_sparse_or_in_a_table() -> None:
    scores = multilabel_scores(TRUE, PREDICTED, SCORE)
    assert multilabel_scores(TRUE, PREDICTED, sparse.csr_array(SCORE)) == scores
    assert multilabel_scores(TRUE, PREDICTED, pd.DataFrame(SCORE)) == scores


def test_without_scores_there_are_only_the_measures_of_labels() -> None:
    scores = multilabel_scores(TRUE, PREDICTED)
    assert scores == pytest.approx({name: BY_HAND[name] for name in BY_HAND if name not in {*ROW_RANKING, "map_macro"}})


def test_one_label_may_be_a_vector_or_a_column() -> None:
    vector = multilabel_scores(TRUE[:, 0], PREDICTED[:, 0], SCORE[:, 0])
    assert vector == multilabel_scores(TRUE[:, :1], PREDICTED[:, :1], SCORE[:, :1])
    assert vector["f1_micro"] == pytest.approx(sk.f1_score(TRUE[:, 0], PREDICTED[:, 0]))


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
    assert multilabel_fbeta(Y, P, beta=beta, average=average) == pytest.approx(expected)


@pytest.mark.parametrize("name", RATIOS)
@pytest.mark.parametrize(
    ("average", "Y", "P", "expected"),
    [
        pytest.param("samples", [[1, 1]], [[0, 0]], 0, id="nothing predicted of a row"),
        pytest.param("samples", [[0, 0]], [[1, 0]], 0, id="nothing true of a row"),
        pytest.param("samples", [[0, 0], [1, 0]], [[0, 0], [0, 1]], 1 / 2, id="a row neither true nor predicted"),
        pytest.param("micro", [[1, 1], [0, 0]], [[0, 0], [0, 0]], 0, id="nothing predicted at all"),
        pytest.param("micro", [[0, 0], [0, 0]], [[0, 0], [1, 0]], 0, id="nothing true at all"),
        pytest.param("micro", [[0, 0]], [[0, 0]], 1, id="nothing true nor predicted at all"),
        pytest.param("macro", [[1, 1]], [[1, 0]], 1 / 2, id="a label never predicted"),
        pytest.param("macro", [[1, 0]], [[1, 1]], 1 / 2, id="a label never true"),
        pytest.param("macro", [[1, 1, 0]], [[1, 0, 0]], 1 / 2, id="a label neither true nor predicted"),
        pytest.param("macro", [[0, 0]], [[0, 0]], np.nan, id="no label to take the mean of"),
    ],
)
def test_what_cannot_be_divided_follows_the_rule(name: str, average: Any, Y: Any, P: Any, expected: float) -> None:
    assert RATIOS[name](Y, P, average=average) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", SKLEARN)
def test_scikit_learn_counts_0_where_nothing_is_true_nor_predicted(name: str, average: str) -> None:
    empty = np.zeros((1, 2), dtype=int)
    with pytest.warns(UndefinedMetricWarning):
        assert SKLEARN[name](empty, empty, average=average) == 0


@pytest.mark.parametrize(("value", "others"), [(0, "positive"), (1, "negative")])
def test_rows_with_nothing_to_rank_count_as_ranked_without_fault(value: int, others: str) -> None:
    Y, S = np.full((2, 3), value), np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    scores = multilabel_scores(Y, Y, S)
    assert (scores["one_error"], scores["ranking_loss"], scores["is_error"]) == (0, 0, 0), f"no {others} label"
    assert scores["coverage"] == (2 if value else 0)
    assert scores["average_precision"] == 1
    assert sk.label_ranking_loss(Y, S) == 0
    assert sk.label_ranking_average_precision_score(Y, S) == 1


def test_mean_average_precision_leaves_out_labels_without_a_positive() -> None:
    Y, S = np.array([[1, 0], [0, 0]]), np.array([[0.9, 0.1], [0.2, 0.3]])
    assert multilabel_scores(Y, Y, S)["map_macro"] == 1
    assert np.isnan(multilabel_scores(Y[:, 1], Y[:, 1], S[:, 1])["map_macro"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert sk.average_precision_score(Y, S) == 1 / 2


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([0.9, 0.8, 0.1], (0, 0), id="both positive labels first"),
        pytest.param([0.9, 0.1, 0.8], (0, 1), id="a negative one between them"),
        pytest.param([0.9, 0.5, 0.5], (0, 1), id="a negative one equal to the lower"),
        pytest.param([0.9, 0.5, 0.9], (1 / 2, 1), id="a negative one equal to the higher"),
        pytest.param([0.8, 0.1, 0.9], (1, 1), id="a negative one first"),
    ],
)
def test_ties_count_against_the_classifier_but_in_one_error(scores: list[float], expected: tuple[float, float]) -> None:
    assert (one_error([[1, 1, 0]], [scores]), is_error([[1, 1, 0]], [scores])) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_error(TRUE, SCORE[:, :2]), r"y_true has shape \(4, 3\).*got \(4, 2\)"),
        (lambda: is_error(TRUE[:, :2], SCORE), r"y_true has shape \(4, 2\).*got \(4, 3\)"),
        (lambda: coverage(TRUE, [SCORE, SCORE, SCORE]), "list of 3 arrays.*columns for class 1 stacked"),
        (lambda: coverage(TRUE, [SCORE[:, :2], SCORE[:, :1]]), "list of 2 arrays.*columns for class 1 stacked"),
        (lambda: coverage(TRUE[:2], SCORE), "inconsistent numbers of samples"),
        (lambda: one_error(TRUE + 1, SCORE), "only 0 and 1, it also holds 2"),
        (lambda: one_error(TRUE, SCORE * np.nan), "NaN or infinity"),
        (lambda: fbeta_at_threshold(TRUE, SCORE - 1), "probabilities between 0 and 1, got values from -0.9 to -0.1"),
        (lambda: fbeta_at_threshold(TRUE, SCORE, threshold=2), "The 'threshold' parameter of fbeta_at_threshold"),
        (lambda: fbeta_at_threshold(TRUE, SCORE, beta=0), "The 'beta' parameter of fbeta_at_threshold"),
        (lambda: multilabel_fbeta(TRUE, TRUE, beta=-1), "The 'beta' parameter of multilabel_fbeta"),
        (
            lambda: multilabel_precision(TRUE, TRUE, average="weighted"),
            "The 'average' parameter of multilabel_precision",
        ),
        (lambda: multilabel_recall(TRUE, TRUE, average=None), "The 'average' parameter of multilabel_recall"),
        (lambda: multilabel_jaccard(TRUE, SCORE), "only 0 and 1, it also holds 0.1"),
        (lambda: multilabel_scores(TRUE, SCORE, SCORE), "only 0 and 1, it also holds 0.1"),
        (lambda: multilabel_scores(TRUE, PREDICTED[:, :2], SCORE), "so the predictions must be one array"),
    ],
)
def test_wrong_input_is_refused_with_the_reason(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_labels_in_another_order_are_refused() -> None:
    true = pd.DataFrame(TRUE, columns=["a", "b", "c"])
    predicted = pd.DataFrame(PREDICTED, columns=["a", "b", "c"])[["b", "a", "c"]]
    scores = pd.DataFrame(SCORE, columns=["c", "b", "a"])
    with pytest.raises(
        ValueError, match="y_true and the predictions have the same labels in another order: a, b, c and b, a, c"
    ):
        multilabel_scores(true, predicted)
    with pytest.raises(ValueError, match="y_true and the scores have the same labels in another order"):
        one_error(true, scores)
    expected = multilabel_scores(TRUE, PREDICTED, SCORE)
    assert multilabel_scores(true, predicted[true.columns], SCORE) == expected
    assert multilabel_scores(true, pd.DataFrame(PREDICTED), SCORE) == expected


def test_all_scores_of_forty_thousand_rows_take_under_two_seconds() -> None:
    rng = np.random.default_rng(0)
    Y, S = (rng.random((40_479, 17)) < 0.17).astype(int), rng.random((40_479, 17))
    start = time.process_time()
    multilabel_scores(Y, S > 0.5, S)
    assert time.process_time() - start < 2
