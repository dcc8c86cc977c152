"""The measures as scorers, in searches and cross-validation, with and without probabilities."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
import sklearn
import sklearn.metrics as sk
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skdeep.metrics import (
    fbeta_at_threshold,
    get_scorer,
    get_scorer_names,
    multilabel_scorer,
    multilabel_scores,
)
from skdeep.multilabel import BinaryRelevance, LabelPowerset

LOSSES = {"hamming_loss", "one_error", "coverage", "ranking_loss", "is_error"}
RANKING = {"neg_one_error", "neg_coverage", "neg_ranking_loss", "neg_is_error", "average_precision", "map_macro"}
SIMPLE = BinaryRelevance(LogisticRegression())


class OnlyLabels(ClassifierMixin, BaseEstimator):
    """A classifier that predicts labels and nothing else."""

    def fit(self, X: Any, y: Any) -> Self:
        self.fitted_ = clone(SIMPLE).fit(X, y)
        self.classes_ = self.fitted_.classes_
        return self

    def predict(self, X: Any) -> Any:
        return self.fitted_.predict(X)


class Counted(OnlyLabels):
    """A classifier that notes what it is asked."""

    def fit(self, X: Any, y: Any) -> Self:
        self.asked_: Counter[str] = Counter()
        return super().fit(X, y)

    def predict(self, X: Any) -> Any:
        self.asked_["predict"] += 1
        return super().predict(X)

    def predict_proba(self, X: Any) -> Any:
        self.asked_["predict_proba"] += 1
        return self.fitted_.predict_proba(X)

    def decision_function(self, X: Any) -> Any:
        self.asked_["decision_function"] += 1
        return self.fitted_.decision_function(X)


class Either(OnlyLabels):
    """A classifier that has probabilities if ``scores``."""

    def __init__(self, scores: bool = True) -> None:
        self.scores = scores

    def __getattr__(self, name: str) -> Any:
        if name == "predict_proba" and self.__dict__.get("scores"):
            return self.fitted_.predict_proba
        raise AttributeError(name)


@pytest.fixture
def X() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((90, 3))


@pytest.fixture
def Y(X: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).standard_normal(X.shape)
    return (X + noise > [0.2, 0.5, -0.3]).astype(int)


def signed(scores: dict[str, float]) -> dict[str, float]:
    return {f"neg_{name}" if name in LOSSES else name: -v if name in LOSSES else v for name, v in scores.items()}


@pytest.mark.parametrize("name", get_scorer_names())
def test_scorers_choose_by_grid_search(name: str, X: np.ndarray) -> None:
    Y = (X > [0.2, 0.5, -0.3]).astype(int)
    search = GridSearchCV(SIMPLE, {"estimator__C": [1e-6, 10.0]}, scoring=get_scorer(name), cv=3)
    assert search.fit(X, Y).best_params_ == {"estimator__C": 10.0}


def test_every_measure_has_a_scorer(X: np.ndarray, Y: np.ndarray) -> None:
    model = clone(SIMPLE).fit(X, Y)
    proba = model.predict_proba(X)
    expected = signed(multilabel_scores(Y, model.predict(X), proba))
    found = {name: get_scorer(name)(model, X, Y) for name in get_scorer_names()}
    assert found.pop("f2_at_threshold") == fbeta_at_threshold(Y, proba)
    assert {name.removeprefix("multilabel_"): score for name, score in found.items()} == expected


def test_scorers_take_no_name_from_scikit_learn() -> None:
    taken = set(sk.get_scorer_names())
    assert taken.isdisjoint(get_scorer_names())
    # and a prefix stands only where the name is taken
    prefixed = {name.removeprefix("multilabel_") for name in get_scorer_names() if name.startswith("multilabel_")}
    assert prefixed <= taken


def test_scikit_learns_names_keep_its_rule_for_rows_without_labels(X: np.ndarray) -> None:
    Y = np.zeros((90, 3), dtype=int)
    model = clone(SIMPLE).fit(X, Y)
    assert get_scorer("multilabel_f1_samples")(model, X, Y) == 1
    with pytest.warns(UndefinedMetricWarning):
        assert get_scorer("f1_samples")(model, X, Y) == 0


def test_scikit_learns_average_precision_is_that_of_labels(X: np.ndarray, Y: np.ndarray) -> None:
    model = clone(SIMPLE).fit(X, Y)
    scores = multilabel_scorer(model, X, Y)
    assert get_scorer("average_precision")(model, X, Y) == pytest.approx(scores["map_macro"])
    assert get_scorer("multilabel_average_precision")(model, X, Y) == scores["average_precision"]


def test_a_scorer_may_be_changed_without_changing_the_next(X: np.ndarray) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        changed = get_scorer("f2_samples").set_score_request(sample_weight=True)
        requests = [scorer.get_metadata_routing().score.requests for scorer in (changed, get_scorer("f2_samples"))]
    assert requests[0] != requests[1]


def test_scorers_are_pickled(X: np.ndarray, Y: np.ndarray) -> None:
    model = clone(SIMPLE).fit(X, Y)
    for scorer in (get_scorer("neg_is_error"), get_scorer("f2_macro"), multilabel_scorer):
        assert pickle.loads(pickle.dumps(scorer))(model, X, Y) == scorer(model, X, Y)


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"'one_error' is no scorer of skdeep.*neg_one_error"):
        get_scorer("one_error")


def test_ranking_scorers_take_decision_values_and_lists_of_probabilities(X: np.ndarray, Y: np.ndarray) -> None:
    scorer = get_scorer("neg_ranking_loss")
    margins = BinaryRelevance(LinearSVC()).fit(X, Y)
    assert scorer(margins, X, Y) == pytest.approx(-sk.label_ranking_loss(Y, margins.decision_function(X)))
    forest = RandomForestClassifier(10, random_state=0).fit(X, Y)
    stacked = np.column_stack([proba[:, 1] for proba in forest.predict_proba(X)])
    assert scorer(forest, X, Y) == pytest.approx(-sk.label_ranking_loss(Y, stacked))
    assert multilabel_scorer(forest, X, Y) == signed(multilabel_scores(Y, forest.predict(X), stacked))


@pytest.mark.parametrize(
    "model", [RandomForestClassifier(5, random_state=0), DecisionTreeClassifier(random_state=0), KNeighborsClassifier()]
)
@pytest.mark.parametrize("value", [0, 1])
def test_scorers_take_lists_that_lack_a_class(model: Any, value: int, X: np.ndarray, Y: np.ndarray) -> None:
    train, test = slice(45), slice(45, 90)
    Y[train, 1] = value
    model = clone(model).fit(X[train], Y[train])
    proba = [part[:, -1] for part in model.predict_proba(X[test])]
    proba[1] = np.full(45, value)
    expected = multilabel_scores(Y[test], model.predict(X[test]), np.column_stack(proba))
    assert multilabel_scorer(model, X[test], Y[test]) == signed(expected)
    for name in ("multilabel_f1_samples", "map_macro", "neg_coverage"):
        plain = name.removeprefix("multilabel_")
        assert get_scorer(name)(model, X[test], Y[test]) == signed(expected)[plain]
    f2 = fbeta_at_threshold(Y[test], np.column_stack(proba))
    assert get_scorer("f2_at_threshold")(model, X[test], Y[test]) == f2


@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier((2,), solver="lbfgs", max_iter=3000, random_state=0),
        OneVsRestClassifier(LogisticRegression()),
        OneVsRestClassifier(LinearSVC()),
    ],
)
def test_scorers_take_two_labels_for_no_two_classes(model: Any, X: np.ndarray, Y: np.ndarray) -> None:
    Y = Y[:, :2]
    model = clone(model).fit(X, Y)
    scores = model.predict_proba(X) if hasattr(model, "predict_proba") else model.decision_function(X)
    expected = signed(multilabel_scores(Y, model.predict(X), scores))
    assert multilabel_scorer(model, X, Y) == expected
    assert get_scorer("neg_ranking_loss")(model, X, Y) == expected["neg_ranking_loss"]
    assert get_scorer("multilabel_jaccard_micro")(model, X, Y) == expected["jaccard_micro"]


def test_searches_score_folds_that_lack_a_label(X: np.ndarray, Y: np.ndarray) -> None:
    Y[:, 1] = np.arange(90) == 7
    search = GridSearchCV(
        KNeighborsClassifier(), {"n_neighbors": [3, 5]}, scoring=get_scorer("neg_ranking_loss"), cv=KFold(3)
    )
    assert np.isfinite(search.fit(X, Y).cv_results_["mean_test_score"]).all()


def test_scorers_beside_each_other_and_scikit_learns_ask_once(X: np.ndarray, Y: np.ndarray) -> None:
    ours = {name: get_scorer(name) for name in get_scorer_names()}
    result = cross_validate(Counted(), X, Y, scoring=ours, cv=3, return_estimator=True)
    assert [model.asked_ for model in result["estimator"]] == [{"predict": 1, "predict_proba": 1}] * 3
    both = {"f1": "f1_macro", **ours, "jaccard": "jaccard_macro", "ap": "average_precision"}
    mixed = cross_validate(SIMPLE, X, Y, scoring=both, cv=3)
    for name in ours:
        np.testing.assert_array_equal(mixed[f"test_{name}"], result[f"test_{name}"])


def test_scorer_of_all_measures_asks_once_for_labels_and_once_for_scores(X: np.ndarray, Y: np.ndarray) -> None:
    model = Counted().fit(X, Y)
    scores = multilabel_scorer(model, X, Y)
    assert model.asked_ == {"predict": 1, "predict_proba": 1}
    assert scores == signed(multilabel_scores(Y, model.predict(X), model.predict_proba(X)))


def test_scorer_of_all_measures_takes_decision_values(X: np.ndarray, Y: np.ndarray) -> None:
    model = BinaryRelevance(LinearSVC()).fit(X, Y)
    assert multilabel_scorer(model, X, Y) == signed(multilabel_scores(Y, model.predict(X), model.decision_function(X)))


def test_scorer_of_all_measures_gives_nan_where_there_are_no_scores(X: np.ndarray, Y: np.ndarray) -> None:
    model = OnlyLabels().fit(X, Y)
    scores, complete = multilabel_scorer(model, X, Y), multilabel_scorer(model.fitted_, X, Y)
    assert scores.keys() == complete.keys()
    assert {name for name, score in scores.items() if np.isnan(score)} == RANKING
    assert {name: score for name, score in scores.items() if name not in RANKING} == signed(
        multilabel_scores(Y, model.predict(X))
    )


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, pd.DataFrame])
def test_scorer_of_all_measures_takes_targets_of_each_kind(container: Any, X: np.ndarray, Y: np.ndarray) -> None:
    model = clone(SIMPLE).fit(X, Y)
    assert multilabel_scorer(model, X, container(Y)) == multilabel_scorer(model, X, Y)


@pytest.mark.parametrize("model", [SIMPLE, LogisticRegression(), LinearSVC()])
def test_scorer_of_all_measures_takes_one_label(model: Any, X: np.ndarray, Y: np.ndarray) -> None:
    y = Y[:, 0]
    model = clone(model).fit(X, y)
    scores = multilabel_scorer(model, X, y)
    assert scores["f1_micro"] == pytest.approx(sk.f1_score(y, model.predict(X)))
    assert scores["map_macro"] == pytest.approx(sk.get_scorer("average_precision")(model, X, y))


@pytest.mark.parametrize("routing", [False, True])
def test_cross_validation_reports_all_measures(routing: bool, X: np.ndarray, Y: np.ndarray) -> None:
    with sklearn.config_context(enable_metadata_routing=routing):
        result = cross_validate(
            SIMPLE, X, Y, scoring=multilabel_scorer, cv=3, return_estimator=True, return_indices=True
        )
    for fold, (model, test) in enumerate(zip(result["estimator"], result["indices"]["test"], strict=True)):
        for name, score in multilabel_scorer(model, X[test], Y[test]).items():
            assert result[f"test_{name}"][fold] == score


@pytest.mark.parametrize("refit", ["f2_samples", "neg_hamming_loss", "map_macro"])
def test_search_by_all_measures_chooses_by_the_one_named(refit: str, X: np.ndarray) -> None:
    Y = (X > [0.2, 0.5, -0.3]).astype(int)
    search = GridSearchCV(SIMPLE, {"estimator__C": [1e-6, 10.0]}, scoring=multilabel_scorer, refit=refit, cv=3)
    search.fit(X, Y)
    assert search.best_params_ == {"estimator__C": 10.0}
    assert search.best_score_ == search.cv_results_[f"mean_test_{refit}"].max()
    assert search.score(X, Y) == multilabel_scorer(search.best_estimator_, X, Y)[refit]


@pytest.mark.parametrize("order", [[True, False], [False, True]])
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_search_compares_candidates_with_and_without_scores(order: list[bool], X: np.ndarray, Y: np.ndarray) -> None:
    search = GridSearchCV(Either(), {"scores": order}, scoring=multilabel_scorer, refit="neg_one_error", cv=3)
    search.fit(X, Y)
    assert search.best_params_ == {"scores": True}
    f2, one_error = (search.cv_results_[f"mean_test_{name}"] for name in ("f2_samples", "neg_one_error"))
    assert f2[0] == f2[1]
    assert np.isnan(one_error).tolist() == [not scores for scores in order]


def test_a_classifier_without_scores_is_searched_by_its_labels(X: np.ndarray) -> None:
    Y = (X > [0.2, 0.5, -0.3]).astype(int)
    sets = LabelPowerset(LinearSVC())
    search = GridSearchCV(sets, {"estimator__C": [1e-6, 1.0]}, scoring=get_scorer("multilabel_jaccard_samples"), cv=3)
    assert search.fit(X, Y).best_params_ == {"estimator__C": 1.0}
    assert not hasattr(search, "predict_proba")
