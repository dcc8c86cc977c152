"""What happens inside a network: one pass that computes shapes only."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

#: what networks raise for pictures of a size that they cannot take
CANNOT_TAKE = (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError)
_MAKES_MEMORY = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}

# hooks of two passes through one network would mix; never held while another thread forks
_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


@dataclass(frozen=True)
class Step:
    """One call of a module inside a network, in the order in which the calls ended.

    Attributes
    ----------
    name : str
        As in ``named_modules()``.
    began : int
        Position among all beginnings of calls.
    shape : tuple of int or None
        Of the output, or of its first tensor; None if there is none.
    takes_picture : bool
        Whether the input is the picture itself.
    pooled : bool
        Whether the output is what an adaptive pooling layer put out.
    """

    name: str
    began: int
    shape: tuple[int, ...] | None
    takes_picture: bool
    pooled: bool


def first_tensor(output: Any) -> torch.Tensor | None:
    """The output of a module, or the first of several."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, torch.Tensor) else None


class _Weightless(TorchFunctionMode):
    """Parameters get shapes only, but what a constructor computes with tensors keeps its values.

    ``torch.device("meta")`` takes the values away too; the RegNets compute their widths with tensors.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _MAKES_MEMORY and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def construct_shapes(construct: Callable[[], nn.Module]) -> nn.Module:
    """Make a network without memory for its weights, in evaluation mode."""
    with _Weightless():
        network = construct()
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            # it keeps shapes, and torch takes longer to find that out than for all convolutions
            layer.__dict__["forward"] = _same
    return network.to("meta").eval()


def _same(images: torch.Tensor) -> torch.Tensor:
    return images


def shapes_of(network: nn.Module) -> nn.Module:
    """A copy of a network without memory for its weights, in evaluation mode; nothing large is copied."""
    tensors = [*network.parameters(), *network.buffers()]
    bare = {
        id(tensor): nn.Parameter(tensor.detach().to("meta"), tensor.requires_grad)
        if isinstance(tensor, nn.Parameter)
        else tensor.to("meta")
        for tensor in tensors
    }
    return copy.deepcopy(network, bare).eval()


def dry_run(
    network: nn.Module, n_channels: int, size: tuple[int, int], *, training: bool = False
) -> tuple[list[Step], tuple[int, ...]]:
    """Pass two empty pictures through a network, and note each call inside it.

    Parameters
    ----------
    network : nn.Module
        Best on the meta device, where only shapes are computed. Its mode is left as it was found.
    n_channels : int
    size : tuple of int
        Height and width of the pictures.
    training : bool

    Returns
    -------
    steps : list of Step
    shape : tuple of int
        Of the network's output, or of the first where there are several.
    """
    steps: list[Step] = []
    with _LOCK, _hooked(network, steps), _mode(network, training), torch.no_grad():
        device = next((tensor.device for tensor in network.parameters()), torch.device("meta"))
        output = first_tensor(network(_picture(n_channels, size, device)))
    if output is None:
        raise TypeError(f"{type(network).__name__} must put out a tensor of one row for each picture.")
    return steps, tuple(output.shape)


def takes(network: nn.Module, n_channels: int, size: tuple[int, int]) -> bool:
    """Whether a network takes pictures of a size."""
    try:
        with _LOCK, torch.no_grad():
            network(_picture(n_channels, size, torch.device("meta")))
    except CANNOT_TAKE:
        return False
    return True


def _picture(n_channels: int, size: tuple[int, int], device: torch.device) -> torch.Tensor:
    return torch.zeros(2, n_channels, *size, device=device, dtype=torch.float32)


@contextmanager
def _mode(network: nn.Module, training: bool) -> Iterator[None]:
    before = {module: module.training for module in network.modules()}
    network.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode


@contextmanager
def _hooked(network: nn.Module, steps: list[Step]) -> Iterator[None]:
    """Note each call of a module below the root in ``steps``."""
    begun: list[tuple[int, bool]] = []
    n_begun = 0
    pictures: list[Any] = []
    pooled: list[Any] = []  # the tensors themselves: another may not take their place in memory

    def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal n_begun
        begun.append((n_begun, bool(inputs) and any(inputs[0] is picture for picture in pictures)))
        n_begun += 1

    def end(name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            tensor = first_tensor(output)
            if isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
                pooled.append(tensor)
            began, takes_picture = begun.pop()
            shape = None if tensor is None else tuple(tensor.shape)
            steps.append(Step(name, began, shape, takes_picture, any(tensor is other for other in pooled)))

        return note

    handles = [network.register_forward_pre_hook(lambda module, inputs: pictures.append(inputs[0]))]
    for name, module in network.named_modules():
        if name:
            handles.append(module.register_forward_pre_hook(begin))
            # in front of others, which may end the run
            handles.append(module.register_forward_hook(end(name), prepend=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
