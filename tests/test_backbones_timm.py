"""Networks of timm: made, described and loaded by its own means."""

from __future__ import annotations

import hashlib
import importlib
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torchvision.models.feature_extraction import create_feature_extractor

from skdeep.backbones import (
    Backbone,
    build_backbone,
    describe_backbone,
    layer_groups,
    list_backbones,
    resolve_backbone,
)
from skdeep.backbones.networks import find_network
from skdeep.exceptions import WeightsError, WeightsUnavailableError
from skdeep.images import Geometry

timm = pytest.importorskip("timm")
hub = pytest.importorskip("huggingface_hub")

SMALL = [
    "resnet18",
    "mobilenetv3_small_050",
    "tf_mobilenetv3_small_minimal_100",
    "efficientvit_b0",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "swin_tiny_patch4_window7_224",
    "mixer_s32_224",
    "inception_next_atto",
    "lcnet_050",
    "xcit_nano_12_p16_224",
]


def resolve(name: str = "resnet18", **options: Any) -> Backbone:
    return resolve_backbone(f"timm/{name}", **{"weights": None, "image_size": None, "seed": 0, **options})


def reference(name: str, **options: Any) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm.create_model(name, **options).eval()


def pictures_for(backbone: Backbone) -> torch.Tensor:
    return torch.rand((2, 3, *backbone.geometry.size), generator=torch.Generator().manual_seed(0))


def features(backbone: Backbone, images: torch.Tensor | None = None) -> torch.Tensor:
    images = backbone.normalise(pictures_for(backbone)) if images is None else images
    with torch.inference_mode():
        return build_backbone(backbone, "cpu")(images).flatten(1)


@pytest.mark.parametrize("name", SMALL)
def test_features_are_timms_own_before_its_classifier(name: str) -> None:
    backbone = resolve(name)
    network = reference(name, num_classes=0)
    images = backbone.normalise(pictures_for(backbone))
    with torch.inference_mode():
        expected = network.forward_head(network.forward_features(images), pre_logits=True)
    torch.testing.assert_close(features(backbone, images), expected, rtol=1e-3, atol=1e-4)
    info = describe_backbone(f"timm/{name}")
    assert info.n_features == backbone.n_features == expected.shape[1] == network.head_hidden_size
    assert info.n_parameters == sum(parameter.numel() for parameter in network.parameters())
    groups = layer_groups(network, 3, image_size=info.image_size)
    assert sorted(member for group in groups for member in group) == sorted(
        parameter for parameter, _ in network.named_parameters()
    )


@pytest.mark.parametrize("name", ["volo_d4_448", "volo_d1_384", "resnet18", "tf_efficientnet_l2"])
def test_the_cut_of_the_centre_lies_within_the_picture(name: str) -> None:
    expected = find_network(f"timm/{name}").preprocessing(None)
    # timm pads where its configurations ask for a cut beyond the border; here the whole picture is taken
    assert Geometry(expected.size, expected.policy, expected.resize).resize is not None


@pytest.mark.parametrize("name", ["resnet50.a1_in1k", "vit_tiny_patch16_224", "resnet18.fb_ssl_yfcc100m_ft_in1k"])
def test_pictures_are_prepared_as_timm_does(name: str) -> None:
    data = timm.data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    backbone = resolve(name)
    height, width = data["input_size"][1:]
    assert backbone.geometry.size == (height, width)
    assert (backbone.geometry.policy, backbone.geometry.interpolation) == ("crop", data["interpolation"])
    assert backbone.geometry.resize == math.floor(height / data["crop_pct"])
    assert (backbone.mean, backbone.std) == (data["mean"], data["std"])


@pytest.mark.parametrize("pool", ["avg", "cls", "max"])
def test_prefix_tokens_stay_out_of_pooling(pool: str) -> None:
    name = "deit_tiny_distilled_patch16_224"
    values = create_feature_extractor(reference(name, num_classes=0), {"blocks.2": "out"})
    backbone = resolve(name, layer="blocks.2", pool=pool)
    with torch.inference_mode():
        tokens = values(backbone.normalise(pictures_for(backbone)))["out"]
    assert tokens.shape[1] == 2 + 14 * 14
    expected = {"avg": tokens[:, 2:].mean(1), "max": tokens[:, 2:].amax(1), "cls": tokens[:, 0]}[pool]
    torch.testing.assert_close(features(backbone), expected, rtol=1e-3, atol=1e-4)


def test_pool_alone_averages_what_timm_averages() -> None:
    for name in ("resnet18", "swin_tiny_patch4_window7_224"):
        own, last = resolve(name), resolve(name, pool="avg")
        torch.testing.assert_close(features(last), features(own), rtol=1e-3, atol=1e-4)


def test_names_of_timm_are_listed_where_they_are_asked_for() -> None:
    assert not [name for name in list_backbones() if name.startswith("timm/")]
    assert "timm/resnet18" in list_backbones(timm=True)
    assert list_backbones("timm/resnet18*") == ["timm/resnet18", "timm/resnet18d"]
    assert describe_backbone("timm/resnet18").weights[0] == timm.get_pretrained_cfg("resnet18").tag


def test_wrong_names_and_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no backbone 'timm/resnet_18'. Did you mean 'timm/resnet18' or "):
        resolve("resnet_18")
    with pytest.raises(ValueError, match=r"no backbone 'timm/resnet18.zzz'. Did you mean"):
        resolve("resnet18.zzz")
    with pytest.raises(ValueError, match="must not hold in_chans, num_classes"):
        resolve(params={"num_classes": 3, "in_chans": 4})
    with pytest.raises(WeightsError, match=r"'timm/resnet18' has no published weights 'zzz'.*'a1_in1k'"):
        resolve(weights="zzz")
    with pytest.raises(WeightsError, match=r"'timm/resnet18.a1_in1k' names other weights than weights='a2_in1k'"):
        resolve("resnet18.a1_in1k", weights="a2_in1k")
    small = resolve("vit_tiny_patch16_224", params={"img_size": 64}, image_size=64)
    assert features(small).shape == (2, 192)


def test_without_timm_the_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["timm"] = None
from skdeep.backbones import list_backbones, resolve_backbone
assert "resnet18" in list_backbones()
try:
    resolve_backbone("timm/resnet18", weights=None, image_size=32, seed=0)
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert 'pip install "skdeep[timm]"' in done.stdout


def test_timm_is_imported_only_where_it_is_used() -> None:
    code = """
import sys
from skdeep.backbones import list_backbones, resolve_backbone
resolve_backbone("squeezenet1_1", weights=None, image_size=32, seed=0).fingerprint
print("timm" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_the_version_of_timm_is_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = resolve().fingerprint
    assert before is not None
    assert before["versions"] == {"timm": timm.__version__}
    monkeypatch.setattr(timm, "__version__", "99.0")
    assert resolve().fingerprint != before


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the Hugging Face hub, which cannot be reached."""
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def put(cache: Path, repository: str, filename: str, content: bytes) -> Path:
    """Put a file into the hub's cache folder as the hub does."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    commit = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    path = folder / "snapshots" / commit / filename
    path.write_bytes(content)
    return path


def test_published_weights_come_from_the_hub(cached: Path, forget_networks: Callable[[], None]) -> None:
    whole = reference("resnet18")
    torch.nn.init.normal_(whole.fc.weight)
    put(cached, "timm/resnet18.a1_in1k", "model.safetensors", safetensors.torch.save(whole.state_dict()))
    backbone = resolve("resnet18.a1_in1k", weights="DEFAULT", image_size=64)
    assert (backbone.weights.source, backbone.weights.name) == ("published", "a1_in1k")
    assert backbone == resolve("resnet18", weights="a1_in1k", image_size=64)
    images = backbone.normalise(pictures_for(backbone))
    with torch.inference_mode():
        expected = whole.forward_head(whole.forward_features(images), pre_logits=True)
    torch.testing.assert_close(features(backbone, images), expected, rtol=1e-4, atol=1e-5)
    content = pickle.dumps(backbone)
    assert len(content) < 5_000
    forget_networks()
    np.testing.assert_array_equal(features(pickle.loads(content), images), features(backbone, images))


def test_published_weights_of_an_older_form_are_converted_by_timm(cached: Path) -> None:
    whole = reference("vit_tiny_patch16_224")
    state = whole.state_dict()
    # patches were embedded by a linear layer once
    state["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].flatten(1)
    torch.save(state, cached.with_suffix(".bin"))
    tag = timm.get_pretrained_cfg("vit_tiny_patch16_224").tag
    put(cached, f"timm/vit_tiny_patch16_224.{tag}", "pytorch_model.bin", cached.with_suffix(".bin").read_bytes())
    backbone = resolve("vit_tiny_patch16_224", weights=tag)
    images = backbone.normalise(pictures_for(backbone))
    with torch.inference_mode():
        expected = whole.forward_head(whole.forward_features(images), pre_logits=True)
    torch.testing.assert_close(features(backbone, images), expected, rtol=1e-4, atol=1e-5)


def test_published_weights_that_do_not_fit_are_refused(cached: Path) -> None:
    put(cached, "timm/resnet18.a1_in1k", "model.safetensors", safetensors.torch.save({"a": torch.ones(2)}))
    with pytest.raises(
        WeightsError, match=r"'a1_in1k' does not fit 'timm/resnet18.a1_in1k': \d+ of \d+ tensors are missing"
    ):
        build_backbone(resolve("resnet18", weights="a1_in1k"), "cpu")


def test_offline_published_weights_fail_with_the_remedy(cached: Path) -> None:
    message = (
        r"'a1_in1k' of 'timm/resnet18' could not be downloaded from the Hugging Face hub \(timm/resnet18.a1_in1k\)"
    )
    with pytest.raises(WeightsUnavailableError, match=f"{message}.*weights=PATH.*weights=None"):
        resolve("resnet18", weights="DEFAULT")


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_local_file_is_taken_with_or_without_its_head(ending: str, tmp_path: Path) -> None:
    whole = reference("resnet18").state_dict()
    outputs = []
    for row, state in enumerate((whole, {name: tensor for name, tensor in whole.items() if "fc." not in name})):
        path = tmp_path / f"{row}.{ending}"
        torch.save(state, path) if ending == "pth" else safetensors.torch.save_file(state, path)
        backbone = resolve(weights=path, image_size=64)
        outputs.append(features(backbone))
    assert torch.equal(*outputs)
    torch.save({name: tensor for name, tensor in whole.items() if name != "conv1.weight"}, tmp_path / "short.pth")
    with pytest.raises(
        WeightsError, match=r"does not fit 'timm/resnet18': 1 of \d+ tensors are missing \(conv1.weight"
    ):
        resolve(weights=tmp_path / "short.pth")
