"""The classification networks of torchvision."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torchvision import models

from skdeep.backbones.heads import remove_head
from skdeep.backbones.library import Library, Preprocessing
from skdeep.backbones.weights import download
from skdeep.exceptions import WeightsError


class TorchvisionLibrary(Library):
    """The classification networks of torchvision, under its own names."""

    reserved = frozenset({"weights", "progress", "num_classes", "aux_logits", "transform_input", "init_weights"})

    def names(self) -> list[str]:
        """As in :class:`Library`."""
        return models.list_models(module=models)

    def construct(self, name: str, params: Mapping[str, Any], *, whole: bool = False) -> nn.Module:
        """As in :class:`Library`."""
        arguments = dict(params)
        builder = models.get_model_builder(name)
        if _takes(builder, "transform_input"):
            # the Inception networks' own rescaling of their input is part of the preprocessing
            arguments["transform_input"] = False
        if not whole and _takes(builder, "aux_logits"):
            arguments["aux_logits"] = False
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The default weight initialization", category=FutureWarning)
            network = builder(weights=None, **arguments)
        return network if whole else remove_head(network)

    def published(self, name: str) -> tuple[str, ...]:
        """As in :class:`Library`."""
        entries = self._entries(name)
        best = entries["DEFAULT"].name if entries else None
        return tuple(sorted({entry.name for entry in entries.values()}, key=lambda entry: (entry != best, entry)))

    def published_name(self, name: str, weights: Any) -> str | None:
        """As in :class:`Library`."""
        entries = self._entries(name)
        if isinstance(weights, models.WeightsEnum):
            if weights not in entries.values():
                raise WeightsError(
                    f"{type(weights).__name__}.{weights.name} are weights of another network than {name!r}; its own "
                    f"are {sorted(entries)} of {models.get_model_weights(name).__name__}."
                )
            return weights.name
        return entries[weights].name if isinstance(weights, str) and weights in entries else None

    def preprocessing(self, name: str, weights: str | None) -> Preprocessing:
        """As in :class:`Library`."""
        transforms = self._entries(name)[weights or "DEFAULT"].transforms()
        side = transforms.crop_size[0]
        mean, std = _as_network_takes(models.get_model_builder(name), transforms.mean, transforms.std)
        return Preprocessing(
            size=(side, side),
            policy="crop",
            resize=transforms.resize_size[0],
            interpolation=transforms.interpolation.value,
            mean=mean,
            std=std,
        )

    def locate(self, name: str, weights: str) -> Path:
        """As in :class:`Library`."""
        return download(name, weights, self._entries(name)[weights].url)

    def settled(self, name: str, weights: str | None) -> tuple[str, dict[str, Any]]:
        """As in :class:`Library`."""
        # the vision transformers are made for pictures of one size
        if not _takes(models.get_model_builder(name), "image_size"):
            return name, {}
        return name, {"image_size": self._entries(name)[weights or "DEFAULT"].meta["min_size"][0]}

    def has_aux(self, name: str) -> bool:
        """As in :class:`Library`."""
        return _takes(models.get_model_builder(name), "aux_logits")

    def _entries(self, name: str) -> Mapping[str, Any]:
        """As in :class:`Library`."""
        return models.get_model_weights(name).__members__


def _takes(builder: Any, argument: str) -> bool:
    """Whether the network that a builder makes is made with an argument.

    The builders of torchvision hand on what they do not know themselves.
    """
    return argument in inspect.signature(_made_by(builder).__init__).parameters


def _made_by(builder: Any) -> Any:
    """The class of what a builder makes: the builders' results are annotated."""
    return inspect.signature(inspect.unwrap(builder), eval_str=True).return_annotation


def _as_network_takes(builder: Any, mean: list[float], std: list[float]) -> tuple[Any, Any]:
    """Mean and deviation of published transforms and of a network's own rescaling of its input in one.

    The two Inception networks undo ImageNet's normalisation channel by channel; what they do is read off black and
    white.
    """
    if not _takes(builder, "transform_input"):
        return tuple(mean), tuple(std)
    shift, scale = torch.tensor([mean, std], dtype=torch.float64)
    black_and_white = torch.stack([-shift / scale, (1 - shift) / scale])[:, :, None, None]
    rescaling = SimpleNamespace(transform_input=True)  # all that the method asks of its network
    black, white = _made_by(builder)._transform_input(rescaling, black_and_white)[:, :, 0, 0]
    return tuple((-black / (white - black)).tolist()), tuple((1 / (white - black)).tolist())
