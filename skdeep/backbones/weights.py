"""Where weights come from: published ones by name, a file, or a seed."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
import torchvision

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
        Equal for equal weights only; empty where the user's own module has no fingerprint.
    seed : int
        Of random weights.
    """

    source: Literal["published", "file", "random", "own"]
    name: str
    digest: str
    seed: int = 0


def random_weights(seed: int, versions: Mapping[str, str]) -> Weights:
    """Random weights of a seed; what a seed gives may change with the versions of the libraries."""
    made_by = {"torch": torch.__version__, "torchvision": torchvision.__version__, **versions}
    made = "; ".join(f"{library}={version}" for library, version in sorted(made_by.items()))
    return Weights("random", f"seed={seed}", f"seed={seed}; {made}", seed)


def split_digest(weights: str) -> tuple[str, str | None]:
    """Split ``"FILE#sha256=HEX"`` into the file and the digest that it must have, in lower case, or None.

    Raises
    ------
    WeightsError
        If what follows ``#sha256=`` is not 8 to 64 hexadecimal digits.
    """
    path, mark, digest = weights.rpartition("#sha256=")
    if not mark:
        return weights, None
    if not re.fullmatch("[0-9a-fA-F]{8,64}", digest):
        raise WeightsError(f"weights={weights!r} must end in 8 to 64 hexadecimal digits after '#sha256='.")
    return path, digest.lower()


def weights_file(path: str, digest: str | None = None) -> Weights:
    """Weights in a file.

    Raises
    ------
    WeightsError
        If the file's SHA-256 does not begin with the digest.
    WeightsUnavailableError
        If there is no such file.
    """
    found = file_digest(path)
    if digest is not None and not found.startswith(digest):
        raise WeightsError(f"The weights file {path!r} has the SHA-256 {found}, and not {digest} as was asked for.")
    return Weights("file", path, found)


def download(network: str, weights: str, url: str) -> Path:
    """Path of published weights in torch's hub folder, downloaded if they are not there.

    Raises
    ------
    WeightsUnavailableError
        If they are not there and cannot be downloaded.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / Path(url).name
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # where the file name carries the digest's beginning, torch checks it
            named = re.search("-([0-9a-f]{8,})$", path.stem)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=named and named[1], progress=False)
        except (OSError, RuntimeError) as error:
            raise WeightsUnavailableError(
                f"The weights {weights!r} of {network!r} could not be downloaded from {url}: {error}. Pass "
                f"weights=PATH with a local file (or put it at {str(path)!r}), or weights=None for random weights."
            ) from error
    return path


def pack(state: StateDict) -> bytes:
    """A state dict as bytes that load without running code."""
    return safetensors.torch.save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()})


def unpack(content: bytes) -> dict[str, torch.Tensor]:
    """The state dict that :func:`pack` took."""
    return safetensors.torch.load(content)


def content_digest(state: StateDict) -> str:
    """SHA-256 of the names, shapes and values of a state dict."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
    return _read(_identity(path)[0])


def read_shapes(path: str | os.PathLike[str]) -> StateDict:
    """Read a file as :func:`read_state_dict` does, and give its tensors on the meta device, without values.

    These are remembered while the file stays as it is; values are not, for they may be large.
    """
    return _shapes_unchanged(*_identity(path))


def check_fit(network: str, wanted: StateDict, given: StateDict, heads: Collection[str], path: str) -> None:
    """Raise ``WeightsError`` unless a state dict fits a network without heads.

    Parameters
    ----------
    network : str
        Its name, for the error.
    wanted, given : mapping of str to tensor
        The network's own state dict, and the one read from ``path``.
    heads : collection of str
        Layers whose tensors may be there too: they are not used.
    path : str
    """
    given = without_heads(given, heads)
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


def without_heads(state: StateDict, heads: Collection[str]) -> dict[str, torch.Tensor]:
    """A state dict without the tensors of some layers."""
    return {name: tensor for name, tensor in state.items() if name.rpartition(".")[0] not in heads}


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


@functools.lru_cache(maxsize=32)
def _shapes_unchanged(path: str, *_: int) -> StateDict:
    return {name: tensor.to("meta") for name, tensor in _read(path).items()}


def _read(path: str) -> StateDict:
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
