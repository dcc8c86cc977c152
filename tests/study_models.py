"""Models and data for the tests of studies; worker processes import them from here."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from skdeep.multilabel import BinaryRelevance, ClassifierChain, MLkNN


def made(n_samples: int = 90, seed: int = 0) -> tuple[Any, Any]:
    """A small multi-label table."""
    return make_multilabel_classification(n_samples, n_features=8, n_classes=4, random_state=seed)


def loaded(log: Path) -> tuple[Any, Any]:
    """The same, and a line in a log for each time that it is loaded."""
    with log.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return made()


def models() -> dict[str, Any]:
    """Six quick models."""
    logistic = LogisticRegression(max_iter=500)
    return {
        "frequencies": BinaryRelevance(DummyClassifier(strategy="prior")),
        "BR": BinaryRelevance(logistic),
        "strict BR": BinaryRelevance(LogisticRegression(C=0.1, max_iter=500)),
        "CC": ClassifierChain(logistic),
        "ML-kNN 5": MLkNN(n_neighbors=5),
        "ML-kNN 10": MLkNN(n_neighbors=10),
    }


class Log:
    """A file to write to; as a parameter it is no path, whose content would tell a model from itself before."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def open(self, mode: str) -> IO[str]:
        return self.path.open(mode)

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()


class Frequencies(ClassifierMixin, BaseEstimator):
    """Predicts how often each label was on; leaves a line in a log for each fit, and may do worse.

    Parameters
    ----------
    log : path, Log or None
    fault : {None, "error", "exit", "once", "warning"}
        What goes wrong in ``fit``; "once" ends the process if it is the first fit in the log.
    seconds : float
        That a fit takes.
    random_state : int or None
    """

    def __init__(
        self,
        log: Path | Log | None = None,
        fault: str | None = None,
        seconds: float = 0.0,
        random_state: int | None = None,
    ) -> None:
        self.log = log
        self.fault = fault
        self.seconds = seconds
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        is_first = self.log is not None and not self.log.exists()
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{len(X)} {self.random_state}\n")
        if self.fault == "error":
            raise RuntimeError("the training failed")
        if self.fault == "exit" or (self.fault == "once" and is_first):
            os._exit(9)
        if self.fault == "warning":
            warnings.warn("it is not what it seems", UserWarning, stacklevel=2)
        time.sleep(self.seconds)
        self.frequencies_ = np.asarray(y).mean(axis=0)
        self.classes_ = np.tile([0, 1], (len(self.frequencies_), 1))
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.tile(self.frequencies_, (len(X), 1))

    def predict(self, X: Any) -> Any:
        return (self.predict_proba(X) > 0.5).astype(int)
