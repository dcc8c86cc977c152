"""What every multi-label classifier promises, whatever it does inside."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from skmultilearn.problem_transform import BinaryRelevance as SkMultilearnBinaryRelevance

from skdeep.metrics import get_scorer, get_scorer_names
from skdeep.multilabel import (
    HOMER,
    IBLRML,
    BinaryRelevance,
    BRkNN,
    CalibratedLabelRanking,
    ClassifierChain,
    EnsembleOfClassifierChains,
    EnsembleOfPrunedSets,
    LabelPowerset,
    MLkNN,
    MultilabelBaggingClassifier,
    MultilabelCalibratedClassifierCV,
    MultilabelThresholdCV,
    MultilabelVotingClassifier,
    PrunedSets,
    RAkEL,
    SkMultilearnClassifier,
    StackedBinaryRelevance,
)

N_LABELS = [1, 2, 3, 14]
BASE = LogisticRegression(max_iter=1000)
CLASSIFIERS = {
    "BinaryRelevance": BinaryRelevance(BASE),
    "BRkNN": BRkNN(9),
    "CalibratedLabelRanking": CalibratedLabelRanking(BASE),
    "ClassifierChain": ClassifierChain(BASE, order="random", random_state=0),
    "EnsembleOfClassifierChains": EnsembleOfClassifierChains(BASE, n_estimators=3, random_state=0),
    "EnsembleOfPrunedSets": EnsembleOfPrunedSets(BASE, n_estimators=3, random_state=0),
    "HOMER": HOMER(BASE, random_state=0),
    "IBLRML": IBLRML(),
    "LabelPowerset": LabelPowerset(BASE),
    "MLkNN": MLkNN(),
    "MultilabelBaggingClassifier": MultilabelBaggingClassifier(BinaryRelevance(BASE), n_estimators=3, random_state=0),
    "MultilabelCalibratedClassifierCV": MultilabelCalibratedClassifierCV(BinaryRelevance(BASE), cv=3),
    "MultilabelThresholdCV": MultilabelThresholdCV(BinaryRelevance(BASE), cv=3),
    "MultilabelVotingClassifier": MultilabelVotingClassifier(
        [("relevance", BinaryRelevance(BASE)), ("chain", ClassifierChain(BASE))]
    ),
    "PrunedSets": PrunedSets(BASE, min_count=3),
    "RAkEL": RAkEL(BASE, random_state=0),
    "SkMultilearnClassifier": SkMultilearnClassifier(SkMultilearnBinaryRelevance(BASE)),
    "StackedBinaryRelevance": StackedBinaryRelevance(BASE, cv=3),
}
FIRST_PARAMETER = {
    **dict.fromkeys(CLASSIFIERS, "estimator__C"),
    "BRkNN": "n_neighbors",
    "IBLRML": "n_neighbors",
    "MLkNN": "n_neighbors",
    **dict.fromkeys(
        ["MultilabelBaggingClassifier", "MultilabelCalibratedClassifierCV", "MultilabelThresholdCV"],
        "estimator__estimator__C",
    ),
    "MultilabelVotingClassifier": "relevance__estimator__C",
    "SkMultilearnClassifier": "estimator__classifier__C",
}
NEIGHBORS = ["BRkNN", "MLkNN"]
CHAINED = ["ClassifierChain", "MultilabelVotingClassifier"]
# by the number of the label or the row
DRAWN = ["EnsembleOfClassifierChains", "EnsembleOfPrunedSets", "HOMER", "MultilabelBaggingClassifier", "RAkEL"]
# LabelPowerset predicts the most probable set, HOMER each group on the way down, MultilabelThresholdCV by a threshold.
PREDICT_OTHERWISE = ["HOMER", "LabelPowerset", "MultilabelThresholdCV", "PrunedSets"]


@pytest.fixture(params=CLASSIFIERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def classifier(name: str) -> Any:
    return clone(CLASSIFIERS[name])


def make_problem(n_labels: int, n_samples: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Labels are steps on two noisy directions, so that fourteen of them still make at most sixteen label sets."""
    rng = np.random.default_rng(n_labels)
    X = rng.standard_normal((n_samples, 5))
    directions = X @ rng.standard_normal((5, 2)) + 0.5 * rng.standard_normal((n_samples, 2))
    labels = np.arange(n_labels)
    return X, (directions[:, labels % 2] > np.array([0.3, -1.0, 1.5])[labels // 2 % 3]).astype(int)


@pytest.mark.parametrize("n_labels", N_LABELS)
def test_outputs_keep_the_contract(classifier: Any, n_labels: int) -> None:
    X, Y = make_problem(n_labels)
    assert classifier.fit(X, Y) is classifier
    predicted, proba, decision = classifier.predict(X), classifier.predict_proba(X), classifier.decision_function(X)
    assert predicted.dtype == np.int64
    assert predicted.shape == proba.shape == decision.shape == (len(X), n_labels)
    assert set(np.unique(predicted)) <= {0, 1}
    assert (proba >= 0).all()
    assert (proba <= 1).all()
    assert np.isfinite(decision).all()
    np.testing.assert_array_equal(decision > 0, proba > 0.5)
    np.testing.assert_array_equal(classifier.classes_, np.tile([0, 1], (n_labels, 1)))
    assert classifier.classes_.dtype == np.int64
    assert classifier.label_names_.tolist() == [f"y{j}" for j in range(n_labels)]
    assert classifier.label_names_.dtype == object
    assert classifier.n_features_in_ == 5


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in PREDICT_OTHERWISE])
def test_predictions_are_the_labels_at_least_as_probable_as_not(name: str) -> None:
    X, Y = make_problem(3)
    classifier = clone(CLASSIFIERS[name]).fit(X, Y)
    np.testing.assert_array_equal(classifier.predict(X), classifier.predict_proba(X) >= 0.5)


def test_scikit_learn_sees_a_multilabel_classifier(classifier: Any) -> None:
    tags = get_tags(classifier)
    assert is_classifier(classifier)
    assert tags.classifier_tags.multi_label
    assert not tags.classifier_tags.multi_class
    assert tags.input_tags.two_d_array
    assert tags.input_tags.sparse


@pytest.mark.parametrize("n_labels", N_LABELS)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_val_predict_gives_one_column_a_label(classifier: Any, n_labels: int, method: str) -> None:
    X, Y = make_problem(n_labels)
    answers = cross_val_predict(classifier, X, Y, cv=KFold(3), method=method)
    assert answers.shape == Y.shape
    for train, test in KFold(3).split(X):
        by_hand = getattr(clone(classifier).fit(X[train], Y[train]), method)(X[test])
        np.testing.assert_array_equal(answers[test], by_hand)


@pytest.mark.filterwarnings("ignore:The y_prob values do not sum to one")  # Brier's, of more than one label
@pytest.mark.parametrize("n_labels", N_LABELS)
def test_grid_search_scores_probabilities(name: str, classifier: Any, n_labels: int) -> None:
    X, Y = make_problem(n_labels)
    scoring = ["average_precision", "roc_auc", "neg_brier_score"]
    if n_labels == 1:  # of more, scikit-learn's log loss takes the columns for classes that exclude each other
        scoring.append("neg_log_loss")
    search = GridSearchCV(
        classifier,
        {FIRST_PARAMETER[name]: [5, 9] if FIRST_PARAMETER[name] == "n_neighbors" else [0.5, 2.0]},
        scoring=scoring,
        refit="roc_auc",
        cv=KFold(3),
    )
    search.fit(X, Y)
    assert all(np.isfinite(search.cv_results_[f"mean_test_{score}"]).all() for score in scoring)
    assert search.best_score_ > 0.5


def test_own_scorers_work_in_cross_validate(classifier: Any) -> None:
    X, Y = make_problem(3)
    scores = cross_validate(
        classifier, X, Y, scoring={name: get_scorer(name) for name in get_scorer_names()}, cv=KFold(3)
    )
    assert all(np.isfinite(values).all() for values in scores.values())


def test_targets_of_each_kind_are_the_same_target(classifier: Any) -> None:
    X, Y = make_problem(3)
    expected = clone(classifier).fit(X, Y).predict_proba(X)
    for same in (Y.astype(bool), Y.tolist(), sparse.csr_matrix(Y), sparse.csc_array(Y), pd.DataFrame(Y)):
        np.testing.assert_array_equal(clone(classifier).fit(X, same).predict_proba(X), expected)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array, pd.DataFrame])
def test_tables_of_each_kind_give_the_same_answers(classifier: Any, container: Any) -> None:
    X, Y = make_problem(3)
    X[X < 0] = 0
    expected = clone(classifier).fit(X, Y).predict_proba(X)
    X = container(X, columns=list("abcde")) if container is pd.DataFrame else container(X)
    np.testing.assert_allclose(clone(classifier).fit(X, Y).predict_proba(X), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_label_may_be_a_vector_or_a_column(classifier: Any, shape: tuple[int, ...]) -> None:
    X, Y = make_problem(1)
    assert classifier.fit(X, Y.reshape(shape)).predict_proba(X).shape == (len(X), 1)


def test_label_names_come_from_a_data_frame(classifier: Any) -> None:
    X, Y = make_problem(2)
    assert classifier.fit(X, pd.DataFrame(Y, columns=["road", "water"])).label_names_.tolist() == ["road", "water"]


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in [*DRAWN, *CHAINED]])
def test_columns_follow_the_labels(name: str) -> None:
    X, Y = make_problem(4)
    order = np.array([2, 0, 3, 1])
    straight = clone(CLASSIFIERS[name]).fit(X, Y).predict_proba(X)
    permuted = clone(CLASSIFIERS[name]).fit(X, Y[:, order]).predict_proba(X)
    np.testing.assert_allclose(permuted, straight[:, order], rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Labels with fewer than")  # of the folds inside
@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in NEIGHBORS])
@pytest.mark.parametrize("value", [0, 1])
def test_label_with_one_value_in_training_is_certain(name: str, value: int) -> None:
    X, Y = make_problem(4)
    Y[:, 1] = value
    classifier = clone(CLASSIFIERS[name]).fit(X, Y)
    assert (classifier.predict(X)[:, 1] == value).all()
    assert (classifier.predict_proba(X)[:, 1] == value).all()
    decision = classifier.decision_function(X)[:, 1]
    np.testing.assert_allclose(decision, 36.04 if value else -36.04, atol=0.01)
    assert (classifier.predict(X)[:, [0, 2, 3]] == Y[:, [0, 2, 3]]).mean() > 0.8


@pytest.mark.filterwarnings("ignore:Labels with fewer than")  # of the folds inside
@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in NEIGHBORS])
def test_target_with_no_varying_label_is_certain(name: str) -> None:
    X, Y = make_problem(3)
    Y[:] = [1, 0, 1]
    classifier = clone(CLASSIFIERS[name]).fit(X, Y)
    for method in ("predict", "predict_proba"):
        np.testing.assert_array_equal(getattr(classifier, method)(X), Y)
    np.testing.assert_array_equal(np.sign(classifier.decision_function(X)), 2 * Y - 1)


def test_clone_and_pickle_answer_alike(classifier: Any) -> None:
    X, Y = make_problem(3)
    classifier.fit(X, Y)
    expected = classifier.predict_proba(X)
    np.testing.assert_array_equal(clone(classifier).fit(X, Y).predict_proba(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), expected)


def test_second_fit_forgets_the_first(classifier: Any) -> None:
    X, Y = make_problem(3)
    names = pd.DataFrame(X, columns=list("abcde"))
    assert classifier.fit(names, Y).feature_names_in_.tolist() == list("abcde")
    classifier.fit(X[:, :4], Y[:, :2])
    assert classifier.n_features_in_ == 4
    assert not hasattr(classifier, "feature_names_in_")
    assert classifier.predict(X[:, :4]).shape == (len(X), 2)


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if "n_jobs" in CLASSIFIERS[name].get_params()])
def test_n_jobs_changes_no_answer(name: str) -> None:
    X, Y = make_problem(3)
    one, two = (clone(CLASSIFIERS[name]).set_params(n_jobs=n_jobs).fit(X, Y) for n_jobs in (None, 2))
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


def test_works_at_the_end_of_a_pipeline(classifier: Any) -> None:
    X, Y = make_problem(3)
    pipeline = make_pipeline(StandardScaler(), classifier).fit(X, Y)
    assert pipeline.score(X, Y) > 0.3
    assert pipeline.predict_proba(X).shape == Y.shape


def test_unfitted_classifier_says_so(classifier: Any) -> None:
    with pytest.raises(NotFittedError, match="not fitted yet"):
        classifier.predict(np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        ([0, 1, 2], "only 0 and 1, it also holds 2"),
        ([[0, 1], [1, 0]], "inconsistent numbers of samples"),
        (np.zeros((3, 0)), r"got an array of shape \(3, 0\)"),
        ([[0.0], [1.0], [np.nan]], "NaN"),
        ([0j, 1j, 0j], "Complex data not supported"),
        (None, "requires y to be passed"),
    ],
)
def test_wrong_targets_are_refused_with_the_reason(classifier: Any, Y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier.fit(np.zeros((3, 2)), Y)


def test_importing_multilabel_brings_neither_torch_nor_skmultilearn() -> None:
    code = (
        "import sys, skdeep.multilabel, skdeep.metrics;"
        "found = {'torch', 'skmultilearn'} & set(sys.modules); sys.exit(str(found) if found else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
