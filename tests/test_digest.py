"""Digests that tell computations apart: equal in all processes, other for whatever is other."""

from __future__ import annotations

import functools
import importlib.metadata
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from iterstrat.ml_stratifiers import IterativeStratification, MultilabelStratifiedKFold
from numpy.random import RandomState
from scipy import sparse
from sklearn.metrics import fbeta_score, make_scorer
from torch import nn
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from skdeep import _digest
from skdeep._digest import digest_of
from skdeep.images import Augmentation
from skdeep.training.phases import Phase


class Own(nn.Module):
    factor = 2

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.width = width
        self.layer = nn.Linear(width, 1)
        nn.init.ones_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layer(pictures.mean(dim=(2, 3))) * self.factor


def loss(logits: torch.Tensor, targets: torch.Tensor, gamma: float = 2.0) -> torch.Tensor:
    return ((logits - targets).abs() ** gamma).sum(dim=1)


def scaled(factor: float) -> Any:
    return lambda picture: picture * factor


def changed(module: nn.Module, **attributes: Any) -> nn.Module:
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def with_bias(value: float) -> nn.Module:
    module = Own()
    nn.init.constant_(module.layer.bias, value)
    return module


def parts() -> dict[str, Any]:
    """A bit of all that an estimator may be given."""
    return {
        "plain": [None, True, 1, 0.5, math.inf, "text", b"bytes", (1, [2]), {"b": 1, "a": {3, 1}}, Path("a")],
        "arrays": [np.arange(6).reshape(2, 3), np.array(["a", "b"]), np.float32(1), torch.ones(2)],
        "phases": [Phase(max_epochs=3, train=2), Phase()],
        "state": RandomState(3),
        "weights": ResNet18_Weights.DEFAULT,
        "backbone": Own(),
        "backbone_class": Own,
        "optimizer": torch.optim.AdamW,
        "criterion": loss,
        "augmentation": Augmentation(v2.Compose([v2.RandomHorizontalFlip(0.3), scaled(2.0)]), mixup=0.2),
        "partial": functools.partial(loss, gamma=3.0),
        "scoring": make_scorer(fbeta_score, beta=2),
        "none": lambda: None,
    }


def test_a_digest_is_the_same_in_another_process_of_other_hashes() -> None:
    expected = digest_of(parts())
    assert digest_of(parts()) == expected
    code = "from tests.test_digest import digest_of, parts; print(digest_of(parts()))"
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(root)},
    )
    assert done.stdout.strip() == expected


CHANGES: dict[str, tuple[Any, Any]] = {
    "a number": (1, 2),
    "the kind of a number": (1, 1.0),
    "the dtype of an array": (np.zeros(2, "f4"), np.zeros(2, "f8")),
    "the shape of an array": (np.zeros(4), np.zeros((2, 2))),
    "the last bit of an array": (np.ones(3), np.nextafter(np.ones(3), 2)),
    "where a list is cut": ([[1, 2], [3]], [[1], [2, 3]]),
    "bytes": ([b"ab", b"c"], [b"a", b"bc"]),
    "the state of a generator": (RandomState(3), RandomState(4)),
    "a phase": (Phase(lr=0.1), Phase(lr=0.2)),
    "an augmentation": (Augmentation("side_on"), Augmentation("top_down")),
    "a bias": (with_bias(0.0), with_bias(1e-7)),
    "an attribute of a module": (Own(), changed(Own(), width=4)),
    "what is frozen": (Own(), Own().requires_grad_(False)),
    "a module and its class": (Own(), Own),
    "the probability of a transform": (v2.RandomHorizontalFlip(0.3), v2.RandomHorizontalFlip(0.4)),
    "the order of transforms": (
        v2.Compose([v2.Grayscale(), v2.RandomHorizontalFlip()]),
        v2.Compose([v2.RandomHorizontalFlip(), v2.Grayscale()]),
    ),
    "a closure": (scaled(2.0), scaled(3.0)),
    "a body": (lambda x: x + 1, lambda x: x - 1),
    "a constant of a body": (lambda x: x + 1, lambda x: x + 2),
    "a name in a body": (lambda x: math.sin(x), lambda x: math.cos(x)),
    "a nested body": (lambda x: [y + 1 for y in x], lambda x: [y + 2 for y in x]),
    "a keyword": (functools.partial(loss, gamma=3.0), functools.partial(loss, gamma=4.0)),
    "a scorer": (make_scorer(fbeta_score, beta=2), make_scorer(fbeta_score, beta=1)),
    "a class": (torch.optim.SGD, torch.optim.AdamW),
    "a function of a library": (torch.nn.functional.relu, torch.nn.functional.gelu),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_digest_changes_with(change: str) -> None:
    one, other = CHANGES[change]
    assert digest_of({"part": one}) != digest_of({"part": other})
    assert digest_of({"part": one}) == digest_of({"part": one})


def test_a_digest_changes_with_methods_and_constants_of_a_class() -> None:
    def made(factor: int, body: Any) -> type:
        return type("Made", (nn.Module,), {"factor": factor, "forward": body, "__module__": "own"})

    def twice(self: Any, x: Any) -> Any:
        return 2 * x

    def thrice(self: Any, x: Any) -> Any:
        return 3 * x

    thrice.__qualname__ = twice.__qualname__
    digests = [digest_of({"m": cls()}) for cls in (made(1, twice), made(2, twice), made(1, thrice), made(1, twice))]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


def test_a_digest_does_not_depend_on_how_values_are_held() -> None:
    values = np.arange(12.0).reshape(3, 4)
    frozen = values.copy()
    frozen.flags.writeable = False
    digests = {digest_of({"X": held}) for held in (values, frozen, np.asfortranarray(values), values[::-1][::-1])}
    assert len(digests) == 1
    assert digest_of({"w": {0: 1.0, 1: 2.0}, "z": 1}) == digest_of({"z": 1, "w": {1: 2.0, 0: 1.0}})
    flipped = torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert digest_of({"w": flipped}) == digest_of({"w": torch.ones(2, 3, 4, 4)})


def entries(rows: Any, columns: Any, values: Any) -> sparse.csr_array:
    """A matrix as its entries stand."""
    return sparse.csr_array((values, columns, rows), shape=(2, 3))


@pytest.mark.parametrize("form", ["csr_array", "csr_matrix", "csc_array", "coo_array", "lil_array", "dia_matrix"])
def test_a_sparse_matrix_has_one_digest_whatever_was_asked_of_it(form: str) -> None:
    def given() -> Any:
        return getattr(sparse, form)(np.array([[1.0, 0, 2], [0, 3, 4]]))

    before = digest_of({"X": given()})
    used = given()
    for name in ("has_sorted_indices", "has_canonical_format"):
        getattr(used, name, None)
    _ = used @ np.ones(3), used.T, used.tocsc()
    assert digest_of({"X": used}) == before
    others = [given() * 2, given().T, given().astype("f4"), given().toarray()]
    assert len({before, *(digest_of({"X": other}) for other in others)}) == 5


def test_the_order_of_sparse_entries_does_not_count_and_stays() -> None:
    ordered = entries([0, 2, 4], [0, 2, 1, 2], [1.0, 2.0, 3.0, 4.0])
    mixed = entries([0, 2, 5], [2, 0, 2, 1, 2], [2.0, 1.0, 3.0, 3.0, 1.0])
    flags = set(vars(mixed))
    assert digest_of({"X": mixed}) == digest_of({"X": ordered})
    wide = ordered.copy()
    wide.indptr, wide.indices = wide.indptr.astype(np.int64), wide.indices.astype(np.int64)
    assert digest_of({"X": wide}) == digest_of({"X": ordered})
    assert mixed.indices.tolist() == [2, 0, 2, 1, 2]
    assert mixed.data.tolist() == [2, 1, 3, 3, 1]
    assert set(vars(mixed)) == flags


def test_sparse_vectors_have_digests_of_their_shape_and_entries() -> None:
    def vector(values: list[int]) -> Any:
        return sparse.coo_array(np.array(values))

    parts = [vector([0, 1, 2]), vector([0, 1, 2, 0]), vector([1, 0, 2]), sparse.coo_array(np.array([[0, 1, 2]]))]
    assert len({digest_of({"X": part}) for part in parts}) == 4
    assert digest_of({"X": vector([0, 1, 2])}) == digest_of({"X": parts[0]})


def test_what_holds_itself_has_a_digest() -> None:
    def countdown(n: int) -> int:
        return n and countdown(n - 1)

    module = Own()
    module.children_of = [module]  # type: ignore[assignment]
    assert digest_of({"f": countdown}) == digest_of({"f": countdown})
    assert digest_of({"m": module}) == digest_of({"m": module})


def test_a_digest_changes_with_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of({})
    monkeypatch.setattr(_digest, "_versions", lambda: {"numpy": "99"})
    assert digest_of({}) != before
    monkeypatch.undo()
    assert digest_of({}) == before
    assert _digest._versions()["numpy"] == np.__version__


@pytest.mark.parametrize("library", ["skorch", "pandas", "pillow", "timm"])
def test_versions_are_those_of_all_libraries_that_compute(library: str) -> None:
    assert _digest._versions()[library] == importlib.metadata.version(library)


def test_a_digest_changes_with_the_version_of_a_package_that_a_part_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = type("Mine", (), {"__module__": "own"})
    parts = (IterativeStratification, MultilabelStratifiedKFold(2), mine)
    before = [digest_of({"part": part}) for part in parts]
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "99" if name == "iterative-stratification" else version(name)
    )
    # asked for anew
    monkeypatch.setattr(_digest, "_versions_of", _digest._versions_of.__wrapped__)
    after = [digest_of({"part": part}) for part in parts]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True]


def test_what_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="The parameter 'criterion' cannot be told from others of its kind"):
        digest_of({"criterion": threading.Lock()})
