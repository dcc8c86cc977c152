"""The table of a network's layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from skdeep.backbones import build_backbone, resolve_backbone
from skdeep.backbones.small_cnn import SmallCNN
from skdeep.backbones.summary import summarise


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "small_cnn", "vit_b_16", "swin_t", "googlenet"])
@pytest.mark.parametrize("pool", [None, "avg"])
def test_numbers_of_parameters_sum_to_those_of_the_network(name: str, pool: str | None) -> None:
    options = {"weights": None, "seed": 0, "pool": pool, "image_size": 224 if name == "vit_b_16" else 64}
    network = build_backbone(resolve_backbone(name, **options), "cpu")
    summary = summarise(network, n_channels=3, image_size=options["image_size"])
    assert summary["n_parameters"].sum() == sum(parameter.numel() for parameter in network.parameters())
    assert summary["layer"].is_unique


def test_rows_follow_the_picture_and_not_the_order_of_definition() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(4, 2), nn.Conv2d(3, 4, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.last(self.first(images).mean(dim=(2, 3)))

    summary = summarise(Backwards(), n_channels=3, image_size=(8, 6))
    assert summary.to_dict("list") == {
        "layer": ["first", "last"],
        "type": ["Conv2d", "Linear"],
        "output_shape": [(4, 8, 6), (2,)],
        "n_parameters": [16, 10],
        "trainable": [True, True],
    }


def test_shapes_are_those_of_a_real_pass() -> None:
    network = models.resnet18(weights=None).eval()
    shapes = {}
    for name, module in network.named_modules():
        if not any(module.children()):
            module.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: tuple(out.shape[1:])}))
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    summary = summarise(network, n_channels=3, image_size=64)
    assert dict(zip(summary["layer"], summary["output_shape"], strict=True)) == shapes


def test_a_layer_that_is_called_twice_is_listed_once_with_its_last_shape() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.MaxPool2d(2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.pool(self.pool(images)).flatten(1)

    summary = summarise(Twice(), n_channels=3, image_size=32)
    assert summary[["layer", "output_shape"]].to_numpy().tolist() == [["pool", (3, 8, 8)]]
    assert summary["trainable"].tolist() == [False]


def test_what_is_held_apart_from_called_layers_counts_too() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(5))
            self.unused = nn.Linear(2, 3)
            self.idle = nn.ReLU()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.tied = nn.Linear(4, 4)
            self.tied.weight = self.attention.out_proj.weight

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            rows = images.flatten(2)[..., :4]
            return self.tied(self.attention(rows, rows, rows)[0])[:, 0, : len(self.token)]

    network = Odd()
    summary = summarise(network, n_channels=3, image_size=4)
    assert summary["layer"].tolist() == ["", "attention", "attention.out_proj", "tied", "unused"]
    assert summary["n_parameters"].tolist() == [5, 3 * 16 + 12, 16 + 4, 4, 9]
    assert summary["n_parameters"].sum() == sum(parameter.numel() for parameter in network.parameters())
    assert summary["output_shape"].isna().tolist() == [True, False, True, False, True]


def test_frozen_layers_are_not_trainable() -> None:
    network = SmallCNN()
    network.blocks.requires_grad_(False)
    summary = summarise(network, n_channels=3, image_size=32)
    assert set(summary.loc[summary["trainable"], "layer"]) == {"dense.1", "head.1"}


def test_a_backbone_that_is_cut_off_can_be_summarised_with_a_head() -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            description = resolve_backbone("resnet18", weights=None, layer="layer2", image_size=64, seed=0)
            self.backbone = build_backbone(description, "cpu")
            self.head = nn.Linear(128, 17)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(self.backbone(images))

    network = Whole()
    summary = summarise(network, n_channels=3, image_size=64)
    assert summary["n_parameters"].sum() == sum(parameter.numel() for parameter in network.parameters())
    shapes = dict(zip(summary["layer"], summary["output_shape"], strict=True))
    assert shapes["backbone.conv1"] == (64, 32, 32)
    assert shapes["head"] == (17,)
    # no picture comes as far as layer4: it is listed last of the backbone
    order = summary["layer"].tolist()
    assert order.index("backbone.layer2.1.conv2") < order.index("backbone.layer4.0.conv1") < order.index("head")
    assert shapes["backbone.layer4.0.conv1"] is None


def test_layers_that_are_passed_by_come_last_within_their_network() -> None:
    network = nn.Sequential(models.googlenet(weights=None, init_weights=False), nn.Linear(1000, 2))
    order = summarise(network, n_channels=3, image_size=64)["layer"].tolist()
    assert order[0] == "0.conv1.conv"
    assert order.index("0.fc") < order.index("0.aux1.conv.conv") < order.index("1")


def test_the_network_is_left_as_it_was() -> None:
    network = SmallCNN().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    summarise(network, n_channels=3, image_size=32)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_pictures_that_a_network_cannot_take_are_refused() -> None:
    with pytest.raises(ValueError, match="SmallCNN cannot take pictures of 4 channels and image_size=32"):
        summarise(SmallCNN(), n_channels=4, image_size=32)
