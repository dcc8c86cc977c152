"""Every multi-label meta-estimator on every kind of base, from fit to a search."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skdeep import CNNClassifier, CNNFeatureExtractor, TabularClassifier
from skdeep.multilabel import (
    HOMER,
    BinaryRelevance,
    CalibratedLabelRanking,
    ClassifierChain,
    EnsembleOfClassifierChains,
    EnsembleOfPrunedSets,
    LabelPowerset,
    MultilabelBaggingClassifier,
    MultilabelCalibratedClassifierCV,
    MultilabelThresholdCV,
    MultilabelVotingClassifier,
    PrunedSets,
    RAkEL,
    StackedBinaryRelevance,
)

META: dict[str, Callable[[Any], Any]] = {
    "BinaryRelevance": BinaryRelevance,
    "CalibratedLabelRanking": CalibratedLabelRanking,
    "ClassifierChain": ClassifierChain,
    "ClassifierChain out of fold": lambda base: ClassifierChain(base, cv=2),
    "EnsembleOfClassifierChains": lambda base: EnsembleOfClassifierChains(base, n_estimators=2, random_state=0),
    "EnsembleOfPrunedSets": lambda base: EnsembleOfPrunedSets(base, n_estimators=2, max_samples=0.9, random_state=0),
    "HOMER": lambda base: HOMER(base, n_clusters=2, random_state=0),
    "LabelPowerset": LabelPowerset,
    "MultilabelBaggingClassifier": lambda base: MultilabelBaggingClassifier(
        BinaryRelevance(base), n_estimators=2, random_state=0
    ),
    "MultilabelCalibratedClassifierCV": lambda base: MultilabelCalibratedClassifierCV(BinaryRelevance(base), cv=2),
    "MultilabelThresholdCV": lambda base: MultilabelThresholdCV(BinaryRelevance(base), cv=2),
    "MultilabelVotingClassifier": lambda base: MultilabelVotingClassifier(
        [("relevance", BinaryRelevance(base)), ("sets", LabelPowerset(base))], voting="hard"
    ),
    "PrunedSets": PrunedSets,
    "RAkEL": lambda base: RAkEL(base, labelset_size=2, overlapping=False, random_state=0),
    "StackedBinaryRelevance": lambda base: StackedBinaryRelevance(base, cv=2),
}
TINY = {"backbone": "small_cnn", "weights": None, "image_size": 32, "random_state": 0}
BASES = {
    "LogisticRegression": LogisticRegression(),
    "RandomForest": RandomForestClassifier(n_estimators=3, random_state=0),
    "SVC": SVC(),
    "features of paths": make_pipeline(CNNFeatureExtractor(**TINY), LogisticRegression()),
    "CNNClassifier": CNNClassifier(**TINY, max_epochs=1, cache=False),
    "TabularClassifier": TabularClassifier((4,), max_epochs=1, random_state=0),
}
GIVES_PROBABILITIES = {
    "CalibratedLabelRanking",
    "EnsembleOfClassifierChains",
    "EnsembleOfPrunedSets",
    "MultilabelBaggingClassifier",
    "MultilabelCalibratedClassifierCV",
    "MultilabelVotingClassifier",
    "RAkEL",
}
Y = np.array([[0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 1]] * 3)  # three times each row, so that each fold has each label


@pytest.fixture
def rows(base: str, pictures: Any, paths: list[str]) -> Any:
    if base == "features of paths":
        return np.array(paths * 2)
    if base == "CNNClassifier":
        return np.concatenate([pictures, 255 - pictures])
    return np.random.default_rng(0).normal(size=(12, 4))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("meta", META)
def test_meta_estimator_works_on_base(meta: str, base: str, rows: Any) -> None:
    classifier = META[meta](clone(BASES[base]))
    fitted = clone(classifier).fit(rows, Y)
    predicted = fitted.predict(rows)
    assert predicted.shape == Y.shape
    assert predicted.dtype == np.int64

    on_sparse = clone(classifier).fit(rows, sparse.csr_array(Y))
    np.testing.assert_array_equal(on_sparse.predict(rows), predicted)
    moved = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(moved.predict(rows), predicted)

    has_probabilities = base != "SVC" or meta in GIVES_PROBABILITIES
    assert hasattr(fitted, "predict_proba") == has_probabilities
    if has_probabilities:
        proba = fitted.predict_proba(rows)
        assert proba.shape == Y.shape
        assert ((proba >= 0) & (proba <= 1)).all()
        np.testing.assert_array_equal(moved.predict_proba(rows), proba)
        np.testing.assert_array_equal(on_sparse.predict_proba(rows), proba)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("meta", META)
def test_meta_estimator_on_base_is_searched_and_cross_validated(meta: str, base: str, rows: Any) -> None:
    classifier = META[meta](clone(BASES[base]))
    scored = hasattr(classifier, "predict_proba") or hasattr(classifier, "decision_function")
    scoring = "average_precision" if scored else "f1_micro"
    name = "n_jobs" if "n_jobs" in classifier.get_params() else "estimator"
    candidates = [None, 1] if name == "n_jobs" else [classifier.estimator]
    search = GridSearchCV(classifier, {name: candidates}, scoring=scoring, cv=KFold(2), error_score="raise")
    search.fit(rows, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    if hasattr(classifier, "predict_proba"):
        proba = cross_val_predict(classifier, rows, Y, cv=KFold(2), method="predict_proba")
        assert proba.shape == Y.shape
