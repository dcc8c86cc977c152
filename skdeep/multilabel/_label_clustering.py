"""Clusters of labels that occur in the same rows, by k-means with or without a limit of their size."""

from __future__ import annotations

from bisect import insort
from collections import deque

import numpy as np
from numpy.typing import NDArray

_MAX_ITER = 20


def cooccurrence(indicator: NDArray[np.uint8]) -> NDArray[np.float64]:
    """In how many rows each two labels are both, shape (n_labels, n_labels): the products of their columns."""
    columns = indicator.astype(np.float32)  # counts are exact up to 16 million rows
    return (columns.T @ columns).astype(np.float64)


def cluster_labels(
    products: NDArray[np.float64], n_clusters: int, capacity: int, random_state: np.random.RandomState
) -> NDArray[np.intp]:
    """Cluster labels by the Euclidean distance of their columns, which the products of columns tell.

    Parameters
    ----------
    products : ndarray of shape (n_labels, n_labels)
        What :func:`cooccurrence` gives.
    n_clusters : int
    capacity : int
        How many labels a cluster may have; all clusters together must have room for all labels.
    random_state : RandomState
        Draws the first centres, as k-means++ does.

    Returns
    -------
    clusters : ndarray of int of shape (n_labels,)
        Position of each label's cluster; a cluster may stay empty.
    """
    members = np.zeros((len(products), n_clusters))
    members[_draw_centres(products, n_clusters, random_state), np.arange(n_clusters)] = 1
    clusters = np.full(len(products), -1, dtype=np.intp)
    for _ in range(_MAX_ITER):
        before, clusters = clusters, assign(_distances(products, members), capacity)
        if np.array_equal(before, clusters):
            break
        members = np.eye(n_clusters)[clusters]
    return clusters


def assign(distances: NDArray[np.float64], capacity: int) -> NDArray[np.intp]:
    """Put each label into its nearest cluster; a cluster that has too many sends the farthest on to their next.

    Parameters
    ----------
    distances : ndarray of shape (n_labels, n_clusters)
    capacity : int

    Returns
    -------
    clusters : ndarray of int of shape (n_labels,)
    """
    n_labels, n_clusters = distances.shape
    nearest = np.argsort(distances, axis=1, kind="stable")
    tried = np.zeros(n_labels, dtype=np.intp)
    inside: list[list[tuple[float, int]]] = [[] for _ in range(n_clusters)]
    waiting = deque(range(n_labels))
    while waiting:
        label = waiting.popleft()
        cluster = nearest[label, tried[label]]
        tried[label] += 1
        insort(inside[cluster], (float(distances[label, cluster]), label))
        if len(inside[cluster]) > capacity:
            waiting.append(inside[cluster].pop()[1])
    clusters = np.empty(n_labels, dtype=np.intp)
    for cluster, labels in enumerate(inside):
        clusters[[label for _, label in labels]] = cluster
    return clusters


def _draw_centres(products: NDArray[np.float64], n_clusters: int, random_state: np.random.RandomState) -> list[int]:
    """Draw labels one after the other, each by the square of its distance to those drawn before."""
    squares = np.diag(products)
    drawn = [int(random_state.randint(len(products)))]
    while len(drawn) < n_clusters:
        from_each = squares[:, np.newaxis] + squares[drawn] - 2 * products[:, drawn]
        nearest = from_each.min(axis=1)
        chances = nearest / nearest.sum() if nearest.any() else None
        drawn.append(int(random_state.choice(len(products), p=chances)))
    return drawn


def _distances(products: NDArray[np.float64], members: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distance of each label to each cluster's mean, infinite where the cluster is empty."""
    sizes = members.sum(axis=0)
    weights = members / np.maximum(sizes, 1)
    to_means = products @ weights
    of_means = (weights * to_means).sum(axis=0)
    distances = np.diag(products)[:, np.newaxis] - 2 * to_means + of_means
    return np.where(sizes > 0, distances, np.inf)
