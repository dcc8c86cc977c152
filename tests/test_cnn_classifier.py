"""CNNClassifier: head or whole network, for every kind of target, alone and inside problem transformations."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import label_ranking_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict
from skmultilearn import problem_transform
from torch import nn

from skdeep import CNNClassifier, CNNFeatureExtractor, features
from skdeep._base import draw_seed
from skdeep.backbones import build_backbone, resolve_backbone
from skdeep.exceptions import ImageError
from skdeep.images import sources
from skdeep.multilabel import BinaryRelevance, ClassifierChain, LabelPowerset

Array = NDArray[Any]


def quick(**options: Any) -> CNNClassifier:
    settled = {"backbone": "small_cnn", "weights": None, "image_size": 32, "max_epochs": 3, "random_state": 0}
    return CNNClassifier(**{**settled, **options})


def make_scenes(n: int = 48, n_labels: int = 2) -> tuple[Array, Array]:
    """Noisy pictures of 8 pixels; label j makes channel j bright."""
    rng = np.random.default_rng(0)
    Y = rng.integers(2, size=(n, n_labels))
    Y[:2] = [[0], [1]]
    X = rng.integers(60, size=(n, 8, 8, 3))
    X[..., :n_labels] += 150 * Y[:, None, None, :]
    return X.astype(np.uint8), Y


class Colours(nn.Module):
    """Mean colours: features from which the labels of scenes are easily learnt."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))


def colours(**options: Any) -> CNNClassifier:
    settled = {"backbone": Colours(), "fingerprint": "colours", "image_size": 8, "dropout": 0.0, "lr": 0.05}
    return quick(**{**settled, "max_epochs": 25, **options})


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_multilabel_targets_keep_the_contract(phases: str, n_labels: int) -> None:
    X, Y = make_scenes(n_labels=n_labels)
    clf = quick(phases=phases).fit(X, sparse.csr_array(Y) if n_labels == 1 else Y)
    decision, proba, predicted = clf.decision_function(X), clf.predict_proba(X), clf.predict(X)
    assert decision.shape == proba.shape == predicted.shape == (48, n_labels)
    np.testing.assert_array_equal(clf.classes_, [[0, 1]] * n_labels)
    np.testing.assert_allclose(proba, 1 / (1 + np.exp(-decision)))
    np.testing.assert_array_equal(predicted, decision > 0)


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_binary_and_multiclass_targets_keep_the_contract(phases: str) -> None:
    X, Y = make_scenes()
    for names, y in ((["dark", "red"], Y[:, 0]), (["a", "b", "c", "d"], Y[:, 0] + 2 * Y[:, 1])):
        clf = quick(phases=phases).fit(X, np.array(names)[y])
        proba = clf.predict_proba(X)
        assert clf.classes_.tolist() == names
        assert proba.shape == (48, len(names))
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        np.testing.assert_array_equal(clf.predict(X), clf.classes_[proba.argmax(axis=1)])


def test_label_names_come_from_a_dataframe() -> None:
    X, Y = make_scenes()
    assert colours().fit(X, pd.DataFrame(Y, columns=["red", "green"])).label_names_.tolist() == ["red", "green"]


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_the_head_begins_at_what_is_usual(phases: str) -> None:
    X, _ = make_scenes()
    Y = (np.random.default_rng(0).random((len(X), 3)) < [0.1, 0.5, 0.9]).astype(int)
    module: Any = quick(phases=phases, lr=1e-12).fit(X, Y).net_.module_
    bias = (module.head if phases == "from_scratch" else module).layers[2].bias
    np.testing.assert_allclose(
        bias.detach(), np.log(Y.sum(axis=0) + 0.5) - np.log((1 - Y).sum(axis=0) + 0.5), rtol=1e-5
    )
    again: Any = quick(phases=phases, lr=1e-12, criterion="bp_mll").fit(X, Y).net_.module_
    assert (again.head if phases == "from_scratch" else again).layers[2].bias.detach().abs().max() < 0.5


def test_the_whole_network_learns_to_tell_bright_from_dark() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(64) % 2
    X = (rng.integers(100, size=(64, 8, 8, 3)) + 120 * y[:, None, None, None]).astype(np.uint8)
    clf = quick(phases="from_scratch", max_epochs=8, lr=3e-3, batch_size=16)
    proba = cross_val_predict(clf, X, y, cv=2, method="predict_proba")
    assert ((proba[:, 1] > 0.5) == y).mean() > 0.95
    trained = clf.fit(X, y).net_.module_.backbone.state_dict()
    resolved = resolve_backbone("small_cnn", weights=None, image_size=32, seed=draw_seed(0))
    untrained = build_backbone(resolved, "cpu").state_dict()
    assert trained.keys() == untrained.keys()
    assert all((trained[name] != untrained[name]).any() for name in trained)


def test_the_whole_network_of_batch_normalisation_learns_and_predicts_row_by_row() -> None:
    X, Y = make_scenes(24)
    clf = quick(backbone="shufflenet_v2_x0_5", phases="from_scratch", max_epochs=2, batch_size=8).fit(X, Y)
    whole = clf.predict_proba(X)
    np.testing.assert_allclose(np.vstack([clf.predict_proba(X[[row]]) for row in range(24)]), whole, rtol=1e-4)


def test_training_leaves_the_shared_network_as_it_was() -> None:
    X, Y = make_scenes(16)
    extractor = CNNFeatureExtractor("small_cnn", weights=None, image_size=32, cache=False, random_state=3)
    before = extractor.fit_transform(X)
    clf = quick(phases="from_scratch", cache=False, random_state=3, lr=0.1).fit(X, Y)
    assert clf.net_.module_.backbone is not build_backbone(extractor.backbone_, "cpu")
    np.testing.assert_array_equal(extractor.transform(X), before)


def test_a_pickle_holds_the_trained_weights_once() -> None:
    X, Y = make_scenes(16)
    clf = quick(phases="from_scratch", cache=False).fit(X, Y)
    n_bytes = sum(values.nbytes for values in clf.net_.module_.state_dict().values())
    assert n_bytes < len(pickle.dumps(clf)) < 1.2 * n_bytes


def test_it_learns_within_a_callers_inference_mode() -> None:
    X, Y = make_scenes(16)
    expected = quick(phases="from_scratch").fit(X, Y).predict_proba(X)
    with torch.inference_mode():
        found = quick(phases="from_scratch").fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(found, expected)


def test_precision_is_settled_in_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = make_scenes(16)
    fitted = [quick(phases=phases, cache=False).fit(X, Y) for phases in ("linear_probe", "from_scratch")]
    before = [clf.predict_proba(X) for clf in fitted]
    assert fitted[0].precision_ == fitted[1].precision_ == fitted[1].net_.module_.precision
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    for clf, expected in zip(fitted, before, strict=True):
        np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_trained_weights_may_be_given_back(tmp_path: Any) -> None:
    X, Y = make_scenes(16)
    clf = quick(phases="from_scratch", cache=False, lr=0.01).fit(X, Y)
    torch.save(clf.net_.module_.backbone.state_dict(), tmp_path / "trained.pth")
    given = CNNFeatureExtractor("small_cnn", weights=tmp_path / "trained.pth", image_size=32, cache=False)
    found = given.fit_transform(X)
    with torch.no_grad():
        logits = clf.net_.module_.eval().head(torch.from_numpy(found)).numpy()
    np.testing.assert_allclose(logits, clf.decision_function(X), rtol=1e-4, atol=1e-5)


def test_head_passes_each_image_through_the_network_once() -> None:
    X, Y = make_scenes()
    clf = quick(max_epochs=5).fit(X, Y)
    assert features.info().n_computed == len(X)
    clf.predict(X)
    GridSearchCV(clf, {"dropout": [0.0, 0.5]}, cv=3, scoring="f1_micro", error_score="raise").fit(X, Y)
    assert features.info().n_computed == len(X)


def test_head_learns_the_same_without_a_store() -> None:
    X, Y = make_scenes()
    stored = quick().fit(X, Y)
    computed = quick(cache=False).fit(X, Y)
    np.testing.assert_array_equal(stored.predict_proba(X), computed.predict_proba(X))
    np.testing.assert_array_equal(quick().fit(X, Y).predict_proba(X), stored.predict_proba(X))


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_equal_seeds_give_equal_bits_and_leave_the_global_generators(phases: str) -> None:
    X, Y = make_scenes(16)
    torch.manual_seed(9)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = quick(phases=phases).fit(X, Y).predict_proba(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    torch.rand(3)
    np.testing.assert_array_equal(quick(phases=phases).fit(X, Y).predict_proba(X), first)
    assert (quick(phases=phases, random_state=1).fit(X, Y).predict_proba(X) != first).any()


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_side_features_reach_the_head(phases: str, pictures: Array) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    images = [pictures[row // 2 % 6] for row in range(60)]  # each picture with either class
    side = 3.0 * y + rng.normal(size=60)
    frame = pd.DataFrame({"image": images, "side": side})
    backbone = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    clf = colours(phases=phases, backbone=backbone, fingerprint=None)
    assert clf.fit(frame, y).score(frame, y) > 0.85
    flipped = frame.assign(side=3 - side)
    assert clf.score(flipped, y) < 0.3


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda clf: pickle.loads(pickle.dumps(clf))])
def test_copies_predict_the_same(phases: str, copy_of: Any) -> None:
    X, Y = make_scenes(16)
    assert copy_of(quick(phases=phases)).get_params() == quick(phases=phases).get_params()
    clf = quick(phases=phases, max_epochs=1).fit(X, Y)
    expected = clf.predict_proba(X)
    copied = copy_of(clf)
    clf.set_params(random_state=1).fit(X, Y)
    np.testing.assert_array_equal(copied.predict_proba(X), expected)


def test_train_set_after_fit_waits_for_the_next_fit() -> None:
    X, Y = make_scenes(16)
    clf = quick(max_epochs=1).fit(X, Y)
    expected = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.set_params(phases="from_scratch").predict_proba(X), expected)


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_paths_and_arrays_learn_the_same(phases: str, paths: list[str], pictures: Array) -> None:
    Y = np.array([[0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])
    from_arrays = quick(phases=phases).fit(pictures, Y).predict_proba(pictures)
    np.testing.assert_allclose(quick(phases=phases).fit(paths, Y).predict_proba(paths), from_arrays, rtol=1e-6)


def test_sample_weight_decides_between_images_that_contradict() -> None:
    X = np.repeat(make_scenes(2)[0], 20, axis=0)
    y = np.tile([0, 1], 20)
    weights = np.where(y == np.repeat([0, 1], 20), 5.0, 1.0)
    clf = colours()
    np.testing.assert_array_equal(clf.fit(X, y, weights).predict(X[[0, 20]]), [0, 1])
    np.testing.assert_array_equal(clf.fit(X, y, 6 - weights).predict(X[[0, 20]]), [1, 0])


def test_bp_mll_ranks_images() -> None:
    X, Y = make_scenes(n_labels=3)
    clf = colours(criterion="bp_mll").fit(X, Y)
    np.testing.assert_array_equal(clf.predict(X), clf.predict_proba(X) > 0.5)
    assert label_ranking_loss(Y, clf.decision_function(X)) < 0.05


TRANSFORMATIONS = {
    "BinaryRelevance": BinaryRelevance,
    "ClassifierChain": ClassifierChain,
    "LabelPowerset": LabelPowerset,
}


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize("form", ["paths", "array", "flat rows"])
def test_it_is_a_base_of_problem_transformations(transformation: str, form: str, tmp_path: Any) -> None:
    X, Y = make_scenes()
    base = colours()
    if form == "paths":
        images: Any = [tmp_path / f"{row}.png" for row in range(len(X))]
        for path, picture in zip(images, X, strict=True):
            Image.fromarray(picture).save(path)
    elif form == "flat rows":
        images = X.reshape(len(X), -1)
        base.set_params(image_shape=(8, 8, 3))
    else:
        images = X
    clf = TRANSFORMATIONS[transformation](base).fit(images, Y)
    assert (clf.predict(images) == Y).mean() > 0.95
    assert clf.predict_proba(images).shape == Y.shape
    assert features.info().n_computed == len(X)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:skmultilearn")
@pytest.mark.parametrize("name", ["BinaryRelevance", "ClassifierChain", "LabelPowerset"])
def test_it_is_a_base_of_skmultilearns_own_transformations(name: str) -> None:
    X, Y = make_scenes()
    rows = X.reshape(len(X), -1)
    clf = getattr(problem_transform, name)(colours(image_shape=(8, 8, 3)), require_dense=[True, True])
    predicted = clf.fit(rows, Y).predict(rows)
    assert (predicted.toarray() == Y).mean() > 0.95
    # the chain hands over float64 with earlier labels on the right: the images are still the same
    assert features.info().n_computed == len(X)


def test_earlier_labels_of_a_chain_reach_the_head() -> None:
    X, Y = make_scenes(n_labels=1)
    X = np.random.default_rng(1).permutation(X)  # nothing in the pictures tells
    twice = np.hstack([Y, Y])
    chain = ClassifierChain(colours(), order=[0, 1], random_state=0).fit(X, twice)
    predicted = chain.predict(X)
    np.testing.assert_array_equal(predicted[:, 0], predicted[:, 1])
    assert chain.estimators_[1].format_.n_side_features == 1


def test_it_needs_two_images() -> None:
    X, _ = make_scenes(2)
    with pytest.raises(ValueError, match="needs at least 2 images to learn from, got 1 sample"):
        quick().fit(X[:1], np.array([[1, 0]]))


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_a_single_image_left_over_does_not_stop_training(phases: str) -> None:
    X, Y = make_scenes(9)
    assert quick(phases=phases, batch_size=4).fit(X, Y).predict(X).shape == (9, 2)


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_broken_images_stop_fit_and_predict_with_their_names(phases: str, paths: list[str]) -> None:
    Y = np.array([[0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])
    clf = quick(phases=phases, max_epochs=1).fit(paths, Y)
    with open(paths[2], "w") as file:  # noqa: PTH123
        file.write("not a picture")
    for method in (lambda: clf.predict(paths), lambda: clone(clf).fit(paths, Y)):
        with pytest.raises(ImageError, match=r"1 of 6 images cannot be read: '.*2.png' \("):
            method()


def test_files_whose_pictures_are_kept_are_not_examined_again(
    paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Y = np.array([[0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])
    examined: list[bytes] = []
    monkeypatch.setattr(sources, "find_fault", examined.append)
    clf = quick(phases="from_scratch", max_epochs=1).fit(paths, Y)
    expected = clf.predict_proba(paths)
    assert len(examined) == 6
    np.testing.assert_array_equal(clf.fit(paths, Y).predict_proba(paths), expected)
    assert len(examined) == 6
    clf.set_params(image_size=40).fit(paths, Y)
    assert len(examined) == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"phases": "tail"}, "The 'phases' parameter of CNNClassifier must be a str among"),
        ({"dropout": 1.0}, "The 'dropout' parameter of CNNClassifier must be a float in the range"),
        ({"batch_size": 1}, r"The 'batch_size' parameter of CNNClassifier must be an int in the range \[2, inf\)"),
        ({"lr": -1}, "The 'lr' parameter of CNNClassifier must be"),
        ({"criterion": "cross_entropy"}, "'cross_entropy' does not suit multilabel targets"),
        ({"backbone": "small_cn"}, "There is no backbone 'small_cn'. Did you mean 'small_cnn'"),
        ({"image_shape": (32,)}, "image_shape must be"),
    ],
)
def test_wrong_parameters_are_refused(options: dict[str, Any], message: str) -> None:
    X, Y = make_scenes(8)
    with pytest.raises(ValueError, match=message):
        quick(**options).fit(X, Y)


def test_targets_of_another_length_are_refused_before_any_image_passes() -> None:
    X, Y = make_scenes(8)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        quick().fit(X, Y[:5])
    assert features.info().n_computed == 0


def test_it_must_be_fitted_before_it_predicts() -> None:
    with pytest.raises(NotFittedError, match="This CNNClassifier instance is not fitted yet"):
        quick().predict(make_scenes(2)[0])


def test_head_equals_the_extractor_and_a_linear_model_in_what_can_be_learnt() -> None:
    X, Y = make_scenes(96)
    extracted = CNNFeatureExtractor(Colours(), fingerprint="colours", image_size=8).fit_transform(X)
    linear = BinaryRelevance(LogisticRegression(C=100)).fit(extracted[:48], Y[:48]).predict(extracted[48:])
    head = colours(max_epochs=40).fit(X[:48], Y[:48]).predict(X[48:])
    np.testing.assert_array_equal(head, linear)


def test_a_criterion_that_does_not_suit_is_refused_before_any_image_is_read(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    classifier = CNNClassifier("small_cnn", weights=None, criterion="bp_mll")
    with pytest.raises(ValueError, match="does not suit binary"):
        classifier.fit([str(broken)] * 4, [0, 1, 0, 1])
