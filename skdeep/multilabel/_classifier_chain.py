"""Classifier chains: each label sees the labels before it."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples, check_is_fitted

from skdeep.multilabel._base import (
    ProblemTransformation,
    base_has,
    bounded_logit,
    fit_label,
    has_decision,
    label_decision,
    label_probability,
    predict_label,
)
from skdeep.multilabel._binary_relevance import BinaryRelevance
from skdeep.multilabel._chain_features import append_labels
from skdeep.multilabel._chain_inference import Beam, Sampling, search_chain
from skdeep.multilabel._chain_order import settle_order
from skdeep.multilabel._out_of_fold import Question, out_of_fold, split_folds


class ClassifierChain(ProblemTransformation):
    """Binary classifiers in a chain, each of which sees the earlier labels as further features.

    By default links learn from the true earlier labels, so that they are independent at fit and are fitted at the same
    time with ``n_jobs``; and they predict from the predicted (0 or 1) earlier labels, one after the other.

    Parameters
    ----------
    estimator : classifier
        The base; one clone of it is fitted for each label. The first link gets ``X`` as it is. Later links get the
        earlier labels too: as last columns of a table (an array, a sparse matrix or a DataFrame), otherwise (paths,
        images) as columns of a DataFrame whose first column, ``"image"``, holds the paths or images. In a DataFrame the
        new columns have the names of the labels, with underscores after a name that is taken.
    order : "random", "dependence" or array-like of int of shape (n_labels,), default=None
        The labels from the first link to the last; None is the order of the columns of ``y``. ``"dependence"`` learns
        it: the labels' mutual information makes a maximum spanning tree, and each label comes after its parent [2]_.
    chain_method : {"predict", "predict_proba"}, default="predict"
        Whether later links see earlier labels as predictions (0 or 1) or as probabilities.
    cv : int, splitter, iterable of splits, "in_sample" or None, default=None
        What later links learn from: None is the true earlier labels. Otherwise it is what the earlier links say of
        them, so that links learn from the kind of input that they get in prediction [3]_: ``"in_sample"`` of the rows
        that they have learnt from, a number of folds (stratified by all labels) or a splitter of rows that they have
        not.
    inference : {"greedy", "beam", "monte_carlo"}, default="greedy"
        How label sets are found. ``"greedy"`` decides link by link. The others take the chain for the joint
        distribution of the labels (a probabilistic classifier chain [4]_), need a base with ``predict_proba``, and
        search for its most probable label set: ``"beam"`` among the ``beam_width`` most probable beginnings [5]_,
        ``"monte_carlo"`` among ``n_draws`` label sets drawn from it [6]_. They ask each link up to that many times.
    beam_width : int, default=15
        How many beginnings of label sets a beam search follows for each row. 1 is greedy; ``2 ** n_labels`` is
        exhaustive.
    n_draws : int, default=100
        How many label sets ``"monte_carlo"`` draws for each row.
    random_state : int, RandomState instance or None, default=None
        Draws the order if it is ``"random"``, and the seed of ``"monte_carlo"``, which is the same at each prediction.
    n_jobs : int, default=None
        How many links (with ``cv``, how many folds) are fitted at the same time. None is 1 unless in a
        ``joblib.parallel_config`` context, -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    order_ : ndarray of int of shape (n_labels,)
        The label of each link.
    estimators_ : list of classifiers
        The fitted links, in the order of the chain: ``estimators_[j]`` predicts label ``order_[j]``. A label that has
        one value only in training gets a :class:`~sklearn.dummy.DummyClassifier` with that value.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    BinaryRelevance : No label sees another.
    EnsembleOfClassifierChains : Many chains of random order vote.
    LabelPowerset : Each distinct set of labels is a class.

    Notes
    -----
    The most probable label set is what maximises subset accuracy. For Hamming loss and rankings take
    ``predict_proba``: with ``"beam"`` and ``"monte_carlo"`` it estimates the marginal probability of each label, which
    is exact for an exhaustive beam and unbiased for ``"monte_carlo"`` [4]_.

    References
    ----------
    .. [1] J. Read, B. Pfahringer, G. Holmes, E. Frank, "Classifier chains for multi-label classification", Machine
       Learning 85(3), 2011, section 3.
    .. [2] J. H. Zaragoza, L. E. Sucar, E. F. Morales, C. Bielza, P. Larrañaga, "Bayesian chain classifiers for
       multidimensional classification", IJCAI 2011; here the label of most information in all is the root.
    .. [3] R. Senge, J. J. del Coz, E. Hüllermeier, "Rectifying classifier chains for multi-label classification", LWA
       2013 (nested stacking).
    .. [4] K. Dembczyński, W. Cheng, E. Hüllermeier, "Bayes optimal multilabel classification via probabilistic
       classifier chains", ICML 2010.
    .. [5] A. Kumar, S. Vembu, A. K. Menon, C. Elkan, "Beam search algorithms for multilabel learning", Machine Learning
       92, 2013.
    .. [6] J. Read, L. Martino, D. Luengo, "Efficient Monte Carlo methods for multi-dimensional learning with classifier
       chains", Pattern Recognition 47(3), 2014.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import ClassifierChain
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> chain = ClassifierChain(LogisticRegression(max_iter=1000), order=[2, 0, 1]).fit(X, Y)
    >>> chain.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    >>> [link.n_features_in_ for link in chain.estimators_]
    [20, 21, 22]
    >>> chain.set_params(inference="beam", beam_width=8).predict_proba(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "order": [StrOptions({"random", "dependence"}), "array-like", None],
        "chain_method": [StrOptions({"predict", "predict_proba"})],
        "cv": ["cv_object", StrOptions({"in_sample"})],
        "inference": [StrOptions({"greedy", "beam", "monte_carlo"})],
        "beam_width": [Interval(Integral, 1, None, closed="left")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        order: str | ArrayLike | None = None,
        chain_method: str = "predict",
        cv: Any = None,
        inference: str = "greedy",
        beam_width: int = 15,
        n_draws: int = 100,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.order = order
        self.chain_method = chain_method
        self.cv = cv
        self.inference = inference
        self.beam_width = beam_width
        self.n_draws = n_draws
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit one clone of the base to each label and the labels before it.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            A table, paths, images.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each base, for instance ``sample_weight``; with metadata routing enabled, what
            the base requests.

        Returns
        -------
        self : ClassifierChain
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, if ``order`` is no permutation of the
            labels, if the base is a regressor, or if it lacks the ``predict_proba`` that ``chain_method`` or
            ``inference`` needs.
        """
        indicator, label_names, base_params = self._check_fit(X, y, fit_params)
        self._check_inference()
        random_state = check_random_state(self.random_state)
        order = settle_order(self.order, indicator, random_state)
        self._seed = int(random_state.randint(np.iinfo(np.int32).max))
        chained, names = indicator[:, order], label_names[order]
        if self.cv is None:
            self.estimators_ = self._fit_to_true_labels(X, chained, names, base_params)
        else:
            self.estimators_ = self._fit_to_predicted_labels(X, chained, names, base_params, fit_params)
        self.order_ = order
        # only the first link's features are those of X; a constant has seen none
        self._note_fit(label_names, self.estimators_[:1])
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the labels of each row.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)
        """
        return self._walk(X, predict_label) if self.inference == "greedy" else self._search(X)[0]

    @available_if(base_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict the probability of each label.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
            Given what was predicted of the labels before it if ``inference`` is ``"greedy"``, else the marginal one.
        """
        return self._walk(X, label_probability) if self.inference == "greedy" else self._search(X)[1]

    @available_if(has_decision)
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the decision value of each label; in a greedy chain the label is predicted above 0.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        values : ndarray of float of shape (n_samples, n_labels)
            The base's own decision values if it has any and ``inference`` is ``"greedy"``, else the logits of
            ``predict_proba``, at most 36.04 in size.
        """
        if self.inference != "greedy":
            return bounded_logit(self.predict_proba(X))
        return self._walk(X, label_decision)

    def _check_inference(self) -> None:
        if self.inference != "greedy" and self.chain_method == "predict_proba":
            raise ValueError(
                f"inference={self.inference!r} follows label sets, so later links must see labels: give "
                "chain_method='predict'. Got chain_method='predict_proba'."
            )
        needing = {"chain_method": self.chain_method == "predict_proba", "inference": self.inference != "greedy"}
        for name in (name for name, needs in needing.items() if needs):
            if not hasattr(self.estimator, "predict_proba"):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} needs a base with predict_proba, which {self.estimator!r} lacks."
                )

    def _fit_to_true_labels(
        self, X: Any, chained: NDArray[np.uint8], names: NDArray[np.object_], base_params: dict[str, Any]
    ) -> list[Any]:
        return Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_link)(clone(self.estimator), X, chained[:, : link + 1], names[:link], base_params)
            for link in range(chained.shape[1])
        )

    def _fit_to_predicted_labels(
        self,
        X: Any,
        chained: NDArray[np.uint8],
        names: NDArray[np.object_],
        base_params: dict[str, Any],
        fit_params: dict[str, Any],
    ) -> list[Any]:
        splits = None if self.cv == "in_sample" else split_folds(self.cv, chained)
        links: list[Any] = []
        earlier = self._no_labels_yet(*chained.shape)
        for link in range(chained.shape[1]):
            extended = append_labels(X, earlier[:, :link], names[:link])
            target = chained[:, link].astype(np.int64)
            links.append(fit_label(clone(self.estimator), extended, target, base_params))
            if link == chained.shape[1] - 1:
                break
            if splits is None:
                earlier[:, link] = self._told()(links[-1], extended)
            else:
                # binary relevance of one label knows what to do where a fold has one value only
                single, question = BinaryRelevance(self.estimator), getattr(BinaryRelevance, self.chain_method)
                answers = out_of_fold(single, extended, target, splits, question, fit_params, self.n_jobs)
                earlier[:, link] = answers[:, 0]
        return links

    def _told(self) -> Question:
        """What of an earlier label the later links are told."""
        return predict_label if self.chain_method == "predict" else label_probability

    def _no_labels_yet(self, n_samples: int, n_labels: int) -> NDArray[Any]:
        return np.zeros((n_samples, n_labels), dtype=np.uint8 if self.chain_method == "predict" else np.float64)

    def _walk(self, X: Any, question: Question) -> NDArray[Any]:
        """Go along the chain link by link; return the links' answers in the order of ``y``."""
        check_is_fitted(self, "estimators_")
        told = self._told()
        names = self.label_names_[self.order_]
        earlier = self._no_labels_yet(_num_samples(X), len(self.order_))
        answers = []
        for link, fitted in enumerate(self.estimators_):
            extended = append_labels(X, earlier[:, :link], names[:link])
            answers.append(question(fitted, extended))
            if link < len(self.order_) - 1:
                earlier[:, link] = answers[-1] if question is told else told(fitted, extended)
        return np.column_stack([answers[position] for position in np.argsort(self.order_)])

    def _search(self, X: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Search the chain; return the most probable label sets and the marginals, both in the order of ``y``."""
        check_is_fitted(self, "estimators_")
        self._validate_params()  # a fitted chain may be searched in another way than it was told at first
        self._check_inference()
        names = self.label_names_[self.order_]

        def ask(link: int, earlier: NDArray[np.uint8]) -> NDArray[np.float64]:
            return label_probability(self.estimators_[link], append_labels(X, earlier, names[:link]))

        sampling = self.inference == "monte_carlo"
        choose = Sampling(self.n_draws, np.random.RandomState(self._seed)) if sampling else Beam(self.beam_width)
        label_sets, marginals = search_chain(ask, _num_samples(X), len(self.order_), choose)
        positions = np.argsort(self.order_)
        return label_sets[:, positions].astype(np.int64), marginals[:, positions]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = False  # with a label appended the matrix is not square
        return tags


def _fit_link(
    estimator: Any, X: Any, chained: NDArray[np.uint8], names: NDArray[np.object_], base_params: dict[str, Any]
) -> Any:
    """Fit one link to the last of the labels; those before it are appended here, so that processes share one ``X``."""
    return fit_label(estimator, append_labels(X, chained[:, :-1], names), chained[:, -1].astype(np.int64), base_params)
