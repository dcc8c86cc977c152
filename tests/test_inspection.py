"""The package of displays: what importing it costs, and what is said where matplotlib is missing."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skdeep import inspection
from skdeep.inspection import (
    AugmentedViewsDisplay,
    GradCAMDisplay,
    ImageGridDisplay,
    LabelCooccurrenceDisplay,
    LearningRateFinderDisplay,
    LearningRateScheduleDisplay,
    MultilabelConfusionDisplay,
    ThresholdCurveDisplay,
    TrainingHistoryDisplay,
)

PICTURES = np.zeros((2, 8, 8, 3), dtype=np.uint8)


def test_importing_displays_loads_neither_torch_nor_matplotlib() -> None:
    of_pictures = {"AugmentedViewsDisplay", "GradCAMDisplay", "ImageGridDisplay", "grad_cam"}
    names = [name for name in inspection.__all__ if name not in of_pictures]
    code = (
        f"import sys; from skdeep.inspection import {', '.join(names)}; "
        "print(sorted({'torch', 'torchvision', 'skorch', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_displays_and_their_functions_and_nothing_else_is_there() -> None:
    for name in inspection.__all__:
        assert getattr(inspection, name).__name__ == name
        assert name == "grad_cam" or callable(getattr(inspection, name).plot)
    assert set(inspection.__all__) <= set(dir(inspection))
    with pytest.raises(AttributeError, match=r"module 'skdeep.inspection' has no attribute 'Display'"):
        inspection.Display  # noqa: B018


@pytest.mark.parametrize(
    "draw",
    [
        lambda: TrainingHistoryDisplay.from_history(pd.DataFrame()),
        lambda: TrainingHistoryDisplay.from_estimator(None),
        lambda: TrainingHistoryDisplay([1], [0.5]).plot(),
        lambda: LearningRateScheduleDisplay.from_estimator(None),
        lambda: LearningRateScheduleDisplay.from_phases([], 1),
        lambda: LearningRateScheduleDisplay([1.0]).plot(),
        lambda: LearningRateFinderDisplay.from_curve(None),
        lambda: LearningRateFinderDisplay([1.0], [1.0], [1.0]).plot(),
        lambda: MultilabelConfusionDisplay.from_estimator(None, None, None),
        lambda: MultilabelConfusionDisplay.from_predictions(None, None),
        lambda: MultilabelConfusionDisplay(np.ones((1, 2, 2))).plot(),
        lambda: ThresholdCurveDisplay.from_estimator(None, None, None),
        lambda: ThresholdCurveDisplay.from_predictions(None, None),
        lambda: ThresholdCurveDisplay([0.5], [1.0], [1.0], [1.0]).plot(),
        lambda: LabelCooccurrenceDisplay.from_indicator(None),
        lambda: LabelCooccurrenceDisplay.from_labels([]),
        lambda: LabelCooccurrenceDisplay(np.ones((1, 1))).plot(),
        lambda: ImageGridDisplay.from_estimator(None, None, None),
        lambda: ImageGridDisplay.from_predictions(None, None, None),
        lambda: ImageGridDisplay(PICTURES, truths="ab", probabilities=[0, 1], label="a", kind="most_wrong").plot(),
        lambda: AugmentedViewsDisplay.from_estimator(None, None),
        lambda: AugmentedViewsDisplay.from_images(None, "top_down"),
        lambda: AugmentedViewsDisplay(PICTURES, [PICTURES, PICTURES]).plot(),
        lambda: GradCAMDisplay.from_estimator(None, None),
        lambda: GradCAMDisplay(PICTURES, heat=PICTURES[..., 0], probabilities=[0, 1], label="a").plot(),
    ],
)
def test_without_matplotlib_a_display_names_the_remedy_before_it_looks_at_anything(
    draw: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without_matplotlib(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(ImportError, match=r"Display\.\w+ needs matplotlib\. .*pip install 'skdeep\[plot\]'"):
        draw()
