"""Features from inside a network: the outputs of chosen layers, pooled and put side by side."""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn

from skdeep._text import listed
from skdeep.backbones.dryrun import CANNOT_TAKE, Step, dry_run, first_tensor, shapes_of

Pool = Literal["avg", "max", "avgmax", "gem", "flatten", "cls"]
POOLS: tuple[str, ...] = get_args(Pool)
_GEM_POWER = 3.0
_GEM_FLOOR = 1e-6
_LARGE = 256  # pixels: at this size, the maps of all usual networks have several positions


@dataclass(frozen=True)
class Tap:
    """One layer whose output is wanted, and what that output is.

    Attributes
    ----------
    layer : str
    kind : {"rows", "map", "map_last", "tokens"}
        Of shape (n, channels), (n, channels, height, width), (n, height, width, channels) or (n, tokens, channels).
    n_prefix : int
        Leading tokens that are no part of the picture.
    n_features : int
        After pooling.
    """

    layer: str
    kind: Literal["rows", "map", "map_last", "tokens"]
    n_prefix: int
    n_features: int


@dataclass(frozen=True)
class Taps:
    """The layers of a network whose outputs are its features.

    Attributes
    ----------
    taps : tuple of Tap
    pool : str
    calls : tuple of tuple of int
        How often each layer is called in one pass: in evaluation, and in training mode.
    """

    taps: tuple[Tap, ...]
    pool: str
    calls: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def n_features(self) -> int:
        """Size of a feature row."""
        return sum(tap.n_features for tap in self.taps)


def check_layers(network: nn.Module, layers: Iterable[str]) -> None:
    """Raise ``ValueError`` unless a network has all these layers."""
    names = [name for name, _ in network.named_modules() if name]
    for layer in layers:
        if layer not in names:
            close = difflib.get_close_matches(layer, names, n=3, cutoff=0.5)
            outer = [name for name in names if "." not in name]
            hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Its outermost are {listed(outer)}."
            raise ValueError(
                f"{type(network).__name__} has no layer {layer!r}. {hint} The network's named_modules() names them all."
            )


def plan_taps(
    network: nn.Module, layers: tuple[str, ...], pool: str | None, n_channels: int, size: tuple[int, int]
) -> Taps:
    """Settle what the outputs of layers are, and how they become features.

    Parameters
    ----------
    network : nn.Module
        Without head; best on the meta device.
    layers : tuple of str
        Empty: the last feature map or token sequence that a module inside the network puts out before the network's own
        pooling.
    pool : str or None
        None is ``"avg"``.
    n_channels, size
        Of the pictures.

    Raises
    ------
    ValueError
        If a layer is not there, is not called, or its output cannot be pooled so.
    """
    check_layers(network, layers)
    pool = pool or "avg"
    steps, _ = dry_run(network, n_channels, size)
    layers = layers or (_last_map(network, steps, n_channels, size),)
    taps = tuple(_tap(network, steps, layer, pool, n_channels, size) for layer in layers)
    trained, _ = dry_run(network, n_channels, size, training=True)
    names = [[step.name for step in each] for each in (steps, trained)]
    evaluation, training = (tuple(called.count(layer) for layer in layers) for called in names)
    return Taps(taps, pool, (evaluation, training))


def plan_own_taps(
    network: nn.Module, layers: tuple[str, ...], pool: str | None, n_channels: int, size: tuple[int, int]
) -> Taps:
    """As :func:`plan_taps`, of a network that may need values to be followed; it is left as it is.

    Raises
    ------
    ValueError
        As there, or if the network cannot take such pictures.
    """
    try:
        return plan_taps(shapes_of(network), layers, pool, n_channels, size)
    except RuntimeError:
        # a module whose forward needs values cannot be followed by shapes alone
        try:
            return plan_taps(copy.deepcopy(network), layers, pool, n_channels, size)
        except RuntimeError as error:
            raise ValueError(
                f"{type(network).__name__} cannot take pictures of {n_channels} channels and size {size}: {error}"
            ) from error


def attach(network: nn.Module, taps: Taps) -> nn.Module:
    """Let a network put out the pooled outputs of its layers; in place, and return the network.

    Its state dict keeps its names, and it can be copied and pickled.
    """
    forward = _TappedForward(network, taps)
    for layer in dict.fromkeys(tap.layer for tap in taps.taps):
        network.get_submodule(layer).register_forward_hook(_Note(forward, layer))
    network.forward = forward
    return network


def pooled(output: torch.Tensor, tap: Tap, pool: str) -> torch.Tensor:
    """Rows from the output of a layer.

    References
    ----------
    Radenović, Tolias and Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI, 2018: equation 3 with
    p = 3, the values clamped below at 1e-6.
    """
    if tap.kind == "rows":
        return output
    if tap.kind == "map_last":
        output = output.permute(0, 3, 1, 2)
    if pool == "flatten":
        return output.flatten(1)
    if pool == "cls":
        return output[:, 0]
    positions = output[:, tap.n_prefix :].transpose(1, 2) if tap.kind == "tokens" else output.flatten(2)
    if pool == "gem":
        return positions.float().clamp(min=_GEM_FLOOR).pow(_GEM_POWER).mean(-1).pow(1 / _GEM_POWER)
    rows = []
    if pool in {"avg", "avgmax"}:
        rows.append(positions.mean(-1))
    if pool in {"max", "avgmax"}:
        rows.append(positions.amax(-1))
    return torch.cat(rows, dim=1)


class _Enough(BaseException):
    """All wanted outputs are there; no error, and nothing inside a network may take it for one."""


class _Outputs:
    """What one pass through a tapped network has put out so far."""

    def __init__(self, forward: _TappedForward, calls: dict[str, int]) -> None:
        self.forward = forward
        self.to_come = calls
        self.of: dict[str, torch.Tensor] = {}

    def note(self, layer: str, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None:
            self.of[layer] = tensor
        self.to_come[layer] -= 1
        # whoever writes a graph of the network must see each module end
        if not any(self.to_come.values()) and not torch.compiler.is_compiling():
            raise _Enough


_PASS: ContextVar[_Outputs | None] = ContextVar("_PASS", default=None)


class _Note:
    """Hook that notes the output of a layer, in the passes of one network only."""

    def __init__(self, forward: _TappedForward, layer: str) -> None:
        self.forward = forward
        self.layer = layer

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        outputs = _PASS.get()
        if outputs is not None and outputs.forward is self.forward:
            outputs.note(self.layer, output)


class _TappedForward:
    """Stands for a network's own ``forward``: passes pictures through it as far as is needed."""

    def __init__(self, network: nn.Module, taps: Taps) -> None:
        self.network = network
        self.taps = taps

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        calls = self.taps.calls[self.network.training]
        outputs = _Outputs(self, dict(zip((tap.layer for tap in self.taps.taps), calls, strict=True)))
        token = _PASS.set(outputs)
        try:
            type(self.network).forward(self.network, images)
        except _Enough:
            pass
        finally:
            _PASS.reset(token)
        rows = [pooled(outputs.of[tap.layer], tap, self.taps.pool) for tap in self.taps.taps]
        return torch.cat(rows, dim=1)


def _last_map(network: nn.Module, steps: list[Step], n_channels: int, size: tuple[int, int]) -> str:
    """The layer that ends last before the network's own pooling, its output still having several positions."""
    scale = -(-_LARGE // min(size))
    if scale > 1:
        try:
            # of a small picture the last map may be a single position, which looks like the result of pooling
            steps, _ = dry_run(network, n_channels, (size[0] * scale, size[1] * scale))
        except CANNOT_TAKE:
            scale = 1  # the network takes pictures of one size only
    for step in reversed(steps):
        if step.shape is None or step.pooled:
            continue
        if len(step.shape) in {3, 4} and _n_positions(step.shape, size) > 1:
            return step.name
    raise ValueError(
        f"{type(network).__name__} has no layer that puts out a feature map or a sequence of tokens, so there is "
        "nothing to pool; name layers with layer=."
    )


def _n_positions(shape: tuple[int, ...], size: tuple[int, int]) -> int:
    if len(shape) == 3:
        return shape[1]
    first, last = _deviations(shape, size)
    return shape[2] * shape[3] if first <= last else shape[1] * shape[2]


def _tap(network: nn.Module, steps: list[Step], layer: str, pool: str, n_channels: int, size: tuple[int, int]) -> Tap:
    shape = next((step.shape for step in reversed(steps) if step.name == layer), None)
    if shape is None:
        raise ValueError(
            f"The layer {layer!r} of {type(network).__name__} puts out nothing: it is not called when a picture passes "
            "the network, or its output is no tensor."
        )
    n_prefix = 0
    if len(shape) == 2:
        return Tap(layer, "rows", 0, shape[1])
    if len(shape) == 3:
        kind: Literal["map", "map_last", "tokens"] = "tokens"
        n_values, n_positions = shape[2], shape[1]
        if n_positions != _grid(network, steps):
            n_prefix = _n_prefix_tokens(network)
    elif len(shape) == 4:
        is_last = _is_channels_last(network, shape, layer, n_channels, size)
        kind = "map_last" if is_last else "map"
        n_values = shape[3] if is_last else shape[1]
        n_positions = math.prod(shape[1:]) // n_values
    else:
        raise ValueError(
            f"The output of the layer {layer!r} of {type(network).__name__} has the shape {shape}; rows, maps and "
            "sequences of tokens (2, 3 or 4 dimensions) can be features."
        )
    if pool == "cls" and n_prefix == 0:
        raise ValueError(
            f'pool="cls" takes the class token, and the output of the layer {layer!r} of {type(network).__name__}, of '
            f'shape {shape}, has none. Take pool="avg".'
        )
    sizes = {"flatten": n_values * n_positions, "avgmax": 2 * n_values}
    return Tap(layer, kind, n_prefix, sizes.get(pool, n_values))


def _is_channels_last(
    network: nn.Module, shape: tuple[int, ...], layer: str, n_channels: int, size: tuple[int, int]
) -> bool:
    """Whether a layer's maps are (n, height, width, channels): their sides are in proportion to the picture's."""
    first, last = _deviations(shape, size)
    if first == last:
        # as many channels as positions on a side: another size of picture tells
        try:
            steps, _ = dry_run(network, n_channels, (2 * size[0], 2 * size[1]))
        except CANNOT_TAKE:
            return False
        other = next((step.shape for step in reversed(steps) if step.name == layer), None) or shape
        return other[1] != shape[1] and other[3] == shape[3]
    return last < first


def _deviations(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[float, float]:
    """How far a map is from the picture's proportions if its channels come first, and if they come last."""
    ratio = math.log(size[0] / size[1])
    _, a, b, c = (max(length, 1) for length in shape)
    return abs(math.log(b / c) - ratio), abs(math.log(a / b) - ratio)


def _grid(network: nn.Module, steps: list[Step]) -> int | None:
    """Number of patches into which the first convolution cuts the picture."""
    for step in steps:
        if isinstance(network.get_submodule(step.name), nn.Conv2d) and step.shape is not None:
            return step.shape[2] * step.shape[3]
    return None


def _n_prefix_tokens(network: nn.Module) -> int:
    """Tokens in front of those of the picture: timm counts them, torchvision has at most a class token."""
    for module in network.modules():
        if isinstance(number := getattr(module, "num_prefix_tokens", None), int):
            return number
        for name in ("class_token", "cls_token"):
            if isinstance(getattr(module, name, None), torch.Tensor):
                return 1
    return 0
