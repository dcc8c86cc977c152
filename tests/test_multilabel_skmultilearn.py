"""scikit-multilearn's classifiers through the adapter."""

from __future__ import annotations

import ast
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.multioutput import ClassifierChain as SklearnChain
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from skmultilearn.adapt import MLARAM, MLTSVM, BRkNNaClassifier, BRkNNbClassifier
from skmultilearn.adapt import MLkNN as SkMultilearnMLkNN
from skmultilearn.ensemble import LabelSpacePartitioningClassifier, MajorityVotingClassifier, RakelD, RakelO
from skmultilearn.problem_transform import BinaryRelevance, ClassifierChain, LabelPowerset

import skdeep.multilabel
from skdeep.multilabel import SkMultilearnClassifier
from skdeep.multilabel._skmultilearn import _BROKEN

BASE = LogisticRegression(max_iter=1000)
ALL = {
    "BinaryRelevance": BinaryRelevance(BASE),
    "ClassifierChain": ClassifierChain(BASE, order=[2, 0, 3, 1]),
    "LabelPowerset": LabelPowerset(BASE),
    "RakelO": RakelO(BASE, base_classifier_require_dense=[True, True], model_count=4, labelset_size=2),
}
NATIVE = {
    "BinaryRelevance": skdeep.multilabel.BinaryRelevance(BASE),
    "ClassifierChain": skdeep.multilabel.ClassifierChain(BASE, order=[2, 0, 3, 1]),
    "LabelPowerset": skdeep.multilabel.LabelPowerset(BASE),
}


@pytest.fixture
def problem() -> tuple[np.ndarray, np.ndarray]:
    X, Y = make_multilabel_classification(n_samples=150, n_features=8, n_classes=4, n_labels=2, random_state=3)
    return X / X.std(axis=0), Y


@pytest.mark.parametrize("name", NATIVE)
def test_adapter_gives_what_the_native_classifier_gives(name: str, problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    adapted, native = SkMultilearnClassifier(clone(ALL[name])).fit(X, Y), clone(NATIVE[name]).fit(X, Y)
    np.testing.assert_array_equal(adapted.predict(X), native.predict(X))
    np.testing.assert_allclose(adapted.predict_proba(X), native.predict_proba(X), rtol=1e-2, atol=1e-3)


def test_adapted_chain_with_an_order_equals_scikit_learns(problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    order = [2, 0, 3, 1]
    adapted = SkMultilearnClassifier(ClassifierChain(BASE, order=order)).fit(X, Y)
    expected = SklearnChain(BASE, order=order).fit(X, Y)
    np.testing.assert_array_equal(adapted.predict(X), expected.predict(X))
    np.testing.assert_allclose(adapted.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("value", [0, 1])
def test_adapted_chain_keeps_its_order_around_a_label_with_one_value(
    value: int, problem: tuple[np.ndarray, np.ndarray]
) -> None:
    X, Y = problem
    Y[:, 0] = value
    adapted = SkMultilearnClassifier(ClassifierChain(BASE, order=[2, 0, 3, 1])).fit(X, Y)
    expected = SklearnChain(BASE, order=[1, 2, 0]).fit(X, Y[:, 1:])
    assert adapted.estimator_.order == [1, 2, 0]
    np.testing.assert_array_equal(adapted.predict(X), np.c_[Y[:, 0], expected.predict(X)])
    np.testing.assert_allclose(adapted.predict_proba(X), np.c_[Y[:, 0], expected.predict_proba(X)])


def test_adapted_chain_refuses_a_wrong_order(problem: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"must name each of the 4 labels once.*Got \[0, 1\]"):
        SkMultilearnClassifier(ClassifierChain(BASE, order=[0, 1])).fit(*problem)


@pytest.mark.parametrize("name", ALL)
def test_wrapped_classifier_stays_as_it_was(name: str, problem: tuple[np.ndarray, np.ndarray]) -> None:
    base = LogisticRegression(max_iter=1000)
    parameter = "base_classifier" if name == "RakelO" else "classifier"
    wrapped = clone(ALL[name]).set_params(**{parameter: base})
    before = set(vars(wrapped))
    SkMultilearnClassifier(wrapped).fit(*problem)
    assert set(vars(wrapped)) == before
    assert getattr(wrapped, parameter) is base
    assert not hasattr(base, "coef_")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, pd.DataFrame, list])
def test_rows_and_targets_of_each_kind_are_taken(
    name: str, container: Any, problem: tuple[np.ndarray, np.ndarray]
) -> None:
    X, Y = problem
    rows = pd.DataFrame(X, columns=list("abcdefgh")) if container is pd.DataFrame else container(X)
    target = container(Y)
    predicted = SkMultilearnClassifier(clone(ALL[name])).fit(rows, target).predict(rows)
    assert isinstance(predicted, np.ndarray)
    assert predicted.dtype == np.int64
    assert predicted.shape == Y.shape
    assert (predicted == Y).mean() > 0.7


@pytest.mark.parametrize("name", ["BinaryRelevance", "ClassifierChain", "LabelPowerset"])
@pytest.mark.parametrize("scoring", ["roc_auc", "average_precision"])
def test_inner_parameters_are_searched(name: str, scoring: str, problem: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = problem
    search = GridSearchCV(
        SkMultilearnClassifier(ALL[name]), {"estimator__classifier__C": [0.1, 1.0]}, scoring=scoring, cv=3
    )
    assert search.fit(X, Y).best_score_ > 0.6
    assert cross_val_predict(search.best_estimator_, X, Y, cv=3, method="predict_proba").shape == Y.shape


def test_probabilities_are_there_only_if_the_wrapped_has_them() -> None:
    assert hasattr(SkMultilearnClassifier(BinaryRelevance(GaussianNB())), "predict_proba")
    for without in (BinaryRelevance(LinearSVC()), RakelO(GaussianNB()), MajorityVotingClassifier(GaussianNB())):
        adapter = SkMultilearnClassifier(without)
        assert not hasattr(adapter, "predict_proba")
        assert not hasattr(adapter, "decision_function")


def test_partitioned_label_space_is_taken(problem: tuple[np.ndarray, np.ndarray]) -> None:
    from skmultilearn.cluster import FixedLabelSpaceClusterer

    X, Y = problem
    wrapped = LabelSpacePartitioningClassifier(LabelPowerset(BASE), FixedLabelSpaceClusterer([[0, 2], [1, 3]]))
    predicted = SkMultilearnClassifier(wrapped).fit(X, Y).predict(X)
    expected = skdeep.multilabel.LabelPowerset(BASE).fit(X, Y[:, [0, 2]]).predict(X)
    np.testing.assert_array_equal(predicted[:, [0, 2]], expected)


@pytest.mark.parametrize(
    ("broken", "instead"),
    [
        (SkMultilearnMLkNN(k=3), "skdeep.multilabel.MLkNN"),
        (BRkNNaClassifier(k=3), r"skdeep.multilabel.BRkNN\(extension='a'\)"),
        (BRkNNbClassifier(k=3), r"skdeep.multilabel.BRkNN\(extension='b'\)"),
        (RakelD(BASE), r"skdeep.multilabel.RAkEL\(overlapping=False\)"),
        (MLTSVM(), "scikit-multilearn-ng"),
        (MLARAM(), "scikit-multilearn-ng"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_broken_classifiers_name_what_to_use_instead(
    broken: Any, instead: str, problem: tuple[np.ndarray, np.ndarray]
) -> None:
    with pytest.raises(RuntimeError, match=f"{type(broken).__name__} failed in .*{instead}") as caught:
        SkMultilearnClassifier(broken).fit(*problem).predict(problem[0])
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("advice", sorted(advice for advice in _BROKEN.values() if advice.startswith("skdeep.")))
def test_advice_names_a_native_class_and_parameters_that_it_has(advice: str) -> None:
    call = ast.parse(advice if advice.endswith(")") else f"{advice}()", mode="eval").body
    assert isinstance(call, ast.Call)
    module, _, name = ast.unparse(call.func).rpartition(".")
    assert module == "skdeep.multilabel"
    assert {keyword.arg for keyword in call.keywords} <= set(signature(getattr(skdeep.multilabel, name)).parameters)


def test_errors_of_the_users_base_come_through(problem: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="The 'C' parameter of LogisticRegression"):
        SkMultilearnClassifier(BinaryRelevance(LogisticRegression(C=-1))).fit(*problem)
