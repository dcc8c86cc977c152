"""What is to know of a named network before it is made."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from skdeep.backbones.dryrun import dry_run
from skdeep.backbones.groups import n_units
from skdeep.backbones.networks import find_network, skeleton, smallest_side


@dataclass(frozen=True)
class BackboneInfo:
    """Facts about a named network without its head, all derived from the network itself.

    Attributes
    ----------
    name : str
    n_features : int
        Size of a feature row, as put out for pictures of ``image_size``.
    image_size : tuple of int
        Height and width that the best published weights were evaluated at, in pixels.
    smallest_image : int
        Side of a square picture that the network takes, one pixel less being refused; in evaluation mode.
    n_parameters : int
        Without the heads.
    n_layer_groups : int
        The most groups that :func:`layer_groups` can cut it into.
    has_aux : bool
        Whether it has auxiliary heads for training, which are taken off too.
    weights : tuple of str
        Published weights, best first.
    """

    name: str
    n_features: int
    image_size: tuple[int, int]
    smallest_image: int
    n_parameters: int
    n_layer_groups: int
    has_aux: bool
    weights: tuple[str, ...]


def describe_backbone(name: str) -> BackboneInfo:
    """Say what is to know of a named network; shapes only are computed, and nothing is downloaded.

    Parameters
    ----------
    name : str
        One of :func:`list_backbones`.

    Raises
    ------
    ValueError
        If there is no network of that name.
    ImportError
        If it is one of timm and timm is not installed.

    Examples
    --------
    >>> from skdeep.backbones import describe_backbone
    >>> info = describe_backbone("resnet18")
    >>> info.n_features, info.image_size, info.n_parameters, info.has_aux
    (512, (224, 224), 11176512, False)
    """
    return _describe(name)


@functools.lru_cache(maxsize=256)
def _describe(name: str) -> BackboneInfo:
    network = find_network(name).with_weights(None)
    shapes = skeleton(network)
    size = network.preprocessing(None).size
    steps, shape = dry_run(shapes, 3, size)
    return BackboneInfo(
        name=name,
        n_features=math.prod(shape[1:]),
        image_size=size,
        smallest_image=smallest_side(network),
        n_parameters=sum(parameter.numel() for parameter in shapes.parameters()),
        n_layer_groups=n_units(shapes, steps),
        has_aux=network.library.has_aux(network.local_name),
        weights=network.published,
    )
