"""A classifier with learnt thresholds: out of fold, of any base, and inside scikit-learn's own tools."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skdeep.datasets import load_mulan
from skdeep.metrics import get_scorer, multilabel_fbeta
from skdeep.model_selection import MultilabelStratifiedKFold
from skdeep.multilabel import BinaryRelevance, MLkNN, MultilabelThresholdCV, optimal_thresholds
from skdeep.multilabel._label_scores import label_scores

SCOPES = ["global", "per_label", "cardinality", "rank"]
RELEVANCE = BinaryRelevance(LogisticRegression(max_iter=1000))
BASES = {
    "BinaryRelevance": RELEVANCE,
    "MLkNN": MLkNN(),
    "OneVsRestClassifier": OneVsRestClassifier(LogisticRegression(max_iter=1000)),
    "MultiOutputClassifier": MultiOutputClassifier(GaussianNB()),
    "RandomForestClassifier": RandomForestClassifier(n_estimators=5, random_state=0),
    "KNeighborsClassifier": KNeighborsClassifier(),
    "BinaryRelevance of LinearSVC": BinaryRelevance(LinearSVC()),
}


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray]:
    X, Y = make_multilabel_classification(n_samples=120, n_features=8, n_classes=4, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


class Sealed(ClassifierMixin, BaseEstimator):
    """Knows the rows it has learnt from by their first value, and refuses to speak of them until it has learnt all."""

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Sealed:
        self.seen_, self.y_, self.fit_params_ = set(np.ravel(X).tolist()), y, fit_params
        self.classes_ = np.tile([0, 1], (np.shape(y)[1], 1))
        for values in fit_params.values():
            np.testing.assert_array_equal(values, np.ravel(X))
        return self

    def predict(self, X: Any) -> np.ndarray:
        return (self.predict_proba(X) >= 0.5).astype(int)

    def predict_proba(self, X: Any) -> np.ndarray:
        assert len(self.seen_) == self.n_rows or not self.seen_ & set(np.ravel(X).tolist())
        return np.random.RandomState(0).random((len(X), len(self.classes_)))


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", BASES)
def test_thresholds_are_the_optimum_of_the_out_of_fold_scores(
    problem: tuple[np.ndarray, np.ndarray], name: str, scope: Any
) -> None:
    X, Y = problem
    base, cv = BASES[name], KFold(4)
    tuned = MultilabelThresholdCV(base, metric="f2_samples", scope=scope, cv=cv).fit(X, Y)
    method = "predict_proba" if hasattr(base, "predict_proba") else "decision_function"
    scores = cross_val_predict(base, X, Y, cv=cv, method=method)
    if isinstance(scores, list):
        scores = np.column_stack([part[:, 1] for part in scores])
    rule = optimal_thresholds(Y, scores, metric="f2_samples", scope=scope)
    np.testing.assert_array_equal(tuned.thresholds_, rule.thresholds)
    assert tuned.n_labels_per_row_ == rule.n_labels_per_row
    assert (tuned.thresholds_ is None) == (scope == "rank")
    assert tuned.best_score_ == rule.score
    fitted = clone(base).fit(X, Y)
    np.testing.assert_array_equal(tuned.predict(X), rule.predict(label_scores(fitted, X, n_labels=4, method=method)))


@pytest.mark.parametrize("name", BASES)
def test_outputs_keep_the_contract(problem: tuple[np.ndarray, np.ndarray], name: str) -> None:
    X, Y = problem
    tuned = MultilabelThresholdCV(BASES[name]).fit(X, Y)
    assert tuned.predict(X).dtype == np.int64
    assert tuned.predict(X).shape == Y.shape
    np.testing.assert_array_equal(tuned.classes_, np.tile([0, 1], (4, 1)))
    assert tuned.label_names_.tolist() == ["y0", "y1", "y2", "y3"]
    assert tuned.n_features_in_ == 8
    for method in ("predict_proba", "decision_function"):
        assert hasattr(tuned, method) == hasattr(BASES[name], method)
        if hasattr(tuned, method):
            answer = getattr(tuned, method)(X)
            assert answer.shape == Y.shape
            own = getattr(clone(BASES[name]).fit(X, Y), method)(X)
            own = np.column_stack([part[:, 1] for part in own]) if isinstance(own, list) else own
            np.testing.assert_array_equal(answer, own)


@pytest.mark.parametrize(
    "base",
    [LogisticRegression(), LinearSVC(), DecisionTreeClassifier(random_state=0), RELEVANCE, MLkNN()],
    ids=lambda base: type(base).__name__,
)
def test_one_label_may_come_from_any_binary_classifier(base: Any) -> None:
    X, y = make_classification(n_samples=100, random_state=0)
    tuned = MultilabelThresholdCV(base, metric="f1_micro").fit(X, y)
    assert tuned.predict(X).shape == (100, 1)
    assert tuned.classes_.tolist() == [[0, 1]]
    if hasattr(base, "predict_proba"):
        assert tuned.predict_proba(X).shape == (100, 1)
    assert f1_score(y, tuned.predict(X).ravel()) > 0.8


def test_one_label_is_tuned_at_least_as_well_as_by_scikit_learn() -> None:
    X, y = make_classification(n_samples=400, weights=[0.9], flip_y=0.05, class_sep=0.5, random_state=0)
    base = LogisticRegression().fit(X[:200], y[:200])
    ours = MultilabelThresholdCV(base, metric="f1_micro", cv="prefit").fit(X[200:], y[200:])
    theirs = TunedThresholdClassifierCV(base, scoring="f1", cv="prefit", refit=False, thresholds=1000)
    theirs.fit(X[200:], y[200:])
    assert theirs.best_score_ <= ours.best_score_ + 1e-9
    assert ours.best_score_ == pytest.approx(theirs.best_score_, abs=0.01)
    assert ours.best_score_ == pytest.approx(f1_score(y[200:], ours.predict(X[200:]).ravel()))
    assert ours.thresholds_ == pytest.approx(theirs.best_threshold_, abs=0.02)
    assert ours.thresholds_ < 0.5


@pytest.mark.parametrize(
    "cv", [None, 3, KFold(4), list(KFold(2).split(np.zeros(60)))], ids=["None", "3", "KFold", "list"]
)
def test_no_row_is_scored_by_a_classifier_that_has_learnt_from_it(cv: Any) -> None:
    rows, Y = np.arange(60), np.random.default_rng(0).integers(0, 2, (60, 2))
    tuned = MultilabelThresholdCV(Sealed(60), cv=cv, random_state=0).fit(rows, Y)
    assert tuned.estimator_.seen_ == set(range(60))


def test_folds_are_stratified_by_the_labels_and_shuffled_with_a_random_state(
    problem: tuple[np.ndarray, np.ndarray],
) -> None:
    X, Y = problem
    for cv, random_state, folds in [
        (None, None, MultilabelStratifiedKFold(5)),
        (3, None, MultilabelStratifiedKFold(3)),
        (3, 7, MultilabelStratifiedKFold(3, shuffle=True, random_state=7)),
    ]:
        tuned, by_hand = (
            MultilabelThresholdCV(RELEVANCE, cv=splitter, random_state=random_state).fit(X, Y)
            for splitter in (cv, folds)
        )
        np.testing.assert_array_equal(tuned.thresholds_, by_hand.thresholds_)


def test_prefit_estimator_is_asked_and_not_fitted(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    base = clone(RELEVANCE).fit(X[:60], Y[:60])
    tuned = MultilabelThresholdCV(base, metric="f2_macro", scope="per_label", cv="prefit").fit(X[60:], Y[60:])
    assert tuned.estimator_ is base
    expected = optimal_thresholds(Y[60:], base.predict_proba(X[60:]), metric="f2_macro", scope="per_label")
    np.testing.assert_array_equal(tuned.thresholds_, expected.thresholds)
    frozen = MultilabelThresholdCV(FrozenEstimator(base), metric="f2_macro", scope="per_label").fit(X[60:], Y[60:])
    np.testing.assert_array_equal(frozen.thresholds_, expected.thresholds)


def test_prefit_wants_a_fitted_estimator(problem: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(NotFittedError, match="With cv='prefit' the estimator must be fitted; this BinaryRelevance is"):
        MultilabelThresholdCV(RELEVANCE, cv="prefit").fit(*problem)


def test_decision_values_can_be_asked_for(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    by_proba, by_decision = (
        MultilabelThresholdCV(RELEVANCE, response_method=method, scope="per_label").fit(X, Y)  # type: ignore[arg-type]
        for method in ("predict_proba", "decision_function")
    )
    # the same order of scores, so the same predictions on the rows learnt from; thresholds are on another scale
    assert by_proba.best_score_ == pytest.approx(by_decision.best_score_)
    assert not np.allclose(by_proba.thresholds_, by_decision.thresholds_)


def test_label_missing_from_a_fold_has_probability_0_there() -> None:
    X = np.arange(40.0).reshape(-1, 1)
    Y = np.column_stack([np.arange(40) % 2, np.arange(40) >= 38])
    forest = RandomForestClassifier(n_estimators=3, random_state=0)
    tuned = MultilabelThresholdCV(forest, metric="f1_macro", scope="per_label", cv=KFold(2))
    # both positives are scored by the clone that saw none, with the lowest score there is
    with pytest.warns(UserWarning, match=r"no threshold of their own but that of all labels together.*: y1\.$"):
        tuned.fit(X, Y)
    assert np.isfinite(tuned.thresholds_[1])
    absent = DecisionTreeClassifier().fit(X[:20], Y[:20])
    scores = label_scores(absent, X[:3], n_labels=2, method="predict_proba")
    assert scores.shape == (3, 2)
    assert (scores[:, 1] == 0).all()


@pytest.mark.parametrize("metric", ["f1_macro", "f2_samples", "f1_micro", "neg_hamming_loss"])
def test_label_with_one_positive_gets_the_threshold_of_all_labels(
    problem: tuple[np.ndarray, np.ndarray], metric: str
) -> None:
    X, Y = problem[0], problem[1].copy()
    Y[:, 2] = np.arange(len(Y)) == 7
    tuned = MultilabelThresholdCV(RELEVANCE, metric=metric, scope="per_label", cv=KFold(4))
    with pytest.warns(UserWarning, match=r": night\.$"):
        tuned.fit(X, pd.DataFrame(Y, columns=["clear", "haze", "night", "water"]))
    scores = cross_val_predict(RELEVANCE, X, Y, cv=KFold(4), method="predict_proba")
    counted, ranked = Y.copy(), scores.copy()
    counted[:30, 2], ranked[:30, 2] = 0, -1  # by the clone that saw no positive
    rule = optimal_thresholds(counted, ranked, metric=metric)
    assert tuned.thresholds_[2] == rule.thresholds[0]  # type: ignore[index]
    assert not tuned.predict(X)[:, 2].all()
    if metric == "f1_macro":
        others = optimal_thresholds(Y[:, [0, 1, 3]], scores[:, [0, 1, 3]], metric=metric, scope="per_label")
        np.testing.assert_array_equal(tuned.thresholds_[[0, 1, 3]], others.thresholds)
        reached = multilabel_fbeta(Y, scores >= tuned.thresholds_, beta=1, average="macro")
        assert tuned.best_score_ == pytest.approx(reached)


@pytest.mark.parametrize(
    ("base", "threshold"), [(RELEVANCE, 0.5), (BinaryRelevance(LinearSVC()), 0)], ids=["probability", "decision value"]
)
def test_label_with_one_positive_and_no_others_keeps_the_estimators_own_threshold(
    problem: tuple[np.ndarray, np.ndarray], base: Any, threshold: float
) -> None:
    X, y = problem[0], np.arange(len(problem[0])) == 7
    tuned = MultilabelThresholdCV(base, scope="per_label", cv=KFold(4))
    with pytest.warns(UserWarning, match=r": y0\.$"):
        tuned.fit(X, y)
    assert tuned.thresholds_.tolist() == [threshold]


def test_frozen_estimator_knows_labels_that_are_not_in_the_fold(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem[0], problem[1].copy()
    base = clone(RELEVANCE).fit(X, Y)
    Y[:, 2] = np.arange(len(Y)) == 7
    frozen, prefit = (
        MultilabelThresholdCV(estimator, scope="per_label", metric="f1_macro", cv=cv).fit(X, Y)
        for estimator, cv in [(FrozenEstimator(base), KFold(4)), (base, "prefit")]
    )
    np.testing.assert_allclose(frozen.thresholds_, prefit.thresholds_, rtol=1e-9)


@pytest.mark.parametrize("value", [0, 1])
def test_label_that_varies_nowhere_is_not_warned_of(problem: tuple[np.ndarray, np.ndarray], value: int) -> None:
    X, Y = problem[0], problem[1].copy()
    Y[:, 2] = value
    tuned = MultilabelThresholdCV(RELEVANCE, scope="per_label", metric="f1_macro", cv=KFold(4)).fit(X, Y)
    assert tuned.thresholds_[2] == (-np.inf if value else np.inf)


def test_label_without_a_positive_is_never_predicted(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem[0], problem[1].copy()
    Y[:, 1] = 0
    tuned = MultilabelThresholdCV(RELEVANCE, scope="per_label", cv=KFold(3)).fit(X, Y)
    assert np.isposinf(tuned.thresholds_[1])
    assert not tuned.predict(X)[:, 1].any()


@pytest.mark.parametrize(
    "X",
    [
        [f"{row}.jpg" for row in range(12)],
        pd.Series([f"{row}.jpg" for row in range(12)]),
        pd.DataFrame({"path": list("abcdefghijkl"), "height": range(12)}),
        np.zeros((12, 8, 8, 3), dtype=np.uint8),
    ],
    ids=["list", "series", "frame", "images"],
)
def test_estimator_gets_rows_of_any_kind_as_they_are(X: Any) -> None:
    class Recorder(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Recorder:
            self.X_, self.y_ = X, y
            return self

        def predict_proba(self, X: Any) -> np.ndarray:
            assert type(X) is type(self.X_)
            assert np.shape(X)[1:] == np.shape(self.X_)[1:]
            return np.full((len(X), 2), 0.5)

    Y = np.arange(24).reshape(12, 2) % 3 == 0
    tuned = MultilabelThresholdCV(Recorder(), cv=KFold(3)).fit(X, Y)
    assert tuned.estimator_.X_ is X
    assert tuned.predict(X).shape == (12, 2)


def test_estimator_learns_the_names_of_the_labels(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    names = ["clear", "haze", "road", "water"]
    tuned = MultilabelThresholdCV(RELEVANCE).fit(X, pd.DataFrame(Y, columns=names))
    assert tuned.label_names_.tolist() == tuned.estimator_.label_names_.tolist() == names


def test_sample_weights_are_divided_among_the_folds() -> None:
    rows, Y = np.arange(60), np.random.default_rng(0).integers(0, 2, (60, 2))
    # Sealed compares each weight with its row
    tuned = MultilabelThresholdCV(Sealed(60)).fit(rows, Y, sample_weight=np.arange(60))
    np.testing.assert_array_equal(tuned.estimator_.fit_params_["sample_weight"], np.arange(60))


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("cv", [KFold(4), "prefit"], ids=["KFold", "prefit"])
def test_rows_of_weight_0_decide_no_threshold(problem: tuple[np.ndarray, np.ndarray], cv: Any, scope: Any) -> None:
    X, Y = problem
    weights = np.resize([0, 1, 2], len(X))
    Y = np.where(weights[:, np.newaxis] > 0, Y, 1 - Y)  # what would mislead
    base = clone(RELEVANCE).fit(X, Y, sample_weight=weights)
    if cv == "prefit":
        scores = base.predict_proba(X)
    else:
        params = {"sample_weight": weights}
        scores = cross_val_predict(RELEVANCE, X, Y, cv=cv, method="predict_proba", params=params)
    tuned = MultilabelThresholdCV(base, scope=scope, cv=cv).fit(X, Y, sample_weight=weights.tolist())
    rule = optimal_thresholds(Y[weights > 0], scores[weights > 0], scope=scope)
    np.testing.assert_array_equal(tuned.thresholds_, rule.thresholds)
    assert (tuned.n_labels_per_row_, tuned.best_score_) == (rule.n_labels_per_row, rule.score)


def test_groups_reach_the_splitter(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    groups = np.arange(len(X)) % 6
    tuned = MultilabelThresholdCV(RELEVANCE, cv=GroupKFold(3)).fit(X, Y, groups=groups)
    splits = list(GroupKFold(3).split(X, Y, groups))
    np.testing.assert_array_equal(tuned.thresholds_, MultilabelThresholdCV(RELEVANCE, cv=splits).fit(X, Y).thresholds_)
    default = MultilabelThresholdCV(RELEVANCE).fit(X, Y, groups=groups)
    splits = list(MultilabelStratifiedKFold().split(X, Y, groups))
    np.testing.assert_array_equal(
        default.thresholds_, MultilabelThresholdCV(RELEVANCE, cv=splits).fit(X, Y).thresholds_
    )


@pytest.mark.parametrize("cv", [None, GroupKFold(3)], ids=["default", "GroupKFold"])
def test_metadata_is_routed_as_estimator_and_splitter_request(problem: tuple[np.ndarray, np.ndarray], cv: Any) -> None:
    X, Y = problem
    weights, groups = np.linspace(0.1, 2, len(X)), np.arange(len(X)) % 12
    plain = MultilabelThresholdCV(RELEVANCE, cv=cv).fit(X, Y, sample_weight=weights, groups=groups)
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            MultilabelThresholdCV(RELEVANCE, cv=cv).fit(X, Y, sample_weight=weights, groups=groups)
        base = BinaryRelevance(LogisticRegression(max_iter=1000).set_fit_request(sample_weight=True))
        routed = MultilabelThresholdCV(base, cv=cv).fit(X, Y, sample_weight=weights, groups=groups)
        search = GridSearchCV(MultilabelThresholdCV(base, cv=cv), {"scope": ["global"]}, cv=GroupKFold(2))
        search.fit(X, Y, sample_weight=weights, groups=groups)
    np.testing.assert_array_equal(routed.thresholds_, plain.thresholds_)
    np.testing.assert_array_equal(search.best_estimator_.thresholds_, plain.thresholds_)


def test_search_goes_over_scope_metric_and_the_estimators_own_parameters(
    problem: tuple[np.ndarray, np.ndarray],
) -> None:
    grid = {"scope": SCOPES, "metric": ["f2_samples", "f1_macro"], "estimator__estimator__C": [0.1, 1]}
    search = GridSearchCV(
        MultilabelThresholdCV(RELEVANCE, cv=KFold(2)), grid, scoring=get_scorer("f2_samples"), cv=KFold(2)
    )
    search.fit(*problem)
    assert len(search.cv_results_["params"]) == 16
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.7


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
@pytest.mark.parametrize("n_labels", [1, 2, 4])
def test_cross_val_predict_gives_one_column_a_label(
    problem: tuple[np.ndarray, np.ndarray], n_labels: int, method: str
) -> None:
    X, Y = problem[0], problem[1][:, :n_labels]
    tuned = MultilabelThresholdCV(RELEVANCE, cv=KFold(2))
    answers = cross_val_predict(tuned, X, Y, cv=KFold(3), method=method)
    assert answers.shape == Y.shape
    for train, test in KFold(3).split(X):
        by_hand = getattr(clone(tuned).fit(X[train], Y[train]), method)(X[test])
        np.testing.assert_array_equal(answers[test], by_hand)


def test_scorers_work_on_all_numbers_of_labels(problem: tuple[np.ndarray, np.ndarray]) -> None:
    scoring = {name: name for name in ("average_precision", "roc_auc", "f1_macro")} | {"f2": get_scorer("f2_samples")}
    for n_labels in (1, 2, 4):
        tuned = MultilabelThresholdCV(RELEVANCE, cv=KFold(2))
        scores = cross_validate(tuned, problem[0], problem[1][:, :n_labels], scoring=scoring, cv=KFold(2))
        assert all(np.isfinite(scores[f"test_{name}"]).all() for name in scoring)


def test_works_in_a_pipeline_and_around_one(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    inside = make_pipeline(StandardScaler(), MultilabelThresholdCV(RELEVANCE)).fit(X, Y)
    around = MultilabelThresholdCV(make_pipeline(StandardScaler(), RELEVANCE)).fit(X, Y)
    assert inside.predict(X).shape == around.predict(X).shape == Y.shape


def test_clone_and_pickle_answer_alike(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    tuned = MultilabelThresholdCV(RELEVANCE, scope="per_label").fit(X, Y)
    expected = tuned.predict(X)
    np.testing.assert_array_equal(clone(tuned).fit(X, Y).predict(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(tuned)).predict(X), expected)


def test_n_jobs_changes_no_answer(problem: tuple[np.ndarray, np.ndarray]) -> None:
    one, two = (MultilabelThresholdCV(RELEVANCE, n_jobs=n_jobs).fit(*problem) for n_jobs in (None, 2))
    np.testing.assert_array_equal(one.thresholds_, two.thresholds_)


def test_second_fit_forgets_the_first(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    tuned = MultilabelThresholdCV(RELEVANCE, scope="rank").fit(X, Y)
    assert tuned.thresholds_ is None
    tuned.set_params(scope="per_label").fit(X[:, :5], Y[:, :2])
    assert tuned.n_labels_per_row_ is None
    assert tuned.predict(X[:, :5]).shape == (len(X), 2)


def test_unfitted_classifier_says_so() -> None:
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError, match="MultilabelThresholdCV instance is not fitted yet"):
            getattr(MultilabelThresholdCV(RELEVANCE), method)(np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"metric": "f1"}, "The 'metric' parameter of MultilabelThresholdCV must be 'f<beta>_<average>'"),
        ({"scope": "row"}, "The 'scope' parameter of MultilabelThresholdCV must be a str among"),
        ({"cv": 1}, "The 'cv' parameter of MultilabelThresholdCV must be"),
        ({"cv": "once"}, "The 'cv' parameter of MultilabelThresholdCV must be"),
        ({"response_method": "predict"}, "The 'response_method' parameter of MultilabelThresholdCV must be"),
        ({"estimator": LinearRegression()}, "The 'estimator' parameter of MultilabelThresholdCV must be an object"),
        (
            {"estimator": BinaryRelevance(LinearSVC()), "response_method": "predict_proba"},
            r"needs an estimator with predict_proba, which BinaryRelevance\(estimator=LinearSVC\(\)\) has not",
        ),
        ({"cv": ShuffleSplit(2, random_state=0)}, "must hold every row once"),
        ({"cv": RepeatedKFold(n_splits=2, n_repeats=2)}, "must hold every row once"),
        ({"estimator": Sealed(1)}, "inconsistent numbers of samples"),
    ],
)
def test_wrong_parameters_are_refused_before_any_work(
    problem: tuple[np.ndarray, np.ndarray], parameters: dict[str, Any], message: str
) -> None:
    X, Y = problem
    Y = Y[:-1] if "inconsistent" in message else Y
    with pytest.raises(ValueError, match=message):
        MultilabelThresholdCV(RELEVANCE).set_params(**parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.full((2, 3), 0.5), r"predict_proba of Fixed must give one column for each of the 4 labels.*shape \(2, 3\)"),
        (np.full((2, 4), np.nan), "Input scores contains NaN"),
    ],
)
def test_scores_that_do_not_fit_the_labels_are_refused(answer: np.ndarray, message: str) -> None:
    class Fixed(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Fixed:
            self.fitted_ = True
            return self

        def predict_proba(self, X: Any) -> np.ndarray:
            return answer

    with pytest.raises(ValueError, match=message):
        MultilabelThresholdCV(Fixed(), cv=KFold(2)).fit(np.zeros((4, 1)), np.eye(4, dtype=int))


@pytest.mark.data
@pytest.mark.parametrize(
    ("metric", "scope"), [("f1_samples", "global"), ("f1_macro", "per_label"), ("f1_micro", "rank")]
)
def test_thresholds_learnt_on_yeast_serve_their_metric_better_on_other_rows(
    data_folder: Path, metric: str, scope: Any
) -> None:
    train, test = (load_mulan(data_folder / "yeast" / f"yeast-{part}.arff") for part in ("train", "test"))
    base = make_pipeline(StandardScaler(), BinaryRelevance(LogisticRegression(C=0.01, max_iter=1000)))
    tuned = MultilabelThresholdCV(base, metric=metric, scope=scope, random_state=0).fit(train.data, train.target)
    plain, learnt = (
        multilabel_fbeta(test.target, fitted.predict(test.data), beta=1, average=metric.removeprefix("f1_"))  # type: ignore[arg-type]
        for fitted in (tuned.estimator_, tuned)
    )
    assert learnt > plain + 0.01
