"""The work behind every multi-label split: rows dealt to parts, so that each part has its share of every label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Counts = NDArray[np.intp]

# What an uneven pair of labels costs, beside an uneven label that is as frequent. Measured on yeast, Planet and
# generated labels: pairs come out much more even, and labels nearly as even as without pairs.
_PAIR_COST = 0.1


def stratify(
    indicator: NDArray[np.uint8],
    sizes: ArrayLike,
    *,
    order: int = 1,
    groups: NDArray[np.intp] | None = None,
    rng: np.random.RandomState | None = None,
) -> NDArray[np.intp]:
    """Deal rows to parts of given sizes, so that each part has its share of every label.

    As in iterative stratification [1]_, rare labels are dealt before frequent ones, and each row goes to the part that
    lacks its labels most. Three things are done otherwise, for speed and evenness:

    - Rows of equal label sets are interchangeable: most of them are dealt at once, in proportion, and only the rest is
      dealt one by one.
    - What a part lacks is summed over all labels of a row, each weighted by one over its frequency, so that the dealing
      keeps the chi-squared statistic of parts and labels low.
    - A label that most rows have counts by the rows that lack it.

    Parameters
    ----------
    indicator : ndarray of uint8 of shape (n_samples, n_labels)
    sizes : array-like of int of shape (n_parts,)
        Rows of each part, positive, ``n_samples`` in all. Without groups they are met exactly.
    order : {1, 2}, default=1
        With 2, pairs of labels are evened out too [2]_.
    groups : ndarray of intp of shape (n_samples,), default=None
        Number of the group of each row, from 0 on without gaps. A group is dealt whole; there must be at least as many
        as parts, and no part stays empty.
    rng : RandomState, default=None
        Decides which of equal rows goes where, and the order of rows that are about as rare. None takes rows as they
        stand: of equal rows, the first go to the first part.

    Returns
    -------
    parts : ndarray of intp of shape (n_samples,)
        Number of the part of each row.

    References
    ----------
    .. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011,
           algorithm 1.
    .. [2] P. Szymański, T. Kajdanowicz, "A Network Perspective on Stratification of Multi-Label Data", LIDTA 2017,
           PMLR 74, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.model_selection._stratify import stratify
    >>> stratify(np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [0, 1]], dtype=np.uint8), [4, 2])
    array([0, 1, 0, 0, 0, 1])
    """
    sizes = np.asarray(sizes, dtype=np.intp)
    rarer = np.where(2 * indicator.sum(axis=0, dtype=np.intp) > len(indicator), 1 - indicator, indicator)
    if groups is None:
        first, kinds, counts = _equal_rows(rarer)
        items = _count_items(rarer[first], counts, order)
        rows_of_each = np.ones_like(counts)
    else:
        kinds, rows_of_each = groups, np.bincount(groups)
        items = _put_together(_count_items(rarer, np.ones_like(groups), order), groups)
    dealt = _deal_in_proportion(items.counts, sizes)
    _deal_one_by_one(items, dealt, sizes, rng)
    within_kinds = np.arange(len(kinds)) if rng is None else rng.permutation(len(kinds))
    in_line = np.lexsort([within_kinds, kinds])
    parts = np.empty(len(kinds), dtype=np.intp)
    runs = (dealt * rows_of_each[:, None]).ravel()
    parts[in_line] = np.repeat(np.tile(np.arange(len(sizes)), len(dealt)), runs)
    return parts


@dataclass(frozen=True)
class _Items:
    """What is dealt: distinct label sets, or groups.

    Attributes
    ----------
    holdings : csr_array of shape (n_items, n_columns)
        What an item holds of all that is to be even: rows in the first column, then rows with each label, then rows
        with each pair of labels.
    counts : ndarray of intp of shape (n_items,)
        How many there are of each.
    costs : ndarray of shape (n_columns,)
        What an uneven column costs, beside another that is as frequent.
    """

    holdings: sparse.csr_array
    counts: Counts
    costs: NDArray[np.float64]


def _equal_rows(indicator: NDArray[np.uint8]) -> tuple[Counts, Counts, Counts]:
    """First row of each distinct label set, the label set of each row, and how many rows have it."""
    bits = np.packbits(indicator, axis=1)
    # one string of bytes a row: numpy sorts them some forty times as fast as rows
    keys = np.ascontiguousarray(bits).view(f"S{bits.shape[1]}").ravel()
    _, first, kinds, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return first, kinds, counts


def _count_items(indicator: NDArray[np.uint8], counts: Counts, order: int) -> _Items:
    """Items of a row each."""
    labels = sparse.csr_array(indicator, dtype=np.float64)
    blocks = [sparse.csr_array(np.ones((len(indicator), 1))), labels]
    if order == 2:
        blocks.append(_pairs(labels))
    holdings = sparse.csr_array(sparse.hstack(blocks, format="csr"))
    costs = np.where(np.arange(holdings.shape[1]) > labels.shape[1], _PAIR_COST, 1)
    return _Items(holdings, counts, costs)


def _put_together(rows: _Items, groups: NDArray[np.intp]) -> _Items:
    """Items of a group each, out of those of a row each."""
    n_groups = groups.max() + 1
    members = sparse.csr_array((np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(n_groups, len(groups)))
    return _Items(sparse.csr_array(members @ rows.holdings), np.ones(n_groups, dtype=np.intp), rows.costs)


def _pairs(labels: sparse.csr_array) -> sparse.csr_array:
    """Indicator of the pairs of labels that occur, a column a pair."""
    n_rows, n_labels = labels.shape
    lengths = np.diff(labels.indptr)
    rows, pairs = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
    for length in np.unique(lengths[lengths > 1]):
        alike = np.flatnonzero(lengths == length)
        held = labels.indices[labels.indptr[alike, None] + np.arange(length)].astype(np.intp)
        one, other = np.triu_indices(length, 1)
        pairs.append((held[:, one] * n_labels + held[:, other]).ravel())
        rows.append(np.repeat(alike, len(one)))
    row, pair = np.concatenate(rows), np.concatenate(pairs)
    distinct, column = np.unique(pair, return_inverse=True)
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=(n_rows, len(distinct)))


def _deal_in_proportion(counts: Counts, sizes: Counts) -> Counts:
    """Deal most items of each kind at once, in the proportion of the parts: a row a kind, a column a part.

    A unit is one item to the smallest part, and to the others as many as are nearest to their proportion. The last
    whole unit of each kind is kept: it holds what the rounding of the others may have dealt in excess, and leaves
    something to choose from.
    """
    units = np.maximum(counts * sizes.min() // sizes.sum() - 1, 0)
    return np.rint(np.outer(units, sizes / sizes.min())).astype(np.intp)


def _deal_one_by_one(items: _Items, dealt: Counts, sizes: Counts, rng: np.random.RandomState | None) -> None:
    """Deal what is left, the rarest first, each item to the part where it is least in excess; count it in ``dealt``.

    A part is in excess of a column by what it got, less what it should have got by now: what it needs of the column in
    all is spread evenly over what is left of it, so that the first items do not all go where most is needed. Excesses
    are squared, divided by what the part should hold in the end, and summed over the columns of the item.
    """
    shares = sizes / sizes.sum()
    columns, amounts = items.holdings.indices, items.holdings.data
    starts = items.holdings.indptr.tolist()
    totals = items.holdings.T @ items.counts
    left = items.counts - dealt.sum(axis=1)
    needs = np.outer(totals, shares) - items.holdings.T @ dealt
    pace = needs / np.maximum(items.holdings.T @ left, 1)[:, None]
    weighted = (items.costs / np.maximum(totals, 1))[columns] * amounts
    rarity = np.add.reduceat(weighted * amounts, starts[:-1])
    own_cost = np.outer(rarity, 0.5 / shares)

    excess = np.zeros_like(pace)
    rows_of_each = items.holdings[:, [0]].toarray().ravel()
    filled = rows_of_each @ dealt
    queue = _queue(rarity, left, rng)
    for n_waiting, item in zip(range(len(queue), 0, -1), queue, strict=True):
        held = slice(starts[item], starts[item + 1])
        column, amount = columns[held], amounts[held, None]
        present = excess[column] - pace[column] * amount
        # added row by row, so that equal parts have equal costs to the last bit, whatever the machine
        cost = (present * weighted[held, None]).sum(axis=0) / shares + own_cost[item]
        cost[_closed(filled, sizes, n_waiting)] = np.inf
        part = int(cost.argmin())
        present[:, part] += amounts[held]
        excess[column] = present
        filled[part] += rows_of_each[item]
        dealt[item, part] += 1


def _closed(filled: NDArray[np.float64], sizes: Counts, n_waiting: int) -> NDArray[np.bool_]:
    """Parts that get no more: the full ones; and all that have something, when the others need all that is waiting."""
    return filled > 0 if n_waiting <= np.count_nonzero(filled == 0) else filled >= sizes


def _queue(rarity: NDArray[np.float64], left: Counts, rng: np.random.RandomState | None) -> list[int]:
    """Items in the order in which they are dealt; by chance, one goes before another that is up to twice as rare."""
    queue = np.repeat(np.arange(len(left)), left)
    keys = rarity[queue] if rng is None else rarity[queue] * rng.uniform(0.5, 1, len(queue))
    return queue[np.argsort(-keys, kind="stable")].tolist()
