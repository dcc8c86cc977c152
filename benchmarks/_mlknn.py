"""ML-kNN against its two bare neighbour searches, and against scikit-multilearn-ng."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import make_multilabel_classification
from sklearn.neighbors import NearestNeighbors

from benchmarks._records import Record
from benchmarks._timing import Timed, check_agreement, interleaved_pairs, timed
from skdeep.datasets import load_mulan
from skdeep.multilabel import MLkNN

# The rival's side of a pair: it waits for a line, works once, answers with its seconds, and keeps what it predicted.
_NG_WORKER = """
import sys, time, numpy as np
from skmultilearn.adapt import MLkNN
data = np.load(sys.argv[1])
for _ in sys.stdin:
    start = time.perf_counter()
    predicted = MLkNN(k=10, s=1.0).fit(data["X"], data["Y"]).predict(data["X_test"])
    seconds = time.perf_counter() - start
    np.save(sys.argv[2], predicted.toarray())
    print(seconds, flush=True)
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a training and a test file in ARFF")
    parser.add_argument("--ng-python", metavar="PYTHON", help="interpreter with scikit-multilearn-ng")
    parser.add_argument("--pairs", type=int, default=11, metavar="N", help="interleaved pairs (default: 11)")


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """One record for each side that ours is compared with."""
    X, Y, X_test, name = _table(arguments.files)

    def ours() -> None:
        MLkNN(n_neighbors=10).fit(X, Y).predict(X_test)

    def bare() -> None:
        search = NearestNeighbors(n_neighbors=10).fit(X)
        search.kneighbors(return_distance=False)
        search.kneighbors(X_test, return_distance=False)

    pairs = interleaved_pairs(timed(ours), timed(bare), arguments.pairs)
    yield {"what": "ML-kNN, fit + predict / bare kneighbors", "data": name, **pairs}
    if arguments.ng_python:
        with _ng_worker(arguments.ng_python, X, Y, X_test) as (rival, predictions):
            rival()
            # the rival counts a row among its own neighbours
            predicted = MLkNN(n_neighbors=10, exclude_self=False).fit(X, Y).predict(X_test)
            error = check_agreement(predicted, np.load(predictions), close=False)
            pairs = interleaved_pairs(rival, timed(ours), arguments.pairs)
        yield {"what": "scikit-multilearn-ng MLkNN / ours", "data": name, "relative_error": error, **pairs}


def _table(files: Sequence[str]) -> tuple[Any, Any, Any, str]:
    if files:
        train, test = (load_mulan(file) for file in files)
        return train.data, train.target, test.data, "yeast, official split"
    X, Y = make_multilabel_classification(2417, n_features=103, n_classes=14, n_labels=4, random_state=0)
    return X[:1500], Y[:1500], X[1500:], "generated, 1500 / 917 x 103, 14 labels"


@contextmanager
def _ng_worker(python: str, X: Any, Y: Any, X_test: Any) -> Iterator[tuple[Timed, Path]]:
    with tempfile.TemporaryDirectory() as scratch:
        path, predictions = Path(scratch) / "data.npz", Path(scratch) / "predictions.npy"
        np.savez(path, X=X, Y=Y, X_test=X_test)
        command = [python, "-c", _NG_WORKER, str(path), str(predictions)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
            requests, answers = worker.stdin, worker.stdout
            if requests is None or answers is None:
                raise RuntimeError("the rival's process has no pipes")

            def run_once() -> float:
                requests.write("\n")
                requests.flush()
                return float(answers.readline())

            yield run_once, predictions
            requests.close()
