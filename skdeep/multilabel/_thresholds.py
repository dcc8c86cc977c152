"""A classifier whose thresholds are learnt on rows that it has not learnt from."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight

from skdeep._text import listed
from skdeep.multilabel._base import base_has
from skdeep.multilabel._label_scores import OutOfFoldLearner
from skdeep.multilabel._threshold_search import (
    SCOPES,
    DecisionRule,
    MetricName,
    Scope,
    optimal_thresholds,
    thresholds_of_known,
)


class MultilabelThresholdCV(OutOfFoldLearner):
    """Learn from which score on a label is predicted, so that a metric is at its best.

    The scores that the thresholds are learnt from are out of fold: each row's are by a clone that was not fitted to it.
    Those of all folds are put together, the thresholds are found exactly (:func:`optimal_thresholds`), and the
    estimator is fitted to all rows.

    Parameters
    ----------
    estimator : classifier
        Any multilabel classifier with ``predict_proba`` or ``decision_function``, also one that gives a list with one
        array a label; for one label, a binary classifier too. It gets ``X`` as it is: a table, paths, images.
    metric : str, default="f1_samples"
        What is to be high: ``"f<beta>_samples"`` (``"f2_samples"``), ``"f<beta>_micro"``, ``"f<beta>_macro"``,
        ``"jaccard_samples"``, ``"jaccard_micro"``, ``"jaccard_macro"``, ``"subset_accuracy"`` or
        ``"neg_hamming_loss"``, as in :func:`optimal_thresholds`.
    scope : {"global", "per_label", "cardinality", "rank"}, default="global"
        One threshold for all labels; one for each; one for each such that all labels are predicted for the same
        multiple of the rows that have them; or, without a threshold, the same number of labels for each row. The more
        is chosen, the more rows it takes to choose well: a rare label's own threshold rests on few rows.
    cv : int, splitter, iterable of splits or "prefit", default=None
        The folds: a number of :class:`~skdeep.model_selection.MultilabelStratifiedKFold`, a splitter whose test parts
        hold every row once, or such splits. None is 5. ``"prefit"`` takes a fitted estimator as it is, and learns the
        thresholds from what it says of ``X``: these rows must not be those that it was fitted to.
    response_method : {"auto", "predict_proba", "decision_function"}, default="auto"
        The scores. ``"auto"`` is the first of the two that the estimator has.
    n_jobs : int, default=None
        How many folds are fitted at the same time. None is 1 unless in a ``joblib.parallel_config`` context, -1 is all
        processors.
    random_state : int, RandomState instance or None, default=None
        Shuffles the rows before they are divided into folds, if ``cv`` is a number. None leaves them in their order.

    Attributes
    ----------
    estimator_ : classifier
        The estimator, fitted to all rows; with ``cv="prefit"`` the one that was given.
    thresholds_ : ndarray of float of shape (n_labels,), or None
        A label is predicted where its score is at least this; ``inf`` is never (a label without a positive in training,
        except with the scope ``"global"``), ``-inf`` is always. None with the scope ``"rank"``. See Notes for labels
        whose positives are all in one fold.
    n_labels_per_row_ : int or None
        How many labels are predicted for each row with the scope ``"rank"``, else None.
    best_score_ : float
        The metric of the out-of-fold scores under these thresholds. It is optimistic: they were chosen on these rows.
        Rows of weight 0 are left out.
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    n_features_in_ : int
        Number of features, if the estimator counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the estimator knows them.

    See Also
    --------
    optimal_thresholds : The search, on scores that are at hand.
    MultilabelCalibratedClassifierCV : Learns probabilities from scores in the same way.
    sklearn.model_selection.TunedThresholdClassifierCV : For one label and any metric, on a grid.

    Notes
    -----
    Where the clone of a fold had one value of a label only to learn from, its scores say nothing of that label, and the
    scope ``"per_label"`` leaves them out. A label that has a single positive, or all of them in one fold, has then none
    left to find a threshold by. A warning names such labels, and they get the threshold that the scope ``"global"``
    finds on the scores that count; if no label has a positive there, 0.5 of a probability and 0 of a decision value.

    References
    ----------
    Y. Yang, "A study of thresholding strategies for text categorization", SIGIR 2001.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import BinaryRelevance, MultilabelThresholdCV
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> relevance = BinaryRelevance(LogisticRegression(max_iter=1000))
    >>> tuned = MultilabelThresholdCV(relevance, metric="f1_macro", scope="per_label").fit(X, Y)
    >>> tuned.thresholds_.round(2)
    array([0.19, 0.48, 0.34])
    >>> tuned.predict_proba(X[1:2]).round(2)
    array([[0.12, 1.  , 0.48]])
    >>> tuned.predict(X[1:2])
    array([[0, 1, 1]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict_proba"]), HasMethods(["fit", "decision_function"])],
        "metric": [MetricName()],
        "scope": [StrOptions(set(SCOPES))],
        "cv": ["cv_object", StrOptions({"prefit"})],
        "response_method": [StrOptions({"auto", "predict_proba", "decision_function"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        metric: str = "f1_samples",
        scope: Scope = "global",
        cv: Any = None,
        response_method: Literal["auto", "predict_proba", "decision_function"] = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.metric = metric
        self.scope = scope
        self.cv = cv
        self.response_method = response_method
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Learn the thresholds out of fold, and fit the estimator to all rows.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            Handed on to the estimator: rows of it for each fold, and all of it as it is.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of the estimator, for instance ``sample_weight``; what has a value for each row is
            divided among the folds. Rows of ``sample_weight`` 0 are left out of the search for thresholds, in which all
            others count alike, whatever their weights. ``groups`` goes to the splitter. With metadata routing enabled,
            what estimator and splitter request.

        Returns
        -------
        self : MultilabelThresholdCV
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, if the estimator is a regressor or lacks
            ``response_method``, if its scores are not finite or not one a label, or if the test parts of ``cv`` do not
            hold each row once.
        NotFittedError
            If ``cv="prefit"`` and the estimator is not fitted.
        """
        methods = ("predict_proba", "decision_function") if self.response_method == "auto" else (self.response_method,)
        indicator, scores, known, base_params = self._learn_scores(X, y, fit_params, methods)
        if base_params.get("sample_weight") is not None:
            counted = _check_sample_weight(base_params["sample_weight"], scores) != 0
            indicator, scores, known = indicator[counted], scores[counted], known[counted]
        if self.scope == "per_label" and not known.all():
            rule = self._learn_of_known(indicator, scores, known)
        else:
            rule = optimal_thresholds(indicator, scores, metric=self.metric, scope=self.scope)
        self.thresholds_, self.n_labels_per_row_ = rule.thresholds, rule.n_labels_per_row
        self.best_score_ = rule.score
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the labels of each row by what was learnt of their scores.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        indicator : ndarray of int of shape (n_samples, n_labels)
        """
        scores = self._ask(X)
        return DecisionRule(self.thresholds_, self.n_labels_per_row_, self.best_score_).predict(scores)

    @available_if(base_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict the probability of each label: the estimator's own, which thresholds do not change.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        return self._ask(X, "predict_proba")

    @available_if(base_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the decision value of each label: the estimator's own, which thresholds do not change.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        values : ndarray of float of shape (n_samples, n_labels)
        """
        return self._ask(X, "decision_function")

    def _learn_of_known(
        self, indicator: NDArray[np.uint8], scores: NDArray[np.float64], known: NDArray[np.bool_]
    ) -> DecisionRule:
        otherwise = 0.5 if self._method == "predict_proba" else 0.0
        rule, unlearnt = thresholds_of_known(indicator, scores, known, metric=self.metric, otherwise=otherwise)
        if len(unlearnt):
            warnings.warn(
                "Some labels get no threshold of their own but that of all labels together, as all their positives "
                "were scored by clones that had none of these to learn from: "
                f"{listed(self.label_names_[unlearnt])}.",
                UserWarning,
                stacklevel=3,
            )
        return rule
