"""How much memory a piece of work takes at most."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MIB = 2**20


@contextmanager
def peak_memory() -> Iterator[dict[str, float | None]]:
    """The largest resident memory of this process, and what torch held most on a GPU, in MiB.

    Both are filled in at the end; None where the system does not tell. Threads of one process share its figure.
    """
    peaks: dict[str, float | None] = {"peak_mb": None, "peak_gpu_mb": None}
    can_tell = _forget_peak()
    torch = sys.modules.get("torch")
    cuda = torch.cuda if torch is not None and torch.cuda.is_available() else None
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    try:
        yield peaks
    finally:
        if can_tell:
            peaks["peak_mb"] = _peak()
        if cuda is not None:
            peaks["peak_gpu_mb"] = cuda.max_memory_allocated() / _MIB


def _forget_peak() -> bool:
    """Set the kernel's high-water mark to what is resident now (Linux only)."""
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _peak() -> float | None:
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None
