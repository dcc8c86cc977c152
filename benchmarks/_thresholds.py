"""The exact search for thresholds against a grid of 100 of them, by this library's F2 and by scikit-learn's."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.metrics import fbeta_score

from benchmarks._records import Record
from benchmarks._timing import interleaved_pairs, timed
from skdeep.datasets import load_planet_labels
from skdeep.metrics import fbeta_at_threshold
from skdeep.multilabel import optimal_thresholds

SCOPES = ("global", "per_label", "cardinality", "rank")
METRICS = (
    "f2_samples",
    "f2_micro",
    "f2_macro",
    "jaccard_samples",
    "jaccard_micro",
    "jaccard_macro",
    "subset_accuracy",
    "neg_hamming_loss",
)
N_ROWS, N_LABELS = 40479, 17  # Planet's

_GRID = np.arange(100) / 100


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="Planet's train_v2.csv (default: generated labels)")
    parser.add_argument("--rows", type=int, metavar="N", help="the first N rows only (default: all)")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="interleaved pairs (default: 7)")


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """One record for each grid, and one with all scopes and metrics."""
    Y, name = _labels(arguments.file)
    Y = Y[: arguments.rows]
    scores = _scores(Y)
    name = f"{name}, {len(Y)} x {Y.shape[1]}"

    def exact() -> float:
        return optimal_thresholds(Y, scores, metric="f2_samples").score

    def ours() -> float:
        return max(fbeta_at_threshold(Y, scores, threshold=float(threshold)) for threshold in _GRID)

    def theirs() -> float:
        return max(
            float(fbeta_score(Y, scores >= threshold, beta=2, average="samples", zero_division=1))
            for threshold in _GRID
        )

    grids: dict[str, Callable[[], float]] = {"fbeta_at_threshold": ours, "scikit-learn's fbeta_score": theirs}
    for by, grid in grids.items():
        reached = {"grid": grid(), "exact": exact()}
        pairs = interleaved_pairs(timed(grid), timed(exact), arguments.pairs, warm_up=False)
        yield {"what": f"grid of 100 thresholds, {by} / exact search", "data": name, "scores": reached, **pairs}
    yield {"what": "exact search", "data": name, **_by_scope_and_metric(Y, scores, arguments.pairs)}


def _by_scope_and_metric(Y: NDArray[Any], scores: NDArray[np.float64], n_runs: int) -> Record:
    """Median seconds and the score that is reached."""
    record: Record = {"n_runs": n_runs, "seconds": {}, "scores": {}}
    for scope in SCOPES:
        for metric in METRICS:

            def search(metric: str = metric, scope: Any = scope) -> float:
                return optimal_thresholds(Y, scores, metric=metric, scope=scope).score

            record["scores"].setdefault(scope, {})[metric] = search()
            seconds = float(np.median([timed(search)() for _ in range(n_runs)]))
            record["seconds"].setdefault(scope, {})[metric] = seconds
    return record


def _labels(file: str | None) -> tuple[NDArray[Any], str]:
    if file is not None:
        return load_planet_labels(file).target, "Planet's labels, simulated scores"
    shares = np.geomspace(0.9, 0.003, N_LABELS)
    return (np.random.default_rng(0).random((N_ROWS, N_LABELS)) < shares).astype(np.int64), "generated"


def _scores(Y: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities that tell the labels apart about as well as a network's do."""
    shares = np.clip(Y.mean(axis=0), 1e-3, 1 - 1e-3)
    noise = np.random.default_rng(1).normal(scale=1.2, size=Y.shape)
    return expit(logit(shares) + 2.5 * (Y - shares) + noise)
