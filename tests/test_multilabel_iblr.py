"""IBLR-ML: logistic regressions on neighbours' labels, by hand and against scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skdeep.datasets import load_mulan
from skdeep.metrics import multilabel_scores
from skdeep.multilabel import IBLRML, BRkNN, MultilabelBaggingClassifier

Problem = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture
def problem() -> Problem:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    Y = (X @ rng.standard_normal((3, 4)) + 0.7 * rng.standard_normal((60, 4)) > 0.3).astype(int)
    return X, Y, rng.standard_normal((15, 3))


def shares_by_hand(X: np.ndarray, Y: np.ndarray, k: int, point: np.ndarray, left_out: int | None = None) -> np.ndarray:
    """Share of the nearest rows that have each label, one row left out."""
    others = [row for row in range(len(X)) if row != left_out]
    nearest = sorted(others, key=lambda row: float(np.linalg.norm(X[row] - point)))[:k]
    return np.mean([Y[row] for row in nearest], axis=0)


@pytest.mark.parametrize("passthrough", [False, True])
@pytest.mark.parametrize("k", [1, 5])
def test_iblr_is_a_logistic_regression_on_the_labels_of_the_other_rows(
    k: int, passthrough: bool, problem: Problem
) -> None:
    X, Y, rows = problem
    known = np.array([shares_by_hand(X, Y, k, X[row], left_out=row) for row in range(len(X))])
    asked = np.array([shares_by_hand(X, Y, k, point) for point in rows])
    if passthrough:
        known, asked = np.hstack([X, known]), np.hstack([rows, asked])
    proba = IBLRML(k, passthrough=passthrough).fit(X, Y).predict_proba(rows)
    for label in range(4):
        regression = LogisticRegression(max_iter=1000).fit(known, Y[:, label])
        np.testing.assert_allclose(proba[:, label], regression.predict_proba(asked)[:, 1], rtol=1e-6)


def test_iblr_of_one_label_is_a_regression_on_the_shares_of_brknn(problem: Problem) -> None:
    X, Y, rows = problem
    classifier = IBLRML(7).fit(X, Y[:, 0])
    (regression,) = classifier.regressions_.estimators_
    shares = BRkNN(7).fit(X, Y[:, 0]).predict_proba(rows)
    np.testing.assert_array_equal(classifier.predict_proba(rows)[:, 0], regression.predict_proba(shares)[:, 1])
    assert regression.coef_.shape == (1, 1)
    assert regression.coef_ > 0


def test_iblr_learns_that_a_label_follows_from_another() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 2))
    cause = X[:, 0] > 0
    classifier = IBLRML(5).fit(X, np.column_stack([cause, ~cause]))
    own, other = classifier.regressions_.estimators_[0].coef_[0]
    assert own > 0 > other


def test_iblr_excludes_rows_that_have_copies_once() -> None:
    X = np.repeat(np.arange(20.0), 2).reshape(-1, 1)
    Y = np.tile([[1], [0]], (20, 1))
    classifier = IBLRML(1).fit(X, Y)
    # the nearest other row is the copy with the other label
    assert classifier.regressions_.estimators_[0].coef_ < 0


@pytest.mark.parametrize("passthrough", [False, True])
def test_iblr_gives_the_same_for_sparse_rows(passthrough: bool, problem: Problem) -> None:
    X, Y, rows = problem
    dense = IBLRML(passthrough=passthrough, estimator=LogisticRegression(tol=1e-10)).fit(X, Y)
    on_sparse = IBLRML(passthrough=passthrough, estimator=LogisticRegression(tol=1e-10)).fit(sparse.csr_array(X), Y)
    np.testing.assert_allclose(on_sparse.predict_proba(sparse.csr_array(rows)), dense.predict_proba(rows), rtol=1e-4)


def test_iblr_fits_clones_of_the_base_that_it_is_given(problem: Problem) -> None:
    X, Y, rows = problem
    base = GaussianNB()
    classifier = IBLRML(5, estimator=base).fit(X, Y)
    assert not hasattr(base, "classes_")
    shares = BRkNN(5).fit(X, Y).predict_proba(rows)
    bayes = classifier.regressions_.estimators_[2]
    np.testing.assert_array_equal(classifier.predict_proba(rows)[:, 2], bayes.predict_proba(shares)[:, 1])


def test_sample_weight_counts_in_the_regressions_of_iblr(problem: Problem) -> None:
    X, Y, rows = problem
    weight = np.arange(len(X)) % 3 / 2
    weighted = IBLRML(5).fit(X, Y, sample_weight=weight)
    known = np.array([shares_by_hand(X, Y, 5, X[row], left_out=row) for row in range(len(X))])
    expected = LogisticRegression(max_iter=1000).fit(known, Y[:, 1], sample_weight=weight)
    np.testing.assert_allclose(weighted.regressions_.estimators_[1].coef_, expected.coef_, rtol=1e-6)

    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            IBLRML(5).fit(X, Y, sample_weight=weight)
        asks = IBLRML(5, estimator=LogisticRegression(max_iter=1000).set_fit_request(sample_weight="mine"))
        np.testing.assert_array_equal(asks.fit(X, Y, mine=weight).predict_proba(rows), weighted.predict_proba(rows))
        bagging = MultilabelBaggingClassifier(asks, n_estimators=1, bootstrap=False).fit(X, Y, mine=weight)
        np.testing.assert_array_equal(bagging.predict_proba(rows), weighted.predict_proba(rows))


def test_iblr_says_when_there_are_too_few_rows() -> None:
    with pytest.raises(ValueError, match=r"needs at least 11 training rows.*got n_samples=10"):
        IBLRML().fit(np.zeros((10, 1)), np.zeros(10))


@pytest.mark.parametrize(
    "parameters", [{"n_neighbors": 0}, {"passthrough": "no"}, {"estimator": LinearRegression()}, {"algorithm": "fast"}]
)
def test_iblr_checks_its_parameters(parameters: dict[str, Any]) -> None:
    name = next(iter(parameters))
    with pytest.raises(ValueError, match=f"The '{name}' parameter of IBLRML must be"):
        IBLRML(**parameters).fit(np.zeros((20, 1)), np.zeros(20))


@pytest.mark.data
def test_iblr_on_yeast_ranks_better_than_the_shares_of_neighbours(data_folder: Path) -> None:
    labels = data_folder / "yeast" / "yeast.xml"
    train, test = (
        load_mulan(data_folder / "yeast" / f"yeast-{part}.arff", labels=labels) for part in ("train", "test")
    )
    losses = []
    for classifier in (IBLRML(), BRkNN()):
        proba = classifier.fit(train.data, train.target).predict_proba(test.data)
        losses.append(multilabel_scores(test.target, proba >= 0.5, proba)["ranking_loss"])
    assert losses[0] < losses[1]
