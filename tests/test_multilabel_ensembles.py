"""Ensembles that vote on labels: bagging, chains of random orders, random labelsets."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skdeep.multilabel import (
    HOMER,
    BinaryRelevance,
    CalibratedLabelRanking,
    ClassifierChain,
    EnsembleOfClassifierChains,
    EnsembleOfPrunedSets,
    LabelPowerset,
    MLkNN,
    MultilabelBaggingClassifier,
    MultilabelVotingClassifier,
    PrunedSets,
    RAkEL,
    StackedBinaryRelevance,
)

Problem = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def problem() -> Problem:
    X, Y = make_multilabel_classification(n_samples=150, n_features=8, n_classes=5, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


class Rows(ClassifierMixin, BaseEstimator):
    """Remembers the rows, targets and weights that it was given."""

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Rows:
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros((len(X), self.y_.shape[1]), dtype=int)


def test_bagging_averages_its_members(problem: Problem) -> None:
    X, Y = problem
    bagging = MultilabelBaggingClassifier(BinaryRelevance(GaussianNB()), n_estimators=3, random_state=0).fit(X, Y)
    mean = np.mean([member.predict_proba(X) for member in bagging.estimators_], axis=0)
    np.testing.assert_allclose(bagging.predict_proba(X), mean)
    np.testing.assert_array_equal(bagging.predict(X), mean >= 0.5)
    votes = np.mean([member.predict(X) for member in bagging.estimators_], axis=0)
    np.testing.assert_allclose(bagging.set_params(voting="hard").predict_proba(X), votes)


def test_bagged_rows_keep_their_targets_and_weights() -> None:
    X, Y = np.arange(20.0).reshape(-1, 1), np.arange(20).reshape(-1, 1) % 2
    bagging = MultilabelBaggingClassifier(Rows(), n_estimators=4, random_state=0)
    for member in bagging.fit(X, Y, sample_weight=np.arange(20)).estimators_:
        assert len(member.X_) == 20
        assert 1 < len(np.unique(member.X_)) < 20
        np.testing.assert_array_equal(member.y_[:, 0], member.X_[:, 0] % 2)
        np.testing.assert_array_equal(member.weight_, member.X_[:, 0])
    drawn = [tuple(member.X_[:, 0]) for member in bagging.estimators_]
    assert len(set(drawn)) == 4


def test_pasted_rows_are_drawn_once_each() -> None:
    X, Y = np.arange(20.0).reshape(-1, 1), np.arange(20).reshape(-1, 1) % 2
    bagging = MultilabelBaggingClassifier(Rows(), max_samples=0.6, bootstrap=False, random_state=0).fit(X, Y)
    assert all(len(np.unique(member.X_)) == len(member.X_) == 12 for member in bagging.estimators_)


def test_ensemble_of_seeds_differs_in_random_states_alone(problem: Problem) -> None:
    bagging = MultilabelBaggingClassifier(Rows(), bootstrap=False, random_state=0)
    members = bagging.fit(*problem).estimators_
    assert all(member.X_ is problem[0] for member in members)
    assert len({member.random_state for member in members}) == 10
    again = bagging.fit(*problem).estimators_
    assert [member.random_state for member in again] == [member.random_state for member in members]


def test_bagging_takes_paths_and_hands_down_the_names_of_labels() -> None:
    paths = [f"{row}.jpg" for row in range(8)]
    Y = pd.DataFrame({"road": [0, 1] * 4, "water": [0, 0, 1, 1] * 2})
    for member in MultilabelBaggingClassifier(Rows(), n_estimators=2, random_state=0).fit(paths, Y).estimators_:
        assert isinstance(member.X_, list)
        assert member.y_.columns.tolist() == ["road", "water"]
        np.testing.assert_array_equal(member.y_, Y.loc[[int(path[0]) for path in member.X_]])


@pytest.mark.parametrize(
    "base", [MLPClassifier(hidden_layer_sizes=(4,), max_iter=300, tol=1e-2), RandomForestClassifier(n_estimators=5)]
)
def test_bagging_takes_a_multilabel_classifier_of_scikit_learn(base: Any, problem: Problem) -> None:
    X, Y = problem
    bagging = MultilabelBaggingClassifier(base, n_estimators=2, random_state=0).fit(X, Y)
    assert bagging.predict_proba(X).shape == Y.shape
    assert (bagging.predict(X) == Y).mean() > 0.6


def test_ensemble_of_chains_is_a_bag_of_chains_in_random_order(problem: Problem) -> None:
    X, Y = problem
    ours = EnsembleOfClassifierChains(LogisticRegression(), n_estimators=4, random_state=0).fit(X, Y)
    chain = ClassifierChain(LogisticRegression(), order="random")
    bag = MultilabelBaggingClassifier(chain, n_estimators=4, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(ours.predict_proba(X), bag.predict_proba(X))
    assert len({tuple(chain.order_) for chain in ours.estimators_}) > 1


def test_hard_votes_give_probabilities_to_a_base_that_has_none(problem: Problem) -> None:
    X, Y = problem
    for ensemble in (
        EnsembleOfClassifierChains(LinearSVC(), n_estimators=4, random_state=0),
        EnsembleOfPrunedSets(LinearSVC(), n_estimators=4, random_state=0),
        RAkEL(LinearSVC(), random_state=0),
        CalibratedLabelRanking(LinearSVC()),
        MultilabelBaggingClassifier(BinaryRelevance(LinearSVC()), n_estimators=4, random_state=0),
    ):
        proba = ensemble.fit(X, Y).predict_proba(X)
        assert ((proba >= 0) & (proba <= 1)).all()
        assert len(np.unique(proba)) > 2
        with pytest.raises(ValueError, match="voting='soft' needs a base with predict_proba"):
            ensemble.set_params(voting="soft").fit(X, Y)


def test_rakel_averages_the_powersets_of_its_labelsets(problem: Problem) -> None:
    X, Y = problem
    rakel = RAkEL(GaussianNB(), n_labelsets=6, random_state=0).fit(X, Y)
    votes, voters = np.zeros(Y.shape), np.zeros(5)
    for labels in rakel.labelsets_:
        votes[:, labels] += LabelPowerset(GaussianNB()).fit(X, Y[:, labels]).predict_proba(X)
        voters[labels] += 1
    np.testing.assert_allclose(rakel.predict_proba(X), votes / voters)


def test_rakel_of_one_labelset_of_all_labels_is_the_powerset(problem: Problem) -> None:
    X, Y = problem
    for overlapping in (True, False):
        rakel = RAkEL(GaussianNB(), labelset_size=5, overlapping=overlapping, voting="hard").fit(X, Y)
        np.testing.assert_array_equal(rakel.predict(X), LabelPowerset(GaussianNB()).fit(X, Y).predict(X))


def test_disjoint_rakel_of_single_labels_is_binary_relevance(problem: Problem) -> None:
    X, Y = problem
    rakel = RAkEL(GaussianNB(), labelset_size=1, overlapping=False, random_state=0).fit(X, Y)
    np.testing.assert_allclose(rakel.predict_proba(X), BinaryRelevance(GaussianNB()).fit(X, Y).predict_proba(X))


@settings(max_examples=60, deadline=None)
@given(
    n_labels=st.integers(1, 12),
    size=st.integers(1, 12),
    more=st.integers(0, 20),
    overlapping=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_labelsets_are_distinct_and_hold_every_label(
    n_labels: int, size: int, more: int, overlapping: bool, seed: int
) -> None:
    wanted = -(-n_labels // size) + more
    rakel = RAkEL(GaussianNB(), labelset_size=size, n_labelsets=wanted, overlapping=overlapping)
    drawn = [tuple(labels) for labels in rakel._draw_labelsets(n_labels, np.random.RandomState(seed))]
    assert len(set(drawn)) == len(drawn)
    assert {label for labels in drawn for label in labels} == set(range(n_labels))
    assert all(list(labels) == sorted(set(labels)) for labels in drawn)
    size = min(size, n_labels)
    if overlapping:
        assert {len(labels) for labels in drawn} == {size}
        assert len(drawn) == min(wanted, comb(n_labels, size))
    else:
        assert sum(len(labels) for labels in drawn) == n_labels
        assert len(drawn) == -(-n_labels // size)


def test_too_few_labelsets_are_refused(problem: Problem) -> None:
    with pytest.raises(
        ValueError, match=r"n_labelsets=2 labelsets of 2 labels cannot hold all 5 labels: give at least 3"
    ):
        RAkEL(GaussianNB(), labelset_size=2, n_labelsets=2).fit(*problem)


@pytest.mark.parametrize("overlapping", [True, False])
def test_random_state_decides_the_labelsets_and_the_bases(overlapping: bool, problem: Problem) -> None:
    X, Y = problem
    base = DecisionTreeClassifier(max_features=1)
    first, second, other = (
        RAkEL(base, overlapping=overlapping, random_state=seed).fit(X[:90], Y[:90]) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert (first.predict_proba(X) != other.predict_proba(X)).any()


def test_nested_ensembles_work(problem: Problem) -> None:
    X, Y = problem
    nested = MultilabelBaggingClassifier(RAkEL(GaussianNB()), n_estimators=2, random_state=0).fit(X, Y)
    alone = MultilabelBaggingClassifier(MLkNN(), n_estimators=2, n_jobs=2, random_state=0).fit(X, Y)
    assert nested.predict_proba(X).shape == alone.predict_proba(X).shape == Y.shape


@pytest.fixture
def voters() -> list[tuple[str, Any]]:
    return [("bayes", BinaryRelevance(GaussianNB())), ("sets", LabelPowerset(GaussianNB())), ("near", MLkNN())]


@pytest.mark.parametrize(("voting", "method"), [("soft", "predict_proba"), ("hard", "predict")])
@pytest.mark.parametrize("weights", [None, [1, 2, 0.5]])
def test_vote_is_the_weighted_mean(
    voting: str, method: str, weights: Any, voters: list[tuple[str, Any]], problem: Problem
) -> None:
    X, Y = problem
    both = MultilabelVotingClassifier(voters, voting=voting, weights=weights).fit(X, Y)
    votes = [getattr(clone(voter).fit(X, Y), method)(X) for _, voter in voters]
    np.testing.assert_allclose(both.predict_proba(X), np.average(votes, axis=0, weights=weights))
    assert not hasattr(voters[0][1], "estimators_")


def test_vote_without_a_dropped_classifier_is_that_of_the_others(
    voters: list[tuple[str, Any]], problem: Problem
) -> None:
    X, Y = problem
    all_three = MultilabelVotingClassifier(voters, weights=[1, 7, 2]).set_params(sets="drop").fit(X, Y)
    two = MultilabelVotingClassifier([voters[0], voters[2]], weights=[1, 2]).fit(X, Y)
    np.testing.assert_array_equal(all_three.predict_proba(X), two.predict_proba(X))


def test_vote_routes_metadata_to_those_that_request_it(problem: Problem) -> None:
    X, Y = problem
    weight = np.arange(len(X)) % 2.0
    with sklearn.config_context(enable_metadata_routing=True):
        asks = BinaryRelevance(GaussianNB().set_fit_request(sample_weight=True))
        both = MultilabelVotingClassifier([("asks", asks), ("near", MLkNN())]).fit(X, Y, sample_weight=weight)
        expected = clone(asks).fit(X, Y, sample_weight=weight).predict_proba(X)
    np.testing.assert_array_equal(both.estimators_[0].predict_proba(X), expected)


def test_vote_refuses_what_it_cannot_count(voters: list[tuple[str, Any]], problem: Problem) -> None:
    with pytest.raises(ValueError, match=r"voting='soft' needs predict_proba, which 'svm', .*LinearSVC.*, lacks"):
        MultilabelVotingClassifier([*voters, ("svm", BinaryRelevance(LinearSVC()))]).fit(*problem)
    with pytest.raises(ValueError, match=r"one number for each of the 3 estimators, got shape \(2,\)"):
        MultilabelVotingClassifier(voters, weights=[1, 2]).fit(*problem)


@pytest.mark.parametrize(
    "meta", [MultilabelBaggingClassifier, EnsembleOfPrunedSets, PrunedSets, CalibratedLabelRanking]
)
def test_classifiers_that_pick_rows_refuse_a_precomputed_kernel(meta: Any, problem: Problem) -> None:
    X, Y = problem
    with pytest.raises(ValueError, match=f"{meta.__name__} cannot pick rows of a precomputed kernel"):
        meta(SVC(kernel="precomputed")).fit(X @ X.T, Y)


def test_weights_that_round_do_not_decide_a_tie() -> None:
    constant = [BinaryRelevance(DummyClassifier(strategy="constant", constant=value)) for value in (0, 0, 1)]
    both = MultilabelVotingClassifier(list(zip("abc", constant, strict=True)), voting="hard", weights=[0.1, 0.2, 0.3])
    assert both.fit(np.zeros((4, 1)), [[0], [1], [0], [1]]).predict(np.zeros((1, 1))) == 1


@pytest.mark.parametrize("container", [sparse.coo_matrix, sparse.csc_array])
def test_rows_are_picked_from_sparse_formats_without_rows(container: Any, problem: Problem) -> None:
    X, Y = problem
    for classifier in (
        MultilabelBaggingClassifier(BinaryRelevance(LogisticRegression()), n_estimators=2, random_state=0),
        StackedBinaryRelevance(LogisticRegression(), cv=2),
        ClassifierChain(LogisticRegression(), cv=2),
    ):
        on_dense = clone(classifier).fit(X, Y).predict_proba(X)
        np.testing.assert_allclose(classifier.fit(container(X), Y).predict_proba(X), on_dense, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "meta",
    [
        BinaryRelevance,
        LabelPowerset,
        RAkEL,
        EnsembleOfClassifierChains,
        EnsembleOfPrunedSets,
        PrunedSets,
        CalibratedLabelRanking,
        HOMER,
        lambda base: HOMER(ClassifierChain(base)),
        StackedBinaryRelevance,
        lambda base: ClassifierChain(base, cv=2),
        lambda base: MultilabelBaggingClassifier(BinaryRelevance(base)),
    ],
)
def test_metadata_reaches_the_base_under_the_name_that_it_requests(meta: Any, problem: Problem) -> None:
    X, Y = problem
    weight = np.arange(len(X)) % 2.0
    fitted = []

    class Weighed(GaussianNB):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            fitted.append(sample_weight)
            return super().fit(X, y, sample_weight)

    with sklearn.config_context(enable_metadata_routing=True):
        meta(Weighed().set_fit_request(sample_weight="mine")).fit(X, Y, mine=weight)
    assert fitted
    assert all(weights is not None and set(weights) == {0.0, 1.0} for weights in fitted)


def test_second_level_gets_the_metadata_that_it_requests(problem: Problem) -> None:
    X, Y = problem
    with sklearn.config_context(enable_metadata_routing=True):
        first = GaussianNB().set_fit_request(sample_weight=True)
        stacked = StackedBinaryRelevance(first, final_estimator=KNeighborsClassifier(), cv=2)
        assert stacked.fit(X, Y, sample_weight=np.ones(len(X))).predict(X).shape == Y.shape
