"""Devices and precisions: what names mean."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from skdeep.backbones import (
    autocast,
    registry,
    resolve_backbone,
    resolve_device,
    resolve_precision,
    settle_precision,
)


def test_devices_are_torchs_own_names() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in {"cpu", "cuda", "mps"}
    for name in ("abacus", "cuda:99"):
        with pytest.raises(ValueError, match=f"device='{name}' cannot be used: "):
            resolve_device(name)


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({"amx_bf16": True}, "bf16"), ({"avx512_bf16": True, "amx_bf16": False}, "bf16"), ({"avx2": True}, "float32")],
)
def test_auto_precision_is_bf16_where_the_cpu_multiplies_in_it(
    capabilities: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert resolve_precision("auto", "cpu") == precision


@pytest.mark.parametrize(("generation", "precision"), [((7, 5), "float32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_auto_precision_is_bf16_on_cuda_from_ampere_on(
    generation: tuple[int, int], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: generation)
    assert resolve_precision("auto", "cuda:0") == precision


def test_a_named_precision_is_taken_at_its_word() -> None:
    for precision in ("float32", "bf16", "float16"):
        assert resolve_precision(precision, "cpu") == precision


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16), ("float16", torch.float16)]
)
def test_autocast_overrules_the_callers(precision: str, dtype: torch.dtype) -> None:
    numbers = torch.ones(2, 2)
    for outer in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", outer), autocast(precision, "cpu"):
            assert (numbers @ numbers).dtype == dtype


def test_auto_precision_is_low_only_for_named_networks_that_bear_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    named = resolve_backbone("small_cnn", weights=None, image_size=32, seed=0)
    own = resolve_backbone(nn.Flatten(), weights=None, image_size=32, seed=0)
    assert settle_precision("auto", named, "cpu") == "bf16"
    assert settle_precision("auto", own, "cpu") == "float32"
    monkeypatch.setattr(registry, "_BEARABLE", 1e-6)
    assert settle_precision("auto", named, "cpu") == "float32"
    assert {settle_precision("bf16", backbone, "cpu") for backbone in (named, own)} == {"bf16"}
