"""What the parts on networks share: their options, their files, and a look at what passes a network."""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from sklearn.utils import Bunch
from torch import nn

from skdeep import CNNFeatureExtractor
from skdeep.backbones import PRECISIONS, build_backbone
from skdeep.datasets import load_planet, make_aerial_scenes

SCENE_SIZE = 256  # pixels: the side of Planet's chips


def add_file_options(parser: argparse.ArgumentParser, *, n_images: int) -> None:
    """Which files are read."""
    parser.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="train_v2.csv and train-jpg/ (default: generated scenes)"
    )
    parser.add_argument(
        "--n-images", type=int, default=n_images, metavar="N", help=f"number of files (default: {n_images})"
    )


def add_network_options(parser: argparse.ArgumentParser, *, precisions: Sequence[str]) -> None:
    """Which network they pass, and how precisely it computes."""
    parser.add_argument("--backbone", default="resnet34", metavar="NAME", help="its weights are random")
    parser.add_argument("--image-size", type=int, default=224, metavar="PX")
    parser.add_argument(
        "--precision",
        action="append",
        choices=PRECISIONS,
        help=f"of skdeep's side; repeatable (default: {' and '.join(precisions)})",
    )
    parser.set_defaults(default_precisions=precisions)


def chosen_precisions(arguments: argparse.Namespace) -> Sequence[str]:
    """The precisions asked for, or the part's own."""
    return arguments.precision or arguments.default_precisions


@contextmanager
def image_files(folder: str | None, n_images: int) -> Iterator[Bunch]:
    """A data set in Kaggle's layout: the whole one of a folder, or as many generated scenes as needed."""
    if folder is not None:
        yield load_planet(folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield make_aerial_scenes(n_images, image_size=SCENE_SIZE, random_state=0, folder=Path(scratch) / "scenes")


def described(paths: Sequence[Any], backbone: str, image_size: int | str) -> str:
    """What a record says of its data."""
    with Image.open(paths[0]) as picture:
        return f"{len(paths)} {picture.format} files of {max(picture.size)} px, {backbone} at {image_size} px"


def network_of(extractor: CNNFeatureExtractor, device: str = "cpu") -> nn.Module:
    """The very network that a fitted extractor uses: all that want the same one share it."""
    return build_backbone(extractor.backbone_, device, frozen=extractor.precision_)


def bare_network_of(extractor: CNNFeatureExtractor, device: str = "cpu") -> nn.Module:
    """The same network as its library gives it, without its head, in evaluation mode and with channels last."""
    return copy.deepcopy(build_backbone(extractor.backbone_, device))


@contextmanager
def watched(network: nn.Module, look: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """Look at every batch that passes a network within the context."""
    handle = network.register_forward_pre_hook(lambda _, inputs: look(inputs[0]))
    try:
        yield
    finally:
        handle.remove()


class ImageCounter:
    """Count the images of the batches that it is called with."""

    def __init__(self) -> None:
        self.n_images = 0

    def __call__(self, batch: torch.Tensor) -> None:
        self.n_images += len(batch)
