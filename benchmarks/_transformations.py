"""Binary relevance, chains and powersets against scikit-learn's own, scikit-multilearn-ng's, and with two processes."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain as SklearnChain
from sklearn.multioutput import MultiOutputClassifier
from threadpoolctl import threadpool_limits

from benchmarks._ng import ng_worker
from benchmarks._records import Record
from benchmarks._tables import Table, add_table_options, chosen_tables
from benchmarks._timing import Timed, check_agreement, interleaved_pairs, timed
from skdeep.multilabel import BinaryRelevance, ClassifierChain, LabelPowerset

BASE = LogisticRegression(max_iter=100)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_table_options(parser)


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """Ours over scikit-learn's, fit and prediction; one process over two; ng's powerset probabilities over ours."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the same number of iterations on both sides
        for table in chosen_tables(arguments):
            n_pairs = arguments.large_pairs if table.is_large else arguments.pairs
            yield from _against_scikit_learn(table, n_pairs)
            if table.is_large:
                yield _with_processes(table, n_pairs)
            elif arguments.ng_python:
                yield _against_ng(arguments.ng_python, table, n_pairs)


def _against_scikit_learn(table: Table, n_pairs: int) -> Iterator[Record]:
    for name, ours, theirs in (
        ("BinaryRelevance / MultiOutputClassifier", BinaryRelevance(BASE), MultiOutputClassifier(BASE)),
        ("ClassifierChain / scikit-learn's", ClassifierChain(BASE), SklearnChain(BASE)),
    ):
        pairs = interleaved_pairs(_fit(ours, table), _fit(theirs, table), n_pairs, warm_up=not table.is_large)
        error = check_agreement(ours.predict(table.X_test), theirs.predict(table.X_test), close=False)
        yield {"what": f"{name}, fit", "data": table.name, "relative_error": error, **pairs}
        pairs = interleaved_pairs(_predict(ours, table), _predict(theirs, table), n_pairs)
        yield {"what": f"{name}, predict", "data": table.name, "relative_error": error, **pairs}


def _with_processes(table: Table, n_pairs: int) -> Record:
    one, two = (ClassifierChain(BASE, n_jobs=n_jobs) for n_jobs in (None, 2))
    pairs = interleaved_pairs(_fit(one, table), _fit(two, table), n_pairs, warm_up=False)
    return {"what": "ClassifierChain, one process / two, fit", "data": table.name, **pairs}


def _against_ng(python: str, table: Table, n_pairs: int) -> Record:
    ours = LabelPowerset(BASE).fit(table.X, table.Y)
    rival_side = ng_worker(
        python,
        f"LabelPowerset({BASE!r}, require_dense=[True, True])",
        "predict_proba",
        table.X,
        table.Y,
        table.X_test,
        times_fit=False,
    )
    with rival_side as (rival, probabilities):
        rival()
        error = check_agreement(ours.predict_proba(table.X_test), np.load(probabilities), close=False)
        pairs = interleaved_pairs(rival, timed(partial(ours.predict_proba, table.X_test)), min(n_pairs, 3))
    return {
        "what": "scikit-multilearn-ng LabelPowerset / ours, predict_proba",
        "data": table.name,
        "relative_error": error,
        **pairs,
    }


def _fit(classifier: Any, table: Table) -> Timed:
    return timed(partial(classifier.fit, table.X, table.Y))


def _predict(classifier: Any, table: Table) -> Timed:
    return timed(partial(classifier.predict, table.X_test))
