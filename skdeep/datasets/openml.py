"""The yeast benchmark from OpenML."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml, get_data_home
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skdeep.datasets._frames import framed
from skdeep.exceptions import DatasetError

_DATA_ID = 40597
_N_FEATURES = 103
_LABELS = [f"Class{number}" for number in range(1, 15)]


@validate_params({"data_home": [str, os.PathLike, None], "as_frame": ["boolean"]}, prefer_skip_nested_validation=True)
def fetch_yeast(*, data_home: str | os.PathLike[str] | None = None, as_frame: bool = False) -> Bunch:
    """Fetch the yeast genes and their functional classes from OpenML, or from the local cache.

    2417 genes with 103 features (micro-array expression and phylogenetic profile) and 14 labels. OpenML keeps them as
    one table (data set 40597) without the official split into 1500 and 917; for that, give Mulan's files to
    :func:`load_mulan`.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of scikit-learn's cache; by default ``~/scikit_learn_data``, or what ``SCIKIT_LEARN_DATA`` names.
    as_frame : bool, default=False
        Whether ``target`` and ``data`` are DataFrames, whose columns tell estimators the names.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray or DataFrame of float64 of shape (2417, 103)
            The features.
        target : ndarray or DataFrame of int64 of shape (2417, 14)
            The label indicator.
        feature_names : list of str
            The features in the order of the columns.
        target_names : list of str
            ``Class1`` to ``Class14``.
        DESCR : str
            What OpenML says of it.

    Raises
    ------
    OSError
        If OpenML is out of reach and the cache does not hold the data set.
    DatasetError
        If the table is not the one described here.

    See Also
    --------
    load_mulan : Read the same genes from Mulan's or MEKA's files.

    References
    ----------
    .. [1] A. Elisseeff, J. Weston, "A kernel method for multi-labelled classification", Advances in Neural Information
       Processing Systems 14 (2002), 681-687.
    .. [2] https://www.openml.org/d/40597

    Examples
    --------
    >>> from skdeep.datasets import fetch_yeast
    >>> yeast = fetch_yeast()  # doctest: +SKIP
    >>> yeast.target.shape  # doctest: +SKIP
    (2417, 14)
    """
    home = Path(get_data_home(data_home))
    try:
        # Not the parser "pandas": it takes TRUE and FALSE for booleans, then fails on them as nominal values.
        table = fetch_openml(
            data_id=_DATA_ID, data_home=home, target_column=_LABELS, as_frame=False, parser="liac-arff", n_retries=1
        )
    except OSError as error:
        raise OSError(
            f"yeast (OpenML data set {_DATA_ID}) is not in the cache {home} and could not be downloaded ({error}). "
            "Connect and call again, copy the cache's folder 'openml' from a machine that has it, or read Mulan's "
            "files with skdeep.datasets.load_mulan."
        ) from error
    if table.data.shape[1] != _N_FEATURES:
        raise DatasetError(
            f"OpenML data set {_DATA_ID} should have {_N_FEATURES} features, got {table.data.shape[1]}. The cached "
            f"copy may be damaged: remove {home / 'openml'} and call again."
        )
    return Bunch(
        data=framed(table.data.astype(np.float64), table.feature_names, as_frame=as_frame),
        target=framed(_indicator(table.target), _LABELS, as_frame=as_frame),
        feature_names=list(table.feature_names),
        target_names=list(_LABELS),
        DESCR=table.DESCR,
    )


def _indicator(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Turn TRUE and FALSE into 1 and 0."""
    values = np.char.upper(labels.astype(str))
    wrong = sorted(set(np.unique(values).tolist()) - {"TRUE", "FALSE"})
    if wrong:
        raise DatasetError(f"Labels of OpenML data set {_DATA_ID} should be TRUE or FALSE, got {', '.join(wrong[:5])}.")
    return (values == "TRUE").astype(np.int64)
