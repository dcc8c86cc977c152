"""Exact search for the thresholds under which scores become the labels that serve a metric best.

All of it rests on one curve. Sort the cells of the score matrix from the highest; each further cell that is predicted
changes the value of its row (or its label) by an amount that depends on nothing but its place in that row. So the sums
of these changes are the metric at every threshold that there is, for the price of a sort.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import StrOptions, validate_params

from skdeep.metrics._checks import check_scores
from skdeep.multilabel._base import places_in_row

Average = Literal["samples", "micro", "macro"]
Scope = Literal["global", "per_label", "cardinality", "rank"]
Floats = NDArray[np.float64]
# (true positives, predicted, true) -> value, elementwise
Value = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], Floats]

SCOPES = frozenset(get_args(Scope))

_RATIO = re.compile(r"(?:jaccard|f(?P<beta>\d+(?:\.\d+)?))_(?P<average>samples|micro|macro)")
_OTHERS = {"subset_accuracy", "neg_hamming_loss"}
_NEAR = 1e-12  # values that are nearer differ by the order of a sum only


class MetricName(StrOptions):
    """A metric that can be searched exactly, as a constraint of parameters."""

    def __init__(self) -> None:
        super().__init__(_OTHERS)

    def is_satisfied_by(self, val: Any) -> bool:
        """Tell whether ``val`` names such a metric."""
        if super().is_satisfied_by(val):
            return True
        found = _RATIO.fullmatch(val) if isinstance(val, str) else None
        return found is not None and float(found["beta"] or 1) > 0

    def __str__(self) -> str:
        return (
            "'f<beta>_<average>' with a number beta > 0, 'jaccard_<average>' (<average> is samples, micro or macro), "
            "'subset_accuracy' or 'neg_hamming_loss'"
        )


@dataclass(frozen=True, eq=False)
class DecisionRule:
    """How scores become labels, as :func:`optimal_thresholds` has learnt it.

    Parameters
    ----------
    thresholds : ndarray of float of shape (n_labels,), or None
        A label is predicted where its score is at least this; ``inf`` is never, ``-inf`` is always.
    n_labels_per_row : int or None
        In place of thresholds: this many labels are predicted for each row, those with the highest scores. Of labels
        with equal scores the one that comes first counts as higher.
    score : float
        What the rule reaches on the data it was learnt from.
    """

    thresholds: Floats | None
    n_labels_per_row: int | None
    score: float

    def predict(self, y_score: ArrayLike) -> NDArray[np.int64]:
        """Predict the labels of rows.

        Parameters
        ----------
        y_score : array-like of shape (n_samples, n_labels)
            Scores of the kind that the rule was learnt from. Of one label, shape (n_samples,) will do.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)

        Raises
        ------
        ValueError
            If ``y_score`` has not one column for each threshold.
        """
        scores = np.asarray(y_score, dtype=np.float64)
        if scores.ndim == 1:
            scores = scores.reshape(-1, 1)
        if self.thresholds is None:
            return (places_in_row(scores) < (self.n_labels_per_row or 0)).astype(np.int64)
        if scores.shape[1:] != self.thresholds.shape:
            raise ValueError(
                f"There are thresholds for {len(self.thresholds)} labels, so y_score must have shape (n_samples, "
                f"{len(self.thresholds)}), got {scores.shape}."
            )
        return (scores >= self.thresholds).astype(np.int64)


@validate_params(
    {"metric": [MetricName()], "scope": [StrOptions(set(SCOPES))]},
    prefer_skip_nested_validation=True,
)
def optimal_thresholds(
    y_true: Any, y_score: ArrayLike, *, metric: str = "f1_samples", scope: Scope = "global"
) -> DecisionRule:
    """Find the thresholds that serve a metric best on given scores.

    Every threshold that makes a difference is looked at, not a grid.

    .. warning::
        The score that is reached on the same data is optimistic, the more so the more thresholds there are. Learn on
        held-out or out-of-fold scores, as :class:`MultilabelThresholdCV` does, and score on other rows.

    Parameters
    ----------
    y_true : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
        True labels, an indicator.
    y_score : array-like of shape (n_samples, n_labels)
        Probabilities or decision values.
    metric : str, default="f1_samples"
        What is to be high:

        - ``"f<beta>_samples"``, ``"f<beta>_micro"``, ``"f<beta>_macro"``, with any positive number for beta
          (``"f2_samples"``, ``"f0.5_macro"``): F-beta as the mean over rows, of all cells, or as the mean over labels.
          A row with no label, true or predicted, counts 1; a label that is never true nor predicted is left out;
        - ``"jaccard_samples"``, ``"jaccard_micro"``, ``"jaccard_macro"``: the share of the true or predicted that is
          both, in the same three ways;
        - ``"subset_accuracy"``: share of rows without a wrong cell;
        - ``"neg_hamming_loss"``: share of wrong cells, negated.
    scope : {"global", "per_label", "cardinality", "rank"}, default="global"
        What is chosen:

        - ``"global"``: one threshold for all labels. Exact.
        - ``"per_label"``: a threshold for each label (SCut [1]_). Exact for macro and micro metrics [2]_ and for the
          Hamming loss. For the others, means over rows, the labels' best thresholds depend on each other: from the best
          global threshold on, each label's is set to its best in turn until none moves [3]_. So the result is at least
          as good as the global threshold, and no change of one threshold betters it.
        - ``"cardinality"``: a threshold for each label such that all labels are predicted for the same multiple of the
          rows that have them (PCut [1]_, with its factor chosen by the metric). Exact.
        - ``"rank"``: the same number of labels for each row, 0 to all (RCut [1]_). Exact.

    Returns
    -------
    rule : DecisionRule
        With ``thresholds``, or ``n_labels_per_row`` for the scope ``"rank"``, the ``score`` reached, and ``predict``.

    Raises
    ------
    ValueError
        If ``y_true`` is no indicator, or ``y_score`` is not finite or of another shape.

    See Also
    --------
    MultilabelThresholdCV : Learns the thresholds of a classifier on out-of-fold predictions.
    skdeep.inspection.ThresholdCurveDisplay : Plots scores against the threshold.

    Notes
    -----
    Thresholds lie midway between neighbouring scores, ``inf`` above the highest and ``-inf`` below the lowest. Where
    one number is chosen (all scopes but ``"per_label"``), the one that predicts the fewest labels is taken of those
    that serve equally well. Under ``"per_label"`` and ``"cardinality"`` a label without a positive is never predicted:
    its threshold is ``inf``.

    References
    ----------
    .. [1] Y. Yang, "A study of thresholding strategies for text categorization", SIGIR 2001.
    .. [2] W. Dinkelbach, "On nonlinear fractional programming", Management Science 13(7), 1967; I. Pillai, G. Fumera,
       F. Roli, "Threshold optimisation for multi-label classifiers", Pattern Recognition 46(7), 2013, has another
       way to the optimum of micro F-beta.
    .. [3] R.-E. Fan, C.-J. Lin, "A study on threshold selection for multi-label classification", technical report,
       National Taiwan University, 2007: cyclic optimisation.

    Examples
    --------
    >>> from skdeep.multilabel import optimal_thresholds
    >>> Y = [[1, 0], [1, 1], [0, 0]]
    >>> scores = [[0.9, 0.2], [0.5, 0.3], [0.4, 0.1]]
    >>> rule = optimal_thresholds(Y, scores, metric="f1_macro", scope="per_label")
    >>> rule.thresholds, rule.score
    (array([0.45, 0.25]), 1.0)
    >>> rule.predict([[0.6, 0.2]])
    array([[1, 0]])
    >>> optimal_thresholds(Y, scores, scope="rank").n_labels_per_row
    1
    """
    true, scores = check_scores(y_true, y_score)
    objective = _objective(metric, true.shape[1])
    thresholds, n_labels_per_row = None, None
    if scope == "rank":
        n_labels_per_row = _best_number(true, scores, objective)
        predicted = places_in_row(scores) < n_labels_per_row
    else:
        search = {"global": _best_threshold, "per_label": _best_of_each, "cardinality": _best_multiple}[scope]
        thresholds = np.full(scores.shape[1], search(true, scores, objective))
        predicted = scores >= thresholds
    return DecisionRule(thresholds, n_labels_per_row, objective.score(true, predicted))


def thresholds_of_known(
    y_true: Any, y_score: ArrayLike, known: NDArray[np.bool_], *, metric: str, otherwise: float
) -> tuple[DecisionRule, NDArray[np.intp]]:
    """Find a threshold for each label as :func:`optimal_thresholds` does, by some of the cells only.

    A cell that is not known counts as not true, and as the last to be predicted. A label with positives, but none among
    the known cells, gets the best global threshold.

    Parameters
    ----------
    y_true, y_score, metric
        As in :func:`optimal_thresholds`.
    known : ndarray of bool of shape (n_samples, n_labels)
    otherwise : float
        The global threshold if no label has a known positive.

    Returns
    -------
    rule : DecisionRule
        Its score is that of all cells.
    unlearnt : ndarray of int
        The labels with positives of which none is known.
    """
    true, scores = check_scores(y_true, y_score)
    objective = _objective(metric, true.shape[1])
    learnt, ranked = true & known, np.where(known, scores, -np.inf)
    thresholds = _best_of_each(learnt, ranked, objective)
    unlearnt = np.flatnonzero(true.any(axis=0) & ~learnt.any(axis=0))
    if len(unlearnt):
        thresholds[unlearnt] = _best_threshold(learnt, ranked, objective) if learnt.any() else otherwise
    return DecisionRule(thresholds, None, objective.score(true, scores >= thresholds)), unlearnt


@dataclass(frozen=True)
class _Objective:
    """A metric: its value for the counts of a row, of a label or of all cells, and what the mean runs over."""

    value: Value
    average: Average
    beta: float = 1.0  # Jaccard rises and falls with F1 of the same counts
    separable: bool = False  # whether the best threshold of a label is that of its own value

    def score(self, true: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
        """Value of predictions; NaN if it is a mean over no label at all."""
        axis = {"samples": 1, "micro": None, "macro": 0}[self.average]
        hits, n_predicted, n_true = (
            np.atleast_1d(cells.sum(axis=axis)) for cells in (true & predicted, predicted, true)
        )
        values = self.value(hits, n_predicted, n_true)
        if self.average == "macro":
            values = values[n_predicted + n_true > 0]
        return float(values.mean()) if len(values) else float("nan")


def _objective(metric: str, n_labels: int) -> _Objective:
    if metric == "subset_accuracy":
        return _Objective(_all_right, "samples")
    found = _RATIO.fullmatch(metric)
    if found is None:
        return _Objective(partial(_neg_hamming, n_labels=n_labels), "samples", separable=True)
    average: Average = found["average"]  # type: ignore[assignment]
    separable = average == "macro"
    if found["beta"] is None:
        return _Objective(_jaccard, average, separable=separable)
    beta = float(found["beta"])
    return _Objective(partial(_fbeta, beta=beta), average, beta, separable)


def _fbeta(hits: NDArray[Any], predicted: NDArray[Any], true: NDArray[Any], beta: float) -> Floats:
    return _divide((1 + beta**2) * hits, beta**2 * true + predicted)


def _jaccard(hits: NDArray[Any], predicted: NDArray[Any], true: NDArray[Any]) -> Floats:
    return _divide(hits, true + predicted - hits)


def _all_right(hits: NDArray[Any], predicted: NDArray[Any], true: NDArray[Any]) -> Floats:
    return ((hits == predicted) & (hits == true)).astype(np.float64)


def _neg_hamming(hits: NDArray[Any], predicted: NDArray[Any], true: NDArray[Any], n_labels: int) -> Floats:
    return (2 * hits - predicted - true) / n_labels


def _divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Quotients, 1 where the denominator is 0: nothing to be found, and nothing wrong."""
    return np.divide(numerator, denominator, out=np.ones(denominator.shape), where=denominator > 0)


class _Lines(NamedTuple):
    """The cells of each line (a row, a label, or all cells) from the highest score to the lowest.

    ``hits[i, k]`` is how many of the first k are true; ``ends[i, k]`` is whether a threshold can tell them from the
    others, which it cannot inside a tie.
    """

    order: NDArray[np.intp]
    scores: Floats
    hits: NDArray[np.int64]
    ends: NDArray[np.bool_]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many cells are predicted at each cut: 0 to all."""
        return np.arange(self.hits.shape[1])

    @property
    def n_true(self) -> NDArray[np.int64]:
        return self.hits[:, -1:]


def _sort(true: NDArray[np.bool_], scores: Floats) -> _Lines:
    order = np.argsort(-scores, axis=1)
    ordered = np.take_along_axis(scores, order, axis=1)
    hits = np.zeros((len(true), true.shape[1] + 1), dtype=np.int64)
    np.cumsum(np.take_along_axis(true, order, axis=1), axis=1, out=hits[:, 1:])
    return _Lines(order, ordered, hits, _ends(ordered))


def _ends(ordered: Floats) -> NDArray[np.bool_]:
    ends = np.ones((len(ordered), ordered.shape[1] + 1), dtype=np.bool_)
    ends[:, 1:-1] = ordered[:, :-1] != ordered[:, 1:]
    return ends


def _best_cuts(values: Floats, ends: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many cells each line predicts at its best: the fewest, where several numbers serve equally well."""
    allowed = np.where(ends, values, -np.inf)
    return np.argmax(allowed >= allowed.max(axis=1, keepdims=True) - _NEAR, axis=1)


def _thresholds_at(ordered: Floats, cuts: NDArray[np.intp]) -> Floats:
    """Thresholds under which each line predicts as many of its cells, which are ordered from the highest score."""
    lines = np.arange(len(ordered))
    bounded = np.pad(ordered, ((0, 0), (1, 1)), constant_values=((np.inf, np.inf), (np.inf, -np.inf)))
    lowest_in, highest_out = bounded[lines, cuts], bounded[lines, cuts + 1]
    middle = lowest_in / 2 + highest_out / 2
    # between neighbouring floats the middle may be rounded down
    return np.where((middle > highest_out) | np.isneginf(highest_out), middle, lowest_in)


def _curve(true: NDArray[np.bool_], scores: Floats, objective: _Objective) -> tuple[Floats, Floats]:
    """All cells' scores from the highest on, and the metric when the first 0, 1, ... of them are predicted."""
    if objective.average == "macro":
        true, scores = true.T, scores.T
    elif objective.average == "micro":
        true, scores = true.reshape(1, -1), scores.reshape(1, -1)
    lines = _sort(true, scores)
    values = objective.value(lines.hits, lines.counts, lines.n_true)
    if objective.average == "micro":
        return lines.scores[0], values[0]
    order = np.argsort(-lines.scores, axis=None)
    ordered = lines.scores.ravel()[order]
    if objective.average == "samples":
        return ordered, _running_total(values, order) / len(values)
    counted = lines.n_true + lines.counts > 0
    values[~counted] = 0
    return ordered, _divide(_running_total(values, order), _running_total(counted.astype(np.float64), order))


def _running_total(values: Floats, order: NDArray[np.intp]) -> Floats:
    """Sum over the lines of ``values[i, k_i]`` while the cells, in this order, raise the k of their lines."""
    changes = np.diff(values, axis=1).ravel()[order]
    return np.cumsum(np.concatenate([[values[:, 0].sum()], changes]))


def _best_threshold(true: NDArray[np.bool_], scores: Floats, objective: _Objective) -> float:
    ordered, values = (line[np.newaxis] for line in _curve(true, scores, objective))
    return float(_thresholds_at(ordered, _best_cuts(values, _ends(ordered)))[0])


def _best_number(true: NDArray[np.bool_], scores: Floats, objective: _Objective) -> int:
    """How many labels to predict for each row: a global threshold on the places."""
    threshold = _best_threshold(true, -places_in_row(scores).astype(np.float64), objective)
    return int(np.clip(np.floor(1 - threshold), 0, scores.shape[1]))


def _best_multiple(true: NDArray[np.bool_], scores: Floats, objective: _Objective) -> Floats:
    """Thresholds under which each label is predicted for the same multiple of the rows that have it.

    What a row's score in a label must reach is, on one scale for all labels, how many rows reach that score, over how
    many have the label. So a global threshold on that scale is what is sought.
    """
    thresholds, seen = np.full(scores.shape[1], np.inf), true.any(axis=0)
    if not seen.any():
        return thresholds
    labels = _sort(true.T[seen], scores.T[seen])
    n_rows = len(scores)
    end_of_tie = np.where(labels.ends[:, 1:], labels.counts[1:], n_rows)
    n_reaching = np.minimum.accumulate(end_of_tie[:, ::-1], axis=1)[:, ::-1]
    multiples = n_reaching / labels.n_true
    by_row = np.empty_like(multiples)
    np.put_along_axis(by_row, labels.order, multiples, axis=1)
    threshold = _best_threshold(true[:, seen], -by_row.T, objective)
    thresholds[seen] = _thresholds_at(labels.scores, (-multiples >= threshold).sum(axis=1))
    return thresholds


def _best_of_each(true: NDArray[np.bool_], scores: Floats, objective: _Objective) -> Floats:
    """A threshold for each label."""
    thresholds, seen = np.full(scores.shape[1], np.inf), true.any(axis=0)
    if not seen.any():
        return thresholds
    labels = _sort(true.T[seen], scores.T[seen])
    if objective.separable:
        cuts = _best_cuts(objective.value(labels.hits, labels.counts, labels.n_true), labels.ends)
    elif objective.average == "micro":
        cuts = _maximise_ratio(labels, objective.beta)
    else:
        start = _best_threshold(true, scores, objective)
        cuts = _ascend(true.T[seen], labels, (labels.scores >= start).sum(axis=1), objective.value)
    thresholds[seen] = _thresholds_at(labels.scores, cuts)
    return thresholds


def _maximise_ratio(labels: _Lines, beta: float) -> NDArray[np.intp]:
    """Cuts of the highest F-beta of all cells, by Dinkelbach's iteration.

    F-beta is a ratio of two sums over the labels. It reaches ``ratio`` where numerator less ``ratio`` times denominator
    reaches 0; that difference is again a sum over the labels, so that its best cuts are found label by label. They give
    a higher ratio, until none is higher.
    """
    n_labels, n_rows = labels.scores.shape
    best, cuts = 0.0, np.zeros(n_labels, dtype=np.intp)
    while True:
        excess = ((1 + beta**2) * labels.hits - best * labels.counts) / n_rows
        found = _best_cuts(excess, labels.ends)
        hits = labels.hits[np.arange(n_labels), found].sum()
        ratio = float((1 + beta**2) * hits / (beta**2 * labels.n_true.sum() + found.sum()))
        if ratio <= best:
            return cuts
        best, cuts = ratio, found


def _ascend(true: NDArray[np.bool_], labels: _Lines, cuts: NDArray[np.intp], value: Value) -> NDArray[np.intp]:
    """Set each label's cut to its best in turn, the others fixed, until none moves; ``true`` has a line a label."""
    n_labels, n_rows = true.shape
    predicted = np.zeros_like(true)
    for label, cut in enumerate(cuts):
        predicted[label, labels.order[label, :cut]] = True
    hits, n_predicted, n_true = (cells.sum(axis=0) for cells in (true & predicted, predicted, true))
    n_settled = 0
    for label in cycle(range(n_labels)):
        has, chosen, order = true[label], predicted[label], labels.order[label]
        hits -= has & chosen
        n_predicted -= chosen
        change = value(hits + has, n_predicted + 1, n_true) - value(hits, n_predicted, n_true)
        gain = np.concatenate([[0], np.cumsum(change[order])]) / n_rows
        cut = _best_cuts(gain[np.newaxis], labels.ends[[label]])[0]
        if gain[cut] > gain[cuts[label]] + _NEAR:
            cuts[label], n_settled = cut, 0
            chosen[:] = False
            chosen[order[:cut]] = True
        else:
            n_settled += 1
        hits += has & chosen
        n_predicted += chosen
        if n_settled == n_labels:
            break
    return cuts
