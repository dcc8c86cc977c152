"""Rows dealt to parts: sizes are met, label shares are as even as can be, and groups stay whole."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold as Rival
from numpy.testing import assert_array_equal
from sklearn.datasets import make_multilabel_classification

from skdeep.datasets import load_mulan, load_planet_labels
from skdeep.model_selection._stratify import stratify

Y_RANDOM = make_multilabel_classification(1500, n_classes=12, n_labels=3, random_state=0)[1].astype(np.uint8)


@st.composite
def indicators(draw: st.DrawFn) -> np.ndarray:
    """Few labels, so that equal rows are common; some never on, some always."""
    n_samples, n_labels = draw(st.integers(2, 40)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frequencies = draw(st.lists(st.sampled_from([0, 0.1, 0.5, 0.9, 1]), min_size=n_labels, max_size=n_labels))
    return (rng.random((n_samples, n_labels)) < frequencies).astype(np.uint8)


@st.composite
def sizes_for(draw: st.DrawFn, n_samples: int) -> np.ndarray:
    """Positive sizes of at least two parts."""
    cuts = draw(st.lists(st.integers(1, n_samples - 1), min_size=1, max_size=5, unique=True))
    return np.diff([0, *sorted(cuts), n_samples])


def equal_sizes(n_samples: int, n_parts: int) -> np.ndarray:
    return n_samples // n_parts + (np.arange(n_parts) < n_samples % n_parts)


def counts_of(Y: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Positives of each label in each part."""
    return np.array([Y[parts == part].sum(axis=0, dtype=int) for part in range(parts.max() + 1)])


def label_deviation(Y: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """How far each label is from its share, in the part where it is farthest."""
    shares = np.bincount(parts) / len(parts)
    return np.abs(counts_of(Y, parts) - np.outer(shares, Y.sum(axis=0))).max(axis=0)


def pair_deviation(Y: np.ndarray, parts: np.ndarray) -> float:
    """How far pairs of labels are from an equal share, on average over pairs and parts."""
    both = np.array([Y[:, i] & Y[:, j] for i, j in itertools.combinations(range(Y.shape[1]), 2)]).T
    counts = counts_of(both, parts)
    return float(np.abs(counts - counts.mean(axis=0)).mean())


@settings(deadline=None)
@given(st.data(), st.sampled_from([1, 2]), st.sampled_from([None, 0, 7]))
def test_parts_have_their_sizes_and_the_seed_decides(data, order, seed):
    Y = data.draw(indicators())
    sizes = data.draw(sizes_for(len(Y)))
    once, again = (
        stratify(Y, sizes, order=order, rng=None if seed is None else np.random.RandomState(seed)) for _ in range(2)
    )
    assert_array_equal(np.bincount(once, minlength=len(sizes)), sizes)
    assert_array_equal(once, again)


@settings(deadline=None)
@given(st.data(), st.sampled_from([1, 2]))
def test_a_label_counts_as_much_by_the_rows_that_lack_it(data, order):
    Y = data.draw(indicators().filter(lambda Y: not np.any(2 * Y.sum(axis=0, dtype=int) == len(Y))))
    sizes = data.draw(sizes_for(len(Y)))
    inverted = data.draw(st.lists(st.booleans(), min_size=Y.shape[1], max_size=Y.shape[1]))
    assert_array_equal(stratify(np.where(inverted, 1 - Y, Y), sizes, order=order), stratify(Y, sizes, order=order))


@settings(deadline=None)
@given(st.data(), st.sampled_from([None, 3]))
def test_one_label_is_in_its_share_rounded_up_or_down(data, seed):
    Y = data.draw(indicators())[:, :1]
    n_parts = data.draw(st.integers(2, len(Y)))
    rng = None if seed is None else np.random.RandomState(seed)
    positives = counts_of(Y, stratify(Y, equal_sizes(len(Y), n_parts), rng=rng))
    assert np.all(np.abs(positives - Y.sum() / n_parts) < 1)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n_parts", [2, 3, 5])
def test_equal_rows_in_proportion_are_divided_exactly(n_parts, order):
    Y = np.repeat(Y_RANDOM[:20], n_parts, axis=0)
    parts = stratify(Y, equal_sizes(len(Y), n_parts), order=order)
    assert_array_equal(counts_of(Y, parts), np.tile(Y_RANDOM[:20].sum(axis=0), (n_parts, 1)))


def test_of_equal_rows_the_first_go_to_the_first_part():
    Y = np.tile(np.eye(3, dtype=np.uint8), (12, 1))
    parts = stratify(Y, [12, 12, 12])
    for label in range(3):
        assert_array_equal(parts[Y[:, label] == 1], np.repeat([0, 1, 2], 4))


def test_few_rows_are_nearly_always_divided_as_evenly_as_they_can_be():
    rng = np.random.default_rng(0)
    excess = []
    for _ in range(150):
        n_samples, n_labels, n_parts = rng.integers(4, 8), rng.integers(1, 5), rng.integers(2, 4)
        Y = (rng.random((n_samples, n_labels)) < rng.random(n_labels)).astype(np.uint8)
        sizes = equal_sizes(n_samples, n_parts)
        possible = set(itertools.permutations(np.repeat(np.arange(n_parts), sizes).tolist()))
        best = min(label_deviation(Y, np.array(parts)).max() for parts in possible)
        excess.append(label_deviation(Y, stratify(Y, sizes)).max() - best)
    assert max(excess) < 1
    assert np.mean(np.array(excess) < 1e-9) > 0.9


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("order", [1, 2])
def test_a_rare_label_is_in_as_many_parts_as_it_has_positives(order, seed):
    rng = np.random.default_rng(seed)
    Y = (rng.random((300, 8)) < [0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.9, 0]).astype(np.uint8)
    Y[rng.permutation(300)[:4], 7] = 1
    positives = counts_of(Y, stratify(Y, [30] * 10, order=order, rng=np.random.RandomState(seed)))[:, 7]
    assert_array_equal(np.sort(positives), [0] * 6 + [1] * 4)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("order", [1, 2])
def test_parts_of_unequal_sizes_get_their_share_of_each_label(order, share):
    n_drawn = round(share * len(Y_RANDOM))
    parts = stratify(Y_RANDOM, [len(Y_RANDOM) - n_drawn, n_drawn], order=order)
    assert label_deviation(Y_RANDOM, parts).max() < 2


def test_a_seed_changes_which_rows_meet_even_where_all_label_sets_differ():
    Y = np.unpackbits(np.random.default_rng(0).permutation(2**10).astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)
    folds = [stratify(Y[:, 6:], [64] * 16, rng=np.random.RandomState(seed)) for seed in range(3)]
    for one, other in itertools.combinations(folds, 2):
        together = [np.equal.outer(fold, fold)[np.triu_indices(len(Y), 1)] for fold in (one, other)]
        # by chance, one in 16 of the rows that meet once meets again
        assert together[1][together[0]].mean() < 0.1


@pytest.mark.parametrize("order", [1, 2])
def test_shares_are_more_even_than_iterative_stratifications(order):
    Y = Y_RANDOM
    rival = rival_folds(Y, 10)
    ours = stratify(Y, equal_sizes(len(Y), 10), order=order, rng=np.random.RandomState(0))
    assert deviation_from_tenth(Y, ours) < 2 < deviation_from_tenth(Y, rival)
    assert np.ptp(np.bincount(ours)) == 0 < np.ptp(np.bincount(rival))
    assert order == 1 or pair_deviation(Y, ours) < 0.6 * pair_deviation(Y, rival)


def test_pairs_are_more_even_with_order_2_and_labels_nearly_as_even():
    one, two = (stratify(Y_RANDOM, [150] * 10, order=order) for order in (1, 2))
    assert pair_deviation(Y_RANDOM, two) < 0.8 * pair_deviation(Y_RANDOM, one)
    assert label_deviation(Y_RANDOM, two).mean() < label_deviation(Y_RANDOM, one).mean() + 0.3


@settings(deadline=None)
@given(st.data(), st.sampled_from([1, 2]), st.sampled_from([None, 5]))
def test_groups_stay_whole_and_no_part_is_empty_or_overfull(data, order, seed):
    Y = data.draw(indicators())
    labels = data.draw(st.lists(st.integers(0, 15), min_size=len(Y), max_size=len(Y)))
    groups = np.unique(labels, return_inverse=True)[1]
    sizes = data.draw(sizes_for(len(Y)))[: groups.max() + 1]
    sizes[-1] += len(Y) - sizes.sum()
    rng = None if seed is None else np.random.RandomState(seed)
    parts = stratify(Y, sizes, order=order, groups=groups, rng=rng)
    assert all(len(np.unique(parts[groups == group])) == 1 for group in range(groups.max() + 1))
    held = np.bincount(parts, minlength=len(sizes))
    assert np.all(held > 0)
    assert np.all(held < sizes + np.bincount(groups).max())


@settings(deadline=None)
@given(st.data())
def test_groups_of_one_row_meet_the_sizes_exactly(data):
    Y = data.draw(indicators())
    sizes = data.draw(sizes_for(len(Y)))
    parts = stratify(Y, sizes, groups=np.arange(len(Y)))
    assert_array_equal(np.bincount(parts), sizes)


@pytest.mark.parametrize("order", [1, 2])
def test_many_groups_are_divided_nearly_as_evenly_as_rows(order):
    groups = np.random.default_rng(0).integers(400, size=len(Y_RANDOM))
    groups = np.unique(groups, return_inverse=True)[1]
    parts = stratify(Y_RANDOM, [300] * 5, order=order, groups=groups)
    assert np.ptp(np.bincount(parts)) <= 2
    assert label_deviation(Y_RANDOM, parts).max() < 4
    by_chance = np.random.default_rng(0).integers(5, size=400)[groups]
    assert label_deviation(Y_RANDOM, by_chance).max() > 8


def test_the_largest_group_may_be_larger_than_a_part():
    groups = np.repeat(np.arange(5), [1000, 1, 1, 1, 1])
    Y = np.ones((1004, 1), dtype=np.uint8)
    assert_array_equal(np.sort(np.bincount(stratify(Y, equal_sizes(1004, 5), groups=groups))), [1, 1, 1, 1, 1000])


def test_many_distinct_label_sets_and_many_groups_take_seconds():
    rng = np.random.default_rng(0)
    Y = (rng.random((40_000, 50)) < rng.beta(0.5, 3, 50)).astype(np.uint8)
    start = time.process_time()
    assert label_deviation(Y, stratify(Y, [4000] * 10)).max() < 2
    groups = np.unique(rng.integers(10_000, size=len(Y)), return_inverse=True)[1]
    assert label_deviation(Y, stratify(Y, [4000] * 10, groups=groups)).max() < 5
    assert time.process_time() - start < 10


@pytest.mark.data
@pytest.mark.parametrize("n_parts", [3, 5, 10])
def test_yeast_is_divided_more_evenly_than_by_iterative_stratification(data_folder, n_parts):
    files = (data_folder / "yeast" / f"yeast-{part}.arff" for part in ("train", "test"))
    Y = np.vstack([load_mulan(file).target for file in files]).astype(np.uint8)
    sizes = equal_sizes(len(Y), n_parts)
    one, two = (stratify(Y, sizes, order=order, rng=np.random.RandomState(0)) for order in (1, 2))
    rival = rival_folds(Y, n_parts)
    assert max(label_deviation(Y, folds).max() for folds in (one, two)) < 2.5
    assert label_deviation(Y, one).mean() < label_deviation(Y, rival).mean()
    assert pair_deviation(Y, two) < pair_deviation(Y, one)
    assert pair_deviation(Y, two) < pair_deviation(Y, rival)


@pytest.mark.data
@pytest.mark.parametrize("seed", [None, 0])
def test_all_planet_labels_are_in_their_share_in_ten_folds(data_folder, seed):
    Y = load_planet_labels(data_folder / "planet_train_v2_all_labels.csv").target.astype(np.uint8)
    folds = {}
    for order in (1, 2):
        start = time.process_time()
        rng = None if seed is None else np.random.RandomState(seed)
        folds[order] = stratify(Y, equal_sizes(len(Y), 10), order=order, rng=rng)
        assert time.process_time() - start < 1
        farthest = np.abs(counts_of(Y, folds[order]) - Y.sum(axis=0) / 10).max(axis=0)
        assert farthest[Y.sum(axis=0) < 1000].max() < 1.5
        assert np.max(farthest / Y.sum(axis=0) * 10, where=Y.sum(axis=0) >= 1000, initial=0) < 0.01
    assert pair_deviation(Y, folds[2]) < pair_deviation(Y, folds[1])


def rival_folds(Y: np.ndarray, n_splits: int) -> np.ndarray:
    """Folds of the package iterative-stratification."""
    folds = np.empty(len(Y), dtype=int)
    for fold, (_, test) in enumerate(Rival(n_splits, shuffle=True, random_state=0).split(Y, Y)):
        folds[test] = fold
    return folds


def deviation_from_tenth(Y: np.ndarray, folds: np.ndarray) -> float:
    """How far any label is from a tenth of its positives: unequal sizes count against the rival."""
    return float(np.abs(counts_of(Y, folds) - Y.sum(axis=0) / 10).max())
