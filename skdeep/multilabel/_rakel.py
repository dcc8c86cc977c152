"""RAkEL: label powersets of small random label sets."""

from __future__ import annotations

from math import comb
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble._base import _set_random_states
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.parallel import Parallel, delayed

from skdeep.multilabel._label_powerset import LabelPowerset
from skdeep.multilabel._voting import VotingEnsemble


class RAkEL(VotingEnsemble):
    """Random k-labelsets: a label powerset classifier for each of some small sets of labels, which vote.

    Parameters
    ----------
    estimator : classifier
        The multiclass base; a clone of it is fitted for each labelset. It gets ``X`` as it is.
    labelset_size : int, default=3
        Labels in a labelset, k; all labels where there are fewer.
    n_labelsets : int, default=None
        How many labelsets if they overlap; None is twice as many as there are labels. There are never more than there
        are different ones.
    overlapping : bool, default=True
        Whether labelsets are drawn with labels in common (RAkELo), or divide the labels among themselves (RAkELd), the
        last of them with fewer labels where the division leaves a rest.
    voting : {"auto", "soft", "hard"}, default="auto"
        ``"hard"`` averages predictions, as the paper does; ``"soft"`` averages probabilities; ``"auto"`` is soft if the
        base has them.
    random_state : int, RandomState instance or None, default=None
        Draws the labelsets, and the random states of the clones.
    n_jobs : int, default=None
        How many labelsets are fitted, or asked for predictions, at the same time. None is 1 unless in a
        ``joblib.parallel_config`` context, -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    labelsets_ : list of ndarray of int
        Positions of the labels in each labelset, in ascending order.
    estimators_ : list of LabelPowerset
        The fitted label powerset of each labelset.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    LabelPowerset : One set of all labels.

    Notes
    -----
    The paper draws overlapping labelsets from all of them alike, and a label may be in none. Here the first ones are a
    random division of the labels, so that each label is voted on.

    References
    ----------
    G. Tsoumakas, I. Katakis, I. Vlahavas, "Random k-labelsets for multilabel classification", IEEE Transactions on
    Knowledge and Data Engineering 23(7), 2011, sections 3.1 and 3.2.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import RAkEL
    >>> X, Y = make_multilabel_classification(n_classes=4, random_state=0)
    >>> rakel = RAkEL(LogisticRegression(max_iter=1000), labelset_size=2, overlapping=False, random_state=0).fit(X, Y)
    >>> [labels.tolist() for labels in rakel.labelsets_]
    [[2, 3], [0, 1]]
    >>> rakel.predict(X[:2]).shape
    (2, 4)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **VotingEnsemble._parameter_constraints,
        "labelset_size": [Interval(Integral, 1, None, closed="left")],
        "n_labelsets": [Interval(Integral, 1, None, closed="left"), None],
        "overlapping": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        labelset_size: int = 3,
        n_labelsets: int | None = None,
        overlapping: bool = True,
        voting: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.labelset_size = labelset_size
        self.n_labelsets = n_labelsets
        self.overlapping = overlapping
        self.voting = voting
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Draw the labelsets, and fit a label powerset to each.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            Handed on to the base untouched.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each base, for instance ``sample_weight``; with metadata routing enabled, what
            the base requests.

        Returns
        -------
        self : RAkEL
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, if the base is a regressor or lacks the
            ``predict_proba`` that soft voting needs, or if ``n_labelsets`` are too few to hold each label once.
        """
        indicator, label_names, _ = self._check_fit(X, y, fit_params)
        self._check_voting()
        random_state = check_random_state(self.random_state)
        self.labelsets_ = self._draw_labelsets(indicator.shape[1], random_state)
        members = [LabelPowerset(clone(self.estimator)) for _ in self.labelsets_]
        for member in members:
            _set_random_states(member, random_state)
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(member.fit)(X, indicator[:, labels], **fit_params)
            for member, labels in zip(members, self.labelsets_, strict=True)
        )
        # a labelset whose labels never vary has seen no features
        self._note_fit(label_names, [member.estimators_[0] for member in self.estimators_])
        return self

    def _draw_labelsets(self, n_labels: int, random_state: np.random.RandomState) -> list[NDArray[np.intp]]:
        size = min(self.labelset_size, n_labels)
        shuffled = random_state.permutation(n_labels)
        divided = [shuffled[start : start + size] for start in range(0, n_labels, size)]
        if not self.overlapping:
            return [np.sort(labels) for labels in divided]
        wanted = min(2 * n_labels if self.n_labelsets is None else self.n_labelsets, comb(n_labels, size))
        if wanted < len(divided):
            raise ValueError(
                f"n_labelsets={self.n_labelsets} labelsets of {size} labels cannot hold all {n_labels} labels: "
                f"give at least {len(divided)}, or a larger labelset_size."
            )
        missing = size - len(divided[-1])
        others = shuffled[: n_labels - len(divided[-1])]
        divided[-1] = np.append(divided[-1], random_state.permutation(others)[:missing])
        drawn = {tuple(np.sort(labels).tolist()): None for labels in divided}
        while len(drawn) < wanted:
            drawn.setdefault(tuple(np.sort(random_state.permutation(n_labels)[:size]).tolist()))
        return [np.array(labels, dtype=np.intp) for labels in drawn]

    def _labels_voted_on(self) -> list[NDArray[np.intp]]:
        return self.labelsets_
