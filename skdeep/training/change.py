"""What is done to a batch of pictures before a net learns from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from skdeep.images import Augmentation
from skdeep.training.batches import Batch
from skdeep.training.mixing import mix


@dataclass(frozen=True)
class ImageChange:
    """Change pictures, mix them with each other, and pass them through a network that rests.

    Attributes
    ----------
    augmentation : Augmentation or None
    n_classes : int or None
        Of class targets, which mixing turns into shares.
    encode : callable or None
        From pictures to activations, which then stand in a table with the numbers beside the pictures.
    """

    augmentation: Augmentation | None = None
    n_classes: int | None = None
    encode: Callable[[torch.Tensor], torch.Tensor] | None = None

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change a batch."""
        arguments, (targets, weights) = batch
        if self.augmentation and self.augmentation.changes_pictures:
            arguments = {**arguments, "images": self.augmentation(arguments["images"], generator)}
        if self.augmentation and self.augmentation.mixes:
            arguments, targets, weights = mix(arguments, targets, weights, self.n_classes, self.augmentation, generator)
        if self.encode:
            activations = self.encode(arguments["images"])
            arguments = {"table": torch.cat([activations, arguments["side_features"]], dim=1)}
        return arguments, (targets, weights)
