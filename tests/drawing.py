"""What tests of displays share: no window, and no figure left open."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import pytest
from sklearn.linear_model import LogisticRegression

mpl.use("Agg")

from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def fitted(**attributes: Any) -> LogisticRegression:
    """An estimator that has learnt these attributes, as far as anyone can see."""
    estimator = LogisticRegression()
    vars(estimator).update(attributes)
    return estimator


def drawn_within(figure: Any) -> bool:
    """Whether all that is drawn lies within the figure."""
    figure.canvas.draw()
    drawn = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    slack = 0.01  # inches, a pixel
    return bool(min(drawn.x0, drawn.y0) > -slack and drawn.x1 < width + slack and drawn.y1 < height + slack)


def overlapping(figure: Any, *rows: list[Any]) -> list[tuple[str, str]]:
    """Pairs of neighbouring texts of a row that cover each other, once the figure is drawn."""
    figure.canvas.draw()
    found = []
    for texts in rows:
        boxes = [text.get_window_extent() for text in texts]
        found += [
            (texts[place].get_text(), texts[place + 1].get_text())
            for place, (one, other) in enumerate(itertools.pairwise(boxes))
            if one.overlaps(other)
        ]
    return found
