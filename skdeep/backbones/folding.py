"""Make batch normalisation part of the convolutions in front of it: the same function in fewer passes over memory."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# how far folding may move an output, relative to the largest: some hundred times what float32 rounds
_CLOSE = 1e-4


def fold_batch_norms(network: nn.Module, pictures: torch.Tensor) -> nn.Module:
    """Fold the batch normalisations of a network that will not learn into its convolutions.

    In evaluation mode a normalisation is a linear map of each channel, which the filters can do. Which convolution
    feeds which normalisation, and no other module, is seen while pictures pass. Whatever modules do not show would
    change the output: it is compared, and a network that would change is given back as it is.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; it is not changed.
    pictures : Tensor of shape (n, n_channels, height, width)
        Examples to look with.

    Returns
    -------
    network : nn.Module
        A copy with ``nn.Identity`` in the place of the normalisations that were folded, or the network itself.

    References
    ----------
    Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", CVPR,
    2018: equation 14. The arithmetic is torch's own ``fuse_conv_bn_eval``.
    """
    with torch.no_grad():  # inference mode would leave parameters that autocast cannot use
        pairs, expected = _pairs(network, pictures)
        if not pairs:
            return network
        folded = copy.deepcopy(network)
        for convolution, normalisation in pairs:
            layer: Any = folded.get_submodule(convolution)
            folded.set_submodule(convolution, fuse_conv_bn_eval(layer, folded.get_submodule(normalisation)))  # type: ignore[arg-type]
            folded.set_submodule(normalisation, nn.Identity())
        change = (folded(pictures) - expected).abs().max()
        return folded if change <= _CLOSE * expected.abs().max() else network


def _pairs(network: nn.Module, pictures: torch.Tensor) -> tuple[list[tuple[str, str]], torch.Tensor]:
    """Names of convolutions and the normalisations that alone take their outputs; and the network's output."""
    made: dict[int, str] = {}  # outputs of convolutions, by identity
    kept: list[torch.Tensor] = []  # for an identity is that of a living object only
    takers: dict[str, list[str]] = {}
    calls: Counter[str] = Counter()

    def took(name: str, inputs: tuple[Any, ...]) -> None:
        calls[name] += 1
        for tensor in inputs:
            if id(tensor) in made:
                takers.setdefault(made[id(tensor)], []).append(name)

    def gave(name: str, output: torch.Tensor) -> None:
        made[id(output)] = name
        kept.append(output)

    handles = []
    for name, module in network.named_modules():
        if any(module.children()):
            continue  # what it takes, modules inside take
        handles.append(module.register_forward_pre_hook(lambda _, inputs, name=name: took(name, inputs)))
        if type(module) is nn.Conv2d:
            handles.append(module.register_forward_hook(lambda _, inputs, output, name=name: gave(name, output)))
    try:
        expected = network(pictures)
    finally:
        for handle in handles:
            handle.remove()
    pairs = [(convolution, names[0]) for convolution, names in takers.items() if len(names) == 1]
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1 and _foldable(network, *pair)], expected


def _foldable(network: nn.Module, convolution: str, normalisation: str) -> bool:
    layer, norm = network.get_submodule(convolution), network.get_submodule(normalisation)
    # hooks want the outputs that these layers have now
    is_looked_at = layer._forward_hooks or norm._forward_hooks
    return type(norm) is nn.BatchNorm2d and norm.track_running_stats and not is_looked_at
