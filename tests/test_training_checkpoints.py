"""Checkpoints that are whole, optimizers that go on to the bit, and digests that know the same training."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skdeep.exceptions import CheckpointWarning
from skdeep.training import checkpoints
from skdeep.training.checkpoints import Checkpoint, pack_optimizer, unpack_optimizer

STATE = {"best": -math.inf, "records": [{"train": "head", "lr": np.float64(0.1), "size": (3, 4)}], "n": 3}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "checkpoints", "0123456789abcdef" * 4)


def test_a_state_comes_back_as_it_was(checkpoint: Checkpoint) -> None:
    assert checkpoint.read() is None
    for step in range(2):
        checkpoint.write({"module/w": torch.full((2, 3), step)}, {**STATE, "step": step})
    tensors, document = checkpoint.read() or ({}, {})
    assert torch.equal(tensors["module/w"], torch.full((2, 3), 1))
    assert document == {**STATE, "step": 1}
    assert type(document["records"][0]["lr"]) is np.float64
    assert [path.name for path in checkpoint.path.parent.parent.iterdir()] == ["0123456789abcdef"]


def test_trainings_share_a_folder_and_not_their_states(tmp_path: Path) -> None:
    one, other = (Checkpoint(tmp_path, letter * 64) for letter in "ab")
    one.write({}, {"n": 1})
    other.write({}, {"n": 2})
    other.discard()
    assert other.read() is None
    assert one.read() == ({}, {"n": 1})
    other.write({}, {"n": 3})
    assert other.read() == ({}, {"n": 3})


@pytest.mark.parametrize("damage", ["cut", "other", "foreign", "folder"])
def test_a_damaged_state_is_told_and_training_starts_anew(damage: str, checkpoint: Checkpoint) -> None:
    checkpoint.write({"w": torch.zeros(9)}, STATE)
    content = checkpoint.path.read_bytes()
    if damage == "cut":
        checkpoint.path.write_bytes(content[:-5])
    elif damage == "other":
        # equal beginnings of digests are as likely as not to be someone's mistake
        checkpoint = Checkpoint(checkpoint.path.parent.parent, "0123456789abcdef" + 48 * "0")
    elif damage == "foreign":
        checkpoint.path.write_bytes(content.replace(b"digest", b"tsegid"))
    else:
        checkpoint.path.unlink()
        checkpoint.path.mkdir()
    with pytest.warns(CheckpointWarning, match=r"cannot be read, so training starts anew: .*checkpoint.safetensors"):
        assert checkpoint.read() is None


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.write({}, {"n": 1})

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_tensors", fail)
    with pytest.warns(CheckpointWarning, match="cannot be written, .* No space left on device"):
        checkpoint.write({}, {"n": 2})
    assert checkpoint.read() == ({}, {"n": 1})


def test_a_folder_that_cannot_be_is_an_error_before_any_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Checkpoint(tmp_path / "file", "a" * 64)


def test_what_is_no_plain_value_is_refused(checkpoint: Checkpoint) -> None:
    for wrong in (torch.zeros(1), np.zeros(1), len):
        with pytest.raises(ValueError, match=r"beside the document|cannot be written"):
            checkpoint.write({}, {"wrong": wrong})
    assert checkpoint.read() is None


def test_writers_at_once_leave_one_whole_state(checkpoint: Checkpoint) -> None:
    def write(writer: int) -> None:
        for _ in range(5):
            checkpoint.write({"w": torch.full((20_000,), writer)}, {"writer": writer})

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        kept = checkpoint.read()
        assert kept is None or kept[0]["w"].eq(kept[1]["writer"]).all()
    assert list(checkpoint.path.parent.iterdir()) == [checkpoint.path]


def learn(module: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        optimizer.zero_grad()
        module(torch.randn(8, 3, 8, 8, generator=generator)).square().mean().backward()
        optimizer.step()


def network_and(kind: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2)]
    module = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    groups: list[dict[str, Any]] = [
        {"params": module[3].parameters(), "lr": 0.1, "weight_decay": 0.0, "factor": 1.0},
        {"params": module[:2].parameters(), "lr": 0.01, "weight_decay": 0.1, "factor": 0.1},
    ]
    if kind == "adamw":
        return module, torch.optim.AdamW(groups, betas=(0.8, 0.9))
    return module, torch.optim.SGD(groups, momentum=0.9 if kind == "momentum" else 0.0)


def names_of(module: nn.Module) -> dict[nn.Parameter, str]:
    return {parameter: name for name, parameter in module.named_parameters()}


@pytest.mark.parametrize("kind", ["adamw", "momentum", "sgd"])
@pytest.mark.parametrize("n_before", [0, 3])
def test_training_goes_on_to_the_bit(kind: str, n_before: int, checkpoint: Checkpoint) -> None:
    straight, optimizer = network_and(kind)
    learn(straight, optimizer, range(6))

    broken, optimizer = network_and(kind)
    learn(broken, optimizer, range(n_before))
    tensors, document = pack_optimizer(optimizer, names_of(broken))
    module = {f"module/{name}": tensor for name, tensor in broken.state_dict().items()}
    checkpoint.write({**module, **{f"optimizer/{name}": tensor for name, tensor in tensors.items()}}, document)

    kept, document = checkpoint.read() or ({}, {})
    other, optimizer = network_and(kind)
    for group in optimizer.param_groups:
        group["lr"] = 77.0
    parts: dict[str, dict[str, torch.Tensor]] = {"module": {}, "optimizer": {}}
    for name, tensor in kept.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = tensor
    other.load_state_dict(parts["module"])
    unpack_optimizer(optimizer, names_of(other), parts["optimizer"], document)
    learn(other, optimizer, range(n_before, 6))
    for name, tensor in straight.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    assert optimizer.param_groups[1]["factor"] == 0.1


def test_an_optimizer_keeps_its_own_copy_of_what_it_unpacks() -> None:
    module, optimizer = network_and("adamw")
    learn(module, optimizer, range(1))
    packed = pack_optimizer(optimizer, names_of(module))
    before = {name: tensor.clone() for name, tensor in packed[0].items()}
    other, fresh = network_and("adamw")
    unpack_optimizer(fresh, names_of(other), before, packed[1])
    kept = {name: tensor.clone() for name, tensor in before.items()}
    learn(other, fresh, range(2))
    assert all(torch.equal(before[name], tensor) for name, tensor in kept.items())


def test_an_optimizer_of_other_groups_is_refused() -> None:
    module, optimizer = network_and("adamw")
    packed = pack_optimizer(optimizer, names_of(module))
    with pytest.raises(ValueError, match="other parameters, or other groups"):
        unpack_optimizer(torch.optim.AdamW(module.parameters()), names_of(module), *packed)
