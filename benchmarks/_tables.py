"""The tables on which problem transformations and neighbours are timed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sklearn.datasets import make_multilabel_classification
from sklearn.preprocessing import StandardScaler

from skdeep.datasets import load_mulan


@dataclass(frozen=True)
class Table:
    """Rows to learn from and rows to be asked about."""

    name: str
    X: Any
    Y: Any
    X_test: Any
    is_large: bool = False


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """The options that choose the tables, the rival's interpreter, and how often they are timed."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a training and a test file in ARFF")
    parser.add_argument("--large", action="store_true", help="also on 16000 / 4000 generated rows x 512, 50 labels")
    parser.add_argument("--ng-python", metavar="PYTHON", help="interpreter with scikit-multilearn-ng")
    parser.add_argument("--pairs", type=int, default=11, metavar="N", help="interleaved pairs (default: 11)")
    parser.add_argument("--large-pairs", type=int, default=3, metavar="N", help="of the large table (default: 3)")


def chosen_tables(arguments: argparse.Namespace) -> Iterator[Table]:
    """The files' table or a generated one as large as yeast, and the large one where it is asked for."""
    if arguments.files:
        train, test = (load_mulan(file) for file in arguments.files)
        yield Table("yeast, official split", train.data, train.target, test.data)
    else:
        yield _generated(1500, 917, 103, 14)
    if arguments.large:
        yield _generated(16000, 4000, 512, 50, is_large=True)


def _generated(n_train: int, n_test: int, n_features: int, n_labels: int, *, is_large: bool = False) -> Table:
    X, Y = make_multilabel_classification(
        n_train + n_test, n_features=n_features, n_classes=n_labels, n_labels=4, random_state=0
    )
    X = StandardScaler().fit_transform(X)
    name = f"generated, {n_train} / {n_test} x {n_features}, {n_labels} labels"
    return Table(name, X[:n_train], Y[:n_train], X[n_train:], is_large)
