"""Features from inside a network, against torchvision's own feature extractor and pooling in numpy."""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from skdeep.backbones import Backbone, build_backbone, feature_size, resolve_backbone


def resolve(backbone: Any = "resnet18", **options: Any) -> Backbone:
    return resolve_backbone(backbone, **{"weights": None, "image_size": 64, "seed": 0, **options})


def pictures_for(backbone: Backbone) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (3, backbone.n_channels, *backbone.geometry.size)
    return backbone.normalise(torch.rand(shape, generator=generator))


def features(backbone: Backbone) -> NDArray[np.float32]:
    with torch.inference_mode():
        return build_backbone(backbone, "cpu")(pictures_for(backbone)).flatten(1).numpy()


@functools.cache
def oracle(name: str, layer: str, backbone: Backbone) -> NDArray[np.float64]:
    """What torchvision's own extractor gives of a layer, for the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = models.get_model(name, weights=None, **({"init_weights": True} if name == "googlenet" else {})).eval()
    with torch.inference_mode():
        return create_feature_extractor(network, {layer: "out"})(pictures_for(backbone))["out"].double().numpy()


def pool_map(values: NDArray[np.float64], pool: str) -> NDArray[np.float64]:
    """Pool values of shape (n, channels, positions)."""
    average, highest = values.mean(axis=2), values.max(axis=2)
    pooled = {
        "avg": average,
        "max": highest,
        "avgmax": np.hstack([average, highest]),
        "gem": np.cbrt((np.maximum(values, 1e-6) ** 3).mean(axis=2)),
    }
    return pooled[pool]


def as_positions(values: NDArray[np.float64], form: str) -> NDArray[np.float64]:
    if form == "tokens":
        return values[:, 1:].transpose(0, 2, 1)
    if form == "last":
        values = values.transpose(0, 3, 1, 2)
    return values.reshape(*values.shape[:2], -1)


LAYERS = [
    *[("resnet18", "layer2", "first", pool) for pool in ("avg", "max", "avgmax", "gem")],
    ("resnet18", "layer3.0.conv1", "first", "avgmax"),
    ("densenet121", "features.denseblock1", "first", "max"),
    ("mobilenet_v3_small", "features.5", "first", "gem"),
    ("convnext_tiny", "features.3.1", "first", "avgmax"),
    ("swin_t", "features.3.0", "last", "avgmax"),
    ("swin_t", "features.0", "last", "gem"),
]


@pytest.mark.parametrize(("name", "layer", "form", "pool"), LAYERS)
def test_pooled_maps_are_those_of_torchvision_and_numpy(name: str, layer: str, form: str, pool: str) -> None:
    backbone = resolve(name, layer=layer, pool=pool)
    expected = pool_map(as_positions(oracle(name, layer, backbone), form), pool)
    ours = features(backbone)
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)
    assert ours.shape[1] == backbone.n_features == feature_size(backbone, "cpu")


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax", "gem", "cls", "flatten"])
def test_tokens_of_the_picture_are_pooled_and_the_class_token_stands_apart(pool: str) -> None:
    backbone = resolve("vit_b_32", image_size=None, layer="encoder.layers.encoder_layer_1", pool=pool)
    values = oracle("vit_b_32", "encoder.layers.encoder_layer_1", backbone)
    assert values.shape[1] == 50
    if pool == "cls":
        expected = values[:, 0]
    elif pool == "flatten":
        expected = values.reshape(3, -1)
    else:
        expected = pool_map(as_positions(values, "tokens"), pool)
    ours = features(backbone)
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)
    assert ours.shape[1] == backbone.n_features


def test_flattened_maps_have_their_channels_first() -> None:
    for name, layer, form in (("resnet18", "layer4", "first"), ("swin_t", "features.1", "last")):
        backbone = resolve(name, layer=layer, pool="flatten")
        expected = as_positions(oracle(name, layer, backbone), form).reshape(3, -1)
        np.testing.assert_allclose(features(backbone), expected, rtol=1e-3, atol=1e-4)


def test_several_layers_stand_side_by_side_in_the_order_asked_for() -> None:
    one, other = (features(resolve(layer=layer)) for layer in ("layer4", "layer1"))
    both = features(resolve(layer=["layer4", "layer1"]))
    np.testing.assert_array_equal(both, np.hstack([one, other]))
    np.testing.assert_array_equal(features(resolve(layer=("layer1", "layer4"))), np.hstack([other, one]))


def test_rows_are_taken_as_they_are() -> None:
    backbone = resolve("alexnet", layer="classifier.1", pool="gem")
    np.testing.assert_allclose(features(backbone), oracle("alexnet", "classifier.1", backbone), rtol=1e-3, atol=1e-4)


def test_squares_of_as_many_channels_as_pixels_are_told_by_another_size() -> None:
    # a map of 96 x 96 positions and 96 channels, last
    backbone = resolve("swin_t", image_size=384, layer="features.0.0", pool="avg")
    assert backbone.n_features == 96
    last = resolve("swin_t", image_size=384, layer="features.0", pool="max")
    values = oracle("swin_t", "features.0", last)
    assert values.shape[1:] == (96, 96, 96)
    np.testing.assert_allclose(features(last), values.max(axis=(1, 2)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("side", [32, 96])
@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "googlenet", "shufflenet_v2_x0_5", "squeezenet1_1", "regnet_y_400mf", "swin_t"]
)
def test_pool_alone_takes_the_last_map_before_the_networks_own_pooling(name: str, side: int) -> None:
    # what these networks do themselves is to average it
    own = features(resolve(name, image_size=side))
    np.testing.assert_allclose(features(resolve(name, image_size=side, pool="avg")), own, rtol=1e-4, atol=1e-5)


def test_pool_alone_takes_the_last_tokens_of_a_transformer() -> None:
    own = features(resolve("vit_b_32", image_size=None))
    np.testing.assert_allclose(features(resolve("vit_b_32", image_size=None, pool="cls")), own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "shape"), [("alexnet", (256, 2, 2)), ("small_cnn", (64, 12, 12))])
def test_pool_alone_takes_maps_in_front_of_adaptive_pooling_to_more_than_one_position(
    name: str, shape: tuple[int, ...]
) -> None:
    assert resolve(name, image_size=96, pool="flatten").n_features == np.prod(shape)


class TwiceCalled(nn.Module):
    """One layer in two places; behind it, what must not run when only it is wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.again = nn.Conv2d(3, 3, 1)
        self.tail = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
        self.n_tails = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = self.again(self.again(images))
        if not images.is_meta:
            self.n_tails += 1
        return self.tail(images)


def test_the_last_call_counts_and_the_pass_stops_there() -> None:
    module = TwiceCalled()
    backbone = resolve(module, layer="again", pool="flatten", image_size=8)
    images = pictures_for(backbone)
    network: Any = build_backbone(backbone, "cpu")
    with torch.inference_mode():
        expected = module.again(module.again(images)).flatten(1)
        torch.testing.assert_close(network(images), expected, rtol=0, atol=0)
        assert network.n_tails == 0
    assert module(images).shape == (3, 2)  # the user's own is as it was


@pytest.mark.parametrize("make", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_a_tapped_network_keeps_its_names_and_can_be_copied(make: Callable[[nn.Module], nn.Module]) -> None:
    backbone = resolve(layer=["layer2", "layer3"], pool="avgmax")
    network = build_backbone(backbone, "cpu")
    assert network.state_dict().keys() == build_backbone(resolve(), "cpu").state_dict().keys()
    copied = make(network)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.mul_(1.5)
        images = pictures_for(backbone)
        before = network(images)
        assert not torch.equal(copied(images), before)
        torch.testing.assert_close(network(images), before, rtol=0, atol=0)
        copied.load_state_dict(network.state_dict())
        torch.testing.assert_close(copied(images), before, rtol=0, atol=0)


@pytest.mark.parametrize("training", [False, True])
def test_gradients_reach_the_layers_in_front_and_no_others(training: bool) -> None:
    backbone = resolve(layer="layer2", image_size=32)
    network = copy.deepcopy(build_backbone(backbone, "cpu")).train(training)
    network(pictures_for(backbone)).sum().backward()
    gradients = {name: parameter.grad is not None for name, parameter in network.named_parameters()}
    assert gradients["conv1.weight"]
    assert gradients["layer2.1.conv2.weight"]
    assert not gradients["layer3.0.conv1.weight"]


def test_a_tapped_network_within_another_keeps_to_itself() -> None:
    inner = resolve(layer="layer1", image_size=32)
    module = nn.Sequential(copy.deepcopy(build_backbone(inner, "cpu")), nn.Linear(64, 5))
    outer = resolve(module, layer="0", image_size=32)
    np.testing.assert_allclose(features(outer), features_raw(inner), rtol=1e-5, atol=1e-6)


def features_raw(backbone: Backbone) -> NDArray[np.float32]:
    """Features of pictures that are not normalised, as an own module gets them."""
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        return build_backbone(backbone, "cpu")(torch.rand((3, 3, 32, 32), generator=generator)).numpy()


WRONG = [
    ({"layer": "layer5"}, r"ResNet has no layer 'layer5'. Did you mean 'layer4' or "),
    ({"layer": "zzz"}, r"ResNet has no layer 'zzz'. Its outermost are conv1, bn1, relu, maxpool, layer1, \.\.\. "),
    ({"layer": ""}, "ResNet has no layer ''"),
    ({"layer": ["layer1", "layer1"]}, "must name each layer once; 'layer1' came twice"),
    ({"pool": "mean"}, "The 'pool' parameter must be one of 'avg', .*, None, got 'mean'"),
    (
        {"layer": "layer1", "pool": "cls"},
        "class token, and the output of the layer 'layer1' of ResNet, of shape .*none",
    ),
    ({"backbone": nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), "image_size": 2, "pool": "avg"}, "nothing to pool"),
    ({"backbone": "vit_b_32", "image_size": None, "layer": "conv_proj", "pool": "cls"}, "the layer 'conv_proj'.*none"),
    ({"backbone": "swin_t", "pool": "cls"}, "has none"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_layers_and_pooling_that_do_not_fit_are_refused_before_any_work(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(options.pop("backbone", "resnet18"), **options)


def test_a_layer_that_is_not_called_is_refused() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.used(images).mean(dim=(2, 3))

    assert resolve(Unused(), layer="used").n_features == 2
    with pytest.raises(ValueError, match="The layer 'unused' of Unused puts out nothing"):
        resolve(Unused(), layer="unused")


class NeedsValues(nn.Module):
    """A module that looks at its pictures before it decides."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scale = 2.0 if images.mean().item() > 100 else 1.0
        return self.layer(images * scale).mean(dim=(2, 3))


def test_a_module_that_needs_values_is_followed_with_them() -> None:
    module = NeedsValues()
    backbone = resolve(module, layer="layer", image_size=8)
    with torch.inference_mode():
        expected = module(pictures_for(backbone)).numpy()
    np.testing.assert_allclose(features(backbone), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"NeedsValues cannot take pictures of 3 channels and size \(4, 4\): .*Kernel"):
        resolve(module, layer="layer", image_size=4)


def test_layer_and_pool_are_in_the_fingerprint() -> None:
    options = [{}, {"pool": "avg"}, {"pool": "max"}, {"layer": "layer1"}, {"layer": "layer2"}]
    options += [{"layer": ["layer1", "layer2"]}, {"layer": ["layer2", "layer1"]}, {"layer": "layer1", "pool": "gem"}]
    prints = [str(resolve(**each).fingerprint) for each in options]
    assert len(set(prints)) == len(prints)
    assert str(resolve(layer="layer1", pool="avg").fingerprint) == str(resolve(layer=["layer1"]).fingerprint)
