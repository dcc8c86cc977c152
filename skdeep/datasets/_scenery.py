"""What the ground and the sky look like from above: one painter for each tag of Planet's chips.

Colours are shared on purpose between tags (a brown stream and a road, a pale field and bare ground, a cloud's shadow
and a burnt patch), and light and haze differ from scene to scene: what tells the tags apart is shape and texture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from skdeep.datasets._canvas import Canvas, Field, Points

_FOREST = [(0.19, 0.26, 0.19), (0.21, 0.25, 0.22), (0.26, 0.27, 0.19), (0.18, 0.25, 0.24), (0.28, 0.26, 0.20)]
_PASTURE = [(0.42, 0.37, 0.27), (0.35, 0.38, 0.23), (0.41, 0.33, 0.28), (0.30, 0.36, 0.21), (0.29, 0.27, 0.21)]
_SOIL = [(0.50, 0.42, 0.32), (0.46, 0.34, 0.27), (0.52, 0.44, 0.37), (0.42, 0.38, 0.30)]
_MUDDY_WATER = [(0.43, 0.36, 0.27), (0.47, 0.41, 0.32), (0.36, 0.37, 0.28)]
_DARK_WATER = [(0.11, 0.14, 0.15), (0.14, 0.18, 0.16)]
_ROOF = [(0.80, 0.78, 0.76), (0.70, 0.58, 0.50), (0.62, 0.62, 0.64)]
_SAND = (0.93, 0.90, 0.86)
_CLOUD = (0.97, 0.94, 0.95)


def paint_scene(canvas: Canvas, content: frozenset[str]) -> NDArray[np.uint8]:
    """Paint a scene that holds what ``content`` names.

    Returns
    -------
    pixels : ndarray of uint8 of shape (size, size, 3)
    """
    paint_ground(canvas, content)
    light_ground(canvas)
    for tag in ("haze", "partly_cloudy", "cloudy"):
        if tag in content:
            _SKY[tag](canvas)
    canvas.image += canvas.grain.normal(0, canvas.rng.uniform(0.004, 0.012), canvas.image.shape).astype(np.float32)
    return (canvas.image.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def paint_ground(canvas: Canvas, content: frozenset[str]) -> None:
    """Paint forest, or open land where there is none, then what lies on it, from the large to the small."""
    if "primary" in content or "cloudy" in content:
        _forest(canvas)
    else:
        _open_land(canvas, all_water="water" in content and "agriculture" not in content)
    _distractions(canvas)
    for tag, paint in _GROUND.items():
        if tag in content:
            paint(canvas)
    anchors = _road(canvas) if "road" in content else None
    if "habitation" in content:
        _habitation(canvas, anchors)


def light_ground(canvas: Canvas) -> None:
    """Give the scene its own light: brightness, colour balance, slope shading and the veil of clear air."""
    rng = canvas.rng
    gain = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.08, 3))
    veil = rng.uniform(0.0, 0.12) * np.array([0.85, 1.0, 1.1])
    slopes = 1 + rng.uniform(0.01, 0.07) * canvas.noise(2, 4)
    canvas.image *= slopes[..., None] * gain.astype(np.float32)
    canvas.image += (veil * (1 - canvas.image.mean())).astype(np.float32)


def _forest(canvas: Canvas) -> None:
    rng = canvas.rng
    crowns = canvas.noise(48, 64, 96, 128, 192) + 0.4 * canvas.noise(20, 32)
    texture = rng.uniform(0.02, 0.07) * canvas.noise(3, 8, 16) + rng.uniform(0.05, 0.13) * crowns
    canvas.blend(np.ones_like(crowns), _colour(canvas, _FOREST), texture)
    canvas.image *= 1 + np.float32(0.02) * canvas.noise(5)[..., None] * rng.normal(0, 1, 3).astype(np.float32)


def _open_land(canvas: Canvas, *, all_water: bool) -> None:
    whole = np.ones((canvas.size, canvas.size), dtype=np.float32)
    if all_water:
        canvas.blend(whole, _water_colour(canvas), 0.08 * canvas.noise(2, 5) + 0.01 * canvas.noise(48))
    else:
        canvas.blend(whole, _colour(canvas, _PASTURE), 0.07 * canvas.noise(3, 9) + 0.05 * canvas.noise(24, 48, 128))


def _distractions(canvas: Canvas) -> None:
    """Paint what carries no tag and looks like what does: meadows, dark valleys, white sand, single bright crowns."""
    rng = canvas.rng
    meadow, valley, sand, speckles = rng.random(4) < (0.15, 0.2, 0.15, 0.2)
    if meadow:
        mask = canvas.soften(_threshold(canvas.noise(3, 6), rng.uniform(0.9, 1.6), 0.4), 0.02)
        canvas.blend(rng.uniform(0.3, 0.7) * mask, _colour(canvas, _PASTURE + _SOIL), 0.08 * canvas.noise(24, 48))
    if valley:
        mask = canvas.soften(canvas.lines([_meander(canvas, 0.15)], rng.uniform(0.05, 0.15)), 0.03)
        canvas.image *= 1 - rng.uniform(0.2, 0.45) * mask[..., None]
    if sand:
        mask = _patch(canvas, rng.random(2), rng.uniform(0.06, 0.2))
        canvas.blend(mask, rng.uniform(0.6, 1.0) * np.array(_SAND), 0.06 * canvas.noise(16, 32))
    if speckles:
        count = rng.integers(1, 4)
        mask = canvas.discs(rng.random((count, 2)), rng.uniform(0.005, 0.012, count))
        canvas.blend(0.8 * mask, _colour(canvas, _ROOF + _SOIL))


def _agriculture(canvas: Canvas) -> None:
    rng = canvas.rng
    angle = rng.uniform(0, np.pi)
    trees = canvas.noise(5, 12, 24)
    if rng.random() < 0.45:
        cleared = _threshold(canvas.noise(2, 4, 8), rng.uniform(-1.0, 0.5), 0.15)
        cleared *= 1 - _threshold(trees, 1.5, 0.2)
        _field(canvas, cleared, angle + rng.normal(0, 0.1))
    for _ in range(rng.integers(1, 5)):
        outline = _rectangle(rng.random(2), rng.uniform(0.15, 0.38, 2), angle)
        _field(canvas, canvas.polygons([outline + rng.normal(0, 0.012, outline.shape)]), angle)


def _field(canvas: Canvas, mask: Field, angle: float) -> None:
    """Cover a mask with a crop: smooth, with furrows along ``angle``."""
    rng = canvas.rng
    x, y = canvas.grid
    across = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y + np.float32(0.006) * canvas.noise(6)
    furrows = np.sin(np.float32(2 * np.pi * rng.uniform(9, 17)) * across)
    texture = rng.uniform(0.06, 0.14) * furrows + 0.09 * canvas.noise(4, 10) + 0.03 * canvas.noise(32, 128)
    canvas.blend(rng.uniform(0.75, 1.0) * mask, _colour(canvas, _PASTURE + _SOIL), texture)


def _bare_ground(canvas: Canvas) -> None:
    rng = canvas.rng
    mask = _patch(canvas, rng.uniform(0.2, 0.8, 2), rng.uniform(0.18, 0.42))
    canvas.blend(mask, _colour(canvas, _SOIL), 0.1 * canvas.noise(3, 7))


def _cultivation(canvas: Canvas) -> None:
    """Paint small mottled clearings with ragged edges, far smaller than fields and without furrows."""
    rng = canvas.rng
    for _ in range(rng.integers(2, 5)):
        mask = _patch(canvas, rng.uniform(0.1, 0.9, 2), rng.uniform(0.08, 0.15))
        canvas.blend(0.9 * mask, _colour(canvas, _PASTURE + _SOIL), 0.28 * canvas.noise(28, 40, 96))


def _slash_burn(canvas: Canvas) -> None:
    """Paint a charred clearing with straight edges and streaks of pale ash."""
    rng = canvas.rng
    angle = rng.uniform(0, np.pi)
    outline = _rectangle(rng.uniform(0.25, 0.75, 2), rng.uniform(0.12, 0.25, 2), angle)
    mask = canvas.polygons([outline + rng.normal(0, 0.02, outline.shape)])
    ash = _threshold(canvas.noise(16, 32), 1.2, 0.4)
    canvas.blend(0.92 * mask, rng.uniform(0.8, 1.2) * np.array([0.17, 0.145, 0.15]), 0.1 * canvas.noise(10, 40))
    canvas.blend(0.5 * mask * ash, (0.42, 0.39, 0.37))


def _blow_down(canvas: Canvas) -> None:
    """Paint a fan of fallen trees: many pale streaks in one direction."""
    rng = canvas.rng
    centre, angle = rng.uniform(0.3, 0.7, 2), rng.uniform(0, 2 * np.pi)
    count = 90
    away = np.abs(rng.normal(0, 0.22, count))
    directions = angle + rng.normal(0, 0.35, count)
    starts = centre + (away * np.stack([np.cos(directions), np.sin(directions)])).T
    ends = starts + 0.05 * np.stack([np.cos(directions), np.sin(directions)], axis=1)
    mask = canvas.lines(list(np.stack([starts, ends], axis=1)), 0.006)
    canvas.blend(0.75 * mask, _colour(canvas, [(0.50, 0.46, 0.38)]))


def _selective_logging(canvas: Canvas) -> None:
    """Paint small brown gaps strung along faint tracks."""
    rng = canvas.rng
    start = rng.uniform(0.2, 0.8, 2)
    tracks, gaps = [], []
    for _ in range(rng.integers(3, 6)):
        steps = rng.normal(0, 0.03, (7, 2)) + 0.07 * _unit(rng.uniform(0, 2 * np.pi))
        track = start + np.cumsum(steps, axis=0)
        tracks.append(track)
        gaps.append(track[1::2])
    colour = _colour(canvas, [(0.42, 0.34, 0.29)])
    centres = np.concatenate(gaps)
    canvas.blend(0.45 * canvas.lines(tracks, 0.006), colour)
    canvas.blend(0.9 * canvas.discs(centres, rng.uniform(0.011, 0.02, len(centres))), colour)


def _blooming(canvas: Canvas) -> None:
    """Paint many pale crowns scattered over the canopy."""
    rng = canvas.rng
    count = rng.integers(60, 130)
    mask = canvas.discs(rng.random((count, 2)), rng.uniform(0.006, 0.013, count))
    canvas.blend(0.75 * mask, _colour(canvas, [(0.62, 0.60, 0.42), (0.66, 0.62, 0.62), (0.60, 0.48, 0.55)]))


def _water(canvas: Canvas) -> None:
    rng = canvas.rng
    if rng.random() < 0.3:
        mask = _patch(canvas, rng.uniform(0, 1, 2), rng.uniform(0.2, 0.42))
    else:
        width = np.exp(rng.uniform(np.log(0.035), np.log(0.13)))
        mask = canvas.lines([_meander(canvas, rng.uniform(0.06, 0.15))], width)
    colour = _water_colour(canvas)
    if rng.random() < 0.5:
        bank = canvas.soften(mask, 0.012)
        canvas.blend(0.5 * (bank - mask).clip(0, 1), _colour(canvas, _SOIL))
    canvas.blend(mask, colour, 0.08 * canvas.noise(2, 5))


def _artisinal_mine(canvas: Canvas) -> None:
    """Paint pale diggings in a row, with ponds of green water."""
    rng = canvas.rng
    middle, axis = rng.uniform(0.3, 0.7, 2), _unit(rng.uniform(0, 2 * np.pi))
    centres = middle + np.outer(np.linspace(-0.28, 0.28, 9), axis) + rng.normal(0, 0.05, (9, 2))
    spread = canvas.soften(canvas.discs(centres, rng.uniform(0.03, 0.09, 9)), 0.02) + 0.16 * canvas.noise(8, 16, 32)
    ponds = canvas.discs(centres[::2] + rng.normal(0, 0.03, (5, 2)), rng.uniform(0.012, 0.035, 5))
    canvas.blend(_threshold(spread, 0.42, 0.15), _colour(canvas, [(0.62, 0.54, 0.42)]), 0.1 * canvas.noise(12, 32, 96))
    canvas.blend(0.9 * ponds, _colour(canvas, [(0.40, 0.45, 0.36)]))


def _conventional_mine(canvas: Canvas) -> None:
    """Paint an open pit of reddish terraces, one within the other."""
    rng = canvas.rng
    depth = _mound(canvas, rng.uniform(0.3, 0.7, 2), rng.uniform(0.22, 0.36), 0.2)
    terraces = np.sin(np.float32(2 * np.pi * rng.uniform(2.2, 3.4)) * depth)
    colour = _colour(canvas, [(0.47, 0.31, 0.25), (0.48, 0.38, 0.31)])
    canvas.blend(_threshold(depth, 0.0, 0.06), colour, 0.2 * terraces + 0.04 * canvas.noise(8, 24))


def _road(canvas: Canvas) -> Points:
    """Paint one or two roads, straight with a few bends, and give the points along them."""
    rng = canvas.rng
    paths = [_bent_line(canvas) for _ in range(rng.integers(1, 3))]
    colour = _colour(canvas, [*_SOIL, (0.60, 0.52, 0.44), (0.53, 0.50, 0.46)])
    canvas.blend(0.95 * canvas.lines(paths, rng.uniform(0.012, 0.024)), 1.25 * colour)
    return np.concatenate(paths)


def _habitation(canvas: Canvas, anchors: Points | None) -> None:
    """Paint groups of small bright roofs, along the road if there is one."""
    rng = canvas.rng
    inside = np.empty((0, 2)) if anchors is None else anchors[((anchors > 0.05) & (anchors < 0.95)).all(axis=1)]
    for _ in range(rng.integers(1, 4)):
        fallback = rng.uniform(0.15, 0.85, 2)
        centre = inside[rng.integers(len(inside))] if len(inside) else fallback
        count = rng.integers(16, 45)
        places = centre + rng.normal(0, rng.uniform(0.03, 0.08), (count, 2))
        angle = rng.uniform(0, np.pi)
        houses = [_rectangle(place, rng.uniform(0.008, 0.017, 2), angle) for place in places]
        ground = canvas.soften(canvas.discs(places, np.full(count, 0.025)), 0.01)
        canvas.blend(0.4 * ground, _colour(canvas, _SOIL))
        canvas.blend(canvas.polygons(houses), _colour(canvas, _ROOF))


def _haze(canvas: Canvas) -> None:
    rng = canvas.rng
    density = (rng.uniform(0.4, 0.7) + 0.07 * canvas.noise(2, 3)).clip(0, 0.92)
    canvas.blend(density, rng.uniform(0.35, 0.65) * np.exp(rng.normal(0, 0.06, 3)))


def _partly_cloudy(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = canvas.noise(2, 3, 5) + 0.4 * canvas.noise(10, 20, 32)
    limit = np.quantile(shape, 1 - rng.uniform(0.03, 0.4))
    cloud = _threshold(shape, limit, rng.uniform(0.5, 1.4))
    shadow = canvas.soften(canvas.moved(cloud, *rng.uniform(0.08, 0.2, 2) * rng.choice([-1, 1], 2)), 0.01)
    canvas.image *= 1 - 0.45 * shadow[..., None]
    canvas.blend(cloud * rng.uniform(0.8, 1.0), rng.uniform(0.8, 1.0) * np.array(_CLOUD), 0.04 * canvas.noise(6, 16))


def _cloudy(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = canvas.noise(2, 3, 5) + 0.4 * canvas.noise(9, 18)
    density = (rng.uniform(0.85, 1.05) + 0.12 * shape).clip(0.55, 1)
    canvas.blend(density, rng.uniform(0.6, 1.0) * np.array(_CLOUD), 0.07 * shape)


def _colour(canvas: Canvas, palette: Sequence[tuple[float, float, float]]) -> NDArray[np.float64]:
    """Mix a colour from two of a palette, and vary it."""
    rng = canvas.rng
    first, second = rng.integers(len(palette), size=2)
    share = rng.random()
    mixed = share * np.array(palette[first]) + (1 - share) * np.array(palette[second])
    return mixed * np.exp(rng.normal(0, 0.1) + rng.normal(0, 0.03, 3))


def _water_colour(canvas: Canvas) -> NDArray[np.float64]:
    return _colour(canvas, _DARK_WATER if canvas.rng.random() < 0.4 else _MUDDY_WATER)


def _threshold(field: Field, limit: float, softness: float) -> Field:
    """Rise from 0 at ``limit`` to 1 at ``limit + softness``, smoothly at both ends."""
    t = ((field - np.float32(limit)) / np.float32(softness)).clip(0, 1)
    return t * t * (3 - 2 * t)


def _unit(angle: float) -> Points:
    return np.array([np.cos(angle), np.sin(angle)])


def _rectangle(centre: Points, half_sides: Points, angle: float) -> Points:
    along, across = _unit(angle), _unit(angle + np.pi / 2)
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    return centre + np.outer(signs[:, 0] * half_sides[0], along) + np.outer(signs[:, 1] * half_sides[1], across)


def _patch(canvas: Canvas, centre: Points, radius: float) -> Field:
    """Mask a long or round patch with a ragged edge."""
    return _threshold(_mound(canvas, centre, radius, 0.4), 0.0, 0.15)


def _mound(canvas: Canvas, centre: Points, radius: float, raggedness: float) -> Field:
    """Fall from about 1 at ``centre`` to 0 at ``radius`` and on, on an ellipse that noise deforms."""
    x, y = canvas.grid
    along, stretch = _unit(canvas.rng.uniform(0, np.pi)), canvas.rng.uniform(0.7, 1.0)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    u, v = dx * np.float32(along[0]) + dy * np.float32(along[1]), dy * np.float32(along[0]) - dx * np.float32(along[1])
    cells = (3, 6, 12) if radius > 0.15 else (8, 16, 32)
    return 1 - np.hypot(u, v / stretch) / np.float32(radius) + np.float32(raggedness) * canvas.noise(*cells)


def _meander(canvas: Canvas, swing: float) -> Points:
    """Wind from edge to edge like a river."""
    rng = canvas.rng
    along = np.linspace(-0.75, 0.75, 60)
    aside = rng.uniform(-0.25, 0.25) + np.zeros_like(along)
    for frequency in rng.uniform((0.6, 1.5, 3.0), (1.2, 2.5, 5.0)):
        aside += swing / (1 + frequency) * 2 * np.sin(2 * np.pi * (frequency * along + rng.random()))
    angle = rng.uniform(0, np.pi)
    return 0.5 + np.outer(along, _unit(angle)) + np.outer(aside, _unit(angle + np.pi / 2))


def _bent_line(canvas: Canvas) -> Points:
    """Cross from edge to edge in straight pieces with a few bends."""
    rng = canvas.rng
    along = np.linspace(-0.75, 0.75, 25)
    bends = np.interp(along, np.linspace(-0.75, 0.75, 5), rng.normal(0, 0.045, 5))
    angle = rng.uniform(0, np.pi)
    middle = 0.5 + rng.uniform(-0.3, 0.3) * _unit(angle + np.pi / 2)
    return middle + np.outer(along, _unit(angle)) + np.outer(bends, _unit(angle + np.pi / 2))


_GROUND = {
    "agriculture": _agriculture,
    "bare_ground": _bare_ground,
    "cultivation": _cultivation,
    "slash_burn": _slash_burn,
    "blow_down": _blow_down,
    "selective_logging": _selective_logging,
    "blooming": _blooming,
    "water": _water,
    "artisinal_mine": _artisinal_mine,
    "conventional_mine": _conventional_mine,
}
_SKY = {"haze": _haze, "partly_cloudy": _partly_cloudy, "cloudy": _cloudy}
