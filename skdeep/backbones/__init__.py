"""Networks without their heads: by name or the user's own, with weights and what these expect of a picture."""

from skdeep.backbones.registry import Backbone, build_backbone, feature_size, list_backbones, resolve_backbone

__all__ = ["Backbone", "build_backbone", "feature_size", "list_backbones", "resolve_backbone"]
