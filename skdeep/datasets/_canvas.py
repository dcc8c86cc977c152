"""A square picture on which shapes in the unit square and noise are drawn, the same at every resolution."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Field = NDArray[np.float32]
Points = NDArray[np.float64]

# Noise cells up to this many a side are drawn alike for all sizes; finer ones come from a generator of their own.
_SHARED_CELLS = 64


class Canvas:
    """An RGB picture in the making.

    Parameters
    ----------
    size : int
        Pixels a side.
    seed : SeedSequence
        Decides everything that is drawn; the size decides only how much detail is seen of it.

    Attributes
    ----------
    image : ndarray of float32 of shape (size, size, 3)
        Roughly from 0 to 1.
    rng : Generator
        For shapes and colours: a painter must draw from it independently of ``size``.
    grain : Generator
        For what only exists at this size, such as the noise of pixels.
    """

    def __init__(self, size: int, seed: np.random.SeedSequence) -> None:
        self.size = size
        self.rng, self.grain = map(np.random.default_rng, seed.spawn(2))
        self.image: Field = np.zeros((size, size, 3), dtype=np.float32)

    @property
    def grid(self) -> tuple[Field, Field]:
        """The x and y of the pixels' centres, in the unit square."""
        return _grid(self.size)

    def noise(self, *cells: int) -> Field:
        """Smooth noise of unit variance: the mean of octaves, each of which has so many cells a side.

        Octaves that are finer than the pixels would average out, and are left out.
        """
        total = np.zeros((self.size, self.size), dtype=np.float32)
        for count in cells:
            rng = self.rng if count <= _SHARED_CELLS else self.grain
            if count <= self.size or count <= _SHARED_CELLS:
                values = rng.standard_normal((count + 3, count + 3), dtype=np.float32)
            if count <= self.size:
                spread = _spread(count, self.size)
                total += spread @ values @ spread.T
        return total / np.float32(np.sqrt(len(cells)))

    def blend(self, mask: ArrayLike, colour: ArrayLike, texture: ArrayLike = 0.0) -> None:
        """Cover the picture where ``mask`` is 1 with a colour whose brightness ``texture`` varies."""
        layer = np.asarray(colour, dtype=np.float32) * (1 + np.asarray(texture, dtype=np.float32))[..., None]
        self.image += np.asarray(mask, dtype=np.float32)[..., None] * (layer - self.image)

    def polygons(self, outlines: Sequence[Points]) -> Field:
        """Mask of filled outlines of (x, y) points."""
        picture, pen, scale = self._sheet()
        for points in outlines:
            pen.polygon(_pixels(points, scale), fill=255)
        return self._mask(picture)

    def lines(self, paths: Sequence[Points], width: float) -> Field:
        """Mask of open lines through (x, y) points, so many images wide."""
        picture, pen, scale = self._sheet()
        for points in paths:
            pen.line(_pixels(points, scale), fill=255, width=max(1, round(width * scale)), joint="curve")
        return self._mask(picture)

    def discs(self, centres: Points, radii: Points) -> Field:
        """Mask of filled circles."""
        picture, pen, scale = self._sheet()
        for centre, radius in zip(centres, radii, strict=True):
            pen.ellipse(_pixels(np.array([centre - radius, centre + radius]), scale), fill=255)
        return self._mask(picture)

    def soften(self, mask: Field, radius: float) -> Field:
        """Blur a mask by a Gaussian whose deviation is a share of the image's side."""
        return ndimage.gaussian_filter(mask, radius * self.size, mode="nearest", truncate=3)

    def moved(self, mask: Field, dx: float, dy: float) -> Field:
        """Move a mask by shares of the image's side."""
        return ndimage.shift(mask, (dy * self.size, dx * self.size), order=1, mode="nearest", prefilter=False)

    def _sheet(self) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
        # Drawn larger and reduced, so that edges are smooth and thin lines are faint instead of jagged.
        scale = self.size * max(2, min(4, 512 // self.size))
        picture = Image.new("L", (scale, scale))
        return picture, ImageDraw.Draw(picture), scale

    def _mask(self, picture: Image.Image) -> Field:
        return np.asarray(picture.reduce(picture.width // self.size), dtype=np.float32) / np.float32(255)


def _pixels(points: Points, scale: float) -> list[tuple[float, float]]:
    return [(x, y) for x, y in (points * scale).tolist()]


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Field, Field]:
    centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    x, y = np.meshgrid(centres, centres)
    return x, y


@lru_cache(maxsize=64)
def _spread(cells: int, size: int) -> Field:
    """Weights of shape (size, cells + 3) that carry values on a grid over to the pixels by cubic B-splines."""
    position = (np.arange(size) + 0.5) / size * cells
    cell = position.astype(int)
    t = position - cell
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    matrix = np.zeros((size, cells + 3), dtype=np.float32)
    matrix[np.arange(size)[:, None], cell[:, None] + np.arange(4)] = weights
    return matrix
