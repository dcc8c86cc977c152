"""From a name, or the user's own module, to a network without head."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from skdeep._text import listed
from skdeep.backbones.channels import (
    EXTRA_CHANNELS,
    adapt_colours,
    adapt_convolution,
    can_take,
    fit_channels,
    input_channels,
    mixing,
    picture_convolution,
)
from skdeep.backbones.devices import autocast, cast_weights, resolve_precision
from skdeep.backbones.dryrun import dry_run, first_tensor, shapes_of
from skdeep.backbones.folding import fold_batch_norms
from skdeep.backbones.library import Preprocessing
from skdeep.backbones.networks import NO_PARAMS, Network, find_network, head_layers, output_width, skeleton
from skdeep.backbones.seeding import seeded
from skdeep.backbones.taps import POOLS, Taps, attach, check_layers, plan_own_taps, plan_taps
from skdeep.backbones.weights import (
    StateDict,
    Weights,
    check_fit,
    content_digest,
    file_digest,
    pack,
    random_weights,
    read_shapes,
    read_state_dict,
    split_digest,
    unpack,
    weights_file,
    without_heads,
)
from skdeep.exceptions import WeightsError
from skdeep.images import Geometry

RESIZE = ("auto", "squash", "crop", "pad")
_BEARABLE = 0.02  # relative error of features that low precision may bring unasked
_OWN_SIZE = 64  # pixels: what the user's own modules take unless told otherwise


@dataclass(frozen=True)
class Backbone:
    """A network without head, described; ``build_backbone`` makes it.

    It is light in memory. Its pickle holds the weights, unless a public name recovers them: published ones are had
    again where it is loaded, and must have the same digest. Those of a file are read again when it is pickled, unless
    they are in memory, unfolded, as a network that was built from them.

    Attributes
    ----------
    name : str
        torchvision's name, ``"small_cnn"``, ``"timm/NAME"``, or the class of the user's own module.
    weights : Weights
    n_features : int or None
        Size of a feature row; None for the user's own module, whose output tells.
    geometry : Geometry
        The size of picture that the network takes, and how it is brought to it.
    mean, std : tuple of float
        What is taken off each channel of a picture from 0 to 1, and what it is divided by.
    params : str
        Arguments of a named network's constructor, as JSON.
    layers : tuple of str
        The inner layers whose outputs are the features; empty for the network's own output or last map.
    pool : {"avg", "max", "avgmax", "gem", "flatten", "cls"} or None
        How the outputs of layers become rows; None takes the network's own output.
    n_channels : int
        Channels of the pictures that the network takes.
    extra_channels : {"repeat", "sum", "zero"}
        How the filters for red, green and blue serve other channels.
    contiguous : bool
        Whether batches must lie in memory as their shape says, which the user's own modules may count on.
    module : nn.Module or None
        The user's own module.
    state : bytes or None
        The weights, where the description was loaded from a pickle.
    """

    name: str
    weights: Weights
    n_features: int | None
    geometry: Geometry
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    params: str = NO_PARAMS
    layers: tuple[str, ...] = ()
    pool: str | None = None
    n_channels: int = 3
    extra_channels: str = "repeat"
    contiguous: bool = False
    module: nn.Module | None = field(default=None, compare=False, repr=False)
    state: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def fingerprint(self) -> dict[str, Any] | None:
        """All that shapes the activations of a picture; None where that cannot be known."""
        if self.weights.source == "own" and not self.weights.digest:
            return None
        return {
            "backbone": self.name,
            "params": self.params,
            "weights": self.weights.digest,
            "geometry": asdict(self.geometry),
            "mean": self.mean,
            "std": self.std,
            "layers": self.layers,
            "pool": self.pool,
            "n_channels": self.n_channels,
            # three channels are taken as they are, whatever the rule
            "extra_channels": None if self.n_channels == 3 else self.extra_channels,
            "versions": {} if self.weights.source == "own" else Network(self.name).library.versions(),
        }

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn a batch of pixels, uint8 or from 0 to 1, into what the network was trained on.

        Grey pictures get the network's number of channels; coloured ones become luminance for a network of one.

        Raises
        ------
        ValueError
            If the pictures have other channels than the network takes.
        """
        white = 1 if pixels.is_floating_point() else 255
        pixels = fit_channels(pixels if white == 1 else pixels.float(), self.n_channels)
        mean, std = torch.tensor([self.mean, self.std], device=pixels.device, dtype=torch.float32)[..., None, None]
        # in one pass: these are many numbers
        pixels = torch.addcmul(-mean / std, pixels, 1 / (white * std))
        return pixels.contiguous() if self.contiguous else pixels

    def without_weights(self) -> Self:
        """A description that only normalises, for a network that is kept elsewhere."""
        return replace(self, weights=Weights("own", self.weights.name, ""), module=None, state=None)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self.weights.source in {"random", "file"} and self.state is None:
            network = _BUILT.get(self)
            state["state"] = pack(_state_dict(self) if network is None else network.state_dict())
        return state

    def __copy__(self) -> Self:
        return self  # nothing of it ever changes

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


# networks in memory that hold their weights as they came: their files may be gone by now
_BUILT: weakref.WeakValueDictionary[Backbone, nn.Module] = weakref.WeakValueDictionary()


# copies for computing only, of networks that were trained
_FROZEN: weakref.WeakKeyDictionary[nn.Module, tuple[Any, nn.Module]] = weakref.WeakKeyDictionary()


def resolve_backbone(
    backbone: str | nn.Module | type[nn.Module],
    *,
    weights: str | os.PathLike[str] | Enum | None,
    image_size: int | tuple[int, int] | None,
    seed: int,
    fingerprint: str | None = None,
    params: Mapping[str, Any] | None = None,
    resize: str = "auto",
    layer: str | list[str] | tuple[str, ...] | None = None,
    pool: str | None = None,
    n_channels: int = 3,
    extra_channels: str = "repeat",
) -> Backbone:
    """Settle which network, weights and preprocessing are meant, and check that they fit each other.

    Parameters
    ----------
    backbone : str, nn.Module or its class
        A name of ``list_backbones()``, or a module that turns pictures from 0 to 1, of shape
        (n, channels, height, width) and contiguous, into rows, or a tuple or list that holds them first; a class is
        made from ``params``, its weights decided by ``seed``.
    weights : str, path, enum member or None
        torchvision's name or enum member of published weights, timm's tag (``"DEFAULT"`` is the best), a file, or None
        for random ones. ``"FILE#sha256=HEX"`` is a file whose SHA-256 must be, or begin with, these 8 to 64 digits. The
        user's own module brings its own for ``"DEFAULT"`` and None, or takes all from a file.
    image_size : int, tuple of int or None
        Side of the square, or height and width, to which pictures are brought; None takes the published weights' own.
    seed : int
        Of random weights.
    fingerprint : str or None
        The user's word for what their own module does to a picture.
    params : mapping or None
        Keyword arguments of the network's constructor; for named networks plain values only, and an own class that is
        made from others has no fingerprint.
    resize : {"auto", "squash", "crop", "pad"}
        How pictures are brought to the size. ``"auto"`` is the published weights' own way where ``image_size`` is None,
        else ``"squash"``. ``"pad"`` fills with the colour that the normalisation makes zero.
    layer : str, list of str or None
        Inner modules whose outputs, pooled and put side by side in this order, are the features; None is the network's
        own output, or with ``pool`` its last map or token sequence. Of a module that is called several times, the last
        call counts; of an output of several tensors, the first.
    pool : {"avg", "max", "avgmax", "gem", "flatten", "cls"} or None
        How maps and token sequences become rows: mean, maximum, both side by side, generalised mean, all values, or the
        class token. Tokens that are no part of the picture are left out of the first four. None is ``"avg"`` with
        ``layer``.
    n_channels : int
        Channels of the pictures.
    extra_channels : {"repeat", "sum", "zero"}
        How the filters of a named network serve pictures of other than 1 or 3 channels (:func:`.channels.mixing`). Grey
        pictures always become pictures of three equal channels.

    Raises
    ------
    ValueError
        If there is no network or layer of that name, or the options or channels do not fit.
    WeightsError
        If the weights do not fit the network.
    WeightsUnavailableError
        If published weights cannot be downloaded, or a file is not there.
    ImportError
        If a network of timm is asked for and timm is not installed.
    """
    layers = _layer_names(layer)
    _check_option("resize", resize, RESIZE)
    _check_option("pool", pool, (*POOLS, None))
    _check_option("extra_channels", extra_channels, EXTRA_CHANNELS)
    options: dict[str, Any] = {"weights": weights, "seed": seed, "params": params, "image_size": image_size}
    options |= {"resize": resize, "n_channels": n_channels}
    if not isinstance(backbone, str):
        described = _resolve_own(backbone, fingerprint=fingerprint, **options)
        return _with_own_taps(described, layers, pool) if layers or pool else described
    described = _resolve_named(backbone, extra_channels=extra_channels, **options)
    if not (layers or pool):
        return described
    taps = _named_taps(_network(described), layers, pool, described.geometry.size)
    return replace(described, n_features=taps.n_features, layers=layers, pool=taps.pool)


def build_backbone(backbone: Backbone, device: str, *, frozen: str | None = None) -> nn.Module:
    """Make the network without its head, in evaluation mode on a device.

    It gives rows, or what flattens into rows. Named networks keep their filters channels-last, which is faster on CPUs
    and on tensor cores. The result is shared by all that ask for it: copy it before changing it.

    Parameters
    ----------
    backbone : Backbone
    device : str
    frozen : {"float32", "bf16", "float16"} or None, default=None
        The precision of the autocast in which the network will compute, and never learn. Named ones then have their
        batch normalisations folded into their convolutions, and hold the weights as that autocast wants them: the
        same within rounding, and faster.

    Returns
    -------
    network : nn.Module

    Raises
    ------
    WeightsError
        If the weights are not those that were settled.
    WeightsUnavailableError
        If they cannot be had any more.
    """
    if backbone.module is not None:
        # a copy, so that what is pickled stays on the CPU
        return backbone.module if device == "cpu" else copy.deepcopy(backbone.module).to(device)
    return _build_frozen(backbone, device, frozen) if frozen else _build_trainable(backbone, device)


def freeze(network: nn.Module, backbone: Backbone, device: str, precision: str) -> nn.Module:
    """A copy of a network, trained since it was built, that will only compute; as :func:`build_backbone` makes it.

    It is kept as long as the network lives and does not change, and shared by all that ask for it; but not of a network
    that was made in inference mode, whose changes leave no trace. Changes are told by torch's count of them, which does
    not see what is written through ``.data``: change weights under ``torch.no_grad``.

    Parameters
    ----------
    network : nn.Module
        On the device.
    backbone : Backbone
        What it was built from, with weights or without.
    device : str
    precision : {"float32", "bf16", "float16"}
    """
    tensors = [*network.parameters(), *network.buffers()]
    if any(tensor.is_inference() for tensor in tensors):
        return _frozen_copy(network, backbone, device, precision)
    # every change in place counts a tensor's version up
    state = device, precision, [(tensor.data_ptr(), tensor._version) for tensor in tensors]
    if network not in _FROZEN or _FROZEN[network][0] != state:
        _FROZEN[network] = state, _frozen_copy(network, backbone, device, precision)
    return _FROZEN[network][1]


def _frozen_copy(network: nn.Module, backbone: Backbone, device: str, precision: str) -> nn.Module:
    frozen = copy.deepcopy(network).eval().requires_grad_(False)
    if backbone.contiguous:  # as the user's own are
        return frozen
    return _frozen(fold_batch_norms(frozen, backbone.normalise(_noise(backbone).to(device))), precision)


def _frozen(network: nn.Module, precision: str) -> nn.Module:
    network = cast_weights(network, precision) if precision != "float32" else network
    return network.to(memory_format=torch.channels_last)


def settle_precision(precision: str, backbone: Backbone, device: str) -> str:
    """The precision that a name means for a network on a device.

    ``"auto"`` is bf16 where the device multiplies in it and a named network bears it: its rows for two pictures of
    noise change by less than 2 % (norm of the difference over the norm). Else it is float32, as for the user's own
    modules, of which nothing is known.
    """
    resolved = resolve_precision(precision, device)
    if precision == "auto" and resolved != "float32" and not _bears(backbone, device, resolved):
        return "float32"
    return resolved


def _bears(backbone: Backbone, device: str, precision: str) -> bool:
    return backbone.module is None and _precision_error(backbone, device, precision) < _BEARABLE


@functools.lru_cache(maxsize=64)
def _precision_error(backbone: Backbone, device: str, precision: str) -> float:
    with torch.inference_mode():
        exact, rounded = (
            pass_pictures(build_backbone(backbone, device, frozen=name), backbone, _noise(backbone).to(device), name)
            for name in ("float32", precision)
        )
        return float((rounded - exact).norm() / exact.norm())


def _noise(backbone: Backbone) -> torch.Tensor:
    """Two pictures, always the same."""
    shape, generator = (2, backbone.n_channels, *backbone.geometry.size), torch.Generator().manual_seed(0)
    return torch.rand(shape, generator=generator, dtype=torch.float32)


def pass_pictures(network: nn.Module, backbone: Backbone, pixels: torch.Tensor, precision: str) -> torch.Tensor:
    """Pass a batch of pixels through a network as its description and a resolved precision say.

    Parameters
    ----------
    network : nn.Module
        As :func:`build_backbone` makes it, or trained since; on the device of the pixels.
    backbone : Backbone
    pixels : Tensor of shape (n, channels, height, width)
        As :meth:`Backbone.normalise` takes them.
    precision : {"float32", "bf16", "float16"}

    Returns
    -------
    rows : Tensor of float32 of shape (n, n_features)
        From the network's output, or the first of several in a tuple or list.

    Raises
    ------
    ValueError
        If the output has no row for each picture.
    """
    with autocast(precision, pixels.device.type):
        output = network(backbone.normalise(pixels))
    rows = first_tensor(output)
    # not len(), which an export would take for a constant
    if rows is None or rows.ndim < 2 or rows.shape[0] != pixels.shape[0]:
        got = f"a {type(output).__name__}" if rows is None else f"a tensor of shape {tuple(rows.shape)}"
        raise ValueError(
            f"{type(network).__name__} must put out one row for each picture: a tensor, or a tuple or list that holds "
            f"one first, got {got} for {len(pixels)} pictures."
        )
    return rows.flatten(1).float()


def feature_size(backbone: Backbone, device: str, precision: str = "float32") -> int:
    """Size of a feature row; the user's own module is asked with an empty picture, as pictures will pass it.

    Raises
    ------
    ValueError
        If the user's own module puts out no rows.
    """
    if backbone.n_features is not None:
        return backbone.n_features
    picture = torch.zeros(1, backbone.n_channels, *backbone.geometry.size, device=device, dtype=torch.float32)
    with torch.inference_mode():
        return pass_pictures(build_backbone(backbone, device), backbone, picture, precision).shape[1]


@functools.lru_cache(maxsize=2)
def _build_trainable(backbone: Backbone, device: str) -> nn.Module:
    _BUILT[backbone] = network = _build_named(backbone, device)
    return network


@functools.lru_cache(maxsize=2)
def _build_frozen(backbone: Backbone, device: str, precision: str) -> nn.Module:
    with torch.inference_mode(False):
        if precision != "float32":
            # that one is there, where the precision was settled by comparison
            exact = copy.deepcopy(_build_frozen(backbone, device, "float32"))
            return _frozen(exact, precision)
        network = _build_named(backbone, device)
        folded = fold_batch_norms(network, backbone.normalise(_noise(backbone).to(device)))
        if folded is network:
            _BUILT[backbone] = network
        return _frozen(folded, precision)


def _build_named(backbone: Backbone, device: str) -> nn.Module:
    # what is made within a caller's inference mode could neither learn nor be cast by autocast
    with torch.inference_mode(False):
        network = _with_weights(backbone)
        if backbone.pool is not None:
            attach(network, _named_taps(_network(backbone), backbone.layers, backbone.pool, backbone.geometry.size))
        return network.to(device).to(memory_format=torch.channels_last).eval()


def _with_weights(backbone: Backbone) -> nn.Module:
    """A named network for pictures of as many channels as it was described for, with its weights."""
    source, named = backbone.weights, _network(backbone)
    if source.source == "random" and backbone.state is None:
        return _adapted(named.construct(source.seed), backbone)
    state = _state_dict(backbone)
    if _is_adapted(state, named, backbone.n_channels, backbone.geometry.size):
        network = _adapted(named.construct(), backbone)
        network.load_state_dict(without_heads(state, head_layers(named)))
        return network
    if source.source == "published":
        try:
            check_fit(backbone.name, skeleton(named).state_dict(), state, head_layers(named), source.name)
        except WeightsError:
            converted = named.library.load_published(named.local_name, named.arguments, source.name, state)
            if converted is None:
                raise
            return _adapted(converted, backbone)
    network = named.construct()
    network.load_state_dict(without_heads(state, head_layers(named)))
    return _adapted(network, backbone)


def _adapted(network: nn.Module, backbone: Backbone) -> nn.Module:
    """A network of three channels, its first convolution made to take those of a description; in place."""
    if backbone.n_channels != 3:
        layer = _convolution(_network(backbone), backbone.geometry.size)
        adapt_convolution(network, layer, backbone.n_channels, backbone.extra_channels)
    return network


def _is_adapted(state: StateDict, network: Network, n_channels: int, size: tuple[int, int]) -> bool:
    """Whether weights are of a network whose first convolution takes such pictures already, as a trained one does."""
    if n_channels in {1, 3}:
        return False
    filters = state.get(f"{_convolution(network, size)}.weight")
    return filters is not None and filters.shape[1:2] == (n_channels,)


def _state_dict(backbone: Backbone) -> StateDict:
    """The weights of a named network, from wherever they are."""
    source, named = backbone.weights, _network(backbone)
    if backbone.state is not None:
        return unpack(backbone.state)
    if source.source == "random":
        return named.construct(source.seed).state_dict()
    path = source.name
    if source.source == "published":
        path = str(named.library.locate(named.local_name, source.name))
    if file_digest(path) != source.digest:
        raise WeightsError(f"The weights file {path!r} is not the one that was fitted: its content has changed.")
    state = read_state_dict(path)
    # another network's tensors would not be used, so they need not travel
    return state if source.source == "published" else without_heads(state, head_layers(named))


def _network(backbone: Backbone) -> Network:
    return Network(backbone.name, backbone.params)


def _resolve_named(
    name: str,
    *,
    weights: str | os.PathLike[str] | Enum | None,
    seed: int,
    params: Mapping[str, Any] | None,
    image_size: int | tuple[int, int] | None,
    resize: str,
    n_channels: int,
    extra_channels: str,
) -> Backbone:
    network = find_network(name, params)
    published = None if weights is None else network.library.published_name(network.local_name, weights)
    network = network.with_weights(published)
    expected = network.preprocessing(published)
    geometry = _geometry(expected, image_size, resize)
    source = _resolve_weights(network, weights, published, seed, n_channels, geometry.size)
    described = Backbone(
        network.name,
        source,
        output_width(network, geometry.size),
        geometry,
        expected.mean,
        expected.std,
        params=network.params,
        extra_channels=extra_channels,
    )
    # grey pictures become pictures of three equal channels
    return described if n_channels in {1, 3} else _with_channels(described, network, n_channels)


def _with_channels(described: Backbone, network: Network, n_channels: int) -> Backbone:
    """The same network for pictures of other than three channels."""
    rule = described.extra_channels
    mixing(n_channels, rule)
    _convolution(network, described.geometry.size)
    mean = adapt_colours(described.mean, n_channels, rule)
    geometry = described.geometry
    if geometry.policy == "pad":
        geometry = replace(geometry, fill=_padding(mean))
    std = adapt_colours(described.std, n_channels, rule)
    return replace(described, geometry=geometry, mean=mean, std=std, n_channels=n_channels)


@functools.lru_cache(maxsize=64)
def _convolution(network: Network, size: tuple[int, int]) -> str:
    """Name of the convolution that meets the picture."""
    shapes = skeleton(network)
    return picture_convolution(network.name, shapes, dry_run(shapes, 3, size)[0])


@functools.lru_cache(maxsize=64)
def _named_taps(network: Network, layers: tuple[str, ...], pool: str | None, size: tuple[int, int]) -> Taps:
    return plan_taps(skeleton(network), layers, pool, 3, size)


def _resolve_weights(
    network: Network,
    weights: str | os.PathLike[str] | Enum | None,
    published: str | None,
    seed: int,
    n_channels: int,
    size: tuple[int, int],
) -> Weights:
    library, name = network.library, network.local_name
    if weights is None:
        return random_weights(seed, library.versions())
    if published is not None:
        path = str(library.locate(name, published))
        if library.converts:
            return Weights("published", published, file_digest(path))
        source = Weights("published", published, file_digest(path))
    elif (file := _as_file(weights)) is not None:
        path, digest = file
        source = weights_file(path, digest)
    else:
        raise WeightsError(
            f"{network.name!r} has no published weights {weights!r}, and no such file exists; published are "
            f"{sorted(network.published)}. Pass one of them, a file, or None for random weights."
        )
    wanted, given = skeleton(network).state_dict(), read_shapes(path)
    if _is_adapted(given, network, n_channels, size):
        filters = f"{_convolution(network, size)}.weight"
        n_filters, _, *kernel = wanted[filters].shape
        wanted[filters] = wanted[filters].new_empty(n_filters, n_channels, *kernel)
    check_fit(network.name, wanted, given, head_layers(network), path)
    return source


def _as_file(weights: Any) -> tuple[str, str | None] | None:
    """Path of a weights file and the digest asked for, if a file is meant."""
    if isinstance(weights, os.PathLike):
        return os.fspath(weights), None
    path, digest = split_digest(str(weights))
    is_path = Path(path).suffix in {".pth", ".pt", ".safetensors"} or os.sep in path
    return (path, digest) if digest or is_path or Path(path).is_file() else None


def _geometry(expected: Preprocessing, image_size: int | tuple[int, int] | None, resize: str) -> Geometry:
    policy: Any = resize
    if resize == "auto":
        policy = expected.policy if image_size is None else "squash"
    if image_size is None:
        size = expected.size
    else:
        sides = tuple(image_size) if isinstance(image_size, Iterable) else (image_size,) * 2
        if len(sides) != 2 or not all(_is_length(side) for side in sides):
            raise ValueError(
                f"The 'image_size' parameter must be a side or (height, width) in pixels, got {image_size!r}."
            )
        size = (int(sides[0]), int(sides[1]))
    own_way = image_size is None and policy == expected.policy
    return Geometry(
        size=size,
        policy=policy,
        resize=expected.resize if own_way else None,
        interpolation=expected.interpolation,
        fill=_padding(expected.mean) if policy == "pad" else (0, 0, 0),
    )


def _padding(mean: tuple[float, ...]) -> tuple[int, ...]:
    """The colour that normalisation makes zero, or nearly: 8 bits round it."""
    return tuple(round(255 * colour) for colour in mean)


def _is_length(side: Any) -> bool:
    return isinstance(side, Integral) and not isinstance(side, bool) and int(side) >= 1


def _resolve_own(
    module: nn.Module | type[nn.Module],
    *,
    weights: str | os.PathLike[str] | Enum | None,
    seed: int,
    fingerprint: str | None,
    params: Mapping[str, Any] | None,
    image_size: int | tuple[int, int] | None,
    resize: str,
    n_channels: int,
) -> Backbone:
    network = _own_module(module, params, seed)
    name = type(network).__name__
    if weights is not None and weights != "DEFAULT":
        file = _as_file(weights)
        if file is None:
            raise WeightsError(f"{name} has no published weights {weights!r}, and no such file exists.")
        weights_file(*file)
        state = read_state_dict(file[0])
        check_fit(name, network.state_dict(), state, (), file[0])
        network.load_state_dict(state)
    geometry = _geometry(Preprocessing(size=(_OWN_SIZE, _OWN_SIZE)), image_size, resize)
    digest = _own_digest(network, params, fingerprint) if fingerprint else ""
    takes = _own_channels(network, n_channels, geometry.size)
    mean, std = (0.0,) * takes, (1.0,) * takes
    source = Weights("own", name, digest)
    return Backbone(name, source, None, geometry, mean, std, n_channels=takes, contiguous=True, module=network)


def _own_module(module: nn.Module | type[nn.Module], params: Mapping[str, Any] | None, seed: int) -> nn.Module:
    """The user's module as a copy, or made from its class; in evaluation mode."""
    if isinstance(module, nn.Module):
        if params:
            raise ValueError("backbone_params are for a network's name or class; this module is already made.")
        return copy.deepcopy(module).eval()
    if not (isinstance(module, type) and issubclass(module, nn.Module)):
        raise ValueError(f"backbone must be a name, an nn.Module or a class of such, got {module!r}.")
    try:
        with seeded(seed):
            return module(**(params or {})).eval()
    except TypeError as error:
        raise ValueError(
            f"{module.__name__} cannot be made with backbone_params={dict(params or {})!r}: {error}"
        ) from error


def _own_digest(network: nn.Module, params: Mapping[str, Any] | None, fingerprint: str) -> str:
    """Digest of what is known of the user's own module; empty if its parameters are no plain values."""
    try:
        known = [fingerprint, type(network).__qualname__, dict(params or {}), content_digest(network.state_dict())]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    except (TypeError, ValueError):  # what JSON cannot write
        return ""


def _own_channels(network: nn.Module, n_channels: int, size: tuple[int, int]) -> int:
    """Channels that the user's own module takes, given the pictures'.

    Raises
    ------
    ValueError
        If the pictures have others.
    """
    takes = input_channels(network)
    if takes is None and n_channels in {1, 3}:
        return 3
    if takes in {None, n_channels}:
        return n_channels
    if n_channels != 1:
        try:
            # the convolution that is defined first need not be the one that meets the picture
            dry_run(shapes_of(network), n_channels, size)
        except Exception:  # of whatever kind: it does not take such pictures
            pass
        else:
            return n_channels
    if takes is not None and can_take(n_channels, takes):
        return takes
    raise ValueError(
        f"{type(network).__name__} takes pictures of {takes} channels (the first convolution tells), and the pictures "
        f"have {n_channels}."
    )


def _with_own_taps(described: Backbone, layers: tuple[str, ...], pool: str | None) -> Backbone:
    """The user's own module with its inner layers' outputs instead of its own."""
    network: Any = described.module
    check_layers(network, layers)
    taps = plan_own_taps(network, layers, pool, described.n_channels, described.geometry.size)
    attach(network, taps)
    return replace(described, n_features=taps.n_features, layers=layers, pool=taps.pool)


def _layer_names(layer: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """The layers that are asked for, each once."""
    layers = (layer,) if isinstance(layer, str) else () if layer is None else layer
    if not isinstance(layers, list | tuple) or not all(isinstance(name, str) for name in layers):
        raise ValueError(f"The 'layer' parameter must be the name of a layer or a list of names, got {layer!r}.")
    layers = tuple(layers)
    if repeated := sorted({name for name in layers if layers.count(name) > 1}):
        raise ValueError(f"The 'layer' parameter must name each layer once; {listed(map(repr, repeated))} came twice.")
    return layers


def _check_option(name: str, value: str | None, options: tuple[str | None, ...]) -> None:
    if value not in options:
        raise ValueError(f"The {name!r} parameter must be one of {', '.join(map(repr, options))}, got {value!r}.")
