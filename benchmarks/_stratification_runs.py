"""Splitters of several packages, each of which works in a process of its own, until a time limit."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# The splitter is warmed up on some rows, works once, and answers with its seconds and the version of its package. They
# are seconds of the processor, which other work on the machine does not lengthen: every splitter is one thread.
# scikit-multilearn knows no seed but that of numpy's global generator.
_WORKER = """
import json, sys, time
from importlib.metadata import version
import numpy as np
{imports}
Y, seed, n_splits = np.load(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
np.random.seed(seed)
list({splitter}.split(Y[:200], Y[:200]))
start = time.process_time()
splits = list({splitter}.split(Y, Y))
seconds = time.process_time() - start
folds = np.full(len(Y), -1)
for fold, (_, test) in enumerate(splits):
    folds[test] = fold
np.save(sys.argv[2], folds)
print(json.dumps({{"seconds": seconds, "version": version({package!r})}}))
"""


@dataclass(frozen=True)
class Splitter:
    """A splitter of one of the packages.

    Attributes
    ----------
    name : str
    order : int
        1 for labels, 2 for pairs too.
    package : str
        Its distribution.
    imports : str
        The statement that gives its class.
    call : str
        The expression that makes one, of ``n_splits`` and ``seed``.
    python : str
        The interpreter that has it.
    """

    name: str
    order: int
    package: str
    imports: str
    call: str
    python: str = sys.executable


def splitters(ng_python: str | None) -> list[Splitter]:
    """Ours and those of the packages that are there."""
    ours = ("skdeep", "from skdeep.model_selection import MultilabelStratifiedKFold as KFold")
    found = [
        splitter
        for order in (1, 2)
        for splitter in (
            Splitter("skdeep", order, *ours, f"KFold(n_splits, order={order})"),
            Splitter(
                "skdeep, shuffled", order, *ours, f"KFold(n_splits, shuffle=True, random_state=seed, order={order})"
            ),
        )
    ]
    if find_spec("iterstrat"):
        rival = ("iterative-stratification", "from iterstrat.ml_stratifiers import MultilabelStratifiedKFold as KFold")
        found.append(Splitter(rival[0], 1, *rival, "KFold(n_splits, shuffle=True, random_state=seed)"))
    rivals = {"scikit-multilearn": sys.executable}
    if ng_python:
        rivals["scikit-multilearn-ng"] = ng_python
    imports = "from skmultilearn.model_selection import IterativeStratification as KFold"
    return found + [
        Splitter(package, order, package, imports, f"KFold(n_splits, order={order})", python)
        for package, python in rivals.items()
        for order in (1, 2)
    ]


def run(splitter: Splitter, Y: Array, n_splits: int, seed: int, limit: float) -> tuple[Array, float, str] | None:
    """Fold of each row, seconds of the processor, and the version of the package; None if the time limit ends it.

    Raises
    ------
    RuntimeError
        If the splitter fails, or leaves rows out.
    """
    code = _WORKER.format(imports=splitter.imports, splitter=splitter.call, package=splitter.package)
    with tempfile.TemporaryDirectory() as scratch:
        labels, folds = Path(scratch) / "labels.npy", Path(scratch) / "folds.npy"
        np.save(labels, Y)
        command = [splitter.python, "-W", "ignore", "-c", code, str(labels), str(folds), str(seed), str(n_splits)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode:
            raise RuntimeError(f"{splitter.name} failed:\n{done.stderr}")
        answer, fold_of_each = json.loads(done.stdout), np.load(folds)
    if fold_of_each.min() < 0:
        raise RuntimeError(f"{splitter.name} tests on {np.mean(fold_of_each >= 0):.1%} of the rows only.")
    return fold_of_each, answer["seconds"], answer["version"]
