"""Where weights come from: published ones by name, a file, or a seed."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch

from skdeep._text import listed
from skdeep.exceptions import WeightsError, WeightsUnavailableError

StateDict = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Weights:
    """A source of weights, told apart from all others by ``digest``.

    Attributes
    ----------
    source : {"published", "file", "random", "own"}
    name : str
        What a reader calls them: ``"IMAGENET1K_V1"``, a path, ``"seed=0"``.
    digest : str
        Equal for equal weights only.
    """

    source: Literal["published", "file", "random", "own"]
    name: str
    digest: str


def locate_published(network: str, entry: Any) -> Path:
    """Path of published weights in torch's hub folder, downloaded if they are not there.

    Raises
    ------
    WeightsUnavailableError
        If they are not there and cannot be downloaded.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / Path(entry.url).name
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # the file name carries the digest's beginning, and torch checks it
            digest = path.stem.rsplit("-", 1)[-1]
            torch.hub.download_url_to_file(entry.url, str(path), hash_prefix=digest, progress=False)
        except (OSError, RuntimeError) as error:
            raise WeightsUnavailableError(
                f"The weights {entry.name!r} of {network!r} could not be downloaded from {entry.url}: {error}. Pass "
                f"weights=PATH with a local file (or put it at {str(path)!r}), or weights=None for random weights."
            ) from error
    return path


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, in hexadecimal; remembered while the file stays as it is.

    Raises
    ------
    WeightsUnavailableError
        If there is no such file.
    """
    return _digest_unchanged(*_identity(path))


def read_state_dict(path: str | os.PathLike[str]) -> StateDict:
    """Read a ``.safetensors`` or torch file without running code from it.

    Raises
    ------
    WeightsError
        If the file holds anything but named tensors.
    WeightsUnavailableError
        If there is no such file.
    """
    return _read_unchanged(*_identity(path))


def check_fit(network: str, wanted: StateDict, given: StateDict, head: str, path: str) -> None:
    """Raise ``WeightsError`` unless a state dict fits a network in all but its head.

    Parameters
    ----------
    network : str
        Its name, for the error.
    wanted, given : mapping of str to tensor
        The network's own state dict, and the one read from ``path``.
    head : str
        Name of the head's layer: its weights may be absent or of another size, since they are not used.
    path : str
    """
    wanted, given = without_head(wanted, head), without_head(given, head)
    problems = []
    if missing := [name for name in wanted if name not in given]:
        problems.append(f"{len(missing)} of {len(wanted)} tensors are missing ({listed(missing)})")
    if unexpected := [name for name in given if name not in wanted]:
        problems.append(f"{len(unexpected)} are not of this network ({listed(unexpected)})")
    if wrong := [name for name in wanted if name in given and wanted[name].shape != given[name].shape]:
        shapes = [f"{name}: {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}" for name in wrong]
        problems.append(f"{len(wrong)} have another shape ({listed(shapes)})")
    if problems:
        raise WeightsError(f"The weights file {path!r} does not fit {network!r}: {'; '.join(problems)}.")


def without_head(state: StateDict, head: str) -> dict[str, torch.Tensor]:
    """A state dict without the tensors of the head."""
    return {name: tensor for name, tensor in state.items() if name.rpartition(".")[0] != head}


def _identity(path: str | os.PathLike[str]) -> tuple[str, int, int, int, int]:
    """What changes when a file does."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise WeightsUnavailableError(f"The weights file {str(path)!r} cannot be read: {error}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise WeightsUnavailableError(f"The weights file {str(path)!r} cannot be read: it is no file.")
    return str(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@functools.lru_cache(maxsize=32)
def _digest_unchanged(path: str, *_: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.lru_cache(maxsize=2)
def _read_unchanged(path: str, *_: int) -> StateDict:
    try:
        if path.endswith(".safetensors"):
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on damaged files both readers raise almost anything
        raise WeightsError(
            f"The weights file {path!r} cannot be read: it must be a state dict that torch.save or safetensors wrote, "
            "and load without running code."
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise WeightsError(f"The weights file {path!r} must hold a state dict (names and tensors).")
    return state
