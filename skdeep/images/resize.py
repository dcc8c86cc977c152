"""Bring a picture to the size that a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F


@dataclass(frozen=True)
class Geometry:
    """Bring a picture to one size by a policy.

    Attributes
    ----------
    size : tuple of int
        Height and width of the result, in pixels.
    policy : {"squash", "crop", "pad"}
        Squash the whole picture, cut out its centre, or fit it in and fill the rest.
    resize : int or None
        Length to which the shorter side is brought before the centre is cut out; None is just large enough.
    interpolation : str
        torchvision's name of the method; always antialiased.
    fill : tuple of int
        8-bit colour of what is padded.
    """

    size: tuple[int, int]
    policy: Literal["squash", "crop", "pad"] = "squash"
    resize: int | None = None
    interpolation: str = "bilinear"
    fill: tuple[int, ...] = (0, 0, 0)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Bring pixels of shape (..., height, width) to ``size``."""
        mode = InterpolationMode(self.interpolation)
        if self.policy == "squash":
            return F.resize(pixels, list(self.size), interpolation=mode, antialias=True)
        pixels = F.resize(pixels, [self.resize or max(self.size)], interpolation=mode, antialias=True)
        return F.center_crop(pixels, list(self.size))
