"""Probabilities that are learnt label by label: equality with scikit-learn's calibration, and what comes out of it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skdeep.datasets import load_mulan
from skdeep.model_selection import MultilabelStratifiedKFold
from skdeep.multilabel import BinaryRelevance, MultilabelCalibratedClassifierCV, MultilabelThresholdCV

METHODS = ["sigmoid", "isotonic"]
SVC = BinaryRelevance(LinearSVC())


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray]:
    X, Y = make_multilabel_classification(n_samples=120, n_features=8, n_classes=4, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


def calibrate_each_label(base: Any, X: np.ndarray, Y: np.ndarray, method: Any, cv: Any, **params: Any) -> np.ndarray:
    calibrated = [
        CalibratedClassifierCV(base, method=method, cv=cv, ensemble=False).fit(X, target, **params) for target in Y.T
    ]
    return np.column_stack([fitted.predict_proba(X)[:, 1] for fitted in calibrated])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("meta", "base"),
    [
        (BinaryRelevance, LinearSVC()),
        (BinaryRelevance, LogisticRegression()),
        (OneVsRestClassifier, LinearSVC()),
        (MultiOutputClassifier, GaussianNB()),
    ],
    ids=["BinaryRelevance of LinearSVC", "BinaryRelevance", "OneVsRestClassifier", "MultiOutputClassifier"],
)
def test_each_label_is_calibrated_as_by_scikit_learn(
    problem: tuple[np.ndarray, np.ndarray], meta: Any, base: Any, method: Any
) -> None:
    X, Y = problem
    ours = MultilabelCalibratedClassifierCV(meta(base), method=method, cv=KFold(4)).fit(X, Y)
    theirs = calibrate_each_label(base, X, Y, method, list(KFold(4).split(X)))
    np.testing.assert_array_equal(ours.predict_proba(X), theirs)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("routed", [False, True])
def test_weights_count_as_in_scikit_learn(problem: tuple[np.ndarray, np.ndarray], method: Any, routed: bool) -> None:
    X, Y = problem
    weights, folds = np.random.default_rng(0).uniform(0.1, 3, len(X)), list(KFold(3).split(X))
    theirs = calibrate_each_label(LinearSVC(), X, Y, method, folds, sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=routed):
        base = LinearSVC().set_fit_request(sample_weight=True) if routed else LinearSVC()
        ours = MultilabelCalibratedClassifierCV(BinaryRelevance(base), method=method, cv=folds)
        found = ours.fit(X, Y, sample_weight=weights).predict_proba(X)
    np.testing.assert_array_equal(found, theirs)
    assert not np.allclose(ours.fit(X, Y).predict_proba(X), theirs)


def test_groups_reach_the_splitter(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    groups = np.arange(len(X)) // 10
    folds = list(GroupKFold(3).split(X, Y, groups))
    grouped = MultilabelCalibratedClassifierCV(SVC, cv=GroupKFold(3)).fit(X, Y, groups=groups)
    expected = MultilabelCalibratedClassifierCV(SVC, cv=folds).fit(X, Y)
    np.testing.assert_array_equal(grouped.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("method", METHODS)
def test_outputs_keep_the_contract(problem: tuple[np.ndarray, np.ndarray], method: Any) -> None:
    X, Y = problem
    calibrated = MultilabelCalibratedClassifierCV(SVC, method=method).fit(X, Y)
    predicted, proba = calibrated.predict(X), calibrated.predict_proba(X)
    assert predicted.dtype == np.int64
    assert predicted.shape == proba.shape == Y.shape
    assert (proba >= 0).all()
    assert (proba <= 1).all()
    np.testing.assert_array_equal(predicted, proba >= 0.5)
    np.testing.assert_array_equal(calibrated.decision_function(X) > 0, proba > 0.5)
    assert np.isfinite(calibrated.decision_function(X)).all()
    np.testing.assert_array_equal(calibrated.classes_, np.tile([0, 1], (4, 1)))
    assert calibrated.n_features_in_ == 8
    assert len(calibrated.calibrators_) == 4


def test_label_names_come_from_a_data_frame(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    names = ["clear", "haze", "road", "water"]
    calibrated = MultilabelCalibratedClassifierCV(SVC).fit(X, pd.DataFrame(Y, columns=names))
    assert calibrated.label_names_.tolist() == calibrated.estimator_.label_names_.tolist() == names


def test_order_of_the_scores_is_kept_by_the_sigmoid(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    calibrated = MultilabelCalibratedClassifierCV(SVC).fit(X, Y)
    scores = calibrated.estimator_.decision_function(X)
    np.testing.assert_array_equal(np.argsort(scores, axis=0), np.argsort(calibrated.predict_proba(X), axis=0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0, 1])
def test_label_with_one_value_in_training_is_certain(
    problem: tuple[np.ndarray, np.ndarray], value: int, method: Any
) -> None:
    X, Y = problem[0], problem[1].copy()
    Y[:, 1] = value
    calibrated = MultilabelCalibratedClassifierCV(SVC, method=method, cv=KFold(3)).fit(X, Y)
    assert (calibrated.predict_proba(X)[:, 1] == value).all()
    assert (calibrated.predict(X)[:, 1] == value).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize(
    ("base", "own"),
    [
        (SVC, lambda fitted, X: expit(fitted.decision_function(X))),
        (BinaryRelevance(LogisticRegression()), lambda fitted, X: fitted.predict_proba(X)),
        (KNeighborsClassifier(), lambda fitted, X: np.column_stack([p[:, 1] for p in fitted.predict_proba(X)])),
    ],
    ids=["decision values", "both", "probabilities"],
)
def test_label_with_a_value_in_one_fold_only_keeps_what_the_estimator_says(
    problem: tuple[np.ndarray, np.ndarray], base: Any, own: Any, value: int, method: Any
) -> None:
    X, Y = problem[0], problem[1].copy()
    Y[:, 1] = np.where(np.arange(len(Y)) == 7, value, 1 - value)
    calibrated = MultilabelCalibratedClassifierCV(base, method=method, cv=KFold(3))
    with pytest.warns(UserWarning, match=r"cannot be calibrated.*: haze\.$"):
        calibrated.fit(X, pd.DataFrame(Y, columns=["clear", "haze", "road", "water"]))
    found = calibrated.predict_proba(X)
    np.testing.assert_array_equal(found[:, 1], own(calibrated.estimator_, X)[:, 1])
    assert [fitted is None for fitted in calibrated.calibrators_] == [False, True, False, False]
    if base is SVC:  # each label by itself
        others = [0, 2, 3]
        without = clone(calibrated).fit(X, Y[:, others])
        np.testing.assert_array_equal(found[:, others], without.predict_proba(X))


def test_label_whose_positives_are_of_one_group_keeps_its_order(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem[0], problem[1].copy()
    groups = np.arange(len(Y)) // 10
    Y[:, 1] &= groups == 2
    assert Y[:, 1].sum() > 1
    calibrated = MultilabelCalibratedClassifierCV(SVC, cv=GroupKFold(3))
    with pytest.warns(UserWarning, match=r": y1\.$"):
        calibrated.fit(X, Y, groups=groups)
    scores, found = calibrated.estimator_.decision_function(X)[:, 1], calibrated.predict_proba(X)[:, 1]
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(found))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_clones_that_had_one_value_only_do_not_count(
    problem: tuple[np.ndarray, np.ndarray], weighted: bool, method: Any
) -> None:
    class Raw(ClassifierMixin, BaseEstimator):
        """Its decision values are its first features, whatever it has learnt from."""

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Raw:
            self.fitted_ = True
            return self

        def decision_function(self, X: Any) -> np.ndarray:
            return X[:, :4]

    X, Y = problem
    params = {"sample_weight": np.linspace(0.1, 2, len(X))} if weighted else {}
    folds = list(KFold(3).split(X))
    train, test = folds[0]
    folds[0] = train[Y[train, 1] == 0], test
    found = MultilabelCalibratedClassifierCV(Raw(), method=method, cv=folds).fit(X, Y, **params).predict_proba(X)
    prefit = MultilabelCalibratedClassifierCV(Raw().fit(X, Y), method=method, cv="prefit")
    everywhere = prefit.fit(X, Y, **params).predict_proba(X)
    params = {name: values[train] for name, values in params.items()}
    elsewhere = prefit.fit(X[train], Y[train], **params).predict_proba(X)
    assert not np.array_equal(everywhere[:, 1], elsewhere[:, 1])
    np.testing.assert_array_equal(found[:, 1], elsewhere[:, 1])
    np.testing.assert_array_equal(found[:, [0, 2, 3]], everywhere[:, [0, 2, 3]])


def test_no_row_is_scored_by_a_classifier_that_has_learnt_from_it() -> None:
    class Memory(ClassifierMixin, BaseEstimator):
        """Knows the labels of the rows it has learnt from, and nothing else."""

        def fit(self, X: Any, y: Any) -> Memory:
            self.known_ = dict(zip(np.ravel(X).tolist(), y.tolist(), strict=True))
            return self

        def decision_function(self, X: Any) -> np.ndarray:
            return np.array([self.known_.get(row, [0.5, 0.5]) for row in np.ravel(X).tolist()], dtype=float)

    Y = np.random.default_rng(0).random((60, 2)) < 0.3
    calibrated = MultilabelCalibratedClassifierCV(Memory()).fit(np.arange(60), Y)
    # nothing was to be learnt from what it said of other rows, so all that is left is how frequent the labels are
    shares = (Y.sum(axis=0) + 1) / (len(Y) + 2)
    np.testing.assert_allclose(calibrated.predict_proba(np.array([-1])), shares[np.newaxis], atol=0.02)
    assert calibrated.estimator_.known_.keys() == set(range(60))


def test_default_folds_are_stratified_by_the_labels(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    for random_state in (None, 0):
        folds = MultilabelStratifiedKFold(5, shuffle=random_state is not None, random_state=random_state)
        default = MultilabelCalibratedClassifierCV(SVC, random_state=random_state).fit(X, Y)
        by_hand = MultilabelCalibratedClassifierCV(SVC, cv=folds).fit(X, Y)
        np.testing.assert_array_equal(default.predict_proba(X), by_hand.predict_proba(X))


def test_prefit_estimator_is_asked_and_not_fitted(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    base = clone(SVC).fit(X[:60], Y[:60])
    prefit = MultilabelCalibratedClassifierCV(base, cv="prefit").fit(X[60:], Y[60:])
    assert prefit.estimator_ is base
    frozen = MultilabelCalibratedClassifierCV(FrozenEstimator(base)).fit(X[60:], Y[60:])
    np.testing.assert_allclose(frozen.predict_proba(X), prefit.predict_proba(X), rtol=1e-6)
    with pytest.raises(NotFittedError, match="With cv='prefit' the estimator must be fitted"):
        MultilabelCalibratedClassifierCV(SVC, cv="prefit").fit(X, Y)


def test_one_label_may_come_from_a_binary_classifier() -> None:
    X, y = make_classification(n_samples=100, random_state=0)
    calibrated = MultilabelCalibratedClassifierCV(LinearSVC(), cv=KFold(4)).fit(X, y)
    theirs = calibrate_each_label(LinearSVC(), X, y[:, np.newaxis], "sigmoid", list(KFold(4).split(X)))
    np.testing.assert_array_equal(calibrated.predict_proba(X), theirs)


@pytest.mark.parametrize("n_labels", [1, 2, 4])
def test_scikit_learns_tools_work_on_all_numbers_of_labels(
    problem: tuple[np.ndarray, np.ndarray], n_labels: int
) -> None:
    X, Y = problem[0], problem[1][:, :n_labels]
    calibrated = MultilabelCalibratedClassifierCV(SVC, cv=KFold(2))
    assert cross_val_predict(calibrated, X, Y, cv=KFold(2), method="predict_proba").shape == Y.shape
    scores = cross_validate(calibrated, X, Y, scoring=["average_precision", "roc_auc"], cv=KFold(2))
    assert np.isfinite(scores["test_roc_auc"]).all()
    pipeline = make_pipeline(StandardScaler(), calibrated)
    grid = {
        "multilabelcalibratedclassifiercv__method": METHODS,
        "multilabelcalibratedclassifiercv__estimator__estimator__C": [0.1, 1],
    }
    search = GridSearchCV(pipeline, grid, scoring="average_precision", cv=KFold(2)).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_thresholds_can_be_learnt_of_calibrated_probabilities(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    calibrated = MultilabelCalibratedClassifierCV(SVC, cv=KFold(2))
    tuned = MultilabelThresholdCV(calibrated, metric="f2_samples", cv=KFold(2)).fit(X, Y)
    assert 0 < tuned.thresholds_[0] < 0.5
    assert tuned.predict(X).shape == Y.shape


def test_clone_and_pickle_answer_alike(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    calibrated = MultilabelCalibratedClassifierCV(SVC).fit(X, Y)
    expected = calibrated.predict_proba(X)
    np.testing.assert_array_equal(clone(calibrated).fit(X, Y).predict_proba(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(calibrated)).predict_proba(X), expected)


def test_unfitted_classifier_says_so() -> None:
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError, match="MultilabelCalibratedClassifierCV instance is not fitted yet"):
            getattr(MultilabelCalibratedClassifierCV(SVC), method)(np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "temperature"}, "The 'method' parameter of MultilabelCalibratedClassifierCV must be a str among"),
        ({"cv": "once"}, "The 'cv' parameter of MultilabelCalibratedClassifierCV must be"),
        ({"estimator": LinearRegression()}, "The 'estimator' parameter of MultilabelCalibratedClassifierCV must be"),
        ({"cv": ShuffleSplit(2, random_state=0)}, "must hold every row once"),
    ],
)
def test_wrong_parameters_are_refused(
    problem: tuple[np.ndarray, np.ndarray], parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        MultilabelCalibratedClassifierCV(SVC).set_params(**parameters).fit(*problem)


@pytest.mark.data
@pytest.mark.parametrize("method", METHODS)
def test_calibration_betters_the_probabilities_on_other_rows_of_yeast(data_folder: Path, method: Any) -> None:
    train, test = (load_mulan(data_folder / "yeast" / f"yeast-{part}.arff") for part in ("train", "test"))
    base = make_pipeline(StandardScaler(), BinaryRelevance(GaussianNB()))
    calibrated = MultilabelCalibratedClassifierCV(base, method=method).fit(train.data, train.target)
    own, learnt = (
        np.mean([brier_score_loss(y, p) for y, p in zip(test.target.T, fitted.predict_proba(test.data).T, strict=True)])
        for fitted in (calibrated.estimator_, calibrated)
    )
    assert learnt < own - 0.05
