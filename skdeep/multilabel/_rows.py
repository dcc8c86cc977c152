"""Rows that are picked from ``X``, whatever it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import _check_method_params


def check_rows_can_be_picked(meta: Any) -> None:
    """Refuse a base of which no rows of ``X`` can be picked.

    Raises
    ------
    ValueError
        If it takes a precomputed kernel.
    """
    if get_tags(meta.estimator).input_tags.pairwise:
        raise ValueError(
            f"{type(meta).__name__} cannot pick rows of a precomputed kernel or distance, whose columns are rows "
            f"too: give {meta.estimator!r} features instead."
        )


def rows_to_pick_from(X: Any) -> Any:
    """Turn a sparse matrix of any format into one whose rows can be picked; leave all else as it is."""
    return X.tocsr() if sparse.issparse(X) else X


def pick_rows(X: Any, rows: NDArray[np.intp], fit_params: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Pick rows of ``X``, and of those parameters of ``fit`` that have a value for each row."""
    return _safe_indexing(X, rows), _check_method_params(X, fit_params, indices=rows)
