"""Random weights that a seed alone decides, whatever else goes on in the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from skdeep import CNNFeatureExtractor
from skdeep.backbones import resolve_backbone
from skdeep.backbones.networks import find_network
from skdeep.backbones.seeding import seeded
from skdeep.backbones.weights import content_digest

OPTIONS: dict[str, Any] = {"weights": None, "image_size": 32}


class Filters(nn.Module):
    """A module of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def digest_of_named(seed: int) -> str:
    return content_digest(find_network("small_cnn").construct(seed).state_dict())


def digest_of_own(seed: int) -> str:
    return content_digest(resolve_backbone(Filters, seed=seed, **OPTIONS).module.state_dict())  # type: ignore[union-attr]


@pytest.fixture
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_two_threads_never_draw_from_one_generator() -> None:
    begun = threading.Event()
    drawn: list[torch.Tensor] = []

    def other() -> None:
        begun.set()
        with seeded(1):
            drawn.append(torch.rand(3))

    thread = threading.Thread(target=other)
    with seeded(0):
        thread.start()
        begun.wait()
        thread.join(timeout=0.1)
        assert not drawn
        first = torch.rand(3)
    thread.join()
    for seed, numbers in enumerate((first, drawn[0])):
        assert torch.equal(numbers, torch.rand(3, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("digest_of", [digest_of_named, digest_of_own])
def test_a_seed_decides_weights_whatever_the_default_dtype(digest_of: Callable[[int], str], request: Any) -> None:
    expected = digest_of(0)
    request.getfixturevalue("doubles")
    assert digest_of(0) == expected
    assert torch.get_default_dtype() == torch.float64


@pytest.mark.parametrize("digest_of", [digest_of_named, digest_of_own])
def test_making_modules_leaves_the_generator_as_found(digest_of: Callable[[int], str]) -> None:
    before = torch.get_rng_state()
    digest_of(0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("backbone", ["resnet18", Filters])
def test_features_do_not_depend_on_the_default_dtype(
    backbone: Any, pictures: NDArray[np.uint8], forget_networks: Callable[[], None], request: Any
) -> None:
    extractor = CNNFeatureExtractor(backbone, cache=False, random_state=0, precision="float32", **OPTIONS)
    expected = extractor.fit_transform(pictures)
    forget_networks()
    request.getfixturevalue("doubles")
    np.testing.assert_array_equal(extractor.fit_transform(pictures), expected)
