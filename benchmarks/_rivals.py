"""Images per second against other ways to features: embetter's encoder, and a plain loop over torch's DataLoader."""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from sklearn.pipeline import Pipeline, make_pipeline
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks._networks import (
    add_file_options,
    add_network_options,
    bare_network_of,
    chosen_precisions,
    described,
    image_files,
)
from benchmarks._records import Record
from benchmarks._timing import check_agreement, interleaved_pairs, timed
from skdeep import CNNFeatureExtractor
from skdeep.backbones import Backbone, resolve_precision

RIVALS = ("embetter", "dataloader")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add_file_options(parser, n_images=64)
    add_network_options(parser, precisions=("float32", "bf16"))
    parser.add_argument(
        "--rival", action="append", choices=RIVALS, help="repeatable; embetter at its own image size (default: both)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), metavar="N", help="of the DataLoader")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="interleaved pairs (default: 7)")


def run(arguments: argparse.Namespace) -> Iterator[Record]:
    """A record for each rival and precision; the rivals compute in float32 as they always do."""
    with image_files(arguments.folder, arguments.n_images) as data:
        paths = data.data[: arguments.n_images]
        for rival in arguments.rival or RIVALS:
            if rival == "embetter":
                yield from _against_embetter(paths, arguments)
            else:
                yield from _against_dataloader(paths, arguments)


def _against_embetter(paths: Sequence[Any], arguments: argparse.Namespace) -> Iterator[Record]:
    try:
        name = f"embetter {importlib.metadata.version('embetter')} TimmEncoder"
        encoder = _random_encoder(arguments.backbone)
    except ImportError as missing:
        print(f"embetter is left out: {missing}. pip install embetter timm")
        return
    network = encoder[-1].model
    state = copy.deepcopy(network.state_dict())
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / "shared.pth"
        torch.save(state, weights)
        for precision in chosen_precisions(arguments):
            ours = _extractor(f"timm/{arguments.backbone}", arguments, precision, weights=weights).fit(paths)
            # As published, the encoder never leaves training mode, where batch normalisation takes each image's own
            # statistics: the two sides can only agree in evaluation mode, so that is what is compared.
            network.load_state_dict(state)
            network.eval()
            error = check_agreement(ours.transform(paths), encoder.fit_transform(paths), close=False)
            network.train()
            yield {
                "what": f"{name} / files to features, {_resolved(precision)}",
                "data": described(paths, ours.backbone_.name, ours.backbone_.geometry.size[0]),
                "precision": _resolved(precision),
                "relative_error": error,
                **interleaved_pairs(
                    timed(partial(encoder.fit_transform, paths)),
                    timed(partial(ours.transform, paths)),
                    arguments.pairs,
                    n_images=len(paths),
                ),
            }


def _random_encoder(backbone: str) -> Pipeline:
    """The way of embetter from paths to features; its network has random weights, for it would download others."""
    import timm
    from embetter.vision import ImageLoader, TimmEncoder

    create = timm.create_model

    def create_random(name: str, **arguments: Any) -> Any:
        return create(name, **{**arguments, "pretrained": False})

    with mock.patch("timm.create_model", create_random), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        encoder = TimmEncoder(backbone)
    for module in encoder.model.modules():
        # timm starts some at zero, which would hide whole branches from the comparison of results
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    return make_pipeline(ImageLoader(), encoder)


def _against_dataloader(paths: Sequence[Any], arguments: argparse.Namespace) -> Iterator[Record]:
    for precision in chosen_precisions(arguments):
        ours = _extractor(arguments.backbone, arguments, precision, weights=None).fit(paths)
        network = bare_network_of(ours).to(memory_format=torch.contiguous_format)
        loader = DataLoader(
            _Pictures(paths, ours.backbone_),
            batch_size=arguments.batch_size,
            num_workers=arguments.workers,
            persistent_workers=arguments.workers > 0,  # started in the warm-up, outside the times
        )

        loop = partial(_loop, network, loader)
        error = check_agreement(ours.transform(paths), loop(), close=False)
        yield {
            "what": f"DataLoader, {arguments.workers} workers / files to features, {_resolved(precision)}",
            "data": described(paths, arguments.backbone, arguments.image_size),
            "precision": _resolved(precision),
            "relative_error": error,
            **interleaved_pairs(
                timed(loop), timed(partial(ours.transform, paths)), arguments.pairs, n_images=len(paths)
            ),
        }


def _loop(network: nn.Module, loader: DataLoader[torch.Tensor]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        return torch.cat([network(batch).flatten(1) for batch in loader]).numpy()


class _Pictures(Dataset[torch.Tensor]):
    """Files as torchvision's documentation has them: opened, resized, turned into tensors, normalised."""

    def __init__(self, paths: Sequence[Any], backbone: Backbone) -> None:
        self.paths = paths
        self.transform = transforms.Compose(
            [
                transforms.Resize(backbone.geometry.size),
                transforms.ToTensor(),
                transforms.Normalize(backbone.mean, backbone.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as picture:
            return self.transform(picture.convert("RGB"))


def _extractor(
    backbone: str, arguments: argparse.Namespace, precision: str, *, weights: Path | None
) -> CNNFeatureExtractor:
    return CNNFeatureExtractor(
        backbone,
        weights=weights,
        # what timm says of a network is what embetter goes by
        image_size=None if backbone.startswith("timm/") else arguments.image_size,
        batch_size=arguments.batch_size,
        device="cpu",
        precision=precision,
        cache=False,
        random_state=0,
    )


def _resolved(precision: str) -> str:
    return resolve_precision(precision, "cpu")
