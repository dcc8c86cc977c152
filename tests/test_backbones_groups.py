"""Groups of layers for learning rates of their own."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from skdeep.backbones import build_backbone, layer_groups, resolve_backbone


def headless(name: str, **options: Any) -> nn.Module:
    return build_backbone(resolve_backbone(name, weights=None, image_size=64, seed=0, **options), "cpu")


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d"])
def test_two_groups_of_a_resnet_are_those_of_fastai(name: str) -> None:
    with torch.device("meta"):
        network = models.get_model(name, weights=None)
    first, second = layer_groups(network, 2)
    assert {parameter.split(".")[0] for parameter in first} == {"conv1", "bn1", "layer1", "layer2"}
    assert {parameter.split(".")[0] for parameter in second} == {"layer3", "layer4", "fc"}


def test_groups_follow_the_picture_and_not_the_order_of_definition() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(4, 2), nn.Conv2d(3, 4, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.last(self.first(images).mean(dim=(2, 3)))

    assert layer_groups(Backwards(), 2) == [["first.weight", "first.bias"], ["last.weight", "last.bias"]]


@pytest.mark.parametrize("n_groups", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("name", ["small_cnn", "squeezenet1_1", "mobilenet_v3_small", "googlenet"])
def test_groups_hold_each_parameter_once_and_balance_layers(name: str, n_groups: int) -> None:
    network = headless(name)
    wanted = [parameter for parameter, _ in network.named_parameters()]
    if name == "small_cnn" and n_groups > 4:
        with pytest.raises(ValueError, match="SmallCNN can be cut into 1 to 4 groups of layers, got n_groups=7"):
            layer_groups(network, n_groups)
        return
    groups = layer_groups(network, n_groups)
    assert len(groups) == n_groups
    assert all(groups)
    assert sorted(parameter for group in groups for parameter in group) == sorted(wanted)
    layers = [sum(network.get_parameter(parameter).ndim > 1 for parameter in group) for group in groups]
    assert min(layers) >= 1
    assert max(layers) - min(layers) <= max(6, sum(layers) / n_groups)


def test_more_groups_only_cut_finer_within_their_order() -> None:
    network = headless("mobilenet_v2")
    finest = layer_groups(network, 52)
    place = {parameter: row for row, group in enumerate(finest) for parameter in group}
    for n_groups in (2, 3, 5, 9):
        rows = [[place[parameter] for parameter in group] for group in layer_groups(network, n_groups)]
        for front, behind in itertools.pairwise(rows):
            assert max(front) < min(behind)


def test_what_no_picture_meets_is_in_the_last_group() -> None:
    network = headless("resnet18", layer="layer2")
    groups = layer_groups(network, 2)
    assert {"layer3.0.conv1.weight", "layer4.1.conv2.weight"} <= set(groups[-1])
    assert "conv1.weight" in groups[0]


def test_weights_used_by_functions_are_grouped_with_their_module() -> None:
    with torch.device("meta"):
        network = models.vit_b_32()
    groups = layer_groups(network, 37)
    together = next(
        group for group in groups if "encoder.layers.encoder_layer_3.self_attention.in_proj_weight" in group
    )
    assert "encoder.layers.encoder_layer_3.self_attention.out_proj.weight" in together
    assert {"class_token", "conv_proj.weight"} <= set(groups[0])


def test_a_shared_layer_counts_once() -> None:
    shared = nn.Conv2d(3, 3, 1)
    network = nn.Sequential(shared, nn.Sequential(shared, nn.Conv2d(3, 2, 1)))
    assert layer_groups(network, 2) == [["0.weight", "0.bias"], ["1.1.weight", "1.1.bias"]]


def test_wrong_requests_are_refused() -> None:
    network = headless("small_cnn")
    with pytest.raises(ValueError, match="can be cut into 1 to 4 groups of layers, got n_groups=0"):
        layer_groups(network, 0)
    with pytest.raises(ValueError, match="SmallCNN cannot take pictures of image_size=2"):
        layer_groups(network, 2, image_size=2)


def test_making_groups_leaves_the_network_as_it_was() -> None:
    network = headless("resnet18")
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    layer_groups(network, 3)
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "squeezenet1_0", "densenet121"])
def test_features_from_inside_change_no_group_of_what_they_need(name: str) -> None:
    whole, pooled = (
        build_backbone(resolve_backbone(name, weights=None, image_size=64, seed=0, pool=pool), "cpu")
        for pool in (None, "avgmax")
    )
    for n_groups in (2, 3):
        assert layer_groups(pooled, n_groups, image_size=64) == layer_groups(whole, n_groups, image_size=64)


def test_layers_around_the_one_that_is_tapped_are_groups_too() -> None:
    network = build_backbone(resolve_backbone("resnet18", weights=None, image_size=64, seed=0, layer="layer3.0"), "cpu")
    first, second = layer_groups(network, 2, image_size=64)
    assert {name.split(".")[0] for name in first} == {"conv1", "bn1", "layer1"}
    assert second[0].startswith("layer2")
