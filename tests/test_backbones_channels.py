"""Pictures of other than three channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.transforms.functional import normalize

from skdeep.backbones import Backbone, build_backbone, resolve_backbone
from skdeep.backbones.channels import mixing
from skdeep.exceptions import WeightsError

PLAIN = ["squeezenet1_1", "resnet18", "small_cnn", "swin_t"]


def resolve(backbone: Any = "squeezenet1_1", **options: Any) -> Backbone:
    return resolve_backbone(backbone, **{"weights": None, "image_size": 64, "seed": 0, **options})


def pictures(n_channels: int, side: int = 64) -> torch.Tensor:
    return torch.rand((2, n_channels, side, side), generator=torch.Generator().manual_seed(0))


def features(backbone: Backbone, pixels: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return build_backbone(backbone, "cpu")(backbone.normalise(pixels)).flatten(1)


@pytest.mark.parametrize("rule", ["repeat", "sum", "zero"])
def test_three_channels_are_taken_as_they_are(rule: str) -> None:
    assert resolve(extra_channels=rule, n_channels=3).fingerprint == resolve().fingerprint
    plain = features(resolve(), pictures(3))
    assert torch.equal(features(resolve(extra_channels=rule, n_channels=3), pictures(3)), plain)


@pytest.mark.parametrize("name", PLAIN)
def test_repeated_channels_give_the_features_of_the_picture(name: str) -> None:
    colours = pictures(3)
    backbone = resolve(name, n_channels=6)
    assert backbone.n_channels == 6
    expected = features(resolve(name), colours)
    torch.testing.assert_close(features(backbone, torch.cat([colours, colours], dim=1)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("n_channels", [2, 4, 13])
def test_summed_filters_see_the_mean_of_the_channels_as_a_grey_picture(name: str, n_channels: int) -> None:
    backbone = resolve(name, n_channels=n_channels, extra_channels="sum")
    given = pictures(n_channels)
    with torch.inference_mode():
        ours = build_backbone(backbone, "cpu")(backbone.normalise(given)).flatten(1)
        grey = backbone.normalise(given).mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        expected = build_backbone(resolve(name), "cpu")(grey).flatten(1)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_zero_filters_ignore_what_comes_after_three(name: str) -> None:
    backbone = resolve(name, n_channels=5, extra_channels="zero")
    given = pictures(5)
    torch.testing.assert_close(features(backbone, given), features(resolve(name), given[:, :3]), rtol=1e-4, atol=1e-5)


def test_repeated_filters_are_scaled_as_timm_scales_them() -> None:
    timm = pytest.importorskip("timm.models._manipulate")
    weight = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    for n_channels in (2, 4, 5, 6, 7):
        ours = torch.einsum("ck,okhw->ochw", mixing(n_channels, "repeat"), weight)
        torch.testing.assert_close(ours, timm.adapt_input_conv(n_channels, weight))


def test_adapted_filters_learn() -> None:
    network = build_backbone(resolve(n_channels=4), "cpu")
    filters = network.get_parameter("features.0.weight")
    assert filters.shape[1] == 4
    assert filters.requires_grad


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_an_inception_network_scales_as_torchvision_does_for_its_published_weights(name: str, tmp_path: Any) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole = models.get_model(name, weights=None, init_weights=True, transform_input=True).eval()
    whole.fc = nn.Identity()
    colours = pictures(3, 96)
    transforms = models.get_model_weights(name).DEFAULT.transforms()
    normalised = normalize(colours, transforms.mean, transforms.std)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    ours = features(resolve(name, weights=tmp_path / "whole.pth", image_size=96), colours)
    with torch.inference_mode():
        torch.testing.assert_close(ours, whole(normalised), rtol=1e-3, atol=1e-4 * float(ours.max()))
    six = resolve(name, n_channels=6, image_size=96)
    np.testing.assert_allclose([six.mean, six.std], 0.5, atol=1e-6)


@pytest.mark.parametrize("name", ["googlenet", "resnet18"])
@pytest.mark.parametrize("n_channels", [3, 6])
def test_random_weights_saved_and_given_back_give_equal_features(name: str, n_channels: int, tmp_path: Any) -> None:
    random = resolve(name, image_size=96)
    torch.save(build_backbone(random, "cpu").state_dict(), tmp_path / "saved.pth")
    given = pictures(n_channels, 96)
    loaded = features(resolve(name, image_size=96, n_channels=n_channels, weights=tmp_path / "saved.pth"), given)
    expected = features(resolve(name, image_size=96, n_channels=n_channels), given)
    torch.testing.assert_close(loaded, expected, rtol=1e-3, atol=1e-4 * float(expected.max()))


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("n_channels", [4, 6])
def test_weights_of_a_network_that_was_adapted_are_given_back(name: str, n_channels: int, tmp_path: Any) -> None:
    adapted = resolve(name, n_channels=n_channels)
    torch.save(build_backbone(adapted, "cpu").state_dict(), tmp_path / "saved.pth")
    loaded = resolve(name, weights=tmp_path / "saved.pth", n_channels=n_channels)
    given = pictures(n_channels)
    assert torch.equal(features(loaded, given), features(adapted, given))
    assert (loaded.mean, loaded.std) == (adapted.mean, adapted.std)
    for other in (3, 5):
        with pytest.raises(WeightsError, match=rf"1 have another shape \(.*{n_channels}, .* instead of \(\d+, 3, "):
            resolve(name, weights=tmp_path / "saved.pth", n_channels=other)


def test_grey_pictures_become_three_equal_channels() -> None:
    grey = pictures(1)
    expected = features(resolve(), grey.expand(-1, 3, -1, -1))
    for n_channels in (1, 3):
        for rule in ("repeat", "sum", "zero"):
            assert torch.equal(features(resolve(n_channels=n_channels, extra_channels=rule), grey), expected)


class Own(nn.Module):
    """Filters on pictures of so many channels."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(n_channels, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def test_an_own_module_gets_the_channels_that_its_first_convolution_takes() -> None:
    grey, colours = pictures(1), pictures(3)
    module = Own(1)
    luminance = 0.299 * colours[:, :1] + 0.587 * colours[:, 1:2] + 0.114 * colours[:, 2:]
    with torch.inference_mode():
        torch.testing.assert_close(features(resolve(module), colours), module(luminance))
        torch.testing.assert_close(features(resolve(module, n_channels=1), grey), module(grey))
        module = Own(3)
        torch.testing.assert_close(features(resolve(module, n_channels=1), grey), module(grey.expand(-1, 3, -1, -1)))
        module = Own(4)
        torch.testing.assert_close(features(resolve(module, n_channels=4), pictures(4)), module(pictures(4)))
        assert resolve(module, n_channels=1).n_channels == 4


@pytest.mark.parametrize(("takes", "given"), [(3, 4), (4, 3), (1, 2), (2, 13)])
def test_an_own_module_of_other_channels_is_refused_before_any_work(takes: int, given: int) -> None:
    with pytest.raises(
        ValueError, match=rf"Own takes pictures of {takes} channels \(.*, and the pictures have {given}\."
    ):
        resolve(Own(takes), n_channels=given)


def test_the_convolution_that_is_defined_first_need_not_meet_the_picture() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second, self.first = nn.Conv2d(8, 2, 1), nn.Conv2d(3, 8, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(images)).mean(dim=(2, 3))

    assert resolve(Backwards()).n_channels == 3


def test_a_module_without_convolution_takes_what_comes() -> None:
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert [resolve(module, n_channels=n).n_channels for n in (1, 3, 5)] == [3, 3, 5]


def test_what_cannot_be_adapted_is_refused() -> None:
    with pytest.raises(ValueError, match=r'extra_channels="zero" needs pictures of at least 3 channels, got 2'):
        resolve(n_channels=2, extra_channels="zero")
    with pytest.raises(
        ValueError, match="'extra_channels' parameter must be one of 'repeat', 'sum', 'zero', got 'mean'"
    ):
        resolve(n_channels=4, extra_channels="mean")
    with pytest.raises(ValueError, match="The network takes pictures of 3 channels, got 4"):
        resolve().normalise(pictures(4))


def test_a_network_whose_first_layer_is_no_plain_convolution_is_refused() -> None:
    pytest.importorskip("timm")
    assert resolve("timm/resnet18", n_channels=4).n_channels == 4
    with pytest.raises(ValueError, match=r"'timm/resnetv2_50x1_bit[^']*' takes pictures of 3 channels only: the first"):
        resolve("timm/resnetv2_50x1_bit", n_channels=4)
