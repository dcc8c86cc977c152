"""BRkNN, and the neighbour search by torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import make_multilabel_classification
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from skdeep.multilabel import BinaryRelevance, BRkNN, MLkNN
from skdeep.multilabel._base import places_in_row

Problem = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def problem() -> Problem:
    X, Y = make_multilabel_classification(n_samples=150, n_features=8, n_classes=4, n_labels=2, random_state=3)
    return X / X.std(axis=0) + np.random.default_rng(0).normal(size=X.shape) / 100, Y  # no two rows are as far apart


@pytest.mark.parametrize("n_neighbors", [1, 5, 10])
def test_brknn_equals_binary_relevance_of_neighbours(n_neighbors: int, problem: Problem) -> None:
    X, Y = problem
    ours = BRkNN(n_neighbors).fit(X, Y)
    each = BinaryRelevance(KNeighborsClassifier(n_neighbors)).fit(X, Y)
    np.testing.assert_allclose(ours.predict_proba(X), each.predict_proba(X))
    # half of the neighbours are enough, where scikit-learn takes the smaller class
    np.testing.assert_array_equal(ours.predict(X), each.predict_proba(X) >= 0.5)


def test_extension_a_predicts_the_top_label_where_there_is_none(problem: Problem) -> None:
    X, Y = problem
    plain, extended = (BRkNN(7, extension=extension).fit(X[:100], Y[:100]) for extension in (None, "a"))
    before, after, proba = plain.predict(X), extended.predict(X), plain.predict_proba(X)
    empty = ~before.any(axis=1)
    assert empty.any()
    np.testing.assert_array_equal(after[~empty], before[~empty])
    np.testing.assert_array_equal(after[empty], np.eye(4)[proba[empty].argmax(axis=1)])


def test_extension_b_predicts_as_many_labels_as_the_neighbours_have(problem: Problem) -> None:
    X, Y = problem
    classifier = BRkNN(7, extension="b").fit(X[:100], Y[:100])
    predicted, proba = classifier.predict(X), classifier.predict_proba(X)
    np.testing.assert_array_equal(predicted.sum(axis=1), np.round(proba.sum(axis=1)))
    lowest_in = np.where(predicted == 1, proba, 2).min(axis=1)
    highest_out = np.where(predicted == 0, proba, -1).max(axis=1)
    assert (lowest_in >= highest_out).all()


def test_places_count_from_the_most_frequent_and_the_first_of_equals() -> None:
    assert places_in_row(np.array([[2, 5, 2, 0]])).tolist() == [[1, 0, 2, 3]]


def test_brknn_may_have_all_rows_as_neighbours(problem: Problem) -> None:
    X, Y = problem
    np.testing.assert_allclose(BRkNN(150).fit(X, Y).predict_proba(X[:2]), np.tile(Y.mean(axis=0), (2, 1)))
    with pytest.raises(ValueError, match=r"n_neighbors=151 needs at least 151 training rows; got n_samples=150"):
        BRkNN(151).fit(X, Y)


@pytest.mark.parametrize("classifier", [MLkNN, BRkNN])
def test_search_by_torch_gives_the_same_answers(classifier: Any, problem: Problem) -> None:
    X, Y = problem
    expected = classifier(7).fit(X[:100], Y[:100]).predict_proba(X)
    np.testing.assert_array_equal(
        classifier(7, algorithm="torch", device="cpu").fit(X[:100], Y[:100]).predict_proba(X), expected
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n_rows=st.integers(4, 60), chunk=st.integers(1, 200))
def test_search_by_torch_is_exact_in_chunks(seed: int, n_rows: int, chunk: int) -> None:
    from skdeep.multilabel import _torch_neighbors

    X = np.random.default_rng(seed).normal(size=(n_rows, 3)) + 1e3  # far from the origin
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_torch_neighbors, "_CHUNK", chunk)
        ours = _torch_neighbors.TorchNeighbors(3, "cpu").fit(X)
        theirs = NearestNeighbors(n_neighbors=3, algorithm="kd_tree").fit(X)
        for rows in (None, X[:5] + 0.01):
            np.testing.assert_array_equal(ours.kneighbors(rows), theirs.kneighbors(rows, return_distance=False))


def test_search_by_torch_says_what_it_cannot(problem: Problem) -> None:
    X, Y = problem
    with pytest.raises(ValueError, match="knows metric='euclidean' only"):
        MLkNN(algorithm="torch", metric="manhattan").fit(X, Y)
    with pytest.raises(ValueError, match="device='abacus' cannot be used"):
        MLkNN(algorithm="torch", device="abacus").fit(X, Y)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        MLkNN(algorithm="torch").fit(sparse.csr_array(X), Y)
