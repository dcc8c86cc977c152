"""Problem transformations of Gaussian naive Bayes, and ML-kNN, on generated problems: ours beside scikit-multilearn's.

Both sides stand under the same split of each problem: 67 rows to learn from and 33 to be scored on. scikit-multilearn's
ML-kNN fails on today's scikit-learn, so ours stands alone there.

    python -m benchmarks.generated [--n-seeds N] [--out FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from skmultilearn import problem_transform

from benchmarks._records import Record, default_output, environment, open_output, to_markdown, write_record
from skdeep.multilabel import BinaryRelevance, ClassifierChain, LabelPowerset, MLkNN

# The first makes five labels, since n_labels is their mean number in a row; most rows have all of them.
PROBLEMS: dict[str, dict[str, Any]] = {
    "n_labels=20 (5 labels)": {"n_labels": 20, "allow_unlabeled": False},
    "n_classes=20, n_labels=3": {"n_classes": 20, "n_labels": 3},
}
OURS = {
    "BR, Gaussian naive Bayes": BinaryRelevance(GaussianNB()),
    "CC, Gaussian naive Bayes": ClassifierChain(GaussianNB()),
    "LP, Gaussian naive Bayes": LabelPowerset(GaussianNB()),
    "ML-kNN, k=20": MLkNN(20),
}
THEIRS = {
    "BR, Gaussian naive Bayes": problem_transform.BinaryRelevance(GaussianNB(), require_dense=[True, True]),
    "CC, Gaussian naive Bayes": problem_transform.ClassifierChain(GaussianNB(), require_dense=[True, True]),
    "LP, Gaussian naive Bayes": problem_transform.LabelPowerset(GaussianNB(), require_dense=[True, True]),
}


def compare_on(problem: str, seed: int) -> list[Record]:
    """One record for each model: the subset accuracy of both sides, and how many labels they predict otherwise."""
    X, Y = make_multilabel_classification(random_state=seed, **PROBLEMS[problem])
    X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.33, random_state=seed)
    records = []
    for model, ours in OURS.items():
        predicted = clone(ours).fit(X_train, Y_train).predict(X_test)
        record: Record = {"problem": problem, "seed": seed, "model": model, "ours": accuracy_score(Y_test, predicted)}
        if model in THEIRS:
            fitted = clone(THEIRS[model]).fit(sparse.csr_matrix(X_train), sparse.csr_matrix(Y_train))
            theirs = fitted.predict(sparse.csr_matrix(X_test)).toarray()
            record |= {
                "theirs": accuracy_score(Y_test, theirs),
                "n_different": int((theirs != predicted).sum()),
            }
        records.append(record)
    return records


def table(records: Sequence[Record]) -> pd.DataFrame:
    """Mean ± deviation of the subset accuracy over the seeds, and the labels on which the two sides differ."""
    rows = []
    for (problem, model), group in pd.DataFrame(records).groupby(["problem", "model"], sort=False):
        rows.append(
            {
                "problem": problem,
                "model": model,
                "ours": _cell(group["ours"]),
                "scikit-multilearn 0.2.0": _cell(group["theirs"]) if group["theirs"].notna().all() else "fails",
                "labels that differ": f"{group['n_different'].sum():.0f}" if group["theirs"].notna().all() else "-",
            }
        )
    return pd.DataFrame(rows)


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generated", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n-seeds", type=int, default=50, metavar="N", help="problems of each kind (default: 50)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON lines go; never overwritten")
    arguments = parser.parse_args(argv)
    out = arguments.out or default_output("generated")
    records = []
    common = {"benchmark": "generated", **environment()}
    with open_output(out) as file:
        for problem in PROBLEMS:
            for seed in range(arguments.n_seeds):
                for record in compare_on(problem, seed):
                    records.append({**common, **record})
                    write_record(file, records[-1])
    print(to_markdown(table(records)))
    print(f"Records: {out}")
    return records


def _cell(values: pd.Series[float]) -> str:
    return f"{np.mean(values):.3f} ±{np.std(values, ddof=1):.3f}"


if __name__ == "__main__":
    main()
