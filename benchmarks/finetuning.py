"""From base rates to a fine-tuned network: what each step gives on aerial images, beside fastai.

Every rung of the ladder is fitted on the same folds. Scores are those of the pooled out-of-fold predictions: F2 over
images at the threshold 0.2, and the mean average precision over the labels with at least 19 positives. The last of
the rows that a rung makes stands there once more with a tuned threshold, one for all labels; that of a fold is the
best on the out-of-fold predictions of the other folds.

    python -m benchmarks.finetuning [FOLDER] [--backbone NAME --weights FILE] [--rung NAME]... [--max-epochs N]
                                    [--mixup ALPHA] [--fastai-python PATH] [--untimed] [--smoke] [--cv K] [--out FILE]
"""

from __future__ import annotations

import argparse
import copy
import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, fbeta_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from benchmarks._comparison import Split, k_folds
from benchmarks._fastai import run_fastai
from benchmarks._records import Record, default_output, environment, open_output, to_markdown, write_record
from benchmarks.planet import ColourStatistics, finetuned, on_features
from skdeep import CNNClassifier, CNNFeatureExtractor
from skdeep.datasets import load_planet, make_aerial_scenes
from skdeep.images import Augmentation
from skdeep.multilabel import BinaryRelevance, MultilabelVotingClassifier, optimal_thresholds
from skdeep.training import resolve_phases

Array = np.ndarray[Any, Any]

COMMON = 19  # positives that a label needs to count in the mean average precision
# how the names of rows begin, from the lowest rung to the highest
STEPS = (
    "tag frequencies",
    "colour statistics",
    "features of a random network",
    "features of the pretrained network",
    "fine-tuning at one size",
    "progressive sizes",
    "test-time augmentation",
    "networks of two sizes",
    "vote",
    "defaults",
    "fastai",
)
N_VIEWS = 7  # of test-time augmentation, beside the plain one
N_BOOTSTRAP = 200  # samples of the images, for standard errors


@dataclass(frozen=True)
class Rung:
    """A model, and what else is made of it once it is fitted.

    Attributes
    ----------
    name : str
    estimator : estimator
    variants : dict of str to callable
        Name of a row -> from the fitted estimator, X and Y to what predicts the row.
    """

    name: str
    estimator: Any
    variants: dict[str, Callable[[Any, Any, Any], Any]] = field(default_factory=dict)


def ladder(arguments: argparse.Namespace) -> list[Rung]:
    """The rungs, in the order in which each adds something to the one before."""
    relevance = BinaryRelevance(LogisticRegression(C=0.003, max_iter=1000))
    backbone, weights = arguments.backbone, arguments.weights
    sizes = (32, 32, 64) if arguments.smoke else (64, 128, 256)
    max_epochs = 1 if arguments.smoke else arguments.max_epochs
    augmentation = Augmentation("top_down", mixup=arguments.mixup)

    def learning(sizes: Sequence[int], **options: bool) -> CNNClassifier:
        network = finetuned(backbone, weights, sizes=sizes, max_epochs=max_epochs, **options)
        return network.set_params(augmentation=augmentation)

    def features(weights: str | None) -> Any:
        size = sizes[0] if arguments.smoke else 224
        return on_features(CNNFeatureExtractor(backbone, weights=weights, image_size=size, random_state=0), relevance)

    def augmented(network: CNNClassifier, X: Any, Y: Any) -> CNNClassifier:
        return network.set_params(tta=N_VIEWS)

    def alone(network: CNNClassifier, X: Any, Y: Any, tta: int = 0) -> CNNClassifier:
        last = copy.copy(network).set_params(tta=tta)
        last.snapshots_ = []
        return last

    def vote(network: CNNClassifier, X: Any, Y: Any) -> MultilabelVotingClassifier:
        members = [("networks", FrozenEstimator(augmented(network, X, Y))), ("features", features(weights))]
        return MultilabelVotingClassifier(members, weights=[3, 1]).fit(X, Y)

    return [
        Rung("tag frequencies", BinaryRelevance(DummyClassifier(strategy="prior"))),
        Rung("colour statistics", make_pipeline(ColourStatistics(), StandardScaler(), relevance)),
        Rung("features of a random network", features(None)),
        Rung("features of the pretrained network", features(weights)),
        Rung("fine-tuning at one size", learning(sizes[-1:])),
        Rung("progressive sizes", learning(sizes), {"test-time augmentation": augmented}),
        Rung(
            "networks of two sizes",
            learning(sizes, pair=True),
            {"networks of two sizes, test-time augmentation": augmented, "vote with pretrained features": vote},
        ),
        Rung(
            "defaults, networks of two sizes",
            learning(sizes, pair=True, by_default=True),
            {
                "defaults, the last network alone": alone,
                "defaults, the last network alone, test-time augmentation": functools.partial(alone, tta=N_VIEWS),
                "defaults, networks of two sizes, test-time augmentation": augmented,
            },
        ),
    ]


def climb(rung: Rung, data: Bunch, folds: Sequence[Split]) -> dict[str, tuple[Array, Array]]:
    """Out-of-fold probabilities of a rung and its variants, and the seconds of each fold: fitting, and predicting."""
    Y = np.asarray(data.target)
    rows: dict[str, Callable[[Any, Any, Any], Any]] = {rung.name: lambda fitted, X, Y: fitted, **rung.variants}
    probabilities = {name: np.zeros(Y.shape) for name in rows}
    seconds = {name: np.zeros((len(folds), 2)) for name in rows}
    for fold, (train, test) in enumerate(folds):
        X_train, Y_train = data.data[train], data.target[train]
        start = time.perf_counter()
        fitted = clone(rung.estimator).fit(X_train, Y_train)
        of_fit = time.perf_counter() - start
        for name, made_of in rows.items():
            start = time.perf_counter()
            predicting = made_of(fitted, X_train, Y_train)
            made = time.perf_counter()
            probabilities[name][test] = predicting.predict_proba(data.data[test])
            seconds[name][fold] = of_fit + made - start, time.perf_counter() - made
        print(f"{rung.name}, fold {fold + 1} of {len(folds)}: fitted in {of_fit:.0f} s", flush=True)
    return {name: (probabilities[name], seconds[name]) for name in rows}


def climb_with_fastai(arguments: argparse.Namespace, data: Bunch, folds: Sequence[Split]) -> dict[str, Any]:
    """The same of fastai, which works in an environment of its own, through the same phases."""
    phases = resolve_phases("planet", lr=None, max_epochs=arguments.max_epochs, image_size=None)
    found = run_fastai(
        arguments.fastai_python, data.data, data.target, folds, arguments.weights, phases, arguments.mixup
    )
    return {
        "fastai": (found["plain"], np.column_stack([found["seconds"], found["plain_seconds"]])),
        "fastai, test-time augmentation": (found["tta"], np.column_stack([found["seconds"], found["tta_seconds"]])),
    }


def scores(Y: Array, probabilities: Array, common: Array, threshold: float | Array = 0.2) -> dict[str, float]:
    """F2 over images at a threshold, or at one for each image; and mAP over the common labels."""
    predicted = probabilities >= np.reshape(threshold, (-1, 1))
    return {
        "f2": float(fbeta_score(Y, predicted, beta=2, average="samples", zero_division=1)),
        "map": float(average_precision_score(Y[:, common], probabilities[:, common], average="macro")),
    }


def standard_errors(
    Y: Array, probabilities: Array, common: Array, threshold: float | Array = 0.2, *, n_samples: int = N_BOOTSTRAP
) -> dict[str, float]:
    """The deviation of the scores over bootstrap samples of the images."""
    thresholds, rng = np.broadcast_to(threshold, len(Y)), np.random.default_rng(0)
    samples = rng.integers(len(Y), size=(n_samples, len(Y)))
    drawn = pd.DataFrame([scores(Y[rows], probabilities[rows], common, thresholds[rows]) for rows in samples])
    return {str(name): float(error) for name, error in drawn.std().items()}


def tuned_thresholds(Y: Array, probabilities: Array, folds: Sequence[Split]) -> Array:
    """For each image, the threshold that is best on the folds that it is not in."""
    thresholds = np.zeros(len(Y))
    for train, test in folds:
        rule = optimal_thresholds(Y[train], probabilities[train], metric="f2_samples")
        thresholds[test] = rule.thresholds[0]
    return thresholds


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run the benchmark."""
    arguments = _parse(argv)
    records = []
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("SKDEEP_CACHE_DIR", str(Path(scratch) / "store"))
        data = _load(arguments, Path(scratch) / "scenes")
        folds = k_folds(len(data.data), arguments.cv)
        kind = "Planet chips" if arguments.folder else "generated scenes"
        common = {"benchmark": "finetuning", "data": f"{len(data.data)} {kind}", "n_folds": len(folds), **environment()}
        out = arguments.out or default_output("finetuning")
        with open_output(out) as file:
            for climbed in _climbed(arguments, data, folds):
                for record in _records(climbed, data, folds, n_samples=10 if arguments.smoke else N_BOOTSTRAP):
                    if arguments.untimed:
                        record = {key: value for key, value in record.items() if not key.endswith("seconds")}
                    records.append({**common, "backbone": arguments.backbone, "weights": _shown(arguments), **record})
                    write_record(file, records[-1])
    print(to_markdown(table(records)), end="\n\n")
    print(f"mAP over {', '.join(records[0]['labels'])}\nRecords: {out}")
    return records


def table(records: Sequence[Record]) -> pd.DataFrame:
    """A row for each record, in the order in which the ladder is climbed."""
    records = sorted(
        records, key=lambda record: next(i for i, step in enumerate(STEPS) if record["model"].startswith(step))
    )
    return pd.DataFrame(
        [
            {
                "model": record["model"],
                "F2": _score(record, "f2"),
                "mAP": _score(record, "map"),
                "fit, s a fold": _mean(record.get("fit_seconds")),
                "predict, s a fold": _mean(record.get("predict_seconds")),
            }
            for record in records
        ]
    )


def _climbed(
    arguments: argparse.Namespace, data: Bunch, folds: Sequence[Split]
) -> Iterator[dict[str, tuple[Array, Array]]]:
    chosen: Callable[[str], bool] = lambda name: not arguments.rung or name in arguments.rung  # noqa: E731
    for rung in ladder(arguments):
        if chosen(rung.name):
            yield climb(rung, data, folds)
    if arguments.fastai_python and chosen("fastai"):
        yield climb_with_fastai(arguments, data, folds)


def _records(
    climbed: dict[str, tuple[Array, Array]], data: Bunch, folds: Sequence[Split], *, n_samples: int
) -> Iterator[Record]:
    Y = np.asarray(data.target)
    common = Y.sum(axis=0) >= min(COMMON, len(Y) // 4)
    labels = [name for name, is_common in zip(data.target_names, common, strict=True) if is_common]

    def record(name: str, threshold: float | Array) -> Record:
        probabilities, seconds = climbed[name]
        predictions = Y, probabilities, common, threshold
        return {
            "scores": scores(*predictions),
            "errors": standard_errors(*predictions, n_samples=n_samples),
            "labels": labels,
            "fit_seconds": seconds[:, 0].tolist(),
            "predict_seconds": seconds[:, 1].tolist(),
        }

    for name in climbed:
        yield {"model": name, "threshold": 0.2, **record(name, 0.2)}
    last = list(climbed)[-1]
    tuned = tuned_thresholds(Y, climbed[last][0], folds)
    yield {
        "model": f"{last}, tuned threshold",
        "threshold": sorted(set(tuned.tolist())),
        **record(last, tuned),
    }


def _score(record: Record, name: str) -> str:
    """A score, and its standard error where it was recorded."""
    values = [record["scores"][name], *([record["errors"][name]] if "errors" in record else [])]
    return " ±".join(f"{value:.3f}".removeprefix("0") for value in values)


def _mean(seconds: list[float] | None) -> str:
    return "-" if seconds is None else f"{np.mean(seconds):.1f}"


def _load(arguments: argparse.Namespace, scenes_folder: Path) -> Bunch:
    if arguments.folder is not None:
        return load_planet(arguments.folder)
    return make_aerial_scenes(60 if arguments.smoke else 400, image_size=64, random_state=0, folder=scenes_folder)


def _shown(arguments: argparse.Namespace) -> str:
    return "random" if arguments.weights is None else Path(arguments.weights).name


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetuning", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="train_v2.csv and train-jpg/ (default: generated)")
    parser.add_argument("--backbone", default="mobilenet_v2", metavar="NAME")
    parser.add_argument("--weights", metavar="FILE", help="default: random ones")
    parser.add_argument("--rung", action="append", metavar="NAME", help="only this one; repeatable")
    parser.add_argument("--max-epochs", type=int, metavar="N", help="of each phase (default: the recipe's)")
    parser.add_argument(
        "--mixup", type=float, default=0.0, metavar="ALPHA", help="of training pictures (default: none)"
    )
    parser.add_argument("--fastai-python", metavar="PATH", help="python of an environment that has fastai")
    parser.add_argument("--untimed", action="store_true", help="leave seconds out, where other work slows the machine")
    parser.add_argument("--smoke", action="store_true", help="a run of seconds that only shows that all parts work")
    parser.add_argument("--cv", type=int, metavar="K", help="number of folds (default: 5)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON lines go; never overwritten")
    arguments = parser.parse_args(argv)
    arguments.cv = arguments.cv or (2 if arguments.smoke else 5)
    names = [*(rung.name for rung in ladder(arguments)), "fastai"]
    for name in arguments.rung or []:
        if name not in names:
            parser.error(f"--rung must be one of {', '.join(map(repr, names))}, got {name!r}")
    return arguments


if __name__ == "__main__":
    main()
