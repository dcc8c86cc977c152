"""What tests of one's own need: which of scikit-learn's common checks an estimator cannot pass, and why."""

from __future__ import annotations

from typing import Any

__all__ = ["expected_failed_checks"]

_ONE_COLUMN = "one label is predicted as a column (n, 1), the check wants (n,)"
_ONE_PROBABILITY = "one label has one column of probabilities, the check wants one for each of two classes"
_ONLY_0_AND_1 = "an indicator holds only 0 and 1, the check's target holds other values"
_INDICATOR = {
    "check_classifier_data_not_an_array": _ONLY_0_AND_1,
    "check_classifiers_classes": _ONLY_0_AND_1,
    "check_classifiers_one_label": _ONE_COLUMN,
    "check_classifiers_train": _ONE_COLUMN,
    "check_decision_proba_consistency": _ONE_PROBABILITY,
    "check_estimator_sparse_array": _ONE_PROBABILITY,
    "check_estimator_sparse_matrix": _ONE_PROBABILITY,
    "check_estimators_dtypes": _ONLY_0_AND_1,
    "check_fit2d_1feature": _ONLY_0_AND_1,
}
# Only what takes sample weights gets as far as comparing the predictions.
_WEIGHTED_INDICATOR = {**_INDICATOR, "check_classifiers_one_label_sample_weights": _ONE_COLUMN}

_REPEATED = "minibatches of repeated rows are other minibatches; with full batches the weights are equivalent"
_MINIBATCHES = {
    "check_sample_weight_equivalence_on_dense_data": _REPEATED,
    "check_sample_weight_equivalence_on_sparse_data": _REPEATED,
}
_OTHER_WORDS = "the error says what images need, in other words than the check looks for"
_NO_FEATURES = "columns of pixels are no features; another number of columns is refused as no whole image"
_IMAGES = {
    "check_complex_data": _OTHER_WORDS,
    "check_estimators_empty_data_messages": _OTHER_WORDS,
    "check_fit2d_predict1d": _OTHER_WORDS,
    "check_n_features_in": _NO_FEATURES,
    "check_n_features_in_after_fitting": _NO_FEATURES,
    "check_positive_only_tag_during_fit": "the first column alone is a pixel, and the check leaves it positive",
}
_NEGATIVE_PIXELS = {
    "check_class_weight_classifiers": "its rows hold negative pixels",
    "check_decision_proba_consistency": "its rows hold negative pixels, whatever the tag says",
}

# class, or what it derives from -> its table
_TABLES: dict[str, dict[str, str]] = {
    "BRkNN": {
        **_INDICATOR,
        "check_classifiers_multilabel_output_format_predict_proba": "a share of neighbours may be 0 or 1",
    },
    "CNNClassifier": {**_IMAGES, **_MINIBATCHES, **_NEGATIVE_PIXELS},
    "CNNFeatureExtractor": _IMAGES,
    "IBLRML": _WEIGHTED_INDICATOR,
    "TabularClassifier": _MINIBATCHES,
    "MultilabelVotingClassifier": _WEIGHTED_INDICATOR,
    "NeighborsClassifier": _INDICATOR,
    "ProblemTransformation": _WEIGHTED_INDICATOR,
    "SkMultilearnClassifier": _INDICATOR,
}


def expected_failed_checks(estimator: Any) -> dict[str, str]:
    """Name the common checks of scikit-learn that an estimator of this library fails by construction.

    The multi-label classifiers take an indicator and give one column a label, with one label too; some checks want a
    target of other values, or a vector. The image estimators take rows of pixels, not of features. Everything else
    passes, and the tests of this library hold a check of its own beside each of these.

    Parameters
    ----------
    estimator : estimator of skdeep
        Fitted or not.

    Returns
    -------
    checks : dict of str to str
        Name of the check -> reason, as :func:`~sklearn.utils.estimator_checks.check_estimator` and
        :func:`~sklearn.utils.estimator_checks.parametrize_with_checks` take it.

    Raises
    ------
    ValueError
        If it is no estimator of this library.

    Examples
    --------
    >>> from sklearn.utils.estimator_checks import check_estimator
    >>> from skdeep.multilabel import MLkNN
    >>> from skdeep.utils import expected_failed_checks
    >>> classifier = MLkNN(n_neighbors=5)
    >>> results = check_estimator(classifier, expected_failed_checks=expected_failed_checks(classifier), on_skip=None)
    >>> {result["status"] for result in results} <= {"passed", "xfail", "skipped"}
    True
    """
    for cls in type(estimator).__mro__:
        if cls.__module__.startswith("skdeep.") and cls.__name__ in _TABLES:
            return dict(_TABLES[cls.__name__])
    raise ValueError(f"{type(estimator).__name__} is no estimator of skdeep, so nothing is known of its checks.")
