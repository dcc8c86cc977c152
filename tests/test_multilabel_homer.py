"""HOMER: clusters of labels, the hierarchy, and answers on the way down, by loops and in special cases."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skdeep.multilabel import HOMER, BinaryRelevance, ClassifierChain, LabelPowerset, MLkNN
from skdeep.multilabel._label_clustering import _distances, _draw_centres, assign, cluster_labels, cooccurrence

Problem = tuple[np.ndarray, np.ndarray]


class Recorder(ClassifierMixin, BaseEstimator):
    """A multi-label classifier that remembers what it was given."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Recorder:
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.ones((len(X), self.y_.shape[1]), dtype=int)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@pytest.fixture(scope="module")
def problem() -> Problem:
    X, Y = make_multilabel_classification(n_samples=200, n_features=8, n_classes=7, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


# --- clusters of labels


@pytest.mark.parametrize("n_clusters", [2, 4])
def test_distances_to_clusters_are_those_of_the_columns(n_clusters: int, problem: Problem) -> None:
    Y = problem[1]
    clusters = np.array([0, 1, 0, 1, 1, 0, 0])
    distances = _distances(cooccurrence(Y), np.eye(n_clusters)[clusters])
    for label, cluster in itertools.product(range(7), range(2)):
        mean = Y[:, clusters == cluster].mean(axis=1)
        np.testing.assert_allclose(distances[label, cluster], np.sum((Y[:, label] - mean) ** 2))
    assert np.isinf(distances[:, 2:]).all()


def test_clusters_of_any_size_are_those_of_scikit_learn(problem: Problem) -> None:
    Y = problem[1]
    for seed in range(5):
        centres = _draw_centres(cooccurrence(Y), 3, np.random.RandomState(seed))
        theirs = KMeans(3, init=Y.T[centres].astype(float), n_init=1, algorithm="lloyd").fit_predict(Y.T.astype(float))
        ours = cluster_labels(cooccurrence(Y), 3, 7, np.random.RandomState(seed))
        np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=100, deadline=None)
@given(
    distances=arrays(
        np.float64,
        st.tuples(st.integers(1, 9), st.integers(1, 4)),
        elements=st.floats(0, 9, width=16),
    ),
    more=st.integers(0, 2),
)
def test_clusters_with_room_are_stable(distances: np.ndarray, more: int) -> None:
    """No label would rather be in another cluster that has room, or that holds a label which is farther from it."""
    n_labels, n_clusters = distances.shape
    capacity = -(-n_labels // n_clusters) + more
    clusters = assign(distances, capacity)
    assert np.bincount(clusters, minlength=n_clusters).max() <= capacity
    for label, cluster in itertools.product(range(n_labels), range(n_clusters)):
        if distances[label, cluster] < distances[label, clusters[label]]:
            inside = np.flatnonzero(clusters == cluster)
            assert len(inside) == capacity
            assert distances[inside, cluster].max() <= distances[label, cluster]


def test_labels_that_occur_together_are_in_one_cluster() -> None:
    rng = np.random.default_rng(0)
    three = rng.integers(0, 2, (50, 3)).astype(np.uint8)
    for seed in range(5):
        clusters = cluster_labels(cooccurrence(three[:, [0, 1, 2, 0, 1, 2]]), 3, 2, np.random.RandomState(seed))
        np.testing.assert_array_equal(clusters[:3], clusters[3:])
        assert set(clusters) == {0, 1, 2}


# --- the hierarchy


@settings(max_examples=80, deadline=None)
@given(
    Y=arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 14)), elements=st.integers(0, 1)),
    n_clusters=st.integers(2, 5),
    clustering=st.sampled_from(["balanced", "kmeans", "random"]),
    seed=st.integers(0, 50),
)
def test_groups_divide_the_labels_of_their_node(Y: np.ndarray, n_clusters: int, clustering: str, seed: int) -> None:
    homer = HOMER(GaussianNB(), n_clusters=n_clusters, clustering=clustering)
    root, *others = homer._grow(Y, np.random.RandomState(seed))
    known = {tuple(range(Y.shape[1]))}
    for groups in [root, *others]:
        labels = tuple(sorted(itertools.chain(*groups)))
        known.remove(labels)
        assert len(groups) <= n_clusters
        assert len(groups) > 1 or len(labels) == 1
        if clustering != "kmeans":
            assert max(map(len, groups)) <= -(-len(labels) // n_clusters)
        known |= {group for group in groups if len(group) > 1}
    assert not any(Y[:, list(group)].any() for group in known)


def test_nodes_learn_from_the_rows_that_have_one_of_their_labels() -> None:
    rng = np.random.default_rng(0)
    Y = (rng.random((40, 6)) < 0.2).astype(int)
    X = [f"{row}.jpg" for row in range(40)]
    homer = HOMER(Recorder(), n_clusters=2, random_state=0).fit(X, Y, sample_weight=np.arange(40.0))
    assert homer.estimators_[0].X_ is X
    for place, (groups, fitted) in enumerate(zip(homer.nodes_, homer.estimators_, strict=True)):
        rows = [int(path.split(".")[0]) for path in fitted.X_]
        expected = range(40) if place == 0 else np.flatnonzero(Y[:, list(itertools.chain(*groups))].any(axis=1))
        assert rows == list(expected)
        assert fitted.weight_.tolist() == rows
        for group, target in zip(groups, fitted.y_.T, strict=True):
            np.testing.assert_array_equal(target, Y[rows][:, list(group)].max(axis=1))


def test_random_state_decides_the_hierarchy_and_the_bases(problem: Problem) -> None:
    X, Y = problem
    base = DecisionTreeClassifier(max_features=1)
    first, second, other = (HOMER(base, random_state=seed).fit(X, Y) for seed in (0, 0, 1))
    assert first.nodes_ == second.nodes_ != other.nodes_
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


# --- the answers


@pytest.mark.parametrize("clustering", ["balanced", "kmeans", "random"])
def test_answers_equal_the_paper_in_loops(clustering: str, problem: Problem) -> None:
    X, Y = problem
    train, rows = slice(0, 150), X[150:]
    homer = HOMER(GaussianNB(), n_clusters=2, clustering=clustering, random_state=0).fit(X[train], Y[train])
    groups_of = {tuple(sorted(itertools.chain(*groups))): groups for groups in homer.nodes_}
    predicted, proba = np.ones((len(rows), 7), dtype=int), np.ones((len(rows), 7))

    def descend(labels: tuple[int, ...]) -> None:
        own = Y[train][:, list(labels)].any(axis=1) | (len(labels) == 7)
        for group in groups_of[labels]:
            target = Y[train][own][:, list(group)].any(axis=1)
            if target.all():
                continue
            base = GaussianNB().fit(X[train][own], target)
            for label in group:
                predicted[:, label] &= base.predict(rows)
                proba[:, label] *= base.predict_proba(rows)[:, 1]
            if len(group) > 1:
                descend(group)

    descend(tuple(range(7)))
    np.testing.assert_array_equal(homer.predict(rows), predicted)
    np.testing.assert_allclose(homer.predict_proba(rows), proba)


@pytest.mark.parametrize(
    "inner",
    [
        BinaryRelevance(GaussianNB()),
        ClassifierChain(GaussianNB()),
        LabelPowerset(GaussianNB()),
        MLkNN(),
        make_pipeline(StandardScaler(), BinaryRelevance(GaussianNB())),
    ],
)
@pytest.mark.parametrize("n_clusters", [1, 7, 8])
def test_one_node_is_the_estimator_alone(n_clusters: int, inner: Any, problem: Problem) -> None:
    X, Y = problem
    homer = HOMER(inner, n_clusters=n_clusters).fit(X, Y)
    assert homer.nodes_ == [tuple((label,) for label in range(7))]
    inner.fit(X, Y)
    np.testing.assert_array_equal(homer.predict(X), inner.predict(X))
    np.testing.assert_array_equal(homer.predict_proba(X), inner.predict_proba(X))


def test_estimator_that_knows_no_labels_is_made_binary_relevance(problem: Problem) -> None:
    X, Y = problem
    alone, made = (HOMER(base, random_state=0).fit(X, Y) for base in (GaussianNB(), BinaryRelevance(GaussianNB())))
    assert all(isinstance(fitted, BinaryRelevance) for fitted in alone.estimators_)
    np.testing.assert_array_equal(alone.predict_proba(X), made.predict_proba(X))


@pytest.mark.parametrize("n_labels", [1, 7])
@pytest.mark.parametrize(
    "base", [RandomForestClassifier(n_estimators=5), MultiOutputClassifier(DecisionTreeClassifier(max_depth=5))]
)
def test_homer_takes_a_multilabel_classifier_of_scikit_learn(base: Any, n_labels: int, problem: Problem) -> None:
    X, Y = problem
    homer = HOMER(base, random_state=0).fit(X, Y[:, :n_labels])
    assert all(type(fitted) is type(base) for fitted in homer.estimators_)
    proba = homer.predict_proba(X)
    assert proba.shape == homer.predict(X).shape == (200, n_labels)
    assert (homer.predict(X) == Y[:, :n_labels]).mean() > 0.8


def test_labels_that_no_row_has_are_never_predicted(problem: Problem) -> None:
    X, Y = problem
    Y = np.column_stack([Y, np.zeros((len(Y), 7), dtype=int)])
    homer = HOMER(GaussianNB(), n_clusters=2, random_state=0).fit(X, Y)
    assert not homer.predict(X)[:, 7:].any()
    assert not homer.predict_proba(X)[:, 7:].any()
    assert homer.predict(X)[:, :7].any()


def test_rows_that_reach_no_lower_node_are_answered() -> None:
    homer = HOMER(BinaryRelevance(GaussianNB()), n_clusters=2, random_state=0)
    X = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]])
    homer.fit(X, [[0, 0, 0, 0]] * 3 + [[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]])
    np.testing.assert_array_equal(homer.predict(X[:2]), np.zeros((2, 4)))


def test_rows_are_picked_from_sparse_formats_without_rows(problem: Problem) -> None:
    X, Y = problem
    homer = HOMER(LogisticRegression(max_iter=1000), random_state=0).fit(sparse.coo_array(X), Y)
    on_dense = HOMER(LogisticRegression(max_iter=1000), random_state=0).fit(X, Y)
    np.testing.assert_array_equal(homer.predict(sparse.coo_array(X)), on_dense.predict(X))


def test_homer_has_probabilities_only_if_the_base_has(problem: Problem) -> None:
    homer = HOMER(LinearSVC())
    assert not hasattr(homer, "predict_proba")
    homer.fit(*problem)
    assert not hasattr(homer, "predict_proba")
    assert not hasattr(homer, "decision_function")
    assert homer.predict(problem[0]).shape == problem[1].shape


@pytest.mark.parametrize("parameters", [{"n_clusters": 0}, {"clustering": "em"}, {"random_state": "x"}])
def test_homer_checks_its_parameters(parameters: dict[str, Any], problem: Problem) -> None:
    name = next(iter(parameters))
    with pytest.raises(ValueError, match=f"The '{name}' parameter of HOMER must be"):
        HOMER(GaussianNB(), **parameters).fit(*problem)
