"""scikit-multilearn-ng at work: a process of its own, since it cannot be installed beside scikit-multilearn."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._timing import Timed

# It waits for a line, works once, answers with its seconds, and keeps what it predicted.
_WORKER = """
import sys, time, numpy as np
from sklearn.linear_model import LogisticRegression
from skmultilearn.adapt import MLkNN
from skmultilearn.problem_transform import LabelPowerset
data = np.load(sys.argv[1])
classifier, method, times_fit = sys.argv[3:]
fitted = eval(classifier).fit(data["X"], data["Y"])
for _ in sys.stdin:
    start = time.perf_counter()
    if times_fit == "True":
        fitted = eval(classifier).fit(data["X"], data["Y"])
    answer = getattr(fitted, method)(data["X_test"])
    seconds = time.perf_counter() - start
    np.save(sys.argv[2], answer.toarray())
    print(seconds, flush=True)
"""


@contextmanager
def ng_worker(
    python: str, classifier: str, method: str, X: Any, Y: Any, X_test: Any, *, times_fit: bool
) -> Iterator[tuple[Timed, Path]]:
    """Start the rival, and stop it.

    Parameters
    ----------
    python : str
        Interpreter of an environment with scikit-multilearn-ng.
    classifier : str
        The expression that makes it.
    method : str
        What it is asked about ``X_test``.
    X, Y, X_test : arrays
    times_fit : bool
        Whether the seconds are those of fit and answer, or of the answer only.

    Yields
    ------
    work : callable
        Does the work once and gives its seconds.
    answers : Path
        The file of the last answers.
    """
    with tempfile.TemporaryDirectory() as scratch:
        data, answers = Path(scratch) / "data.npz", Path(scratch) / "answers.npy"
        np.savez(data, X=X, Y=Y, X_test=X_test)
        command = [python, "-W", "ignore", "-c", _WORKER, str(data), str(answers), classifier, method, str(times_fit)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
            requests, seconds = worker.stdin, worker.stdout
            if requests is None or seconds is None:
                raise RuntimeError("the rival's process has no pipes")

            def run_once() -> float:
                requests.write("\n")
                requests.flush()
                return float(seconds.readline())

            yield run_once, answers
            requests.close()
