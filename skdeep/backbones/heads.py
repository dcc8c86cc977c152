"""Find a network's classification head, and take it off."""

from __future__ import annotations

from torch import nn


def head_name(network: nn.Module) -> str:
    """Name of the last linear or convolutional layer: the classification head.

    Raises
    ------
    ValueError
        If the network has no such layer.
    """
    names = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    if not names:
        raise ValueError(f"{type(network).__name__} has no linear or convolutional layer that could be its head.")
    return names[-1]


def remove_head(network: nn.Module) -> nn.Module:
    """Replace the head, and the dropout of its inputs, by the identity; in place, and return the network.

    The dropout belongs to the head: in front of another head's batch normalisation it would inflate the variance that
    is learnt in training and not there afterwards.
    """
    head = head_name(network)
    leaves = [(name, layer) for name, layer in network.named_modules() if not any(layer.children())]
    before = leaves[: [name for name, _ in leaves].index(head)]
    for name, layer in reversed(before):
        if isinstance(layer, nn.Dropout):
            network.set_submodule(name, nn.Identity())
        elif any(True for _ in layer.parameters()):
            break
    network.set_submodule(head, nn.Identity())
    return network
