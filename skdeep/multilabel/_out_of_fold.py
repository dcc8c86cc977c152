"""What a classifier says of training rows that it has not learnt from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from skdeep.model_selection import MultilabelStratifiedKFold
from skdeep.multilabel._rows import pick_rows, rows_to_pick_from

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
Question = Callable[[Any, Any], NDArray[Any]]


def split_folds(cv: Any, indicator: NDArray[np.uint8], **split_params: Any) -> list[Split]:
    """Divide training rows into folds: a number of them (None is 5), stratified by the labels, or by a splitter.

    Raises
    ------
    ValueError
        If the test parts do not hold every row exactly once.
    """
    cv = 5 if cv is None else cv
    splitter = MultilabelStratifiedKFold(int(cv)) if isinstance(cv, Integral) else check_cv(cv)
    splits = list(splitter.split(np.zeros((len(indicator), 1)), indicator, **split_params))
    times = np.bincount(np.concatenate([test for _, test in splits]), minlength=len(indicator))
    if not (times == 1).all():
        raise ValueError(
            f"The test parts of cv={cv!r} must hold every row once, as those of KFold do; "
            f"{int((times == 0).sum())} rows are in none and {int((times > 1).sum())} in several."
        )
    return splits


def out_of_fold(
    estimator: Any,
    X: Any,
    y: Any,
    splits: Sequence[Split],
    question: Question,
    fit_params: dict[str, Any],
    n_jobs: int | None = None,
) -> NDArray[Any]:
    """Answers of clones of ``estimator``, each of which is asked about the rows that it has not learnt from.

    Parameters
    ----------
    estimator : classifier
    X, y : rows and their targets
    splits : sequence of (train, test)
        The test parts hold every row once.
    question : callable
        ``question(fitted, X)`` gives an array with a row for each row of ``X``.
    fit_params : dict
        For ``fit``; what has a row for each row of ``X`` is divided with it.
    n_jobs : int, default=None
        How many folds at the same time.

    Returns
    -------
    answers : ndarray with a row for each row of X
    """
    X = rows_to_pick_from(X)
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_ask)(clone(estimator), X, y, train, test, question, fit_params) for train, test in splits
    )
    rows = np.concatenate([test for _, test in splits])
    answers = np.concatenate(parts)
    ordered = np.empty_like(answers)
    ordered[rows] = answers
    return ordered


def _fit_and_ask(
    estimator: Any,
    X: Any,
    y: Any,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    question: Question,
    fit_params: dict[str, Any],
) -> NDArray[Any]:
    picked, params = pick_rows(X, train, fit_params)
    fitted = estimator.fit(picked, _safe_indexing(y, train), **params)
    return question(fitted, _safe_indexing(X, test))
