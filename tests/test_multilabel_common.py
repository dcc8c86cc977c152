"""scikit-learn's own checks on the multi-label classifiers."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from skmultilearn.problem_transform import BinaryRelevance as SkMultilearnBinaryRelevance

import skdeep.multilabel
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
from skdeep.utils import expected_failed_checks

ESTIMATORS = [
    BinaryRelevance(LogisticRegression()),
    BRkNN(n_neighbors=5),  # some checks have no more than ten rows
    CalibratedLabelRanking(LogisticRegression()),
    ClassifierChain(LogisticRegression()),
    EnsembleOfClassifierChains(LogisticRegression(), n_estimators=3, random_state=0),
    EnsembleOfPrunedSets(LogisticRegression(), n_estimators=5, random_state=0),  # some member has each row
    HOMER(LogisticRegression(), random_state=0),
    IBLRML(n_neighbors=5),
    LabelPowerset(LogisticRegression()),
    MLkNN(n_neighbors=5),
    MultilabelBaggingClassifier(BinaryRelevance(LogisticRegression()), n_estimators=3, random_state=0),
    MultilabelCalibratedClassifierCV(BinaryRelevance(LogisticRegression()), cv=2),
    MultilabelThresholdCV(BinaryRelevance(LogisticRegression()), cv=2),
    MultilabelVotingClassifier(
        [("one", BinaryRelevance(LogisticRegression())), ("two", LabelPowerset(LogisticRegression()))]
    ),
    PrunedSets(LogisticRegression()),
    RAkEL(LogisticRegression(), random_state=0),
    SkMultilearnClassifier(SkMultilearnBinaryRelevance(LogisticRegression())),
    StackedBinaryRelevance(LogisticRegression(), cv=2),
]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks, xfail_strict=True)
def test_multilabel_classifier_passes_check(estimator: Any, check: Any) -> None:
    check(estimator)


def test_common_checks_are_many_and_few_are_expected_to_fail() -> None:
    for estimator in ESTIMATORS:
        assert len(list(estimator_checks_generator(estimator))) >= 50
        assert len(expected_failed_checks(estimator)) <= 10


def test_every_multilabel_classifier_is_checked() -> None:
    public = {getattr(skdeep.multilabel, name) for name in skdeep.multilabel.__all__}
    assert {type(estimator) for estimator in ESTIMATORS} == {thing for thing in public if isinstance(thing, type)}


def test_checks_of_a_subclass_are_those_of_its_class() -> None:
    class Mine(MLkNN):
        pass

    assert expected_failed_checks(Mine()) == expected_failed_checks(MLkNN())
    with pytest.raises(ValueError, match="LogisticRegression is no estimator of skdeep"):
        expected_failed_checks(LogisticRegression())
