"""What tests of images read out of X."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skdeep.images import Geometry, as_images

Array = NDArray[Any]


def pixels_of(X: Any, size: tuple[int, int] = (32, 32), **options: Any) -> Array:
    """All pictures of X, which have this size, as one uint8 array (n, h, w, c), whatever range X came in."""
    images = as_images(X, **options)
    pixels = [images.pixels(row, Geometry(size)) for row in range(len(images))]
    assert all(picture.dtype in (torch.uint8, torch.float32) for picture in pixels)
    assert all(picture.shape == (images.format.n_channels, *size) for picture in pixels)
    whole = [picture * 255 if picture.is_floating_point() else picture.float() for picture in pixels]
    stacked = torch.stack(whole).numpy()
    np.testing.assert_allclose(stacked, stacked.round(), atol=1e-3)
    return np.moveaxis(stacked.round().astype(np.uint8), 1, -1)


def digests_of(X: Any, **options: Any) -> list[bytes]:
    """The digests of all pictures of X."""
    return as_images(X, **options).digests()
