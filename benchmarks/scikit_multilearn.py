"""What works of scikit-multilearn on today's scikit-learn: as it comes, its fork, and through the adapter.

Every class is fitted on a small generated table; predicts; is searched by GridSearchCV, scored by average precision if
it has probabilities; goes through cross_val_predict; and is fitted on a sparse array. What it answers is compared with
skdeep's own class for the same algorithm.

    python -m benchmarks.scikit_multilearn [--ng-python PATH] [--case NAME]... [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks._records import Record, default_output, environment, open_output, to_markdown, write_record
from benchmarks._skmultilearn_rival import CASES, FIT, IMPORT, PREDICT, PROBABILITIES
from skdeep.multilabel import BinaryRelevance, BRkNN, ClassifierChain, LabelPowerset, MLkNN

Array = np.ndarray[Any, Any]

ADAPTER = "through `SkMultilearnClassifier`"
CLOSE = 1e-3  # probabilities that differ by less are the same: solvers stop a little earlier or later

_BASE = LogisticRegression(max_iter=1000, tol=1e-8)
# The same algorithm here; ensembles of label powersets are compared on the labelsets that they have drawn.
_OURS: dict[str, Any] = {
    "BinaryRelevance": BinaryRelevance(_BASE),
    "ClassifierChain": ClassifierChain(_BASE),
    "ClassifierChain, order": ClassifierChain(_BASE, order=[2, 0, 3, 1]),
    "LabelPowerset": LabelPowerset(_BASE),
    "ProbabilisticClassifierChain": ClassifierChain(_BASE, inference="beam", beam_width=16),
    "MLkNN": MLkNN(),
    "MLkNN, ignore_first_neighbours=1": MLkNN(),
    "BRkNNaClassifier": BRkNN(extension="a"),
    "BRkNNbClassifier": BRkNN(extension="b"),
}
_FORK = "the fork, in an environment of its own"
# The labelsets that cases ask for.
_ASKED = {"RakelO": 4, "MajorityVotingClassifier, RandomLabelSpaceClusterer": 4}
INSTEAD = {
    "BinaryRelevance": "`multilabel.BinaryRelevance`",
    "ClassifierChain": "`multilabel.ClassifierChain`",
    "ClassifierChain, order": "`multilabel.ClassifierChain(order=...)`",
    "LabelPowerset": "`multilabel.LabelPowerset`",
    "ProbabilisticClassifierChain": '`multilabel.ClassifierChain(inference="beam")`',
    "InstanceBasedLogisticRegression": "`multilabel.IBLRML`",
    "MLkNN": "`multilabel.MLkNN`",
    "MLkNN, ignore_first_neighbours=1": "`multilabel.MLkNN` (its default)",
    "BRkNNaClassifier": '`multilabel.BRkNN(extension="a")`',
    "BRkNNbClassifier": '`multilabel.BRkNN(extension="b")`',
    "MLTSVM": _FORK,
    "MLARAM": _FORK,
    "RakelD": "`multilabel.RAkEL(overlapping=False)`",
    "RakelD, labelset_size divides": "`multilabel.RAkEL(overlapping=False)`",
    "RakelO": "`multilabel.RAkEL`",
    "LabelSpacePartitioningClassifier, FixedLabelSpaceClusterer": "`SkMultilearnClassifier` around it",
    "LabelSpacePartitioningClassifier, MatrixLabelSpaceClusterer": "`SkMultilearnClassifier`, with "
    "`FixedLabelSpaceClusterer` of its clusters",
    "LabelSpacePartitioningClassifier, RandomLabelSpaceClusterer": "`multilabel.RAkEL(overlapping=False)`",
    "MajorityVotingClassifier, FixedLabelSpaceClusterer": "`SkMultilearnClassifier` around it",
    "MajorityVotingClassifier, RandomLabelSpaceClusterer": "`multilabel.RAkEL`",
    "IterativeStratification": "`model_selection.MultilabelStratifiedKFold`",
    "IterativeStratification, random_state": "`model_selection.MultilabelStratifiedKFold(shuffle=True)`",
    "iterative_train_test_split": "`model_selection.multilabel_train_test_split`",
    "model_selection.measures": _FORK,
    "cluster.NetworkXLabelGraphClusterer": _FORK,
    "dataset": "`datasets.load_mulan`",
    "embedding": "none",
    "ext": "none",
}


def make_problem() -> dict[str, Array]:
    """100 training and 40 test rows with four labels; every fold of them has both values of each."""
    X, Y = make_multilabel_classification(n_samples=140, n_features=6, n_classes=4, n_labels=2, random_state=3)
    X = StandardScaler().fit_transform(X)
    return {"X": X[:100], "Y": Y[:100], "X_test": X[100:]}


def run_rival(python: str, problem: dict[str, Array], wrapper: str, names: Sequence[str]) -> dict[str, Any]:
    """What ``_skmultilearn_rival.py`` gives in the environment of an interpreter."""
    with tempfile.TemporaryDirectory() as scratch:
        arrays, out = Path(scratch) / "problem.npz", Path(scratch) / "out.json"
        np.savez(arrays, X=problem["X"], Y=problem["Y"], X_test=problem["X_test"])
        script = Path(__file__).with_name("_skmultilearn_rival.py")
        command = [python, "-W", "ignore", str(script), str(arrays), str(out), wrapper, *names]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def faults(name: str, answer: dict[str, Any], problem: dict[str, Array]) -> list[str]:
    """What is wrong with answers that came without an error."""
    if "folds" in answer:
        return _faults_of_folds(np.array(answer["folds"]), problem["Y"])
    return _faults_of_labelsets(name, answer.get("labelsets", [])) + _faults_of_answers(name, answer, problem)


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run the benchmark."""
    arguments = _parse(argv)
    problem = make_problem()
    ways = [(sys.executable, "-"), (sys.executable, "skdeep.multilabel:SkMultilearnClassifier")]
    if arguments.ng_python:
        ways.append((arguments.ng_python, "-"))
    records: list[Record] = []
    out = arguments.out or default_output("scikit-multilearn")
    with open_output(out) as file:
        for python, wrapper in ways:
            answers = run_rival(python, problem, wrapper, arguments.case)
            package = f"{answers['package']} {answers['version']}"
            for name, answer in answers["cases"].items():
                record = {
                    "benchmark": "scikit-multilearn",
                    "class": name,
                    "call": CASES[name].call,
                    "way": package if wrapper == "-" else ADAPTER,
                    "package": package,
                    "steps": answer["steps"],
                    "faults": faults(name, answer, problem),
                    "parts": _parts(answer, problem),
                    **environment(),
                }
                records.append(record)
                write_record(file, record)
    print(to_markdown(table(records)), end="\n\n")
    print(f"Records: {out}")
    return records


def table(records: Sequence[Record]) -> pd.DataFrame:
    """A row for each class, a column for each way, and what to use instead."""
    ways = dict.fromkeys(record["way"] for record in records)
    found = {(record["class"], record["way"]): _cell(record) for record in records}
    return pd.DataFrame(
        [
            {
                "class or module": f"`{name}`" if "," not in name else "`{}`, {}".format(*name.split(", ", 1)),
                **{way: found.get((name, way), "-") for way in ways},
                "use instead": INSTEAD[name],
            }
            for name in dict.fromkeys(record["class"] for record in records)
        ]
    )


def _cell(record: Record) -> str:
    """What a record says in a few words."""
    steps = record["steps"]
    failed = {step: error for step, error in steps.items() if error != "ok"}
    for needed in (IMPORT, FIT):
        if needed in failed:
            return _refusal(needed, failed[needed])
    said = [f"**wrong**: {', '.join(record['faults'])}"] if record["faults"] else []
    if len(failed) > 1 and FIT not in steps:
        said.append(f"{len(failed)} of {len(steps) - 1} functions fail")
    elif failed:
        said.append(f"fails: {', '.join(step.split('(')[0] for step in failed)}")
    said = said or ["yes"]
    if FIT in steps and PROBABILITIES not in steps:
        said.append("no probabilities")
    if record["parts"]:
        said.append(f"returns {record['parts']}")
    return "; ".join(said)


def _refusal(step: str, error: str) -> str:
    kind, _, message = error.partition(": ")
    if kind == "NameError":
        return "not in it"
    if kind == "ModuleNotFoundError":
        return f"no: {message}"
    if kind == "RuntimeError" and message.endswith("instead."):
        return "no: the error names the remedy"
    return f"no: `{'__init__' if step == IMPORT else step}` raises {kind}"


def _parts(answer: dict[str, Any], problem: dict[str, Array]) -> str | None:
    """The order in which a division into training and test rows returns its parts, told by their shapes."""
    if "shapes" not in answer:
        return None
    n_train = max(rows for rows, _ in answer["shapes"])
    n_features = problem["X"].shape[1]
    return ", ".join(
        f"{'X' if columns == n_features else 'y'}_{'train' if rows == n_train else 'test'}"
        for rows, columns in answer["shapes"]
    )


def _faults_of_labelsets(name: str, labelsets: list[list[int]]) -> list[str]:
    different = len({tuple(sorted(labels)) for labels in labelsets})
    if not labelsets or name not in _ASKED or len(labelsets) == different == _ASKED[name]:
        return []
    return [f"{len(labelsets)} labelsets for {_ASKED[name]}, {different} of them different"]


def _faults_of_answers(name: str, answer: dict[str, Any], problem: dict[str, Array]) -> list[str]:
    expected = _expected(name, answer, problem)
    if expected is None:
        return []
    labels, probabilities = expected
    found = []
    if answer.get(PREDICT) is not None:
        predicted = np.array(answer[PREDICT])
        if name == "BRkNNbClassifier":
            labels = _tied(predicted, labels, probabilities)
        wrong = np.mean(predicted != labels)
        found += [f"{wrong:.1%} of the labels"] if wrong else []
    if answer.get(PROBABILITIES) is not None and probabilities is not None:
        distance = np.max(np.abs(np.array(answer[PROBABILITIES]) - probabilities))
        found += [f"probabilities by up to {distance:.2f}"] if distance > CLOSE else []
    return found


def _tied(predicted: Array, labels: Array, votes: Array | None) -> Array:
    """The right labels, but what was predicted where it is as many labels with as many votes."""
    assert votes is not None
    same_size = predicted.sum(axis=1) == labels.sum(axis=1)
    same_votes = np.isclose((predicted * votes).sum(axis=1), (labels * votes).sum(axis=1))
    return np.where((same_size & same_votes)[:, None], predicted, labels)


def _faults_of_folds(folds: Array, Y: Array) -> list[str]:
    """Whether some rows are never tested, or labels are no more even than by chance."""
    lost = np.sum(folds < 0)
    found = [f"{lost} rows are never tested"] if lost else []
    n_folds = folds.max() + 1
    shuffled = [np.random.default_rng(seed).permutation(np.arange(len(Y)) % n_folds) for seed in range(100)]
    by_chance = np.mean([_unevenness(some, Y) for some in shuffled])
    uneven = _unevenness(folds, Y)
    if uneven > by_chance / 2:
        found.append(f"folds are {uneven:.1f} positives of a label off their share, {by_chance:.1f} by chance")
    return found


def _unevenness(folds: Array, Y: Array) -> float:
    """How far the positives of a label in a fold are from their share, in the mean."""
    n_folds = folds.max() + 1
    positives = np.array([Y[folds == fold].sum(axis=0) for fold in range(n_folds)])
    return float(np.mean(np.abs(positives - Y.sum(axis=0) / n_folds)))


def _expected(name: str, answer: dict[str, Any], problem: dict[str, Array]) -> tuple[Array, Array | None] | None:
    """The labels and probabilities that are right, as far as skdeep has the algorithm."""
    if "labelsets" in answer:
        return _voted(answer["labelsets"], problem)
    if name not in _OURS:
        return None
    ours = clone(_OURS[name]).fit(problem["X"], problem["Y"])
    return ours.predict(problem["X_test"]), ours.predict_proba(problem["X_test"])


def _voted(labelsets: list[list[int]], problem: dict[str, Array]) -> tuple[Array, Array | None]:
    """Label powersets of these labelsets: more than half of them decide; one alone has probabilities too."""
    members = [LabelPowerset(_BASE).fit(problem["X"], problem["Y"][:, labels]) for labels in labelsets]
    votes, probabilities, voters = (np.zeros((len(problem["X_test"]), problem["Y"].shape[1])) for _ in range(3))
    for labels, member in zip(labelsets, members, strict=True):
        votes[:, labels] += member.predict(problem["X_test"])
        probabilities[:, labels] += member.predict_proba(problem["X_test"])
        voters[:, labels] += 1
    return (votes / voters > 0.5).astype(int), probabilities if voters.max() == 1 else None


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scikit_multilearn", description=__doc__.splitlines()[0])
    parser.add_argument("--ng-python", metavar="PATH", help="python of an environment that has scikit-multilearn-ng")
    parser.add_argument(
        "--case", action="append", default=[], choices=CASES, metavar="NAME", help="only this one; repeatable"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON lines go; never overwritten")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
