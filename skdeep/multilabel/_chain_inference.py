"""How a chain of conditional probabilities is searched for its label sets without listing all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.stats import binom

# Probability that the label of a link is on, of shape (n_samples,), given the earlier labels, (n_samples, link).
Ask = Callable[[int, NDArray[np.uint8]], NDArray[np.float64]]


class Prefixes(NamedTuple):
    """For each row, the beginnings of label sets that a search follows.

    Attributes
    ----------
    labels : ndarray of uint8 of shape (n_samples, n_followed, n_labels)
        In the order of the chain.
    log_probability : ndarray of shape (n_samples, n_followed)
    weight : ndarray of shape (n_samples, n_followed)
        How much each counts in a marginal probability; 0 marks a place that a row does not need.
    """

    labels: NDArray[np.uint8]
    log_probability: NDArray[np.float64]
    weight: NDArray[np.float64]


# What to follow of the prefixes, once they are extended by a link's label, given its probability after each.
Choose = Callable[[Prefixes, NDArray[np.float64], int], Prefixes]


def search_chain(
    ask: Ask, n_samples: int, n_labels: int, choose: Choose
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Go along a chain, following several label sets for each row.

    Parameters
    ----------
    ask : callable
        ``ask(link, earlier)`` gives the probability of the link's label, given the earlier ones.
    n_samples, n_labels : int
    choose : callable
        ``choose(prefixes, probability, link)`` extends the prefixes by a label and says which to follow:
        :class:`Beam` or :class:`Sampling`.

    Returns
    -------
    label_sets : ndarray of uint8 of shape (n_samples, n_labels)
        The most probable set of those that were followed to the end.
    marginals : ndarray of float of shape (n_samples, n_labels)
        Probability of each label, over the prefixes that were followed to its link.
    """
    followed = Prefixes(
        np.zeros((n_samples, 1, n_labels), dtype=np.uint8), np.zeros((n_samples, 1)), np.ones((n_samples, 1))
    )
    marginals = np.zeros((n_samples, n_labels))
    for link in range(n_labels):
        probability = np.column_stack(
            [ask(link, followed.labels[:, place, :link]) for place in range(followed.weight.shape[1])]
        ).astype(np.float64)
        marginals[:, link] = np.average(probability, axis=1, weights=followed.weight)
        followed = choose(followed, probability, link)
    best = np.argmax(np.where(followed.weight > 0, followed.log_probability, -np.inf), axis=1)
    return followed.labels[np.arange(n_samples), best], np.clip(marginals, 0, 1)


class Beam:
    """Follow the ``width`` most probable prefixes of each row; with 2 ** n_labels of them the search is exhaustive."""

    def __init__(self, width: int) -> None:
        self._width = width

    def __call__(self, prefixes: Prefixes, probability: NDArray[np.float64], link: int) -> Prefixes:
        """Extend, and keep the most probable."""
        extended = _extend(prefixes, probability, link)
        kept = np.argsort(-extended.log_probability, axis=1, kind="stable")[:, : self._width]
        log_probability = np.take_along_axis(extended.log_probability, kept, axis=1)
        # the most probable has weight 1, so that long chains do not underflow
        weight = np.exp(log_probability - log_probability[:, :1])
        return Prefixes(np.take_along_axis(extended.labels, kept[..., None], axis=1), log_probability, weight)


class Sampling:
    """Follow ``n_draws`` label sets of each row that are drawn from the chain; equal prefixes are asked about once.

    All rows stand under the same random numbers, so that what is drawn for one does not depend on the others.
    """

    def __init__(self, n_draws: int, rng: RandomState) -> None:
        self._n_draws = n_draws
        self._rng = rng

    def __call__(self, prefixes: Prefixes, probability: NDArray[np.float64], link: int) -> Prefixes:
        """Extend, and draw how many of each prefix go on with the label and how many without."""
        extended = _extend(prefixes, probability, link)
        n_before = (prefixes.weight if link else self._n_draws * prefixes.weight).astype(np.int64)
        chance = self._rng.uniform(size=self._n_draws)[: probability.shape[1]]
        n_on = np.clip(binom.ppf(chance, np.maximum(n_before, 1), probability), 0, n_before).astype(np.int64)
        counts = _interleave(n_on, n_before - n_on)
        kept = np.argsort(-counts, axis=1, kind="stable")[:, : int((counts > 0).sum(axis=1).max())]
        return Prefixes(
            np.take_along_axis(extended.labels, kept[..., None], axis=1),
            np.take_along_axis(extended.log_probability, kept, axis=1),
            np.take_along_axis(counts, kept, axis=1).astype(np.float64),
        )


def _extend(prefixes: Prefixes, probability: NDArray[np.float64], link: int) -> Prefixes:
    """Both ways on from each prefix: with the label, then without it, so that the label wins a tie."""
    labels = np.repeat(prefixes.labels, 2, axis=1)
    labels[:, ::2, link] = 1
    with np.errstate(divide="ignore"):
        steps = _interleave(np.log(probability), np.log1p(-probability))
    return Prefixes(
        labels, np.repeat(prefixes.log_probability, 2, axis=1) + steps, np.repeat(prefixes.weight, 2, axis=1)
    )


def _interleave(first: NDArray, second: NDArray) -> NDArray:  # type: ignore[type-arg]
    return np.stack([first, second], axis=2).reshape(len(first), -1)
