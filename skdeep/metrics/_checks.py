"""What measures are given: labels, predictions and scores of one shape, their labels in one order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from skdeep._text import listed
from skdeep._validation import check_indicator


def check_predictions(y_true: Any, y_pred: Any) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Take true and predicted labels as two arrays of shape (n_samples, n_labels)."""
    true, _ = check_indicator(y_pred, y_true)
    predicted, _ = check_indicator(true, y_pred)
    _check_alike(y_true, y_pred, true.shape, predicted.shape, "predictions")
    return true.astype(bool), predicted.astype(bool)


def check_scores(y_true: Any, y_score: Any) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Take true labels and their scores as two arrays of shape (n_samples, n_labels)."""
    if isinstance(y_score, list) and y_score and np.ndim(y_score[0]) == 2:
        raise ValueError(
            f"The scores must be one array of shape (n_samples, n_labels), got a list of {len(y_score)} arrays. A "
            "classifier that returns a list with one array a label needs its columns for class 1 stacked."
        )
    scores = np.asarray(y_score.toarray() if sparse.issparse(y_score) else y_score, dtype=np.float64)
    true, _ = check_indicator(scores, y_true)
    if scores.ndim == 1:
        scores = scores.reshape(-1, 1)
    _check_alike(y_true, y_score, true.shape, scores.shape, "scores")
    if not np.isfinite(scores).all():
        raise ValueError("The scores contain NaN or infinity; labels cannot be ranked by them.")
    return true.astype(bool), scores


def _check_alike(y_true: Any, other: Any, shape: tuple[int, ...], other_shape: tuple[int, ...], what: str) -> None:
    if other_shape != shape:
        raise ValueError(
            f"y_true has shape {shape}, so the {what} must be one array of this shape, got {other_shape}. "
            "A column stands for a label."
        )
    if not (hasattr(y_true, "columns") and hasattr(other, "columns")):
        return
    names, other_names = (list(map(str, table.columns)) for table in (y_true, other))
    # other names than these may be those of a table that was never given any
    if names != other_names and sorted(names) == sorted(other_names):
        raise ValueError(
            f"y_true and the {what} have the same labels in another order: {listed(names)} and {listed(other_names)}. "
            "Select the columns of one by those of the other."
        )
