"""Every class of scikit-multilearn put through scikit-learn's paces; a script of its own, for any environment with it.

    python _skmultilearn_rival.py PROBLEM.npz OUT.json WRAPPER [CASE]...

``PROBLEM.npz`` holds the arrays ``X``, ``Y`` and ``X_test``. ``OUT.json`` gets the ``package`` that is installed, and
for each of ``CASES``, or of those that are named, its ``steps`` ("ok", or the error) and what it answered. ``WRAPPER``
is ``MODULE:NAME`` of a class that takes the estimator as its only argument: then estimators alone are tried, and
through it; ``-`` is none.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict

Array = np.ndarray[Any, Any]

IMPORT, FIT, PREDICT, PROBABILITIES = "import", "fit", "predict", "predict_proba"


@dataclass(frozen=True)
class Case:
    """A class or a function, and how it is called.

    Attributes
    ----------
    module : str
        Below ``skmultilearn``.
    call : str
        The expression that makes the estimator, of the module's names, of ``base``, a logistic regression, and of
        ``clusters``, the module ``skmultilearn.cluster``; or the name of a function; or "" where it is the module.
    grid : dict of str to list
        What is searched over.
    kind : {"estimator", "splitter", "parts", "measures", "module"}
    """

    module: str
    call: str
    grid: dict[str, list[Any]] = field(default_factory=dict)
    kind: str = "estimator"


_C = [0.1, 1.0]
_SPLIT_LABELS = "clusters.FixedLabelSpaceClusterer([[0, 2], [1, 3]])"
_SHARED_LABELS = "clusters.FixedLabelSpaceClusterer([[0, 1, 2], [1, 2, 3], [0, 2, 3]])"
_MEANS = "clusters.MatrixLabelSpaceClusterer(KMeans(2, n_init=3, random_state=0))"
_DRAWN = "clusters.RandomLabelSpaceClusterer(cluster_size={}, cluster_count={}, allow_overlap={})"


def _partitioned(clusterer: str, name: str = "LabelSpacePartitioningClassifier") -> Case:
    call = f"{name}(problem_transform.LabelPowerset(base), {clusterer}, require_dense=[False, False])"
    return Case("ensemble", call, {"classifier__classifier__C": _C})


def _rakel(call: str) -> Case:
    return Case("ensemble", call, {"base_classifier__C": _C})


CASES = {
    "BinaryRelevance": Case("problem_transform", "BinaryRelevance(base)", {"classifier__C": _C}),
    "ClassifierChain": Case("problem_transform", "ClassifierChain(base)", {"classifier__C": _C}),
    "ClassifierChain, order": Case(
        "problem_transform", "ClassifierChain(base, order=[2, 0, 3, 1])", {"classifier__C": _C}
    ),
    "LabelPowerset": Case("problem_transform", "LabelPowerset(base)", {"classifier__C": _C}),
    "ProbabilisticClassifierChain": Case(
        "problem_transform", "ProbabilisticClassifierChain(base)", {"classifier__C": _C}
    ),
    "InstanceBasedLogisticRegression": Case("problem_transform", "InstanceBasedLogisticRegression(base)"),
    "MLkNN": Case("adapt", "MLkNN()", {"k": [5, 10]}),
    "MLkNN, ignore_first_neighbours=1": Case("adapt", "MLkNN(ignore_first_neighbours=1)", {"k": [5, 10]}),
    "BRkNNaClassifier": Case("adapt", "BRkNNaClassifier()", {"k": [5, 10]}),
    "BRkNNbClassifier": Case("adapt", "BRkNNbClassifier()", {"k": [5, 10]}),
    "MLTSVM": Case("adapt", "MLTSVM(c_k=2**-1)", {"c_k": [0.5, 1.0]}),
    "MLARAM": Case("adapt", "MLARAM()", {"vigilance": [0.9, 0.95]}),
    "RakelD": _rakel("RakelD(base, labelset_size=3, base_classifier_require_dense=[True, True])"),
    "RakelD, labelset_size divides": _rakel(
        "RakelD(base, labelset_size=2, base_classifier_require_dense=[True, True])"
    ),
    "RakelO": _rakel("RakelO(base, model_count=4, labelset_size=3, base_classifier_require_dense=[True, True])"),
    "LabelSpacePartitioningClassifier, FixedLabelSpaceClusterer": _partitioned(_SPLIT_LABELS),
    "LabelSpacePartitioningClassifier, MatrixLabelSpaceClusterer": _partitioned(_MEANS),
    "LabelSpacePartitioningClassifier, RandomLabelSpaceClusterer": _partitioned(_DRAWN.format(2, 2, False)),
    "MajorityVotingClassifier, FixedLabelSpaceClusterer": _partitioned(_SHARED_LABELS, "MajorityVotingClassifier"),
    "MajorityVotingClassifier, RandomLabelSpaceClusterer": _partitioned(
        _DRAWN.format(3, 4, True), "MajorityVotingClassifier"
    ),
    "IterativeStratification": Case("model_selection", "IterativeStratification(n_splits=3)", kind="splitter"),
    "IterativeStratification, random_state": Case(
        "model_selection", "IterativeStratification(n_splits=3, random_state=0)", kind="splitter"
    ),
    "iterative_train_test_split": Case("model_selection", "iterative_train_test_split", kind="parts"),
    "model_selection.measures": Case("model_selection.measures", "", kind="measures"),
    "cluster.NetworkXLabelGraphClusterer": Case("cluster.networkx", "", kind="module"),
    "dataset": Case("dataset", "", kind="module"),
    "embedding": Case("embedding", "", kind="module"),
    "ext": Case("ext", "", kind="module"),
}


class Trial:
    """What became of each step; once one has failed that others need, they are not tried."""

    def __init__(self) -> None:
        self.steps: dict[str, str] = {}

    def try_step(self, name: str, step: Callable[[], Any]) -> Any:
        """The answer of a step, or None if it raised."""
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - the only seed that 0.2.0 knows
        try:
            answer = step()
        except Exception as error:
            self.steps[name] = f"{type(error).__name__}: {error}".splitlines()[0]
            return None
        self.steps[name] = "ok"
        return answer


def try_estimator(estimator: Any, grid: dict[str, list[Any]], trial: Trial, X: Array, Y: Array, X_test: Array) -> Any:
    """Fit, predict, and what GridSearchCV and cross_val_predict do; returns the answers."""
    fitted = clone(estimator)
    trial.try_step(FIT, lambda: fitted.fit(X, Y))
    if trial.steps[FIT] != "ok":
        return {}
    answers = {PREDICT: trial.try_step(PREDICT, lambda: _dense(fitted.predict(X_test)))}
    method = PROBABILITIES if hasattr(fitted, PROBABILITIES) else PREDICT
    if method == PROBABILITIES:
        answers[PROBABILITIES] = trial.try_step(PROBABILITIES, lambda: _dense(fitted.predict_proba(X_test)))
    scoring = "average_precision" if method == PROBABILITIES else "f1_macro"
    search = GridSearchCV(estimator, grid, scoring=scoring, cv=3, error_score="raise")
    trial.try_step(f"GridSearchCV({scoring})", lambda: search.fit(X, Y))
    trial.try_step(f"cross_val_predict({method})", lambda: cross_val_predict(estimator, X, Y, cv=3, method=method))
    trial.try_step("csr_array", lambda: _go_sparse(clone(estimator), X, Y, X_test))
    return {**answers, **_labelsets(fitted)}


def try_splitter(splitter: Any, trial: Trial, Y: Array) -> Any:
    """The fold that each row is tested in."""
    splits = trial.try_step("split", lambda: list(splitter.split(Y, Y)))
    if splits is None:
        return {}
    folds = np.full(len(Y), -1)
    for fold, (_, test) in enumerate(splits):
        folds[test] = fold
    return {"folds": folds}


def try_parts(split: Callable[..., Any], trial: Trial, X: Array, Y: Array) -> Any:
    """The shapes of what a division into training and test rows returns."""
    parts = trial.try_step("call", lambda: split(X, Y, test_size=0.25))
    return {} if parts is None else {"shapes": [part.shape for part in parts]}


def try_measures(measures: Any, trial: Trial, Y: Array) -> Any:
    """Every measure of folds on three of them."""
    folds = [np.arange(start, len(Y), 3) for start in range(3)]
    trial.try_step("example_distribution", lambda: measures.example_distribution(folds, [len(fold) for fold in folds]))
    names = (
        "folds_without_evidence_for_at_least_one_label_combination",
        "folds_label_combination_pairs_without_evidence",
        "percentage_of_label_combinations_without_evidence_per_fold",
        "label_combination_distribution",
    )
    for name in names:
        trial.try_step(name, partial(getattr(measures, name), Y, folds, order=1))
    return {}


def try_case(case: Case, wrap: Callable[[Any], Any] | None, X: Array, Y: Array, X_test: Array) -> dict[str, Any]:
    """The steps of a case, and its answers."""
    trial = Trial()
    module = trial.try_step(IMPORT, lambda: import_module(f"skmultilearn.{case.module}"))
    if module is None or case.kind == "module":
        return {"steps": trial.steps}
    if case.kind == "measures":
        return {"steps": trial.steps, **try_measures(module, trial, Y)}
    names = {
        **vars(module),
        "base": LogisticRegression(max_iter=1000, tol=1e-8),
        "clusters": import_module("skmultilearn.cluster"),
        "problem_transform": import_module("skmultilearn.problem_transform"),
        "KMeans": KMeans,
    }
    made = trial.try_step(IMPORT, lambda: eval(case.call, names))
    if made is None:
        return {"steps": trial.steps}
    if case.kind == "splitter":
        return {"steps": trial.steps, **try_splitter(made, trial, Y)}
    if case.kind == "parts":
        return {"steps": trial.steps, **try_parts(made, trial, X, Y)}
    grid = case.grid
    if wrap is not None:
        made, grid = wrap(made), {f"estimator__{name}": values for name, values in grid.items()}
    return {"steps": trial.steps, **try_estimator(made, grid, trial, X, Y, X_test)}


def main(problem: str, out: str, wrapper: str, *names: str) -> None:
    """Try every case, or those that are named."""
    module, _, wrapper_name = wrapper.partition(":")
    wrap = getattr(import_module(module), wrapper_name) if wrapper_name else None
    with np.load(problem) as arrays:
        X, Y, X_test = arrays["X"], arrays["Y"], arrays["X_test"]
    package = packages_distributions()["skmultilearn"][0]
    cases = {name: CASES[name] for name in names or CASES}
    found = {
        name: try_case(case, wrap, X, Y, X_test)
        for name, case in cases.items()
        if wrap is None or case.kind == "estimator"
    }
    answer = {"package": package, "version": version(package), "cases": found}
    Path(out).write_text(json.dumps(answer, default=np.ndarray.tolist), encoding="utf-8")


def _go_sparse(estimator: Any, X: Array, Y: Array, X_test: Array) -> Any:
    estimator.fit(sparse.csr_array(X), Y)  # MLTSVM's fit returns nothing
    return estimator.predict(sparse.csr_array(X_test))


def _dense(answer: Any) -> Array:
    return np.asarray(answer.toarray() if sparse.issparse(answer) else answer, dtype=float)


def _labelsets(fitted: Any) -> dict[str, list[list[int]]]:
    """The labels that each member is about, of an ensemble of label powersets."""
    ensemble = getattr(fitted, "estimator_", fitted)
    if hasattr(ensemble, "base_classifier"):  # RakelD and RakelO are thin around an ensemble
        ensemble = getattr(ensemble, "classifier_", None) or ensemble.classifier
    if not hasattr(ensemble, "clusterer"):
        return {}
    return {"labelsets": [[int(label) for label in labels] for labels in ensemble.partition_]}


if __name__ == "__main__":
    main(*sys.argv[1:])
