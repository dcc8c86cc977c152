"""Multi-label tables in the ARFF files of Mulan and MEKA."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skdeep._text import listed
from skdeep.datasets._arff import Attribute, Relation, read_arff
from skdeep.datasets._frames import framed
from skdeep.exceptions import DatasetError

_MEKA_OPTION = re.compile(r"(?:^|[\s:])-C\s+([-+]?[0-9]+)(?:\s|$)")


@validate_params(
    {
        "path": [str, os.PathLike],
        "labels": [str, os.PathLike, list, tuple, np.ndarray, None],
        "n_labels": [Integral, None],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_mulan(
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | Sequence[str] | None = None,
    n_labels: int | None = None,
    as_frame: bool = False,
) -> Bunch:
    """Load a multi-label table from a Mulan or MEKA ARFF file.

    Which attributes are labels is taken from ``labels`` or ``n_labels``, where one of them is given, else from MEKA's
    option ``-C`` in ``@relation``. Nothing else is looked at: an XML file that happens to lie beside the ARFF file is
    used only if it is named. Where both the caller and ``@relation`` speak, they must agree, since a label that is
    left out would become a feature.

    Parameters
    ----------
    path : str or path-like
        An ``.arff`` or ``.arff.gz`` file with dense or sparse rows, of numeric (numeric, real, integer) and nominal
        attributes.
    labels : str, path-like or sequence of str, default=None
        The path of Mulan's XML file, or the names of the labels. Labels are matched to attributes by name; the
        hierarchy that an XML file may hold is flattened.
    n_labels : int, default=None
        How many attributes are labels, with MEKA's sign: ``-14`` takes the last 14 attributes, ``14`` the first 14.
    as_frame : bool, default=False
        Whether ``target``, and ``data`` unless it is sparse, are DataFrames, whose columns tell estimators the names.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray, DataFrame or csr_array of float64, of shape (n_samples, n_features)
            The features in the order of the file; sparse if the rows of the file are. A missing value is NaN. A
            nominal feature whose declared values are all numbers holds those numbers; any other holds the position of
            the value among the declared ones.
        target : ndarray or DataFrame of int64 of shape (n_samples, n_labels)
            The label indicator.
        feature_names : list of str
            The features in the order of the columns.
        target_names : list of str
            The labels in the order of the file's attributes, whatever the order of ``labels``.
        DESCR : str
            What the data set is, in a sentence.

    Raises
    ------
    FileNotFoundError
        If ``path``, or the XML file, is not there.
    DatasetError
        If a file breaks its format or is cut short, or if it is unknown or contradictory which attributes are labels.
        The message names the file and the line.
    ValueError
        If both ``labels`` and ``n_labels`` are given.

    References
    ----------
    .. [1] G. Tsoumakas, E. Spyromitros-Xioufis, J. Vilcek, I. Vlahavas, "Mulan: A Java Library for Multi-Label
       Learning", Journal of Machine Learning Research 12 (2011), 2411-2414.
    .. [2] J. Read, P. Reutemann, B. Pfahringer, G. Holmes, "MEKA: A Multi-label/Multi-target Extension to WEKA",
       Journal of Machine Learning Research 17 (2016), 1-5.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skdeep.datasets import load_mulan
    >>> text = '''@relation 'songs: -C -2'
    ... @attribute tempo numeric
    ... @attribute happy {0,1}
    ... @attribute calm {0,1}
    ... @data
    ... 120.5,1,0
    ... 62,0,1
    ... '''
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "songs.arff"
    ...     _ = path.write_text(text)
    ...     songs = load_mulan(path)
    >>> songs.target_names
    ['happy', 'calm']
    >>> songs.target
    array([[1, 0],
           [0, 1]])
    """
    if labels is not None and n_labels is not None:
        raise ValueError("Both 'labels' and 'n_labels' say which attributes are labels; pass only one of them.")
    relation = read_arff(Path(path))
    is_label = _find_labels(relation, labels, n_labels)
    label_attributes = [relation.attributes[j] for j in np.flatnonzero(is_label)]
    features = relation.data[:, np.flatnonzero(~is_label)]
    target = _indicator(relation, relation.data[:, np.flatnonzero(is_label)], label_attributes)
    feature_names = [relation.attributes[j].name for j in np.flatnonzero(~is_label)]
    target_names = [attribute.name for attribute in label_attributes]
    if not sparse.issparse(features):
        features = framed(np.ascontiguousarray(features), feature_names, as_frame=as_frame)
    return Bunch(
        data=features,
        target=framed(target, target_names, as_frame=as_frame),
        feature_names=feature_names,
        target_names=target_names,
        DESCR=(
            f"{relation.name or relation.path.name}, read from {relation.path}: {target.shape[0]} samples, "
            f"{features.shape[1]} features, {target.shape[1]} labels, {target.sum(axis=1).mean():.3f} labels a sample."
        ),
    )


def _find_labels(
    relation: Relation, labels: str | os.PathLike[str] | Sequence[str] | None, n_labels: int | None
) -> NDArray[np.bool_]:
    """Mark the attributes that are labels."""
    option = _MEKA_OPTION.search(relation.name)
    noted = None if option is None else _mask_of_count(relation, int(option[1]), f"-C {option[1]} in @relation")
    if labels is not None:
        told, teller = _mask_of_names(relation, labels), "labels"
    elif n_labels is not None:
        told, teller = _mask_of_count(relation, n_labels, f"n_labels={n_labels}"), "n_labels"
    elif noted is not None:
        return noted
    else:
        raise DatasetError(
            f"{relation.path}: nothing says which of its {len(relation.attributes)} attributes are labels. Pass "
            "labels= (the path of Mulan's XML file, or the names) or n_labels= (-n for the last n attributes, n for "
            "the first n)."
        )
    if noted is not None and not np.array_equal(told, noted):
        differing = listed(relation.attributes[j].name for j in np.flatnonzero(told != noted))
        raise DatasetError(
            f"{relation.path}: '{teller}' finds {told.sum()} labels and -C {option[1] if option else ''} in @relation "
            f"{noted.sum()}; they differ on {differing}. Pass what agrees, or correct @relation."
        )
    return told


def _mask_of_count(relation: Relation, n_labels: int, source: str) -> NDArray[np.bool_]:
    n_attributes = len(relation.attributes)
    if not 0 < abs(n_labels) < n_attributes:
        raise DatasetError(
            f"{relation.path}: {source} must take from 1 to {n_attributes - 1} of the {n_attributes} attributes "
            "as labels, so that at least one feature is left."
        )
    positions = np.arange(n_attributes)
    return positions < n_labels if n_labels > 0 else positions >= n_attributes + n_labels


def _mask_of_names(relation: Relation, labels: str | os.PathLike[str] | Sequence[str]) -> NDArray[np.bool_]:
    if isinstance(labels, (str, os.PathLike)):
        names, source = _read_xml(Path(labels)), str(labels)
    else:
        names, source = [str(name) for name in labels], "labels"
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise DatasetError(f"{source} names these labels more than once: {listed(repeated)}.")
    attributes = [attribute.name for attribute in relation.attributes]
    if missing := sorted(set(names) - set(attributes)):
        raise DatasetError(
            f"{source} names labels that are no attributes of {relation.path}: {listed(missing)}. "
            f"Its last attributes are {', '.join(attributes[-5:])}."
        )
    if not 0 < len(names) < len(attributes):
        raise DatasetError(
            f"{source} names {len(names)} labels; {relation.path} has {len(attributes)} attributes, of which at least "
            "one must be a label and one a feature."
        )
    return np.isin(attributes, names)


def _read_xml(path: Path) -> list[str]:
    """Read the names of all labels in Mulan's XML file, however deep they are nested."""
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as error:
        raise DatasetError(f"{path} is not the XML file of Mulan's labels: {error}.") from error
    # An element's name carries the namespace in braces, which some files leave out.
    names = [element.get("name") for element in root.iter() if element.tag.rpartition("}")[2] == "label"]
    if not names or None in names:
        raise DatasetError(f"{path}: expected elements <label name=...>, got {len(names)}, not all with a name.")
    return [str(name) for name in names]


def _indicator(relation: Relation, values: Any, attributes: list[Attribute]) -> NDArray[np.int64]:
    """Turn the label columns into 0 and 1."""
    for attribute in attributes:
        if attribute.codes is not None:
            raise DatasetError(
                f"{relation.path}: label {attribute.name!r} is declared {{{listed(attribute.codes)}}}; a label must be "
                "numeric or {0,1}. If it is a feature, mend what was passed as labels or n_labels."
            )
    dense = values.toarray() if sparse.issparse(values) else values
    wrong = np.argwhere((dense != 0) & (dense != 1))
    if len(wrong):
        row, column = wrong[0]
        got = "missing (?)" if np.isnan(dense[row, column]) else f"{dense[row, column]:g}"
        raise DatasetError(
            f"{relation.path}, line {relation.lines[row]}: label {attributes[column].name!r} is {got}; it must be "
            "0 or 1. If it is a feature, mend what was passed as labels or n_labels (-n means the last n attributes)."
        )
    return np.ascontiguousarray(dense, dtype=np.int64)
