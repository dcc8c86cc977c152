"""How fast the library is, beside its floor or a rival: both in one run, in interleaved pairs.

    python -m benchmarks.speed mlknn [TRAIN.arff TEST.arff] [--ng-python PYTHON]
    python -m benchmarks.speed extraction [FOLDER] [--backbone resnet34] [--image-size 224]

``--ng-python`` names the interpreter of an environment that holds scikit-multilearn-ng, which cannot be installed
beside scikit-multilearn:

    python -m venv ng && ng/bin/pip install scikit-multilearn-ng==0.0.8
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binom
from sklearn.datasets import make_multilabel_classification
from sklearn.neighbors import NearestNeighbors

from benchmarks._records import Record, default_output, environment, open_output, write_record
from skdeep import CNNFeatureExtractor
from skdeep.backbones import build_backbone, resolve_backbone
from skdeep.datasets import load_mulan, load_planet, make_aerial_scenes
from skdeep.images import as_images, load_batches
from skdeep.multilabel import MLkNN

Timed = Callable[[], float]  # does the work once and gives its seconds

# The rival's side of a pair: it waits for a line, works once, and answers with its seconds.
_NG_WORKER = """
import sys, time, numpy as np
from skmultilearn.adapt import MLkNN
data = np.load(sys.argv[1])
for _ in sys.stdin:
    start = time.perf_counter()
    MLkNN(k=10, s=1.0).fit(data["X"], data["Y"]).predict(data["X_test"])
    print(time.perf_counter() - start, flush=True)
"""


def compare_mlknn(files: Sequence[str], ng_python: str | None, n_pairs: int) -> Iterator[Record]:
    """ML-kNN's fit and predict against its two bare neighbour searches, and against scikit-multilearn-ng."""
    X, Y, X_test, name = _table(files)

    def ours() -> float:
        start = time.perf_counter()
        MLkNN(n_neighbors=10).fit(X, Y).predict(X_test)
        return time.perf_counter() - start

    def bare() -> float:
        start = time.perf_counter()
        search = NearestNeighbors(n_neighbors=10).fit(X)
        search.kneighbors(return_distance=False)
        search.kneighbors(X_test, return_distance=False)
        return time.perf_counter() - start

    yield {"what": "ML-kNN, fit + predict / bare kneighbors", "data": name, **_pairs(ours, bare, n_pairs)}
    if ng_python:
        with _ng_worker(ng_python, X, Y, X_test) as rival:
            yield {"what": "scikit-multilearn-ng MLkNN / ours", "data": name, **_pairs(rival, ours, n_pairs)}


def compare_extraction(
    folder: str | None, backbone: str, image_size: int, n_images: int, n_pairs: int
) -> Iterator[Record]:
    """Features from JPEG files against the bare network on tensors that are ready."""
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            data = make_aerial_scenes(n_images, image_size=256, random_state=0, folder=Path(scratch) / "scenes")
        else:
            data = load_planet(folder)
        paths = data.data[:n_images]
        batch_size = 16
        described = resolve_backbone(backbone, weights=None, image_size=image_size, seed=0)
        network = build_backbone(described, "cpu")
        rows = [range(start, min(start + batch_size, len(paths))) for start in range(0, len(paths), batch_size)]
        loaded = load_batches(as_images(paths), rows, described.geometry)
        batches = [described.normalise(pixels) for _, pixels in loaded]
        extractor = CNNFeatureExtractor(
            backbone, weights=None, image_size=image_size, batch_size=batch_size, cache=False, random_state=0
        ).fit(paths)

        def bare() -> float:
            start = time.perf_counter()
            with torch.inference_mode():
                for batch in batches:
                    network(batch)
            return time.perf_counter() - start

        def ours() -> float:
            start = time.perf_counter()
            extractor.transform(paths)
            return time.perf_counter() - start

        name = f"{len(paths)} JPEG files of 256 px, {backbone} at {image_size} px"
        yield {"what": "bare network / files to features", "data": name, **_pairs(bare, ours, n_pairs)}


def main(argv: Sequence[str] | None = None) -> list[Record]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("mlknn", "extraction"))
    parser.add_argument("data", nargs="*", help="mlknn: two ARFF files; extraction: a folder in Kaggle's layout")
    parser.add_argument("--ng-python", metavar="PYTHON", help="interpreter with scikit-multilearn-ng")
    parser.add_argument("--backbone", default="resnet34", metavar="NAME")
    parser.add_argument("--image-size", type=int, default=224, metavar="PX")
    parser.add_argument("--n-images", type=int, default=64, metavar="N")
    parser.add_argument("--pairs", type=int, default=11, metavar="N", help="interleaved pairs (default: 11)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON lines go; never overwritten")
    arguments = parser.parse_args(argv)
    if arguments.part == "mlknn":
        records = compare_mlknn(arguments.data, arguments.ng_python, arguments.pairs)
    else:
        folder = arguments.data[0] if arguments.data else None
        records = compare_extraction(
            folder, arguments.backbone, arguments.image_size, arguments.n_images, arguments.pairs
        )
    written = []
    out = arguments.out or default_output(f"speed-{arguments.part}")
    with open_output(out) as file:
        for record in records:
            written.append({"benchmark": "speed", **environment(), "threads": torch.get_num_threads(), **record})
            write_record(file, written[-1])
            low, high = record["ratio_interval"]
            print(
                f"{record['what']} ({record['data']}): {record['ratio']:.2f} [{low:.2f}, {high:.2f}], "
                f"medians {record['first_seconds']:.4f} s / {record['second_seconds']:.4f} s"
            )
    print(f"Records: {out}")
    return written


def _pairs(first: Timed, second: Timed, n_pairs: int) -> Record:
    """Time two pieces of work in turn, once each to warm up: the median ratio and its interval of 95 %."""
    first(), second()
    seconds = np.array([(first(), second()) for _ in range(n_pairs)])
    ratios = np.sort(seconds[:, 0] / seconds[:, 1])
    # order statistics: the median of all possible pairs lies between these two, whatever the distribution
    low = int(max(binom.ppf(0.025, n_pairs, 0.5) - 1, 0))
    return {
        "n_pairs": n_pairs,
        "ratio": float(np.median(ratios)),
        "ratio_interval": [float(ratios[low]), float(ratios[n_pairs - 1 - low])],
        "first_seconds": float(np.median(seconds[:, 0])),
        "second_seconds": float(np.median(seconds[:, 1])),
    }


def _table(files: Sequence[str]) -> tuple[Any, Any, Any, str]:
    if files:
        train, test = (load_mulan(file) for file in files)
        return train.data, train.target, test.data, "yeast, official split"
    X, Y = make_multilabel_classification(2417, n_features=103, n_classes=14, n_labels=4, random_state=0)
    return X[:1500], Y[:1500], X[1500:], "generated, 1500 / 917 x 103, 14 labels"


@contextmanager
def _ng_worker(python: str, X: Any, Y: Any, X_test: Any) -> Iterator[Timed]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "data.npz"
        np.savez(path, X=X, Y=Y, X_test=X_test)
        command = [python, "-c", _NG_WORKER, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
            requests, answers = worker.stdin, worker.stdout
            if requests is None or answers is None:
                raise RuntimeError("the rival's process has no pipes")

            def run_once() -> float:
                requests.write("\n")
                requests.flush()
                return float(answers.readline())

            yield run_once
            requests.close()


if __name__ == "__main__":
    main()
