"""Calibrated label ranking: votes by hand and by loops, and what the calibration label promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_multilabel_classification
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from skdeep.multilabel import BinaryRelevance, CalibratedLabelRanking

Problem = tuple[np.ndarray, np.ndarray]


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was given, and answers 1."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Recorder:
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.ones(len(X), dtype=int)


@pytest.fixture(scope="module")
def problem() -> Problem:
    X, Y = make_multilabel_classification(n_samples=150, n_features=8, n_classes=5, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


def ranks_by_loops(X: np.ndarray, Y: np.ndarray, rows: np.ndarray, *, soft: bool) -> np.ndarray:
    """The ranks of labels over the calibration label, one model and one row after the other."""
    n_labels = Y.shape[1]

    def share(fitted: GaussianNB, row: np.ndarray) -> float:
        return fitted.predict_proba([row])[0, 1] if soft else fitted.predict([row])[0]

    ranks = np.empty((len(rows), n_labels))
    for place, row in enumerate(rows):
        votes, calibration = [0.0] * n_labels, 0.0
        for i in range(n_labels):
            for j in range(i):
                one = Y[:, i] + Y[:, j] == 1
                for_i = share(GaussianNB().fit(X[one], Y[one, i]), row)
                votes[i] += for_i
                votes[j] += 1 - for_i
            relevant = share(GaussianNB().fit(X, Y[:, i]), row)
            votes[i] += relevant
            calibration += 1 - relevant
        ranks[place] = [(1 + (vote - calibration) / n_labels) / 2 for vote in votes]
    return ranks


@pytest.mark.parametrize(("voting", "soft"), [("hard", False), ("soft", True), ("auto", True)])
def test_votes_equal_the_paper_in_loops(voting: str, soft: bool, problem: Problem) -> None:
    X, Y = problem
    ranking = CalibratedLabelRanking(GaussianNB(), voting=voting).fit(X[:100], Y[:100])
    expected = ranks_by_loops(X[:100], Y[:100], X[100:110], soft=soft)
    np.testing.assert_allclose(ranking.predict_proba(X[100:110]), expected)
    np.testing.assert_array_equal(ranking.predict(X[100:110]), ranking.predict_proba(X[100:110]) >= 0.5)
    assert len(ranking.estimators_) == 15


def test_votes_of_three_labels_by_hand() -> None:
    """All bases vote for their first label: label 0 wins 3 times, 1 twice, 2 once, the calibration label never."""
    Y = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    ranking = CalibratedLabelRanking(Recorder()).fit(np.zeros((4, 1)), Y)
    assert ranking.pairs_.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    np.testing.assert_allclose(ranking.predict_proba(np.zeros((1, 1))), [[1, 5 / 6, 4 / 6]])


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_ranking_of_one_label_is_binary_relevance(voting: str, problem: Problem) -> None:
    X, Y = problem
    ranking = CalibratedLabelRanking(GaussianNB(), voting=voting).fit(X, Y[:, 0])
    relevance = BinaryRelevance(GaussianNB()).fit(X, Y[:, 0])
    expected = relevance.predict_proba(X) if voting == "soft" else relevance.predict(X)
    np.testing.assert_allclose(ranking.predict_proba(X), expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(Y=arrays(np.int64, st.tuples(st.integers(2, 8), st.integers(1, 5)), elements=st.integers(0, 1)))
def test_bases_that_are_right_rank_relevant_labels_above_the_others(Y: np.ndarray) -> None:
    X = np.arange(len(Y)).reshape(-1, 1)
    ranking = CalibratedLabelRanking(KNeighborsClassifier(1), voting="hard").fit(X, Y)
    np.testing.assert_array_equal(ranking.predict(X), Y)
    for labels, ranks in zip(Y, ranking.predict_proba(X), strict=True):
        assert ranks[labels == 1].min(initial=1) > 0.5 > ranks[labels == 0].max(initial=0)


def test_bases_learn_from_the_rows_that_have_one_of_two_labels() -> None:
    X = [f"{row}.jpg" for row in range(5)]
    Y = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0]])
    ranking = CalibratedLabelRanking(Recorder()).fit(X, Y, sample_weight=np.arange(5.0))
    pair, *calibration = ranking.estimators_
    assert pair.X_ == ["0.jpg", "1.jpg", "4.jpg"]
    assert pair.y_.tolist() == [1, 0, 1]
    assert pair.weight_.tolist() == [0, 1, 4]
    for label, fitted in enumerate(calibration):
        assert fitted.X_ is X
        assert fitted.y_.tolist() == Y[:, label].tolist()
        assert fitted.weight_.tolist() == [0, 1, 2, 3, 4]


def test_labels_that_never_differ_share_a_vote(problem: Problem) -> None:
    X, Y = problem
    ranking = CalibratedLabelRanking(GaussianNB(), voting="hard").fit(X, Y[:, [0, 1, 0]])
    assert [0, 2] not in ranking.pairs_.tolist()
    proba = ranking.predict_proba(X)
    np.testing.assert_array_equal(proba[:, 0], proba[:, 2])
    np.testing.assert_array_equal(ranking._votes(X).sum(axis=1), 6)


@pytest.mark.parametrize("value", [0, 1])
def test_certain_label_decides_about_no_other(value: int, problem: Problem) -> None:
    X, Y = problem
    certain = np.column_stack([np.full(len(Y), value), Y])
    alone = CalibratedLabelRanking(LinearSVC()).fit(X, Y).predict(X)
    beside = CalibratedLabelRanking(LinearSVC()).fit(X, certain).predict(X)
    np.testing.assert_array_equal(beside[:, 1:], alone)
    np.testing.assert_array_equal(beside[:, 0], value)


@pytest.mark.parametrize("parameters", [{"voting": "loud"}, {"n_jobs": 1.5}])
def test_ranking_checks_its_parameters(parameters: dict[str, Any], problem: Problem) -> None:
    name = next(iter(parameters))
    with pytest.raises(ValueError, match=f"The '{name}' parameter of CalibratedLabelRanking must be"):
        CalibratedLabelRanking(GaussianNB(), **parameters).fit(*problem)
