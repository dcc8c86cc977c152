"""Stacked binary relevance: a second level sees what the first says of all labels."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeep.multilabel._base import ProblemTransformation, params_for
from skdeep.multilabel._binary_relevance import BinaryRelevance
from skdeep.multilabel._chain_features import append_labels
from skdeep.multilabel._out_of_fold import out_of_fold, split_folds


def _final_has(method: str) -> Any:
    """Build the check for ``available_if``: the second level has ``method``."""

    def check(stacked: Any) -> bool:
        final = getattr(stacked, "final_", None)
        return hasattr(stacked._make_final() if final is None else final, method)

    return check


class StackedBinaryRelevance(ProblemTransformation):
    """Binary relevance twice: the second level sees what the first says of every label (2BR).

    Parameters
    ----------
    estimator : classifier
        The base of the first level; one clone of it is fitted for each label. It gets ``X`` as it is.
    final_estimator : classifier, default=None
        The base of the second level; None is ``estimator``.
    stack_method : {"auto", "predict_proba", "decision_function", "predict"}, default="auto"
        What the second level sees of the first; ``"auto"`` is the first of these that the base has.
    cv : int, splitter, iterable of splits, "in_sample" or None, default=5
        Which rows the first level speaks of when the second learns: a number of folds (of
        :class:`~skdeep.model_selection.MultilabelStratifiedKFold`; None is 5) or a splitter of rows that it has not
        learnt from, or ``"in_sample"`` of those that it has [2]_, which is cheaper and overrates the first level.
    passthrough : bool, default=True
        Whether the second level sees ``X`` too: as in a :class:`ClassifierChain`, with a column more for each label.
        Otherwise it sees a table of these columns only.
    n_jobs : int, default=None
        How many labels or folds are fitted at the same time. None is 1 unless in a ``joblib.parallel_config`` context,
        -1 is all processors.

    Attributes
    ----------
    classes_ : ndarray of int of shape (n_labels, 2)
        A row ``[0, 1]`` for each label.
    label_names_ : ndarray of object of shape (n_labels,)
        The columns of ``y`` if it was a DataFrame, else ``"y0", "y1", ...``.
    first_, final_ : BinaryRelevance
        The two fitted levels.
    stack_method_ : str
        What the second level sees of the first.
    n_features_in_ : int
        Number of features, if the base counts them.
    feature_names_in_ : ndarray of object of shape (`n_features_in_`,)
        Names of the features, if the base knows them.

    See Also
    --------
    ClassifierChain : Each label sees the labels before it only.

    References
    ----------
    .. [1] S. Godbole, S. Sarawagi, "Discriminative methods for multi-labeled classification", PAKDD 2004.
    .. [2] G. Tsoumakas, A. Dimou, E. Spyromitros, V. Mezaris, I. Kompatsiaris, I. Vlahavas, "Correlation-based pruning
       of stacked binary relevance models for multi-label learning", MLD workshop at ECML PKDD 2009.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeep.multilabel import StackedBinaryRelevance
    >>> X, Y = make_multilabel_classification(n_classes=3, random_state=0)
    >>> stacked = StackedBinaryRelevance(LogisticRegression(max_iter=1000)).fit(X, Y)
    >>> stacked.predict(X[:2])
    array([[0, 1, 0],
           [0, 1, 0]])
    >>> stacked.final_.n_features_in_
    23
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "final_estimator": [HasMethods(["fit", "predict"]), None],
        "stack_method": [StrOptions({"auto", "predict_proba", "decision_function", "predict"})],
        "cv": ["cv_object", StrOptions({"in_sample"})],
        "passthrough": ["boolean"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        final_estimator: Any = None,
        stack_method: str = "auto",
        cv: Any = 5,
        passthrough: bool = True,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.final_estimator = final_estimator
        self.stack_method = stack_method
        self.cv = cv
        self.passthrough = passthrough
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit the first level, and the second to what the first says of rows that it has not learnt from.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            A table, paths, images.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        **fit_params : dict
            Handed on to the ``fit`` of each base of both levels, for instance ``sample_weight``; with metadata routing
            enabled, what each of the two requests.

        Returns
        -------
        self : StackedBinaryRelevance
            The fitted classifier.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, if the base is a regressor or lacks
            ``stack_method``, or if the test parts of ``cv`` do not hold each row once.
        """
        indicator, label_names, _ = self._check_fit(X, y, fit_params)
        self.stack_method_ = self._settle_stack_method()
        splits = None if self.cv == "in_sample" else split_folds(self.cv, indicator)
        first = BinaryRelevance(self.estimator, n_jobs=self.n_jobs)
        first_params = params_for(self.estimator, fit_params)
        self.first_ = clone(first).fit(X, indicator, **first_params)
        ask = getattr(BinaryRelevance, self.stack_method_)
        said = ask(self.first_, X) if splits is None else out_of_fold(first, X, indicator, splits, ask, first_params)
        final = self._make_final()
        final_params = params_for(final.estimator, fit_params)
        self.final_ = final.fit(self._stack(X, said, label_names), indicator, **final_params)
        self._note_fit(label_names, self.first_.estimators_)
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
        return self._ask_final("predict", X)

    @available_if(_final_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict the probability of each label.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        probabilities : ndarray of float of shape (n_samples, n_labels)
        """
        return self._ask_final("predict_proba", X)

    @available_if(_final_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the decision value of each label; above 0 the label is predicted.

        Parameters
        ----------
        X : any
            Rows of the kind that ``fit`` was given.

        Returns
        -------
        values : ndarray of float of shape (n_samples, n_labels)
            The base's own decision values if it has any, else the logits of its probabilities, at most 36.04 in size.
        """
        return self._ask_final("decision_function", X)

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes to which level.

        Returns
        -------
        routing : MetadataRouter
            What ``fit`` is given reaches the ``fit`` of both bases as they have requested it.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        final = self._make_final().estimator
        return super().get_metadata_routing().add(final_estimator=final, method_mapping=mapping)

    def _settle_stack_method(self) -> str:
        if self.stack_method == "auto":
            has = (name for name in ("predict_proba", "decision_function") if hasattr(self.estimator, name))
            return next(has, "predict")
        if not hasattr(self.estimator, self.stack_method):
            raise ValueError(
                f"stack_method={self.stack_method!r} needs a base that has it, which {self.estimator!r} is not."
            )
        return self.stack_method

    def _make_final(self) -> BinaryRelevance:
        base = self.estimator if self.final_estimator is None else self.final_estimator
        return BinaryRelevance(clone(base), n_jobs=self.n_jobs)

    def _stack(self, X: Any, said: NDArray[Any], label_names: NDArray[np.object_]) -> Any:
        if self.stack_method_ == "predict":
            said = said.astype(np.uint8)  # int64 would make a table of pixels eight times as large
        return append_labels(X, said, label_names) if self.passthrough else said

    def _ask_final(self, method: str, X: Any) -> NDArray[Any]:
        check_is_fitted(self, "final_")
        said = getattr(self.first_, self.stack_method_)(X)
        return getattr(self.final_, method)(self._stack(X, said, self.label_names_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = False  # with a label appended the matrix is not square
        return tags
