"""Bring a picture to the size that a network takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F


@dataclass(frozen=True)
class Geometry:
    """Resize, then cut out the centre.

    Attributes
    ----------
    size : tuple of int
        Height and width of the result, in pixels.
    resize : int or None
        Length to which the shorter side is brought before the centre is cut out; None squashes the whole picture
        to ``size``.
    interpolation : str
        torchvision's name of the method; always antialiased.
    """

    size: tuple[int, int]
    resize: int | None = None
    interpolation: str = "bilinear"

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Bring pixels of shape (..., height, width) to ``size``."""
        mode = InterpolationMode(self.interpolation)
        if self.resize is None:
            return F.resize(pixels, list(self.size), interpolation=mode, antialias=True)
        pixels = F.resize(pixels, [self.resize], interpolation=mode, antialias=True)
        return F.center_crop(pixels, list(self.size))
