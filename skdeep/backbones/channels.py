"""Pictures of other than three channels, and the first convolution that must take them."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import nn

from skdeep.backbones.dryrun import Step

ExtraChannels = Literal["repeat", "sum", "zero"]
EXTRA_CHANNELS: tuple[str, ...] = get_args(ExtraChannels)
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601: weights of red, green and blue


def input_channels(network: nn.Module) -> int | None:
    """Channels that the first convolution of a network takes, in the order of definition; None without one."""
    return next((layer.in_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)), None)


def picture_convolution(name: str, network: nn.Module, steps: list[Step]) -> str:
    """Name of the plain convolution to which a network hands the picture.

    Raises
    ------
    ValueError
        If there is none.
    """
    for step in sorted(steps, key=lambda step: step.began):
        layer = network.get_submodule(step.name)
        if step.takes_picture and type(layer) is nn.Conv2d and layer.groups == 1:
            return step.name
    raise ValueError(
        f"The backbone {name!r} takes pictures of 3 channels only: the first layer that meets the picture is no plain "
        "convolution (nn.Conv2d), so there are no filters to adapt. Pass pictures of 3 channels, or another backbone."
    )


def mixing(n_channels: int, rule: str) -> torch.Tensor:
    r"""What each channel of the pictures gets of the filters for red, green and blue.

    With filters :math:`W_R, W_G, W_B`, channel c of n gets, by the rule

    - "repeat": :math:`3 W_{c \bmod 3} / n`, as timm has it;
    - "sum": :math:`(W_R + W_G + W_B) / n`, so that the network sees the mean of all channels as a grey picture;
    - "zero": :math:`W_c` for the first three, else 0.

    Returns
    -------
    mixing : Tensor of shape (n_channels, 3)
        The filters of channel c are the sum of those of red, green and blue with these weights.

    Raises
    ------
    ValueError
        If the rule is "zero" and there are fewer than three channels.
    """
    if rule == "zero":
        if n_channels < 3:
            raise ValueError(f'extra_channels="zero" needs pictures of at least 3 channels, got {n_channels}.')
        return torch.eye(n_channels, 3)
    if rule == "sum":
        return torch.full((n_channels, 3), 1 / n_channels)
    return torch.eye(3).repeat(-(-n_channels // 3), 1)[:n_channels] * 3 / n_channels


def adapt_colours(colours: tuple[float, ...], n_channels: int, rule: str) -> tuple[float, ...]:
    """Means or deviations of three channels for pictures of others, by the same rule as the filters.

    "repeat" repeats them, "sum" takes their mean, and "zero" gives the channels that are ignored the mean too.
    """
    if n_channels == 3:
        return colours
    mean = sum(colours) / 3
    if rule == "repeat":
        return tuple(colours[channel % 3] for channel in range(n_channels))
    kept = colours if rule == "zero" else ()
    return (*kept, *[mean] * (n_channels - len(kept)))


def adapt_convolution(network: nn.Module, layer: str, n_channels: int, rule: str) -> None:
    """Let a convolution of three channels take others; in place."""
    convolution: Any = network.get_submodule(layer)
    weight = torch.einsum("ck,okhw->ochw", mixing(n_channels, rule).to(convolution.weight), convolution.weight.detach())
    convolution.weight = nn.Parameter(weight.contiguous(), requires_grad=convolution.weight.requires_grad)
    convolution.in_channels = n_channels


def fit_channels(pixels: torch.Tensor, n_channels: int) -> torch.Tensor:
    """Grey pictures for a network of colours, or colours as luminance for a network of grey pictures.

    Parameters
    ----------
    pixels : Tensor of shape (..., channels, height, width)
        Values from 0 to 1.
    n_channels : int
        What the network takes.

    Raises
    ------
    ValueError
        If the channels are neither those of the network, nor 1, nor 3 for a network of 1.
    """
    given = pixels.shape[-3]
    if given == n_channels:
        return pixels
    if given == 1:
        return pixels.expand(*pixels.shape[:-3], n_channels, -1, -1)
    if can_take(given, n_channels):
        shares = torch.tensor(_LUMINANCE, device=pixels.device, dtype=pixels.dtype)
        return (pixels * shares[:, None, None]).sum(dim=-3, keepdim=True)
    raise ValueError(f"The network takes pictures of {n_channels} channels, got {given}.")


def can_take(given: int, n_channels: int) -> bool:
    """Whether :func:`fit_channels` brings pictures to what a network takes."""
    return given in {1, n_channels} or (given, n_channels) == (3, 1)
