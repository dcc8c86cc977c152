"""All networks by name: what is derived of them holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from skdeep.backbones import build_backbone, describe_backbone, layer_groups, list_backbones, resolve_backbone
from skdeep.backbones.__main__ import main
from skdeep.backbones.dryrun import CANNOT_TAKE, takes
from skdeep.backbones.networks import find_network, skeleton

NAMES = models.list_models(module=models)
FAMILIES = ["alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "mnasnet0_5"]
FAMILIES += ["mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1"]
FAMILIES += ["swin_t", "small_cnn"]


def resolve(backbone: str, **options: Any) -> Any:
    return resolve_backbone(backbone, **{"weights": None, "image_size": None, "seed": 0, **options})


@contextmanager
def in_training(network: nn.Module) -> Iterator[None]:
    network.train()
    try:
        yield
    finally:
        network.eval()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_a_network_holds(name: str) -> None:
    before = torch.get_rng_state()
    info = describe_backbone(name)
    network = skeleton(find_network(name).with_weights(None))
    assert all(tensor.is_meta for tensor in network.state_dict().values())

    smallest = torch.zeros(2, 3, info.smallest_image, info.smallest_image, device="meta")
    with torch.no_grad():
        assert network(smallest).shape == (2, info.n_features)
        if info.smallest_image > 1:
            with pytest.raises(CANNOT_TAKE):
                network(smallest[:, :, 1:, 1:])
        default = torch.zeros(2, 3, *info.image_size, device="meta")
        with in_training(network):
            # auxiliary heads are off: no tuple of several outputs
            assert network(default).shape == (2, info.n_features)

    published = models.get_model_weights(name)
    assert set(info.weights) == {entry.name for entry in published}
    assert info.weights[0] == published.DEFAULT.name
    assert info.image_size == (published.DEFAULT.transforms().crop_size[0],) * 2

    parameters = dict(network.named_parameters())
    assert info.n_parameters == sum(parameter.numel() for parameter in parameters.values())
    for n_groups in {2, 3, info.n_layer_groups}:
        groups = layer_groups(network, n_groups, image_size=info.image_size)
        assert sorted(member for group in groups for member in group) == sorted(parameters)
        assert len(groups) == n_groups
        assert all(groups)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_heads_are_all_that_is_missing() -> None:
    # torchvision counts parameters itself; of auxiliary heads now with, now without them
    for name in NAMES:
        entry = models.get_model_weights(name).DEFAULT
        info = describe_backbone(name)
        if info.has_aux:
            continue
        classes = len(entry.meta["categories"])
        head = (info.n_features + 1) * classes
        if name == "maxvit_t":
            head -= classes  # no bias
        assert entry.meta["num_params"] == info.n_parameters + head, name


@pytest.mark.parametrize("name", FAMILIES)
def test_real_pictures_give_rows_of_the_size_that_was_derived(name: str) -> None:
    info = describe_backbone(name)
    network = build_backbone(resolve(name, image_size=info.smallest_image), "cpu")
    pictures = torch.rand(2, 3, info.smallest_image, info.smallest_image)
    with torch.inference_mode():
        assert network(pictures).flatten(1).shape == (2, info.n_features)
        if info.smallest_image > 1:
            with pytest.raises(CANNOT_TAKE):
                network(pictures[:, :, 1:, 1:])


def test_auxiliary_heads_are_told_and_taken_off() -> None:
    assert [name for name in NAMES if describe_backbone(name).has_aux] == ["googlenet", "inception_v3"]
    network = build_backbone(resolve("googlenet", image_size=64), "cpu")
    assert not [name for name in network.state_dict() if name.startswith("aux")]


def test_networks_are_channels_last() -> None:
    network = build_backbone(resolve("resnet18", image_size=32), "cpu")
    assert network.get_parameter("layer1.0.conv1.weight").is_contiguous(memory_format=torch.channels_last)


def test_a_transformer_is_made_for_the_size_of_its_best_weights() -> None:
    assert describe_backbone("vit_h_14").image_size == (518, 518)
    assert resolve("vit_b_32").geometry.size == (224, 224)
    small = resolve("vit_b_32", image_size=64, params={"image_size": 64})
    assert build_backbone(small, "cpu").get_parameter("encoder.pos_embedding").shape == (1, 5, 768)


def test_shapes_tell_whether_a_network_takes_pictures_of_a_size() -> None:
    info = describe_backbone("squeezenet1_1")
    shapes = skeleton(find_network("squeezenet1_1").with_weights(None))
    sides = (info.smallest_image - 1, info.smallest_image)
    assert [takes(shapes, 3, (side, side)) for side in sides] == [False, True]


def test_names_are_listed_by_pattern() -> None:
    names = list_backbones()
    assert names == sorted({"small_cnn", *NAMES})
    assert list_backbones("vit_b*") == ["vit_b_16", "vit_b_32"]
    assert list_backbones("nothing*") == []


def test_the_table_names_what_fits_a_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    main(["squeezenet1_?"])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["name", "features", "pixels"]
    assert [line.split()[:4] for line in lines] == [
        ["squeezenet1_0", "512", "224x224", "21"],
        ["squeezenet1_1", "512", "224x224", "17"],
    ]


def test_the_table_is_a_command() -> None:
    command = [sys.executable, "-m", "skdeep.backbones", "small_cnn"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[1].split()[:4] == ["small_cnn", "64", "64x64", "8"]


WRONG_PARAMS = [
    ("resnet18", {"num_classes": 10}, r"of 'resnet18' must not hold num_classes: the head is taken off"),
    ("resnet18", {"weights": None}, "must not hold weights"),
    ("small_cnn", {"n_outputs": 3}, "must not hold n_outputs"),
    ("resnet18", {"depth": 3}, r"'resnet18' cannot be made with backbone_params=\{'depth': 3\}: .*depth"),
    ("resnet18", {"norm_layer": nn.Identity}, "cannot be made with backbone_params=.*Plain values are taken"),
]


@pytest.mark.parametrize(("name", "params", "message"), WRONG_PARAMS)
def test_wrong_parameters_of_a_constructor_are_refused(name: str, params: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(name, params=params)


def test_parameters_of_a_constructor_shape_the_network() -> None:
    wide = resolve("mobilenet_v2", image_size=32, params={"width_mult": 1.4})
    assert wide.n_features == 1792
    assert wide.fingerprint != resolve("mobilenet_v2", image_size=32).fingerprint
    with torch.inference_mode():
        assert build_backbone(wide, "cpu")(torch.rand(1, 3, 32, 32)).shape == (1, 1792)
