"""What y may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from skdeep._validation import check_indicator, check_known_targets, check_targets, indicator_classes

X = np.zeros((4, 2))
Y = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 0]])


@pytest.mark.parametrize(
    ("y", "kind", "classes", "values"),
    [
        ([0, 1, 1, 0], "binary", [0, 1], [0, 1, 1, 0]),
        ([True, False, False, True], "binary", [False, True], [1, 0, 0, 1]),
        (["no", "yes", "no", "no"], "binary", ["no", "yes"], [0, 1, 0, 0]),
        ([-1.0, 1.0, 1.0, 1.0], "binary", [-1, 1], [0, 1, 1, 1]),
        ([5, 7, 9, 7], "multiclass", [5, 7, 9], [0, 1, 2, 1]),
        (pd.Series(["c", "a", "b", "a"], index=[9, 8, 7, 6]), "multiclass", ["a", "b", "c"], [2, 0, 1, 0]),
    ],
)
def test_one_column_is_binary_or_multiclass(y: Any, kind: str, classes: list[Any], values: list[int]) -> None:
    targets = check_targets(X, y)
    assert targets.kind == kind
    assert targets.classes.tolist() == classes
    assert targets.values.tolist() == values  # noqa: PD011
    assert targets.label_names is None


INDICATORS = {
    "int": Y,
    "bool": Y.astype(bool),
    "float": Y.astype(float),
    "list": Y.tolist(),
    "csr matrix": sparse.csr_matrix(Y),
    "csc array": sparse.csc_array(Y),
    "DataFrame": pd.DataFrame(Y, columns=["y0", "y1", "y2"]),
    "object": Y.astype(object),
}


@pytest.mark.parametrize("form", INDICATORS)
def test_indicators_of_every_form_are_the_same_targets(form: str) -> None:
    targets = check_targets(X, INDICATORS[form])
    assert targets.kind == "multilabel"
    assert targets.values.dtype == np.uint8  # noqa: PD011
    np.testing.assert_array_equal(targets.values, Y)
    np.testing.assert_array_equal(targets.classes, [[0, 1]] * 3)
    assert targets.label_names is not None
    assert targets.label_names.tolist() == ["y0", "y1", "y2"]


def test_label_names_come_from_columns() -> None:
    _, names = check_indicator(X, pd.DataFrame(Y, columns=["cloudy", 3, ("a", "b")]))
    assert names.tolist() == ["cloudy", "3", "('a', 'b')"]
    assert names.dtype == object
    assert check_indicator(X, pd.Series(Y[:, 0], name="rain"))[1].tolist() == ["rain"]


@pytest.mark.parametrize("y", [Y[:, 0], Y[:, :1], sparse.csr_array(Y[:, :1]), pd.DataFrame({"y0": Y[:, 0]})])
def test_one_column_is_one_label_to_multilabel_estimators(y: Any) -> None:
    indicator, names = check_indicator(X, y)
    np.testing.assert_array_equal(indicator, Y[:, :1])
    assert names.tolist() == ["y0"]


def test_a_dense_column_is_flattened_with_scikit_learns_warning_and_a_sparse_one_is_a_label() -> None:
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        assert check_targets(X, Y[:, :1]).kind == "binary"
    assert check_targets(X, sparse.csr_array(Y[:, :1])).kind == "multilabel"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        ([1, 1, 1, 1], "needs at least 2 classes in y, got 1 class: "),
        ([0, 1, 1], "inconsistent numbers of samples"),
        ([0.1, 0.2, 0.3, 0.4], "Unknown label type: continuous"),
        ([0.0, 1.0, np.nan, 1.0], "NaN"),
    ],
)
def test_targets_that_are_none_are_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_targets(X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (Y * 2, "holds only 0 and 1, it also holds 2"),
        (np.arange(12).reshape(4, 3), r"it also holds 10, 11, 2, 3, 4, \.\.\."),
        (Y.astype(str), "holds only 0 and 1"),
        (Y / 2, r"it also holds 0\.5"),
        (np.where(Y, np.nan, 0), "NaN or infinity"),
        (Y.astype(complex), "Complex data not supported"),
        (Y[:3], "inconsistent numbers of samples"),
        (Y[:, :0], r"got an array of shape \(4, 0\)"),
        (Y[..., None], r"got an array of shape \(4, 3, 1\)"),
    ],
)
def test_indicators_that_are_none_are_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_indicator(X, y)


def test_an_empty_indicator_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0 sample\(s\) in Y"):
        check_indicator(X[:0], Y[:0])


@pytest.mark.parametrize("n_labels", [1, 2, 14])
def test_indicator_classes_are_a_row_for_each_label(n_labels: int) -> None:
    assert indicator_classes(n_labels).tolist() == [[0, 1]] * n_labels


def test_known_targets_keep_their_classes_names_and_kind() -> None:
    names = pd.DataFrame(Y, columns=["cloud", "haze", "road"])
    known = check_targets(X, names)
    for again in (names, Y, sparse.csr_array(Y)):
        targets = check_known_targets(X, again, known, may_lack=False)
        np.testing.assert_array_equal(targets.values, Y)
        assert targets.label_names.tolist() == ["cloud", "haze", "road"]
    with pytest.raises(ValueError, match="in the same order: cloud, haze, road, got road, haze, cloud"):
        check_known_targets(X, names[["road", "haze", "cloud"]], known, may_lack=True)
    of_classes = check_targets(X, list("abca"))
    some = check_known_targets(X, list("aacc"), of_classes, may_lack=True)
    np.testing.assert_array_equal(some.values, [0, 0, 2, 2])
    assert some.kind == "multiclass"
    with pytest.raises(ValueError, match="y must hold the classes that were learnt, 'a', 'b', 'c', got 'a', 'c'"):
        check_known_targets(X, list("aacc"), of_classes, may_lack=False)
    for y in (None, Y):
        with pytest.raises(ValueError, match=r"requires y|What was learnt are classes, but y holds labels"):
            check_known_targets(X, y, of_classes, may_lack=True)
