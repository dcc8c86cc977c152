"""``python -m skdeep.backbones [PATTERN]``: a table of the named networks."""

from __future__ import annotations

import argparse

from skdeep.backbones.describe import BackboneInfo, describe_backbone
from skdeep.backbones.networks import list_backbones

_HEADER = (
    f"{'name':<32} {'features':>8} {'pixels':>9} {'smallest':>8} {'parameters/M':>12} {'groups':>6} {'aux':>3}  weights"
)


def main(arguments: list[str] | None = None) -> None:
    """Print one line for each network whose name fits a pattern."""
    parser = argparse.ArgumentParser(prog="python -m skdeep.backbones", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="*", help='with the wildcards of a shell, such as "timm/resnet*"')
    names = list_backbones(parser.parse_args(arguments).pattern)
    print(_HEADER)  # noqa: T201
    for name in names:
        print(_line(describe_backbone(name)), flush=True)  # noqa: T201


def _line(info: BackboneInfo) -> str:
    pixels = "x".join(map(str, info.image_size))
    aux = "yes" if info.has_aux else "no"
    return (
        f"{info.name:<32} {info.n_features:>8} {pixels:>9} {info.smallest_image:>8} {info.n_parameters / 1e6:>12.2f} "
        f"{info.n_layer_groups:>6} {aux:>3}  {' '.join(info.weights)}"
    ).rstrip()


if __name__ == "__main__":
    main()
