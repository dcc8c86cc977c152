"""Stacked binary relevance: what the second level sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from skdeep.model_selection import MultilabelStratifiedKFold
from skdeep.multilabel import BinaryRelevance, MLkNN, StackedBinaryRelevance

Problem = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def problem() -> Problem:
    X, Y = make_multilabel_classification(n_samples=150, n_features=8, n_classes=4, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_second_level_learns_from_out_of_fold_answers(container: Any, problem: Problem) -> None:
    X, Y = container(problem[0]), problem[1]
    stacked = StackedBinaryRelevance(LogisticRegression(), cv=KFold(4)).fit(X, Y)
    said = cross_val_predict(BinaryRelevance(LogisticRegression()), X, Y, cv=KFold(4), method="predict_proba")
    rows = np.hstack([problem[0], said])
    first, final = (BinaryRelevance(LogisticRegression()).fit(table, Y) for table in (X, rows))
    expected = final.predict_proba(np.hstack([problem[0], first.predict_proba(X)]))
    np.testing.assert_allclose(stacked.predict_proba(X), expected, rtol=1e-3, atol=1e-4)


def test_one_label_equals_scikit_learns_stacking(problem: Problem) -> None:
    X, y = problem[0], problem[1][:, 0]
    base = LogisticRegression()
    ours = StackedBinaryRelevance(base, cv=KFold(4)).fit(X, y)
    theirs = StackingClassifier([("one", base)], base, cv=KFold(4), passthrough=True, stack_method="predict_proba")
    # theirs has the probability before the features
    np.testing.assert_allclose(ours.predict_proba(X)[:, 0], theirs.fit(X, y).predict_proba(X)[:, 1], atol=1e-4)


def test_in_sample_answers_are_those_of_the_fitted_first_level(problem: Problem) -> None:
    X, Y = problem
    stacked = StackedBinaryRelevance(
        GaussianNB(), final_estimator=LogisticRegression(), cv="in_sample", passthrough=False
    )
    stacked.fit(X, Y)
    said = BinaryRelevance(GaussianNB()).fit(X, Y).predict_proba(X)
    expected = BinaryRelevance(LogisticRegression()).fit(said, Y)
    np.testing.assert_array_equal(stacked.predict(X), expected.predict(said))
    np.testing.assert_array_equal(stacked.decision_function(X), expected.decision_function(said))


@pytest.mark.parametrize(
    ("base", "method"),
    [(GaussianNB(), "predict_proba"), (LinearSVC(), "decision_function"), (MLkNN(), "predict_proba")],
)
def test_what_is_stacked_is_the_best_that_the_base_has(base: Any, method: str, problem: Problem) -> None:
    stacked = StackedBinaryRelevance(base, cv=3).fit(*problem)
    assert stacked.stack_method_ == method
    assert hasattr(stacked, "predict_proba") == hasattr(base, "predict_proba")
    assert stacked.predict(problem[0]).shape == problem[1].shape


def test_default_folds_are_stratified_by_the_labels(problem: Problem) -> None:
    X, Y = problem
    by_hand = StackedBinaryRelevance(LogisticRegression(), cv=MultilabelStratifiedKFold(5)).fit(X, Y)
    for cv in (5, None):
        stacked = StackedBinaryRelevance(LogisticRegression(), cv=cv).fit(X, Y)
        np.testing.assert_array_equal(stacked.predict_proba(X), by_hand.predict_proba(X))


@pytest.mark.parametrize("cv", [3, "in_sample"])
@pytest.mark.parametrize("passthrough", [True, False])
def test_predicted_labels_are_stacked_as_bytes(cv: Any, passthrough: bool, problem: Problem) -> None:
    class Bytes(GaussianNB):
        def fit(self, X: Any, y: Any) -> Any:
            assert X.dtype == np.uint8
            return super().fit(X, y)

        def predict(self, X: Any) -> Any:
            assert X.dtype == np.uint8
            return super().predict(X)

    pixels, Y = (problem[0] * 9).astype(np.uint8), problem[1]
    stacked = StackedBinaryRelevance(
        GaussianNB(), final_estimator=Bytes(), stack_method="predict", cv=cv, passthrough=passthrough
    )
    assert stacked.fit(pixels, Y).predict(pixels).shape == Y.shape


def test_second_level_decides_which_answers_there_are(problem: Problem) -> None:
    stacked = StackedBinaryRelevance(LinearSVC(), final_estimator=GaussianNB(), cv=3)
    assert hasattr(stacked, "predict_proba")
    assert hasattr(stacked.fit(*problem), "predict_proba")
    assert not hasattr(StackedBinaryRelevance(GaussianNB(), final_estimator=LinearSVC()), "predict_proba")


def test_stack_method_that_the_base_lacks_is_refused(problem: Problem) -> None:
    with pytest.raises(ValueError, match=r"stack_method='predict_proba' needs a base that has it, which LinearSVC"):
        StackedBinaryRelevance(LinearSVC(), stack_method="predict_proba").fit(*problem)


def test_labels_follow_paths_to_the_second_level(paths: list[str], problem: Problem) -> None:
    class OnPaths(GaussianNB):
        def fit(self, X: Any, y: Any) -> Any:
            self.columns_ = list(getattr(X, "columns", []))
            return super().fit(self._numbers(X), y)

        def predict_proba(self, X: Any) -> Any:
            return super().predict_proba(self._numbers(X))

        def predict(self, X: Any) -> Any:
            return super().predict(self._numbers(X))

        def _numbers(self, X: Any) -> Any:
            return X.iloc[:, 1:].to_numpy() if hasattr(X, "iloc") else np.arange(len(X)).reshape(-1, 1)

    Y = [[0, 1], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]
    stacked = StackedBinaryRelevance(OnPaths(), cv=KFold(2)).fit(paths, Y)
    assert stacked.final_.estimators_[0].columns_ == ["image", "y0", "y1"]
    assert stacked.predict(paths).shape == (6, 2)
