"""Who imports whom, as DESIGN.md lays it down, and what importing costs."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import skdeep

ROOT = Path(skdeep.__file__).parent
GROUND = {
    "exceptions",
    "_blobcache",
    "_cachefile",
    "_codec",
    "_digest",
    "_tensorfile",
    "_text",
    "_validation",
    "_wholefile",
}
SCALARS = {"metrics", "model_selection", "multilabel", "datasets", "utils"}
ESTIMATORS = {"_cnn_classifier", "_feature_extractor", "_tabular"}
IMAGES = {"images"}
BACKBONES = {"backbones"} | IMAGES
DEEP = {"features", "training"}
# Each package, and what of skdeep it may import beside itself and the ground.
ALLOWED = {
    **{name: set() for name in GROUND},
    **dict.fromkeys(SCALARS, SCALARS),
    "images": set(),
    "backbones": IMAGES,
    "features": BACKBONES,
    "training": BACKBONES,
    "_saving": BACKBONES | DEEP,
    "_onnx": BACKBONES | DEEP,
    # metrics to score with, model_selection to hold out rows
    "_base": BACKBONES | DEEP | {"_saving", "metrics", "model_selection"},
    **dict.fromkeys(ESTIMATORS, BACKBONES | DEEP | {"_base", "_onnx", "_saving"}),
    # what stands on all of them
    **dict.fromkeys(
        {"inspection", "study"}, BACKBONES | DEEP | ESTIMATORS | SCALARS | {"_base", "inspection", "study"}
    ),
}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def package_of(path: Path) -> str:
    """The package or module right below skdeep."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path, *, at_module_level: bool = False) -> Iterator[str]:
    """Full names of the modules that a file imports; those behind TYPE_CHECKING cost nothing and are left out."""
    tree = ast.parse(path.read_text())
    nodes: list[ast.AST] = list(ast.walk(tree))
    if at_module_level:
        nodes = [node for node in tree.body if not isinstance(node, ast.If)]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(["skdeep", *path.relative_to(ROOT).parent.parts])
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def top(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_the_layers_below(path: Path) -> None:
    package = package_of(path)
    assert package in ALLOWED, f"say in ALLOWED on which layer {package} stands"
    below = {name.split(".")[1] for name in imported(path) if name.startswith("skdeep.")}
    assert below <= ALLOWED[package] | GROUND | {package}


def test_only_training_imports_skorch() -> None:
    importers = {package_of(path) for path in FILES if "skorch" in {top(name) for name in imported(path)}}
    assert importers == {"training"}


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if package_of(path) in GROUND | SCALARS],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_needs_no_torch_imports_none_at_module_level(path: Path) -> None:
    assert not {"torch", "torchvision", "skorch"} & {top(name) for name in imported(path, at_module_level=True)}


@pytest.mark.parametrize(
    "module", ["skdeep", "skdeep.multilabel", "skdeep.metrics", "skdeep.datasets", "skdeep.model_selection"]
)
def test_importing_loads_no_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'torchvision', 'skorch'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_there_and_nothing_else_is() -> None:
    for name in skdeep.__all__:
        assert getattr(skdeep, name).__name__ == name
    assert set(skdeep.__all__) <= set(dir(skdeep))
    with pytest.raises(AttributeError, match="module 'skdeep' has no attribute 'Transformer'"):
        skdeep.Transformer  # noqa: B018
