"""Where in a picture a network sees a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.nn import functional as F

from skdeep import CNNClassifier, Phase
from skdeep.backbones import build_backbone
from skdeep.inspection import GradCAMDisplay, grad_cam
from tests.drawing import close_figures, drawn_within  # noqa: F401

Array = NDArray[Any]

SIDE = 24


class Averaged(nn.Module):
    """Maps that are averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.pool(self.maps(pictures)).flatten(1)


class Turn(nn.Module):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.permute(0, 2, 3, 1)


class Turned(nn.Module):
    """Maps whose channels come last."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), Turn())

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.maps(pictures).mean((1, 2))


class Both(nn.Module):
    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return maps, -maps


class InPlace(nn.Module):
    """A layer whose output is changed in place, and one of two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.both = nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), Both()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        first, second = self.both(self.relu(self.conv(pictures)))
        return (first * first).mean((2, 3)) + second.mean((2, 3))


def quick(backbone: Any = Averaged, **options: Any) -> CNNClassifier:
    settled = {"weights": None, "image_size": SIDE, "max_epochs": 1, "cache": False, "precision": "float32"}
    return CNNClassifier(backbone, **{**settled, "phases": "from_scratch", "random_state": 0, **options})


@pytest.fixture
def X() -> Array:
    return np.random.default_rng(0).integers(256, size=(12, SIDE, SIDE, 3), dtype=np.uint8)


Y = {
    "binary": np.array(["field", "road"] * 6),
    "multiclass": np.array(["field", "haze", "road"] * 4),
    "multilabel": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]] * 3),
}


def pixels(X: Array) -> torch.Tensor:
    return torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255


def spread(heat: torch.Tensor) -> Array:
    """Heat at the size of the picture, the hottest spot 1."""
    whole = F.interpolate(heat[:, None], (SIDE, SIDE), mode="bilinear")[:, 0]
    return (whole / whole.amax((1, 2), keepdim=True).clamp(min=1e-30)).numpy()


def activation_map(network: Any, body: Any, seen: torch.Tensor, position: int) -> torch.Tensor:
    """The map of Zhou et al., "Learning deep features for discriminative localization", CVPR, 2016: equation 2.

    Only its positive part. In evaluation mode the head is one linear map of the averages: batch normalisation
    multiplies the weights.
    """
    normalise, _, decide = getattr(network, "head", network).layers
    weights = decide.weight * normalise.weight / (normalise.running_var + normalise.eps).sqrt()
    with torch.no_grad():
        maps = body.maps(seen)
        maps = maps.permute(0, 3, 1, 2) if isinstance(body, Turned) else maps
        weights = torch.cat([-weights, weights]) if len(weights) == 1 else weights
        return torch.einsum("k,nkhw->nhw", weights[position, : maps.shape[1]], maps).relu()


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
@pytest.mark.parametrize("backbone", [Averaged, Turned])
@pytest.mark.parametrize("kind", list(Y))
def test_heat_of_averaged_maps_is_the_class_activation_map(kind: str, backbone: Any, phases: str, X: Array) -> None:
    clf = quick(backbone, phases=phases, max_epochs=3, lr=0.01).fit(X, Y[kind])
    body = getattr(clf.net_.module_, "backbone", clf.backbone_.module)
    n_names = 2 if kind == "binary" else 3
    for position in range(n_names):
        heat = grad_cam(clf, X, position)
        assert heat.dtype == np.float32
        expected = spread(activation_map(clf.net_.module_, body, pixels(X), position))
        np.testing.assert_allclose(heat, expected, rtol=1e-3, atol=1e-5)
    assert len({grad_cam(clf, X, position).tobytes() for position in range(n_names)}) == n_names


@pytest.mark.parametrize("kind", list(Y))
def test_labels_and_classes_go_by_name_or_position(kind: str, X: Array) -> None:
    y: Any = pd.DataFrame(Y[kind], columns=["field", "haze", "road"]) if kind == "multilabel" else Y[kind]
    clf = quick().fit(X, y)
    last = 1 if kind == "binary" else 2
    np.testing.assert_array_equal(grad_cam(clf, X, "road"), grad_cam(clf, X, last))
    if kind == "binary":
        np.testing.assert_array_equal(grad_cam(clf, X), grad_cam(clf, X, "road"))
    else:
        with pytest.raises(ValueError, match=r"one of the 3 names field, haze, road, or a position .*Got None instead"):
            grad_cam(clf, X)
    for wrong in ("sea", last + 1):
        with pytest.raises(ValueError, match=f"The 'label' parameter must be one of the .*Got {wrong!r} instead"):
            grad_cam(clf, X, wrong)


def test_the_only_label_needs_no_name(X: Array) -> None:
    clf = quick().fit(X, pd.DataFrame({"road": [0, 1] * 6}))
    np.testing.assert_array_equal(grad_cam(clf, X), grad_cam(clf, X, "road"))


def scenes(n: int) -> tuple[Array, Array, Array]:
    """Noise with a red and a blue square or without, each in a corner of its own; and the number of that corner."""
    rng = np.random.default_rng(n)
    X = rng.integers(60, 120, size=(n, SIDE, SIDE, 3), dtype=np.uint8)
    there = rng.integers(2, size=(n, 2))
    corners = rng.permuted(np.tile(np.arange(4), (n, 1)), axis=1)[:, :2]
    for row, label in np.argwhere(there):
        top, left = (3 + (SIDE // 2) * place for place in divmod(int(corners[row, label]), 2))
        X[row, top : top + 6, left : left + 6] = [(220, 40, 40), (40, 40, 220)][label]
    return X, there, corners


def test_heat_lies_in_the_corner_of_the_thing(X: Array) -> None:
    X, there, _ = scenes(60)
    clf = quick(max_epochs=20, lr=0.02, dropout=0.0).fit(X, there)
    X, there, corners = scenes(30)
    assert (clf.predict(X) == there).mean() > 0.95
    for label in (0, 1):
        rows = np.flatnonzero(there[:, label])
        heat = grad_cam(clf, X[rows], label).reshape(len(rows), 2, SIDE // 2, 2, SIDE // 2).sum((2, 4))
        np.testing.assert_array_equal(heat.reshape(-1, 4).argmax(axis=1), corners[rows, label])


def test_heat_lies_between_0_and_1_on_pictures_as_the_network_sees_them(X: Array) -> None:
    clf = quick(image_size=(20, 28)).fit(X, Y["multilabel"])
    heat = grad_cam(clf, X, 1)
    assert heat.shape == (12, 20, 28)
    assert heat.min() >= 0
    np.testing.assert_array_equal(np.unique(heat.max(axis=(1, 2))), [1])
    # all weights at zero: nothing speaks for the label
    with torch.no_grad():
        clf.net_.module_.head.layers[2].weight.zero_()
    np.testing.assert_array_equal(grad_cam(clf, X, 1), np.zeros((12, 20, 28)))


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
@pytest.mark.parametrize("backbone", [InPlace(), "small_cnn"])
def test_looking_leaves_the_classifier_as_it_was(backbone: Any, phases: str, X: Array) -> None:
    clf = quick(backbone, phases=phases, image_size=32).fit(X, Y["multilabel"])
    modules: list[nn.Module] = [clf.net_.module_]
    if phases == "linear_probe":
        modules.append(build_backbone(clf.backbone_, "cpu"))

    def state() -> list[Any]:
        return [
            (name, layer.training, len(layer._forward_hooks), len(layer._backward_hooks), weight.requires_grad,
             weight.grad, weight.detach().numpy().tobytes())
            for module in modules
            for name, layer in module.named_modules()
            for weight in layer.parameters(recurse=False)
        ]  # fmt: skip

    clf.net_.module_.train()
    before, attributes, generator = state(), dict(vars(clf)), torch.get_rng_state()
    grad_cam(clf, X, 0)
    assert state() == before
    assert vars(clf) == attributes
    assert torch.equal(torch.get_rng_state(), generator)


def test_a_layer_may_be_named_and_what_follows_may_work_in_place(X: Array) -> None:
    clf = quick(InPlace).fit(X, Y["multilabel"])
    body, head = clf.net_.module_.backbone, clf.net_.module_.head
    maps = body.conv(pixels(X)).detach().requires_grad_()
    active = maps.relu()
    head((active * active - active).mean((2, 3)))[:, 1].sum().backward()
    shares: Any = maps.grad
    expected = spread((shares.mean((2, 3), keepdim=True) * maps.detach()).sum(1).relu())
    np.testing.assert_allclose(grad_cam(clf, X, 1, layer="conv"), expected, rtol=1e-3, atol=1e-5)
    # of several outputs the first counts
    assert grad_cam(clf, X, 1, layer="both").shape == (12, SIDE, SIDE)
    assert not np.array_equal(grad_cam(clf, X, 1, layer="both"), grad_cam(clf, X, 1, layer="conv"))


def test_numbers_beside_pictures_pass_through(X: Array) -> None:
    beside = pd.DataFrame({"picture": list(X), "height": np.linspace(0, 1, 12)})
    clf = quick(max_epochs=3, lr=0.01).fit(beside, Y["multilabel"])
    expected = spread(activation_map(clf.net_.module_, clf.net_.module_.backbone, pixels(X), 2))
    np.testing.assert_allclose(grad_cam(clf, beside, 2), expected, rtol=1e-3, atol=1e-5)
    display = GradCAMDisplay.from_estimator(clf, beside, label=2, n_images=5)
    np.testing.assert_allclose(display.probabilities, clf.predict_proba(beside)[:5, 2], rtol=1e-5)


@pytest.mark.parametrize("train", ["head", "all"])
def test_heat_of_several_networks_is_their_mean(train: Any, X: Array) -> None:
    phases = [Phase(train=train, policy="sgdr", max_epochs=3, cycle_mult=2)]
    clf = quick(phases=phases, averaging="snapshots", lr=0.05).fit(X, Y["multilabel"])
    assert len(clf.snapshots_) == 2
    bodies = [getattr(network, "backbone", clf.backbone_.module) for network in clf.snapshots_]
    maps = [activation_map(*parts, pixels(X), 0) for parts in zip(clf.snapshots_, bodies, strict=True)]
    np.testing.assert_allclose(grad_cam(clf, X, 0), spread(torch.stack(maps).mean(0)), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("train", ["head", "all"])
def test_networks_of_other_sizes_see_their_own_pictures_and_count_alike(train: Any, X: Array) -> None:
    X = np.repeat(np.repeat(X[:, ::2, ::2], 2, axis=1), 2, axis=2)  # whose means of four pixels are whole numbers
    phases = [Phase(train=train, image_size=side, snapshot=True) for side in (SIDE // 2, SIDE)]
    clf = quick(phases=phases, lr=0.05, image_size=None).fit(X, Y["multilabel"])
    whole = []
    for network, side in zip(clf.snapshots_, (SIDE // 2, SIDE), strict=True):
        seen = F.interpolate(pixels(X), (side, side), mode="bilinear", antialias=True)
        heat = activation_map(network, getattr(network, "backbone", clf.backbone_.module), seen, 0)
        whole.append(F.interpolate(heat[:, None], (SIDE, SIDE), mode="bilinear")[:, 0])
    np.testing.assert_allclose(grad_cam(clf, X, 0), spread(torch.stack(whole).mean(0)), atol=0.01)


@pytest.mark.parametrize("resize", ["crop", "pad"])
def test_networks_that_see_other_parts_of_a_picture_have_no_heat_in_common(resize: str, X: Array) -> None:
    phases = [Phase(train="head", image_size=size, snapshot=True) for size in ((SIDE // 2, SIDE), (SIDE, SIDE))]
    clf = quick(phases=phases, image_size=None, resize=resize).fit(X, Y["multilabel"])
    with pytest.raises(ValueError, match=rf"parts of a picture \({resize} to \(12, 24\), {resize} to \(24, 24\)\)"):
        grad_cam(clf, X, 0)
    assert grad_cam(clf.set_params(resize="squash").fit(X, Y["multilabel"]), X, 0).shape == (12, SIDE, SIDE)


def test_heat_does_not_depend_on_the_batch_nor_on_the_callers_mode(X: Array) -> None:
    clf = quick().fit(X, Y["multilabel"])
    expected = grad_cam(clf, X, 0)
    np.testing.assert_allclose(grad_cam(clf.set_params(batch_size=5), X, 0), expected, rtol=1e-4, atol=1e-6)
    for mode in (torch.inference_mode(), torch.no_grad()):
        with mode:
            np.testing.assert_allclose(grad_cam(clf, X, 0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("backbone", "options"), [("resnet18", {}), ("resnet18", {"pool": "gem"}), ("mobilenet_v2", {}), ("swin_t", {})]
)
def test_known_networks_show_their_last_maps(backbone: str, options: dict[str, Any], X: Array) -> None:
    clf = quick(backbone, image_size=64, phases="linear_probe", **options).fit(X[:4], Y["binary"][:4])
    heat = grad_cam(clf, X[:2])
    assert heat.shape == (2, 64, 64)
    # maps of 2 x 2: heat that is brought to the picture is constant in its corners
    assert all(len(np.unique(heat[0, rows, columns])) == 1 for rows in (slice(8), slice(-8, None))
               for columns in (slice(8), slice(-8, None)))  # fmt: skip


@pytest.mark.parametrize(
    ("backbone", "size", "layer", "message"),
    [
        ("small_cnn", 32, "blocks.7", r"SmallCNN has no layer 'blocks.7'. Did you mean 'blocks.\d'"),
        ("small_cnn", 32, "dense", r"the layer 'dense' of SmallCNN puts out rows: name one that puts out maps"),
        ("resnet18", 32, None, r"maps of the layer 'layer4' of ResNet have a single position .* name an earlier layer"),
        ("timm/vit_tiny_patch16_224", 224, None, r"Grad-CAM needs maps, and the layer .* puts out tokens: name one"),
    ],
)
def test_layers_without_maps_are_refused(backbone: str, size: int, layer: str | None, message: str, X: Array) -> None:
    clf = quick(backbone, image_size=size, phases="linear_probe").fit(X[:4], Y["binary"][:4])
    with pytest.raises(ValueError, match=message):
        grad_cam(clf, X[:2], layer=layer)


def test_only_image_classifiers_are_looked_into(X: Array) -> None:
    table = LogisticRegression().fit([[0], [1]], [0, 1])
    with pytest.raises(ValueError, match="into the network of a CNNClassifier, got LogisticRegression"):
        grad_cam(table, X)
    with pytest.raises(ValueError, match="This CNNClassifier instance is not fitted yet"):
        grad_cam(quick(), X)
    with pytest.raises(ValueError, match="The 'layer' parameter of grad_cam must be an instance of 'str' or None"):
        grad_cam(quick(), X, layer=3)
    with pytest.raises(ValueError, match="The 'n_images' parameter of GradCAMDisplay"):
        GradCAMDisplay.from_estimator(quick(), X, n_images=0)


def test_a_display_lays_heat_over_the_first_pictures(X: Array) -> None:
    clf = quick(image_size=32).fit(X, pd.DataFrame(Y["multilabel"], columns=["field", "haze", "road"]))
    display = GradCAMDisplay.from_estimator(make_pipeline(clf), X, label="haze", n_images=5)
    assert display.label == "haze"
    assert display.figure_.get_suptitle() == 'Grad-CAM: "haze"'
    probabilities = clf.predict_proba(X)[:5, 1]
    assert [axes.get_title() for axes in display.axes_] == [f"p = {p:.2f}" for p in probabilities]
    heat = grad_cam(clf, X, "haze")
    for row, image in enumerate(display.heat_images_):
        np.testing.assert_allclose(image.get_array(), heat[row], atol=1e-5)
        # where there is no heat the picture shows
        np.testing.assert_allclose(image.get_alpha() > 0, heat[row] > 0)
    assert [image.get_array().shape for image in display.images_] == [(32, 32, 3)] * 5
    assert drawn_within(display.figure_)
    assert len(GradCAMDisplay.from_estimator(clf, list(X), label=0, n_images=50).images_) == 12


def test_a_display_takes_the_axes_that_are_given(X: Array) -> None:
    clf = quick().fit(X, Y["binary"])
    figure, axes = plt.subplots(1, 2)
    display = GradCAMDisplay.from_estimator(clf, X, n_images=2, ax=axes)
    assert display.axes_.tolist() == axes.tolist()
    assert figure.get_suptitle() == ""
    assert display.plot(n_columns=1).axes_[1].get_subplotspec().rowspan.start == 1
    with pytest.raises(ValueError, match=r"GradCAMDisplay.plot must hold 3 axes \(1 x 3\), or be None. Got 2 instead"):
        GradCAMDisplay.from_estimator(clf, X, n_images=3, ax=axes)
