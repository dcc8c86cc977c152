"""What an estimator says of rows beside what is true of them, as decisions on labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length

from skdeep._text import listed
from skdeep._validation import check_indicator


@dataclass(frozen=True)
class Decisions:
    """True labels and their probabilities; of several classes each is a label, of two the second is.

    Attributes
    ----------
    true : ndarray of uint8 of shape (n_samples, n_labels)
    probabilities : ndarray of float64 of shape (n_samples, n_labels)
    names : list of str
        One a label.
    truths : ndarray of str of shape (n_samples,), or None
        Names of the rows' classes; None if a row may have several labels.
    """

    true: NDArray[np.uint8]
    probabilities: NDArray[np.float64]
    names: list[str]
    truths: NDArray[np.str_] | None = None

    def column(self, label: str | int | None) -> int:
        """The position of a label that is given by name or position; None means the only one.

        Raises
        ------
        ValueError
            If there is no such label, or none is given and there are several.
        """
        return position_of(label, self.names)


def position_of(label: str | int | None, names: Sequence[str]) -> int:
    """The position of a label that is given by name or position; None means the only one.

    Raises
    ------
    ValueError
        If there is no such label, or none is given and there are several.
    """
    if label is None and len(names) == 1:
        return 0
    if isinstance(label, str) and label in names:
        return list(names).index(label)
    if isinstance(label, int | np.integer) and 0 <= label < len(names):
        return int(label)
    raise ValueError(
        f"The 'label' parameter must be one of the {len(names)} names {listed(names, 20)}, or a position from 0 to "
        f"{len(names) - 1}. Got {label!r} instead."
    )


def check_decisions(y_true: Any, probabilities: Any, label_names: Sequence[Any] | None = None) -> Decisions:
    """Take what is true and what was predicted as decisions on labels.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,), or indicator of shape (n_samples, n_labels)
        Classes, or a label indicator (dense, sparse or DataFrame).
    probabilities : array-like of shape (n_samples, n_labels), (n_samples, n_classes) or (n_samples,)
        As ``predict_proba`` gives them, or those of one label or of the second of two classes.
    label_names : sequence, default=None
        Names of the labels; for ``y_true`` of one dimension, the classes, one a column. None reads them off ``y_true``.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or ``probabilities`` holds anything but probabilities.
    """
    table = _check_probabilities(probabilities)
    check_consistent_length(y_true, table)
    if np.ndim(y_true) == 1 and not _is_one_label(y_true, table, label_names):
        return _of_classes(np.asarray(y_true), table, label_names)
    indicator, found = check_indicator(table, y_true)
    if indicator.shape != table.shape:
        raise ValueError(
            f"y_true has shape {indicator.shape}, so the probabilities must be one array of this shape, got "
            f"{table.shape}."
        )
    return Decisions(indicator, table, check_names(label_names, found))


def check_names(label_names: Sequence[Any] | None, found: NDArray[np.object_]) -> list[str]:
    """The names given, of which there must be one a label, or else those that were found."""
    if label_names is None:
        return found.tolist()
    if len(label_names) != len(found):
        raise ValueError(
            f"The 'label_names' parameter must hold one name for each of the {len(found)} labels. Got "
            f"{len(label_names)} instead."
        )
    return [str(name) for name in label_names]


def probabilities_of(estimator: Any, X: Any) -> Any:
    """What ``predict_proba`` says, or ``ValueError`` if there is no such method."""
    if not hasattr(estimator, "predict_proba"):
        raise ValueError(f"{type(estimator).__name__} has no predict_proba; this display is about probabilities.")
    return estimator.predict_proba(X)


def last_step(estimator: Any) -> Any:
    """The classifier itself, within pipelines and searches."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        else:
            return estimator


def first_step(estimator: Any) -> Any:
    """What X meets first, within pipelines and searches."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[0][1]
        else:
            return estimator


def names_of(estimator: Any, y: Any) -> Sequence[Any] | None:
    """Names of the labels or classes that an estimator was fitted to; None to read them off ``y``."""
    if hasattr(y, "columns"):
        return None
    classifier = last_step(estimator)
    if hasattr(classifier, "label_names_"):
        return classifier.label_names_
    classes: Any = getattr(classifier, "classes_", None)
    return classes if np.ndim(classes) == np.ndim(y) == 1 else None


def _check_probabilities(probabilities: Any) -> NDArray[np.float64]:
    if isinstance(probabilities, list) and any(np.ndim(part) == 2 for part in probabilities):
        raise ValueError(
            "The probabilities must be one array, got a list of arrays; stack the columns for class 1 of each label."
        )
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim == 1:
        table = table.reshape(-1, 1)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(
            f"The probabilities must be an array of shape (n_samples, n_labels), got shape {np.shape(probabilities)}."
        )
    # the condition is false for NaN too
    if not (table.min() >= 0 and table.max() <= 1):
        raise ValueError(
            f"The probabilities must lie between 0 and 1, got values from {table.min():g} to {table.max():g}. Decision "
            "values become probabilities by scipy.special.expit."
        )
    return table


def _is_one_label(y_true: Any, table: NDArray[np.float64], label_names: Sequence[Any] | None) -> bool:
    """Whether numbers 0 and 1 say of each row if it has the one label."""
    values = np.asarray(y_true)
    if table.shape[1] != 1 or values.dtype.kind not in "buif" or (label_names is not None and len(label_names) != 1):
        return False
    return bool(((values == 0) | (values == 1)).all())


def _of_classes(y_true: NDArray[Any], table: NDArray[np.float64], classes: Sequence[Any] | None) -> Decisions:
    known = np.unique(y_true) if classes is None else np.asarray(classes)
    if unknown := set(np.unique(y_true)) - set(known):
        raise ValueError(f"y_true holds classes that are not among the {len(known)} given: {listed(sorted(unknown))}.")
    true = (y_true[:, None] == known).astype(np.uint8)
    names = [str(name) for name in known]
    if len(known) == 2:
        true, names, table = true[:, 1:], names[1:], table[:, -1:] if table.shape[1] <= 2 else table
    if true.shape != table.shape:
        raise ValueError(
            f"The probabilities must have one column for each of the {len(known)} classes {listed(known)}, got shape "
            f"{table.shape}. If a class is missing from y_true, name them all with label_names."
        )
    return Decisions(true, table, names, y_true.astype(str))
