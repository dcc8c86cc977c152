"""Validation rows: every class and label in its share, and none without a row to learn from."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdeep._validation import Targets, check_targets
from skdeep.datasets import load_planet_labels
from skdeep.model_selection._split import split_rows

FRACTIONS = [0.01, 0.1, 0.25, 0.5, 0.9, 0.99]


def labels(n_rows: int, frequencies: list[float], seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((n_rows, len(frequencies))) < frequencies).astype(int)


CASES = {
    "two classes": np.repeat(["no", "yes"], [290, 11]),
    "ten classes": np.arange(300) % 10,
    "more classes than validation rows": np.repeat(np.arange(60), 5),
    "a class of one": np.array([0] * 20 + [1] * 9 + [2]),
    "classes of two": np.repeat(np.arange(20), 2),
    "two of one class and many of one": np.array([0, 0, *range(1, 30)]),
    "one label": labels(50, [0.3]),
    "one label, once": np.eye(1, 20, dtype=int).T.reshape(20, 1),
    "labels": labels(200, [0.9, 0.5, 0.2, 0.05, 0.01]),
    "labels, one of them once": np.hstack([labels(50, [0.5, 0.2]), np.eye(1, 50, dtype=int).T]),
    "only rare labels": np.tile(np.eye(20, dtype=int), (2, 1)),
    "a label that is never on": labels(40, [0.5, 0.0, 0.2]),
    "a label that is always on": labels(40, [0.5, 1.0, 0.2]),
    "no label at all": np.zeros((40, 3), dtype=int),
    "two rows": np.array([[1, 0], [1, 0]]),
}


def targets_of(y: np.ndarray) -> Targets:
    """Those of y, with columns as labels even if there is one; without the warning that y has many classes."""
    if y.ndim == 2:
        return check_targets(y, pd.DataFrame(y))
    classes, values = np.unique(y, return_inverse=True)
    return Targets("binary" if len(classes) == 2 else "multiclass", values, classes)


def positives(y: np.ndarray) -> np.ndarray:
    """Of each class, or of each label, the rows that have it."""
    return y == 1 if y.ndim == 2 else y[:, None] == np.unique(y)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("case", CASES)
def test_rows_are_divided_and_every_class_and_label_keeps_one_to_learn_from(case, fraction):
    y = CASES[case]
    train, validation = split_rows(targets_of(y), fraction, seed=0)
    assert len(train) > 0
    assert len(validation) > 0
    assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(len(y)))
    for rows in (train, validation):
        assert rows.dtype == np.intp
        assert np.all(np.diff(rows) > 0)
    present = positives(y).any(axis=0)
    assert_array_equal(positives(y)[train].any(axis=0), present)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("case", ["two classes", "ten classes", "more classes than validation rows", "classes of two"])
def test_each_class_gives_its_share_rounded_up_or_down(case, fraction):
    y = CASES[case]
    _, validation = split_rows(targets_of(y), fraction, seed=3)
    sizes = positives(y).sum(axis=0)
    drawn = positives(y)[validation].sum(axis=0)
    assert len(validation) == round(fraction * len(y))
    assert np.all(np.abs(drawn - sizes * len(validation) / len(y)) < 1)


def test_labels_are_in_their_share_in_both_parts():
    y = labels(2000, [0.9, 0.5, 0.2, 0.05, 0.01])
    _, validation = split_rows(targets_of(y), 0.2, seed=0)
    assert np.all(np.abs(y[validation].sum(axis=0) - 0.2 * y.sum(axis=0)) <= 2)
    assert abs(len(validation) - 400) <= 4
    shuffled = np.random.default_rng(0).permutation(2000)[:400]
    assert np.abs(y[shuffled].sum(axis=0) - 0.2 * y.sum(axis=0)).max() > 2


@pytest.mark.parametrize("case", ["two classes", "labels", "one label", "only rare labels"])
def test_the_seed_decides_and_the_global_generator_is_left_alone(case):
    targets = targets_of(CASES[case])
    before = np.random.get_state()  # noqa: NPY002
    parts = [split_rows(targets, 0.2, seed) for seed in (0, 0, 1)]
    after = np.random.get_state()  # noqa: NPY002
    assert_array_equal(before[1], after[1])
    assert before[2] == after[2]
    assert_array_equal(parts[0][1], parts[1][1])
    assert not np.array_equal(parts[0][1], parts[2][1])


@pytest.mark.parametrize("case", ["ten classes", "a class of one", "labels", "labels, one of them once"])
def test_every_row_but_the_only_one_of_a_class_or_label_is_validated_on_under_some_seed(case):
    y = CASES[case]
    seen = np.concatenate([split_rows(targets_of(y), 0.25, seed)[1] for seed in range(60)])
    present = positives(y)
    only = present[:, present.sum(axis=0) == 1].any(axis=1)
    assert set(range(len(y))) - set(seen.tolist()) == set(np.flatnonzero(only))


@pytest.mark.parametrize("case", ["two classes", "labels"])
def test_rows_without_weight_stay_in_training_and_change_nothing(case):
    y = CASES[case]
    weighted = np.random.default_rng(0).permutation(np.repeat([True, False], [len(y), 40]))
    padded = np.empty((len(weighted), *y.shape[1:]), dtype=y.dtype)
    padded[weighted], padded[~weighted] = y, y[:40]
    train, validation = split_rows(targets_of(padded), 0.2, seed=0, weights=2.5 * weighted)
    assert set(np.flatnonzero(~weighted)) <= set(train)
    _, expected = split_rows(targets_of(y), 0.2, seed=0)
    assert_array_equal(validation, np.flatnonzero(weighted)[expected])


@pytest.mark.parametrize(
    "y",
    [np.arange(2), np.arange(30), np.eye(30, dtype=int), np.ones((1, 2), dtype=int), np.array([[1], [0]])],
    ids=["two rows", "thirty classes", "thirty labels", "one row", "one label"],
)
def test_rows_that_cannot_be_spared_are_an_error(y):
    message = rf"validation_fraction=0\.1 of {len(y)} rows leaves none to validate on, .* X_val and y_val\."
    with pytest.raises(ValueError, match=message):
        split_rows(targets_of(y), 0.1, seed=0)


def test_no_row_of_any_weight_is_an_error():
    y = CASES["labels"]
    with pytest.raises(ValueError, match=r"validation_fraction=0\.1 of 0 rows"):
        split_rows(targets_of(y), 0.1, seed=0, weights=np.zeros(len(y)))


@pytest.mark.data
def test_all_planet_labels_are_divided_in_a_second(data_folder):
    y = load_planet_labels(data_folder / "planet_train_v2_all_labels.csv").target
    targets = targets_of(y)
    start = time.process_time()
    _, validation = split_rows(targets, 0.1, seed=0)
    assert time.process_time() - start < 2
    assert abs(len(validation) / 40479 - 0.1) < 0.001
    assert np.all(np.abs(y[validation].sum(axis=0) / y.sum(axis=0) - 0.1) < 0.01)
