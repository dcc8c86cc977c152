"""Tests of whether models differ: against scipy, scikit-posthocs, statsmodels and published examples."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from skdeep.study._statistics import (
    average_ranks,
    corrected_resampled_ttest,
    friedman_test,
    nemenyi_test,
    wilcoxon_holm,
)

# Demsar 2006, table 6: AUC of four variants of C4.5 over 14 data sets. He gives C4.5+cf rank 2 and C4.5+m+cf rank 3 on
# voting, which in his three digits are equal: the fourth digit is ours.
DEMSAR = pd.DataFrame(
    {
        "adult": [0.763, 0.768, 0.771, 0.798],
        "breast cancer": [0.599, 0.591, 0.590, 0.569],
        "breast cancer wisconsin": [0.954, 0.971, 0.968, 0.967],
        "cmc": [0.628, 0.661, 0.654, 0.657],
        "ionosphere": [0.882, 0.888, 0.886, 0.898],
        "iris": [0.936, 0.931, 0.916, 0.931],
        "liver disorders": [0.661, 0.668, 0.609, 0.685],
        "lung cancer": [0.583, 0.583, 0.563, 0.625],
        "lymphography": [0.775, 0.838, 0.866, 0.875],
        "mushroom": [1.000, 1.000, 1.000, 1.000],
        "primary tumor": [0.940, 0.962, 0.965, 0.962],
        "rheum": [0.619, 0.666, 0.614, 0.669],
        "voting": [0.972, 0.981, 0.9751, 0.975],
        "wine": [0.957, 0.978, 0.946, 0.970],
    },
    index=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
).T


def tables(n_models: int = 3) -> st.SearchStrategy[Any]:
    """Tables of few values, so that there are ties."""
    shape = st.tuples(st.integers(2, 9), st.integers(n_models, 6))
    return arrays(np.float64, shape, elements=st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]))


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).random((12, 5)), columns=list("abcde"))


# ranks


def test_ranks_are_those_of_demsar() -> None:
    np.testing.assert_allclose(average_ranks(DEMSAR), [3.143, 2.000, 2.893, 1.964], atol=0.0005)


@settings(deadline=None)
@given(tables())
def test_ranks_are_scipys_and_add_up(values: Any) -> None:
    ranks = average_ranks(values, greater_is_better=False)
    np.testing.assert_allclose(ranks, stats.rankdata(values, axis=1).mean(axis=0))
    assert ranks.mean() == pytest.approx((values.shape[1] + 1) / 2)
    np.testing.assert_allclose(average_ranks(-values), ranks)


def test_values_that_differ_by_the_order_of_a_sum_are_ties() -> None:
    assert 0.1 + 0.2 != 0.3
    assert average_ranks([[0.1 + 0.2, 0.3, 0.7]]).tolist() == [2.5, 2.5, 1.0]
    assert wilcoxon_holm([[0.1 + 0.2, 0.3], [0.3, 0.3]])["difference"].tolist() == [0.0]


# Friedman


def test_friedman_is_that_of_demsar() -> None:
    result = friedman_test(DEMSAR, correct_ties=False)
    assert result.statistic == pytest.approx(9.28, abs=0.005)
    assert result.f_statistic == pytest.approx(3.69, abs=0.005)
    assert stats.f.isf(0.05, 3, 39) == pytest.approx(2.85, abs=0.005)
    assert result.f_p_value < 0.05
    assert (result.n_blocks, result.n_models) == (14, 4)


@settings(deadline=None)
@given(tables())
def test_friedman_is_scipys_with_ties_and_without(values: Any) -> None:
    ours = friedman_test(values)
    if (values == values[:, :1]).all():
        assert (ours.statistic, ours.p_value, ours.f_p_value) == (0, 1, 1)
        return
    theirs = stats.friedmanchisquare(*values.T)
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue)


@settings(deadline=None)
@given(tables())
def test_f_is_that_of_an_analysis_of_variance_of_the_ranks(values: Any) -> None:
    ranks = stats.rankdata(values, axis=1)
    columns, rows = ranks.mean(axis=0), ranks.mean(axis=1, keepdims=True)
    between = len(ranks) * ((columns - ranks.mean()) ** 2).sum()
    rest = ((ranks - columns - rows + ranks.mean()) ** 2).sum()
    result = friedman_test(values)
    if rest < 1e-9:
        assert result.f_statistic == (np.inf if between > 1e-9 else 0)
    else:
        f = between / rest * (len(ranks) - 1)
        assert result.f_statistic == pytest.approx(f, abs=1e-9)
        free = ranks.shape[1] - 1
        assert result.f_p_value == pytest.approx(stats.f.sf(f, free, free * (len(ranks) - 1)))


@settings(deadline=None)
@given(tables())
def test_ties_uncorrected_make_friedman_no_surer(values: Any) -> None:
    assert friedman_test(values, correct_ties=False).p_value >= friedman_test(values).p_value - 1e-12


def test_friedman_without_ties_needs_no_correction(table: pd.DataFrame) -> None:
    np.testing.assert_allclose(friedman_test(table), friedman_test(table, correct_ties=False))


def test_blocks_that_agree_leave_no_doubt() -> None:
    result = friedman_test([[3, 2, 1]] * 4)
    assert result.f_statistic == np.inf
    assert result.f_p_value == 0


# Nemenyi


def test_critical_differences_are_those_of_demsar() -> None:
    assert nemenyi_test(DEMSAR).critical_difference == pytest.approx(1.25, abs=0.005)
    p_values, difference = nemenyi_test(DEMSAR, alpha=0.1)
    assert difference == pytest.approx(1.12, abs=0.005)
    # "C4.5 is significantly worse than C4.5+m and C4.5+m+cf" at 0.10, and nothing at 0.05
    below = p_values.loc["C4.5"] < 0.1
    assert below[below].index.tolist() == ["C4.5+m", "C4.5+m+cf"]
    assert p_values.to_numpy().min() > 0.05


@pytest.mark.parametrize(
    ("n_models", "value"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (10, 3.164)]
)
def test_critical_values_are_those_of_demsars_table(n_models: int, value: float) -> None:
    blocks = np.tile(np.arange(n_models), (20, 1))
    unit = np.sqrt(n_models * (n_models + 1) / (6 * 20))
    assert nemenyi_test(blocks).critical_difference / unit == pytest.approx(value, abs=0.001)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_nemenyi_is_that_of_scikit_posthocs(table: pd.DataFrame) -> None:
    posthocs = pytest.importorskip("scikit_posthocs")
    for values in (table, DEMSAR):
        theirs = posthocs.posthoc_nemenyi_friedman(values.to_numpy())
        np.testing.assert_allclose(nemenyi_test(values).p_values, theirs, atol=1e-6)


@settings(deadline=None)
@given(tables(2))
def test_ranks_further_apart_than_critical_are_those_of_small_p(values: Any) -> None:
    p_values, difference = nemenyi_test(values)
    ranks = average_ranks(values).to_numpy()
    apart = np.abs(ranks[:, None] - ranks)
    clear = ~np.isclose(apart, difference)
    np.testing.assert_array_equal((apart > difference)[clear], (p_values.to_numpy() < 0.05)[clear])
    np.testing.assert_array_equal(p_values, p_values.T)
    np.testing.assert_allclose(np.diag(p_values), 1)


# Wilcoxon


def test_signed_ranks_are_those_of_demsar() -> None:
    (row,) = wilcoxon_holm(DEMSAR[["C4.5+m", "C4.5"]]).to_dict("records")
    assert (row["r_plus"], row["r_minus"]) == (93, 12)
    assert row["p_value"] == row["p_holm"] < 0.05


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(2, 12), st.just(2)), elements=st.floats(0, 1, width=16), unique=True))
def test_wilcoxon_is_scipys_exact_one_where_that_is_exact(values: Any) -> None:
    differences = values[:, 0] - values[:, 1]
    assume(len(np.unique(np.abs(differences))) == len(differences))
    (row,) = wilcoxon_holm(values).to_dict("records")
    theirs = stats.wilcoxon(differences, method="exact")
    assert min(row["r_plus"], row["r_minus"]) == theirs.statistic
    assert row["p_value"] == pytest.approx(theirs.pvalue)


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(2, 7), st.just(2)), elements=st.sampled_from([0.1, 0.2, 0.3, 0.5])))
def test_wilcoxon_with_ties_counts_all_signs_out(values: Any) -> None:
    differences = np.round(values[:, 0] - values[:, 1], 6)
    ranks = stats.rankdata(np.abs(differences))
    sums = [np.sum(signs * ranks * (differences != 0)) for signs in product((-1, 1), repeat=len(ranks))]
    got = np.sum(np.sign(differences) * ranks)
    (row,) = wilcoxon_holm(values).to_dict("records")
    assert row["r_plus"] - row["r_minus"] == got
    assert row["r_plus"] + row["r_minus"] == len(ranks) * (len(ranks) + 1) / 2
    assert row["p_value"] == pytest.approx(min(1, 2 * np.mean(np.array(sums) >= abs(got))))


@pytest.mark.parametrize("digits", [2, 12])
def test_wilcoxon_of_many_blocks_goes_over_into_the_normal_approximation(digits: int) -> None:
    values = np.round(np.random.default_rng(0).normal([0.1, 0.0], 0.3, (60, 2)), digits)
    (many,) = wilcoxon_holm(values)["p_value"]
    assert (
        many
        == stats.wilcoxon(np.round(values[:, 0] - values[:, 1], 9), zero_method="zsplit", method="asymptotic").pvalue
    )
    # exact and approximate p of 50 blocks are near each other
    (exact,) = wilcoxon_holm(values[:50])["p_value"]
    near = stats.wilcoxon(np.round(np.subtract(*values[:50].T), 9), zero_method="zsplit", method="asymptotic").pvalue
    assert exact != near
    assert exact == pytest.approx(near, rel=0.05)


def test_equal_models_do_not_differ() -> None:
    for n_blocks in (2, 20, 60):
        assert wilcoxon_holm(np.full((n_blocks, 2), 0.7))["p_value"].tolist() == [1.0]


def test_all_pairs_are_compared_or_those_of_the_control(table: pd.DataFrame) -> None:
    everything = wilcoxon_holm(table)
    assert (everything["model"] + everything["other"]).tolist() == [
        "ab",
        "ac",
        "ad",
        "ae",
        "bc",
        "bd",
        "be",
        "cd",
        "ce",
        "de",
    ]
    against = wilcoxon_holm(table, "c")
    assert (against["model"] + against["other"]).tolist() == ["ca", "cb", "cd", "ce"]
    raw = everything.set_index(["model", "other"])
    assert against.loc[0, "p_value"] == raw.loc[("a", "c"), "p_value"]
    assert against.loc[0, "difference"] == pytest.approx((table["c"] - table["a"]).mean())
    assert against.loc[0, "r_plus"] == raw.loc[("a", "c"), "r_minus"]


def test_holm_is_that_of_statsmodels(table: pd.DataFrame) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for control in (None, "b"):
        result = wilcoxon_holm(table.assign(b=table["b"] + 0.2, d=table["d"] + 0.5), control)
        theirs = multitest.multipletests(result["p_value"], method="holm")[1]
        np.testing.assert_allclose(result["p_holm"], theirs)
        assert (result["p_holm"] > result["p_value"]).any()


# the corrected resampled t-test


@settings(deadline=None)
@given(arrays(np.float64, st.integers(2, 20), elements=st.floats(-1, 1, width=32)))
def test_resampled_ttest_without_overlap_is_scipys(differences: Any) -> None:
    assume(differences.std() > 1e-6)
    ours = corrected_resampled_ttest(differences, 0)
    theirs = stats.ttest_1samp(differences, 0)
    interval = theirs.confidence_interval()
    np.testing.assert_allclose(
        ours, [differences.mean(), interval.low, interval.high, theirs.statistic, theirs.pvalue], rtol=1e-6, atol=1e-9
    )


@settings(deadline=None)
@given(st.integers(2, 12), st.floats(0.01, 2))
def test_resampled_ttest_widens_by_the_overlap(n_folds: int, ratio: float) -> None:
    differences = np.random.default_rng(n_folds).normal(0.1, 1, n_folds)
    plain, corrected = corrected_resampled_ttest(differences, 0), corrected_resampled_ttest(differences, ratio)
    # Nadeau and Bengio: 1 / n + n_test / n_train in place of 1 / n
    factor = np.sqrt(1 + n_folds * ratio)
    assert corrected.high - corrected.low == pytest.approx((plain.high - plain.low) * factor)
    assert corrected.statistic == pytest.approx(plain.statistic / factor)
    assert corrected.p_value >= plain.p_value


def test_interval_holds_0_just_where_p_is_above_its_level() -> None:
    for seed, level in product(range(30), (0.8, 0.95)):
        differences = np.random.default_rng(seed).normal(0.5, 1, 10)
        result = corrected_resampled_ttest(differences, 1 / 9, level=level)
        assert (result.low < 0 < result.high) == (result.p_value > 1 - level)


def test_differences_that_do_not_vary_leave_no_doubt() -> None:
    assert corrected_resampled_ttest([0.0, 0.0], 0.5) == (0, 0, 0, 0, 1)
    assert corrected_resampled_ttest([-0.5, -0.5], 0.5) == (-0.5, -0.5, -0.5, -np.inf, 0)


# what is refused


@pytest.mark.parametrize("test", [average_ranks, friedman_test, nemenyi_test, wilcoxon_holm])
def test_blocks_without_a_value_are_named(test: Any, table: pd.DataFrame) -> None:
    table.index = pd.MultiIndex.from_product([["yeast", "planet"], range(6)])
    table.iloc[1, 2] = np.nan
    table.iloc[7, [0, 4]] = [np.inf, np.nan]
    message = r"got none in 2 of 12 blocks: yeast 1 \(c\), planet 1 \(a, e\). Leave out these blocks with table.dropna"
    with pytest.raises(ValueError, match=message):
        test(table)


def test_too_few_models_or_blocks_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"at least 3 models, got 2: compare two by Wilcoxon's test \(wilcoxon_holm\)"):
        friedman_test([[1, 2], [3, 4]])
    for test in (nemenyi_test, wilcoxon_holm):
        with pytest.raises(ValueError, match=r"compares at least 2 models, got 1\."):
            test([[1], [2]])
    for test in (friedman_test, nemenyi_test, wilcoxon_holm):
        with pytest.raises(
            ValueError, match=r"at least 2 blocks, got 1: .* corrected resampled t-test, .*over=\"fold\""
        ):
            test([[1, 2, 3]])
    for empty in ([1, 2, 3], [], pd.DataFrame(columns=["a"])):
        with pytest.raises(ValueError, match=r"must have the shape \(n_blocks, n_models\)"):
            average_ranks(empty)


def test_a_control_that_is_no_model_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"'control' parameter must be one of a, b, c, d, e. Got 'f' instead"):
        wilcoxon_holm(table, "f")


def test_differences_that_are_none_are_refused() -> None:
    for few in ([0.1], [], [[0.1, 0.2]], 0.1):
        with pytest.raises(
            ValueError, match=r"shape \(n_folds,\) of at least 2 folds, got shape .*more folds or repeats"
        ):
            corrected_resampled_ttest(few, 0.1)
    with pytest.raises(ValueError, match=r"must be finite, got other values at positions 1, 3"):
        corrected_resampled_ttest([0.1, np.nan, 0.2, np.inf], 0.1)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: corrected_resampled_ttest([0.1, 0.2], -1), "test_train_ratio"),
        (lambda: corrected_resampled_ttest([0.1, 0.2], 0.1, level=1), "level"),
        (lambda: nemenyi_test(DEMSAR, alpha=0), "alpha"),
        (lambda: average_ranks(DEMSAR, greater_is_better="yes"), "greater_is_better"),
        (lambda: friedman_test(DEMSAR, correct_ties=None), "correct_ties"),
    ],
)
def test_wrong_parameters_are_named(call: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' parameter of .* must be"):
        call()
