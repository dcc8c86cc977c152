"""Pruned sets: a label powerset without the rare label sets, alone and as an ensemble."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions

from skdeep.multilabel._bagging import MultilabelBaggingClassifier
from skdeep.multilabel._label_powerset import LabelPowerset
from skdeep.multilabel._rows import check_rows_can_be_picked, pick_rows, rows_to_pick_from

_PRUNING: dict[str, list[Any]] = {
    "min_count": [Interval(Integral, 1, None, closed="left")],
    "strategy": [StrOptions({"A", "B"}), None],
    "b": [Interval(Integral, 1, None, closed="left")],
}


class PrunedSets(LabelPowerset):
    """Label powerset of the frequent label sets only (PS).

    A row whose label set is rare comes back with frequent subsets of it, once for each of them; so the base has fewer
    classes to learn, and more rows of each.

    Parameters
    ----------
    estimator : classifier
        The multiclass base; a clone of it is fitted. It gets ``X`` as it is, or rows picked from it.
    min_count : int, default=2
        How many rows must have a label set for it to stay; 1 keeps all sets, as :class:`LabelPowerset` does.
    strategy : {"A", "B"} or None, default="A"
        With which frequent subsets a row of a rare label set comes back: ``"A"`` the first ``b`` of them, ranked by how
        many labels they hold and then by how many rows have them; ``"B"`` all that hold more than ``b`` labels; None
        with none, so that it is left out. Subsets without a label never count.
    b : int, default=2
        The number that ``strategy`` speaks of.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    label_sets_ : ndarray of int of shape (n_sets, n_labels)
        The frequent label sets; class c of the base is row c.
    estimators_ : list with one classifier
        The fitted base. If there is one frequent label set only it is a :class:`~sklearn.dummy.DummyClassifier`.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    LabelPowerset : Keeps all label sets.
    EnsembleOfPrunedSets : Many of them vote, so that other label sets are predicted too.

    Notes
    -----
    A label that is in rare sets only is never predicted. Sample weights go with each copy of their row; they do not
    count for ``min_count``. With ``strategy=None`` it is the pruned problem transformation (PPT).

    References
    ----------
    J. Read, B. Pfahringer, G. Holmes, "Multi-label classification using ensembles of pruned sets", ICDM 2008.
    ``min_count`` is one more than the p of the Java library Mulan, which prunes what occurs p times.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import LabelPowerset, PrunedSets
    >>> X, Y = make_multilabel_classification(n_classes=5, random_state=0)
    >>> pruned = PrunedSets(LogisticRegression(max_iter=1000), min_count=4).fit(X, Y)
    >>> pruned.predict(X[:2])
    array([[0, 0, 1, 0, 1],
           [0, 0, 1, 0, 0]])
    >>> len(LabelPowerset(LogisticRegression(max_iter=1000)).fit(X, Y).label_sets_), len(pruned.label_sets_)
    (31, 10)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**LabelPowerset._parameter_constraints, **_PRUNING}

    def __init__(self, estimator: Any, *, min_count: int = 2, strategy: str | None = "A", b: int = 2) -> None:
        self.estimator = estimator
        self.min_count = min_count
        self.strategy = strategy
        self.b = b

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit a clone of the base to the frequent label sets.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            A table, paths, images: whatever the base takes and rows can be picked from.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of the base, with the values of its rows where there is one for each row of ``X``;
            with metadata routing enabled, what the base requests.

        Returns
        -------
        self : PrunedSets
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, if no label set occurs ``min_count``
            times, or if the base is a regressor or takes a precomputed kernel, of which no rows can be picked.
        """
        indicator, label_names, base_params = self._check_fit(X, y, fit_params)
        check_rows_can_be_picked(self)
        rows, label_sets = self._prune(indicator)
        if not np.array_equal(rows, np.arange(len(indicator))):
            X, base_params = pick_rows(rows_to_pick_from(X), rows, base_params)
        return self._learn_sets(X, label_sets, label_names, base_params)

    def _prune(self, indicator: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
        """Rows to learn from, some of them several times, some never; and the label set of each."""
        label_sets, codes, counts = np.unique(indicator, axis=0, return_inverse=True, return_counts=True)
        frequent = np.flatnonzero(counts >= self.min_count)
        if len(frequent) == 0:
            raise ValueError(
                f"min_count={self.min_count} prunes every label set: of n_samples={len(indicator)} rows at most "
                f"{counts.max()} have the same labels. Lower min_count or give more rows."
            )
        instead = [
            np.array([code]) if counts[code] >= self.min_count else self._subsets(label_sets, counts, frequent, code)
            for code in range(len(label_sets))
        ]
        rows = np.repeat(np.arange(len(indicator)), [len(instead[code]) for code in codes])
        return rows, label_sets[np.concatenate([instead[code] for code in codes])]

    def _subsets(
        self, label_sets: NDArray[np.uint8], counts: NDArray[np.intp], frequent: NDArray[np.intp], code: int
    ) -> NDArray[np.intp]:
        """Frequent label sets that rows of a rare one come back with."""
        if self.strategy is None:
            return frequent[:0]
        sizes = label_sets[frequent].sum(axis=1, dtype=np.intp)
        inside = (label_sets[frequent] <= label_sets[code]).all(axis=1)
        kept = inside & (sizes > (self.b if self.strategy == "B" else 0))
        ranked = frequent[kept][np.lexsort((-counts[frequent[kept]], -sizes[kept]))]
        return ranked[: self.b] if self.strategy == "A" else ranked


class EnsembleOfPrunedSets(MultilabelBaggingClassifier):
    """Pruned sets that learn from random rows each, and vote (EPS).

    Label sets that no member knows can win the vote.

    Parameters
    ----------
    estimator : classifier
        The multiclass base, as in :class:`PrunedSets`.
    min_count : int, default=2
        How many of the rows that a member learns from must have a label set for it to stay.
    strategy : {"A", "B"} or None, default="A"
        With which frequent subsets a row of a rare label set comes back, as in :class:`PrunedSets`.
    b : int, default=2
        The number that ``strategy`` speaks of, as in :class:`PrunedSets`.
    n_estimators : int, default=10
        Number of members.
    max_samples : float, default=0.63
        Rows that each member learns from, as a share of all.
    bootstrap : bool, default=False
        Whether rows are drawn with replacement.
    voting : {"auto", "soft", "hard"}, default="auto"
        ``"hard"`` averages predictions, as the paper does; ``"soft"`` averages probabilities; ``"auto"`` is soft if the
        base has them.
    random_state : int, RandomState instance or None, default=None
        Draws the rows, and the random states of the members.
    n_jobs : int, default=None
        How many members are fitted, or asked for predictions, at the same time. None is 1 unless in a
        ``joblib.parallel_config`` context, -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    estimators_ : list of PrunedSets
        The fitted members.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    PrunedSets : One member.
    RAkEL : Label powersets of some labels each vote.
    MultilabelThresholdCV : Sets the threshold of the votes, which is 1/2 here and a parameter of the paper.

    References
    ----------
    J. Read, B. Pfahringer, G. Holmes, "Multi-label classification using ensembles of pruned sets", ICDM 2008.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import EnsembleOfPrunedSets
    >>> X, Y = make_multilabel_classification(n_classes=5, random_state=0)
    >>> ensemble = EnsembleOfPrunedSets(LogisticRegression(max_iter=1000), random_state=0).fit(X, Y)
    >>> ensemble.predict(X[:2])
    array([[0, 0, 1, 1, 1],
           [0, 0, 1, 0, 0]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MultilabelBaggingClassifier._parameter_constraints,
        **_PRUNING,
    }

    def __init__(
        self,
        estimator: Any,
        *,
        min_count: int = 2,
        strategy: str | None = "A",
        b: int = 2,
        n_estimators: int = 10,
        max_samples: float = 0.63,
        bootstrap: bool = False,
        voting: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            estimator,
            n_estimators=n_estimators,
            max_samples=max_samples,
            bootstrap=bootstrap,
            voting=voting,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        self.min_count = min_count
        self.strategy = strategy
        self.b = b

    def _make_member(self) -> PrunedSets:
        return PrunedSets(clone(self.estimator), min_count=self.min_count, strategy=self.strategy, b=self.b)

    def _params_of_members(self, fit_params: dict[str, Any], base_params: dict[str, Any]) -> dict[str, Any]:
        return fit_params  # the member asks its base itself
