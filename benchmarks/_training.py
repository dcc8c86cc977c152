"""Training steps against a bare loop of PyTorch on tensors that are ready, from arrays and from JPEG files."""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks._networks import add_file_options, add_network_options, chosen_precisions, described, image_files
from benchmarks._records import Record
from benchmarks._timing import check_agreement, interleaved_pairs
from skdeep import CNNClassifier
from skdeep.backbones import Backbone, autocast, resolve_device, resolve_precision
from skdeep.images import Geometry, as_images
from skdeep.training import Phase

Batches = list[tuple[torch.Tensor, torch.Tensor]]

LR = 1e-4


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_file_options(parser, n_images=128)
    add_network_options(parser, precisions=("float32", "bf16"))
    parser.add_argument("--batch-size", type=int, default=32, metavar="N")
    parser.add_argument("--device", default="cpu", help="a device of torch, for both sides (default: cpu)")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="interleaved pairs (default: 7)")


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """For each precision, an epoch of all layers: from arrays of the network's size, from files, and from the store."""
    with image_files(arguments.folder, arguments.n_images) as data, tempfile.TemporaryDirectory() as store:
        paths, Y = list(data.data[: arguments.n_images]), np.asarray(data.target)[: arguments.n_images]
        for asked in chosen_precisions(arguments):
            device = resolve_device(arguments.device)
            precision = resolve_precision(asked, device)
            ours = _classifier(arguments, precision, device)
            arrays = _resized(paths, arguments.image_size)
            losses = ours.fit(arrays, Y).history_["train_loss"]
            bare = _Loop(_untrained(ours, arrays, Y), arrays, Y, arguments.batch_size, precision, device)
            error = check_agreement([bare.epoch()[1]], [losses.iloc[0]], close=False)
            for source, X, cache in (
                ("arrays", arrays, False),
                ("files, each decoded", paths, False),
                ("files, resized pictures in the store", paths, store),
            ):
                yield {
                    "what": f"bare training loop / an epoch of CNNClassifier from {source}, {precision}",
                    "data": described(paths, arguments.backbone, arguments.image_size),
                    "precision": precision,
                    "device": device,
                    "batch_size": arguments.batch_size,
                    "relative_error": error,
                    **interleaved_pairs(
                        bare.seconds,
                        _epoch_of(ours.set_params(cache=cache), X, Y),
                        arguments.pairs,
                        n_images=len(paths),
                    ),
                }


class _Loop:
    """A training loop as PyTorch's tutorials have it, in the same precision and layout of memory, without dropout."""

    def __init__(self, network: nn.Module, arrays: Any, Y: Any, batch_size: int, precision: str, device: str) -> None:
        self._network = network.to(device)
        self._precision = precision
        self._device = device
        description: Backbone = network.description  # type: ignore[assignment]
        pixels = torch.from_numpy(arrays).permute(0, 3, 1, 2).to(device)
        ready = [description.normalise(pixels[start : start + batch_size]) for start in range(0, len(Y), batch_size)]
        target = torch.as_tensor(Y, dtype=torch.float32, device=device)
        targets = [target[start : start + batch_size] for start in range(0, len(Y), batch_size)]
        self._batches: Batches = list(zip(ready, targets, strict=True))

    def seconds(self) -> float:
        """Of an epoch."""
        return self.epoch()[0]

    def epoch(self) -> tuple[float, float]:
        """Seconds and mean loss of an epoch of a fresh copy, as a fit of one epoch has it."""
        network = copy.deepcopy(self._network).train()
        backbone: Any = network.backbone
        head: Any = network.head
        optimizer = torch.optim.AdamW(network.parameters(), lr=LR)
        criterion = nn.BCEWithLogitsLoss()
        start, total = time.perf_counter(), 0.0
        for pixels, targets in self._batches:
            with autocast(self._precision, self._device):
                features = backbone(pixels)
            loss = criterion(head(features.flatten(1).float()), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(targets)
        return time.perf_counter() - start, total / sum(len(targets) for _, targets in self._batches)


def _classifier(arguments: argparse.Namespace, precision: str, device: str) -> CNNClassifier:
    return CNNClassifier(
        arguments.backbone,
        weights=None,
        phases=[Phase(max_epochs=1, policy="constant", lr=LR)],
        image_size=arguments.image_size,
        batch_size=arguments.batch_size,
        dropout=0.0,
        precision=precision,
        device=device,
        cache=False,
        random_state=0,
    )


def _untrained(ours: CNNClassifier, arrays: Any, Y: Any) -> nn.Module:
    """The network that a fit begins with, but for a step that is too small to change it."""
    start = copy.deepcopy(ours).set_params(phases=[Phase(max_epochs=1, policy="constant", lr=1e-30)])
    return start.fit(arrays, Y).net_.module_.requires_grad_(True)


def _resized(paths: list[str], size: int) -> np.ndarray[Any, Any]:
    """All pictures at the network's size, as uint8."""
    images = as_images(paths)
    return np.stack([images.pixels(row, Geometry((size, size))).permute(1, 2, 0).numpy() for row in range(len(paths))])


def _epoch_of(ours: CNNClassifier, X: Any, Y: Any) -> Callable[[], float]:
    return lambda: float(ours.fit(X, Y).history_["seconds"].iloc[0])
