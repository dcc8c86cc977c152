"""ML-kNN: the paper's rule by hand, scikit-multilearn-ng's numbers, and the field's on yeast."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import accuracy_score, average_precision_score, hamming_loss

from skdeep.datasets import load_mulan
from skdeep.metrics import multilabel_scores
from skdeep.multilabel import MLkNN

REFERENCES = Path(__file__).parent / "references"


def posterior_by_hand(X: np.ndarray, y: np.ndarray, k: int, s: float, row: np.ndarray) -> float:
    """Probability of one label for one row, straight from the paper's pseudo code."""

    def count(point: np.ndarray, among: list[int]) -> int:
        nearest = sorted(among, key=lambda i: float(np.linalg.norm(X[i] - point)))[:k]
        return int(sum(y[i] for i in nearest))

    n = len(X)
    counts = [count(X[i], [j for j in range(n) if j != i]) for i in range(n)]
    here = count(row, list(range(n)))
    joint = []
    for value in (0, 1):
        prior = (s + sum(y == value)) / (2 * s + n)
        same = [counts[i] for i in range(n) if y[i] == value]
        joint.append(prior * (s + same.count(here)) / (s * (k + 1) + len(same)))
    return joint[1] / sum(joint)


@pytest.mark.parametrize("s", [1.0, 0.3])
@pytest.mark.parametrize("k", [1, 4])
def test_mlknn_follows_the_paper(k: int, s: float) -> None:
    rng = np.random.default_rng(k)
    X, Y, rows = rng.standard_normal((40, 3)), rng.integers(0, 2, (40, 2)), rng.standard_normal((15, 3))
    proba = MLkNN(k, s=s).fit(X, Y).predict_proba(rows)
    for label in range(2):
        expected = [posterior_by_hand(X, Y[:, label], k, s, row) for row in rows]
        np.testing.assert_allclose(proba[:, label], expected)


def test_mlknn_with_self_included_equals_scikit_multilearn_ng() -> None:
    X_train, Y_train, X_test = runpy.run_path(str(REFERENCES / "make_ng_mlknn.py"))["make_data"]()
    with np.load(REFERENCES / "ng_mlknn.npz") as reference:
        classifier = MLkNN(10, s=1.0, exclude_self=False).fit(X_train, Y_train)
        np.testing.assert_array_equal(classifier.predict(X_test), reference["predictions"])
        np.testing.assert_allclose(classifier.predict_proba(X_test), reference["probabilities"], rtol=1e-15)


def test_mlknn_excludes_rows_that_have_copies_once() -> None:
    X = np.repeat(np.arange(10.0), 2).reshape(-1, 1)
    Y = np.tile([[1], [0]], (10, 1))
    neighbors = MLkNN(1).fit(X, Y)
    # The nearest other row is the copy with the other label: no neighbour's label speaks against one's own.
    assert neighbors.posterior_[0, 0] > 0.9
    assert neighbors.posterior_[1, 0] < 0.1


def test_mlknn_calls_a_tie_for_the_label() -> None:
    # Pairs of neighbours with labels 11, 00, 10, 10: with and without the label, half of the rows see it next to them.
    X = np.repeat([0.0, 10.0, 20.0, 30.0], 2).reshape(-1, 1) + np.tile([[0.0], [1.0]], (4, 1))
    classifier = MLkNN(1).fit(X, [1, 1, 0, 0, 1, 0, 1, 0])
    np.testing.assert_array_equal(classifier.predict_proba(X), 0.5)
    np.testing.assert_array_equal(classifier.predict(X), 1)


def test_mlknn_gives_the_same_for_sparse_rows_and_each_search() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, 4)) * (rng.random((60, 4)) < 0.7), rng.integers(0, 2, (60, 3))
    expected = MLkNN().fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(MLkNN().fit(sparse.csr_array(X), Y).predict_proba(sparse.csr_array(X)), expected)
    for algorithm in ("brute", "kd_tree", "ball_tree"):
        np.testing.assert_array_equal(MLkNN(algorithm=algorithm).fit(X, Y).predict_proba(X), expected)


@pytest.mark.parametrize(("exclude_self", "needed"), [(True, 11), (False, 10)])
def test_mlknn_says_when_there_are_too_few_rows(exclude_self: bool, needed: int) -> None:
    classifier = MLkNN(10, exclude_self=exclude_self)
    with pytest.raises(ValueError, match=f"needs at least {needed} training rows.*got n_samples={needed - 1}"):
        classifier.fit(np.zeros((needed - 1, 1)), np.zeros(needed - 1))
    classifier.fit(np.zeros((needed, 1)), np.zeros(needed))


@pytest.mark.parametrize(
    "parameters",
    [{"n_neighbors": 0}, {"s": 0}, {"exclude_self": "no"}, {"metric": "precomputed"}, {"algorithm": "fast"}],
)
def test_mlknn_checks_its_parameters(parameters: dict[str, Any]) -> None:
    name = next(iter(parameters))
    with pytest.raises(ValueError, match=f"The '{name}' parameter of MLkNN must be"):
        MLkNN(**parameters).fit(np.zeros((20, 1)), np.zeros(20))


@pytest.mark.data
def test_mlknn_on_yeast_gives_the_published_results(data_folder: Path) -> None:
    labels = data_folder / "yeast" / "yeast.xml"
    train, test = (
        load_mulan(data_folder / "yeast" / f"yeast-{part}.arff", labels=labels) for part in ("train", "test")
    )
    classifier = MLkNN().fit(train.data, train.target)
    predicted, proba = classifier.predict(test.data), classifier.predict_proba(test.data)
    scores = multilabel_scores(test.target, predicted, proba)
    published = {
        "hamming_loss": 0.198,
        "ranking_loss": 0.172,
        "one_error": 0.234,
        "coverage": 6.414,
        "average_precision": 0.758,
        "f1_samples": 0.599,
        "f1_micro": 0.625,
        "f1_macro": 0.336,
        "subset_accuracy": 0.159,
    }
    assert {name: scores[name] for name in published} == pytest.approx(published, abs=0.001)
    assert scores["hamming_loss"] == pytest.approx(hamming_loss(test.target, predicted))
    assert scores["subset_accuracy"] == pytest.approx(accuracy_score(test.target, predicted))
    assert scores["map_macro"] == pytest.approx(average_precision_score(test.target, proba))
