"""Seconds to look up the stored features of files that have not changed: in a new process, and again in the same.

    python -m benchmarks._lookup FOLDER

is the new process: it reads what ``run`` laid into the folder, and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks._networks import ImageCounter, network_of, watched
from benchmarks._records import Record
from benchmarks._timing import median_interval
from skdeep import CNNFeatureExtractor

N_FEATURES = 512  # as many as ResNet-34 gives
SIDE = 8  # pixels

_RACY = 3.0  # seconds: a file that changed just before it was read is read again, whatever its times say


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    parser.add_argument("--n-images", type=int, default=40_000, metavar="N", help="stored rows (default: 40000)")
    parser.add_argument(
        "--file-size",
        type=int,
        default=15_000,
        metavar="BYTES",
        help="of a file (default: 15000, as Planet's chips)",
    )
    parser.add_argument("--processes", type=int, default=5, metavar="N", help="one after the other (default: 5)")


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """One record; making the files and filling the store is not timed."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_files(folder, arguments.n_images, arguments.file_size)
        time.sleep(_RACY)
        paths = _paths(folder)
        np.save(folder / "features.npy", _extractor(folder).fit_transform(paths))
        measured = [_in_new_process(folder) for _ in range(arguments.processes)]
    record: Record = {
        "what": "lookup of stored rows",
        "data": f"{arguments.n_images} files of {arguments.file_size} bytes, {N_FEATURES} features each",
        "n_images": arguments.n_images,
        "n_processes": arguments.processes,
    }
    for name in ("fit", "cold", "warm"):
        seconds, interval = median_interval([run[f"{name}_seconds"] for run in measured])
        record |= {f"{name}_seconds": seconds, f"{name}_interval": interval}
    yield record


def look_up(folder: Path) -> dict[str, float]:
    """Look all rows up twice, and check that they are right and that none passed the network."""
    paths = _paths(folder)
    extractor = _extractor(folder)
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        seconds[f"{name}_seconds"] = time.perf_counter() - start
        return result

    timed("fit", lambda: extractor.fit(paths))
    with watched(network_of(extractor), counter := ImageCounter()):
        found = [timed(name, lambda: extractor.transform(paths)) for name in ("cold", "warm")]
    expected = np.load(folder / "features.npy")
    if counter.n_images or not all(np.array_equal(features, expected) for features in found):
        raise RuntimeError(f"{counter.n_images} images passed the network, or their features differ.")
    return seconds


def _write_files(folder: Path, n_images: int, file_size: int) -> None:
    """Small pictures, no two alike, padded to the size of a photograph."""
    (folder / "pictures").mkdir()
    pixels = np.random.default_rng(0).integers(256, size=(n_images, SIDE, SIDE, 3), dtype=np.uint8)
    for path, picture in zip(_paths(folder, n_images), pixels, strict=True):
        with Path(path).open("wb") as file:
            Image.fromarray(picture).save(file, "BMP")
            # decoders stop where the picture ends
            file.write(bytes(max(file_size - file.tell(), 0)))


def _paths(folder: Path, n_images: int | None = None) -> list[str]:
    pictures = folder / "pictures"
    if n_images is None:
        n_images = sum(1 for _ in pictures.iterdir())
    return [str(pictures / f"{row}.bmp") for row in range(n_images)]


def _extractor(folder: Path) -> CNNFeatureExtractor:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, N_FEATURES))
    return CNNFeatureExtractor(
        network,
        image_size=SIDE,
        batch_size=512,
        device="cpu",
        precision="float32",
        cache=str(folder / "store"),
        fingerprint="a linear map, seed 0",
    )


def _in_new_process(folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks._lookup", str(folder)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    print(json.dumps(look_up(Path(sys.argv[1]))))
