"""From a name, or the user's own module, to a network without head."""

from __future__ import annotations

import copy
import difflib
import functools
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

from skdeep.backbones.heads import head_name, head_width, remove_head
from skdeep.backbones.small_cnn import SmallCNN
from skdeep.backbones.weights import (
    Weights,
    check_fit,
    file_digest,
    locate_published,
    read_state_dict,
    without_head,
)
from skdeep.exceptions import WeightsError
from skdeep.images import Geometry

_OWN: dict[str, Callable[[], nn.Module]] = {"small_cnn": SmallCNN}
_OWN_SIZE = 64  # pixels: what networks without published weights take unless told otherwise


@dataclass(frozen=True)
class Backbone:
    """A network without head, described; ``build_backbone`` makes it.

    Attributes
    ----------
    name : str
        torchvision's name, ``"small_cnn"``, or the class of the user's own module.
    weights : Weights
    n_features : int or None
        Size of a feature row; None for the user's own module, whose output tells.
    geometry : Geometry
        The size of picture that the network takes, and how it is brought to it.
    mean, std : tuple of float
        What is taken off each channel of a picture from 0 to 1, and what it is divided by.
    module : nn.Module or None
        The user's own module.
    """

    name: str
    weights: Weights
    n_features: int | None
    geometry: Geometry
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    module: nn.Module | None = field(default=None, compare=False)

    @property
    def fingerprint(self) -> dict[str, Any] | None:
        """All that shapes the activations of a picture; None where that cannot be known."""
        if self.weights.source == "own" and not self.weights.digest:
            return None
        # wherever a file came from, its content tells all
        origin = "content" if self.weights.source in {"published", "file"} else self.weights.source
        return {
            "backbone": self.name,
            "weights": (origin, self.weights.digest),
            "geometry": asdict(self.geometry),
            "mean": self.mean,
            "std": self.std,
        }

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn a batch of pixels, uint8 or from 0 to 1, into what the network was trained on."""
        if not pixels.is_floating_point():
            pixels = pixels.float() / 255
        mean = torch.tensor(self.mean, device=pixels.device)[:, None, None]
        std = torch.tensor(self.std, device=pixels.device)[:, None, None]
        return (pixels - mean) / std


def list_backbones() -> list[str]:
    """Names that ``backbone=`` takes.

    Examples
    --------
    >>> from skdeep.backbones import list_backbones
    >>> {"resnet34", "small_cnn"} <= set(list_backbones())
    True
    """
    return sorted([*_OWN, *models.list_models(module=models)])


def resolve_backbone(
    backbone: str | nn.Module,
    *,
    weights: str | os.PathLike[str] | None,
    image_size: int | None,
    seed: int,
    fingerprint: str | None = None,
) -> Backbone:
    """Settle which network, weights and preprocessing are meant, and check that they fit each other.

    Parameters
    ----------
    backbone : str or nn.Module
        A name of ``list_backbones()``, or a module that turns pictures from 0 to 1, of shape (n, 3, height, width),
        into rows.
    weights : str, path or None
        torchvision's name of published weights (``"DEFAULT"`` is the best), a file, or None for random ones. The
        user's own module brings its own.
    image_size : int or None
        Side of the square to which pictures are squashed; None takes the published weights' own transforms.
    seed : int
        Of random weights.
    fingerprint : str or None
        The user's word for all that shapes the output of their own module.

    Raises
    ------
    ValueError
        If there is no network of that name.
    WeightsError
        If the weights do not fit the network.
    WeightsUnavailableError
        If published weights cannot be downloaded, or a file is not there.
    """
    if isinstance(backbone, nn.Module):
        own = Weights("own", type(backbone).__name__, fingerprint or "")
        geometry = _square(image_size or _OWN_SIZE)
        return Backbone(type(backbone).__name__, own, None, geometry, module=copy.deepcopy(backbone).eval())
    if backbone not in list_backbones():
        close = difflib.get_close_matches(backbone, list_backbones(), n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(f"There is no backbone {backbone!r}.{hint} skdeep.backbones.list_backbones() names them all.")
    source = _resolve_weights(backbone, weights, seed)
    n_features = head_width(_skeleton(backbone))
    if backbone in _OWN:
        return Backbone(backbone, source, n_features, _square(image_size or _OWN_SIZE))
    entry = _published(backbone)[source.name if source.source == "published" else "DEFAULT"]
    transforms = entry.transforms()
    geometry = Geometry(
        size=(transforms.crop_size[0], transforms.crop_size[0]),
        resize=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
    )
    if image_size is not None:
        geometry = _square(image_size, geometry.interpolation)
        _check_size(backbone, image_size)
    return Backbone(backbone, source, n_features, geometry, tuple(transforms.mean), tuple(transforms.std))


def build_backbone(backbone: Backbone, device: str) -> nn.Module:
    """Make the network without its head, in evaluation mode on a device.

    The result is shared by all that ask for it: copy it before changing it.
    """
    if backbone.module is not None:
        # a copy, so that what is pickled stays on the CPU
        return backbone.module if device == "cpu" else copy.deepcopy(backbone.module).to(device)
    return _build_named(backbone, device)


def feature_size(backbone: Backbone, device: str) -> int:
    """Size of a feature row; the user's own module is asked with an empty picture."""
    if backbone.n_features is not None:
        return backbone.n_features
    with torch.inference_mode():
        picture = torch.zeros(1, 3, *backbone.geometry.size, device=device)
        return int(build_backbone(backbone, device)(picture).flatten(1).shape[1])


@functools.lru_cache(maxsize=2)
def _build_named(backbone: Backbone, device: str) -> nn.Module:
    source = backbone.weights
    if source.source == "random":
        network = _construct(backbone.name, pretrained=False, seed=int(source.digest))
        return remove_head(network).to(device).eval()
    network = _construct(backbone.name, pretrained=True)
    path = source.name
    if source.source == "published":
        path = str(locate_published(backbone.name, _published(backbone.name)[source.name]))
    if file_digest(path) != source.digest:
        raise WeightsError(f"The weights file {path!r} is not the one that was fitted: its content has changed.")
    head = head_name(network)
    state = without_head(read_state_dict(path), head)
    network = remove_head(network)
    network.load_state_dict(state)
    return network.to(device).eval()


def _resolve_weights(backbone: str, weights: str | os.PathLike[str] | None, seed: int) -> Weights:
    if weights is None:
        return Weights("random", f"seed={seed}", str(seed))
    published = _published(backbone)
    if weights in published:
        entry = published[str(weights)]
        path = str(locate_published(backbone, entry))
        source = Weights("published", entry.name, file_digest(path))
    elif Path(weights).is_file() or not isinstance(weights, str) or _looks_like_path(weights):
        source, path = Weights("file", str(weights), file_digest(weights)), str(weights)
    else:
        raise WeightsError(
            f"{backbone!r} has no published weights {weights!r}, and no such file exists; published are "
            f"{sorted(published)}. Pass one of them, a file, or None for random weights."
        )
    skeleton = _skeleton(backbone)
    check_fit(backbone, skeleton.state_dict(), read_state_dict(path), head_name(skeleton), path)
    return source


def _published(backbone: str) -> Mapping[str, Any]:
    """Entries of torchvision for the published weights of a network, by name."""
    return {} if backbone in _OWN else models.get_model_weights(backbone).__members__


def _looks_like_path(weights: str) -> bool:
    return Path(weights).suffix in {".pth", ".pt", ".safetensors"} or os.sep in weights


def _square(side: int, interpolation: str = "bilinear") -> Geometry:
    return Geometry(size=(side, side), interpolation=interpolation)


@functools.cache
def _skeleton(name: str) -> nn.Module:
    """The whole network without memory for its weights: shapes only."""
    try:
        with torch.device("meta"):
            return _construct(name, pretrained=True).eval()
    except NotImplementedError:
        # the RegNets compute their widths with tensors, which must have values
        return _construct(name, pretrained=True).to("meta").eval()


@functools.cache
def _check_size(name: str, side: int) -> None:
    """Raise ``ValueError`` if a network cannot take pictures of this size; shapes only are computed."""
    try:
        _skeleton(name)(torch.zeros(1, 3, side, side, device="meta"))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ValueError(f"The backbone {name!r} cannot take pictures of image_size={side}: {error}") from error


def _construct(name: str, *, pretrained: bool, seed: int = 0) -> nn.Module:
    """The whole network as its weights expect it; torch's own generator is left as it was found."""
    # the two Inception networks undo their papers' scaling, but only where weights come from those papers
    arguments = {"transform_input": True} if pretrained and name in {"googlenet", "inception_v3"} else {}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.default_generator.manual_seed(seed)
        if name in _OWN:
            return _OWN[name]()
        warnings.filterwarnings("ignore", message="The default weight initialization", category=FutureWarning)
        return models.get_model(name, weights=None, **arguments)
