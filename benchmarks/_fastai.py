"""A fine-tuning recipe by fastai, which works in an environment of its own, against CNNClassifier."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._networks import add_file_options, described, image_files
from benchmarks._records import Record
from benchmarks._timing import interleaved_pairs
from skdeep import CNNClassifier, Phase
from skdeep.training import resolve_phases

Array = np.ndarray[Any, Any]
Split = tuple[Array, Array]

BATCH_SIZE, LR = 32, 2e-3  # fastai's rate is the default of its ``fine_tune``


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_file_options(parser, n_images=128)
    parser.add_argument("--fastai-python", required=True, metavar="PATH", help="python of an environment with fastai")
    parser.add_argument("--weights", required=True, metavar="FILE", help="of MobileNetV2, for both sides")
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="interleaved pairs (default: 3)")


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """A record for each phase of the Planet recipe, an epoch of it on both sides, and one for all of them."""
    recipe = resolve_phases("planet", lr=None, max_epochs=1, image_size=None)
    with image_files(arguments.folder, arguments.n_images) as data:
        paths, Y = list(data.data[: arguments.n_images]), np.asarray(data.target)[: arguments.n_images]
        some = [replace(phase, max_epochs=1, policy="one_cycle", cycle_mult=1) for phase in recipe]
        for name, phases in [*((_named(phase), [phase]) for phase in some), ("all six phases", some)]:
            ours = CNNClassifier(
                "mobilenet_v2", weights=arguments.weights, phases=phases, augmentation="top_down", random_state=0
            )
            yield {
                "what": f"fastai / CNNClassifier, an epoch of {name}",
                "data": described(paths, "mobilenet_v2", "64, 128, 256"),
                "batch_size": BATCH_SIZE,
                **interleaved_pairs(
                    partial(_fastai_seconds, arguments, paths, Y, phases),
                    partial(_our_seconds, ours, paths, Y),
                    arguments.pairs,
                    n_images=len(paths),
                ),
            }


def run_fastai(
    python: str,
    paths: Sequence[str],
    target: Array,
    folds: Sequence[Split],
    weights: str,
    phases: Sequence[Phase],
    mixup: float,
) -> dict[str, Array]:
    """What ``_fastai_rival.py`` gives: out-of-fold probabilities, and seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        spec, out = Path(scratch) / "spec.json", Path(scratch) / "out.npz"
        spec.write_text(
            json.dumps(
                {
                    "paths": [str(path) for path in paths],
                    "target": np.asarray(target).tolist(),
                    "folds": [[train.tolist(), test.tolist()] for train, test in folds],
                    "weights": str(weights),
                    "batch_size": BATCH_SIZE,
                    "lr": LR,
                    "mixup": mixup,
                    "phases": [
                        {"size": phase.image_size, "train": phase.train, "epochs": phase.max_epochs} for phase in phases
                    ],
                }
            )
        )
        script = Path(__file__).with_name("_fastai_rival.py")
        subprocess.run([python, "-W", "ignore", str(script), str(spec), str(out)], check=True)
        with np.load(out) as found:
            return dict(found)


def _named(phase: Phase) -> str:
    return f"{'the head' if phase.train == 'head' else 'all layers'} at {phase.image_size} px"


def _fastai_seconds(arguments: argparse.Namespace, paths: Sequence[str], Y: Array, phases: Sequence[Phase]) -> float:
    """Of training; starting Python and importing are not counted."""
    folds = [(np.arange(len(paths)), np.arange(2))]
    found = run_fastai(arguments.fastai_python, paths, Y, folds, arguments.weights, phases, mixup=0.0)
    return float(found["seconds"][0])


def _our_seconds(ours: CNNClassifier, paths: Sequence[str], Y: Array) -> float:
    """Of a whole fit."""
    start = time.perf_counter()
    ours.fit(paths, Y)
    return time.perf_counter() - start
