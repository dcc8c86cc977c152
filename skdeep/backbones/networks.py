"""Named networks of all libraries, as one kind of thing: to list, to make and to ask for their shapes."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from skdeep._text import listed
from skdeep.backbones.dryrun import CANNOT_TAKE, construct_shapes, dry_run, takes
from skdeep.backbones.heads import remove_head
from skdeep.backbones.library import Library, Preprocessing, discarded
from skdeep.backbones.seeding import seeded
from skdeep.backbones.small_cnn import SmallCNN
from skdeep.backbones.timm_library import TimmLibrary
from skdeep.backbones.torchvision_library import TorchvisionLibrary

NO_PARAMS = "{}"


class _OwnLibrary(Library):
    """The networks of skdeep itself, which have no published weights."""

    reserved = frozenset({"n_outputs"})

    def names(self) -> list[str]:
        return ["small_cnn"]

    def construct(self, name: str, params: Mapping[str, Any], *, whole: bool = False) -> nn.Module:
        network = SmallCNN(**params)
        return network if whole else remove_head(network)

    def published(self, name: str) -> tuple[str, ...]:
        return ()

    def published_name(self, name: str, weights: Any) -> str | None:
        return None

    def preprocessing(self, name: str, weights: str | None) -> Preprocessing:
        return Preprocessing(size=(64, 64))

    def locate(self, name: str, weights: str) -> Path:
        raise NotImplementedError


_LIBRARIES: tuple[Library, ...] = (TimmLibrary(), _OwnLibrary(), TorchvisionLibrary())


def list_backbones(pattern: str = "*", *, timm: bool = False) -> list[str]:
    """Names that ``backbone=`` takes.

    Parameters
    ----------
    pattern : str, default="*"
        With the wildcards of a shell.
    timm : bool, default=False
        Name the networks of timm too, as ``"timm/NAME"``; a pattern that begins with ``"timm/"`` names them as well.

    Raises
    ------
    ImportError
        If timm is asked for and not installed.

    Examples
    --------
    >>> from skdeep.backbones import list_backbones
    >>> list_backbones("resnet?[48]")
    ['resnet18', 'resnet34']
    >>> {"resnet34", "small_cnn"} <= set(list_backbones())
    True
    """
    timm = timm or pattern.startswith(TimmLibrary.prefix)
    libraries = [library for library in _LIBRARIES if timm or not library.prefix]
    names = [library.prefix + name for library in libraries for name in library.names()]
    return sorted(fnmatch.filter(names, pattern))


@dataclass(frozen=True)
class Network:
    """A network of a library, by name.

    Attributes
    ----------
    name : str
        With the library's prefix.
    params : str
        Arguments of its constructor, as JSON.
    """

    name: str
    params: str = NO_PARAMS

    @property
    def library(self) -> Library:
        """The library that knows the name."""
        return next(
            library
            for library in _LIBRARIES
            if self.name.startswith(library.prefix) and (library.prefix or self.name in library.names())
        )

    @property
    def local_name(self) -> str:
        """The name within its library."""
        return self.name.removeprefix(self.library.prefix)

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of its constructor."""
        return json.loads(self.params)

    @property
    def published(self) -> tuple[str, ...]:
        """Names of the published weights, best first."""
        return self.library.published(self.local_name)

    def preprocessing(self, weights: str | None) -> Preprocessing:
        """What published weights, or the best, expect of a picture."""
        return self.library.preprocessing(self.local_name, weights)

    def with_weights(self, published: str | None) -> Network:
        """The network as published weights, or the best, want it made."""
        name, params = self.library.settled(self.local_name, published)
        params = {**params, **self.arguments}
        return Network(self.library.prefix + name, json.dumps(params, sort_keys=True))

    def construct(self, seed: int = 0) -> nn.Module:
        """The network without its heads, its weights decided by a seed; torch's own generator is left as found."""
        with seeded(seed):
            return self.library.construct(self.local_name, self.arguments)


def find_network(name: str, params: Mapping[str, Any] | None = None) -> Network:
    """Find a network by name, and check that it can be made with these parameters.

    Raises
    ------
    ValueError
        If there is no network of that name, or it cannot be made with these parameters.
    ImportError
        If its library is not installed.
    """
    network = _named(name)
    if not params:
        return network
    reserved = sorted(network.library.reserved & set(params))
    if reserved:
        raise ValueError(
            f"backbone_params of {name!r} must not hold {listed(reserved)}: the head is taken off, and weights, "
            "channels and preprocessing have parameters of their own."
        )
    try:
        network = Network(name, json.dumps(dict(params), sort_keys=True))
        skeleton(network.with_weights(None))
    except Exception as error:  # whatever a constructor raises for wrong arguments
        raise ValueError(
            f"The backbone {name!r} cannot be made with backbone_params={dict(params)!r}: {error} Plain values are "
            "taken (numbers, strings, booleans, None, and lists and dictionaries of them); for anything else, pass the "
            "network itself."
        ) from error
    return network


def _named(name: str) -> Network:
    for library in _LIBRARIES:
        if name.startswith(library.prefix) and library.has(name.removeprefix(library.prefix)):
            return Network(name)
        if library.prefix and name.startswith(library.prefix):
            break  # no other library has such names
    pattern = f"{TimmLibrary.prefix}*" if name.startswith(TimmLibrary.prefix) else "*"
    close = difflib.get_close_matches(name, list_backbones(pattern), n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise ValueError(f"There is no backbone {name!r}.{hint} skdeep.backbones.list_backbones() names them all.")


@functools.lru_cache(maxsize=64)
def skeleton(network: Network) -> nn.Module:
    """A network without its heads and without memory for its weights: shapes only. Shared: never change it."""
    return construct_shapes(network.construct)


@functools.lru_cache(maxsize=64)
def head_layers(network: Network) -> frozenset[str]:
    """Names of the layers of a network's heads, whose weights a file may hold in vain."""
    with seeded(0):
        whole = construct_shapes(lambda: network.library.construct(network.local_name, network.arguments, whole=True))
    return discarded(whole, skeleton(network))


@functools.lru_cache(maxsize=64)
def output_width(network: Network, size: tuple[int, int]) -> int:
    """Size of a row that a network puts out for pictures of a size; shapes only are computed.

    Raises
    ------
    ValueError
        If the network cannot take such pictures.
    """
    try:
        _, shape = dry_run(skeleton(network), 3, size)
    except CANNOT_TAKE as error:
        side = size[0] if size[0] == size[1] else size
        raise ValueError(f"The backbone {network.name!r} cannot take pictures of image_size={side}: {error}") from error
    return math.prod(shape[1:])


@functools.cache
def smallest_side(network: Network) -> int:
    """Side of the smallest square that a network takes, one pixel less being refused.

    Found by doubling, then halving the gap; in evaluation mode, by shapes alone.
    """
    limit = max(network.preprocessing(None).size)
    shapes = skeleton(network)
    fails, works = 0, 1
    while works < limit and not takes(shapes, 3, (works, works)):
        fails, works = works, min(2 * works, limit)
    while works - fails > 1:
        side = (fails + works) // 2
        if takes(shapes, 3, (side, side)):
            works = side
        else:
            fails = side
    return works
