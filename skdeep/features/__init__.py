"""Activations of images, each computed once: extraction over the feature store and feature files."""

from skdeep.features.extract import export_images, extract_features, pass_images
from skdeep.features.files import FeatureFile, FeatureFileInfo, export_features, file_info, open_files
from skdeep.features.store import Cache, FeatureStore, Store, StoreInfo, clear, info, open_store, split_cache

__all__ = [
    "Cache",
    "FeatureFile",
    "FeatureFileInfo",
    "FeatureStore",
    "Store",
    "StoreInfo",
    "clear",
    "export_features",
    "export_images",
    "extract_features",
    "file_info",
    "info",
    "open_files",
    "open_store",
    "pass_images",
    "split_cache",
]
