"""Random weights that a seed alone decides."""

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
def seeded(seed: int) -> Iterator[None]:
    """A context in which modules are made with the float32 weights of a seed.

    torch's generator on the CPU and its default dtype are left as they were found. Threads take turns.
    """
    with _LOCK, torch.random.fork_rng(devices=[]):
        dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
