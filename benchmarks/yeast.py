"""Multi-label classifiers on yeast: tables only, no image.

Without files, yeast comes from OpenML and runs in 10 folds. With Mulan's pair of ARFF files it runs in the official
split, with ``--cv`` or ``--repeats`` in folds instead, and with ``--full`` in both.

    python -m benchmarks.yeast [TRAIN.arff TEST.arff] [--smoke | --quick | --full] [--model NAME]... [--n-jobs N]
                               [--cv K] [--repeats N] [--study FOLDER] [--out FILE]
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
from sklearn.utils import Bunch

from benchmarks._comparison import Data, Model, add_options, compare, shuffled
from benchmarks._parts import MeanKernel, landmark_features
from benchmarks._records import Record
from skdeep import TabularClassifier
from skdeep.datasets import fetch_yeast, load_mulan
from skdeep.multilabel import (
    HOMER,
    IBLRML,
    BinaryRelevance,
    BRkNN,
    CalibratedLabelRanking,
    ClassifierChain,
    EnsembleOfClassifierChains,
    EnsembleOfPrunedSets,
    LabelPowerset,
    MLkNN,
    MultilabelBaggingClassifier,
    MultilabelThresholdCV,
    MultilabelVotingClassifier,
    PrunedSets,
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
        "PS, logistic regression": _scaled(PrunedSets(logistic)),
        "EPS, logistic regression": _scaled(EnsembleOfPrunedSets(logistic, n_estimators=members, random_state=0)),
        "RAkEL, logistic regression": _scaled(RAkEL(logistic, random_state=0)),
        "CLR, logistic regression": _scaled(CalibratedLabelRanking(logistic)),
        "HOMER, logistic regression": _scaled(HOMER(logistic, random_state=0)),
        "BR, logistic regression, F1 threshold": _scaled(MultilabelThresholdCV(BinaryRelevance(logistic))),
        "BR, logistic regression, cardinality thresholds": _scaled(
            MultilabelThresholdCV(BinaryRelevance(logistic), scope="cardinality")
        ),
        "ML-kNN, k=10": MLkNN(n_neighbors=10),
        "ML-kNN, k=10, self included": MLkNN(n_neighbors=10, exclude_self=False),
        "BRkNN-b, k=10": BRkNN(n_neighbors=10, extension="b"),
        "IBLR-ML, k=10": IBLRML(n_neighbors=10),
        "BR, extra-trees": BinaryRelevance(trees),
        "BR, calibrated RBF SVM": _scaled(BinaryRelevance(support_vectors)),
        "HOMER, calibrated RBF SVM": _scaled(HOMER(support_vectors, random_state=0)),
        "MLP 512-512, BCE": _scaled(perceptron),
        "MLP 512-512, BP-MLL": _scaled(TabularClassifier(**{**perceptron.get_params(), "criterion": "bp_mll"})),
        "MLP 512-512, BCE, 5 seeds": _scaled(
            MultilabelBaggingClassifier(perceptron, n_estimators=members, bootstrap=False, random_state=0)
        ),
    }
    kernel_machine = CalibratedClassifierCV(SVC(C=1.5, kernel="precomputed"), ensemble=False, cv=support_vectors.cv)
    on_landmarks = TabularClassifier(
        (512,), dropout=0.7, lr=3e-4, batch_size=64, max_epochs=2 if smoke else 16, random_state=0
    )
    landmarks = make_pipeline(landmark_features(smoke=smoke), StandardScaler())
    fixed["BR, calibrated SVM, kernels of parts"] = _scaled(MeanKernel(), BinaryRelevance(kernel_machine))
    fixed["MLP 512 on kernels of parts, BCE"] = _scaled(landmarks, on_landmarks)
    fixed["MLP 512 on kernels of parts, BCE, 5 seeds"] = _scaled(
        landmarks, MultilabelBaggingClassifier(on_landmarks, n_estimators=members, bootstrap=False, random_state=0)
    )
    fixed["vote of SVM and MLP on kernels of parts"] = MultilabelVotingClassifier(
        [
            ("svm", fixed["BR, calibrated SVM, kernels of parts"]),
            ("mlp", fixed["MLP 512 on kernels of parts, BCE, 5 seeds"]),
        ]
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


def load(files: Sequence[str]) -> Bunch:
    """Features and indicator; of two files, ``n_train`` is the number of rows of the first."""
    if not files:
        return fetch_yeast()
    bunches = [load_mulan(file) for file in files]
    return Bunch(
        data=np.vstack([bunch.data for bunch in bunches]),
        target=np.vstack([bunch.target for bunch in bunches]),
        target_names=bunches[0].target_names,
        n_train=len(bunches[0].data),
    )


def datasets(arguments: argparse.Namespace) -> dict[str, Data]:
    """The official split, where there are two files for it, and folds, as the preset or the options ask for."""
    yeast = load(arguments.files)
    n_folds = arguments.cv or (2 if arguments.preset == "smoke" else 10)
    folds = {f"yeast, {n_folds}-fold": Data(yeast, shuffled(n_folds), arguments.repeats or 1)}
    if len(arguments.files) < 2:
        return folds
    n_train = yeast.n_train
    official = {
        "yeast, official split": Data(yeast, [(np.arange(n_train), np.arange(n_train, len(yeast.data)))]),
    }
    if arguments.preset == "full":
        return official | folds
    return folds if arguments.cv or arguments.repeats else official


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.yeast", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="ARFF files: none, one, or a training and a test file")
    parser.add_argument("--repeats", type=int, metavar="N", help="how often rows are divided into folds anew")
    add_options(parser)
    arguments = parser.parse_args(argv)
    if len(arguments.files) > 2:
        parser.error(f"at most two files (training and test), got {len(arguments.files)}")
    return compare(
        "yeast",
        models(smoke=arguments.preset == "smoke"),
        datasets(arguments),
        scoring="neg_ranking_loss",
        arguments=arguments,
    )


def _scaled(*steps: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), *steps)


if __name__ == "__main__":
    main()
