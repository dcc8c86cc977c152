"""Multi-label classifiers on yeast: tables only, no image.

Without files, yeast comes from OpenML and runs in 10 folds; with Mulan's pair of ARFF files, in the official split.

    python -m benchmarks.yeast [TRAIN.arff TEST.arff] [--smoke] [--model NAME]... [--n-jobs N] [--cv K] [--out FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks._comparison import Model, Split, add_options, compare, k_folds
from benchmarks._records import Record
from skdeep import TabularClassifier
from skdeep.datasets import fetch_yeast, load_mulan
from skdeep.multilabel import (
    BinaryRelevance,
    BRkNN,
    ClassifierChain,
    EnsembleOfClassifierChains,
    LabelPowerset,
    MLkNN,
    MultilabelBaggingClassifier,
    MultilabelThresholdCV,
    MultilabelVotingClassifier,
    RAkEL,
    StackedBinaryRelevance,
)


def models(*, smoke: bool) -> list[Model]:
    """The models of the table: with the parameters of the literature, then searched."""
    logistic = LogisticRegression(max_iter=1000)
    support_vectors = CalibratedClassifierCV(SVC(C=1.0, gamma=0.01), ensemble=False, cv=2 if smoke else 5)
    trees = ExtraTreesClassifier(n_estimators=5 if smoke else 300, random_state=0)
    perceptron = TabularClassifier((512, 512), dropout=0.5, lr=2e-4, max_epochs=2 if smoke else 20, random_state=0)
    members = 2 if smoke else 5
    fixed: dict[str, Any] = {
        "label frequencies": BinaryRelevance(DummyClassifier(strategy="prior")),
        "BR, logistic regression": _scaled(BinaryRelevance(logistic)),
        "stacked BR, logistic regression": _scaled(StackedBinaryRelevance(logistic)),
        "CC, logistic regression": _scaled(ClassifierChain(logistic)),
        "CC, order by dependence": _scaled(ClassifierChain(logistic, order="dependence")),
        "CC, beam of 15": _scaled(ClassifierChain(logistic, inference="beam")),
        "CC, out-of-fold probabilities": _scaled(ClassifierChain(logistic, cv=5, chain_method="predict_proba")),
        "ECC, logistic regression": _scaled(EnsembleOfClassifierChains(logistic, n_estimators=members, random_state=0)),
        "LP, logistic regression": _scaled(LabelPowerset(logistic)),
        "RAkEL, logistic regression": _scaled(RAkEL(logistic, random_state=0)),
        "BR, logistic regression, F1 threshold": _scaled(MultilabelThresholdCV(BinaryRelevance(logistic))),
        "BR, logistic regression, cardinality thresholds": _scaled(
            MultilabelThresholdCV(BinaryRelevance(logistic), scope="cardinality")
        ),
        "ML-kNN, k=10": MLkNN(n_neighbors=10),
        "ML-kNN, k=10, self included": MLkNN(n_neighbors=10, exclude_self=False),
        "BRkNN-b, k=10": BRkNN(n_neighbors=10, extension="b"),
        "BR, extra-trees": BinaryRelevance(trees),
        "BR, calibrated RBF SVM": _scaled(BinaryRelevance(support_vectors)),
        "MLP 512-512, BCE": _scaled(perceptron),
        "MLP 512-512, BP-MLL": _scaled(TabularClassifier(**{**perceptron.get_params(), "criterion": "bp_mll"})),
        "MLP 512-512, BCE, 5 seeds": _scaled(
            MultilabelBaggingClassifier(perceptron, n_estimators=members, bootstrap=False, random_state=0)
        ),
    }
    fixed["vote of SVM and MLP"] = MultilabelVotingClassifier(
        [("svm", fixed["BR, calibrated RBF SVM"]), ("mlp", fixed["MLP 512-512, BCE, 5 seeds"])]
    )
    regularisation = [0.01, 0.1] if smoke else [0.003, 0.01, 0.03, 0.1, 0.3]
    searched: list[tuple[str, Any, str, list[Any]]] = [
        (
            "BR, logistic regression",
            _scaled(BinaryRelevance(logistic)),
            "binaryrelevance__estimator__C",
            regularisation,
        ),
        (
            "CC, logistic regression",
            _scaled(ClassifierChain(logistic)),
            "classifierchain__estimator__C",
            regularisation,
        ),
        ("ML-kNN", MLkNN(), "n_neighbors", [8, 10] if smoke else [8, 10, 15, 20, 30]),
    ]
    return [Model(name, "table", "-", estimator) for name, estimator in fixed.items()] + [
        Model(f"{name}, searched", "table", "-", estimator, {parameter: values})
        for name, estimator, parameter, values in searched
    ]


def load(
    files: Sequence[str], n_folds: int | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], list[Split], str]:
    """Features, indicator, splits, and what to call them."""
    if not files:
        bunch = fetch_yeast()
        splits = k_folds(len(bunch.data), n_folds or 10)
        return bunch.data, bunch.target, splits, f"yeast from OpenML, {len(splits)}-fold"
    bunches = [load_mulan(file) for file in files]
    data = np.vstack([bunch.data for bunch in bunches])
    target = np.vstack([bunch.target for bunch in bunches])
    if len(files) == 2 and n_folds is None:
        n_train = len(bunches[0].data)
        split = (np.arange(n_train), np.arange(n_train, len(data)))
        return data, target, [split], "yeast, official split"
    splits = k_folds(len(data), n_folds or 10)
    return data, target, splits, f"yeast, {len(splits)}-fold"


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.yeast", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="ARFF files: none, one, or a training and a test file")
    add_options(parser)
    arguments = parser.parse_args(argv)
    if len(arguments.files) > 2:
        parser.error(f"at most two files (training and test), got {len(arguments.files)}")
    X, Y, splits, data = load(arguments.files, arguments.cv)
    return compare(
        "yeast",
        models(smoke=arguments.smoke),
        X,
        Y,
        splits,
        scoring="neg_ranking_loss",
        data=data,
        arguments=arguments,
    )


def _scaled(classifier: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), classifier)


if __name__ == "__main__":
    main()
