"""Tests of whether models differ, over data sets and over folds."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import combinations
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.utils._param_validation import Interval, validate_params

from skdeep._text import listed

_DIGITS = 12  # means over folds that agree up to so many are ties: they differ by the order of the sum
_EXACT = 50  # blocks up to which the distribution of signed ranks is counted out, as in scipy
_SHARE = [Interval(Real, 0, 1, closed="neither")]


class FriedmanResult(NamedTuple):
    """What :func:`friedman_test` gives.

    Attributes
    ----------
    statistic : float
        Friedman's chi-square, of ``n_models - 1`` degrees of freedom.
    p_value : float
        Of it.
    f_statistic : float
        Iman and Davenport's F, of ``n_models - 1`` and ``(n_models - 1) * (n_blocks - 1)`` degrees of freedom.
    f_p_value : float
        Of it.
    n_blocks, n_models : int
    """

    statistic: float
    p_value: float
    f_statistic: float
    f_p_value: float
    n_blocks: int
    n_models: int


class NemenyiResult(NamedTuple):
    """What :func:`nemenyi_test` gives.

    Attributes
    ----------
    p_values : DataFrame of shape (n_models, n_models)
        Symmetric, with ones on the diagonal.
    critical_difference : float
        Average ranks that lie further apart are those of different models.
    """

    p_values: pd.DataFrame
    critical_difference: float


class ResampledTTest(NamedTuple):
    """What :func:`corrected_resampled_ttest` gives.

    Attributes
    ----------
    difference : float
        Mean of the differences.
    low, high : float
        Bounds of its interval.
    statistic : float
        Student's t, of one degree of freedom less than there are differences.
    p_value : float
        Two-sided.
    """

    difference: float
    low: float
    high: float
    statistic: float
    p_value: float


@validate_params({"greater_is_better": ["boolean"]}, prefer_skip_nested_validation=True)
def average_ranks(table: ArrayLike | pd.DataFrame, *, greater_is_better: bool = True) -> pd.Series[float]:
    """Rank the models in each block, and take the mean over blocks.

    Parameters
    ----------
    table : DataFrame or array-like of shape (n_blocks, n_models)
        A block is a data set, as a rule.
    greater_is_better : bool, default=True
        Whether the largest value has rank 1, or the smallest.

    Returns
    -------
    ranks : Series of shape (n_models,)
        Named as the columns. Models that tie share the mean of their ranks.

    Raises
    ------
    ValueError
        If the table is empty or has a block without a value for each model.

    Examples
    --------
    >>> from skdeep.study import average_ranks
    >>> average_ranks([[0.9, 0.8, 0.7], [0.6, 0.6, 0.5]]).tolist()
    [1.25, 1.75, 3.0]
    """
    table = check_table(table)
    values = _steady(table.to_numpy())
    return pd.Series(stats.rankdata(-values if greater_is_better else values, axis=1).mean(axis=0), table.columns)


@validate_params({"correct_ties": ["boolean"]}, prefer_skip_nested_validation=True)
def friedman_test(table: ArrayLike | pd.DataFrame, *, correct_ties: bool = True) -> FriedmanResult:
    """Test whether all models rank alike.

    Parameters
    ----------
    table : DataFrame or array-like of shape (n_blocks, n_models)
        At least 3 models and 2 blocks. Whether large or small values are better makes no difference.
    correct_ties : bool, default=True
        Whether to divide by the variance of the ranks as they are, as ``scipy.stats.friedmanchisquare`` does. False
        divides by that of ranks without ties, as Demšar's equations do: equal if no models tie, and less apt to find a
        difference if some do.

    Returns
    -------
    result : FriedmanResult
        Chi-square and Iman and Davenport's F, which is the less conservative one, with a p-value each. Where all models
        tie in all blocks, both p-values are 1.

    Raises
    ------
    ValueError
        If there are fewer than 3 models or 2 blocks, or a block has no value for a model.

    See Also
    --------
    nemenyi_test : Which of them differ.
    wilcoxon_holm : For two models, or for one against the others.

    Notes
    -----
    Blocks are taken as independent. Data sets are; folds of one data set are not, as their training rows overlap, so
    that the p-values of a table of folds are too small ([1]_, section 3.2.3). Compare models within one data set by
    :func:`corrected_resampled_ttest`.

    References
    ----------
    .. [1] J. Demšar, "Statistical comparisons of classifiers over multiple data sets", Journal of Machine Learning
       Research 7, 2006, section 3.2.2.

    .. [2] R. L. Iman, J. M. Davenport, "Approximations of the critical region of the Friedman statistic",
       Communications in Statistics 9(6), 1980.

    Examples
    --------
    >>> from skdeep.study import friedman_test
    >>> result = friedman_test([[0.9, 0.8, 0.7], [0.7, 0.5, 0.6], [0.8, 0.7, 0.6], [0.6, 0.5, 0.4]])
    >>> round(result.statistic, 2), round(result.p_value, 3), round(result.f_p_value, 4)
    (6.5, 0.039, 0.0066)
    """
    values = _steady(check_table(table, n_models=3, n_blocks=2).to_numpy())
    n_blocks, n_models = values.shape
    offsets = stats.rankdata(values, axis=1) - (n_models + 1) / 2
    free = n_models - 1
    variance = (offsets**2).sum() / (n_blocks * free) if correct_ties else n_models * (n_models + 1) / 12
    chi = n_blocks * (offsets.mean(axis=0) ** 2).sum() / variance if variance > 0 else 0.0
    rest = n_blocks * free - chi
    # no rest: all blocks rank alike
    f = np.inf if np.isclose(rest, 0) else (n_blocks - 1) * chi / rest
    return FriedmanResult(
        float(chi),
        float(stats.chi2.sf(chi, free)),
        float(f),
        float(stats.f.sf(f, free, free * (n_blocks - 1))),
        n_blocks,
        n_models,
    )


@validate_params({"alpha": _SHARE}, prefer_skip_nested_validation=True)
def nemenyi_test(table: ArrayLike | pd.DataFrame, *, alpha: float = 0.05) -> NemenyiResult:
    """Test of all pairs of models whether they rank alike.

    To be asked once :func:`friedman_test` has said that not all do.

    Parameters
    ----------
    table : DataFrame or array-like of shape (n_blocks, n_models)
        At least 2 models and 2 blocks. Whether large or small values are better makes no difference.
    alpha : float, default=0.05
        Level of the critical difference: the risk that any pair of equal models is told apart.

    Returns
    -------
    result : NemenyiResult
        The p-values, adjusted for the number of pairs, and the critical difference of average ranks.

    Raises
    ------
    ValueError
        If there are fewer than 2 models or 2 blocks, or a block has no value for a model.

    References
    ----------
    J. Demšar, "Statistical comparisons of classifiers over multiple data sets", Journal of Machine Learning Research 7,
    2006, section 3.2.2 and table 5(a).

    Examples
    --------
    >>> from skdeep.study import nemenyi_test
    >>> p_values, critical_difference = nemenyi_test([[0.9, 0.8, 0.7]] * 14)
    >>> round(critical_difference, 3), p_values.round(3).iloc[0].tolist()
    (0.886, [1.0, 0.022, 0.0])
    """
    table = check_table(table, n_models=2, n_blocks=2)
    n_blocks, n_models = table.shape
    ranks = average_ranks(table).to_numpy()
    # a difference in these units is a studentized range
    unit = np.sqrt(n_models * (n_models + 1) / (12 * n_blocks))
    p_values = stats.studentized_range.sf(np.abs(ranks[:, None] - ranks) / unit, n_models, np.inf)
    return NemenyiResult(
        pd.DataFrame(np.clip(p_values, 0, 1), table.columns, table.columns),
        float(stats.studentized_range.isf(alpha, n_models, np.inf) * unit),
    )


def wilcoxon_holm(table: ArrayLike | pd.DataFrame, control: Hashable = None) -> pd.DataFrame:
    """Test pairs of models by Wilcoxon's signed ranks, with p-values adjusted by Holm.

    Parameters
    ----------
    table : DataFrame or array-like of shape (n_blocks, n_models)
        At least 2 models and 2 blocks. Below 6 blocks no pair can reach p < 0.05.
    control : name of a column, default=None
        The model that is compared with each other one. None compares all pairs.

    Returns
    -------
    pairs : DataFrame
        A row a pair:

        - ``model``, ``other``: names of columns;
        - ``difference``: mean of ``model`` less that of ``other``;
        - ``r_plus``, ``r_minus``: sums of ranks of the blocks in which ``model`` has the larger value, or the smaller.
          Blocks of equal values give half their ranks to both;
        - ``p_value``: two-sided, exact up to 50 blocks, with ties too; then by the normal approximation;
        - ``p_holm``: adjusted for the number of pairs.

    Raises
    ------
    ValueError
        If there are fewer than 2 models or 2 blocks, or a block has no value for a model, or there is no such control.

    See Also
    --------
    friedman_test : Asked first, if there are 3 models or more. Its notes on folds hold here too.

    References
    ----------
    J. Demšar, "Statistical comparisons of classifiers over multiple data sets", Journal of Machine Learning Research 7,
    2006, section 3.1.3. Of an odd number of blocks of equal values, one is left out there, and none here.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdeep.study import wilcoxon_holm
    >>> table = pd.DataFrame({"BR": [0.5, 0.6, 0.7, 0.4, 0.9, 0.8], "CC": [0.6, 0.8, 1.0, 0.8, 1.0, 0.8]})
    >>> wilcoxon_holm(table)[["model", "other", "r_plus", "r_minus", "p_value"]]
      model other  r_plus  r_minus  p_value
    0    BR    CC     0.5     20.5   0.0625
    """
    table = check_table(table, n_models=2, n_blocks=2)
    rows: list[dict[str, Any]] = []
    for model, other in _pairs(table, control):
        differences = _paired_differences(table, model, other)
        r_plus, r_minus, p_value = _signed_ranks(differences)
        rows.append(
            {
                "model": model,
                "other": other,
                "difference": differences.mean(),
                "r_plus": r_plus,
                "r_minus": r_minus,
                "p_value": p_value,
            }
        )
    return _with_holm(rows)


@validate_params(
    {"test_train_ratio": [Interval(Real, 0, None, closed="left")], "level": _SHARE}, prefer_skip_nested_validation=True
)
def corrected_resampled_ttest(
    differences: ArrayLike, test_train_ratio: float, *, level: float = 0.95
) -> ResampledTTest:
    """Test whether the differences of two models over the folds of one data set have a mean of 0.

    The training rows of two folds overlap, so that the differences vary less than those of independent rows would. The
    variance of their mean is therefore taken as ``variance * (1 / n_folds + n_test / n_train)``.

    Parameters
    ----------
    differences : array-like of shape (n_folds,)
        Score of the one model less that of the other, by folds and repeats of the same splits; at least 2.
    test_train_ratio : float
        Test rows by training rows of a fold: ``1 / (n_folds - 1)`` in cross-validation. With 0 it is the plain paired
        t-test.
    level : float, default=0.95
        Of the interval.

    Returns
    -------
    result : ResampledTTest
        Mean, bounds of its interval, t and its two-sided p-value.

    Raises
    ------
    ValueError
        If there are fewer than 2 differences, or one is no finite number.

    References
    ----------
    C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52(3), 2003: the corrected
    resampled t-test.

    R. R. Bouckaert, E. Frank, "Evaluating the replicability of significance tests for comparing learning algorithms",
    PAKDD 2004: the same over repeated cross-validation.

    Examples
    --------
    >>> from skdeep.study import corrected_resampled_ttest
    >>> result = corrected_resampled_ttest([0.02, 0.03, 0.01, 0.02, 0.02], 1 / 4)
    >>> round(result.difference, 3), round(result.low, 4), round(result.high, 4), round(result.p_value, 4)
    (0.02, 0.0068, 0.0332, 0.0135)
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(
            f"The differences must be an array of shape (n_folds,) of at least 2 folds, got shape {values.shape}: "
            "compare the models over more folds or repeats."
        )
    if len(missing := np.flatnonzero(~np.isfinite(values))):
        raise ValueError(f"The differences must be finite, got other values at positions {listed(missing)}.")
    n_folds, mean = len(values), values.mean()
    error = np.sqrt(values.var(ddof=1) * (1 / n_folds + test_train_ratio))
    # differences that do not vary leave no doubt
    statistic = mean / error if error > 0 else np.copysign(np.inf, mean) if mean else 0.0
    half = stats.t.ppf((1 + level) / 2, n_folds - 1) * error
    p_value = 2 * stats.t.sf(abs(statistic), n_folds - 1)
    return ResampledTTest(*map(float, (mean, mean - half, mean + half, statistic, p_value)))


def resampled_ttests(
    table: pd.DataFrame, test_train_ratio: float, control: Hashable = None, *, level: float = 0.95
) -> pd.DataFrame:
    """The corrected resampled t-test of pairs of columns, a row a pair, with p-values adjusted by Holm."""
    tests = [
        {
            "model": model,
            "other": other,
            **corrected_resampled_ttest(
                _paired_differences(table, model, other), test_train_ratio, level=level
            )._asdict(),
        }
        for model, other in _pairs(table, control)
    ]
    return _with_holm(tests)


def check_table(table: Any, *, n_models: int = 1, n_blocks: int = 1) -> pd.DataFrame:
    """A table of finite numbers with so many models and blocks at least, or ``ValueError`` with the remedy."""
    if np.ndim(table) != 2 or np.size(table) == 0:
        raise ValueError(
            f"A table must have the shape (n_blocks, n_models), with at least one of each, got shape {np.shape(table)}."
        )
    table = pd.DataFrame(table).astype(float)
    if table.shape[1] < n_models:
        raise ValueError(f"This test compares at least {n_models} models, got {table.shape[1]}{_FEW_MODELS[n_models]}.")
    if len(table) < n_blocks:
        raise ValueError(
            f"This test needs at least {n_blocks} blocks, got {len(table)}: take more data sets; or compare the models "
            'within one data set, by the corrected resampled t-test, or with its folds as blocks (over="fold").'
        )
    finite = np.isfinite(table.to_numpy())
    if lacking := [
        f"{_block_name(table.index[row])} ({listed(table.columns[~finite[row]], 3)})"
        for row in np.flatnonzero(~finite.all(axis=1))
    ]:
        raise ValueError(
            f"A table must have a value for each block and model, got none in {len(lacking)} of {len(table)} blocks: "
            f"{listed(lacking)}. Leave out these blocks with table.dropna(), or models of a study with "
            "results.select(models=[...])."
        )
    return table


def _pairs(table: pd.DataFrame, control: Hashable = None) -> Iterator[tuple[Any, Any]]:
    """All pairs of columns; or those of the control with each other column."""
    if control is None:
        return combinations(table.columns, 2)
    if control not in table.columns:
        raise ValueError(
            f"The 'control' parameter must be one of {listed(table.columns, 25)}. Got {control!r} instead."
        )
    return ((control, other) for other in table.columns if other != control)


def _paired_differences(table: pd.DataFrame, model: Hashable, other: Hashable) -> NDArray[np.float64]:
    """One column less another; 0 where they agree up to the order of a sum."""
    values = table.to_numpy()
    one, two = (values[:, table.columns.get_loc(name)] for name in (model, other))
    scale = np.abs(values).max()
    return np.round((one - two) / scale, _DIGITS) * scale if scale > 0 else one - two


def _with_holm(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of tests as a table, with their p-values adjusted by Holm in a last column."""
    table = pd.DataFrame(rows)
    p_values = table["p_value"].to_numpy()
    order = np.argsort(p_values, kind="stable")
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(steps, 1)
    return table.assign(p_holm=adjusted)


_FEW_MODELS = {
    2: "",
    3: ": compare two by Wilcoxon's test (wilcoxon_holm), or within one data set by the corrected resampled t-test",
}


def _block_name(key: Any) -> str:
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _steady(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values in units of the largest, so rounded that what should be equal is."""
    scale = np.abs(values).max(initial=0)
    return np.round(values / scale, _DIGITS) if scale > 0 else values


def _signed_ranks(differences: NDArray[np.float64]) -> tuple[float, float, float]:
    """Sums of ranks above and below 0, to which differences of 0 give half each, and the two-sided p-value."""
    sizes = np.abs(differences)
    ranks = stats.rankdata(_steady(sizes))
    nought = ranks[sizes == 0].sum() / 2
    above, below = ranks[differences > 0].sum(), ranks[differences < 0].sum()
    if len(ranks) > _EXACT:
        p_value = stats.wilcoxon(differences, zero_method="zsplit", method="asymptotic").pvalue
    else:
        p_value = _exact_p(ranks[sizes > 0], min(above, below))
    return float(above + nought), float(below + nought), float(p_value)


def _exact_p(ranks: NDArray[np.float64], smaller: float) -> float:
    """Twice the chance that the ranks of one sign sum up to so little, if each sign is as likely as the other.

    Scipy counts this out for ranks without ties only; its way with ties takes seconds a pair.
    """
    # ranks are halves, so that their doubles are whole
    doubled = np.rint(2 * ranks).astype(int)
    chance = np.zeros(doubled.sum() + 1)
    chance[0] = 1
    for rank in doubled:
        moved = np.zeros_like(chance)
        moved[rank:] = chance[: len(chance) - rank]
        chance = (chance + moved) / 2
    return min(1.0, 2 * chance[: int(np.rint(2 * smaller)) + 1].sum())
