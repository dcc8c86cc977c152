"""Ensembles of multi-label classifiers that learn from different rows, or from other random states."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble._base import _set_random_states
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.parallel import Parallel, delayed

from skdeep.multilabel._classifier_chain import ClassifierChain
from skdeep.multilabel._rows import check_rows_can_be_picked, pick_rows, rows_to_pick_from
from skdeep.multilabel._voting import VotingEnsemble


class MultilabelBaggingClassifier(VotingEnsemble):
    """Clones of a multi-label classifier that learn from random rows each, and vote.

    Every parameter of the base that is called ``random_state`` differs from clone to clone. With ``bootstrap=False``
    and ``max_samples=1.0`` that is all that differs: an ensemble of seeds.

    Parameters
    ----------
    estimator : multi-label classifier
        The base, for instance :class:`ClassifierChain` or :class:`~skdeep.TabularClassifier`.
    n_estimators : int, default=10
        Number of clones.
    max_samples : float, default=1.0
        Rows that each clone learns from, as a share of all.
    bootstrap : bool, default=True
        Whether rows are drawn with replacement.
    voting : {"auto", "soft", "hard"}, default="auto"
        ``"soft"`` averages probabilities, ``"hard"`` predictions; ``"auto"`` is soft if the base has probabilities.
        Only hard votes know of thresholds that the clones have learnt.
    random_state : int, RandomState instance or None, default=None
        Draws the rows and the random states of the clones.
    n_jobs : int, default=None
        How many clones are fitted, or asked for predictions, at the same time. None is 1 unless in a
        ``joblib.parallel_config`` context, -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    estimators_ : list of classifiers
        The fitted clones.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    EnsembleOfClassifierChains : The same of chains with random orders.

    References
    ----------
    L. Breiman, "Bagging predictors", Machine Learning 24(2), 1996.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skdeep.multilabel import MLkNN, MultilabelBaggingClassifier
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> MultilabelBaggingClassifier(MLkNN(), random_state=0).fit(X, Y).predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **VotingEnsemble._parameter_constraints,
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [Interval(Real, 0, 1, closed="right")],
        "bootstrap": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        n_estimators: int = 10,
        max_samples: float = 1.0,
        bootstrap: bool = True,
        voting: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.bootstrap = bootstrap
        self.voting = voting
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit each clone to its rows.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            A table, paths, images: whatever the base takes and rows can be picked from.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each clone, with the values of its rows where there is one for each row of
            ``X``; with metadata routing enabled, what the base requests.

        Returns
        -------
        self : object
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
        random_state = check_random_state(self.random_state)
        members, rows = [], []
        for _ in range(self.n_estimators):
            members.append(self._make_member())
            _set_random_states(members[-1], random_state)
            rows.append(self._draw_rows(len(indicator), random_state))
        # a DataFrame tells the members the names of the labels
        targets = y if hasattr(y, "iloc") else indicator.astype(np.int64)
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_to_rows)(member, X, targets, drawn, self._params_of_members(fit_params, base_params))
            for member, drawn in zip(members, rows, strict=True)
        )
        self._note_fit(label_names, self.estimators_)
        return self

    def _make_member(self) -> Any:
        return clone(self.estimator)

    def _params_of_members(self, fit_params: dict[str, Any], base_params: dict[str, Any]) -> dict[str, Any]:
        """What each clone is given, of what ``fit`` was given and of what the base requests of it."""
        return base_params

    def _draw_rows(self, n_samples: int, random_state: np.random.RandomState) -> NDArray[np.intp] | None:
        """Rows in ascending order; None is all of them, untouched."""
        n_drawn = max(1, round(self.max_samples * n_samples))
        if self.bootstrap:
            return np.sort(random_state.randint(n_samples, size=n_drawn))
        return None if n_drawn == n_samples else np.sort(random_state.permutation(n_samples)[:n_drawn])


class EnsembleOfClassifierChains(MultilabelBaggingClassifier):
    """Classifier chains of random orders that learn from random rows each, and vote (ECC).

    Parameters
    ----------
    estimator : classifier
        The base of each link, as in :class:`ClassifierChain`.
    n_estimators : int, default=10
        Number of chains.
    max_samples : float, default=1.0
        Rows that each chain learns from, as a share of all.
    bootstrap : bool, default=True
        Whether rows are drawn with replacement.
    voting : {"auto", "soft", "hard"}, default="auto"
        ``"hard"`` averages predictions, as the paper does; ``"soft"`` averages probabilities; ``"auto"`` is soft if the
        base has them.
    random_state : int, RandomState instance or None, default=None
        Draws the rows, the orders, and the random states of the links.
    n_jobs : int, default=None
        How many chains are fitted, or asked for predictions, at the same time. None is 1 unless in a
        ``joblib.parallel_config`` context, -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    estimators_ : list of ClassifierChain
        The fitted chains.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    ClassifierChain : One chain.
    MultilabelBaggingClassifier : Any multi-label classifier as the member, such as a chain that is searched.
    MultilabelThresholdCV : ``scope="cardinality"`` sets the threshold as the paper does.

    References
    ----------
    J. Read, B. Pfahringer, G. Holmes, E. Frank, "Classifier chains for multi-label classification", Machine Learning
    85(3), 2011, section 4.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import EnsembleOfClassifierChains
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> ensemble = EnsembleOfClassifierChains(LogisticRegression(max_iter=1000), random_state=0).fit(X, Y)
    >>> ensemble.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 1]])
    >>> [chain.order_.tolist() for chain in ensemble.estimators_[:2]]
    [[0, 2, 1], [1, 0, 2]]
    """

    def _make_member(self) -> ClassifierChain:
        return ClassifierChain(clone(self.estimator), order="random")

    def _params_of_members(self, fit_params: dict[str, Any], base_params: dict[str, Any]) -> dict[str, Any]:
        return fit_params  # the chain asks its links itself


def _fit_to_rows(member: Any, X: Any, y: Any, rows: NDArray[np.intp] | None, fit_params: dict[str, Any]) -> Any:
    if rows is None:
        return member.fit(X, y, **fit_params)
    picked, params = pick_rows(X, rows, fit_params)
    return member.fit(picked, _safe_indexing(y, rows), **params)
