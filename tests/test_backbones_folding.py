"""Networks that will not learn: fewer passes and smaller weights, the same features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from skdeep.backbones import autocast, build_backbone, resolve_backbone
from skdeep.backbones.folding import fold_batch_norms


def settled(network: nn.Module) -> nn.Module:
    """Give batch normalisations statistics and weights that are not the initial ones."""
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for values, low in ((layer.running_mean, -1.0), (layer.running_var, 0.5), (layer.weight, -1.0)):
                values.data = low + torch.rand(values.shape, generator=generator)
            layer.bias.data = torch.rand(layer.bias.shape, generator=generator)
    return network.eval()


def n_normalisations(network: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


class TwoTakers(nn.Module):
    """A convolution whose output reaches the end around the normalisation too."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.convolution, self.normalisation = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.other = nn.ReLU()
        self.how = how

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.convolution(images)
        around = self.other(maps) if self.how == "module" else maps.exp()
        return self.normalisation(maps) + around


class TwoCalls(nn.Module):
    """One convolution for two normalisations."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.second(self.convolution(self.first(self.convolution(images))))


@pytest.mark.parametrize(
    ("network", "n_left"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)), 0),
        (nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.Sequential(nn.BatchNorm2d(6)), nn.Conv2d(6, 2, 1)), 0),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), 1),
        (nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)), 1),
        (TwoTakers("module"), 1),
        (TwoTakers("function"), 1),
        (TwoCalls(), 2),
        (nn.Conv2d(3, 4, 3), 0),
    ],
    ids=["pair", "grouped", "relu between", "before", "another module", "a function", "two calls", "none"],
)
def test_folding_keeps_the_output_and_folds_only_what_it_may(network: nn.Module, n_left: int) -> None:
    settled(network)
    state = {name: values.clone() for name, values in network.state_dict().items()}
    pictures = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    folded = fold_batch_norms(network, pictures)
    assert n_normalisations(folded) == n_left
    others = torch.rand(2, 3, 9, 10, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(folded(others), network(others), rtol=1e-4, atol=1e-5)
    for name, values in network.state_dict().items():
        assert torch.equal(values, state[name])


@pytest.mark.parametrize(
    "options",
    [{}, {"layer": "layer2"}, {"layer": ["conv1", "layer2.0.conv1", "layer1"]}, {"layer": "bn1", "pool": "max"}],
    ids=["output", "layer", "convolutions", "normalisation"],
)
def test_a_frozen_network_gives_the_features_of_the_trainable_one(options: dict[str, Any]) -> None:
    backbone = resolve_backbone("resnet18", weights=None, image_size=32, seed=0, **options)
    pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = build_backbone(backbone, "cpu")(pictures)
        torch.testing.assert_close(
            build_backbone(backbone, "cpu", frozen="float32")(pictures), expected, rtol=1e-4, atol=1e-5
        )


def test_a_frozen_network_has_no_normalisation_left_to_compute_and_the_trainable_one_has() -> None:
    backbone = resolve_backbone("resnet18", weights=None, image_size=32, seed=0)
    assert n_normalisations(build_backbone(backbone, "cpu", frozen="float32")) == 0
    assert n_normalisations(build_backbone(backbone, "cpu")) == 20


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "squeezenet1_1"])
def test_weights_in_low_precision_give_what_autocast_gives(name: str) -> None:
    backbone = resolve_backbone(name, weights=None, image_size=32, seed=0)
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    low = build_backbone(backbone, "cpu", frozen="bf16")
    assert {layer.weight.dtype for layer in low.modules() if isinstance(layer, nn.Conv2d)} == {torch.bfloat16}
    with torch.inference_mode(), autocast("bf16", "cpu"):
        expected = build_backbone(backbone, "cpu", frozen="float32")(pictures).float()
        found = low(pictures).float()
    assert (found - expected).norm() < 0.02 * expected.norm()


def test_the_users_own_module_is_left_as_it_is() -> None:
    own = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    backbone = resolve_backbone(own, weights=None, image_size=16, seed=0)
    assert build_backbone(backbone, "cpu", frozen="bf16") is backbone.module
    assert n_normalisations(build_backbone(backbone, "cpu", frozen="bf16")) == 1
