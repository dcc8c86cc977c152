"""Cut a network's layers into groups, from input to output, for learning rates of their own."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from skdeep.backbones.channels import input_channels
from skdeep.backbones.dryrun import CANNOT_TAKE, Step, dry_run, shapes_of


@dataclass
class _Unit:
    """Neighbouring parameters that stay together."""

    parameters: list[str]
    n_layers: int
    module: str | None  # what opening it would split; None for what is held by a container itself


def layer_groups(network: nn.Module, n_groups: int = 3, *, image_size: int | tuple[int, int] = 224) -> list[list[str]]:
    """Cut a network into groups of parameters for discriminative learning rates.

    The order is that in which a picture meets the layers. The units that are grouped are the modules right below the
    network; while there are fewer than two for each group, the one with the most layers is opened into the modules
    below it. A cut lies where the number of layers in front of it is nearest to its share of all, a layer being a
    module without children that holds a weight of two or more dimensions; a tie goes to the earlier cut. For two groups
    of a ResNet this is the cut of fast.ai, behind ``layer2``.

    Parameters
    ----------
    network : nn.Module
        As :func:`build_backbone` makes it; only shapes are computed. A head that stands beside the network is a group
        of its own: for the three of fast.ai, ask for two.
    n_groups : int, default=3
    image_size : int or tuple of int, default=224
        Side, or height and width, of pictures that the network takes.

    Returns
    -------
    groups : list of list of str
        Names as in ``network.named_parameters()``: each in exactly one group, no group empty. Parameters that no
        picture meets (behind a ``layer=`` that was asked for) are in the last.

    Raises
    ------
    ValueError
        If the network has fewer layers than groups were asked for, or takes no such pictures.

    References
    ----------
    Howard and Ruder, "Universal language model fine-tuning for text classification", ACL, 2018: section 3.2,
    discriminative fine-tuning.

    Examples
    --------
    >>> from skdeep.backbones import build_backbone, layer_groups, resolve_backbone
    >>> resnet = build_backbone(resolve_backbone("resnet18", weights=None, image_size=32, seed=0), "cpu")
    >>> [group[0] for group in layer_groups(resnet, 2)]
    ['conv1.weight', 'layer3.0.conv1.weight']
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    shapes = shapes_of(network)
    try:
        steps, _ = dry_run(shapes, input_channels(shapes) or 3, size)
    except CANNOT_TAKE as error:
        raise ValueError(
            f"{type(network).__name__} cannot take pictures of image_size={image_size}: {error}"
        ) from error
    return cut(shapes, steps, n_groups)


def cut(network: nn.Module, steps: list[Step], n_groups: int) -> list[list[str]]:
    """Cut a network by the steps of its dry run; as :func:`layer_groups`."""
    units = _units(network, steps, 2 * n_groups)
    if not 1 <= n_groups <= len(units):
        raise ValueError(
            f"{type(network).__name__} can be cut into 1 to {n_units(network, steps)} groups of layers, got "
            f"n_groups={n_groups}."
        )
    total = sum(unit.n_layers for unit in units)
    groups, start = [], 0
    for number in range(1, n_groups):
        # each group must get a unit, also those that follow
        ends = range(start + 1, len(units) - (n_groups - number) + 1)
        end = min(ends, key=lambda end: abs(sum(u.n_layers for u in units[:end]) - total * number / n_groups))
        groups.append(units[start:end])
        start = end
    groups.append(units[start:])
    return [[name for unit in group for name in unit.parameters] for group in groups]


def n_units(network: nn.Module, steps: list[Step]) -> int:
    """The most groups that a network can be cut into."""
    return len(_units(network, steps, sum(1 for _ in network.modules())))


def _units(network: nn.Module, steps: list[Step], enough: int) -> list[_Unit]:
    began: dict[str, int] = {}
    for step in steps:
        # what was called began the modules around it, which end with no step where features are taken from inside
        parts = step.name.split(".")
        for name in (".".join(parts[:depth]) for depth in range(1, len(parts) + 1)):
            began[name] = min(step.began, began.get(name, step.began))
    units = _opened(network, "", began)
    while len(merged := _merged(units)) < enough:
        # largest first; what opens into nothing smaller stays whole
        for unit in sorted((u for u in units if u.module is not None and u.n_layers > 1), key=lambda u: -u.n_layers):
            inside = _opened(network, str(unit.module), began)
            if len(inside) > 1 or inside[0].module != unit.module:
                where = units.index(unit)
                units[where : where + 1] = inside
                break
            unit.module = None
        else:
            break
    return merged


def _opened(network: nn.Module, name: str, began: dict[str, int]) -> list[_Unit]:
    """A module's children with parameters, in the order of their calls; what it holds itself comes first."""
    prefix = f"{name}." if name else ""
    module = network.get_submodule(name)
    children = [prefix + child for child, _ in module.named_children()]
    called = sorted((child for child in children if child in began), key=began.__getitem__)
    if not called:
        # its children are used by functions of torch that take weights, not called
        return [_unit(network, name, None if name else "")]
    held = [prefix + parameter for parameter, _ in module.named_parameters(recurse=False)]
    units = [_Unit(held, 0, None), *(_unit(network, child, child) for child in called)]
    # what is not called (its weights are used by functions, or nobody asked for it) goes with what is called last
    units += [_Unit(_unit(network, child, None).parameters, 0, None) for child in children if child not in began]
    # a module that is reached by two names counts once, where it is called first
    known: set[str] = {parameter for parameter, _ in network.named_parameters()}
    for unit in units:
        unit.parameters = [parameter for parameter in unit.parameters if parameter in known]
    return [unit for unit in units if unit.parameters]


def _unit(network: nn.Module, name: str, opens: str | None) -> _Unit:
    module = network.get_submodule(name)
    prefix = f"{name}." if name else ""
    parameters = [prefix + parameter for parameter, _ in module.named_parameters()]
    return _Unit(parameters, sum(_is_layer(inner) for inner in module.modules()), opens)


def _is_layer(module: nn.Module) -> bool:
    return not any(module.children()) and any(weight.ndim > 1 for weight in module.parameters(recurse=False))


def _merged(units: list[_Unit]) -> list[_Unit]:
    """Units of at least one layer: what has none (normalisation, a class token) goes with its neighbour in front."""
    merged: list[_Unit] = []
    for unit in units:
        if merged and (unit.n_layers == 0 or merged[-1].n_layers == 0):
            front = merged.pop()
            unit = _Unit(front.parameters + unit.parameters, front.n_layers + unit.n_layers, None)
        merged.append(unit)
    return merged
