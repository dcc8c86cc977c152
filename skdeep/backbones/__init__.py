"""Networks without their heads: by name or the user's own, with weights and what these expect of a picture."""

from skdeep.backbones.devices import PRECISIONS, autocast, resolve_device, resolve_precision
from skdeep.backbones.registry import Backbone, build_backbone, feature_size, list_backbones, resolve_backbone

__all__ = [
    "PRECISIONS",
    "Backbone",
    "autocast",
    "build_backbone",
    "feature_size",
    "list_backbones",
    "resolve_backbone",
    "resolve_device",
    "resolve_precision",
]
