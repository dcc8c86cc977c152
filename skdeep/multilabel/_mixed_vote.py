"""A vote of different multi-label classifiers."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble._base import _BaseHeterogeneousEnsemble
from sklearn.utils import get_tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skdeep._validation import check_indicator, indicator_classes
from skdeep.multilabel._base import DecidesByProbability, note_features, set_multilabel_tags
from skdeep.multilabel._voting import vote


class MultilabelVotingClassifier(DecidesByProbability, ClassifierMixin, _BaseHeterogeneousEnsemble):
    """Different multi-label classifiers that learn the same labels, and vote.

    :class:`~sklearn.ensemble.VotingClassifier` for label indicators.

    Parameters
    ----------
    estimators : list of (str, multi-label classifier)
        Clones of them are fitted. Each is reached in a search by its name; ``"drop"`` instead of one leaves it out.
    voting : {"soft", "hard"}, default="soft"
        Whether probabilities are averaged, or predictions. Only hard votes know of thresholds that a classifier has
        learnt; around the vote, :class:`MultilabelThresholdCV` learns them for it.
    weights : array-like of shape (n_estimators,), default=None
        What the votes count; None is alike.
    n_jobs : int, default=None
        How many classifiers are fitted, or asked for predictions, at the same time. None is 1 unless in a
        ``joblib.parallel_config`` context, -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    estimators_ : list of classifiers
        The fitted ones.
    n_features_in_ : int
        Number of features, if the first classifier counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the first classifier knows them.

    See Also
    --------
    MultilabelBaggingClassifier : One classifier many times, on random rows.

    References
    ----------
    L. I. Kuncheva, "Combining Pattern Classifiers", second edition, 2014, chapters 4 and 5: votes and averages.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skdeep.multilabel import BinaryRelevance, MLkNN, MultilabelVotingClassifier
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> both = MultilabelVotingClassifier([("bayes", BinaryRelevance(GaussianNB())), ("neighbors", MLkNN())])
    >>> both.fit(X, Y).predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimators": [list],
        "voting": [StrOptions({"soft", "hard"})],
        "weights": ["array-like", None],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        voting: str = "soft",
        weights: ArrayLike | None = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(estimators=estimators)
        self.voting = voting
        self.weights = weights
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit a clone of each classifier.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            Handed on untouched.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each classifier; with metadata routing enabled, what each requests.

        Returns
        -------
        self : MultilabelVotingClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, if ``estimators`` is no list of names and
            classifiers, if one of them lacks the ``predict_proba`` that soft voting needs, or if there are not as many
            ``weights``.
        """
        self._validate_params()
        indicator, label_names = check_indicator(X, y)
        named = self._voters()
        self._check_votes(named)
        # a DataFrame tells the classifiers the names of the labels
        target = y if hasattr(y, "columns") else indicator.astype(np.int64)
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **fit_params)
            params = [routed[name]["fit"] for name, _ in named]
        else:
            params = [fit_params] * len(named)
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(clone(voter).fit)(X, target, **own) for (_, voter), own in zip(named, params, strict=True)
        )
        self.classes_ = indicator_classes(len(label_names))
        self.label_names_ = label_names
        note_features(self, self.estimators_[0])
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each label: the weighted mean of the votes on it.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        check_is_fitted(self, "estimators_")
        ballots = Parallel(n_jobs=self.n_jobs)(
            delayed(vote)(voter, X, len(self.classes_), self.voting == "soft") for voter in self.estimators_
        )
        mean = np.average(ballots, axis=0, weights=self._weights())
        # weights whose sum is rounded must not decide a tie
        return np.clip(np.where(np.isclose(mean, 0.5, rtol=0, atol=1e-12), 0.5, mean), 0, 1)

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes to which classifier.

        Returns
        -------
        routing : MetadataRouter
            What ``fit`` is given reaches the ``fit`` of each classifier as it has requested it.
        """
        router = MetadataRouter(owner=self)
        for name, voter in self._voters():
            router.add(**{name: voter}, method_mapping=MethodMapping().add(caller="fit", callee="fit"))
        return router

    def _voters(self) -> list[tuple[str, Any]]:
        """Names and classifiers that are not dropped, checked."""
        names, voters = self._validate_estimators()
        return [(name, voter) for name, voter in zip(names, voters, strict=True) if not isinstance(voter, str)]

    def _check_votes(self, named: list[tuple[str, Any]]) -> None:
        for name, voter in named:
            if self.voting == "soft" and not hasattr(voter, "predict_proba"):
                raise ValueError(f"voting='soft' needs predict_proba, which {name!r}, {voter!r}, lacks.")
        if self.weights is not None and np.shape(self.weights) != (len(self.estimators),):
            raise ValueError(
                f"weights must hold one number for each of the {len(self.estimators)} estimators, got shape "
                f"{np.shape(self.weights)}."
            )

    def _weights(self) -> NDArray[np.float64] | None:
        if self.weights is None:
            return None
        kept = [not isinstance(voter, str) for _, voter in self.estimators]
        return np.asarray(self.weights, dtype=np.float64)[kept]

    def __sklearn_tags__(self) -> Any:
        tags = set_multilabel_tags(super().__sklearn_tags__())
        voters = [get_tags(voter).input_tags for _, voter in self.estimators if hasattr(voter, "fit")]
        tags.input_tags.sparse = all(input_tags.sparse for input_tags in voters)
        tags.input_tags.allow_nan = all(input_tags.allow_nan for input_tags in voters)
        return tags
