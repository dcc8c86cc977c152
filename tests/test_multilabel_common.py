"""scikit-learn's own checks on the multi-label classifiers."""

from __future__ import annotations

from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from skmultilearn.problem_transform import BinaryRelevance as SkMultilearnBinaryRelevance

from skdeep.multilabel import BinaryRelevance, ClassifierChain, LabelPowerset, MLkNN, SkMultilearnClassifier

ONE_COLUMN = "one label is predicted as a column (n, 1), the check wants (n,)"
ONE_PROBABILITY = "one label has one column of probabilities, the check wants one for each of two classes"
ONLY_0_AND_1 = "an indicator holds only 0 and 1, the check's target holds other values"
EXPECTED_FAILURES = {
    "check_classifier_data_not_an_array": ONLY_0_AND_1,
    "check_classifiers_classes": ONLY_0_AND_1,
    "check_classifiers_one_label": ONE_COLUMN,
    "check_classifiers_train": ONE_COLUMN,
    "check_decision_proba_consistency": ONE_PROBABILITY,
    "check_estimator_sparse_array": ONE_PROBABILITY,
    "check_estimator_sparse_matrix": ONE_PROBABILITY,
    "check_estimators_dtypes": ONLY_0_AND_1,
    "check_fit2d_1feature": ONLY_0_AND_1,
}
# Only what takes sample weights through fit_params gets as far as comparing the predictions.
WITH_WEIGHTS = {**EXPECTED_FAILURES, "check_classifiers_one_label_sample_weights": ONE_COLUMN}

ESTIMATORS = [
    BinaryRelevance(LogisticRegression()),
    ClassifierChain(LogisticRegression()),
    LabelPowerset(LogisticRegression()),
    MLkNN(n_neighbors=5),  # some checks have no more than ten rows
    SkMultilearnClassifier(SkMultilearnBinaryRelevance(LogisticRegression())),
]


def expected_failures(estimator: Any) -> dict[str, str]:
    return EXPECTED_FAILURES if isinstance(estimator, MLkNN | SkMultilearnClassifier) else WITH_WEIGHTS


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures, xfail_strict=True)
def test_multilabel_classifier_passes_check(estimator: Any, check: Any) -> None:
    check(estimator)


def test_common_checks_are_many_and_few_are_expected_to_fail() -> None:
    for estimator in ESTIMATORS:
        assert len(list(estimator_checks_generator(estimator))) >= 50
        assert len(expected_failures(estimator)) <= 10
