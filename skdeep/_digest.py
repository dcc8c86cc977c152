"""Digests of whatever decides how a computation ends: equal in all processes, and other if anything is other."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

import skdeep
from skdeep._codec import Json, describe, encode

if TYPE_CHECKING:
    import torch
    from torch import nn

_LIBRARIES = ("torch", "torchvision", "scikit-learn", "numpy", "scipy", "skorch", "pandas", "pillow", "timm")
# of what only versions change
_ROOTS = {"builtins", "skdeep", "torch", "torchvision", "sklearn", "numpy", "scipy", "skorch", "pandas", "PIL", "timm"}


def digest_of(parts: Mapping[str, Any]) -> str:
    """SHA-256 of all that decides what a computation ends with; equal in all processes.

    Values count, whatever object holds them. Of the user's own functions and classes the bytecode counts, with
    defaults and what closures hold, but neither the globals that they use nor the functions that they call; of those of
    other packages the version too; of modules the class, the attributes and the weights; of other objects what
    ``pickle`` would see. The versions of torch, numpy and the like count as well.

    Parameters
    ----------
    parts : mapping of str to object
        In any order.

    Returns
    -------
    digest : str
        In hexadecimal.

    Raises
    ------
    ValueError
        If a part cannot be told from others of its kind.

    Examples
    --------
    >>> digest_of({"lr": 0.1, "y": [0, 1]}) == digest_of({"y": [0, 1], "lr": 0.1})
    True
    >>> digest_of({"lr": 0.1}) == digest_of({"lr": 0.2})
    False
    """
    sketches = {name: _Sketch()(value, f"The parameter {name!r}") for name, value in parts.items()}
    return hashlib.sha256(json.dumps([_versions(), sketches], sort_keys=True).encode()).hexdigest()


@functools.cache
def _versions() -> dict[str, str]:
    versions = {"skdeep": skdeep.__version__}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # timm need not be there
            versions[name] = importlib.metadata.version(name)
    return versions


@functools.cache
def _versions_of(package: str) -> list[str]:
    """Of what is installed under the name of a package; none of the user's own modules."""
    names = sorted({name for name in _distributions().get(package, ()) if name})
    return [f"{name} {importlib.metadata.version(name)}" for name in names]


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


class _Sketch:
    """What tells a value from others, as JSON."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def __call__(self, value: Any, name: str) -> Json:
        try:
            return _ordered(self._of(value))
        except (TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{name} cannot be told from others of its kind, so nothing that is kept can be known as its own: "
                f"{error}. Pass an object that can be pickled."
            ) from error

    def _of(self, value: Any) -> Json:
        return encode(value, _tensor_digest, {}, self._other)

    def _other(self, value: Any) -> Json:
        if id(value) in self._open:
            return {"again": len(self._open) - self._open.index(id(value))}
        self._open.append(id(value))
        try:
            return {"other": self._sketch(value)}
        finally:
            self._open.pop()

    def _sketch(self, value: Any) -> Json:
        torch = sys.modules.get("torch")  # where it was never imported, nothing can be its own
        if torch is not None and isinstance(value, torch.Tensor):
            return _tensor_digest(value)
        if torch is not None and isinstance(value, torch.nn.Module):
            return [*self._class(type(value)), [self._layer(name, layer) for name, layer in value.named_modules()]]
        if sparse.issparse(value):
            return self._sparse(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.ModuleType):
            return value.__name__
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.CodeType):
            return self._code(value)
        reduced = value.__reduce_ex__(4)
        if isinstance(reduced, str):
            return [getattr(value, "__module__", None), reduced]
        make, arguments, *rest = reduced
        return self._of([make, arguments, *(list(part) if isinstance(part, Iterator) else part for part in rest)])

    def _layer(self, name: str, layer: nn.Module) -> Json:
        of_all = _attributes_of_all_layers()
        own = {key: part for key, part in vars(layer).items() if key not in of_all or key == "training"}
        hooks = [*layer._forward_hooks.values(), *layer._forward_pre_hooks.values()]
        tensors = {**layer._parameters, **layer._buffers}
        learns = [key for key, weight in layer.named_parameters(recurse=False) if weight.requires_grad]
        return [name, self._class(type(layer)), self._of([own, hooks, learns, list(tensors.items())])]

    def _sparse(self, matrix: Any) -> Json:
        # rows of their own, without what scipy finds out about a matrix and notes in it, such as the order of entries
        rows = (matrix if matrix.ndim == 2 else matrix.tocoo().reshape((1, -1))).tocsr(copy=True)
        rows.sum_duplicates()
        places = [rows.indptr.astype(np.int64), rows.indices.astype(np.int64)]
        return [self._class(type(matrix)), list(matrix.shape), self._of([*places, rows.data])]

    def _class(self, cls: type) -> Json:
        own = [base for base in cls.__mro__ if not _is_versioned(base)]
        return [describe(cls), [[describe(base), self._members(base), _versions_of(_package(base))] for base in own]]

    def _members(self, cls: type) -> Json:
        functions = {name: list(_functions_of(member)) for name, member in vars(cls).items()}
        constants = {
            name: member
            for name, member in vars(cls).items()
            if isinstance(member, bool | int | float | str | bytes | tuple)
            and name not in {"__doc__", "__firstlineno__"}
        }
        return self._of([{name: some for name, some in functions.items() if some}, constants])

    def _function(self, function: types.FunctionType) -> Json:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        held = self._of([function.__defaults__, function.__kwdefaults__, cells])
        if _is_versioned(function):
            return [describe(function), held, None]
        return [describe(function), held, self._code(function.__code__), _versions_of(_package(function))]

    def _code(self, code: types.CodeType) -> Json:
        names = [code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_flags]
        return self._of([code.co_code, names, code.co_consts])


def _functions_of(member: Any) -> Iterator[Callable[..., Any]]:
    """The functions behind an attribute of a class."""
    if isinstance(member, types.FunctionType):
        yield member
    elif isinstance(member, staticmethod | classmethod):
        yield from _functions_of(member.__func__)
    elif isinstance(member, property):
        for part in (member.fget, member.fset, member.fdel):
            yield from _functions_of(part)
    elif isinstance(member, functools.cached_property):
        yield from _functions_of(member.func)


@functools.cache
def _attributes_of_all_layers() -> frozenset[str]:
    from torch import nn

    return frozenset(vars(nn.Module()))


def _is_versioned(named: Any) -> bool:
    """Whether a class or function changes with the version of a library only."""
    return _package(named) in _ROOTS


def _package(named: Any) -> str:
    """The name of the outermost package of a class or function."""
    return str(named.__module__).partition(".")[0]


def _ordered(encoded: Json) -> Json:
    """The same, dicts in an order that does not depend on how they were made."""
    if isinstance(encoded, list):
        return [_ordered(part) for part in encoded]
    if not isinstance(encoded, dict):
        return encoded
    parts = {tag: _ordered(content) for tag, content in encoded.items()}
    return {"dict": sorted(parts["dict"], key=json.dumps)} if parts.keys() == {"dict"} else parts


def _tensor_digest(tensor: torch.Tensor) -> str:
    import torch

    values = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{values.dtype} {tuple(values.shape)};".encode())
    digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
