"""Make ``ng_mlknn.npz``: what scikit-multilearn-ng's ML-kNN answers on generated data.

It has the import name of scikit-multilearn, so it lives in an environment of its own. From the root of the project::

    python -m venv ng
    ng/bin/pip install scikit-multilearn-ng==0.0.8
    ng/bin/python tests/references/make_ng_mlknn.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

N_NEIGHBORS = 10
TARGET = Path(__file__).with_name("ng_mlknn.npz")


def make_data() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Training rows, their labels, and test rows; continuous, so that no two distances tie."""
    rng = np.random.default_rng(2007)
    X = rng.standard_normal((300, 6))
    weights = rng.standard_normal((6, 7))
    Y = (X @ weights + 0.5 * rng.standard_normal((300, 7)) > np.linspace(-1, 3, 7)).astype(np.int64)
    return X[:200], Y[:200], X[200:]


def main() -> None:
    """Fit, predict and store."""
    from skmultilearn.adapt import MLkNN

    X_train, Y_train, X_test = make_data()
    classifier = MLkNN(k=N_NEIGHBORS, s=1.0).fit(X_train, Y_train)
    np.savez_compressed(
        TARGET,
        predictions=classifier.predict(X_test).toarray().astype(np.uint8),
        probabilities=classifier.predict_proba(X_test).toarray(),
    )


if __name__ == "__main__":
    main()
