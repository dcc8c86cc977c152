"""HOMER: a hierarchy of multi-label classifiers over clusters of labels."""

from __future__ import annotations

from collections import deque
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble._base import _set_random_states
from sklearn.utils import _safe_indexing, check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples, check_is_fitted

from skdeep.multilabel._base import ProblemTransformation, base_has, bounded_logit
from skdeep.multilabel._binary_relevance import BinaryRelevance
from skdeep.multilabel._label_clustering import cluster_labels, cooccurrence
from skdeep.multilabel._rows import check_rows_can_be_picked, pick_rows, rows_to_pick_from
from skdeep.multilabel._voting import vote

Group = tuple[int, ...]


class HOMER(ProblemTransformation):
    """Hierarchy of multi-label classifiers (HOMER), each of which tells a few groups of labels from each other.

    The labels are divided into groups that occur together, the groups again, down to single labels. The classifier of
    a node tells which of its groups a row has a label of; it learns from the rows that have a label of the node.

    Parameters
    ----------
    estimator : classifier
        What decides at each node. A multi-label classifier is taken as it is; of any other a :class:`BinaryRelevance`
        is made. It gets ``X`` as it is, or rows picked from it.
    n_clusters : int, default=3
        Into how many groups a node divides its labels. 1 divides nothing, as a number from that of the labels on does:
        there is one node, which is the estimator alone.
    clustering : {"balanced", "kmeans", "random"}, default="balanced"
        How labels are divided: by k-means of their columns with groups of equal size, as the paper does; by k-means
        with groups of any size; or at random into groups of equal size.
    random_state : int, RandomState instance or None, default=None
        Draws the first centres of the clusters or the random groups, and the random states of the clones.
    n_jobs : int, default=None
        How many nodes are fitted, or asked for probabilities, at the same time. None is 1 unless in a
        ``joblib.parallel_config`` context, -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    nodes_ : list of tuple of tuple of int
        For each node the groups of labels that it tells from each other, the root first. A group of several labels is
        a node further down, unless no training row has any of them.
    estimators_ : list of multi-label classifiers
        The fitted classifier of each node.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    RAkEL : Label powersets of small groups of labels, without a hierarchy.

    Notes
    -----
    ``predict`` goes down from the root: a label is predicted if it and all groups above it are. Lower nodes are asked
    only about the rows that reach them. ``predict_proba`` is the product of the probabilities along the path; so a
    label whose probability is below one half may be predicted.

    References
    ----------
    G. Tsoumakas, I. Katakis, I. Vlahavas, "Effective and efficient multilabel classification in domains with large
    number of labels", MMD workshop at ECML PKDD 2008.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import HOMER
    >>> X, Y = make_multilabel_classification(n_classes=5, random_state=0)
    >>> homer = HOMER(LogisticRegression(max_iter=1000), random_state=0).fit(X, Y)
    >>> homer.nodes_
    [((0, 3), (1, 2), (4,)), ((0,), (3,)), ((1,), (2,))]
    >>> homer.predict(X[:2])
    array([[0, 0, 1, 1, 1],
           [0, 0, 1, 0, 0]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "clustering": [StrOptions({"balanced", "kmeans", "random"})],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        n_clusters: int = 3,
        clustering: str = "balanced",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.n_clusters = n_clusters
        self.clustering = clustering
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Build the hierarchy of the labels, and fit a classifier to each node.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            A table, paths, images: whatever the base takes and rows can be picked from.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each node, with the values of its rows where there is one for each row of ``X``;
            with metadata routing enabled, what the base requests.

        Returns
        -------
        self : HOMER
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, or if the base is a regressor or takes a
            precomputed kernel, of which no rows can be picked.
        """
        indicator, label_names, base_params = self._check_fit(X, y, fit_params)
        check_rows_can_be_picked(self)
        X = rows_to_pick_from(X)
        random_state = check_random_state(self.random_state)
        self.nodes_ = self._grow(indicator, random_state)
        members = [self._make_member(random_state) for _ in self.nodes_]
        # binary relevance asks its bases itself
        params = base_params if self._is_multilabel() else fit_params
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_node)(member, X, indicator, groups, params)
            for member, groups in zip(members, self.nodes_, strict=True)
        )
        self._note_fit(label_names, self.estimators_)
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the labels of each row: those that are predicted all the way down from the root.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)
        """
        check_is_fitted(self, "estimators_")
        X = rows_to_pick_from(X)
        reached = {_labels_of(self.nodes_[0]): np.arange(_num_samples(X))}
        for groups, fitted in zip(self.nodes_, self.estimators_, strict=True):
            rows = reached[_labels_of(groups)]
            for group, said in zip(groups, _predict_rows(fitted, X, rows, len(groups)).T, strict=True):
                reached[group] = rows[said == 1]
        predicted = np.zeros((_num_samples(X), len(self.classes_)), dtype=np.int64)
        for label in range(len(self.classes_)):
            predicted[reached.get((label,), []), label] = 1
        return predicted

    @available_if(base_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each label: the product along the path from the root.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        check_is_fitted(self, "estimators_")
        said = Parallel(n_jobs=self.n_jobs)(
            delayed(vote)(fitted, X, len(groups), soft=True)
            for groups, fitted in zip(self.nodes_, self.estimators_, strict=True)
        )
        reached = {_labels_of(self.nodes_[0]): np.ones(len(said[0]))}
        for groups, conditional in zip(self.nodes_, said, strict=True):
            above = reached[_labels_of(groups)]
            reached.update(zip(groups, above * conditional.T, strict=True))
        never = np.zeros(len(said[0]))
        return np.column_stack([reached.get((label,), never) for label in range(len(self.classes_))])

    @available_if(base_has("predict_proba"))
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the decision value of each label.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        values : ndarray of float of shape (n_samples, n_labels)
            The logits of ``predict_proba``, at most 36.04 in size.
        """
        return bounded_logit(self.predict_proba(X))

    def _grow(self, indicator: NDArray[np.uint8], random_state: np.random.RandomState) -> list[tuple[Group, ...]]:
        """Divide the labels, and groups of several labels that some row has, from the root down."""
        products = cooccurrence(indicator)
        occurs = np.diag(products) > 0
        nodes = []
        waiting = deque([tuple(range(len(products)))])
        while waiting:
            groups = self._divide(waiting.popleft(), products, random_state)
            nodes.append(groups)
            waiting.extend(group for group in groups if len(group) > 1 and occurs[list(group)].any())
        return nodes

    def _divide(
        self, labels: Group, products: NDArray[np.float64], random_state: np.random.RandomState
    ) -> tuple[Group, ...]:
        if self.n_clusters == 1 or len(labels) <= self.n_clusters:
            return tuple((label,) for label in labels)
        shuffled = np.array_split(random_state.permutation(labels), self.n_clusters)
        groups = shuffled if self.clustering == "random" else self._cluster(labels, products, random_state)
        if len(groups) == 1:  # labels that are all alike are no clusters
            groups = shuffled
        return tuple(sorted(tuple(sorted(group.tolist())) for group in groups))

    def _cluster(
        self, labels: Group, products: NDArray[np.float64], random_state: np.random.RandomState
    ) -> list[NDArray[np.intp]]:
        among = np.array(labels)
        capacity = -(-len(labels) // self.n_clusters) if self.clustering == "balanced" else len(labels)
        clusters = cluster_labels(products[np.ix_(among, among)], self.n_clusters, capacity, random_state)
        return [among[clusters == cluster] for cluster in np.unique(clusters)]

    def _is_multilabel(self) -> bool:
        tags = get_tags(self.estimator)
        return bool(tags.classifier_tags.multi_label or tags.target_tags.multi_output)

    def _make_member(self, random_state: np.random.RandomState) -> Any:
        member = clone(self.estimator) if self._is_multilabel() else BinaryRelevance(clone(self.estimator))
        _set_random_states(member, random_state)
        return member


def _labels_of(groups: tuple[Group, ...]) -> Group:
    """All labels of a node, as the node above it names them."""
    return tuple(sorted(label for group in groups for label in group))


def _fit_node(
    member: Any, X: Any, indicator: NDArray[np.uint8], groups: tuple[Group, ...], fit_params: dict[str, Any]
) -> Any:
    """Fit a classifier to the rows that have a label of the node; the root's are all."""
    target = np.column_stack([indicator[:, list(group)].any(axis=1) for group in groups]).astype(np.int64)
    if len(_labels_of(groups)) < indicator.shape[1]:
        rows = np.flatnonzero(target.any(axis=1))
        target = target[rows]
        X, fit_params = pick_rows(X, rows, fit_params)
    if target.shape[1] == 1 and get_tags(member).target_tags.single_output:
        target = target.ravel()  # the only label of all; forests warn of a column
    return member.fit(X, target, **fit_params)


def _predict_rows(fitted: Any, X: Any, rows: NDArray[np.intp], n_groups: int) -> NDArray[np.int64]:
    """Predict the groups of some rows, shape (n_rows, n_groups)."""
    if len(rows) == 0:
        return np.zeros((0, n_groups), dtype=np.int64)
    asked = X if len(rows) == _num_samples(X) else _safe_indexing(X, rows)
    return vote(fitted, asked, n_groups, soft=False)
