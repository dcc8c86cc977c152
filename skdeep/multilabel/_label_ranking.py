"""Calibrated label ranking: labels meet in pairs, and each of them meets a calibration label."""

from __future__ import annotations

from itertools import combinations
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skdeep.multilabel._base import fit_label, label_probability, predict_label
from skdeep.multilabel._rows import check_rows_can_be_picked, pick_rows, rows_to_pick_from
from skdeep.multilabel._voting import VotingEnsemble


class CalibratedLabelRanking(VotingEnsemble):
    """Pairwise comparison of labels, among them a calibration label between the relevant and the others (CLR).

    For each two labels a binary classifier learns, from the rows that have one of them only, which one that is. The
    calibration label comes after the labels that a row has and before those that it has not, so that its classifiers
    are those of :class:`BinaryRelevance`. All classifiers vote for one of their two labels; the labels with at least as
    many votes as the calibration label are predicted.

    Parameters
    ----------
    estimator : classifier
        The binary base; a clone of it is fitted for each two labels, and one for each label: ``n_labels * (n_labels +
        1) / 2``. It gets ``X`` as it is, or rows picked from it.
    voting : {"auto", "soft", "hard"}, default="auto"
        ``"hard"`` gives a vote to one of the two labels, as the paper does; ``"soft"`` divides it by their
        probabilities; ``"auto"`` is soft if the base has them.
    n_jobs : int, default=None
        How many classifiers are fitted, or asked for predictions, at the same time. None is 1 unless in a
        ``joblib.parallel_config`` context, -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    pairs_ : ndarray of int of shape (n_pairs, 2)
        The two labels that each classifier compares; ``n_labels`` is the calibration label. Two labels that all rows
        have both or neither of are no pair; each is given half a vote.
    estimators_ : list of classifiers
        The fitted base of each pair, whose class 1 is the first label. Where all rows agree it is a
        :class:`~sklearn.dummy.DummyClassifier`.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    BinaryRelevance : The comparisons with the calibration label alone.
    MultilabelCalibratedClassifierCV : Makes frequencies of its ``predict_proba``.

    Notes
    -----
    ``predict_proba`` is a rank, not a frequency: of v votes for a label and c for the calibration label it makes
    ``(1 + (v - c) / n_labels) / 2``, which orders the labels of a row by their votes, and is 1/2 where the label has as
    many as the calibration label. With one label and soft votes it is the probability of the base. A label that has one
    value only in training has probability 0 or 1.

    References
    ----------
    J. Fürnkranz, E. Hüllermeier, E. Loza Mencía, K. Brinker, "Multilabel classification via calibrated label ranking",
    Machine Learning 73(2), 2008.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import CalibratedLabelRanking
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> ranking = CalibratedLabelRanking(LogisticRegression(max_iter=1000)).fit(X, Y)
    >>> ranking.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    >>> ranking.pairs_.tolist()
    [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **VotingEnsemble._parameter_constraints,
        "n_jobs": [Integral, None],
    }

    def __init__(self, estimator: Any, *, voting: str = "auto", n_jobs: int | None = None) -> None:
        self.estimator = estimator
        self.voting = voting
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit one clone of the base to each two labels, and one to each label.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            A table, paths, images: whatever the base takes and rows can be picked from.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each base, with the values of its rows where there is one for each row of ``X``;
            with metadata routing enabled, what the base requests.

        Returns
        -------
        self : CalibratedLabelRanking
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, or if the base is a regressor or lacks
            the ``predict_proba`` that soft voting needs or takes a precomputed kernel, of which no rows can be picked.
        """
        indicator, label_names, base_params = self._check_fit(X, y, fit_params)
        self._check_voting()
        check_rows_can_be_picked(self)
        X = rows_to_pick_from(X)
        labels = indicator.T.astype(np.int64)
        self.pairs_ = _pairs_that_differ(labels)
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_pair)(clone(self.estimator), X, labels, first, second, base_params)
            for first, second in self.pairs_
        )
        self._certain = {label: float(values[0]) for label, values in enumerate(labels) if (values == values[0]).all()}
        self._note_fit(label_names, self.estimators_)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Compute how far each label is above the calibration label, from 0 over 1/2 to 1.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
            Ranks, not frequencies; see the notes of the class.
        """
        check_is_fitted(self, "estimators_")
        n_labels = len(self.classes_)
        votes = self._votes(X)
        ranks = np.clip((1 + (votes[:, :-1] - votes[:, -1:]) / n_labels) / 2, 0, 1)
        for label, value in self._certain.items():
            ranks[:, label] = value
        return ranks

    def _votes(self, X: Any) -> NDArray[np.float64]:
        """Votes for each label and, last, for the calibration label; shape (n_samples, n_labels + 1)."""
        ask = label_probability if self._votes_softly() else predict_label
        for_first = Parallel(n_jobs=self.n_jobs)(delayed(ask)(fitted, X) for fitted in self.estimators_)
        n_labels = len(self.classes_)
        undecided = n_labels - np.bincount(self.pairs_.ravel(), minlength=n_labels + 1)
        votes = np.tile(undecided / 2, (len(for_first[0]), 1))
        for (first, second), share in zip(self.pairs_, for_first, strict=True):
            votes[:, first] += share
            votes[:, second] += 1 - share
        return votes


def _pairs_that_differ(labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """Pairs of labels, of which some row has one only, and each label with the calibration label."""
    n_labels = len(labels)
    pairs = combinations(range(n_labels + 1), 2)
    kept = [pair for pair in pairs if pair[1] == n_labels or (labels[pair[0]] != labels[pair[1]]).any()]
    return np.array(kept, dtype=np.intp)


def _fit_pair(
    estimator: Any, X: Any, labels: NDArray[np.int64], first: int, second: int, fit_params: dict[str, Any]
) -> Any:
    """Fit a base to the rows that have the first or the second label; all are told from the calibration label."""
    if second == len(labels):
        return fit_label(estimator, X, labels[first], fit_params)
    rows = np.flatnonzero(labels[first] != labels[second])
    X, fit_params = pick_rows(X, rows, fit_params)
    return fit_label(estimator, X, labels[first][rows], fit_params)
