"""Activations of images, each computed once: extraction over the feature store."""

from skdeep.features.extract import extract_features, pass_images
from skdeep.features.store import FeatureStore, Store, StoreInfo, clear, info, open_store

__all__ = ["FeatureStore", "Store", "StoreInfo", "clear", "extract_features", "info", "open_store", "pass_images"]
