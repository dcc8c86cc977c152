"""What classifiers answer about labels, brought into one form: a column a label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def ask_labels(fitted: Any, X: Any, method: str) -> Any:
    """Ask a classifier about its labels; of a list with an array a label, the columns of class 1 are stacked.

    Parameters
    ----------
    fitted : classifier
    X : any
        As the classifier takes it.
    method : {"predict", "predict_proba", "decision_function"}

    Returns
    -------
    answer : array of shape (n_samples, n_labels)
        Whatever is no such list comes back as it is. A label that the classifier never saw has probability 0.
    """
    answer = getattr(fitted, method)(X)
    if not (isinstance(answer, list) and answer and np.ndim(answer[0]) == 2):
        return answer
    classes = getattr(fitted, "classes_", [[0, 1]] * len(answer))
    return np.column_stack([class_1_column(np.asarray(part), of) for part, of in zip(answer, classes, strict=True)])


def class_1_column(proba: NDArray[Any], classes: Any) -> NDArray[Any]:
    """Column of class 1, shape (n_samples,); 0 if it was never seen."""
    column = np.flatnonzero(np.asarray(classes) == 1)
    return proba[:, column[0]] if len(column) else np.zeros(len(proba), dtype=proba.dtype)
