"""Estimators in files: they predict as before, and what no file can hold must be given."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn
from torchvision import models

from skdeep import CNNClassifier, TabularClassifier
from skdeep._codec import UnknownValueError
from skdeep._saving import KNOWN
from skdeep.exceptions import WeightsError
from skdeep.images import Augmentation
from skdeep.training import Phase

Array = NDArray[Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept.safetensors"


@pytest.fixture
def indicator() -> Array:
    return np.array([[0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])


class Own(nn.Module):
    """A module of the user's own, which no file can hold."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.AdaptiveAvgPool2d(1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layers(pictures)


def table(n: int = 40) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    return X, (X[:, :3] > 0).astype(int)


def quick(**options: Any) -> CNNClassifier:
    settled = {"backbone": "small_cnn", "weights": None, "image_size": 32, "max_epochs": 1, "random_state": 0}
    return CNNClassifier(**{**settled, **options})


def tabular(**options: Any) -> TabularClassifier:
    return TabularClassifier(**{"hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0, **options})


def check_kept(fitted: Any, X: Any, path: Path, **given: Any) -> Any:
    """Save and load, and compare all that can be seen."""
    expected = fitted.predict_proba(X)
    fitted.save(path)
    loaded = type(fitted).load(path, **given)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    assert vars(loaded).keys() == vars(fitted).keys()
    assert loaded.classes_.dtype == fitted.classes_.dtype
    np.testing.assert_array_equal(loaded.classes_, fitted.classes_)
    pd.testing.assert_frame_equal(loaded.history_, fitted.history_)
    again = path.with_name("again")
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loaded)).predict_proba(X), expected)
    return loaded


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "bp_mll", "names"])
def test_a_net_for_tables_predicts_as_before(kind: str, path: Path) -> None:
    X, Y = table()
    names = np.array(["no", "yes", "perhaps"])
    targets = {
        "binary": names[Y[:, 0]],
        "multiclass": names[Y[:, 0] + Y[:, 1]].astype(object),
        "multilabel": Y,
        "bp_mll": Y,
        "names": pd.DataFrame(Y, columns=["sea", "wood", "été"]),
    }
    fitted = tabular(criterion="bp_mll" if kind == "bp_mll" else "auto").fit(X, targets[kind])
    loaded = check_kept(fitted, X, path)
    if kind == "names":
        assert loaded.label_names_.tolist() == ["sea", "wood", "été"]
    if kind == "bp_mll":
        np.testing.assert_array_equal(loaded.threshold_.coef, fitted.threshold_.coef)
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_parameters_of_all_kinds_come_back(path: Path) -> None:
    X, Y = table()
    state = RandomState(3)
    fitted = tabular(
        hidden_layer_sizes=[np.int64(4)], pos_weight=np.array([1.0, 2.0, 3.0]), lr=np.float32(0.01), random_state=state
    )
    loaded = check_kept(fitted.fit(X, Y), X, path)
    assert loaded.hidden_layer_sizes == [4]
    assert type(loaded.hidden_layer_sizes[0]) is np.int64
    assert type(loaded.lr) is np.float32
    np.testing.assert_array_equal(loaded.pos_weight, fitted.pos_weight)
    # where the generator of the one goes on, that of the other does
    expected = fitted.fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(loaded.fit(X, Y).predict_proba(X), expected)
    assert clone(loaded).get_params().keys() == fitted.get_params().keys()


def test_what_scikit_learn_remembers_comes_back(path: Path) -> None:
    X, Y = table()
    frame = pd.DataFrame(X, columns=list("abcde"))
    with sklearn.config_context(enable_metadata_routing=True):
        fitted = tabular().set_fit_request(sample_weight="importance").fit(frame, Y)
        loaded = check_kept(fitted, frame, path)
        for estimator in (loaded, clone(loaded)):
            assert estimator.get_metadata_routing().fit.requests == fitted.get_metadata_routing().fit.requests
            assert estimator.get_metadata_routing().fit.requests["sample_weight"] == "importance"
    assert loaded.feature_names_in_.tolist() == list("abcde")
    assert loaded.n_features_in_ == 5
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[list("edcba")])


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_a_net_for_images_predicts_as_before(
    phases: str, pictures: Array, indicator: Array, path: Path, forget_networks: Callable[[], None]
) -> None:
    fitted = quick(phases=phases).fit(pictures, indicator)
    loaded = check_kept(fitted, pictures, path)
    forget_networks()
    loaded = CNNClassifier.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(pictures), fitted.predict_proba(pictures))
    assert loaded.format_ == fitted.format_
    assert loaded.backbone_ == fitted.backbone_
    assert loaded.phases_ == fitted.phases_


def test_options_of_a_long_recipe_come_back(pictures: Array, indicator: Array, path: Path) -> None:
    phases = [
        Phase(max_epochs=1, train="head", image_size=32),
        Phase(max_epochs=3, lr_mult=(0.1, 1.0), policy="sgdr", cycle_len=1, cycle_mult=2, image_size=32),
    ]
    fitted = quick(
        phases=phases,
        augmentation=Augmentation("top_down", mixup=0.2),
        tta=1,
        averaging="snapshots",
        optimizer="sgd",
        lr=0.01,
        image_size=(32, 32),
        pool="avg",
    ).fit(pictures, indicator)
    assert len(fitted.snapshots_) == 2
    loaded = check_kept(fitted, pictures, path)
    assert loaded.phases == phases
    assert loaded.augmentation == Augmentation("top_down", mixup=0.2)
    assert len(loaded.snapshots_) == 2


def test_networks_of_two_sizes_come_back(pictures: Array, indicator: Array, path: Path) -> None:
    for train in ("head", "all"):
        phases = [Phase(max_epochs=1, train=train, image_size=side, snapshot=True) for side in (16, 32)]
        fitted = quick(phases=phases, image_size=None).fit(pictures, indicator)
        loaded = check_kept(fitted, pictures, path)
        assert len(loaded.snapshots_) == 2


def test_pictures_of_other_channels_and_numbers_beside_them_come_back(
    indicator: Array, path: Path, forget_networks: Callable[[], None]
) -> None:
    rng = np.random.default_rng(0)
    rows = np.hstack([rng.integers(256, size=(6, 16 * 16 * 4)), rng.normal(size=(6, 2))])
    for phases in ("linear_probe", "from_scratch"):
        fitted = quick(phases=phases, image_shape=(16, 16, 4), image_size=16).fit(rows, indicator)
        forget_networks()
        check_kept(fitted, rows, path)


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_weights_of_files_travel_within(
    phases: str,
    pictures: Array,
    indicator: Array,
    path: Path,
    tmp_path: Path,
    forget_networks: Callable[[], None],
) -> None:
    source = tmp_path / "squeezenet.pth"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        torch.save(models.squeezenet1_1(num_classes=10).state_dict(), source)
    fitted = quick(backbone="squeezenet1_1", weights=source, phases=phases).fit(pictures, indicator)
    expected = fitted.predict_proba(pictures)
    fitted.save(path)
    source.unlink()
    forget_networks()
    loaded = CNNClassifier.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(pictures), expected)
    assert loaded.weights == source


def test_random_weights_do_not_depend_on_the_version_of_torch(
    pictures: Array,
    indicator: Array,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forget_networks: Callable[[], None],
) -> None:
    fitted = quick(cache=False).fit(pictures, indicator)
    expected = fitted.predict_proba(pictures)
    fitted.save(path)
    # whatever a seed gives there
    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", lambda tensor, **_: tensor.data.zero_())
    forget_networks()
    np.testing.assert_array_equal(CNNClassifier.load(path).predict_proba(pictures), expected)


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
@pytest.mark.parametrize(("pool", "fingerprint"), [(None, "own"), ("max", "own"), (None, None)])
def test_an_own_module_is_given_and_gets_its_weights_from_the_file(
    phases: str, pool: str | None, fingerprint: str | None, pictures: Array, indicator: Array, path: Path
) -> None:
    options: dict[str, Any] = {"phases": phases, "image_size": 16, "fingerprint": fingerprint, "pool": pool}
    fitted = quick(backbone=Own(), **options).fit(pictures, indicator)
    fitted.save(path)
    with pytest.raises(ValueError, match="CNNClassifier was saved with backbone= given by the user") as told:
        CNNClassifier.load(path)
    assert "an instance of tests.test_saving.Own" in str(told.value)
    assert "CNNClassifier.load(path, backbone=...)" in str(told.value)
    other = Own()
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    loaded = check_kept(fitted, pictures, path, backbone=other)
    assert all(torch.equal(other.state_dict()[name], tensor) for name, tensor in before.items())
    # learning goes on with the weights of the file, too
    expected = fitted.partial_fit(pictures, indicator).predict_proba(pictures)
    np.testing.assert_allclose(loaded.partial_fit(pictures, indicator).predict_proba(pictures), expected, rtol=1e-5)


def test_a_head_does_not_go_on_with_a_module_of_other_weights(pictures: Array, indicator: Array) -> None:
    fitted = quick(backbone=Own(), image_size=16).fit(pictures, indicator)
    with pytest.raises(ValueError, match="It has other weights"):
        fitted.set_params(backbone=Own()).partial_fit(pictures, indicator)


def test_a_table_net_is_saved_as_it_was_fitted(path: Path) -> None:
    X, Y = table()
    fitted = tabular().fit(X, Y)
    expected = fitted.predict_proba(X)
    fitted.set_params(activation="tanh", hidden_layer_sizes=(3,)).save(path)
    loaded = TabularClassifier.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    assert loaded.hidden_layer_sizes == (3,)


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_an_own_class_is_given(phases: str, pictures: Array, indicator: Array, path: Path) -> None:
    options: dict[str, Any] = {"phases": phases, "image_size": 16, "backbone_params": {"width": 6}}
    fitted = quick(backbone=Own, **options).fit(pictures, indicator)
    check_kept(fitted, pictures, path, backbone=Own)


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_an_own_module_that_does_not_fit_is_refused(phases: str, pictures: Array, indicator: Array, path: Path) -> None:
    quick(backbone=Own(4), phases=phases, image_size=16).fit(pictures, indicator).save(path)
    with pytest.raises(WeightsError, match=r"does not fit .* have another shape"):
        CNNClassifier.load(path, backbone=Own(5))
    with pytest.raises(WeightsError, match=r"does not fit .* are missing"):
        CNNClassifier.load(path, backbone=nn.Sequential(Own(), nn.Conv2d(4, 4, 1)))


def own_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return ((logits - targets) ** 2).mean(dim=1)


def darker(picture: torch.Tensor) -> torch.Tensor:
    return picture // 2


def test_own_callables_are_given(pictures: Array, indicator: Array, path: Path) -> None:
    augmentation = Augmentation(darker, mixup=0.1)
    fitted = quick(criterion=own_loss, augmentation=augmentation).fit(pictures, indicator)
    loaded = check_kept(fitted, pictures, path, criterion=own_loss, augmentation=augmentation)
    assert loaded.criterion is own_loss
    with pytest.raises(ValueError, match=r"given by the user \(an instance of skdeep.images.augment.Augmentation\)"):
        CNNClassifier.load(path, criterion=own_loss)


def test_more_must_not_be_given(path: Path) -> None:
    X, Y = table()
    tabular().fit(X, Y).save(path)
    for name in ("lr", "criterion", "nonsense"):
        with pytest.raises(ValueError, match=f"{name}= must not be given: .* Given must be nothing"):
            TabularClassifier.load(path, **{name: 1})


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_learning_in_parts_goes_on_to_the_bit(
    optimizer: str, phases: str, pictures: Array, indicator: Array, path: Path
) -> None:
    fitted = quick(phases=phases, optimizer=optimizer, lr=0.01)
    for _ in range(2):
        fitted.partial_fit(pictures, indicator)
    loaded = check_kept(fitted, pictures, path)
    for estimator in (fitted, loaded):
        estimator.partial_fit(pictures, indicator)
    np.testing.assert_array_equal(loaded.predict_proba(pictures), fitted.predict_proba(pictures))
    assert loaded.n_iter_ == 3


def test_a_loaded_net_is_fitted_anew_and_goes_on(pictures: Array, indicator: Array, path: Path) -> None:
    fitted = quick(phases="from_scratch", warm_start=True).fit(pictures, indicator)
    fitted.save(path)
    loaded = CNNClassifier.load(path)
    for estimator in (fitted, loaded):
        estimator.fit(pictures, indicator)
    np.testing.assert_array_equal(loaded.predict_proba(pictures), fitted.predict_proba(pictures))
    other = quick(phases="from_scratch").fit(pictures, indicator)
    np.testing.assert_array_equal(
        CNNClassifier.load(path).set_params(warm_start=False).fit(pictures, indicator).predict_proba(pictures),
        other.predict_proba(pictures),
    )


ELSEWHERE = """
import sys, numpy as np
from skdeep import TabularClassifier
np.save(sys.argv[2], TabularClassifier.load(sys.argv[1]).predict_proba(np.load(sys.argv[2])))
"""


def test_another_process_predicts_the_same(path: Path, tmp_path: Path) -> None:
    X, Y = table()
    fitted = tabular().fit(X, Y)
    fitted.save(path)
    np.save(tmp_path / "X.npy", X)
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(path), str(tmp_path / "X.npy")], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), fitted.predict_proba(X))


def test_loading_leaves_the_generators_as_they_were(path: Path, pictures: Array, indicator: Array) -> None:
    quick(phases="from_scratch").fit(pictures, indicator).save(path)
    state, of_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index,union-attr]  # noqa: NPY002
    with torch.inference_mode():
        loaded = CNNClassifier.load(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], of_numpy)  # type: ignore[index]  # noqa: NPY002
    assert not any(weight.is_inference() for weight in loaded.net_.module_.parameters())


def test_what_is_not_fitted_is_not_saved(path: Path) -> None:
    with pytest.raises(NotFittedError):
        tabular().save(path)
    assert not path.exists()


def test_an_attribute_that_cannot_be_saved_is_named_and_nothing_is_written(path: Path) -> None:
    X, Y = table()
    fitted = tabular().fit(X, Y)
    fitted.note_ = {"code": print}
    with pytest.raises(UnknownValueError, match="The attribute 'note_' cannot be saved: print"):
        fitted.save(path)
    assert not path.exists()


def test_the_file_says_what_it_holds(path: Path) -> None:
    X, Y = table()
    tabular().fit(X, Y).save(path)
    with safe_open(path, "pt") as file:
        document = json.loads(file.metadata()["skdeep"])["document"]
    assert document["estimator"] == "TabularClassifier"
    assert document["versions"]["torch"] == torch.__version__
    with pytest.raises(ValueError, match=r"kept.safetensors' holds TabularClassifier, and not CNNClassifier"):
        CNNClassifier.load(path)


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Let someone else change the document of a file."""
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["skdeep"])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    change(about["document"])
    save_file(tensors, path, {"skdeep": json.dumps(about)})


@pytest.mark.parametrize(
    "value",
    [
        {"__reduce__": ["builtins.exec", ["import pytest; pytest.fail('run')"]]},
        {"record": ["Popen", {"args": ["touch", "run"]}]},
        {"record": ["Sequential", {}]},
        {"pickle": pickle.dumps(print).hex()},
        {"weights": "os.system"},
        {"array": ["|O", "net/layers.0.weight"]},
    ],
    ids=str,
)
def test_a_file_can_make_nothing_but_what_is_known(value: Any, path: Path) -> None:
    X, Y = table()
    tabular().fit(X, Y).save(path)
    rewrite(path, lambda document: document["parameters"].update(activation={"value": value}))
    with pytest.raises(ValueError, match="stands for no value"):
        TabularClassifier.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("estimator"),
        lambda document: document.pop("net"),
        lambda document: document["net"].pop("learning"),
        lambda document: document["parameters"].update(nonsense={"value": 1}),
        lambda document: document["attributes"].pop("_kind"),
        lambda document: document.update(parameters=[]),
        lambda document: document.update(n_snapshots=2),
        lambda document: document["net"].update(optimizer={"kind": "eval", "groups": [], "state": {}}),
    ],
)
def test_a_file_that_lies_is_refused(change: Callable[[dict[str, Any]], Any], path: Path) -> None:
    X, Y = table()
    tabular().fit(X, Y).save(path)
    rewrite(path, change)
    with pytest.raises(ValueError, match=r"damaged|holds no estimator|does not fit"):
        TabularClassifier.load(path)


def test_every_known_class_is_one_of_plain_values() -> None:
    assert sorted(KNOWN) == [
        "Augmentation",
        "Backbone",
        "Geometry",
        "ImageFormat",
        "Phase",
        "RankingThreshold",
        "Weights",
    ]
    assert not any(issubclass(record.cls, nn.Module) for record in KNOWN.values())
