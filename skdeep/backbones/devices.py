"""Where and how precisely a network computes."""

from __future__ import annotations

import torch
from torch import nn

PRECISIONS = ("auto", "float32", "bf16", "float16")

_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "float16": torch.float16}
_AMPERE = (8, 0)  # the first generation of CUDA devices with bf16 units


def resolve_device(device: str) -> str:
    """The device that a name means; ``"auto"`` is the fastest that is there.

    Raises
    ------
    ValueError
        If torch knows no such device, or it is not there.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={device!r} cannot be used: {error}") from error
    return device


def resolve_precision(precision: str, device: str) -> str:
    """The precision that a name means on a device, whatever the network.

    ``"auto"`` is bf16 where the hardware multiplies in it (CPUs with AMX or AVX512-BF16, CUDA devices from Ampere on),
    else float32.

    Parameters
    ----------
    precision : {"auto", "float32", "bf16", "float16"}
    device : str

    Returns
    -------
    precision : {"float32", "bf16", "float16"}
    """
    if precision != "auto":
        return precision
    return "bf16" if _multiplies_bf16(torch.device(device)) else "float32"


def autocast(precision: str, device: str) -> torch.autocast:
    """A context in which layers that gain by it compute in a resolved precision.

    It also overrules an autocast of the caller: what a precision names must not depend on who calls.
    """
    return torch.autocast(torch.device(device).type, _DTYPES[precision], enabled=precision != "float32")


def cast_weights(network: nn.Module, precision: str) -> nn.Module:
    """Give layers that autocast computes in a precision their weights in it, in place, as it would at each batch."""
    for layer in network.modules():
        if type(layer) in {nn.Conv2d, nn.Linear}:
            layer.to(_DTYPES[precision])
    return network


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _AMPERE
    # older versions of torch do not tell
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False
