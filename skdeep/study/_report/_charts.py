"""Charts as shares of their width and height: the page draws them at any size, in its own text and colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.isotonic import isotonic_regression

N_COLOURS = 6  # lines that are told apart by colour and dashes; further ones are grey
_MOST_LABELS = 12  # points up to which each has its name beside it
_LINE = 17  # height in pixels of a line of text
_LETTER = 7  # width in pixels of a letter, about
_WIDTH = 290  # width in pixels of the narrowest chart: there the names of points must not cover each other
_LONGEST = 26  # letters of a name within a chart
_HEIGHT = 320  # of charts, in pixels
_WIDE = 8  # factor of counts from which on their scale is logarithmic
_APART = 5  # thousandths of the width between the strokes of two lines
_STEP = (math.sqrt(5) - 1) / 2  # multiples of it, modulo 1, spread evenly


Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


class Tick(NamedTuple):
    """A place on an axis, in per cent, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True)
class Scale:
    """From values to per cent of an axis, linear or logarithmic."""

    low: float
    high: float
    log: bool = False
    ticks: tuple[Tick, ...] = ()

    def __call__(self, value: float) -> float:
        """Where a value lies, in per cent."""
        if self.log:
            return 100 * math.log(value / self.low) / math.log(self.high / self.low)
        return 100 * (value - self.low) / (self.high - self.low)

    def with_ticks(self, ticks: Iterable[tuple[float, str]]) -> Scale:
        """The same scale with ticks at those of the values that lie on it."""
        return replace(
            self, ticks=tuple(Tick(self(value), text) for value, text in ticks if self.low <= value <= self.high)
        )


@dataclass(frozen=True)
class Line:
    """An SVG path in a square of 1000, and where its end and its highest point lie, in per cent.

    Coloured lines have a name in the legend, with a text, or at their end, moved by so many pixels.
    """

    name: str
    path: str
    colour: int | None = None
    text: str = ""
    end: float = 0
    shift: int = 0
    top: tuple[float, float] | None = None
    whiskers: str = ""


@dataclass(frozen=True)
class Point:
    """A point, in per cent from the left and the top, and its name beside it, moved by so many pixels."""

    x: float
    y: float
    about: str
    front: bool
    label: str = ""
    left: bool = False
    shift: int = 0


@dataclass(frozen=True)
class Chart:
    """Lines or points between two axes; ``right`` is the room in pixels for names at the ends of lines, if any."""

    about: str
    x_name: str
    y_name: str
    x: Scale
    y: Scale
    lines: list[Line] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    height: int = _HEIGHT
    right: int = 0


@dataclass(frozen=True)
class Strip:
    """A row of a strip chart: paths in a box of 1000 by 24, each under a class of the style sheet."""

    name: str
    text: str
    paths: dict[str, str]
    marked: bool = False


@dataclass(frozen=True)
class Strips:
    """Rows that share one horizontal axis; ``band`` is the stretch of it that is shaded, in per cent."""

    about: str
    axis: str
    scale: Scale
    rows: list[Strip]
    band: tuple[float, float] | None = None


def linear(values: ArrayLike, *, n_ticks: int = 7, margin: float = 0.04) -> Scale:
    """A linear scale that holds all values, with ticks at round numbers."""
    low, high = _ends(values)
    room = margin * (high - low) if high > low else 0.05 * (abs(high) or 1)
    scale = Scale(low - room, high + room)
    step = _round_step((scale.high - scale.low) / n_ticks)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    steps = range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1)
    return scale.with_ticks((k * step, f"{k * step:.{places}f}") for k in steps)


def logarithmic(values: ArrayLike) -> Scale:
    """A logarithmic scale that holds all values, which must be positive."""
    low, high = _ends(values)
    scale = Scale(low / 1.3, high * 1.3, log=True)
    ratio = scale.high / scale.low
    # the fewer decades, the more ticks within each
    digits = (1,) if ratio > 1000 else (1, 3) if ratio > 30 else (1, 2, 5)
    decades = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    places = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
    return scale.with_ticks((place, f"{place:,.10g}") for place in places)


def dots(values: Iterable[float], scale: Scale) -> str:
    """Points of a strip, as strokes without length that round ends make dots, spread over its height."""
    return "".join(f"M{10 * scale(value):.0f} {6 + 12 * (k * _STEP % 1):.0f}h0" for k, value in enumerate(values))


def upright(value: float, scale: Scale) -> str:
    """A stroke across the height of a strip."""
    return f"M{10 * scale(value):.0f} 2v20"


def level(low: float, high: float, scale: Scale) -> str:
    """A stroke along a strip."""
    return f"M{10 * max(0.0, scale(low)):.0f} 12H{10 * min(100.0, scale(high)):.0f}"


def learning_chart(
    about: str,
    names: tuple[str, str],
    lines: Mapping[str, Curve],
    spreads: Mapping[str, NDArray[np.floating]],
    order: Sequence[str],
) -> Chart:
    """Lines with upright strokes of half this length either way; the first in ``order`` are named at their ends."""
    shown = order[:N_COLOURS]
    half = {name: np.nan_to_num(spreads[name]) for name in shown}
    x = _over([lines[name][0] for name in order])
    y = linear(np.concatenate([lines[name][1] + sign * half.get(name, 0) for name in order for sign in (-1, 1)]))
    ends = [100 - y(float(lines[name][1][-1])) for name in shown]
    shifts = _apart([end * _HEIGHT / 100 for end in ends], _HEIGHT)
    drawn = [Line(name, _curve(lines[name], x, y)) for name in order[N_COLOURS:]]
    # the most important ones last, above the others
    for colour in reversed(range(len(shown))):
        name = shown[colour]
        drawn.append(
            Line(
                _short(name),
                _curve(lines[name], x, y),
                colour,
                end=ends[colour],
                shift=shifts[colour],
                whiskers=_whiskers(lines[name], half[name], x, y, _APART * (colour - (len(shown) - 1) / 2)),
            )
        )
    right = 48 + _LETTER * max(len(_short(name)) for name in shown)
    return Chart(about, *names, x, y, lines=drawn, right=right)


def threshold_chart(about: str, names: tuple[str, str], lines: Mapping[str, Curve]) -> Chart:
    """Lines over thresholds from 0 to 1 with a mark at the highest point of each, which the legend tells."""
    x = linear([0, 1], margin=0)
    y = linear(np.concatenate([[0.0], *(values for _, values in lines.values())]))
    drawn = []
    for colour, (name, (across, up)) in reversed(list(enumerate(lines.items()))):
        best = int(np.nanargmax(up))
        top = (x(float(across[best])), 100 - y(float(up[best])))
        drawn.append(Line(name, _curve((across, up), x, y), colour, f"{up[best]:.3f} at {across[best]:.2f}", top=top))
    return Chart(about, *names, x, y, lines=drawn)


def cost_chart(
    about: str, names: tuple[str, str], costs: Mapping[str, float], scores: Mapping[str, float], *, greater: bool
) -> Chart:
    """A chart of points, cost to the right and score upwards; those that no other point beats in both are in front."""
    models = [model for model in costs if costs[model] > 0 and math.isfinite(scores[model])]
    x, y = logarithmic([costs[model] for model in models]), linear([scores[model] for model in models], margin=0.1)
    front = {m for m in models if not any(_beats(o, m, costs, scores, greater=greater) for o in models)}
    named = set(models) if len(models) <= _MOST_LABELS else front
    points = [
        Point(
            x(costs[model]),
            100 - y(scores[model]),
            f"{model}: {costs[model]:.3g} s, {scores[model]:.3f}",
            model in front,
            _short(model, 20) if model in named else "",
        )
        for model in models
    ]
    return Chart(about, *names, x, y, points=_labelled(points))


def _beats(one: str, other: str, costs: Mapping[str, float], scores: Mapping[str, float], *, greater: bool) -> bool:
    """Whether one model is at least as cheap and as good as another, and not the same in both."""
    sign = 1 if greater else -1
    better = (costs[other] - costs[one], sign * (scores[one] - scores[other]))
    return min(better) >= 0 and max(better) > 0


def _labelled(points: list[Point]) -> list[Point]:
    """Give each name the nearest place where it covers no other name and no point."""
    taken = [_Box(p.x / 100 * _WIDTH - 6, p.x / 100 * _WIDTH + 6, p.y / 100 * _HEIGHT, 12) for p in points]
    result = []
    for point, own in zip(points, list(taken), strict=True):
        if not point.label:
            result.append(point)
            continue
        length, middle = _LETTER * len(point.label), (own.left + own.right) / 2
        left = middle + 14 + length > _WIDTH and point.x > 50
        start, end = (middle - 14 - length, middle - 10) if left else (middle + 10, middle + 14 + length)
        shifts = sorted(range(-9 * _LINE, 9 * _LINE + 1, _LINE // 2), key=abs)
        fits = (s for s in shifts if 0 < own.middle + s < _HEIGHT)
        boxes = [_Box(start, end, own.middle + shift, _LINE) for shift in fits]
        others = [box for box in taken if box is not own]
        box = next((box for box in boxes if not any(map(box.covers, others))), boxes[0])
        taken.append(box)
        result.append(replace(point, left=left, shift=round(box.middle - own.middle)))
    return result


class _Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    right: float
    middle: float
    height: float

    def covers(self, other: _Box) -> bool:
        """Whether the two share a place."""
        apart = self.right <= other.left or other.right <= self.left
        return not apart and abs(self.middle - other.middle) < (self.height + other.height) / 2


def _over(values: Sequence[NDArray[np.float64]]) -> Scale:
    """A scale for counts: logarithmic where they span more than a factor of 8."""
    low, high = _ends(np.concatenate(values))
    return logarithmic([low, high]) if high > _WIDE * low > 0 else linear([low, high])


def _curve(curve: Curve, x: Scale, y: Scale) -> str:
    """A path in a square of 1000, broken where there is no value."""
    parts, pen = [], "M"
    for across, up in zip(*curve, strict=True):
        if math.isfinite(up):
            parts.append(f"{pen}{10 * x(across):.0f} {1000 - 10 * y(up):.0f}")
        pen = "L" if math.isfinite(up) else "M"
    return "".join(parts)


def _whiskers(curve: Curve, half: NDArray[np.float64], x: Scale, y: Scale, aside: float) -> str:
    """Upright strokes in a square of 1000, moved aside so that those of other lines can be seen."""
    return "".join(
        f"M{10 * x(across) + aside:.0f} {1000 - 10 * y(up - length):.0f}V{1000 - 10 * y(up + length):.0f}"
        for across, up, length in zip(*curve, half, strict=True)
        if length > 0 and math.isfinite(up)
    )


def _apart(places: Sequence[float], height: float) -> list[int]:
    """How far to move labels at these places, in pixels, so that none covers another."""
    order = np.argsort(places, kind="stable")
    sorted_places = np.asarray(places, dtype=np.float64)[order]
    least = np.arange(len(order)) * _LINE
    # places less the least distances must not fall: the nearest such sequence is an isotonic regression
    moved = isotonic_regression(sorted_places - least, y_min=0, y_max=max(0, height - least[-1])) + least
    shifts = np.empty(len(order))
    shifts[order] = moved - sorted_places
    return np.rint(shifts).astype(int).tolist()


def _short(name: str, longest: int = _LONGEST) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _ends(values: ArrayLike) -> tuple[float, float]:
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    return (float(array.min()), float(array.max())) if len(array) else (1.0, 1.0)


def _round_step(least: float) -> float:
    """The lowest of 1, 2, 5, 10 times a power of ten that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))
