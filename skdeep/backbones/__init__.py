"""Networks without their heads: by name or the user's own, with weights and what these expect of a picture."""

from skdeep.backbones.describe import BackboneInfo, describe_backbone
from skdeep.backbones.groups import layer_groups
from skdeep.backbones.networks import list_backbones
from skdeep.backbones.registry import Backbone, build_backbone, feature_size, resolve_backbone

__all__ = [
    "Backbone",
    "BackboneInfo",
    "build_backbone",
    "describe_backbone",
    "feature_size",
    "layer_groups",
    "list_backbones",
    "resolve_backbone",
]
