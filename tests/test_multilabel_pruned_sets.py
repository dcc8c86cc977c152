"""Pruned sets: which rows come back, with which labels, by hand and by brute force."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skdeep.multilabel import EnsembleOfPrunedSets, LabelPowerset, MultilabelBaggingClassifier, PrunedSets

Problem = tuple[np.ndarray, np.ndarray]

# label sets of three labels: 110 four times, 100 three times, 010 twice, 111 and 101 once
Y = np.array([[1, 1, 0]] * 4 + [[1, 0, 0]] * 3 + [[0, 1, 0]] * 2 + [[1, 1, 1], [1, 0, 1]])


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was given, and answers with its first class."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Recorder:
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.full(len(X), self.classes_[0])


@pytest.fixture(scope="module")
def problem() -> Problem:
    X, Y = make_multilabel_classification(n_samples=150, n_features=8, n_classes=5, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


def learnt(classifier: PrunedSets, Y: np.ndarray) -> list[tuple[int, tuple[int, ...]]]:
    """Pairs of row and label set that the base of a classifier learns from."""
    classifier.fit(np.arange(len(Y)).reshape(-1, 1), Y)
    fitted = classifier.estimators_[0]
    sets = classifier.label_sets_[fitted.y_]
    return [(int(row), tuple(labels.tolist())) for row, labels in zip(fitted.X_[:, 0], sets, strict=True)]


@pytest.mark.parametrize(
    ("strategy", "b", "of_111", "of_101"),
    [
        ("A", 1, [(1, 1, 0)], [(1, 0, 0)]),
        ("A", 2, [(1, 1, 0), (1, 0, 0)], [(1, 0, 0)]),
        ("A", 9, [(1, 1, 0), (1, 0, 0), (0, 1, 0)], [(1, 0, 0)]),
        ("B", 1, [(1, 1, 0)], []),
        ("B", 2, [], []),
        (None, 2, [], []),
    ],
)
def test_rows_of_rare_sets_come_back_with_frequent_subsets(strategy: Any, b: int, of_111: Any, of_101: Any) -> None:
    classifier = PrunedSets(Recorder(), min_count=2, strategy=strategy, b=b)
    kept = [(row, tuple(Y[row].tolist())) for row in range(9)]
    expected = [*kept, *((9, labels) for labels in of_111), *((10, labels) for labels in of_101)]
    assert learnt(classifier, Y) == expected
    assert {tuple(labels) for labels in classifier.label_sets_.tolist()} == {(1, 1, 0), (1, 0, 0), (0, 1, 0)}


def test_rows_come_back_with_no_empty_set() -> None:
    few = np.array([[0, 0], [0, 0], [0, 1], [0, 1], [1, 0]])
    for strategy in ("A", "B"):
        rows = learnt(PrunedSets(Recorder(), min_count=2, strategy=strategy), few)
        assert rows == [(0, (0, 0)), (1, (0, 0)), (2, (0, 1)), (3, (0, 1))]


def subsets_by_loops(Y: np.ndarray, row: int, min_count: int, strategy: str | None, b: int) -> list[tuple[int, ...]]:
    """The label sets that a row is to be learnt with, straight from the paper."""
    counts = Counter(map(tuple, Y.tolist()))
    own = tuple(Y[row].tolist())
    if counts[own] >= min_count:
        return [own]
    subsets = [
        labels
        for labels, count in counts.items()
        if count >= min_count and any(labels) and np.all(np.less_equal(labels, own))
    ]
    if strategy == "B":
        return sorted(labels for labels in subsets if sum(labels) > b)
    ranked = sorted(subsets, key=lambda labels: (-sum(labels), -counts[labels], labels))
    return sorted(ranked[:b]) if strategy == "A" else []


@settings(max_examples=150, deadline=None)
@given(
    Y=arrays(np.int64, st.tuples(st.integers(1, 25), st.integers(1, 4)), elements=st.integers(0, 1)),
    min_count=st.integers(1, 4),
    strategy=st.sampled_from(["A", "B", None]),
    b=st.integers(1, 3),
)
def test_pruning_equals_the_paper_in_loops(Y: np.ndarray, min_count: int, strategy: Any, b: int) -> None:
    if max(Counter(map(tuple, Y.tolist())).values()) < min_count:
        return
    rows, sets = PrunedSets(Recorder(), min_count=min_count, strategy=strategy, b=b)._prune(Y.astype(np.uint8))
    got = sorted((int(row), tuple(labels.tolist())) for row, labels in zip(rows, sets, strict=True))
    assert got == [
        (row, labels) for row in range(len(Y)) for labels in subsets_by_loops(Y, row, min_count, strategy, b)
    ]


@pytest.mark.parametrize("strategy", ["A", "B", None])
def test_pruned_sets_that_prune_nothing_are_the_powerset(strategy: Any, problem: Problem) -> None:
    X, Y = problem
    powerset = LabelPowerset(LogisticRegression(max_iter=1000)).fit(X, Y)
    pruned = PrunedSets(LogisticRegression(max_iter=1000), min_count=1, strategy=strategy).fit(X, Y)
    np.testing.assert_array_equal(pruned.predict(X), powerset.predict(X))
    np.testing.assert_array_equal(pruned.predict_proba(X), powerset.predict_proba(X))
    np.testing.assert_array_equal(pruned.label_sets_, powerset.label_sets_)


def test_pruned_problem_transformation_is_the_powerset_of_the_frequent_rows(problem: Problem) -> None:
    X, Y = problem
    counts = Counter(map(tuple, Y.tolist()))
    frequent = np.array([counts[tuple(labels)] >= 5 for labels in Y.tolist()])
    assert 0 < frequent.sum() < len(Y)
    pruned = PrunedSets(GaussianNB(), min_count=5, strategy=None).fit(X, Y)
    powerset = LabelPowerset(GaussianNB()).fit(X[frequent], Y[frequent])
    np.testing.assert_allclose(pruned.predict_proba(X), powerset.predict_proba(X))


def test_frequent_sets_alone_are_predicted(problem: Problem) -> None:
    X, Y = problem
    counts = Counter(map(tuple, Y.tolist()))
    predicted = PrunedSets(DecisionTreeClassifier(random_state=0), min_count=5).fit(X, Y).predict(X)
    assert all(counts[tuple(labels)] >= 5 for labels in predicted.tolist())


def test_base_gets_the_very_object_where_nothing_is_pruned() -> None:
    X = np.zeros((9, 2))
    assert PrunedSets(Recorder(), min_count=2).fit(X, Y[:9]).estimators_[0].X_ is X


@pytest.mark.parametrize("kind", ["paths", "images", "sparse"])
def test_rows_of_any_kind_come_back(kind: str) -> None:
    rows = np.arange(11)
    X: Any = {
        "paths": [f"{row}.jpg" for row in rows],
        "images": np.broadcast_to(rows[:, None, None, None], (11, 4, 4, 3)),
        "sparse": sparse.coo_array(rows[:, None] + np.eye(11)),
    }[kind]
    given = PrunedSets(Recorder(), min_count=2).fit(X, Y).estimators_[0].X_
    seen = {
        "paths": lambda: [int(path.split(".")[0]) for path in given],
        "images": lambda: given[:, 0, 0, 0].tolist(),
        "sparse": lambda: (given.toarray().min(axis=1)).tolist(),
    }[kind]()
    assert seen == [*range(10), 9, 10]


def test_sample_weight_goes_with_each_copy() -> None:
    weight = np.arange(11) * 10.0
    fitted = PrunedSets(Recorder(), min_count=2).fit(np.zeros((11, 1)), Y, sample_weight=weight).estimators_[0]
    assert fitted.weight_.tolist() == [*weight[:10], 90.0, 100.0]


def test_one_frequent_set_is_certain() -> None:
    classifier = PrunedSets(GaussianNB(), min_count=4).fit(np.zeros((11, 1)), Y)
    assert isinstance(classifier.estimators_[0], DummyClassifier)
    np.testing.assert_array_equal(classifier.predict(np.zeros((2, 1))), [[1, 1, 0]] * 2)
    np.testing.assert_array_equal(classifier.predict_proba(np.zeros((2, 1))), [[1, 1, 0]] * 2)


def test_pruning_of_every_set_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"min_count=5 prunes every label set: of n_samples=11 rows at most 4 have the same labels"
    ):
        PrunedSets(GaussianNB(), min_count=5).fit(np.zeros((11, 1)), Y)


@pytest.mark.parametrize("meta", [PrunedSets, EnsembleOfPrunedSets])
@pytest.mark.parametrize("parameters", [{"min_count": 0}, {"strategy": "C"}, {"b": 0}])
def test_pruned_sets_check_their_parameters(meta: Any, parameters: dict[str, Any]) -> None:
    name = next(iter(parameters))
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {meta.__name__} must be"):
        meta(GaussianNB(), **parameters).fit(np.zeros((11, 1)), Y)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_ensemble_is_a_bag_of_pruned_sets(voting: str, problem: Problem) -> None:
    X, Y = problem
    ours = EnsembleOfPrunedSets(GaussianNB(), min_count=4, strategy="B", b=1, n_estimators=4, random_state=0)
    member = PrunedSets(GaussianNB(), min_count=4, strategy="B", b=1)
    bag = MultilabelBaggingClassifier(member, n_estimators=4, max_samples=0.63, bootstrap=False, random_state=0)
    ours, bag = (ensemble.set_params(voting=voting).fit(X, Y) for ensemble in (ours, bag))
    np.testing.assert_array_equal(ours.predict_proba(X), bag.predict_proba(X))
    np.testing.assert_array_equal(ours.predict(X), bag.predict_proba(X) >= 0.5)


def test_ensemble_draws_63_percent_of_the_rows_for_each_member() -> None:
    X = np.arange(1100).reshape(-1, 1)
    ensemble = EnsembleOfPrunedSets(Recorder(), min_count=1, n_estimators=3, random_state=0)
    ensemble.fit(X, np.tile(Y, (100, 1)))
    drawn = [member.estimators_[0].X_[:, 0].tolist() for member in ensemble.estimators_]
    assert all(len(set(rows)) == len(rows) == 693 for rows in drawn)
    assert len(set(map(tuple, drawn))) == 3


def test_ensemble_predicts_sets_that_no_member_knows() -> None:
    X, Y = make_multilabel_classification(n_samples=200, n_features=8, n_classes=6, n_labels=3, random_state=0)
    ensemble = EnsembleOfPrunedSets(GaussianNB(), min_count=3, random_state=0).fit(X, Y)
    known = {tuple(labels) for member in ensemble.estimators_ for labels in member.label_sets_.tolist()}
    assert {tuple(labels) for labels in ensemble.predict(X).tolist()} - known
