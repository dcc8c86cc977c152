"""A small convolutional network for small pictures."""

from __future__ import annotations

import torch
from torch import nn


class SmallCNN(nn.Module):
    """Three blocks of 3x3 convolution and max-pooling, a dense layer of 64 units, dropout, and a head.

    The shape of network that introductions to image classification train from scratch: 32, 32 and 64 filters. The
    last feature map is averaged to 4x4, so that pictures of any size from 32 pixels on may come in.

    Parameters
    ----------
    n_outputs : int, default=1
        Units of the head.
    """

    def __init__(self, n_outputs: int = 1) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_block(3, 32), _block(32, 32), _block(32, 64), nn.AdaptiveAvgPool2d(4))
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(64 * 4 * 4, 64), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, n_outputs))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Outputs of shape (n_images, n_outputs)."""
        return self.head(self.dense(self.blocks(images)))


def _block(n_in: int, n_out: int) -> nn.Sequential:
    # the same as pooling after the activation, on a quarter of the values
    return nn.Sequential(nn.Conv2d(n_in, n_out, kernel_size=3, padding=1), nn.MaxPool2d(2), nn.ReLU())
