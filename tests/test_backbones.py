"""Networks without heads: names, weights, and what goes wrong with them."""

from __future__ import annotations

import functools
import gc
import hashlib
import http.server
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision import models

from skdeep import CNNFeatureExtractor
from skdeep.backbones import build_backbone, feature_size, networks, resolve_backbone
from skdeep.backbones.heads import head_name, remove_head
from skdeep.exceptions import WeightsError, WeightsUnavailableError
from skdeep.images import Geometry


def resolve(backbone: Any = "squeezenet1_1", weights: Any = None, **options: Any) -> Any:
    return resolve_backbone(backbone, **{"weights": weights, "image_size": 32, "seed": 0, **options})


def pictures_for(backbone: Any, n: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((n, 3, *backbone.geometry.size), generator=generator)


def activations(backbone: Any) -> torch.Tensor:
    with torch.inference_mode():
        return build_backbone(backbone, "cpu")(backbone.normalise(pictures_for(backbone))).flatten(1)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A whole state dict of SqueezeNet 1.1, head and all."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return models.squeezenet1_1(num_classes=10).state_dict()


@pytest.fixture
def weights_file(tmp_path: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, tmp_path / "squeezenet.pth")
    return tmp_path / "squeezenet.pth"


def without(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in state.items() if key != name}


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no backbone 'resnet_34'. Did you mean 'resnet34' or "):
        resolve("resnet_34")
    with pytest.raises(ValueError, match=r"no backbone 'xyzzy'. skdeep.backbones.list_backbones\(\) names them all"):
        resolve("xyzzy")


def test_unknown_published_weights_are_answered_with_the_known() -> None:
    with pytest.raises(WeightsError, match=r"'squeezenet1_1' has no published weights 'V9'.*IMAGENET1K_V1"):
        resolve(weights="V9")
    with pytest.raises(WeightsError, match="'small_cnn' has no published weights 'DEFAULT'"):
        resolve("small_cnn", weights="DEFAULT")


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors", "a/folder/absent", Path("absent")])
def test_a_missing_weights_file_is_unavailable(name: str | Path) -> None:
    with pytest.raises(WeightsUnavailableError, match=f"'{name}' cannot be read: .*No such file"):
        resolve(weights=name)


def test_a_folder_is_no_weights_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsUnavailableError, match="it is no file"):
        resolve(weights=tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "V9").mkdir()
    with pytest.raises(WeightsError, match="no published weights 'V9'"):
        resolve(weights="V9")


class Opened:
    """What must never be made while weights are read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("opened"),))


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_file_of_another_kind_is_refused(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"weights.{ending}"
    for content in (b"", b"text", pickle.dumps(Opened()), np.random.default_rng(0).bytes(500)):
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=f"weights.{ending}' cannot be read: it must be a state dict"):
            resolve(weights=path)
    assert not (tmp_path / "opened").exists()


def test_a_damaged_state_dict_fails_clearly_wherever_it_is_cut(weights_file: Path) -> None:
    content = weights_file.read_bytes()
    for row, cut in enumerate(range(0, 4000, 400)):
        path = weights_file.with_name(f"cut{row}.pth")
        path.write_bytes(content[:cut] + b"\xff" * 40 + content[cut + 40 :] if row % 2 else content[:cut])
        with pytest.raises(WeightsError, match=f"cut{row}.pth"):
            resolve(weights=path)


def test_a_file_without_named_tensors_is_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    for row, content in enumerate(({"state_dict": state, "epoch": 3}, [1, 2], torch.ones(2))):
        path = tmp_path / f"checkpoint{row}.pth"
        torch.save(content, path)
        with pytest.raises(WeightsError, match=f"checkpoint{row}.pth' must hold a state dict"):
            resolve(weights=path)


def test_weights_of_another_network_are_refused_with_what_differs(weights_file: Path) -> None:
    with pytest.raises(WeightsError, match=r"does not fit 'resnet18': \d+ of \d+ tensors are missing \(conv1.weight, "):
        resolve("resnet18", weights=weights_file)
    with pytest.raises(WeightsError, match=r"does not fit 'squeezenet1_0': .*features.0.weight: \(64, 3, 3, 3\) inst"):
        resolve("squeezenet1_0", weights=weights_file)


def test_one_missing_strange_or_wrong_tensor_is_named(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    bias = "features.0.bias"
    wrong = {
        "missing (features.0.bias)": without(state, bias),
        "not of this network (extra)": {**state, "extra": torch.ones(1)},
        "another shape (features.0.bias: (65,) instead of (64,))": {**state, bias: torch.ones(65)},
    }
    for row, (message, given) in enumerate(wrong.items()):
        torch.save(given, tmp_path / f"{row}.pth")
        with pytest.raises(WeightsError) as caught:
            resolve(weights=tmp_path / f"{row}.pth")
        assert message in str(caught.value)


def test_the_head_may_be_absent_or_of_another_size(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    headless = {name: tensor for name, tensor in state.items() if not name.startswith("classifier.1.")}
    other = {**state, "classifier.1.weight": torch.ones(3, 512, 1, 1), "classifier.1.bias": torch.ones(3)}
    outputs = []
    for row, given in enumerate((state, headless, other)):
        torch.save(given, tmp_path / f"{row}.pth")
        outputs.append(activations(resolve(weights=tmp_path / f"{row}.pth")))
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_safetensors_and_torch_files_give_equal_networks(weights_file: Path, state: dict[str, torch.Tensor]) -> None:
    safetensors.torch.save_file(state, weights_file.with_suffix(".safetensors"))
    from_torch = resolve(weights=weights_file)
    from_safetensors = resolve(weights=str(weights_file.with_suffix(".safetensors")))
    assert torch.equal(activations(from_torch), activations(from_safetensors))
    assert not torch.equal(activations(from_torch), activations(resolve()))


def test_weights_changed_after_fit_fail_clearly(
    weights_file: Path, state: dict[str, torch.Tensor], pictures: Any, forget_networks: Callable[[], None]
) -> None:
    extractor = CNNFeatureExtractor("squeezenet1_1", weights=weights_file, image_size=32, cache=False)
    before = extractor.fit_transform(pictures)
    torch.save({name: tensor + 1 for name, tensor in state.items()}, weights_file)
    forget_networks()
    with pytest.raises(WeightsError, match=r"squeezenet.pth' is not the one that was fitted: its content has changed"):
        extractor.transform(pictures)
    weights_file.unlink()
    with pytest.raises(WeightsUnavailableError, match=r"squeezenet.pth' cannot be read"):
        extractor.transform(pictures)
    torch.save(state, weights_file)
    np.testing.assert_array_equal(extractor.transform(pictures), before)


def test_random_weights_are_decided_by_the_seed_alone(forget_networks: Callable[[], None]) -> None:
    first = activations(resolve(seed=3))
    forget_networks()
    torch.rand(5)
    assert torch.equal(activations(resolve(seed=3)), first)
    assert not torch.equal(activations(resolve(seed=4)), first)


@pytest.mark.parametrize("name", ["squeezenet1_1", "small_cnn"])
def test_making_networks_leaves_the_global_generators_as_found(
    name: str, weights_file: Path, forget_networks: Callable[[], None]
) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    forget_networks()
    activations(resolve(name, seed=11))
    if name == "squeezenet1_1":
        activations(resolve(name, weights=weights_file))
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.parametrize(
    "name",
    [
        "squeezenet1_1",
        "resnet18",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        "mnasnet0_5",
        "googlenet",
        "regnet_y_400mf",
    ],
)
def test_headless_network_gives_what_enters_the_head(name: str) -> None:
    backbone = resolve(name, image_size=64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        options = {"init_weights": True} if name == "googlenet" else {}
        whole = models.get_model(name, weights=None, **options).eval()
    entered: list[torch.Tensor] = []
    whole.get_submodule(head_name(whole)).register_forward_hook(
        lambda module, inputs, output: entered.append(inputs[0])
    )
    images = backbone.normalise(pictures_for(backbone))
    with torch.inference_mode():
        whole(images)
        ours = build_backbone(backbone, "cpu")(images).flatten(1)
    expected = entered[0].mean(dim=(2, 3)) if entered[0].ndim == 4 else entered[0]
    torch.testing.assert_close(ours, expected)
    assert ours.shape == (2, backbone.n_features)
    assert feature_size(backbone, "cpu") == backbone.n_features


def test_a_network_without_layers_has_no_head() -> None:
    with pytest.raises(ValueError, match="Sequential has no linear or convolutional layer"):
        head_name(nn.Sequential(nn.ReLU()))


def test_removing_the_head_leaves_the_inputs_of_the_last_layer() -> None:
    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    assert remove_head(network)(torch.ones(1, 3)).shape == (1, 5)


def test_image_size_squashes_and_none_takes_the_published_transforms() -> None:
    assert resolve("resnet34", image_size=48).geometry == Geometry((48, 48))
    assert resolve("resnet34", image_size=(48, 64)).geometry == Geometry((48, 64))
    published = models.ResNet34_Weights.DEFAULT.transforms()
    settled = resolve("resnet34", image_size=None)
    assert settled.geometry == Geometry((published.crop_size[0],) * 2, "crop", published.resize_size[0])
    assert (settled.mean, settled.std) == (tuple(published.mean), tuple(published.std))
    assert resolve("small_cnn", image_size=None).geometry == Geometry((64, 64))


@pytest.mark.parametrize(
    "image_size", [("a", "b"), (48.5, 32), 48.5, (32,), (32, 32, 3), (0, 32), -1, True, (True, 32), "32", "ab", ()]
)
def test_an_image_size_that_is_no_side_or_height_and_width_is_refused(image_size: Any) -> None:
    with pytest.raises(ValueError, match=r"'image_size' parameter must be a side or \(height, width\) in pixels, got"):
        resolve(image_size=image_size)


def test_an_image_size_may_be_of_any_kind_of_whole_numbers() -> None:
    for image_size in ([48, 64], np.array([48, 64]), (np.uint8(48), np.int64(64))):
        assert resolve("resnet34", image_size=image_size).geometry == Geometry((48, 64))
    assert resolve("resnet34", image_size=np.int64(48)).geometry == Geometry((48, 48))


@pytest.mark.parametrize("layer", [[1], ["features.3", None], 1, [["features.3"]]])
def test_a_layer_that_is_no_name_is_refused(layer: Any) -> None:
    with pytest.raises(ValueError, match="'layer' parameter must be the name of a layer or a list of names, got"):
        resolve(layer=layer)


def test_resize_says_how_pictures_come_to_their_size() -> None:
    assert resolve("resnet34", resize="crop").geometry == Geometry((32, 32), "crop")
    assert resolve("resnet34", image_size=None, resize="squash").geometry == Geometry((224, 224))
    padded = resolve("resnet34", resize="pad")
    assert padded.geometry.policy == "pad"
    colour = torch.tensor(padded.geometry.fill, dtype=torch.uint8)[None, :, None, None]
    assert padded.normalise(colour).abs().max() < 0.5 / 255 / min(padded.std)
    with pytest.raises(ValueError, match=r"'resize' parameter must be one of 'auto', .*, got 'zoom'"):
        resolve(resize="zoom")
    for wrong in (0, (32, 0), (32,), (1, 2, 3)):
        with pytest.raises(
            ValueError, match=r"'image_size' parameter must be a side or \(height, width\) in pixels, got"
        ):
            resolve(image_size=wrong)


def test_published_weights_settle_the_size_that_a_transformer_is_made_for() -> None:
    network = networks.find_network("vit_b_16").with_weights("IMAGENET1K_SWAG_E2E_V1")
    assert network.arguments == {"image_size": 384}
    assert network.preprocessing("IMAGENET1K_SWAG_E2E_V1").size == (384, 384)
    assert networks.output_width(network, (384, 384)) == 768


class OwnNetwork(nn.Module):
    """Mean colours, after batch normalisation and dropout that only evaluation mode makes harmless."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def test_own_module_is_used_in_evaluation_mode_and_left_as_it_was(pictures: NDArray[np.uint8]) -> None:
    module = OwnNetwork()
    extractor = CNNFeatureExtractor(module, image_size=32, cache=False)
    features = extractor.fit_transform(pictures)
    assert module.training
    assert module.layers[0].num_batches_tracked == 0
    np.testing.assert_allclose(features, pictures.mean(axis=(1, 2)) / 255, rtol=1e-4)
    np.testing.assert_array_equal(extractor.transform(pictures), features)


def test_own_module_has_a_fingerprint_only_if_given_one() -> None:
    assert resolve(OwnNetwork()).fingerprint is None
    said = resolve(OwnNetwork(), fingerprint="mean colours").fingerprint
    assert said is not None
    assert said != resolve(OwnNetwork(), fingerprint="other colours").fingerprint
    assert said == resolve(OwnNetwork(), fingerprint="mean colours").fingerprint


class Filters(nn.Module):
    """Some filters, by number."""

    def __init__(self, n_filters: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, n_filters, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def test_the_weights_of_an_own_module_are_in_its_fingerprint() -> None:
    module = Filters()
    before = resolve(module, fingerprint="filters").fingerprint
    with torch.no_grad():
        module.layers[0].weight += 1
    assert resolve(module, fingerprint="filters").fingerprint != before


class Power(nn.Module):
    """A module whose parameter is in no weight."""

    def __init__(self, power: Any = 1.0) -> None:
        super().__init__()
        self.power = power

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.pow(self.power).flatten(1)


class OtherPower(Power):
    """A module of the same parameters and no weights."""


def test_the_parameters_and_the_name_of_an_own_class_are_in_its_fingerprint() -> None:
    prints = [
        resolve(module, params=params, fingerprint="power").fingerprint
        for module, params in [(Power, {"power": 1}), (Power, {"power": 3}), (Power, None), (OtherPower, None)]
    ]
    assert None not in prints
    assert len({str(each) for each in prints}) == len(prints)
    assert resolve(Power, params={"power": 3}, fingerprint="power").fingerprint == prints[1]
    # what the seed decides is in the weights alone
    assert resolve(Power, params={"power": 3}, fingerprint="power", seed=5).fingerprint == prints[1]


def test_an_own_class_with_parameters_that_are_no_plain_values_has_no_fingerprint() -> None:
    assert resolve(Power, params={"power": torch.tensor(2.0)}, fingerprint="power").fingerprint is None


def test_an_own_class_is_made_from_its_parameters_and_the_seed() -> None:
    first = resolve(Filters, params={"n_filters": 5}, seed=3)
    assert feature_size(first, "cpu") == 5
    torch.rand(3)
    before = torch.get_rng_state()
    assert torch.equal(activations(resolve(Filters, params={"n_filters": 5}, seed=3)), activations(first))
    assert not torch.equal(activations(resolve(Filters, params={"n_filters": 5}, seed=4)), activations(first))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(activations(resolve(Filters, weights="DEFAULT", seed=3)), activations(resolve(Filters, seed=3)))


def test_an_own_module_takes_all_its_weights_from_a_file(tmp_path: Path) -> None:
    module = Filters()
    torch.save(module.state_dict(), tmp_path / "filters.pth")
    loaded = resolve(Filters, weights=tmp_path / "filters.pth", seed=9)
    assert torch.equal(activations(loaded), activations(resolve(module)))
    with pytest.raises(
        WeightsError, match=r"does not fit 'Filters': .*layers.0.weight: \(2, 3, 3, 3\) instead of \(4,"
    ):
        resolve(Filters, params={"n_filters": 4}, weights=tmp_path / "filters.pth")
    with pytest.raises(WeightsError, match="Filters has no published weights 'V1', and no such file exists"):
        resolve(Filters, weights="V1")
    with pytest.raises(WeightsUnavailableError, match=r"absent.pth' cannot be read"):
        resolve(Filters(), weights=tmp_path / "absent.pth")


def test_wrong_own_modules_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Filters cannot be made with backbone_params=\{'size': 3\}: .*size"):
        resolve(Filters, params={"size": 3})
    with pytest.raises(ValueError, match="this module is already made"):
        resolve(Filters(), params={"n_filters": 3})
    with pytest.raises(ValueError, match=r"a name, an nn.Module or a class of such, got <class 'int'>"):
        resolve(int)


def test_a_weights_file_is_checked_once_and_its_values_are_not_kept(
    weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[weakref.ref[torch.Tensor]] = []
    load = torch.load

    def noting(*arguments: Any, **options: Any) -> Any:
        state = load(*arguments, **options)
        read.extend(weakref.ref(tensor) for tensor in state.values())
        return state

    monkeypatch.setattr(torch, "load", noting)
    backbone = resolve(weights=weights_file)
    n_tensors = len(read)
    assert n_tensors > 0
    assert resolve(weights=weights_file, image_size=48).weights == backbone.weights
    assert len(read) == n_tensors
    activations(backbone)
    gc.collect()
    assert not [tensor for tensor in (reference() for reference in read) if tensor is not None]


def test_a_digest_with_a_file_is_checked(weights_file: Path) -> None:
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    plain = resolve(weights=weights_file)
    for given in (digest, digest[:8], digest[:20].upper()):
        assert resolve(weights=f"{weights_file}#sha256={given}") == plain
    other = digest[:9] + ("0" if digest[9] != "0" else "1")
    with pytest.raises(WeightsError, match=f"has the SHA-256 {digest}, and not {other} as was asked for"):
        resolve(weights=f"{weights_file}#sha256={other}")
    for given in ("", digest[:7], "x" * 8, digest + "0"):
        with pytest.raises(WeightsError, match="must end in 8 to 64 hexadecimal digits after '#sha256='"):
            resolve(weights=f"{weights_file}#sha256={given}")
    with pytest.raises(WeightsError, match="and not 00000000 as"):
        resolve(Filters, weights=f"{weights_file}#sha256=00000000")


def test_an_enum_member_of_another_network_is_refused() -> None:
    with pytest.raises(
        WeightsError,
        match=r"ResNet34_Weights.IMAGENET1K_V1 are weights of another network than 'squeezenet1_1'; its own",
    ):
        resolve(weights=models.ResNet34_Weights.IMAGENET1K_V1)


def test_a_fingerprint_holds_what_shapes_features_and_nothing_else(weights_file: Path) -> None:
    moved = weights_file.with_name("elsewhere.pth")
    moved.write_bytes(weights_file.read_bytes())
    said = resolve(weights=weights_file).fingerprint
    assert resolve(weights=moved).fingerprint == said
    assert resolve(weights=moved, seed=5, extra_channels="sum", params={}).fingerprint == said
    others: list[dict[str, Any]] = [
        {"weights": None},
        {"weights": None, "seed": 1},
        {"image_size": 33},
        {"image_size": (32, 40)},
        {"image_size": None},
        {"resize": "crop"},
        {"resize": "pad"},
        {"layer": "features.3"},
        {"layer": "features.3", "pool": "max"},
        {"pool": "max"},
        {"n_channels": 4},
        {"n_channels": 4, "extra_channels": "sum"},
        {"n_channels": 4, "extra_channels": "zero"},
        {"n_channels": 5},
        {"params": {"dropout": 0.1}},
        {"backbone": "squeezenet1_0", "weights": None},
    ]
    prints = [str(resolve(**{"weights": weights_file, **each}).fingerprint) for each in others]
    assert len({str(said), *prints}) == len(others) + 1


def test_a_description_is_hashed_without_its_weights() -> None:
    one, other = resolve(), resolve()
    assert hash(one) == hash(other)
    assert build_backbone(one, "cpu") is build_backbone(other, "cpu")
    assert build_backbone(one, "cpu") is not build_backbone(resolve(layer="features.3"), "cpu")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """A web server of this machine, its folder, and an empty torch hub."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{web.server_address[1]}", folder
    web.shutdown()
    thread.join()
    web.server_close()


def publish(folder: Path, content: bytes, prefix: str | None = None) -> str:
    """Put weights on the server under the name that torch gives them, and return it."""
    name = f"squeezenet1_1-{prefix or hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(content)
    return name


ENTRY = models.SqueezeNet1_1_Weights.IMAGENET1K_V1


def test_published_weights_are_downloaded_once_and_checked(
    server: tuple[str, Path], weights_file: Path, monkeypatch: pytest.MonkeyPatch, forget_networks: Callable[[], None]
) -> None:
    url, folder = server
    name = publish(folder, weights_file.read_bytes())
    monkeypatch.setattr(ENTRY.value, "url", f"{url}/{name}")
    backbone = resolve(weights="DEFAULT")
    assert resolve(weights=ENTRY) == backbone
    assert (backbone.weights.source, backbone.weights.name) == ("published", "IMAGENET1K_V1")
    assert torch.equal(activations(backbone), activations(resolve(weights=weights_file)))
    (folder / name).unlink()
    forget_networks()
    assert resolve(weights="IMAGENET1K_V1") == backbone
    activations(backbone)


def test_a_download_with_another_hash_is_refused_and_not_kept(
    server: tuple[str, Path], weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server
    name = publish(folder, weights_file.read_bytes(), prefix="01234567")
    monkeypatch.setattr(ENTRY.value, "url", f"{url}/{name}")
    with pytest.raises(WeightsUnavailableError, match=r"could not be downloaded.*invalid hash value"):
        resolve(weights="DEFAULT")
    assert not list((tmp_path / "hub" / "checkpoints").iterdir())


def test_offline_published_weights_fail_with_the_remedy(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("http://127.0.0.1:9/squeezenet1_1-b8a52dc0.pth", f"{server[0]}/squeezenet1_1-b8a52dc0.pth"):
        monkeypatch.setattr(ENTRY.value, "url", url)
        with pytest.raises(WeightsUnavailableError, match=r"could not be downloaded from .*weights=PATH.*weights=None"):
            resolve(weights="DEFAULT")


@pytest.mark.data
def test_real_weights_fit_their_network_and_no_other(data_folder: Path) -> None:
    folder = data_folder / "weights"
    squeezenet = folder / "squeezenet1_0-deepcompression.pth"
    assert activations(resolve("squeezenet1_0", weights=squeezenet)).shape == (2, 512)
    assert activations(resolve("mobilenet_v2", weights=folder / "mobilenet_v2-keras-int8.pth")).shape == (2, 1280)
    with pytest.raises(WeightsError, match=r"does not fit 'mobilenet_v2': \d+ of \d+ tensors are missing"):
        resolve("mobilenet_v2", weights=squeezenet)


def test_a_size_that_a_network_cannot_take_is_refused_in_fit() -> None:
    with pytest.raises(ValueError, match="'vit_b_32' cannot take pictures of image_size=64"):
        resolve("vit_b_32", image_size=64)
