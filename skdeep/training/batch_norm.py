"""The statistics of batch normalisation, once nothing learns any more."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from skdeep.training.inputs import Arguments


def learning_batch_norms(module: nn.Module) -> list[nn.Module]:
    """The batch normalisations of a module whose statistics follow the batches, as it is now."""
    return [
        layer
        for layer in module.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training and layer.track_running_stats
    ]


def settle_batch_norm(
    module: nn.Module,
    layers: Sequence[nn.Module],
    batches: Iterable[Arguments],
    device: str,
    n_batches: int | None = 100,
) -> None:
    """Give batch normalisations the statistics of the trained network over the training rows; then evaluation mode.

    Those that are kept in training lag behind weights that still move; small data sets end before they catch up.

    Parameters
    ----------
    module : nn.Module
    layers : sequence of batch normalisations
        Others of the module stay as they are.
    batches : iterable of dict of str to tensor
        The training rows as the module takes them, in random order.
    device : str
    n_batches : int or None, default=100
        The most that are looked at; None looks at all.

    References
    ----------
    Wu and Johnson, "Rethinking 'Batch' in BatchNorm", arXiv:2105.07576, 2021, section 3.
    """
    module.eval()
    if not layers:
        return
    normalisations: list[Any] = list(layers)
    momenta = [layer.momentum for layer in normalisations]
    for layer in normalisations:
        layer.reset_running_stats()
        layer.train()
    n_seen = 0
    with torch.no_grad():
        for arguments in itertools.islice(batches, n_batches):
            n_rows = len(next(iter(arguments.values())))
            n_seen += n_rows
            for layer in normalisations:
                layer.momentum = n_rows / n_seen  # the average over batches, each as much as it has rows
            module(**{name: values.to(device) for name, values in arguments.items()})
    for layer, momentum in zip(normalisations, momenta, strict=True):
        layer.momentum = momentum
    module.eval()
