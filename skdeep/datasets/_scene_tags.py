"""Which tags go together in a scene, as counted in the label file of Kaggle's Planet competition."""

from __future__ import annotations

import numpy as np

TAGS = [
    "agriculture",
    "artisinal_mine",
    "bare_ground",
    "blooming",
    "blow_down",
    "clear",
    "cloudy",
    "conventional_mine",
    "cultivation",
    "habitation",
    "haze",
    "partly_cloudy",
    "primary",
    "road",
    "selective_logging",
    "slash_burn",
    "water",
]
WEATHER = {"clear": 0.703, "partly_cloudy": 0.179, "haze": 0.067, "cloudy": 0.051}

# For each ground tag: the tags that it depends on, and its probability for each combination of them, counting
# (no, no), (no, yes), (yes, no), (yes, yes). The last six are raised from 0.25-0.9 % to 2 % with their ratios kept, so
# that a set of some hundred scenes has a few of each.
_GROUND: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "primary": ((), (0.977,)),
    "agriculture": ((), (0.32,)),
    "road": (("agriculture",), (0.078, 0.49)),
    "habitation": (("agriculture", "road"), (0.014, 0.287, 0.085, 0.365)),
    "cultivation": (("agriculture",), (0.042, 0.274)),
    "water": (("agriculture", "road"), (0.155, 0.48, 0.25, 0.19)),
    "bare_ground": (("primary",), (0.204, 0.018)),
    "artisinal_mine": (("water",), (0.003, 0.09)),
    "blooming": (("agriculture",), (0.027, 0.006)),
    "blow_down": (("road",), (0.025, 0.002)),
    "conventional_mine": (("road",), (0.011, 0.056)),
    "selective_logging": (("road",), (0.014, 0.042)),
    "slash_burn": (("cultivation",), (0.01, 0.11)),
}
_MISREAD = 0.04


def draw_content(rng: np.random.Generator) -> frozenset[str]:
    """Draw what a scene holds: one kind of weather and, unless it is cloudy, what is seen on the ground."""
    weather = str(rng.choice(list(WEATHER), p=list(WEATHER.values())))
    content = {weather}
    if weather == "cloudy":
        return frozenset(content)
    for tag, draw in zip(_GROUND, rng.random(len(_GROUND)), strict=True):
        if draw < _probability(tag, content):
            content.add(tag)
    if len(content) == 1:
        content.add("water" if rng.random() < 0.5 else "agriculture")
    return frozenset(content)


def misread(content: frozenset[str], rng: np.random.Generator) -> frozenset[str]:
    """Label a scene as people do: a small thing on the ground is missed now and then, or seen where it is not.

    A tag is added about as often as it is missed, so that its frequency stays. Weather and primary are always right.
    """
    if "cloudy" in content:
        return content
    tags = set(content)
    for tag, draw in zip(_GROUND, rng.random(len(_GROUND)), strict=True):
        share = 1.0 if tag in content else _probability(tag, content)
        if tag != "primary" and draw < _MISREAD * share:
            tags ^= {tag}
    return frozenset(tags)


def indicator_row(tags: frozenset[str]) -> list[int]:
    """Give the row of the indicator over `TAGS`."""
    return [int(tag in tags) for tag in TAGS]


def _probability(tag: str, content: set[str] | frozenset[str]) -> float:
    parents, probabilities = _GROUND[tag]
    case = 0
    for parent in parents:
        case = 2 * case + (parent in content)
    return probabilities[case]
