"""What ``y`` may be: targets, indicators and their names, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from skdeep._text import listed

TargetKind = Literal["binary", "multiclass", "multilabel"]


@dataclass(frozen=True)
class Targets:
    """Encoded targets and how to speak of them.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
    values : ndarray
        Class positions of shape (n_samples,), or a 0/1 indicator of shape (n_samples, n_labels).
    classes : ndarray
        The classes, of shape (n_classes,); for multilabel, rows ``[0, 1]`` of shape (n_labels, 2).
    label_names : ndarray of object or None
        One name a label; None unless multilabel.
    """

    kind: TargetKind
    values: NDArray[Any]
    classes: NDArray[Any]
    label_names: NDArray[np.object_] | None = None

    @property
    def n_outputs(self) -> int:
        """Decisions that a model of these targets makes: one for two classes, else one a class or label."""
        return 1 if self.kind == "binary" else len(self.classes)

    @property
    def columns(self) -> NDArray[Any]:
        """The values as losses compare them: of two classes a column, of shape (n_samples, 1)."""
        return np.reshape(self.values, (-1, 1)) if self.kind == "binary" else self.values

    def encode(self, X: Any, y: Any) -> NDArray[Any]:
        """Encode other targets of the same kind, such as those of a validation set.

        Raises
        ------
        ValueError
            If they are of another kind, hold a class that is not known, have other labels, or have not one row for
            each row of ``X``.
        """
        if self.kind == "multilabel":
            indicator, names = check_indicator(X, y)
            if indicator.shape[1] != len(self.classes):
                raise ValueError(f"y_val must have the {len(self.classes)} labels of y, got {indicator.shape[1]}.")
            if hasattr(y, "columns") and self.label_names is not None and list(names) != list(self.label_names):
                raise ValueError(f"y_val must have the labels of y, {listed(self.label_names)}, got {listed(names)}.")
            return indicator
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        unknown = sorted(set(np.asarray(y).tolist()) - set(self.classes.tolist()), key=str)
        if unknown:
            raise ValueError(f"y_val holds classes that y does not: {listed(map(repr, unknown))}.")
        return np.searchsorted(self.classes, y)

    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """Encoded targets as the user gave them: classes, or an indicator."""
        return values if self.kind == "multilabel" else self.classes[values.ravel()]


def check_targets(X: Any, y: Any, classes: Any = None) -> Targets:
    """Encode ``y`` by its type: binary, multiclass or multilabel.

    Parameters
    ----------
    X : any
        Whatever has the rows that ``y`` describes.
    y : array-like
    classes : array-like of shape (n_classes,), default=None
        All classes, of which ``y`` may hold some; None takes those of ``y``. Labels need none.

    Raises
    ------
    ValueError
        If ``y`` is missing, is no classification target, has one class only, or has not one row for each row of ``X``.
    """
    if y is None:
        raise ValueError("This classifier requires y to be passed, but the target y is None.")
    if is_multilabel(y):
        indicator, names = check_indicator(X, y)
        return Targets("multilabel", indicator, indicator_classes(indicator.shape[1]), names)
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f":
        check_array(y, ensure_2d=False, input_name="y")
    check_consistent_length(X, y)
    check_classification_targets(y)
    encoder = LabelEncoder().fit(y if classes is None else np.asarray(classes))
    n_classes = len(encoder.classes_)
    if n_classes < 2:
        raise ValueError(f"A classifier needs at least 2 classes in y, got {n_classes} class: {encoder.classes_[0]!r}.")
    kind: TargetKind = "binary" if n_classes == 2 else "multiclass"
    unknown = set(np.unique(y).tolist()) - set(encoder.classes_.tolist())
    if unknown:
        raise ValueError(f"y holds classes that were not announced: {listed(sorted(map(repr, unknown)))}.")
    return Targets(kind, encoder.transform(y), encoder.classes_)


def check_known_targets(X: Any, y: Any, known: Targets, classes: Any = None, *, may_lack: bool) -> Targets:
    """Encode ``y`` for a classifier that goes on learning what it has learnt before.

    Parameters
    ----------
    X : any
        Whatever has the rows that ``y`` describes.
    y : array-like
    known : Targets
        What was learnt; the names of its labels are compared where ``y`` has columns.
    classes : array-like of shape (n_classes,), default=None
        All classes, as announced anew. Labels need none.
    may_lack : bool
        Whether ``y`` may hold but some of the classes.

    Returns
    -------
    targets : Targets
        Of the kind, the classes and the label names that are known.

    Raises
    ------
    ValueError
        As from :func:`check_targets`; or if ``y``, or what is announced, is not of what was learnt.
    """
    if y is not None and is_multilabel(y) != (known.kind == "multilabel"):
        learnt, got = ("labels", "classes") if known.kind == "multilabel" else ("classes", "labels")
        raise ValueError(f"What was learnt are {learnt}, but y holds {got}: learn them in another estimator.")
    if known.kind == "multilabel":
        indicator, names = check_indicator(X, y)
        n_known, n_labels = len(known.classes), indicator.shape[1]
        if n_labels != n_known:
            raise ValueError(f"y must have the {n_known} labels that were learnt, got {n_labels}.")
        if hasattr(y, "columns") and known.label_names is not None and list(names) != list(known.label_names):
            raise ValueError(
                f"y must have the labels that were learnt, in the same order: {listed(known.label_names)}, got "
                f"{listed(names)}."
            )
        return replace(known, values=indicator)
    wanted = known.classes.tolist()
    if classes is not None and (announced := np.unique(np.asarray(classes)).tolist()) != wanted:
        raise ValueError(
            f"classes must be those that were announced before, {listed(map(repr, wanted))}, got "
            f"{listed(map(repr, announced))}."
        )
    targets = check_targets(X, y, known.classes if may_lack else None)
    if (got := targets.classes.tolist()) != wanted:
        raise ValueError(
            f"y must hold the classes that were learnt, {listed(map(repr, wanted))}, got {listed(map(repr, got))}: "
            "learn others in another estimator."
        )
    return targets


def check_indicator(X: Any, Y: Any) -> tuple[NDArray[np.uint8], NDArray[np.object_]]:
    """Take ``Y`` as a label indicator.

    Parameters
    ----------
    X : any
        Whatever has the rows that ``Y`` describes.
    Y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
        Values 0 and 1 (or booleans); one column is one label.

    Returns
    -------
    indicator : ndarray of uint8 of shape (n_samples, n_labels)
    label_names : ndarray of object of shape (n_labels,)
        The columns of a DataFrame (or the name of a Series), else ``"y0", "y1", ...``.

    Raises
    ------
    ValueError
        If ``Y`` is missing, holds anything but 0 and 1, has no column, or has not one row for each row of ``X``.
    """
    if Y is None:
        raise ValueError("This classifier requires y to be passed, but the target y is None.")
    names = getattr(Y, "columns", None)
    if names is None and getattr(Y, "name", None) is not None:
        names = [Y.name]
    values = Y.toarray() if sparse.issparse(Y) else np.asarray(Y)
    if values.ndim == 1:
        values = values.reshape(-1, 1)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(
            f"Y must be a label indicator of shape (n_samples, n_labels), got an array of shape {values.shape}."
        )
    check_consistent_length(X, values)
    if len(values) == 0:
        raise ValueError("Found array with 0 sample(s) in Y while a minimum of 1 is required.")
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: an indicator holds only 0 and 1, got dtype {values.dtype}.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("Input y contains NaN or infinity; an indicator holds only 0 and 1.")
    allowed = (values == 0) | (values == 1)
    if not np.all(allowed):
        got = sorted({str(value) for value in np.asarray(values)[~allowed][:1000].tolist()})
        raise ValueError(
            f"Unknown label type: Y must be a label indicator that holds only 0 and 1, it also holds {listed(got)}. "
            "Only binary classification is supported for each label."
        )
    if names is None:
        names = [f"y{j}" for j in range(values.shape[1])]
    return values.astype(np.uint8), np.asarray([str(name) for name in names], dtype=object)


def indicator_classes(n_labels: int) -> NDArray[np.int64]:
    """``classes_`` of a multilabel classifier: a row ``[0, 1]`` for each label."""
    return np.tile(np.array([0, 1]), (n_labels, 1))


def is_multilabel(y: Any) -> bool:
    """Whether ``y`` has columns: whatever has several must be an indicator, and is told so if it is not."""
    if sparse.issparse(y):
        return True
    array = np.asarray(y)
    if array.ndim != 2:
        return False
    # one column of an array may be one target, as scikit-learn takes it; a DataFrame of numbers has labels
    return array.shape[1] > 1 or (hasattr(y, "columns") and array.dtype.kind in "buif")
