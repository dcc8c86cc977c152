"""Folders of studies that nobody had to run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skdeep.study._folder import StudyFolder

Place = tuple[str, str, int, int]  # data set, model, repeat, fold
MEASURES = {"f1_micro": True, "hamming_loss": False}
LABELS = ["road", "town", "wood"]


def score_of(place: Place, measure: str, train_size: float = 1.0) -> float:
    """A score by chance, the same for the same place."""
    digest = hashlib.sha256(repr((place, measure, train_size)).encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


def write_study(
    folder: Path,
    *,
    datasets: Mapping[str, str] | Sequence[str] = ("yeast", "planet"),
    models: Sequence[str] = ("BR", "CC", "ML-kNN"),
    measures: Mapping[str, bool] | None = None,
    n_folds: int = 3,
    n_repeats: int = 1,
    train_sizes: Sequence[float] = (1.0,),
    score: Callable[..., float | None] = score_of,
    failed: Sequence[Place] = (),
    missing: Sequence[Place] = (),
    unscored: Sequence[str] = (),
    n_rows: int = 12,
) -> Path:
    """Write a study of these data sets (by name, or name -> kind) and models.

    ``score(place, measure, train_size)`` gives the scores, None being NaN. Units at the places ``failed`` failed, those
    at ``missing`` were not run; models in ``unscored`` gave no probabilities.
    """
    kinds = dict(datasets) if isinstance(datasets, Mapping) else dict.fromkeys(datasets, "multilabel")
    measures = MEASURES if measures is None else measures
    files = StudyFolder(folder)
    files.make()
    units = []
    # fold by fold, as a study runs
    for dataset in kinds:
        for repeat in range(n_repeats):
            for fold in range(n_folds):
                for train_size in train_sizes:
                    for model in models:
                        place = (dataset, model, repeat, fold)
                        unit = _unit(place, train_size)
                        units.append({name: value for name, value in unit.items() if name != "seed"})
                        if place in missing:
                            continue
                        scores = {name: score(place, name, train_size) for name in measures}
                        record = _record(unit, scores, n_rows, n_folds, failed=place in failed)
                        answers = _answers(place, kinds[dataset], n_rows, n_folds, scored=model not in unscored)
                        files.write(record, None if place in failed else answers)
    files.write_manifest(
        {
            "datasets": {
                name: {
                    "n_samples": n_rows,
                    "n_labels": len(LABELS) if kind == "multilabel" else None,
                    "kind": kind,
                    "label_names": LABELS if kind == "multilabel" else None,
                    "digest": name,
                }
                for name, kind in kinds.items()
            },
            "models": {name: {"repr": f"{name}()", "search": None} for name in models},
            "measures": dict(measures),
            "cv": dict.fromkeys(kinds, f"{n_folds} folds"),
            "n_repeats": dict.fromkeys(kinds, n_repeats),
            "train_sizes": list(train_sizes),
            "random_state": 0,
            "scoring": "all",
            "units": units,
            "environment": {"time": "2026-01-01T00:00:00+00:00", "python": "3", "machine": "any", "versions": {}},
        }
    )
    return folder


def rows_of(place: Place, n_rows: int, n_folds: int) -> np.ndarray:
    """Test rows of a fold, in no order."""
    order = np.random.default_rng(place[2]).permutation(n_rows)
    return np.array_split(order, max(n_folds, 2))[place[3]]


def target_of(kind: str, n_rows: int) -> np.ndarray:
    """What is true of all rows."""
    rng = np.random.default_rng(1)
    if kind == "multilabel":
        return rng.integers(2, size=(n_rows, len(LABELS))).astype(np.uint8)
    return np.arange(n_rows) % (2 if kind == "binary" else 3)


def _unit(place: Place, train_size: float) -> dict[str, Any]:
    dataset, model, repeat, fold = place
    return {
        "digest": hashlib.sha256(repr((place, train_size)).encode()).hexdigest(),
        "dataset": dataset,
        "model": model,
        "repeat": repeat,
        "fold": fold,
        "train_size": train_size,
        "seed": 0,
        "split_digest": f"{repeat} {fold}",
    }


def _record(
    unit: dict[str, Any], scores: dict[str, float | None], n_rows: int, n_folds: int, *, failed: bool
) -> dict[str, Any]:
    n_test = len(rows_of((unit["dataset"], unit["model"], unit["repeat"], unit["fold"]), n_rows, n_folds))
    failure = {"stage": "fit", "type": "ValueError", "message": "too few rows", "traceback": "Traceback ..."}
    seconds = 0.01 * (1 + len(unit["model"]) + unit["fold"])
    return {
        **unit,
        "status": "failed" if failed else "done",
        "n_train": round((n_rows - n_test) * unit["train_size"]),
        "n_test": n_test,
        "scores": {} if failed else scores,
        "parameters": {},
        "fit_seconds": seconds,
        "predict_seconds": None if failed else seconds / 10,
        "cpu_seconds": None if failed else seconds,
        "peak_mb": None if failed else 100.0,
        "failure": failure if failed else None,
        "warnings": [],
        "time": "2026-01-01T00:00:00+00:00",
        "host": "here",
        "pid": 1,
    }


def _answers(place: Place, kind: str, n_rows: int, n_folds: int, *, scored: bool) -> dict[str, Any]:
    rows = rows_of(place, n_rows, n_folds)
    target = target_of(kind, n_rows)[rows]
    answers = {"rows": rows, "target": target, "predicted": np.zeros_like(target)}
    if not scored:
        return answers
    n_columns = {"multilabel": len(LABELS), "binary": 2, "multiclass": 3}[kind]
    # the row's number, so that a test can see which row it is
    scores = np.repeat(rows[:, None] / 100, n_columns, axis=1).astype(np.float32)
    return answers | {"scores": scores, "scores_are": np.array("predict_proba")}
