"""The cross-validators among scikit-learn's own: partitions, kinds of y, groups, warnings, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, check_cv, cross_val_predict, cross_validate, train_test_split

from skdeep.model_selection import (
    MultilabelStratifiedKFold,
    MultilabelStratifiedShuffleSplit,
    RepeatedMultilabelStratifiedKFold,
    multilabel_train_test_split,
)
from skdeep.multilabel import BinaryRelevance

X, Y = make_multilabel_classification(120, n_features=6, n_classes=4, n_labels=2, random_state=0)
GROUPS = np.random.default_rng(0).integers(30, size=120)
SPLITTERS = [
    MultilabelStratifiedKFold(3),
    MultilabelStratifiedKFold(3, shuffle=True, random_state=0, order=2),
    RepeatedMultilabelStratifiedKFold(3, n_repeats=2, random_state=0, order=2),
    MultilabelStratifiedShuffleSplit(4, test_size=0.2, random_state=0),
]
FOLDS = SPLITTERS[:3]

splitters = pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)


def splits_of(splitter: Any, y: Any = Y, groups: Any = None) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(splitter.split(np.zeros(y.shape[0] if hasattr(y, "shape") else len(y)), y, groups))


def assert_equal_splits(one: Any, other: Any) -> None:
    assert len(one) == len(other)
    for parts in zip(one, other, strict=True):
        for rows, others in zip(*parts, strict=True):
            assert_array_equal(rows, others)


@settings(deadline=None)
@given(st.data(), st.booleans(), st.sampled_from([1, 2]))
def test_folds_are_a_partition_with_sizes_that_differ_by_one(data, shuffle, order):
    n_samples = data.draw(st.integers(2, 30))
    n_splits = data.draw(st.integers(2, n_samples))
    rows = st.lists(st.integers(0, 1), min_size=3, max_size=3)
    y = np.array(data.draw(st.lists(rows, min_size=n_samples, max_size=n_samples)))
    y[:, y.sum(axis=0) < n_splits] = 1  # no warning
    splitter = MultilabelStratifiedKFold(n_splits, shuffle=shuffle, random_state=0 if shuffle else None, order=order)
    splits = splits_of(splitter, y)
    assert len(splits) == splitter.get_n_splits() == n_splits
    assert_array_equal(np.sort(np.concatenate([test for _, test in splits])), np.arange(n_samples))
    assert np.ptp([len(test) for _, test in splits]) <= 1
    for train, test in splits:
        assert_array_equal(train, np.setdiff1d(np.arange(n_samples), test))
        assert_array_equal(test, np.sort(test))


@pytest.mark.parametrize("splitter", FOLDS, ids=repr)
def test_every_fold_has_its_share_of_each_label(splitter):
    for _, test in splits_of(splitter):
        assert np.all(np.abs(Y[test].sum(axis=0) - Y.sum(axis=0) / 3) < 2)


@splitters
@pytest.mark.parametrize(
    "convert",
    [
        np.ndarray.tolist,
        pd.DataFrame,
        sparse.csr_array,
        sparse.coo_matrix,
        sparse.csc_array,
        lambda y: y.astype(bool),
        lambda y: y.astype(float),
    ],
    ids=["list", "DataFrame", "csr", "coo", "csc", "bool", "float"],
)
def test_every_kind_of_indicator_gives_the_same_splits(splitter, convert: Callable[[np.ndarray], Any]):
    assert_equal_splits(splits_of(splitter, convert(Y)), splits_of(splitter, Y))


@splitters
def test_one_label_may_be_a_column_or_none(splitter):
    expected = splits_of(splitter, Y[:, :1])
    assert_equal_splits(splits_of(splitter, Y[:, 0]), expected)
    assert_equal_splits(splits_of(splitter, pd.Series(Y[:, 0], name="a")), expected)


@splitters
@pytest.mark.parametrize("data", [[f"{row}.jpg" for row in range(120)], np.zeros((120, 3, 4, 4)), sparse.eye(120)])
def test_only_the_number_of_rows_of_X_matters(splitter, data):
    assert_equal_splits(list(splitter.split(data, Y)), splits_of(splitter))


@splitters
def test_the_seed_decides_and_the_global_generator_is_left_alone(splitter):
    before = np.random.get_state()  # noqa: NPY002
    assert_equal_splits(splits_of(splitter), splits_of(splitter))
    after = np.random.get_state()  # noqa: NPY002
    assert_array_equal(before[1], after[1])
    assert before[2] == after[2]


@pytest.mark.parametrize("make", [MultilabelStratifiedShuffleSplit, RepeatedMultilabelStratifiedKFold])
def test_splits_differ_from_one_another_and_between_seeds(make):
    tests = [tuple(np.sort(test)) for seed in (0, 1) for _, test in splits_of(make(5, random_state=seed))]
    assert len(set(tests)) == len(tests)


def test_a_repeated_splitter_shuffles_with_one_generator():
    repeated = RepeatedMultilabelStratifiedKFold(3, n_repeats=2, random_state=5, order=2)
    folds = MultilabelStratifiedKFold(3, shuffle=True, random_state=np.random.RandomState(5), order=2)
    assert repeated.get_n_splits() == 6
    assert_equal_splits(splits_of(repeated), [*splits_of(folds), *splits_of(folds)])


@pytest.mark.parametrize(
    ("test_size", "train_size"), [(None, None), (0.3, None), (25, None), (None, 0.7), (None, 25), (0.2, 0.5), (7, 9)]
)
def test_sizes_are_those_of_scikit_learn(test_size, train_size):
    y = np.repeat(Y[:30], 4, axis=0)
    y[:, y.sum(axis=0) < 20] = 1
    sizes = {"test_size": test_size, "train_size": train_size}
    parts = multilabel_train_test_split(np.arange(120), stratify=y, random_state=0, **sizes)
    assert [len(part) for part in parts] == [len(part) for part in train_test_split(np.arange(120), **sizes)]
    assert not set(parts[0]) & set(parts[1])
    if test_size or train_size:
        for train, test in splits_of(MultilabelStratifiedShuffleSplit(2, **sizes), y):
            assert [len(train), len(test)] == [len(part) for part in parts]


def test_rows_that_are_left_out_have_their_share_too():
    splitter = MultilabelStratifiedShuffleSplit(3, test_size=0.25, train_size=0.5, random_state=0)
    for train, test in splits_of(splitter):
        assert np.all(np.abs(Y[train].sum(axis=0) - 0.5 * Y.sum(axis=0)) < 2)
        assert np.all(np.abs(Y[test].sum(axis=0) - 0.25 * Y.sum(axis=0)) < 2)


def test_train_test_split_gives_each_array_in_its_own_type_and_in_scikit_learns_order():
    paths = [f"{row}.jpg" for row in range(120)]
    frame = pd.DataFrame(Y, columns=list("abcd"))
    parts = multilabel_train_test_split(X, paths, sparse.coo_array(X), frame, test_size=0.25, random_state=0)
    kinds = [type(part) for part in train_test_split(X, paths, sparse.coo_array(X), frame)]
    assert [type(part) for part in parts] == kinds
    for train_or_test in (parts[::2], parts[1::2]):
        rows = train_or_test[3].index
        assert_array_equal(train_or_test[0], X[rows])
        assert train_or_test[1] == [paths[row] for row in rows]
        assert_array_equal(train_or_test[2].toarray(), X[rows])
        assert_array_equal(train_or_test[3], Y[rows])
    assert_array_equal(np.sort([*parts[6].index, *parts[7].index]), np.arange(120))
    assert np.all(np.abs(parts[7].sum(axis=0) - Y.sum(axis=0) / 4) < 2)


def test_train_test_split_is_one_shuffle_split():
    once = MultilabelStratifiedShuffleSplit(1, test_size=0.2, random_state=3, order=2)
    parts = multilabel_train_test_split(np.arange(120), test_size=0.2, random_state=3, stratify=Y, order=2)
    assert_equal_splits([tuple(parts)], splits_of(once))


def test_train_test_split_without_shuffle_keeps_the_order_of_rows():
    first = multilabel_train_test_split(np.arange(120), stratify=Y, shuffle=False)
    assert_equal_splits([first], [multilabel_train_test_split(np.arange(120), stratify=Y, shuffle=False)])
    assert all(np.all(np.diff(rows) > 0) for rows in first)
    assert np.any(np.diff(multilabel_train_test_split(np.arange(120), stratify=Y, random_state=0)[0]) < 0)


@splitters
@pytest.mark.parametrize("convert", [np.asarray, list, pd.Series, lambda groups: groups.astype(str)])
def test_groups_are_never_divided(splitter, convert):
    expected = splits_of(splitter, Y, GROUPS)
    for train, test in expected:
        assert not set(GROUPS[train]) & set(GROUPS[test])
    if convert(GROUPS)[0] == GROUPS[0]:  # other names may stand in another order
        assert_equal_splits(splits_of(splitter, Y, convert(GROUPS)), expected)


def test_train_test_split_never_divides_groups():
    train, test = multilabel_train_test_split(GROUPS, stratify=Y, groups=GROUPS, test_size=0.2, random_state=0)
    assert not set(train) & set(test)
    assert abs(len(test) - 24) <= np.bincount(GROUPS).max()


@splitters
def test_splitters_are_taken_by_scikit_learns_tools(splitter):
    assert check_cv(splitter, Y, classifier=True) is splitter
    classifier = BinaryRelevance(LogisticRegression())
    found = cross_validate(classifier, X, Y, cv=splitter, scoring="f1_micro")
    assert len(found["test_score"]) == splitter.get_n_splits()
    search = GridSearchCV(classifier, {"estimator__C": [0.1, 1]}, cv=splitter, scoring="f1_micro").fit(X, Y)
    assert search.n_splits_ == splitter.get_n_splits()
    assert found["test_score"].mean() == pytest.approx(search.cv_results_["mean_test_score"][1])


def test_cross_val_predict_takes_folds():
    classifier = BinaryRelevance(LogisticRegression())
    predicted = cross_val_predict(classifier, X, Y, cv=SPLITTERS[0], method="predict_proba")
    for train, test in splits_of(SPLITTERS[0]):
        assert_array_equal(predicted[test], classifier.fit(X[train], Y[train]).predict_proba(X[test]))


@splitters
@pytest.mark.parametrize("routed", [False, True])
def test_groups_reach_the_splitter_through_cross_validation(splitter, routed):
    with sklearn.config_context(enable_metadata_routing=routed):
        found = cross_validate(
            BinaryRelevance(LogisticRegression()),
            X,
            Y,
            cv=splitter,
            scoring="f1_micro",
            return_indices=True,
            **({"params": {"groups": GROUPS}} if routed else {"groups": GROUPS}),
        )
    splits = list(zip(found["indices"]["train"], found["indices"]["test"], strict=True))
    assert_equal_splits(splits, splits_of(splitter, Y, GROUPS))


def test_splitters_name_their_parameters():
    folds, repeated = (" ".join(repr(splitter).split()) for splitter in SPLITTERS[1:3])
    assert folds == "MultilabelStratifiedKFold(n_splits=3, order=2, random_state=0, shuffle=True)"
    assert repeated == "RepeatedMultilabelStratifiedKFold(n_repeats=2, n_splits=3, order=2, random_state=0)"


def test_labels_with_fewer_positives_than_folds_are_named_and_spread():
    y = np.zeros((40, 9), dtype=int)
    y[:20, 0] = 1
    for label in range(1, 9):
        y[3 * label : 4 * label, label] = 1
    names = [f"label {label}" for label in range(9)]
    message = (
        r"^Labels with fewer than 10 positives cannot be expected in every part of the split: label 1 \(1\), "
        r"label 2 \(2\), label 3 \(3\), label 4 \(4\), label 5 \(5\), \.\.\. \(8 in all\)\.$"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        splits = splits_of(MultilabelStratifiedKFold(10), pd.DataFrame(y, columns=names))
    assert len(caught) == 1
    assert_array_equal(np.array([y[test].sum(axis=0) for _, test in splits]).max(axis=0), [2] + [1] * 8)


def test_labels_with_positives_in_few_groups_are_named():
    y = np.repeat([[1], [0]], 20, axis=0)
    message = r"positives in fewer than 3 groups cannot .*: y0 \(2\)\.$"
    with pytest.warns(UserWarning, match=message):
        splits_of(MultilabelStratifiedKFold(3), y, np.arange(40) // 10)
    splits_of(MultilabelStratifiedKFold(2), y, np.arange(40) // 10)


def test_labels_with_less_than_one_positive_for_a_part_are_named():
    y = np.repeat([[1, 1], [1, 0], [0, 0]], [9, 1, 90], axis=0)
    with pytest.warns(UserWarning, match=r"fewer than 10 positives cannot .*: y1 \(9\)\.$"):
        multilabel_train_test_split(y, test_size=0.1)
    multilabel_train_test_split(y, test_size=0.2)
    with pytest.warns(UserWarning, match=r"y1 \(9\)") as caught:
        splits_of(MultilabelStratifiedShuffleSplit(3, test_size=0.1), y)
    assert len(caught) == 1


@pytest.mark.parametrize("order", [0, 3, 1.5, "2", None])
@pytest.mark.parametrize("make", [MultilabelStratifiedKFold, MultilabelStratifiedShuffleSplit])
def test_another_order_is_an_error(make, order):
    with pytest.raises(ValueError, match=rf"The 'order' parameter of {make.__name__} must be .* Got {order!r} instead"):
        make(order=order).split(X, Y)


def test_another_order_is_an_error_of_repeated_folds_and_of_train_test_split():
    with pytest.raises(ValueError, match="The 'order' parameter of MultilabelStratifiedKFold"):
        splits_of(RepeatedMultilabelStratifiedKFold(order=3))
    with pytest.raises(ValueError, match="The 'order' parameter of multilabel_train_test_split"):
        multilabel_train_test_split(X, Y, order=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultilabelStratifiedKFold(1), r"n_splits=2 or more, got n_splits=1"),
        (lambda: MultilabelStratifiedKFold(random_state=0), r"random_state has no effect"),
        (lambda: MultilabelStratifiedKFold(121), r"n_splits=121 greater than the number of samples: n_samples=120"),
        (lambda: MultilabelStratifiedShuffleSplit(0), r"The 'n_splits' parameter of Multilabel.* Got 0 instead"),
        (lambda: MultilabelStratifiedShuffleSplit(test_size=1.0), r"The 'test_size' parameter .* Got 1\.0 instead"),
        (lambda: MultilabelStratifiedShuffleSplit(test_size=120), r"test_size=120 should be .* number of samples 120"),
        (lambda: MultilabelStratifiedShuffleSplit(test_size=0.6, train_size=0.6), r"sum of test_size and train_size"),
        (lambda: RepeatedMultilabelStratifiedKFold(n_repeats=0), r"repetitions must be greater than 0"),
    ],
)
def test_bad_parameters_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        splits_of(make())


@splitters
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, r"expected a label indicator, got None"),
        (np.arange(120), r"must be a label indicator that holds only 0 and 1, it also holds"),
        (2 * Y, r"holds only 0 and 1, it also holds 2"),
        (np.zeros((120, 2, 2)), r"shape \(n_samples, n_labels\), got an array of shape \(120, 2, 2\)"),
        (Y[:-1], r"inconsistent numbers of samples: \[120, 119\]"),
    ],
)
def test_what_is_no_indicator_of_these_rows_is_an_error(splitter, y, message):
    with pytest.raises(ValueError, match=message):
        list(splitter.split(X, y))


@pytest.mark.parametrize("splitter", FOLDS, ids=repr)
def test_fewer_groups_than_folds_are_an_error(splitter):
    with pytest.raises(ValueError, match=r"3 parts need 3 groups or more, got 2\. Ask for fewer parts"):
        splits_of(splitter, Y, np.arange(120) % 2)


def test_one_group_is_an_error_of_train_test_split():
    with pytest.raises(ValueError, match=r"2 parts need 2 groups or more, got 1"):
        multilabel_train_test_split(X, Y, groups=np.zeros(120))


@splitters
def test_groups_of_other_rows_are_an_error(splitter):
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples"):
        splits_of(splitter, Y, GROUPS[:-1])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples"):
        multilabel_train_test_split(X, Y, groups=GROUPS[:-1])


def test_train_test_split_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="At least one array required as input"):
        multilabel_train_test_split()
