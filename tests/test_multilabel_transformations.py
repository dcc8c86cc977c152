"""Binary relevance, classifier chains and label powersets: equality with oracles, and what reaches the base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from scipy.special import logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, hamming_loss
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain as SklearnChain
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skdeep.datasets import load_mulan
from skdeep.multilabel import BinaryRelevance, ClassifierChain, LabelPowerset, MLkNN
from skdeep.multilabel._chain_features import append_labels

META = [BinaryRelevance, ClassifierChain, LabelPowerset]


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was given, and answers from the rows' order alone."""

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Recorder:
        self.X_, self.y_, self.fit_params_ = X, y, fit_params
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return self.classes_[np.arange(len(X)) % len(self.classes_)]

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


@pytest.fixture
def problem() -> tuple[np.ndarray, np.ndarray]:
    X, Y = make_multilabel_classification(n_samples=150, n_features=8, n_classes=4, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


def test_binary_relevance_equals_one_vs_rest_and_multi_output(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    ours = BinaryRelevance(LogisticRegression()).fit(X, Y)
    rest = OneVsRestClassifier(LogisticRegression()).fit(X, Y)
    each = MultiOutputClassifier(LogisticRegression()).fit(X, Y)
    np.testing.assert_array_equal(ours.predict(X), rest.predict(X))
    np.testing.assert_array_equal(ours.predict(X), each.predict(X))
    np.testing.assert_array_equal(ours.predict_proba(X), rest.predict_proba(X))
    np.testing.assert_array_equal(ours.predict_proba(X), np.column_stack([p[:, 1] for p in each.predict_proba(X)]))
    np.testing.assert_array_equal(ours.decision_function(X), rest.decision_function(X))


@pytest.mark.parametrize("order", [None, [2, 0, 3, 1], "random"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_classifier_chain_equals_scikit_learns(
    problem: tuple[np.ndarray, np.ndarray], order: Any, container: Any
) -> None:
    X, Y = container(problem[0]), problem[1]
    ours = ClassifierChain(LogisticRegression(), order=order, random_state=7).fit(X, Y)
    theirs = SklearnChain(LogisticRegression(), order=order, random_state=7).fit(X, Y)
    np.testing.assert_array_equal(ours.order_, theirs.order_)
    for method in ("predict", "predict_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(ours, method)(X), getattr(theirs, method)(X))


def test_classifier_chain_on_a_data_frame_equals_the_array(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    on_array = ClassifierChain(LogisticRegression()).fit(X, Y)
    on_frame = ClassifierChain(LogisticRegression()).fit(frame, Y)
    np.testing.assert_allclose(on_frame.predict_proba(frame), on_array.predict_proba(X), rtol=1e-9)
    assert on_frame.estimators_[2].feature_names_in_.tolist() == [*frame.columns, "y0", "y1"]


def test_label_powerset_sums_over_label_sets(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    ours = LabelPowerset(LogisticRegression(max_iter=500)).fit(X, Y)
    codes = Y @ [8, 4, 2, 1]
    base = LogisticRegression(max_iter=500).fit(X, codes)
    np.testing.assert_array_equal(ours.predict(X) @ [8, 4, 2, 1], base.predict(X))
    proba = base.predict_proba(X)
    for label, bit in enumerate([8, 4, 2, 1]):
        expected = sum(proba[:, column] for column, code in enumerate(base.classes_) if code & bit)
        np.testing.assert_allclose(ours.predict_proba(X)[:, label], expected, rtol=1e-12)
    np.testing.assert_allclose(ours.decision_function(X), logit(ours.predict_proba(X)))


def test_label_powerset_predicts_seen_sets_only(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    classifier = LabelPowerset(DecisionTreeClassifier(random_state=0)).fit(X[:30], Y[:30])
    seen = {tuple(row) for row in Y[:30]}
    assert {tuple(row) for row in classifier.label_sets_} == seen
    assert {tuple(row) for row in classifier.predict(X)} <= seen


def test_label_powerset_base_that_lost_a_class_is_read_by_its_classes() -> None:
    class Loser(Recorder):
        def fit(self, X: Any, y: Any, **fit_params: Any) -> Recorder:
            return super().fit(X, y[y != 0], **fit_params)

    classifier = LabelPowerset(Loser()).fit(np.zeros((3, 1)), [[0, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(classifier.predict_proba(np.zeros((1, 1))), [[0.5, 1.0]])


@pytest.mark.parametrize(("lost", "expected"), [(0, 1.0), (1, 0.0)])
def test_binary_base_that_lost_a_class_is_read_by_its_classes(lost: int, expected: float) -> None:
    class Loser(Recorder):
        def fit(self, X: Any, y: Any, **fit_params: Any) -> Recorder:
            return super().fit(X, y[y != lost], **fit_params)

    classifier = BinaryRelevance(Loser()).fit(np.zeros((4, 1)), [[0], [1], [0], [1]])
    assert classifier.predict_proba(np.zeros((1, 1))) == expected
    assert classifier.predict(np.zeros((1, 1))) == expected
    assert np.sign(classifier.decision_function(np.zeros((1, 1)))) == 2 * expected - 1


@pytest.mark.parametrize("meta", [BinaryRelevance, LabelPowerset])
@pytest.mark.parametrize(
    "X",
    [
        ["a.jpg", "b.jpg", "c.jpg", "d.jpg"],
        pd.Series(["a.jpg", "b.jpg", "c.jpg", "d.jpg"]),
        pd.DataFrame({"path": list("abcd"), "height": [1, 2, 3, 4]}),
        np.zeros((4, 8, 8, 3), dtype=np.uint8),
    ],
    ids=["list", "series", "frame", "images"],
)
def test_base_gets_the_very_object(meta: Any, X: Any) -> None:
    classifier = meta(Recorder()).fit(X, [[0, 1], [1, 0], [1, 1], [0, 0]])
    assert all(fitted.X_ is X for fitted in classifier.estimators_)
    assert classifier.predict(X).shape == (4, 2)


def test_base_gets_integer_targets_of_one_dimension() -> None:
    X, Y = np.zeros((4, 1)), np.array([[0, 1], [1, 0], [1, 1], [0, 0]], dtype=bool)
    for fitted, target in zip(BinaryRelevance(Recorder()).fit(X, Y).estimators_, Y.T, strict=True):
        assert fitted.y_.dtype == np.int64
        np.testing.assert_array_equal(fitted.y_, target)
    assert sorted(LabelPowerset(Recorder()).fit(X, Y).estimators_[0].y_) == [0, 1, 2, 3]


def test_chain_hands_paths_on_as_a_frame_with_the_labels() -> None:
    paths = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    Y = pd.DataFrame([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1]], columns=["road", "image", "water"])
    chain = ClassifierChain(Recorder(), order=[1, 2, 0]).fit(paths, Y)
    first, _, last = chain.estimators_
    assert first.X_ is paths
    assert last.X_.columns.tolist() == ["image", "image_", "water"]
    assert last.X_["image"].tolist() == paths
    np.testing.assert_array_equal(last.X_[["image_", "water"]], Y[["image", "water"]])
    assert chain.predict(paths).shape == (4, 3)


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        (np.ones((3, 2)), np.float64),
        (np.ones((3, 2), dtype=np.float32), np.float32),
        (np.ones((3, 2), dtype=np.uint8), np.uint8),
        ([[1, 1], [1, 1], [1, 1]], np.int64),
        (np.ones((3, 2), dtype=object), object),
    ],
)
def test_labels_are_stacked_on_the_right_of_a_table(X: Any, dtype: Any) -> None:
    labels = np.array([[0], [1], [0]], dtype=np.uint8)
    extended = append_labels(X, labels, ["road"])
    assert extended.dtype == dtype
    np.testing.assert_array_equal(extended.astype(int), [[1, 1, 0], [1, 1, 1], [1, 1, 0]])


@pytest.mark.parametrize("family", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_array])
def test_labels_are_stacked_on_sparse_rows_of_the_same_family(family: Any) -> None:
    extended = append_labels(family(np.eye(3)), np.array([[0], [1], [0]], dtype=np.uint8), ["road"])
    assert extended.format == "csr"
    assert isinstance(extended, sparse.sparray) == issubclass(family, sparse.sparray)
    np.testing.assert_array_equal(extended.toarray(), np.c_[np.eye(3), [0, 1, 0]])


def test_images_become_one_column_of_objects() -> None:
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    labels = np.array([[1, 0], [0, 1]], dtype=np.uint8)
    for X in (images, list(images), images[..., 0]):
        extended = append_labels(X, labels, ["road", "water"])
        assert extended.columns.tolist() == ["image", "road", "water"]
        for row in range(2):
            np.testing.assert_array_equal(extended["image"][row], X[row])


def test_frames_get_columns_and_keep_their_own() -> None:
    frame = pd.DataFrame({"path": ["a", "b"], 0: [1.0, 2.0]}, index=[5, 5])
    extended = append_labels(frame, np.array([[1], [0]], dtype=np.uint8), ["0"])
    assert extended.columns.tolist() == ["path", "0", "0_"]
    assert extended["0_"].tolist() == [1, 0]
    assert extended.index.tolist() == [5, 5]
    assert frame.columns.tolist() == ["path", 0]


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3], [[0, 1, 2]]])
def test_chain_refuses_an_order_that_is_no_permutation(order: Any) -> None:
    with pytest.raises(ValueError, match="must name each of the 3 labels once"):
        ClassifierChain(Recorder(), order=order).fit(np.zeros((2, 1)), [[0, 1, 0], [1, 0, 1]])


@pytest.mark.parametrize("meta", META)
def test_estimator_of_the_user_stays_unfitted(meta: Any, problem: tuple[np.ndarray, np.ndarray]) -> None:
    base = GaussianNB()
    meta(base).fit(*problem)
    assert not hasattr(base, "classes_")


@pytest.mark.parametrize("meta", META)
def test_parameters_are_checked_in_scikit_learns_words(meta: Any) -> None:
    with pytest.raises(ValueError, match=f"The 'estimator' parameter of {meta.__name__} must be"):
        meta("tree").fit(np.zeros((2, 1)), [[0], [1]])
    with pytest.raises(ValueError, match=r"must be a classifier\. Got the regressor LinearRegression"):
        meta(LinearRegression()).fit(np.zeros((2, 1)), [[0], [1]])


@pytest.mark.parametrize("meta", META)
def test_probabilities_are_there_only_if_the_base_has_them(meta: Any, problem: tuple[np.ndarray, np.ndarray]) -> None:
    classifier = meta(LinearSVC())
    assert not hasattr(classifier, "predict_proba")
    assert not hasattr(classifier.fit(*problem), "predict_proba")
    with pytest.raises(AttributeError, match=f"This '{meta.__name__}' has no attribute 'predict_proba'"):
        classifier.predict_proba(problem[0])
    assert hasattr(classifier, "decision_function") == (meta is not LabelPowerset)


def test_decision_values_are_the_bases_own_or_logits(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    own = BinaryRelevance(LinearSVC()).fit(X, Y)
    np.testing.assert_array_equal(own.decision_function(X)[:, 1], own.estimators_[1].decision_function(X))
    by_proba = BinaryRelevance(GaussianNB()).fit(X, Y)
    clipped = np.clip(by_proba.predict_proba(X), np.finfo(float).eps, 1 - np.finfo(float).eps)
    np.testing.assert_allclose(by_proba.decision_function(X), logit(clipped))


@pytest.mark.parametrize("meta", META)
def test_sample_weight_reaches_each_base(meta: Any, problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    keep = np.arange(len(X)) % 3 > 0
    base = GaussianNB()
    weighted = meta(base).fit(X, Y, sample_weight=keep.astype(float))
    np.testing.assert_allclose(weighted.predict(X), meta(base).fit(X[keep], Y[keep]).predict(X))
    with sklearn.config_context(enable_metadata_routing=True):
        routed = meta(clone(base).set_fit_request(sample_weight=True)).fit(X, Y, sample_weight=keep.astype(float))
        np.testing.assert_array_equal(routed.predict_proba(X), weighted.predict_proba(X))
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            meta(clone(base)).fit(X, Y, sample_weight=keep)


@pytest.mark.parametrize("meta", META)
def test_input_tags_are_those_of_the_base(meta: Any) -> None:
    allows_nan = DecisionTreeClassifier()
    assert meta(allows_nan).__sklearn_tags__().input_tags.allow_nan
    assert not meta(LogisticRegression()).__sklearn_tags__().input_tags.allow_nan


def test_meta_estimators_take_each_other_as_base(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    alone = MLkNN(n_neighbors=5).fit(X, Y)
    nested = BinaryRelevance(MLkNN(n_neighbors=5)).fit(X, Y)
    np.testing.assert_array_equal(nested.predict(X), alone.predict(X))
    np.testing.assert_array_equal(nested.predict_proba(X), alone.predict_proba(X))


def test_dummy_base_knows_no_features(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    classifier = BinaryRelevance(DummyClassifier(strategy="prior")).fit(X, Y)
    np.testing.assert_allclose(classifier.predict_proba(X)[0], Y.mean(axis=0))


@pytest.mark.data
@pytest.mark.parametrize(
    ("meta", "hamming", "subset"),
    [
        (BinaryRelevance, 0.211, 0.152),
        (ClassifierChain, 0.221, 0.201),
        pytest.param(LabelPowerset, 0.239, 0.188, marks=pytest.mark.slow),
    ],
)
def test_yeast_results_are_those_of_the_field(meta: Any, hamming: float, subset: float, data_folder: Path) -> None:
    labels = data_folder / "yeast" / "yeast.xml"
    train, test = (
        load_mulan(data_folder / "yeast" / f"yeast-{part}.arff", labels=labels) for part in ("train", "test")
    )
    base = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    predicted = meta(base).fit(train.data, train.target).predict(test.data)
    assert hamming_loss(test.target, predicted) == pytest.approx(hamming, abs=0.001)
    assert accuracy_score(test.target, predicted) == pytest.approx(subset, abs=0.001)


def test_chain_does_not_count_the_features_of_a_constant_link():
    X = np.random.default_rng(0).normal(size=(30, 4))
    Y = np.column_stack([np.zeros(30, dtype=int), X[:, :2] > 0])
    assert not hasattr(ClassifierChain(LogisticRegression()).fit(X, Y), "n_features_in_")
    assert ClassifierChain(LogisticRegression(), order=[1, 0, 2]).fit(X, Y).n_features_in_ == 4


@pytest.mark.parametrize("dtype", [object, str])
def test_append_labels_takes_a_column_of_paths_as_images(dtype):
    frame = append_labels(np.array([["a.png"], ["b.png"]], dtype=dtype), np.array([[1], [0]], dtype=np.uint8), ["y0"])
    assert frame["image"].tolist() == ["a.png", "b.png"]
    assert frame["y0"].tolist() == [1, 0]
