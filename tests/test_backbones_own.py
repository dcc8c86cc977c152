"""The user's own modules: how pictures reach them, and what they may put out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from skdeep import CNNClassifier, CNNFeatureExtractor

Array = NDArray[Any]


class Own(nn.Module):
    """Filters, their maps handed to the test's own way of making rows."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, 4, 3)

    def forward(self, images: torch.Tensor) -> Any:
        return self.rows(images, self.filters(images))

    def rows(self, images: torch.Tensor, maps: torch.Tensor) -> Any:
        return maps.mean((2, 3))


class Viewing(Own):
    """Asks for the memory layout that introductions to torch show."""

    def rows(self, images: torch.Tensor, maps: torch.Tensor) -> Any:
        assert images.is_contiguous()
        return images.view(len(images), -1)


class Several(Own):
    """Puts out what it also computed."""

    def rows(self, images: torch.Tensor, maps: torch.Tensor) -> Any:
        return maps.mean((2, 3)), maps


class Listed(Own):
    def rows(self, images: torch.Tensor, maps: torch.Tensor) -> Any:
        return [maps.mean((2, 3)), maps]


class Named(Own):
    def rows(self, images: torch.Tensor, maps: torch.Tensor) -> Any:
        return {"rows": maps.mean((2, 3))}


class Flat(Own):
    def rows(self, images: torch.Tensor, maps: torch.Tensor) -> Any:
        return maps.mean((1, 2, 3))


class Numpy(Own):
    def rows(self, images: torch.Tensor, maps: torch.Tensor) -> Any:
        return torch.from_numpy(maps.mean((2, 3)).numpy())


def extractor(module: nn.Module, **options: Any) -> CNNFeatureExtractor:
    return CNNFeatureExtractor(module, **{"image_size": 32, "cache": False, "precision": "float32", **options})


def classifier(module: nn.Module, phases: str) -> CNNClassifier:
    return CNNClassifier(module, phases=phases, image_size=32, cache=False, max_epochs=1, random_state=0)


@pytest.fixture
def y() -> Array:
    return np.array([0, 1] * 3)


def test_own_modules_get_contiguous_pictures_wherever_they_pass(pictures: Array, y: Array) -> None:
    features = extractor(Viewing()).fit_transform(pictures)
    expected = pictures.transpose(0, 3, 1, 2).reshape(len(pictures), -1) / 255
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
    for phases in ("linear_probe", "from_scratch"):
        assert classifier(Viewing(), phases).fit(pictures, y).predict(pictures).shape == y.shape


def test_what_fails_in_a_precision_fails_in_fit(pictures: Array) -> None:
    extractor(Numpy()).fit_transform(pictures)
    with pytest.raises(TypeError, match="BFloat16"):
        extractor(Numpy(), precision="bf16").fit(pictures)


@pytest.mark.parametrize("kind", [Several, Listed])
def test_of_several_outputs_the_first_is_the_rows(kind: type[Own], pictures: Array, y: Array) -> None:
    module, plain = kind(), Own()
    plain.load_state_dict(module.state_dict())
    fitted = extractor(module).fit(pictures)
    assert len(fitted.get_feature_names_out()) == 4
    np.testing.assert_array_equal(fitted.transform(pictures), extractor(plain).fit_transform(pictures))
    for phases in ("linear_probe", "from_scratch"):
        expected = classifier(plain, phases).fit(pictures, y).predict_proba(pictures)
        np.testing.assert_array_equal(classifier(module, phases).fit(pictures, y).predict_proba(pictures), expected)


@pytest.mark.parametrize(
    ("kind", "got"), [(Named, "got a dict"), (Flat, r"got a tensor of shape \(1,\)")], ids=["dict", "no rows"]
)
def test_an_output_without_rows_is_refused_in_fit(kind: type[Own], got: str, pictures: Array, y: Array) -> None:
    message = f"{kind.__name__} must put out one row for each picture: a tensor, or a tuple or list .* first, {got}"
    with pytest.raises(ValueError, match=message):
        extractor(kind()).fit(pictures)
    with pytest.raises(ValueError, match=message):
        classifier(kind(), "from_scratch").fit(pictures, y)
