"""Classifier chains: orders, what links learn from, and how label sets are found."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import expit
from scipy.stats import entropy
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.multioutput import ClassifierChain as SklearnChain
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from skdeep.multilabel import ClassifierChain
from skdeep.multilabel._chain_inference import Beam, Sampling, search_chain
from skdeep.multilabel._chain_order import dependence_order, mutual_information
from skdeep.multilabel._out_of_fold import split_folds

Array = np.ndarray
Problem = tuple[Array, Array]


@pytest.fixture(scope="module")
def problem() -> Problem:
    X, Y = make_multilabel_classification(n_samples=150, n_features=8, n_classes=4, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


def joint_probabilities(chain: ClassifierChain, X: Array) -> tuple[Array, Array]:
    """All label sets in the order of the labels, and their probability for each row: what a search is to find."""
    label_sets = np.array(list(product([0, 1], repeat=len(chain.order_))))
    joint = np.ones((len(X), len(label_sets)))
    for position, label_set in enumerate(label_sets):
        chained = label_set[chain.order_]
        for link, fitted in enumerate(chain.estimators_):
            rows = np.hstack([X, np.tile(chained[:link], (len(X), 1))])
            joint[:, position] *= fitted.predict_proba(rows)[:, chained[link]]
    return label_sets, joint


@pytest.mark.parametrize("order", [None, [2, 0, 3, 1]])
def test_exhaustive_beam_finds_the_mode_and_the_marginals(order: Any, problem: Problem) -> None:
    X, Y = problem
    chain = ClassifierChain(LogisticRegression(), order=order, inference="beam", beam_width=16).fit(X, Y)
    label_sets, joint = joint_probabilities(chain, X)
    np.testing.assert_array_equal(chain.predict(X), label_sets[joint.argmax(axis=1)])
    np.testing.assert_allclose(chain.predict_proba(X), joint @ label_sets, rtol=1e-10)


def test_beam_of_one_is_greedy(problem: Problem) -> None:
    X, Y = problem
    chain = ClassifierChain(LogisticRegression(), order="random", random_state=1).fit(X, Y)
    greedy, greedy_proba = chain.predict(X), chain.predict_proba(X)
    chain.set_params(inference="beam", beam_width=1)
    np.testing.assert_array_equal(chain.predict(X), greedy)
    np.testing.assert_allclose(chain.predict_proba(X), greedy_proba)


def test_wider_beam_finds_no_less_probable_sets(problem: Problem) -> None:
    X, Y = problem
    chain = ClassifierChain(LogisticRegression(C=100), inference="beam").fit(X, Y)
    _, joint = joint_probabilities(chain, X)
    found = []
    for width in (1, 2, 4, 16):
        codes = chain.set_params(beam_width=width).predict(X) @ [8, 4, 2, 1]
        found.append(joint[np.arange(len(X)), codes])
    for narrow, wide in zip(found[:2], found[2:], strict=True):
        assert np.mean(wide) >= np.mean(narrow)
    np.testing.assert_allclose(found[-1], joint.max(axis=1))


def test_monte_carlo_estimates_the_marginals_without_bias(problem: Problem) -> None:
    X, Y = problem
    chain = ClassifierChain(LogisticRegression(), inference="monte_carlo", n_draws=4000, random_state=0).fit(X, Y)
    label_sets, joint = joint_probabilities(chain, X)
    exact = joint @ label_sets
    difference = chain.predict_proba(X) - exact
    assert np.abs(difference).max() < 5 * 0.5 / np.sqrt(4000)
    assert abs(difference.mean()) < 1e-3
    # so many draws hold the most probable set wherever it stands out
    np.testing.assert_array_equal(chain.predict(X), label_sets[joint.argmax(axis=1)])


def test_monte_carlo_predicts_the_same_at_each_call(problem: Problem) -> None:
    X, Y = problem
    chain = ClassifierChain(LogisticRegression(), inference="monte_carlo", n_draws=5, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(chain.predict_proba(X), chain.predict_proba(X))
    other = ClassifierChain(LogisticRegression(), inference="monte_carlo", n_draws=5, random_state=1).fit(X, Y)
    assert (chain.predict_proba(X) != other.predict_proba(X)).any()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_labels=st.integers(1, 5), width=st.integers(1, 40))
def test_search_follows_no_more_than_it_says_and_weighs_them_fully(seed: int, n_labels: int, width: int) -> None:
    weights = np.random.default_rng(seed).normal(size=(n_labels, n_labels + 1), scale=3)
    asked = []

    def ask(link: int, earlier: Array) -> Array:
        asked.append(link)
        return expit(earlier @ weights[link, :link] + weights[link, -1] * np.arange(1, 4))

    for choose in (Beam(width), Sampling(width, np.random.RandomState(seed))):
        asked.clear()
        label_sets, marginals = search_chain(ask, 3, n_labels, choose)
        assert all(asked.count(link) <= min(width, 2**link) for link in range(n_labels))
        assert label_sets.shape == marginals.shape == (3, n_labels)
        assert ((marginals >= 0) & (marginals <= 1)).all()
        np.testing.assert_allclose(marginals[:, 0], ask(0, np.zeros((3, 0))))


def test_chain_of_certain_labels_is_searched_without_a_warning() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    Y = np.column_stack([X[:, 0] > 0, np.ones(40), np.zeros(40)]).astype(int)
    for inference in ("beam", "monte_carlo"):
        chain = ClassifierChain(LogisticRegression(), inference=inference, random_state=0).fit(X, Y)
        assert (chain.predict(X)[:, 1:] == [1, 0]).all()
        assert (chain.predict_proba(X)[:, 1:] == [1, 0]).all()
        assert np.isfinite(chain.decision_function(X)).all()


@pytest.mark.parametrize("chain_method", ["predict", "predict_proba"])
@pytest.mark.parametrize("cv", [None, KFold(4)])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_what_links_are_told_equals_scikit_learns(chain_method: str, cv: Any, container: Any, problem: Problem) -> None:
    X, Y = container(problem[0]), problem[1]
    ours = ClassifierChain(LogisticRegression(), order=[2, 0, 3, 1], chain_method=chain_method, cv=cv).fit(X, Y)
    theirs = SklearnChain(LogisticRegression(), order=[2, 0, 3, 1], chain_method=chain_method, cv=cv).fit(X, Y)
    for method in ("predict", "predict_proba", "decision_function"):
        np.testing.assert_allclose(getattr(ours, method)(X), getattr(theirs, method)(X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("chain_method", ["predict", "predict_proba"])
def test_in_sample_links_learn_from_what_the_earlier_ones_say(chain_method: str, problem: Problem) -> None:
    X, Y = problem
    chain = ClassifierChain(GaussianNB(), cv="in_sample", chain_method=chain_method).fit(X, Y)
    rows = X
    for link, fitted in enumerate(chain.estimators_):
        by_hand = GaussianNB().fit(rows, Y[:, link])
        np.testing.assert_allclose(fitted.theta_, by_hand.theta_)
        said = by_hand.predict(rows) if chain_method == "predict" else by_hand.predict_proba(rows)[:, 1]
        rows = np.column_stack([rows, said])


def test_probabilities_leave_a_float32_table_float32(problem: Problem) -> None:
    class Typed(GaussianNB):
        def fit(self, X: Any, y: Any) -> Any:
            self.dtype_ = X.dtype
            return super().fit(X, y)

    X, Y = problem
    for rows in (X.astype(np.float32), X):
        chain = ClassifierChain(Typed(), cv=3, chain_method="predict_proba").fit(rows, Y)
        assert {link.dtype_ for link in chain.estimators_} == {rows.dtype}


def test_out_of_fold_links_survive_a_label_that_is_missing_from_a_fold(problem: Problem) -> None:
    X, Y = problem[0], problem[1].copy()
    Y[:, 1] = 0
    Y[7, 1] = 1
    chain = ClassifierChain(LogisticRegression(), cv=KFold(3), chain_method="predict_proba").fit(X, Y)
    assert chain.predict_proba(X).shape == Y.shape


def test_splits_that_do_not_cover_the_rows_are_refused(problem: Problem) -> None:
    with pytest.raises(ValueError, match=r"must hold every row once.* rows are in none"):
        ClassifierChain(LogisticRegression(), cv=ShuffleSplit(3, random_state=0)).fit(*problem)


@pytest.mark.parametrize(
    "parameters", [{"inference": "beam"}, {"inference": "monte_carlo"}, {"chain_method": "predict_proba"}]
)
def test_base_without_probabilities_is_refused_where_they_are_needed(
    parameters: dict[str, str], problem: Problem
) -> None:
    with pytest.raises(ValueError, match=r"needs a base with predict_proba, which LinearSVC\(\) lacks"):
        ClassifierChain(LinearSVC(), **parameters).fit(*problem)


def test_search_on_probabilities_is_refused(problem: Problem) -> None:
    with pytest.raises(ValueError, match="inference='beam' follows label sets"):
        ClassifierChain(GaussianNB(), chain_method="predict_proba", inference="beam").fit(*problem)


def test_mutual_information_equals_scikit_learns() -> None:
    indicator = (np.random.default_rng(0).random((60, 5)) < [0.1, 0.5, 0.9, 0.5, 0]).astype(np.uint8)
    indicator[:, 3] = indicator[:, 1]
    found = mutual_information(indicator)
    for i, j in product(range(5), repeat=2):
        assert found[i, j] == pytest.approx(mutual_info_score(indicator[:, i], indicator[:, j]), abs=1e-12)
    share = indicator[:, 1].mean()
    assert found[1, 3] == pytest.approx(entropy([share, 1 - share]))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_labels=st.integers(1, 6))
def test_dependence_order_grows_a_maximum_spanning_tree(seed: int, n_labels: int) -> None:
    rng = np.random.default_rng(seed)
    indicator = (rng.random((40, 2)) @ rng.random((2, n_labels)) + rng.random((40, n_labels)) > 1).astype(np.uint8)
    order = dependence_order(indicator)
    assert sorted(order) == list(range(n_labels))
    information = mutual_information(indicator)
    np.fill_diagonal(information, 0)
    gained = sum(information[order[: place + 1]][:, order[place + 1]].max() for place in range(n_labels - 1))
    # scipy drops edges of weight 0, so all are lifted; every spanning tree is lifted alike
    lowest = sparse.csgraph.minimum_spanning_tree(np.triu(2 - information, 1)).toarray()
    assert gained == pytest.approx(2 * (n_labels - 1) - lowest.sum(), abs=1e-9)


def test_chain_learns_the_order_from_dependence() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(2, size=300)
    flip = lambda label, share: np.where(rng.random(300) < share, 1 - label, label)  # noqa: E731
    copy = flip(first, 0.05)
    Y = np.column_stack([flip(copy, 0.2), rng.integers(2, size=300), copy, first])
    chain = ClassifierChain(GaussianNB(), order="dependence").fit(rng.normal(size=(300, 2)), Y)
    assert chain.order_.tolist() == [2, 3, 0, 1]


class Halves(ClassifierMixin, BaseEstimator):
    """Cannot decide."""

    def fit(self, X: Any, y: Any) -> Halves:
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, X: Any) -> Array:
        return np.ones(len(X), dtype=int)

    def predict_proba(self, X: Any) -> Array:
        return np.full((len(X), 2), 0.5)


def test_search_takes_a_label_that_is_as_probable_as_not(problem: Problem) -> None:
    chain = ClassifierChain(Halves(), inference="beam").fit(*problem)
    assert (chain.predict(problem[0]) == 1).all()


def test_monte_carlo_answers_do_not_depend_on_the_other_rows(problem: Problem) -> None:
    X, Y = problem
    chain = ClassifierChain(GaussianNB(), inference="monte_carlo", n_draws=20, random_state=0).fit(X, Y)
    whole = chain.predict_proba(X)
    np.testing.assert_allclose(np.vstack([chain.predict_proba(X[row : row + 10]) for row in range(0, 150, 10)]), whole)
    np.testing.assert_allclose(chain.predict_proba(X[::-1])[::-1], whole)


def test_another_way_of_search_is_checked_when_it_is_asked_for(problem: Problem) -> None:
    X, Y = problem
    chain = ClassifierChain(GaussianNB(), chain_method="predict_proba").fit(X, Y)
    with pytest.raises(ValueError, match="inference='beam' follows label sets"):
        chain.set_params(inference="beam").predict(X)
    with pytest.raises(ValueError, match="The 'inference' parameter of ClassifierChain must be"):
        chain.set_params(inference="beem").predict(X)


def test_folds_are_stratified_whatever_integer_counts_them() -> None:
    indicator = np.repeat([[1], [0]], 20, axis=0).astype(np.uint8)
    for cv in (4, np.int64(4)):
        assert [int(indicator[test].sum()) for _, test in split_folds(cv, indicator)] == [5, 5, 5, 5]


def test_folds_are_five_stratified_ones_unless_said_otherwise() -> None:
    indicator = np.repeat([[1], [0]], 20, axis=0).astype(np.uint8)
    assert [int(indicator[test].sum()) for _, test in split_folds(None, indicator)] == [4, 4, 4, 4, 4]
