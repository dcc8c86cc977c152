"""A classifier whose probabilities are learnt from its scores of rows that it has not learnt from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.utils._param_validation import HasMethods, StrOptions

from skdeep._text import listed
from skdeep.multilabel._base import DecidesByProbability, fit_label, label_probability
from skdeep.multilabel._label_scores import OutOfFoldLearner
from skdeep.multilabel._rows import pick_rows


class MultilabelCalibratedClassifierCV(DecidesByProbability, OutOfFoldLearner):
    """Learn the probability of each label from its score.

    The scores that the calibration of each label is learnt from are out of fold: each row's are by a clone that was not
    fitted to it. The estimator is then fitted to all rows. For each label this is scikit-learn's
    :class:`~sklearn.calibration.CalibratedClassifierCV` with ``ensemble=False``.

    Parameters
    ----------
    estimator : classifier
        Any multilabel classifier with ``decision_function`` or ``predict_proba`` (the first is asked if there are
        both), also one that gives a list with one array a label; for one label, a binary classifier too. It gets ``X``
        as it is: a table, paths, images.
    method : {"sigmoid", "isotonic"}, default="sigmoid"
        ``"sigmoid"`` fits a logistic curve to the scores [1]_; ``"isotonic"`` any curve that never falls [2]_, which
        takes many positives of each label.
    cv : int, splitter, iterable of splits or "prefit", default=None
        The folds: a number of :class:`~skdeep.model_selection.MultilabelStratifiedKFold`, a splitter whose test parts
        hold every row once, or such splits. None is 5. ``"prefit"`` takes a fitted estimator as it is, and learns from
        what it says of ``X``: these rows must not be those that it was fitted to.
    n_jobs : int, default=None
        How many folds are fitted at the same time. None is 1 unless in a ``joblib.parallel_config`` context, -1 is all
        processors.
    random_state : int, RandomState instance or None, default=None
        Shuffles the rows before they are divided into folds, if ``cv`` is a number. None leaves them in their order.

    Attributes
    ----------
    estimator_ : classifier
        The estimator, fitted to all rows; with ``cv="prefit"`` the one that was given.
    calibrators_ : list of classifiers or None
        For each label, what makes a probability of a column of scores. A label that has one value only in training
        gets a :class:`~sklearn.dummy.DummyClassifier` with that value: its probability is 0 or 1 exactly. None is for a
        label that could not be calibrated, see Notes.
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
    MultilabelThresholdCV : Learns in the same way from which score on a label is predicted.
    sklearn.calibration.CalibratedClassifierCV : For one label, or classes that exclude each other.

    Notes
    -----
    Where the clone of a fold had one value of a label only to learn from, its scores say nothing of that label, and the
    calibration leaves them out. A label that has a single positive, or all of them in one fold, has then no positive
    left to be calibrated by (and one with all negatives in one fold no negative). A warning names such labels, and
    their probabilities are the estimator's own; if it has decision values only, the logistic function of these, which
    keeps their order.

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood
       methods", Advances in Large Margin Classifiers, 1999.
    .. [2] B. Zadrozny, C. Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD
       2002.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.svm import LinearSVC
    >>> from skdeep.multilabel import BinaryRelevance, MultilabelCalibratedClassifierCV
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> relevance = BinaryRelevance(LinearSVC(C=0.01))
    >>> hasattr(relevance, "predict_proba")
    False
    >>> calibrated = MultilabelCalibratedClassifierCV(relevance).fit(X, Y)
    >>> calibrated.predict_proba(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict_proba"]), HasMethods(["fit", "decision_function"])],
        "method": [StrOptions({"sigmoid", "isotonic"})],
        "cv": ["cv_object", StrOptions({"prefit"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        method: Literal["sigmoid", "isotonic"] = "sigmoid",
        cv: Any = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Learn the calibration of each label out of fold, and fit the estimator to all rows.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            Handed on to the estimator: rows of it for each fold, and all of it as it is.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of the estimator; what has a value for each row is divided among the folds. With a
            ``sample_weight`` the calibration counts the rows by it, too. ``groups`` goes to the splitter. With metadata
            routing enabled, what estimator and splitter request.

        Returns
        -------
        self : MultilabelCalibratedClassifierCV
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, if the estimator is a regressor, if its
            scores are not finite or not one a label, or if the test parts of ``cv`` do not hold each row once.
        NotFittedError
            If ``cv="prefit"`` and the estimator is not fitted.
        """
        methods = ("decision_function", "predict_proba")
        indicator, scores, known, base_params = self._learn_scores(X, y, fit_params, methods)
        weights = {name: values for name, values in base_params.items() if name == "sample_weight"}
        self.calibrators_ = [
            self._calibrate(column, target, np.flatnonzero(rows), weights)
            for column, target, rows in zip(_columns(scores), indicator.T.astype(np.int64), known.T, strict=True)
        ]
        left = [name for name, fitted in zip(self.label_names_, self.calibrators_, strict=True) if fitted is None]
        if left:
            warnings.warn(
                "Some labels cannot be calibrated, as all their positives, or all their negatives, were scored by "
                "clones that had none of these to learn from. Their probabilities are left as the estimator says them: "
                f"{listed(left)}.",
                UserWarning,
                stacklevel=2,
            )
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each label.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        scores = self._ask(X).astype(np.float64, copy=False)
        left = [label for label, fitted in enumerate(self.calibrators_) if fitted is None]
        own = self._own_probabilities(X, scores) if left else scores
        return np.column_stack(
            [
                own[:, label] if fitted is None else label_probability(fitted, column)
                for label, (fitted, column) in enumerate(zip(self.calibrators_, _columns(scores), strict=True))
            ]
        )

    def _calibrate(
        self, scores: NDArray[Any], target: NDArray[np.int64], rows: NDArray[np.intp], weights: dict[str, Any]
    ) -> Any:
        """Fit the calibrator of a label to these rows; None if a value that it has is in none of them."""
        if len(np.unique(target[rows])) < len(np.unique(target)):
            return None
        calibrator = CalibratedClassifierCV(_Scores(), method=self.method, cv=_AllRows(), ensemble=True)
        picked, params = pick_rows(scores, rows, weights)
        return fit_label(calibrator, picked, target[rows], params)

    def _own_probabilities(self, X: Any, scores: NDArray[np.float64]) -> NDArray[Any]:
        if self._method == "predict_proba":
            return scores
        return self._ask(X, "predict_proba") if hasattr(self.estimator_, "predict_proba") else expit(scores)


def _columns(scores: NDArray[Any]) -> list[NDArray[Any]]:
    """Each label's scores as a table of one column."""
    return np.hsplit(scores, scores.shape[1])


class _Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose decision value is its only feature: a score that is to be calibrated."""

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"sample_weight": False}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return X[:, 0]


class _AllRows:
    """A splitter whose only split tests on all rows, for scores that are out of fold already."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        rows = np.arange(len(X))
        yield rows, rows

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        return 1
