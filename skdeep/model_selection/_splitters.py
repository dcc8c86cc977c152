"""Cross-validators that give every fold its share of each label, in scikit-learn's shape."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from math import ceil
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseShuffleSplit
from sklearn.model_selection._split import (
    GroupsConsumerMixin,
    _BaseKFold,
    _RepeatedSplits,
    _validate_shuffle_split,
)
from sklearn.utils import _safe_indexing, check_array, check_random_state, column_or_1d, indexable
from sklearn.utils._param_validation import (
    Interval,
    Options,
    RealNotInt,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils.validation import _num_samples, check_consistent_length

from skdeep._text import listed
from skdeep._validation import check_indicator
from skdeep.model_selection._stratify import stratify

Positions = NDArray[np.intp]
RandomState = np.random.RandomState

_ORDER = [Options(Integral, {1, 2})]
_SIZE = [Interval(RealNotInt, 0, 1, closed="neither"), Interval(Integral, 1, None, closed="left"), None]


class MultilabelStratifiedKFold(GroupsConsumerMixin, _BaseKFold):
    """K folds, each with its share of every label.

    What :class:`~sklearn.model_selection.StratifiedKFold` is for classes, and
    :class:`~sklearn.model_selection.StratifiedGroupKFold` where ``groups`` are given. Without groups, the sizes of the
    folds differ by one row at most.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether chance decides which of the rows with the same labels go to which fold. Otherwise the first of them go
        to the first fold, so that rows stay together that follow one another.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle; an int gives the same folds at every call.
    order : {1, 2}, default=1
        Whether to even out labels only, or pairs of labels too. With 2, pairs come out much more even, and labels
        nearly as even as with 1.

    See Also
    --------
    RepeatedMultilabelStratifiedKFold : Several times over, shuffled anew.
    MultilabelStratifiedShuffleSplit : A training and a test part of chosen sizes.

    Notes
    -----
    With ``groups``, all rows of a group are in the same fold: the tiles of one scene, say, which would give the answers
    of one another away. Labels and sizes are then as even as the groups allow.

    A label with fewer positives than folds is in as many folds as it has positives, as far as other such labels allow,
    and a warning names it.

    References
    ----------
    .. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011.
    .. [2] P. Szymański, T. Kajdanowicz, "A Network Perspective on Stratification of Multi-Label Data", LIDTA 2017,
           PMLR 74.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.model_selection import MultilabelStratifiedKFold
    >>> Y = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [1, 1], [0, 1]])
    >>> for train, test in MultilabelStratifiedKFold(n_splits=2).split(Y, Y):
    ...     print(test, Y[test].sum(axis=0))
    [0 1 2] [2 2]
    [3 4 5] [2 2]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"order": _ORDER}

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: int | RandomState | None = None,
        order: int = 1,
    ) -> None:
        super().__init__(n_splits=n_splits, shuffle=shuffle, random_state=random_state)
        self.order = order

    def split(self, X: Any, y: Any, groups: ArrayLike | None = None) -> Iterator[tuple[Positions, Positions]]:
        """Divide rows into a training and a test part, once for each fold.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            Only its number of rows matters.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        groups : array-like of shape (n_samples,), default=None
            Rows of the same group stay together; None takes each row by itself.

        Yields
        ------
        train, test : ndarray of int
            Row numbers in ascending order.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, or if there are fewer rows or groups than
            folds.

        Warns
        -----
        UserWarning
            If a label has fewer positives than there are folds, or, with groups, has them in fewer groups.
        """
        _validate(self)
        return super().split(X, y, groups)

    def _iter_test_masks(self, X: Any, y: Any, groups: Any) -> Iterator[NDArray[np.bool_]]:
        rng = check_random_state(self.random_state) if self.shuffle else None
        n_rows, n_larger = divmod(_num_samples(X), self.n_splits)
        sizes = n_rows + (np.arange(self.n_splits) < n_larger)
        indicator, numbers = _check_rows(X, y, groups, self.n_splits, needed=self.n_splits)
        folds = stratify(indicator, sizes, order=self.order, groups=numbers, rng=rng)
        for fold in range(self.n_splits):
            yield folds == fold


class RepeatedMultilabelStratifiedKFold(GroupsConsumerMixin, _RepeatedSplits):
    """K folds, each with its share of every label, several times over.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    n_repeats : int, default=10
        How many times rows are divided into folds.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffles; an int gives the same folds at every call.
    order : {1, 2}, default=1
        Whether to even out labels only, or pairs of labels too.

    See Also
    --------
    MultilabelStratifiedKFold : Once, where the notes and references are.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.model_selection import RepeatedMultilabelStratifiedKFold
    >>> Y = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [1, 1], [0, 1]])
    >>> cv = RepeatedMultilabelStratifiedKFold(n_splits=2, n_repeats=3, random_state=0)
    >>> [Y[test].sum(axis=0).tolist() for _, test in cv.split(Y, Y)]
    [[2, 2], [2, 2], [2, 2], [2, 2], [2, 2], [2, 2]]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        n_repeats: int = 10,
        random_state: int | RandomState | None = None,
        order: int = 1,
    ) -> None:
        super().__init__(
            MultilabelStratifiedKFold, n_repeats=n_repeats, random_state=random_state, n_splits=n_splits, order=order
        )

    def split(self, X: Any, y: Any, groups: ArrayLike | None = None) -> Iterator[tuple[Positions, Positions]]:
        """Divide rows into a training and a test part, once for each fold of each repetition.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            Only its number of rows matters.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        groups : array-like of shape (n_samples,), default=None
            Rows of the same group stay together; None takes each row by itself.

        Yields
        ------
        train, test : ndarray of int
            Row numbers in ascending order.

        Raises
        ------
        ValueError
            As from :meth:`MultilabelStratifiedKFold.split`.

        Warns
        -----
        UserWarning
            As from :meth:`MultilabelStratifiedKFold.split`.
        """
        return super().split(X, y, groups)


class MultilabelStratifiedShuffleSplit(GroupsConsumerMixin, BaseShuffleSplit):
    """A training and a test part, each with its share of every label, drawn anew each time.

    What :class:`~sklearn.model_selection.StratifiedShuffleSplit` is for classes.

    Parameters
    ----------
    n_splits : int, default=10
        How many times rows are divided.
    test_size : float or int, default=None
        Share of the rows, or number of rows, to test on. None takes what ``train_size`` leaves, or 0.1 if that is None
        too.
    train_size : float or int, default=None
        Share of the rows, or number of rows, to learn from. None takes what ``test_size`` leaves. Rows that belong to
        neither part are left out, with their share of every label.
    random_state : int, RandomState instance or None, default=None
        Seed; an int gives the same parts at every call.
    order : {1, 2}, default=1
        Whether to even out labels only, or pairs of labels too.

    See Also
    --------
    MultilabelStratifiedKFold : Test parts that do not overlap; there the references are.
    multilabel_train_test_split : Arrays divided once.

    Notes
    -----
    Without ``groups`` the sizes are met exactly. With them, all rows of a group are in the same part, and the sizes,
    which count rows here, are met as closely as the groups allow.

    A warning names labels with so few positives that a part cannot be expected to hold one.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.model_selection import MultilabelStratifiedShuffleSplit
    >>> Y = np.repeat([[1, 0], [1, 1], [0, 1]], 8, axis=0)
    >>> for train, test in MultilabelStratifiedShuffleSplit(n_splits=2, test_size=0.25, random_state=0).split(Y, Y):
    ...     print(len(train), Y[train].sum(axis=0), len(test), Y[test].sum(axis=0))
    18 [12 12] 6 [4 4]
    18 [12 12] 6 [4 4]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_splits": [Interval(Integral, 1, None, closed="left")],
        "test_size": _SIZE,
        "train_size": _SIZE,
        "random_state": ["random_state"],
        "order": _ORDER,
    }

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float | None = None,
        train_size: float | None = None,
        random_state: int | RandomState | None = None,
        order: int = 1,
    ) -> None:
        super().__init__(n_splits=n_splits, test_size=test_size, train_size=train_size, random_state=random_state)
        self.order = order

    def split(self, X: Any, y: Any, groups: ArrayLike | None = None) -> Iterator[tuple[Positions, Positions]]:
        """Divide rows into a training and a test part, once for each split.

        Parameters
        ----------
        X : any, with one row for each row of ``y``
            Only its number of rows matters.
        y : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,)
            Label indicator: values 0 and 1.
        groups : array-like of shape (n_samples,), default=None
            Rows of the same group stay together; None takes each row by itself.

        Yields
        ------
        train, test : ndarray of int
            Row numbers in random order.

        Raises
        ------
        ValueError
            If ``y`` is no indicator or has not one row for each row of ``X``, if the sizes leave nothing for a part, or
            if there are fewer groups than parts.

        Warns
        -----
        UserWarning
            If a label has so few positives that less than one is the share of a part, or, with groups, has them in so
            few groups.
        """
        _validate(self)
        return super().split(X, y, groups)

    def _iter_indices(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[Positions, Positions]]:
        rng = check_random_state(self.random_state)
        sizes = _part_sizes(_num_samples(X), self.test_size, self.train_size, self._default_test_size)
        checked = _check_rows(X, y, groups, len(sizes), _enough_for_both(sizes))
        for _ in range(self.n_splits):
            yield _train_and_test(*checked, sizes, self.order, rng)


@validate_params(
    {
        "test_size": _SIZE,
        "train_size": _SIZE,
        "random_state": ["random_state"],
        "shuffle": ["boolean"],
        "stratify": ["array-like", "sparse matrix", None],
        "groups": ["array-like", None],
        "order": _ORDER,
    },
    prefer_skip_nested_validation=True,
)
def multilabel_train_test_split(
    *arrays: Any,
    test_size: float | None = None,
    train_size: float | None = None,
    random_state: int | RandomState | None = None,
    shuffle: bool = True,
    stratify: Any = None,
    groups: ArrayLike | None = None,
    order: int = 1,
) -> list[Any]:
    """Divide arrays into a training and a test part, each with its share of every label.

    Parameters
    ----------
    *arrays : sequence of array-likes, sparse matrices or DataFrames of n_samples rows
    test_size : float or int, default=None
        Share of the rows, or number of rows, to test on. None takes what ``train_size`` leaves, or 0.25 if that is None
        too.
    train_size : float or int, default=None
        Share of the rows, or number of rows, to learn from. None takes what ``test_size`` leaves.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle; an int gives the same parts at every call.
    shuffle : bool, default=True
        Whether chance decides which of the rows with the same labels are tested on, and the order of the rows of each
        part. Otherwise the last of them are, and rows keep their order.
    stratify : array-like, sparse matrix or DataFrame of shape (n_samples, n_labels) or (n_samples,), default=None
        Label indicator: values 0 and 1. None takes the last of ``arrays``.
    groups : array-like of shape (n_samples,), default=None
        Rows of the same group stay together; the sizes are then met as closely as the groups allow.
    order : {1, 2}, default=1
        Whether to even out labels only, or pairs of labels too.

    Returns
    -------
    parts : list of length 2 * len(arrays)
        The training and the test rows of the first array, then those of the second, and so on, of the types that were
        given. Sparse ones are in CSR format.

    Raises
    ------
    ValueError
        If there is no array, the arrays have not equally many rows, ``stratify`` is no indicator, the sizes leave
        nothing for a part, or there are fewer groups than parts.

    Warns
    -----
    UserWarning
        If a label has so few positives that less than one is the share of a part, or, with groups, has them in so few
        groups.

    See Also
    --------
    MultilabelStratifiedShuffleSplit : The same as row numbers, many times; there the notes are.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.model_selection import multilabel_train_test_split
    >>> Y = np.repeat([[1, 0], [1, 1], [0, 1]], 8, axis=0)
    >>> paths = [f"{row}.jpg" for row in range(24)]
    >>> paths_train, paths_test, Y_train, Y_test = multilabel_train_test_split(paths, Y, shuffle=False)
    >>> paths_test
    ['6.jpg', '7.jpg', '14.jpg', '15.jpg', '22.jpg', '23.jpg']
    >>> Y_train.sum(axis=0), Y_test.sum(axis=0)
    (array([12, 12]), array([4, 4]))
    """
    if not arrays:
        raise ValueError("At least one array required as input")
    arrays = indexable(*arrays)
    rng = check_random_state(random_state) if shuffle else None
    sizes = _part_sizes(_num_samples(arrays[0]), test_size, train_size, 0.25)
    y = arrays[-1] if stratify is None else stratify
    checked = _check_rows(arrays[0], y, groups, len(sizes), _enough_for_both(sizes))
    both = _train_and_test(*checked, sizes, order, rng)
    return [_safe_indexing(array, rows) for array in arrays for rows in both]


def _validate(splitter: Any) -> None:
    """Check parameters that scikit-learn's constructor does not."""
    parameters = {name: getattr(splitter, name) for name in splitter._parameter_constraints}
    validate_parameter_constraints(splitter._parameter_constraints, parameters, type(splitter).__name__)


def _part_sizes(n_samples: int, test_size: Any, train_size: Any, default: float) -> Positions:
    """Sizes of the training and the test part, and of the rest if there is one."""
    n_train, n_test = _validate_shuffle_split(n_samples, test_size, train_size, default_test_size=default)
    sizes = np.array([n_train, n_test, n_samples - n_train - n_test])
    return sizes[sizes > 0]


def _enough_for_both(sizes: Positions) -> int:
    """Positives of which one or more is the share of the smaller of the training and the test part."""
    return ceil(sizes.sum() / sizes[:2].min())


def _train_and_test(
    indicator: NDArray[np.uint8], groups: Positions | None, sizes: Positions, order: int, rng: RandomState | None
) -> tuple[Positions, Positions]:
    """Rows of the training and the test part: in random order, or in ascending order if there is no chance in it."""
    parts = stratify(indicator, sizes, order=order, groups=groups, rng=rng)
    train, test = np.flatnonzero(parts == 0), np.flatnonzero(parts == 1)
    return (train, test) if rng is None else (rng.permutation(train), rng.permutation(test))


def _check_rows(X: Any, y: Any, groups: Any, n_parts: int, needed: int) -> tuple[NDArray[np.uint8], Positions | None]:
    """Indicator, and number of the group of each row; labels with fewer positives than needed are warned of."""
    if y is None:
        raise ValueError("Rows are stratified by the labels in y: expected a label indicator, got None.")
    indicator, names = check_indicator(X, y)
    numbers = None if groups is None else _group_numbers(groups, indicator, n_parts)
    _warn_of_rare_labels(indicator, names, numbers, needed)
    return indicator, numbers


def _group_numbers(groups: Any, indicator: NDArray[np.uint8], n_parts: int) -> Positions:
    groups = column_or_1d(check_array(groups, input_name="groups", ensure_2d=False, dtype=None))
    check_consistent_length(indicator, groups)
    distinct, numbers = np.unique(groups, return_inverse=True)
    if len(distinct) < n_parts:
        raise ValueError(
            f"A group is never divided, so {n_parts} parts need {n_parts} groups or more, got {len(distinct)}. Ask for "
            "fewer parts, or pass finer groups."
        )
    return numbers


def _warn_of_rare_labels(
    indicator: NDArray[np.uint8], names: NDArray[np.object_], groups: Positions | None, needed: int
) -> None:
    positives, what = indicator.sum(axis=0, dtype=np.intp), "fewer than {} positives"
    if groups is not None:
        what = "positives in fewer than {} groups"
        positives = np.array([len(np.unique(groups[label == 1])) for label in indicator.T])
    rare = [f"{names[label]} ({positives[label]})" for label in np.flatnonzero(positives < needed)]
    if rare:
        warnings.warn(
            f"Labels with {what.format(needed)} cannot be expected in every part of the split: {listed(rare)}.",
            UserWarning,
            stacklevel=2,
        )
