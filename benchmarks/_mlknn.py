"""ML-kNN against its two bare neighbour searches, and against scikit-multilearn-ng."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks._ng import ng_worker
from benchmarks._records import Record
from benchmarks._tables import add_table_options, chosen_tables
from benchmarks._timing import check_agreement, interleaved_pairs, timed
from skdeep.multilabel import MLkNN


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_table_options(parser)


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """One record for each side that ours is compared with, on each table; the rival on the small one only."""
    for table in chosen_tables(arguments):
        n_pairs = arguments.large_pairs if table.is_large else arguments.pairs
        ours = timed(partial(_ours, table.X, table.Y, table.X_test))
        pairs = interleaved_pairs(ours, timed(partial(_bare, table.X, table.X_test)), n_pairs)
        yield {"what": "ML-kNN, fit + predict / bare kneighbors", "data": table.name, **pairs}
        if arguments.ng_python and not table.is_large:
            rival_side = ng_worker(
                arguments.ng_python, "MLkNN(k=10, s=1.0)", "predict", table.X, table.Y, table.X_test, times_fit=True
            )
            with rival_side as (rival, predictions):
                rival()
                # the rival counts a row among its own neighbours
                predicted = MLkNN(n_neighbors=10, exclude_self=False).fit(table.X, table.Y).predict(table.X_test)
                error = check_agreement(predicted, np.load(predictions), close=False)
                pairs = interleaved_pairs(rival, ours, n_pairs)
            yield {"what": "scikit-multilearn-ng MLkNN / ours", "data": table.name, "relative_error": error, **pairs}


def _ours(X: Any, Y: Any, X_test: Any) -> None:
    MLkNN(n_neighbors=10).fit(X, Y).predict(X_test)


def _bare(X: Any, X_test: Any) -> None:
    search = NearestNeighbors(n_neighbors=10).fit(X)
    search.kneighbors(return_distance=False)
    search.kneighbors(X_test, return_distance=False)
