"""Where training goes on after a break, and how it knows that it is the same training."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

import skdeep
from skdeep._codec import Json, decode, describe, encode
from skdeep._tensorfile import read_tensors, write_tensors
from skdeep.exceptions import CheckpointWarning

Tensors = dict[str, torch.Tensor]

_LIBRARIES = ("torch", "torchvision", "scikit-learn", "numpy")
_ROOTS = {"builtins", "skdeep", "torch", "torchvision", "sklearn", "numpy"}  # of what changes with a version only
_OF_ALL_MODULES = frozenset(vars(nn.Module()))


class Checkpoint:
    """The last whole state of one training, in a folder that trainings may share.

    Processes that run the same training may share it, too: each write takes the place of the one before.

    Parameters
    ----------
    folder : str or path
        Made if it is not there.
    digest : str
        Of the training, as :func:`fit_digest` gives it; the state lies in a subfolder that is named by its beginning.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str], digest: str) -> None:
        self.path = Path(folder) / digest[:16] / "checkpoint.safetensors"
        self._digest = digest
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> tuple[Tensors, dict[str, Any]] | None:
        """The tensors and the document that were written last; None, after a warning, if they are damaged."""
        try:
            tensors, kept = read_tensors(self.path)
            if kept.get("digest") != self._digest:
                raise ValueError(f"{str(self.path)!r} is no checkpoint of this training.")
            return tensors, decode(kept["state"], {}, {})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            self._complain(f"A checkpoint cannot be read, so training starts anew: {error}")
            return None

    def write(self, tensors: Mapping[str, torch.Tensor], document: Mapping[str, Any]) -> None:
        """Keep a state in place of the last; where there is no room, warn and keep the last.

        Parameters
        ----------
        tensors : mapping of str to tensor
        document : mapping
            Of plain values; infinities, NaN, tuples and numpy's numbers come back as they are.
        """
        state = encode(dict(document), _no_tensors, {})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(self.path, tensors, {"digest": self._digest, "state": state})
        except OSError as error:
            self._complain(f"A checkpoint cannot be written, so a break may cost more than an epoch: {error}")

    def discard(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def _complain(self, text: str) -> None:
        warnings.warn(text, CheckpointWarning, stacklevel=3)


def _no_tensors(tensor: torch.Tensor) -> str:
    raise ValueError("Tensors and arrays belong beside the document, not into it.")


def pack_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]
) -> tuple[Tensors, dict[str, Any]]:
    """What an optimizer knows, by the names of parameters.

    Parameters
    ----------
    optimizer : Optimizer
    names : mapping of Parameter to str

    Returns
    -------
    tensors : dict of str to tensor
        ``"NAME/WHAT"``; they are the optimizer's own.
    document : dict
        What JSON can write: the options and the names of each group, and what is remembered beside the tensors.
    """
    named = [[names[parameter] for parameter in group["params"]] for group in optimizer.param_groups]
    in_order = [name for group in named for name in group]
    packed = optimizer.state_dict()
    remembered = {in_order[position]: state for position, state in packed["state"].items()}
    tensors = {
        f"{name}/{what}": value
        for name, state in remembered.items()
        for what, value in state.items()
        if isinstance(value, torch.Tensor)
    }
    rest = {
        name: {what: value for what, value in state.items() if not isinstance(value, torch.Tensor)}
        for name, state in remembered.items()
    }
    groups = [
        {**{option: _listed(value) for option, value in group.items()}, "params": group_names}
        for group, group_names in zip(packed["param_groups"], named, strict=True)
    ]
    return tensors, {"groups": groups, "state": rest}


def unpack_optimizer(
    optimizer: torch.optim.Optimizer,
    names: Mapping[nn.Parameter, str],
    tensors: Mapping[str, torch.Tensor],
    document: Mapping[str, Any],
) -> None:
    """Let an optimizer of the same kind and the same groups go on from what :func:`pack_optimizer` gave.

    Raises
    ------
    ValueError
        If it has other parameters, or they are grouped in another way.
    """
    named = [[names[parameter] for parameter in group["params"]] for group in optimizer.param_groups]
    if named != [group["params"] for group in document["groups"]]:
        raise ValueError("The optimizer that was packed has other parameters, or other groups of them.")
    positions = {name: position for position, name in enumerate(name for group in named for name in group)}
    state: dict[int, dict[str, Any]] = {positions[name]: dict(rest) for name, rest in document["state"].items()}
    for key, tensor in tensors.items():
        name, _, what = key.rpartition("/")
        # a copy, for optimizers work in place
        state[positions[name]][what] = tensor.clone()
    groups = [
        {**{option: _like(value, now.get(option)) for option, value in group.items()}, "params": now["params"]}
        for group, now in zip(document["groups"], optimizer.state_dict()["param_groups"], strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _like(value: Any, other: Any) -> Any:
    return tuple(value) if isinstance(other, tuple) else value


def fit_digest(parts: Mapping[str, Any]) -> str:
    """SHA-256 of all that decides what a training ends with; equal in all processes.

    Values count, whatever object holds them. Of the user's own functions and classes the bytecode counts, with
    defaults and what closures hold, but not the globals that they use; of modules the class, the attributes and the
    weights; of other objects what ``pickle`` would see. The versions of torch, numpy and the like count as well.

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
    >>> fit_digest({"lr": 0.1, "y": [0, 1]}) == fit_digest({"y": [0, 1], "lr": 0.1})
    True
    >>> fit_digest({"lr": 0.1}) == fit_digest({"lr": 0.2})
    False
    """
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES} | {"skdeep": skdeep.__version__}
    sketches = {name: _Sketch()(value, f"The parameter {name!r}") for name, value in parts.items()}
    return hashlib.sha256(json.dumps([versions, sketches], sort_keys=True).encode()).hexdigest()


class _Sketch:
    """What tells a value from others, as JSON."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def __call__(self, value: Any, name: str) -> Json:
        try:
            return _ordered(self._of(value))
        except (TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{name} cannot be told from others of its kind, so no checkpoint can be known as its own: {error}. "
                "Fit without checkpoint=, or pass an object that can be pickled."
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
        if isinstance(value, torch.Tensor):
            return _tensor_digest(value)
        if isinstance(value, nn.Module):
            return [*self._class(type(value)), [self._layer(name, layer) for name, layer in value.named_modules()]]
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
        own = {key: part for key, part in vars(layer).items() if key not in _OF_ALL_MODULES or key == "training"}
        hooks = [*layer._forward_hooks.values(), *layer._forward_pre_hooks.values()]
        tensors = {**layer._parameters, **layer._buffers}
        learns = [key for key, weight in layer.named_parameters(recurse=False) if weight.requires_grad]
        return [name, self._class(type(layer)), self._of([own, hooks, learns, list(tensors.items())])]

    def _class(self, cls: type) -> Json:
        own = [base for base in cls.__mro__ if not _is_versioned(base)]
        return [describe(cls), [[describe(base), self._members(base)] for base in own]]

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
        return [describe(function), held, None if _is_versioned(function) else self._code(function.__code__)]

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


def _is_versioned(named: Any) -> bool:
    """Whether a class or function changes with the version of a library only."""
    return str(named.__module__).partition(".")[0] in _ROOTS


def _ordered(encoded: Json) -> Json:
    """The same, dicts in an order that does not depend on how they were made."""
    if isinstance(encoded, list):
        return [_ordered(part) for part in encoded]
    if not isinstance(encoded, dict):
        return encoded
    parts = {tag: _ordered(content) for tag, content in encoded.items()}
    return {"dict": sorted(parts["dict"], key=json.dumps)} if parts.keys() == {"dict"} else parts


def _tensor_digest(tensor: torch.Tensor) -> str:
    values = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{values.dtype} {tuple(values.shape)};".encode())
    digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
