"""scikit-learn's own checks on the deep estimators, and the image checks that stand in for those that cannot apply."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skdeep import CNNClassifier, CNNFeatureExtractor, TabularClassifier
from skdeep.utils import expected_failed_checks

Array = NDArray[Any]

# Neither passes nor fails everywhere.
FLOAT32 = dict.fromkeys(
    ["check_methods_sample_order_invariance", "check_methods_subset_invariance"],
    "float32 matrix products differ by about 1e-7 with the batch and a row's place in it, on some processors; see "
    "test_predictions_do_not_depend_on_the_subset",
)

# One pixel and side features: the form of X that lets scikit-learn's rows of numbers pass for images.
ON_ROWS = {"backbone": "small_cnn", "weights": None, "image_size": 32, "image_shape": (1, 1), "random_state": 0}
ESTIMATORS = [
    TabularClassifier(max_epochs=30, random_state=0),
    CNNFeatureExtractor(**ON_ROWS),
    CNNClassifier(**ON_ROWS),
]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks, xfail_strict=True)
def test_estimator_passes_check(estimator: Any, check: Any) -> None:
    if check.func.__name__ in FLOAT32:
        pytest.xfail(FLOAT32[check.func.__name__])
    check(estimator)


def test_common_checks_are_many() -> None:
    numbers = [len(list(estimator_checks_generator(estimator))) for estimator in ESTIMATORS]
    assert all(number >= least for number, least in zip(numbers, (60, 45, 60), strict=True))


QUICK = {"backbone": "small_cnn", "weights": None, "image_size": 32, "random_state": 0, "cache": False}
IMAGE_ESTIMATORS = {
    "CNNFeatureExtractor": CNNFeatureExtractor(**QUICK),
    "CNNClassifier head": CNNClassifier(**QUICK, max_epochs=2),
    "CNNClassifier all": CNNClassifier(**QUICK, max_epochs=2, phases="from_scratch"),
}
Y = np.array([[0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])


@pytest.fixture(params=IMAGE_ESTIMATORS)
def estimator(request: pytest.FixtureRequest) -> Any:
    return clone(IMAGE_ESTIMATORS[request.param])


@pytest.fixture(name="X", params=["array", "paths", "frame"])
def make_x(request: pytest.FixtureRequest, pictures: Array, paths: list[str]) -> Any:
    return {"array": pictures, "paths": paths, "frame": pd.DataFrame({"image": paths, "side": np.arange(6.0)})}[
        request.param
    ]


def answers(estimator: Any, X: Any) -> list[Array]:
    names = [
        name for name in ("transform", "decision_function", "predict_proba", "predict") if hasattr(estimator, name)
    ]
    return [getattr(estimator, name)(X) for name in names]


def rows_of(X: Any, rows: list[int]) -> Any:
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows]
    return [X[row] for row in rows] if isinstance(X, list) else X[rows]


def assert_answers_equal(found: list[Array], expected: list[Array], rtol: float = 0.0) -> None:
    assert len(found) == len(expected) > 0
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol)


def test_fit_is_idempotent(estimator: Any, X: Any) -> None:
    expected = answers(estimator.fit(X, Y), X)
    assert_answers_equal(answers(estimator.fit(X, Y), X), expected)
    assert_answers_equal(answers(clone(estimator).fit(X, Y), X), expected)


def test_fit_sets_only_names_that_end_in_an_underscore_and_keeps_parameters(estimator: Any, X: Any) -> None:
    before = copy.deepcopy(estimator.get_params())
    names = set(vars(estimator))
    assert estimator.fit(X, Y) is estimator
    assert estimator.get_params() == before
    assert all(name.startswith("_") or name.endswith("_") for name in set(vars(estimator)) - names)


def test_answers_change_nothing_in_the_estimator(estimator: Any, X: Any) -> None:
    estimator.fit(X, Y)
    before = {name: joblib.hash(value) for name, value in vars(estimator).items() if name != "net_"}
    weights = joblib.hash(estimator.net_.module_.state_dict()) if hasattr(estimator, "net_") else None
    answers(estimator, X)
    assert {name: joblib.hash(value) for name, value in vars(estimator).items() if name != "net_"} == before
    if weights is not None:
        assert joblib.hash(estimator.net_.module_.state_dict()) == weights


def test_x_and_y_are_left_as_they_were(estimator: Any, X: Any) -> None:
    before, y = joblib.hash(X), Y.copy()
    answers(estimator.fit(X, y), X)
    assert joblib.hash(X) == before
    np.testing.assert_array_equal(y, Y)


def test_predictions_do_not_depend_on_the_subset(estimator: Any, X: Any) -> None:
    expected = answers(estimator.fit(X, Y), X)
    singly = [answers(estimator, rows_of(X, [row])) for row in range(6)]
    assert_answers_equal([np.concatenate(parts) for parts in zip(*singly, strict=True)], expected, rtol=1e-5)
    order = [3, 1, 5, 0, 4, 2]
    assert_answers_equal(answers(estimator, rows_of(X, order)), [answer[order] for answer in expected], rtol=1e-5)


def test_table_predictions_do_not_depend_on_the_subset() -> None:
    table = np.random.default_rng(0).normal(size=(6, 4))
    clf = TabularClassifier(max_epochs=2, random_state=0).fit(table, Y)
    singly = [answers(clf, table[[row]]) for row in range(6)]
    assert_answers_equal([np.concatenate(parts) for parts in zip(*singly, strict=True)], answers(clf, table), rtol=1e-5)


def test_dtypes_of_equal_pixels_learn_the_same(estimator: Any, pictures: Array) -> None:
    expected = answers(estimator.fit(pictures, Y), pictures)
    for dtype in (np.int32, np.int64, np.float32, np.float64):
        assert_answers_equal(answers(estimator.fit(pictures.astype(dtype), Y), pictures.astype(dtype)), expected)


def test_pickles_answer_the_same(estimator: Any, X: Any) -> None:
    expected = answers(estimator.fit(X, Y), X)
    assert_answers_equal(answers(pickle.loads(pickle.dumps(estimator)), X), expected)


def test_unfitted_estimators_say_so(estimator: Any, X: Any) -> None:
    for name in ("transform", "decision_function", "predict_proba", "predict"):
        if hasattr(estimator, name):
            with pytest.raises(NotFittedError, match="is not fitted yet"):
                getattr(estimator, name)(X)


@pytest.mark.parametrize("n_columns", [3 * 32 * 32 - 1, 3 * 32 * 32 + 1])
def test_another_number_of_columns_is_refused(n_columns: int, estimator: Any, pictures: Array) -> None:
    rows = np.hstack([pictures.reshape(6, -1), np.zeros((6, 1), dtype=np.uint8)])
    estimator.set_params(image_shape=(32, 32, 3)).fit(rows[:, :-1], Y)
    with pytest.raises(ValueError, match=r"need at least 3072 numbers|holds 1 side features beside each image, but 0"):
        answers(estimator, rows[:, :n_columns])


def test_tags_say_what_the_estimators_take() -> None:
    for estimator in IMAGE_ESTIMATORS.values():
        tags = get_tags(estimator).input_tags
        assert tags.two_d_array  # or scikit-learn silently runs one check instead of sixty
        assert tags.three_d_array
        assert tags.string
        assert tags.positive_only
        assert not tags.sparse
    assert get_tags(CNNClassifier(**ON_ROWS)).input_tags.sparse
    assert get_tags(TabularClassifier()).input_tags.sparse
    for classifier in (TabularClassifier(), CNNClassifier()):
        assert get_tags(classifier).classifier_tags.multi_label
