"""Tensors and a JSON document in one safetensors file, which is written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from skdeep._wholefile import written_whole

if TYPE_CHECKING:
    import torch

_FORMAT = "skdeep"
_VERSION = 1  # raised whenever older versions of the library could not read what is written
_HEADER_BYTES = 100_000_000  # safetensors' own bound


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies in a file.

    Attributes
    ----------
    dtype : str
        In safetensors' words.
    shape : tuple of int
    start : int
        Of its first byte in the file.
    n_bytes : int
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    n_bytes: int


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], document: Mapping[str, Any]
) -> None:
    """Write a file in place of the one that may be there.

    The header's metadata carry the document; any reader of safetensors can read the tensors. What happens to be one
    tensor under several names is written once.

    Parameters
    ----------
    path : str or path
        Its folder must be there. A link is followed.
    tensors : mapping of str to tensor
        On any device, of any strides.
    document : mapping
        What JSON can write, without NaN and infinities.

    Raises
    ------
    OSError
        If the file cannot be written; the old one is then as it was.
    ValueError
        If a tensor is not dense, or the document is no JSON.
    """
    path = Path(os.path.realpath(path))
    stored, aliases, strides = _prepare(tensors)
    about = {"format": _FORMAT, "version": _VERSION, "document": document, "aliases": aliases, "strides": strides}
    # one entry only: safetensors writes several in any order
    header = {_FORMAT: json.dumps(about, allow_nan=False)}
    with written_whole(path) as draft:
        _write(draft, stored, header)
    _sync(path.parent)


def read_tensors(path: str | os.PathLike[str], device: str = "cpu") -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a file that :func:`write_tensors` wrote; no code of it is run.

    Parameters
    ----------
    path : str or path
    device : str, default="cpu"

    Returns
    -------
    tensors : dict of str to tensor
        With the strides that they had. What was one tensor under several names is one again.
    document : dict

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is damaged, of another kind, or of a newer version.
    """
    from safetensors.torch import load

    # at once, for another process may put another file in its place; safetensors' own reader opens files twice
    content = Path(path).read_bytes()
    with _checked(path):
        tensors = load(content)
        about = _about(content)
        tensors = {name: _strided(tensor, about["strides"].get(name)) for name, tensor in tensors.items()}
        tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
        tensors |= {name: tensors[same] for name, same in about["aliases"].items()}
    return tensors, about["document"]


def find_tensors(file: BinaryIO) -> tuple[dict[str, TensorPlace], dict[str, Any]]:
    """Read of a file no more than where its tensors lie, and the document.

    Parameters
    ----------
    file : binary file
        At its beginning.

    Returns
    -------
    places : dict of str to TensorPlace
        All of them within the file. Whether a dtype and a shape make so many bytes is left to who knows the dtype.
    document : dict

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged, of another kind, or of a newer version.
    """
    n_bytes = os.fstat(file.fileno()).st_size
    with _checked(file.name):
        length = file.read(8)
        n_header = int.from_bytes(length, "little")
        if n_header > min(_HEADER_BYTES, n_bytes):
            raise ValueError("it has no header")
        header = file.read(n_header)
        about = _about(length + header)
        parts = {name: part for name, part in json.loads(header).items() if name != "__metadata__"}
        places = {name: _place(part, 8 + n_header, n_bytes) for name, part in parts.items()}
    return places, about["document"]


@contextmanager
def _checked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of whatever goes wrong with a file's content which file it is."""
    from safetensors import SafetensorError

    try:
        yield
    except _NewerVersionError as error:
        raise ValueError(f"{str(path)!r} was written by a newer version of skdeep ({error}): update skdeep.") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} is damaged, or no file of skdeep: {error}") from error


class _NewerVersionError(Exception):
    pass


def _prepare(
    tensors: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, str], dict[str, list[int]]]:
    """Tensors as safetensors wants them, names of what is there under another name, and strides that are unusual."""
    import torch

    stored: dict[str, torch.Tensor] = {}
    aliases: dict[str, str] = {}
    strides: dict[str, list[int]] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ValueError(f"The tensor {name!r} cannot be written: it must be dense and hold values.")
        place = (tensor.device, tensor.dtype, tensor.data_ptr(), tensor.shape, tensor.stride())
        if tensor.numel() and place in seen:
            aliases[name] = seen[place]
            continue
        seen[place] = name
        if tensor.stride() != _usual_strides(tensor.shape) and _is_dense(tensor.shape, tensor.stride()):
            strides[name] = list(tensor.stride())
        stored[name] = tensor.cpu().contiguous()
    return _apart(stored), aliases, strides


def _apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, copied where several lie in one storage."""
    storages = [tensor.untyped_storage().data_ptr() for tensor in tensors.values()]
    return {
        name: tensor.clone() if storages.count(storage) > 1 else tensor
        for (name, tensor), storage in zip(tensors.items(), storages, strict=True)
    }


def _write(path: Path, tensors: dict[str, torch.Tensor], header: dict[str, str]) -> None:
    from safetensors.torch import save_file

    # safetensors keeps its files from all others; a file that is made as usual shows the permissions that are wanted
    with path.open("xb") as file:
        permissions = os.fstat(file.fileno()).st_mode & 0o777
    save_file(tensors, path, metadata=header)
    path.chmod(permissions)
    _sync(path)


def _sync(path: Path) -> None:
    """Have a file or a folder on the disk before going on."""
    if path.is_dir() and os.name == "nt":
        return  # there, folders cannot be opened
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _about(content: bytes) -> dict[str, Any]:
    """What the header of a file says beside the places of tensors."""
    n_bytes = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + n_bytes]).get("__metadata__", {})
    about = json.loads(metadata.get(_FORMAT, "{}"))
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise ValueError("its header does not say so")
    version = about["version"]
    if version > _VERSION:
        raise _NewerVersionError(f"format {version}, and {_VERSION} is known")
    if not all(isinstance(about[part], dict) for part in ("document", "aliases", "strides")):
        raise ValueError("its header is incomplete")
    return about


def _place(part: Mapping[str, Any], offset: int, n_bytes: int) -> TensorPlace:
    """Where a tensor lies in a file of so many bytes, if what the header says of it can be."""
    start, end = part["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (start, end, *part["shape"])):
        raise ValueError("its header has numbers that are none")
    if not start <= end <= n_bytes - offset:
        raise ValueError("it ends too early")
    return TensorPlace(part["dtype"], tuple(part["shape"]), offset + start, end - start)


def _strided(tensor: torch.Tensor, strides: Sequence[int] | None) -> torch.Tensor:
    """The same values in another order in memory."""
    import torch

    if strides is None:
        return tensor
    if not _is_dense(tensor.shape, strides):
        raise ValueError(f"strides {strides} do not fit the shape {tuple(tensor.shape)}")
    return torch.empty_strided(tuple(tensor.shape), tuple(strides), dtype=tensor.dtype).copy_(tensor)


def _usual_strides(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(1, math.prod(max(1, size) for size in shape[axis + 1 :])) for axis in range(len(shape)))


def _is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether each place in memory, from the first to the last, belongs to one value."""
    if len(shape) != len(strides) or min(shape, default=1) == 0:
        return False
    expected = 1
    for stride, size in sorted((stride, size) for stride, size in zip(strides, shape, strict=True) if size > 1):
        if stride != expected:
            return False
        expected *= size
    # of axes of one value, torch asks no more than this
    return all(isinstance(stride, int) and stride >= 0 for stride in strides)
