"""A table of a network's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from skdeep.backbones.dryrun import CANNOT_TAKE, Step, dry_run, shapes_of

if TYPE_CHECKING:
    import pandas as pd

_N_PICTURES = 2  # in a dry run


def summarise(network: nn.Module, *, n_channels: int, image_size: int | tuple[int, int]) -> pd.DataFrame:
    """List the layers of a network in the order in which a picture meets them.

    Parameters
    ----------
    network : nn.Module
        Only shapes are computed; it is left as it was found.
    n_channels : int
        Of the pictures.
    image_size : int or tuple of int
        Side, or height and width, of the pictures.

    Returns
    -------
    summary : DataFrame
        One row a module without children that is called, and one for each other module that holds parameters itself,
        with the columns

        - ``layer``: name as in ``network.named_modules()``;
        - ``type``: class;
        - ``output_shape``: for one picture, of the last call. Where a layer takes parts of a picture as rows of a
          batch, their number comes first. None if the layer is not called, or puts out no tensor;
        - ``n_parameters``: of those that it holds itself; one that several layers share counts at the first;
        - ``trainable``: whether any of them learns.

        The sum of ``n_parameters`` is the number of the network's parameters. What is not called itself (weights that
        functions use, or that no picture meets) comes last within the module around it that is.

    Raises
    ------
    ValueError
        If the network takes no such pictures.

    Examples
    --------
    >>> from skdeep.backbones.small_cnn import SmallCNN
    >>> summary = summarise(SmallCNN(), n_channels=3, image_size=32)
    >>> summary.loc[:1, ["layer", "type", "output_shape", "n_parameters"]]
              layer       type  output_shape  n_parameters
    0  blocks.0.0     Conv2d  (32, 32, 32)           896
    1  blocks.0.1  MaxPool2d  (32, 16, 16)             0
    >>> int(summary["n_parameters"].sum())
    94305
    """
    import pandas as pd

    shapes = shapes_of(network)
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    try:
        steps, _ = dry_run(shapes, n_channels, size)
    except CANNOT_TAKE as error:
        raise ValueError(
            f"{type(network).__name__} cannot take pictures of {n_channels} channels and image_size={image_size}: "
            f"{error}"
        ) from error
    last = {step.name: step.shape for step in steps}
    places = _places(shapes, steps)
    rows = []
    known: set[nn.Parameter] = set()
    for name, module in sorted(shapes.named_modules(), key=lambda item: places[item[0]]):
        held = set(module.parameters(recurse=False)) - known
        is_called_leaf = name in last and not any(module.children())
        if held or is_called_leaf:
            learns = any(parameter.requires_grad for parameter in held)
            n_parameters = sum(parameter.numel() for parameter in held)
            rows.append((name, type(module).__name__, _of_one(last.get(name)), n_parameters, learns))
        known |= held
    return pd.DataFrame(rows, columns=["layer", "type", "output_shape", "n_parameters", "trainable"])


def _places(network: nn.Module, steps: list[Step]) -> dict[str, tuple[int, bool]]:
    """What sorts modules: when they were first called, or when the last call within the nearest called around them."""
    called: dict[str, int] = {"": -1}
    for step in steps:
        called[step.name] = min(step.began, called.get(step.name, step.began))
    places = {}
    for name, _ in network.named_modules():
        if name in called:
            places[name] = (called[name], False)
            continue
        around = name
        while around not in called:
            around = around.rpartition(".")[0]
        inside = f"{around}." if around else ""
        places[name] = (max(began for other, began in called.items() if f"{other}.".startswith(inside)), True)
    return places


def _of_one(shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The shape for one picture instead of two."""
    if not shape or shape[0] % _N_PICTURES:
        return shape
    n_parts = shape[0] // _N_PICTURES
    return shape[1:] if n_parts == 1 else (n_parts, *shape[1:])
