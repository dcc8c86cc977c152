"""Randomness of torch that a seed alone decides."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# torch's generator and default dtype are the process's: one thread at a time, and none while another thread forks
_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """A context in which a seed decides what torch draws, and modules are made in float32.

    torch's generators on the CPU and on the device, and its default dtype, are left as they were found; other devices'
    generators are not touched, as ``torch.manual_seed`` would. Threads take turns.

    Parameters
    ----------
    seed : int
    device : str, default="cpu"
    """
    with _LOCK:
        generators = [torch.default_generator, *_generators_on(torch.device(device))]
        states = [generator.get_state() for generator in generators]
        dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield
        finally:
            torch.set_default_dtype(dtype)
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def _generators_on(device: torch.device) -> list[torch.Generator]:
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
        index = torch.cuda.current_device() if device.index is None else device.index
        return [torch.cuda.default_generators[index]]
    return [torch.mps._get_default_mps_generator()] if device.type == "mps" else []
