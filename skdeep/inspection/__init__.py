"""Displays in the manner of scikit-learn's: how training went, what a model gets wrong and where it looks, its data."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skdeep.inspection.confusion import MultilabelConfusionDisplay
    from skdeep.inspection.cooccurrence import LabelCooccurrenceDisplay
    from skdeep.inspection.heat_maps import GradCAMDisplay, grad_cam
    from skdeep.inspection.history import TrainingHistoryDisplay
    from skdeep.inspection.pictures import AugmentedViewsDisplay, ImageGridDisplay
    from skdeep.inspection.rates import LearningRateFinderDisplay, LearningRateScheduleDisplay
    from skdeep.inspection.thresholds import ThresholdCurveDisplay

__all__ = [
    "AugmentedViewsDisplay",
    "GradCAMDisplay",
    "ImageGridDisplay",
    "LabelCooccurrenceDisplay",
    "LearningRateFinderDisplay",
    "LearningRateScheduleDisplay",
    "MultilabelConfusionDisplay",
    "ThresholdCurveDisplay",
    "TrainingHistoryDisplay",
    "grad_cam",
]

# only pictures and heat maps need torch
_HOMES = {
    "AugmentedViewsDisplay": "pictures",
    "GradCAMDisplay": "heat_maps",
    "ImageGridDisplay": "pictures",
    "LabelCooccurrenceDisplay": "cooccurrence",
    "LearningRateFinderDisplay": "rates",
    "LearningRateScheduleDisplay": "rates",
    "MultilabelConfusionDisplay": "confusion",
    "ThresholdCurveDisplay": "thresholds",
    "TrainingHistoryDisplay": "history",
    "grad_cam": "heat_maps",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"skdeep.inspection.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
