"""Passes that compute shapes only: what they leave to other threads and to forks."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from skdeep.backbones.dryrun import dry_run


class Slow(nn.Module):
    """Gives a fork the time to fall into a pass."""

    def __init__(self, begun: threading.Event) -> None:
        super().__init__()
        self.begun = begun

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.begun.set()
        time.sleep(0.3)
        return images.flatten(1)


def dry_run_flatten() -> None:
    assert dry_run(nn.Flatten(), 3, (2, 2))[1] == (2, 12)


@pytest.mark.skipif(os.name != "posix", reason="forks of POSIX")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_works_although_another_thread_was_within_a_pass() -> None:
    begun = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        passing = pool.submit(dry_run, Slow(begun), 3, (2, 2))
        begun.wait()
        child = multiprocessing.get_context("fork").Process(target=dry_run_flatten)
        child.start()
        assert passing.result()[1] == (2, 12)
    child.join(10)
    is_hanging = child.is_alive()
    child.kill()
    child.join()
    assert not is_hanging
    assert child.exitcode == 0
