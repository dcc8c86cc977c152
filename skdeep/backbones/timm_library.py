"""The networks of timm, an optional library."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from skdeep.backbones.library import Library, Preprocessing
from skdeep.backbones.weights import StateDict, download
from skdeep.exceptions import WeightsError, WeightsUnavailableError

_POLICIES: dict[str, Any] = {"center": "crop", "squash": "squash", "border": "pad"}  # timm's crop_mode


class TimmLibrary(Library):
    """The networks of timm, as ``"timm/NAME"`` or ``"timm/NAME.TAG"``, a tag naming published weights."""

    prefix = "timm/"
    converts = True
    reserved = frozenset(
        {"pretrained", "num_classes", "in_chans", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"}
    )

    def names(self) -> list[str]:
        """As in :class:`Library`."""
        return list(_timm().list_models())

    def has(self, name: str) -> bool:
        """As in :class:`Library`."""
        architecture, _, tag = name.partition(".")
        return bool(_timm().is_model(architecture)) and (not tag or tag in self.published(architecture))

    def construct(self, name: str, params: Mapping[str, Any], *, whole: bool = False) -> nn.Module:
        """As in :class:`Library`."""
        classes = {} if whole else {"num_classes": 0}
        return _timm().create_model(name, pretrained=False, **classes, **params)

    def published(self, name: str) -> tuple[str, ...]:
        """As in :class:`Library`."""
        architecture = name.partition(".")[0]
        best = _config(architecture).get("tag")
        tagged = _timm().list_models(f"{architecture}.*", pretrained=True)
        tags = {model.partition(".")[2] for model in tagged if model.partition(".")[0] == architecture}
        return tuple(sorted(tags, key=lambda tag: (tag != best, tag)))

    def published_name(self, name: str, weights: Any) -> str | None:
        """As in :class:`Library`."""
        tags = self.published(name)
        named = name.partition(".")[2]
        if weights == "DEFAULT":
            return named or (tags[0] if tags else None)
        if weights not in tags:
            return None
        if named and weights != named:
            raise WeightsError(f"The backbone {self.prefix + name!r} names other weights than weights={weights!r}.")
        return str(weights)

    def preprocessing(self, name: str, weights: str | None) -> Preprocessing:
        """As in :class:`Library`."""
        architecture, _, named = name.partition(".")
        tag = weights or named
        data = importlib.import_module("timm.data").resolve_data_config(
            {}, pretrained_cfg=_config(f"{architecture}.{tag}" if tag else architecture)
        )
        _, height, width = data["input_size"]
        policy = _POLICIES.get(data["crop_mode"], "crop")
        # some cut out more than there is, which timm pads
        side = max(math.floor(min(height, width) / data["crop_pct"]), height, width)
        return Preprocessing(
            size=(height, width),
            policy=policy,
            resize=side if policy == "crop" else None,
            interpolation="bicubic" if data["interpolation"] == "bicubic" else "bilinear",
            mean=tuple(data["mean"]),
            std=tuple(data["std"]),
        )

    def locate(self, name: str, weights: str) -> Path:
        """As in :class:`Library`."""
        architecture = name.partition(".")[0]
        config = _config(f"{architecture}.{weights}")
        if config.get("hf_hub_id"):
            return _from_hub(f"timm/{architecture}", weights, config)
        if config.get("url"):
            return download(f"timm/{architecture}", weights, config["url"])
        raise WeightsUnavailableError(
            f"timm does not say where the weights {weights!r} of {architecture!r} are. Pass weights=PATH with a local "
            "file, or weights=None for random weights."
        )

    def settled(self, name: str, weights: str | None) -> tuple[str, dict[str, Any]]:
        """As in :class:`Library`."""
        # a tag may settle more than the weights, such as the size of pictures
        return f"{name.partition('.')[0]}.{weights}" if weights else name, {}

    def load_published(self, name: str, params: Mapping[str, Any], weights: str, state: StateDict) -> nn.Module | None:
        """A network into which timm itself converts the weights, if it can; their head is taken off afterwards."""
        architecture = name.partition(".")[0]
        tagged = f"{architecture}.{weights}"
        classes = _config(tagged)["num_classes"]
        try:
            network = _timm().create_model(
                tagged,
                pretrained=True,
                pretrained_cfg_overlay={"state_dict": dict(state)},
                num_classes=classes,
                **params,
            )
        except (RuntimeError, KeyError):  # what timm raises for tensors that do not fit
            return None
        network.reset_classifier(0)
        return network

    def versions(self) -> dict[str, str]:
        """As in :class:`Library`."""
        return {"timm": _timm().__version__}


@functools.cache
def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ImportError(
            'Networks named "timm/..." need timm, which is optional: pip install "skdeep[timm]".'
        ) from error


def _config(name: str) -> dict[str, Any]:
    """What timm knows of a network's published weights."""
    config = _timm().get_pretrained_cfg(name)
    return config.to_dict() if config is not None else {}


def _from_hub(network: str, weights: str, config: Mapping[str, Any]) -> Path:
    """Path of weights of the Hugging Face hub in its cache folder; safetensors first."""
    hub = importlib.import_module("huggingface_hub")
    repository, _, revision = config["hf_hub_id"].partition("@")
    filenames = (
        [config["hf_hub_filename"]] if config.get("hf_hub_filename") else ["model.safetensors", "pytorch_model.bin"]
    )
    problem: Exception | None = None
    for filename in filenames:
        try:
            return Path(hub.hf_hub_download(repository, filename, revision=revision or None))
        except Exception as error:  # the hub and what it stands on raise errors of many kinds
            problem = problem or error
    raise WeightsUnavailableError(
        f"The weights {weights!r} of {network!r} could not be downloaded from the Hugging Face hub ({repository}): "
        f"{problem}. Pass weights=PATH with a local file, or weights=None for random weights."
    ) from problem
