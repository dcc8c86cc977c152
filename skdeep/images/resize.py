"""Bring a picture to the size that a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from skdeep.exceptions import ImageError

Policy = Literal["squash", "crop", "pad"]

# torchvision's names of the methods that it can antialias on tensors
_INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Geometry:
    """The size of pictures, and how they are brought to it; always antialiased.

    Attributes
    ----------
    size : tuple of int
        Height and width of the result, in pixels.
    policy : {"squash", "crop", "pad"}
        ``"squash"`` brings the whole picture to ``size``, whatever becomes of its proportions. ``"crop"`` keeps them
        and cuts out the centre. ``"pad"`` keeps them and all of the picture, centred, and fills the rest.
    resize : int or None
        Of ``"crop"`` only: the length to which the shorter side is brought before the centre is cut out, at least the
        longer side of ``size``. None makes the picture just large enough.
    interpolation : {"bilinear", "bicubic"}
    fill : tuple of int
        Of ``"pad"``: the colour of the rest, from 0 to 255. Channel i takes ``fill[i % len(fill)]``, so that one number
        is enough for any number of channels. A grey picture gets the channels that a coloured border needs.

    Raises
    ------
    ValueError
        If the attributes do not fit each other.
    """

    size: tuple[int, int]
    policy: Policy = "squash"
    resize: int | None = None
    interpolation: str = "bilinear"
    fill: tuple[int, ...] = (0, 0, 0)

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size must be a height and a width of at least one pixel, got {self.size!r}.")
        if self.policy not in get_args(Policy):
            raise ValueError(f"policy must be one of {get_args(Policy)}, got {self.policy!r}.")
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {_INTERPOLATIONS}, got {self.interpolation!r}.")
        if self.resize is not None and (self.policy != "crop" or self.resize < max(self.size)):
            raise ValueError(
                "resize is the length of the shorter side before the centre is cut out: it needs policy='crop' and at "
                f"least the longer side of size={self.size}, got policy={self.policy!r} and resize={self.resize}."
            )
        if not self.fill or not all(0 <= value <= 255 for value in self.fill):
            raise ValueError(f"fill must hold numbers from 0 to 255, at least one, got {self.fill!r}.")

    def __str__(self) -> str:
        """Say how and to which size, as errors do."""
        return f"{self.policy} to {self.size}"

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Bring pixels to ``size``.

        Parameters
        ----------
        pixels : tensor of shape (..., n_channels, height, width)
            uint8, or floating point from 0 to 1. Fastest where the channels lie side by side in memory.

        Returns
        -------
        resized : tensor of shape (..., n_channels, *size)
            Of the same dtype. ``"bicubic"`` may take fractions a little beyond 0 and 1. Pixels that have the size
            already are not copied.
        """
        size = self.whole_size(*pixels.shape[-2:])
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and size[0] * size[1] > limit:
            raise ImageError(
                f"{pixels.shape[-1]} x {pixels.shape[-2]} pixels are too thin to cut the centre out: they would first "
                f"become {size[1]} x {size[0]}, more than PIL.Image.MAX_IMAGE_PIXELS = {limit}; squash or pad it"
            )
        pixels = self._resize(pixels, size)
        if self.policy == "crop":
            return F.center_crop(pixels, list(self.size))
        return self._pad(pixels) if self.policy == "pad" else pixels

    def whole_size(self, height: int, width: int) -> tuple[int, int]:
        """The size to which a whole picture is brought, before its centre is cut out or its rest is filled."""
        if self.policy == "squash":
            return self.size
        bound_height, bound_width = (self.resize, self.resize) if self.resize else self.size
        # positive where the bounds are wider than the picture, negative where they are taller
        excess = bound_width * height - bound_height * width
        if excess == 0:
            return bound_height, bound_width
        if self.policy == "crop":
            # rounded down, as torchvision does it
            if excess < 0:
                return bound_height, width * bound_height // height
            return height * bound_width // width, bound_width
        if excess > 0:
            return bound_height, max(1, round(width * bound_height / height))
        return max(1, round(height * bound_width / width)), bound_width

    def _resize(self, pixels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        mode = InterpolationMode(self.interpolation)
        if size[1] == 1:
            # torch (seen in 2.15) goes wrong, or fails, on the height of what is to be one pixel wide: height first
            if pixels.shape[-1] == 1:
                pixels = pixels.expand(*pixels.shape[:-1], 2)
            pixels = F.resize(pixels, [size[0], pixels.shape[-1]], interpolation=mode, antialias=True)
        return F.resize(pixels, list(size), interpolation=mode, antialias=True)

    def _pad(self, pixels: torch.Tensor) -> torch.Tensor:
        if pixels.shape[-3] == 1 and len(set(self.fill)) > 1:
            pixels = pixels.expand(*pixels.shape[:-3], len(self.fill), -1, -1)
        if pixels.shape[-2:] == self.size:
            return pixels
        *outer, n_channels, height, width = pixels.shape
        colour = torch.tensor([self.fill[channel % len(self.fill)] for channel in range(n_channels)])
        colour = colour.to(pixels) if not pixels.is_floating_point() else (colour / 255).to(pixels)
        canvas = colour.expand(*outer, *self.size, n_channels).contiguous().movedim(-1, -3)
        top, left = (self.size[0] - height) // 2, (self.size[1] - width) // 2
        canvas[..., top : top + height, left : left + width] = pixels
        return canvas
