"""Deep multi-label classification that is scikit-learn through and through."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from skdeep._cnn_classifier import CNNClassifier
    from skdeep._feature_extractor import CNNFeatureExtractor
    from skdeep._tabular import TabularClassifier
    from skdeep.images import Augmentation
    from skdeep.training import Phase

__all__ = ["Augmentation", "CNNClassifier", "CNNFeatureExtractor", "Phase", "TabularClassifier"]

# torch takes seconds to import: each name pays for itself, when it is asked for.
_HOMES = {
    "Augmentation": "skdeep.images",
    "CNNClassifier": "skdeep._cnn_classifier",
    "CNNFeatureExtractor": "skdeep._feature_extractor",
    "Phase": "skdeep.training",
    "TabularClassifier": "skdeep._tabular",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
