"""How a chain appends the earlier labels to whatever the rows are."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import _num_samples

IMAGE_COLUMN = "image"


def append_labels(X: Any, labels: NDArray[Any], names: Iterable[str]) -> Any:
    """Append labels to the rows of ``X`` as further features.

    =====================================  ==========================================================================
    ``X``                                  what comes back
    =====================================  ==========================================================================
    anything, if there is no label         ``X`` itself
    sparse matrix or array                 CSR of the same family, the labels as last columns
    DataFrame                              DataFrame with one more column a label
    rows of numbers (2-D)                  array, the labels as last columns; floats keep their dtype, pixels stay uint8
                                           beside labels of 0 and 1
    all else: paths, images, 4-D arrays    DataFrame: a first column ``"image"`` of paths or images, then the labels
    =====================================  ==========================================================================

    Parameters
    ----------
    X : any
        The rows.
    labels : ndarray of shape (n_samples, n_earlier)
        The earlier labels: 0 and 1 as uint8, or probabilities.
    names : iterable of str of length n_earlier
        Their names. In a DataFrame, a name that a column already has gets underscores until it is free.

    Returns
    -------
    extended : any
        A new object, unless there is no label to append; ``X`` is not changed.
    """
    if labels.shape[1] == 0:
        return X
    if sparse.issparse(X):
        labels = _as_rows_are(labels, X.dtype)
        block = sparse.csr_array(labels) if isinstance(X, sparse.sparray) else sparse.csr_matrix(labels)
        return sparse.hstack([X, block], format="csr")
    if _is_frame(X):
        return _append_columns(X, labels, names)
    if _is_table(X):
        table = np.asarray(X)
        return np.hstack([table, _as_rows_are(labels, table.dtype)])
    return _append_columns(_image_frame(X), labels, names)


def _as_rows_are(labels: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Probabilities are float64, and would make a table of float32 twice as large."""
    return labels.astype(dtype) if dtype.kind == "f" else labels


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "iloc")


def _is_table(X: Any) -> bool:
    """Tell rows of numbers from images by the first row alone, so that no other image is decoded for it."""
    first = np.asarray(X[:1])
    return first.ndim == 2 and (first.dtype.kind in "biufc" or (first.dtype.kind == "O" and not _is_path(first[0, 0])))


def _is_path(cell: Any) -> bool:
    return isinstance(cell, str | os.PathLike)


def _image_frame(X: Any) -> Any:
    import pandas as pd

    # Filled one by one: given images of equal shape, numpy would build one large array instead of a column of objects.
    column = np.empty(_num_samples(X), dtype=object)
    for row, image in enumerate(X):
        # a row of an (n, 1) array of paths holds its path
        column[row] = image[0] if np.shape(image) == (1,) else image
    return pd.DataFrame({IMAGE_COLUMN: column})


def _append_columns(frame: Any, labels: NDArray[Any], names: Iterable[str]) -> Any:
    import pandas as pd

    # scikit-learn refuses a frame in which some column names are strings and others are not.
    columns = [str(column) for column in frame.columns]
    block = pd.DataFrame(labels, index=frame.index, columns=_free_names(names, set(columns)))
    return pd.concat([frame.set_axis(columns, axis="columns"), block], axis="columns")


def _free_names(names: Iterable[str], taken: set[str]) -> list[str]:
    free = []
    for name in names:
        while name in taken:
            name += "_"
        taken.add(name)
        free.append(name)
    return free
