"""Networks without their heads: by name or the user's own, with weights and what these expect of a picture."""

from skdeep.backbones.channels import EXTRA_CHANNELS
from skdeep.backbones.describe import BackboneInfo, describe_backbone
from skdeep.backbones.devices import PRECISIONS, autocast, resolve_device, resolve_precision
from skdeep.backbones.groups import layer_groups
from skdeep.backbones.networks import list_backbones
from skdeep.backbones.registry import (
    RESIZE,
    Backbone,
    build_backbone,
    feature_size,
    freeze,
    pass_pictures,
    resolve_backbone,
    settle_precision,
)
from skdeep.backbones.seeding import seeded
from skdeep.backbones.taps import POOLS

__all__ = [
    "EXTRA_CHANNELS",
    "POOLS",
    "PRECISIONS",
    "RESIZE",
    "Backbone",
    "BackboneInfo",
    "autocast",
    "build_backbone",
    "describe_backbone",
    "feature_size",
    "freeze",
    "layer_groups",
    "list_backbones",
    "pass_pictures",
    "resolve_backbone",
    "resolve_device",
    "resolve_precision",
    "seeded",
    "settle_precision",
]
