"""Where training goes on after a break, and how it knows that it is the same training."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skdeep._codec import decode, encode
from skdeep._tensorfile import read_tensors, write_tensors
from skdeep.exceptions import CheckpointWarning

Tensors = dict[str, torch.Tensor]


class Checkpoint:
    """The last whole state of one training, in a folder that trainings may share.

    Processes that run the same training may share it, too: each write takes the place of the one before.

    Parameters
    ----------
    folder : str or path
        Made if it is not there.
    digest : str
        Of all that decides what the training ends with; the state lies in a subfolder named by its beginning.

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
