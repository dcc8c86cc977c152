"""CNNClassifier through its phases: what learns, on which pictures, and what predictions are made of."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from torch import nn

from skdeep import CNNClassifier
from skdeep._cnn_classifier import _Head, _ImageNetwork, _resting
from skdeep.backbones import build_backbone, resolve_backbone
from skdeep.images import Augmentation
from skdeep.training import Phase

Array = NDArray[Any]

HEAD, ALL = Phase(train="head", policy="constant"), Phase(policy="constant")


def quick(**options: Any) -> CNNClassifier:
    settled = {"weights": None, "image_size": 32, "max_epochs": 1, "cache": False, "precision": "float32"}
    return CNNClassifier(**{"backbone": "small_cnn", **settled, "random_state": 0, **options})


@pytest.fixture
def X() -> Array:
    return np.random.default_rng(0).integers(256, size=(12, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def Y(X: Array) -> Array:
    return (X[:, :16].mean(axis=(1, 2)) > X[:, 16:].mean(axis=(1, 2))).astype(int)


class Body(nn.Module):
    def __init__(self, n_filters: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, n_filters, 3), nn.BatchNorm2d(n_filters), nn.AdaptiveMaxPool2d(1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layers(pictures).flatten(1)


def weights_of(clf: CNNClassifier) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in clf.net_.module_.state_dict().items()}


def test_the_planet_recipe_goes_through_three_sizes(X: Array, Y: Array) -> None:
    clf = quick(phases="planet", lr=1e-3, max_epochs=3).fit(X, Y)
    assert clf.history_["image_size"].tolist() == [64] * 6 + [128] * 6 + [256] * 6
    assert clf.history_["train"].tolist() == (["head"] * 3 + ["all"] * 3) * 3
    assert clf.history_["epoch"].tolist() == list(range(1, 19))
    assert clf.n_iter_ == 18
    assert clf.backbone_.geometry.size == (256, 256)
    assert [phase.lr for phase in clf.phases_] == [1e-3] * 6


@pytest.mark.parametrize(
    ("phase", "moving"),
    [
        (HEAD, {"head"}),
        (Phase(train=2, lr_mult=(1, 1, 1)), {"head", "layer4", "layer3"}),
        (Phase(lr_mult=(0, 1, 1)), {"head", "layer4", "layer3"}),
        (ALL, {"head", "layer4", "layer3", "layer2", "layer1", "conv1", "bn1"}),
    ],
)
def test_only_what_a_phase_teaches_moves(phase: Phase, moving: set[str], X: Array, Y: Array) -> None:
    start = quick(backbone="resnet18", phases=[Phase(lr=1e-30)]).fit(X, Y)
    clf = quick(backbone="resnet18", phases=[Phase(lr=1e-30), phase], lr=0.01).fit(X, Y)
    before, after = weights_of(start), weights_of(clf)
    learnt = {name for name in dict(clf.net_.module_.named_parameters()) if not torch.equal(before[name], after[name])}
    assert {name.removeprefix("backbone.").split(".")[0] for name in learnt} == moving
    # statistics of what rests stay too
    still = [name for name in after if "running" in name and name.split(".")[1] not in moving | {"layers"}]
    assert all(torch.equal(before[name], after[name]) for name in still if not name.startswith("head"))
    assert len(still) > 0 or "conv1" in moving


class Odd(nn.Module):
    """Layers without parameters, and parameters that layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.plain_first = nn.BatchNorm2d(3, affine=False)
        self.first, self.plain, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Dropout(0.5)
        self.second, self.once, self.twice = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.last = nn.Dropout(0.5)
        self.twice.weight, self.twice.bias = self.once.weight, self.once.bias

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        early = self.drop(self.plain(self.first(self.plain_first(pictures))).relu())
        return self.last(self.twice(self.once(self.second(early)).relu())).mean((2, 3))


@pytest.mark.parametrize(
    ("learning", "resting"),
    [
        (["first", "second", "once"], set()),
        (["second", "once"], {"plain_first", "first", "plain", "drop"}),
        (["first"], {"second", "once", "twice", "last"}),
        (["first", "second"], {"once", "twice", "last"}),
    ],
)
def test_layers_rest_with_the_parameters_that_they_belong_to(learning: list[str], resting: set[str]) -> None:
    body = Odd()
    network = _ImageNetwork(None, body, _Head(4, 1, 0.0), "float32")  # type: ignore[arg-type]
    names = [name for name, _ in network.named_parameters() if name.split(".")[1] in learning]
    layers = _resting(network, [(0.0, ["backbone.first.bias"]), (1.0, names)], freeze_bn=False)
    assert {name for name, layer in body.named_modules() if any(layer is other for other in layers)} == resting
    assert bool(resting) or not layers
    frozen = _resting(network, [(1.0, names)], freeze_bn=True)
    assert {"plain_first", "plain", "once", "twice"} <= {n for n, m in body.named_modules() if m in frozen}


def test_statistics_of_norms_that_share_weights_are_those_of_training_pictures(X: Array, Y: Array) -> None:
    body = quick(backbone=Odd(), phases=[ALL], max_epochs=3, lr=0.01).fit(X, Y).net_.module_.backbone
    for norm in (body.plain_first, body.plain, body.once, body.twice):
        assert norm.num_batches_tracked > 0


def test_frozen_statistics_stay_while_scales_learn(X: Array, Y: Array) -> None:
    clf = quick(backbone="resnet18", phases=[Phase(freeze_bn=True)], lr=0.01).fit(X, Y)
    norms = {n: m for n, m in clf.net_.module_.backbone.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for norm in norms.values():
        torch.testing.assert_close(norm.running_mean, torch.zeros_like(norm.running_mean))
        torch.testing.assert_close(norm.running_var, torch.ones_like(norm.running_var))
    assert any((norm.weight != 1).any() for norm in norms.values())


def test_statistics_are_adapted_to_the_pictures_of_a_phase(X: Array, Y: Array) -> None:
    options = {"backbone": "resnet18", "lr": 1e-30, "batch_size": 4, "dropout": 0.0}
    plain, adapted = (quick(phases=[Phase(train="head", adapt_bn=a)], **options).fit(X, Y) for a in (False, True))
    assert not hasattr(plain.net_.module_, "backbone")
    stem = adapted.net_.module_.backbone
    with torch.no_grad():
        pictures = adapted.net_.module_.description.normalise(torch.from_numpy(X).permute(0, 3, 1, 2))
        maps = stem.conv1(pictures)
    torch.testing.assert_close(stem.bn1.running_mean, maps.mean(dim=(0, 2, 3)), rtol=1e-3, atol=1e-4)
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(stem.parameters(), build_backbone(plain.backbone_, "cpu").parameters(), strict=True)
    )
    # the head stands on what the adapted network gives
    np.testing.assert_allclose(adapted.net_.module_.head.layers[0].running_mean, features_of(adapted, X).mean(axis=0),
                               rtol=1e-3, atol=1e-4)  # fmt: skip


def features_of(clf: CNNClassifier, X: Array) -> Array:
    with torch.no_grad():
        description: Any = clf.net_.module_.description
        pictures = description.normalise(torch.from_numpy(X).permute(0, 3, 1, 2))
        return clf.net_.module_.backbone.eval()(pictures).flatten(1).numpy()


def test_the_head_learns_on_activations_of_what_the_body_has_learnt(X: Array, Y: Array) -> None:
    phases = [Phase(policy="constant", max_epochs=4, lr=0.01), HEAD]
    clf = quick(phases=phases, dropout=0.0, max_epochs=60, lr=0.05).fit(X, Y)
    # a head that learnt on activations of the untrained body could not answer for those of the trained one
    assert (clf.predict(X) == Y).mean() > 0.95


@pytest.mark.parametrize("backbone", ["small_cnn", "resnet18"])
@pytest.mark.parametrize("augmentation", [None, "side_on"])
def test_predictions_are_those_of_the_trained_net(backbone: str, augmentation: Any, X: Array, Y: Array) -> None:
    clf = quick(backbone=backbone, phases=[HEAD, ALL, HEAD], augmentation=augmentation, max_epochs=2).fit(X, Y)
    with torch.no_grad():
        pictures = torch.from_numpy(X).permute(0, 3, 1, 2)
        expected = clf.net_.module_.eval()(images=pictures, side_features=torch.zeros(len(X), 0)).numpy()
    np.testing.assert_allclose(clf.decision_function(X), expected, rtol=1e-3, atol=1e-4)


def test_a_network_that_was_changed_after_fit_predicts_as_it_is(X: Array, Y: Array) -> None:
    clf = quick(phases="from_scratch").fit(X, Y)
    before = clf.predict_proba(X)
    with torch.no_grad():
        clf.net_.module_.backbone.dense[1].weight.mul_(3)
    assert np.abs(clf.predict_proba(X) - before).max() > 1e-3


class Noted:
    """A transform that notes what it is given."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, picture: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(picture.shape))
        return picture.flip(-1)


@pytest.mark.parametrize("phase", [HEAD, ALL])
def test_training_pictures_alone_are_augmented(phase: Phase, X: Array, Y: Array) -> None:
    noted = Noted()
    clf = quick(phases=[phase], max_epochs=3, augmentation=noted).fit(X, Y, X_val=X[:5], y_val=Y[:5])
    assert len(noted.seen) == 3 * 12
    clf.predict(X)
    assert len(noted.seen) == 3 * 12
    clf.set_params(tta=2).predict(X)
    assert len(noted.seen) == 3 * 12 + 2 * 12


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_augmentation_changes_what_is_learnt(phases: str, X: Array, Y: Array) -> None:
    plain, other = (quick(phases=phases, augmentation=a).fit(X, Y) for a in (None, "top_down"))
    assert np.abs(plain.predict_proba(X) - other.predict_proba(X)).max() > 1e-5


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
@pytest.mark.parametrize("augmentation", [Augmentation(mixup=0.4), Augmentation("side_on", cutmix=1.0)])
def test_pictures_are_mixed_for_labels_and_classes(phases: str, augmentation: Any, X: Array, Y: Array) -> None:
    for y in (Y, Y[:, 0], np.arange(12) % 3):
        plain, mixed = (quick(phases=phases, augmentation=a, max_epochs=2).fit(X, y) for a in (None, augmentation))
        assert np.abs(plain.predict_proba(X) - mixed.predict_proba(X)).max() > 1e-5
        assert mixed.predict(X).shape == y.shape
    with pytest.raises(ValueError, match="'bp_mll' cannot learn from mixed targets"):
        quick(criterion="bp_mll", augmentation=augmentation).fit(X, Y)


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_views_are_averaged_and_each_picture_stands_for_itself(phases: str, X: Array, Y: Array) -> None:
    clf = quick(phases=phases, augmentation="side_on").fit(X, Y)
    plain = clf.predict_proba(X)
    clf.set_params(tta=3)
    averaged = clf.predict_proba(X)
    assert np.abs(averaged - plain).max() > 1e-5
    singly = np.vstack([clf.predict_proba(X[row : row + 1]) for row in range(len(X))])
    np.testing.assert_allclose(singly, averaged, rtol=1e-4)
    augmentation = Augmentation("side_on")
    pictures = torch.from_numpy(X).permute(0, 3, 1, 2)
    views = [augmentation.view(pictures, k, clf._seed).permute(0, 2, 3, 1).numpy() for k in (1, 2, 3)]
    clf.set_params(tta=0)
    expected = np.mean([plain, *(clf.predict_proba(view) for view in views)], axis=0)
    np.testing.assert_allclose(averaged, expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_averaged_decisions_and_probabilities_agree(kind: str, X: Array) -> None:
    y = np.arange(12) % (2 if kind == "binary" else 3)
    clf = quick(augmentation="side_on", tta=2).fit(X, y)
    probabilities, decision = clf.predict_proba(X), clf.decision_function(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    if kind == "binary":
        np.testing.assert_allclose(decision, logit(probabilities[:, 1]), atol=1e-10)
    else:
        np.testing.assert_allclose(np.exp(decision), probabilities, rtol=1e-10)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[probabilities.argmax(axis=1)])


@pytest.mark.parametrize("phases", [[Phase(policy="sgdr", max_epochs=3, cycle_mult=2)], [HEAD]])
def test_snapshots_are_averaged(phases: list[Phase], X: Array, Y: Array) -> None:
    clf = quick(phases=phases, averaging="snapshots", lr=0.05).fit(X, Y)
    assert len(clf.snapshots_) == (2 if phases[0].policy == "sgdr" else 1)
    single = []
    for network, geometry in zip(clf.snapshots_, clf._geometries, strict=True):
        alone = copy.copy(clf)
        alone.snapshots_, alone._geometries = [network], [geometry]
        single.append(alone.predict_proba(X))
    np.testing.assert_allclose(clf.predict_proba(X), np.mean(single, axis=0), rtol=1e-6)
    if len(single) > 1:
        assert np.abs(single[0] - single[1]).max() > 1e-4


@pytest.mark.parametrize("trained", [("head", "head"), ("head", "all"), ("all", "all"), ("all", "head")])
def test_networks_of_two_sizes_predict_together(trained: tuple[Any, Any], X: Array, Y: Array) -> None:
    options = {"augmentation": None if trained == ("head", "head") else "top_down", "lr": 0.05}
    sides = dict(zip((16, 32), trained, strict=True))
    small, large = (Phase(train=train, image_size=side, snapshot=True) for side, train in sides.items())
    before, pair = (quick(phases=phases, **options).fit(X, Y) for phases in ([small], [small, large]))
    after = quick(phases=[replace(small, snapshot=False), large], **options).fit(X, Y)
    assert len(pair.snapshots_) == 2
    assert pair.snapshots_[-1] is pair.net_.module_
    expected = (before.predict_proba(X) + after.predict_proba(X)) / 2
    np.testing.assert_allclose(pair.predict_proba(X), expected, rtol=1e-6)
    assert np.abs(before.predict_proba(X) - after.predict_proba(X)).max() > 1e-3
    if options["augmentation"]:  # with other views, each at its size too
        one, two, both = (clf.set_params(tta=2).predict_proba(X) for clf in (before, after, pair))
        np.testing.assert_allclose(both, (one + two) / 2, rtol=1e-6)
    again = pickle.loads(pickle.dumps(pair))
    np.testing.assert_array_equal(again.predict_proba(X), pair.predict_proba(X))
    assert again.snapshots_[-1] is again.net_.module_
    # where learning goes on, the last one does
    assert pair.set_params(phases=[large]).partial_fit(X, Y).snapshots_ == []


def test_a_moving_average_predicts_otherwise_than_the_last_weights(X: Array, Y: Array) -> None:
    options = {"phases": "from_scratch", "batch_size": 2, "max_epochs": 5}
    plain, averaged = (quick(averaging=averaging, **options).fit(X, Y) for averaging in (None, "ema"))
    assert np.abs(plain.predict_proba(X) - averaged.predict_proba(X)).max() > 1e-5


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch", "fine_tune"])
def test_a_stochastic_average_predicts_and_learning_goes_on_from_it(phases: str, X: Array, Y: Array) -> None:
    options = {"phases": phases, "batch_size": 4, "max_epochs": 8, "lr": 0.01}
    plain, averaged = (quick(averaging=averaging, **options).fit(X, Y) for averaging in (None, "swa"))
    before = averaged.predict_proba(X)
    assert np.abs(plain.predict_proba(X) - before).max() > 1e-5
    assert averaged.snapshots_ == []
    # at next to no rate the average is what goes on
    averaged.set_params(lr=1e-12, dropout=0.0, phases=[ALL]).partial_fit(X, Y)
    for name, weight in weights_of(averaged).items():
        assert torch.isfinite(weight.float()).all(), name
    assert averaged.history_["train_loss"].iloc[-1] < 2 * averaged.history_["train_loss"].iloc[-2] + 0.5


def test_statistics_of_a_stochastic_average_are_those_of_all_training_pictures(X: Array, Y: Array) -> None:
    clf = quick(backbone=Body(), phases=[ALL], averaging="swa", batch_size=4, max_epochs=4, lr=0.01).fit(X, Y)
    body = clf.net_.module_.backbone
    with torch.no_grad():
        maps = body.layers[0](torch.from_numpy(X).permute(0, 3, 1, 2) / 255)
    torch.testing.assert_close(body.layers[1].running_mean, maps.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scoring", ["loss", "average_precision", "f2_samples", "neg_hamming_loss"])
@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_early_stopping_takes_any_scorer(scoring: str, phases: str, X: Array) -> None:
    Y = np.array([[1, 0], [0, 1]] * 6)
    clf = quick(phases=phases, scoring=scoring, early_stopping=True, validation_fraction=0.5, n_iter_no_change=2)
    clf.set_params(max_epochs=50, tol=1.0).fit(X, Y)
    assert len(clf.history_) == 3
    assert clf.history_["valid_loss"].notna().all()
    assert clf.history_["score"].notna().all() == (scoring != "loss")


def test_a_score_that_is_nan_cannot_say_when_to_stop(X: Array) -> None:
    Y = np.array([[1, 0], [0, 1]] * 6)
    held = {"X_val": X[:4], "y_val": [[1, 0], [0, 0], [1, 0], [0, 0]]}
    clf = quick(scoring="roc_auc", early_stopping=True, augmentation=Noted())
    with pytest.raises(ValueError, match="scoring='roc_auc' is NaN for the multilabel targets that are held out"):
        clf.fit(X, Y, **held)
    assert clf.augmentation.seen == []
    with pytest.warns(UserWarning, match="Only one class is present|undefined|not defined"):
        history = clf.set_params(early_stopping=False).fit(X, Y, **held).history_
    assert history["score"].isna().all()
    # the user's own function is not tried
    clf.set_params(early_stopping=True, scoring=lambda *_: np.nan, max_epochs=3, augmentation=None)
    with pytest.warns(UserWarning, match="scoring gave NaN after each epoch of phase 1, of which the first one's"):
        clf.fit(X, Y, **held)


def test_a_ranking_goes_on_with_the_threshold_of_all_calls(X: Array, Y: Array) -> None:
    clf = quick(criterion="bp_mll").fit(X, Y)
    before = clf.threshold_
    clf.set_params(lr=1e-12).partial_fit(X[:2], Y[:2])
    assert before.gram[-1, -1] == 12
    assert clf.threshold_.gram[-1, -1] == 14
    assert np.abs(clf.threshold_.coef - before.coef).max() < 1


@pytest.mark.parametrize("scoring", ["f1_micro", "neg_hamming_loss", "f2_at_threshold"])
def test_a_ranking_is_not_judged_by_decisions(scoring: str, X: Array) -> None:
    Y = np.array([[1, 0], [0, 1]] * 6)
    clf = quick(criterion="bp_mll", early_stopping=True, validation_fraction=0.5, augmentation=Noted())
    with pytest.raises(
        ValueError, match=r"cannot judge epochs of criterion='bp_mll', .* use 'loss' or a scorer that ranks"
    ):
        clf.set_params(scoring=scoring).fit(X, Y)
    assert clf.augmentation.seen == []
    for ranking in ("loss", "neg_ranking_loss", "neg_one_error"):
        history = clf.set_params(scoring=ranking).fit(X, Y).history_
        assert history["score"].notna().all() == (ranking != "loss")


@pytest.mark.parametrize("scoring", ["accuracy", make_scorer(accuracy_score)])
def test_scorers_are_given_the_weights_that_they_accept(scoring: Any, X: Array) -> None:
    y, seen = np.arange(12) % 2, []

    def noting(estimator: Any, X: Array, y: Array, sample_weight: Any = None) -> float:
        seen.append(sample_weight)
        return accuracy_score(y, estimator.predict(X), sample_weight=sample_weight)

    options = {"early_stopping": True, "validation_fraction": 0.5, "n_iter_no_change": 5, "max_epochs": 3}
    weights = np.linspace(0.1, 10, 12)
    histories = [quick(scoring=s, **options).fit(X, y, weights).history_ for s in (scoring, noting)]
    assert histories[0]["score"].tolist() == histories[1]["score"].tolist()
    assert len(seen) >= 3
    assert all(len(some) == 6 and set(some) <= set(weights) for some in seen)
    # what does not ask for weights, or has none that differ, is given none
    quick(scoring=lambda estimator, X, y: 0.0, **options).fit(X, y, weights)
    seen.clear()
    quick(scoring=noting, **options).fit(X, y)
    assert set(seen) == {None}


def test_a_validation_set_is_watched_and_stops_nothing_unless_asked(X: Array, Y: Array) -> None:
    plain = quick(max_epochs=5).fit(X, Y)
    watched = quick(max_epochs=5).fit(X, Y, X_val=list(X[:4]), y_val=Y[:4])
    np.testing.assert_array_equal(watched.predict_proba(X), plain.predict_proba(X))
    assert watched.history_["valid_loss"].notna().all()
    assert plain.history_["valid_loss"].isna().all()


@pytest.mark.parametrize("y", [np.arange(12) % 3, np.array(list("abcd") * 3)])
def test_scores_of_classes_are_those_of_the_best_epoch(y: Array, X: Array) -> None:
    clf = quick(max_epochs=8, lr=0.1, early_stopping=True, scoring="accuracy", n_iter_no_change=20)
    clf.fit(X, y, X_val=X[:6], y_val=y[:6])
    assert (clf.predict(X[:6]) == y[:6]).mean() == clf.history_["score"].max()


@pytest.mark.parametrize(
    ("X_val", "y_val", "message"),
    [
        (None, np.zeros((3, 3)), "X_val and y_val must be given together"),
        (np.zeros((3, 32, 32, 3), dtype=np.uint8), np.zeros((3, 2)), "y_val must have the 3 labels of y, got 2"),
        (np.zeros((3, 32, 32, 3), dtype=np.uint8), np.zeros((2, 3)), "inconsistent numbers of samples"),
    ],
)
def test_a_validation_set_that_does_not_fit_is_refused(X_val: Any, y_val: Any, message: str, X: Array) -> None:
    with pytest.raises(ValueError, match=message):
        quick().fit(X, np.zeros((12, 3)), X_val=X_val, y_val=y_val)


def test_classes_that_were_never_learnt_cannot_be_validated(X: Array) -> None:
    with pytest.raises(ValueError, match="y_val holds classes that y does not: 'c'"):
        quick().fit(X, list("ab" * 6), X_val=X[:2], y_val=["a", "c"])


def test_warm_start_goes_on_where_fit_ended(X: Array, Y: Array) -> None:
    for first, second in ((HEAD, HEAD), (HEAD, ALL), (ALL, HEAD), (ALL, ALL)):
        clf = quick(phases=[first], warm_start=True, lr=0.01, max_epochs=20, dropout=0.0).fit(X, Y)
        loss = clf.history_["train_loss"].iloc[-1]
        clf.set_params(phases=[second], lr=1e-9, max_epochs=1).fit(X, Y)
        assert clf.history_["train_loss"].iloc[0] == pytest.approx(loss, abs=0.25)
        assert hasattr(clf.net_.module_, "backbone") == (ALL in (first, second))


def test_parts_are_learnt_as_the_whole_is(X: Array, Y: Array) -> None:
    whole = quick(phases=[ALL], max_epochs=3).fit(X, Y)
    parts = quick(phases=[HEAD, ALL])
    for _ in range(3):
        parts.partial_fit(X, Y)
    for (name, ours), theirs in zip(weights_of(parts).items(), weights_of(whole).values(), strict=True):
        # batch normalisation keeps its moving averages
        assert torch.equal(ours, theirs) or "running" in name or "num_batches" in name
    assert parts.history_["epoch"].tolist() == [1, 2, 3]
    copied = copy.deepcopy(parts)
    for clf in (parts, copied):
        clf.partial_fit(X, Y)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(parts).values(), weights_of(copied).values(), strict=True))


def test_parts_need_all_classes_to_be_announced(X: Array) -> None:
    y = np.array(list("abc" * 4))
    with pytest.raises(ValueError, match="classes must be passed at the first call of partial_fit"):
        quick().partial_fit(X, y)
    clf = quick().partial_fit(X[:4], ["a", "b"] * 2, classes=list("abc"))
    assert clf.partial_fit(X, y).predict_proba(X).shape == (12, 3)
    with pytest.raises(ValueError, match="'d'"):
        clf.partial_fit(X[:2], ["a", "d"])


def test_a_rate_is_looked_for_and_the_estimator_stays_as_it_is(X: Array, Y: Array) -> None:
    for clf in (quick(phases=[HEAD, ALL], backbone="resnet18"), quick(phases=[HEAD]).fit(X, Y)):
        before = dict(vars(clf))
        curve = clf.find_lr(X, Y, phase=len(clf.phases) - 1, n_steps=40)
        assert vars(clf) == before or all(vars(clf)[name] is before[name] for name in before)
        assert len(curve.rates) == len(curve.losses) > 5
        assert curve.rates[0] == pytest.approx(1e-7)
    with pytest.raises(ValueError, match="phase must be the position of one of 1 phases, got 1"):
        clf.find_lr(X, Y, phase=1)


def test_auto_takes_the_rate_that_is_found(X: Array, Y: Array) -> None:
    clf = quick(lr="auto", phases=[HEAD, Phase(lr=0.125)], dropout=0.0).fit(X, Y)
    rate, given = (phase.lr for phase in clf.phases_)
    assert given == 0.125
    assert rate == pytest.approx(clf.find_lr(X, Y).suggestion)


def test_phases_must_agree_on_the_number_of_features(X: Array, Y: Array) -> None:
    clf = quick(backbone="resnet18", pool="flatten", phases=[Phase(image_size=32), Phase(image_size=64)])
    with pytest.raises(ValueError, match=r"as many features, got \[512, 2048\] for their image sizes \[32, 64\]"):
        clf.fit(X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tta": 2}, "tta=2 needs an augmentation that makes other views"),
        ({"tta": 2, "augmentation": Augmentation(mixup=0.2)}, "needs an augmentation that makes other views"),
        ({"phases": []}, "The 'phases' parameter of CNNClassifier must be"),
        ({"augmentation": "sideways"}, "The 'augmentation' parameter must be a str among"),
        ({"optimizer": "lamb"}, "The 'optimizer' parameter of CNNClassifier must be a str among"),
        ({"averaging": "mean"}, "The 'averaging' parameter of CNNClassifier must be"),
        ({"lr": "best"}, "The 'lr' parameter of CNNClassifier must be"),
        ({"micro_batch_size": 1}, "The 'micro_batch_size' parameter of CNNClassifier must be"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str, X: Array, Y: Array) -> None:
    with pytest.raises(ValueError, match=message):
        quick(**options).fit(X, Y)


def test_the_summary_lists_all_layers(X: Array, Y: Array) -> None:
    probe, whole = quick().fit(X, Y), quick(phases="from_scratch").fit(X, Y)
    for clf in (probe, whole):
        layers = clf.summary()
        assert layers["layer"].tolist()[0] == "blocks.0.0"
        assert layers["layer"].tolist()[-1] == "head.layers.2"
        assert layers["output_shape"].tolist()[-1] == (3,)
    n_parameters = sum(weight.numel() for weight in whole.net_.module_.parameters())
    assert layers["n_parameters"].sum() == n_parameters
    assert not probe.summary().set_index("layer").loc["blocks.0.0", "trainable"]
    assert whole.summary().set_index("layer").loc["blocks.0.0", "trainable"]


def test_a_summary_takes_nothing_from_later_fits(X: Array, Y: Array) -> None:
    def all_learn(clf: CNNClassifier) -> bool:
        return bool(clf.summary().query("n_parameters > 0")["trainable"].all())

    for backbone in ("small_cnn", Body()):
        clf = quick(backbone=backbone).fit(X, Y)
        clf.summary()
        clf.set_params(phases="from_scratch").fit(X, Y)
        assert all_learn(clf)
        clf.set_params(phases=[HEAD]).fit(X, Y).summary()
        assert all_learn(clf.set_params(phases=[ALL]).partial_fit(X, Y))


def test_numbers_beside_pictures_reach_the_head_in_every_phase(X: Array, Y: Array) -> None:
    rows = np.repeat(X[:1].reshape(1, -1), 12, axis=0)
    beside = np.hstack([rows, Y[:, :1] * 100.0]).astype(np.float32)
    options = {"image_shape": (32, 32, 3), "pixel_range": 255, "max_epochs": 30, "lr": 0.02, "dropout": 0.0}
    for phases in ([HEAD], [HEAD, ALL], [ALL, HEAD]):
        for augmentation in (None, "side_on"):
            clf = quick(phases=phases, augmentation=augmentation, **options).fit(beside, Y[:, 0])
            other = beside.copy()
            other[:, -1] = 100 - other[:, -1]
            change = np.abs(expit(clf.decision_function(other)) - expit(clf.decision_function(beside)))
            assert change.mean() > 0.2, (phases, augmentation)


def test_fits_of_one_seed_are_equal_to_the_bit_with_all_that_is_random(X: Array, Y: Array) -> None:
    clf = quick(phases=[HEAD, ALL], augmentation=Augmentation("top_down", mixup=0.4, cutmix=0.4), averaging="ema")
    torch.manual_seed(7)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = clone(clf).fit(X, Y), clone(clf).fit(X, Y)
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002
    assert all(torch.equal(a, b) for a, b in zip(weights_of(first).values(), weights_of(second).values(), strict=True))
    other = clone(clf).set_params(random_state=1).fit(X, Y)
    assert not all(
        torch.equal(a, b) for a, b in zip(weights_of(first).values(), weights_of(other).values(), strict=True)
    )


@pytest.mark.parametrize("precision", ["bf16", "float16"])
def test_low_precision_learns(precision: str, X: Array) -> None:
    y = np.arange(12) % 2
    X = np.where(y[:, None, None, None] == 1, X // 4 + 190, X // 4)
    clf = quick(phases=[HEAD, ALL], precision=precision, max_epochs=15, lr=0.01).fit(X, y)
    assert (clf.predict(X) == y).all()


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_a_caller_in_inference_mode_learns_and_predicts_all_the_same(phases: str, X: Array, Y: Array) -> None:
    plain = quick(phases=phases, pos_weight=2.0).fit(X, Y)
    with torch.inference_mode():
        fitted = quick(phases=phases, pos_weight=2.0).fit(X, Y)
        unpickled = pickle.loads(pickle.dumps(plain))
        for clf in (fitted, unpickled):
            np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), rtol=1e-6)
    # what was made in inference mode keeps no account of its changes
    with torch.inference_mode():
        for weight in unpickled.net_.module_.parameters():
            weight.mul_(2)
    assert np.abs(unpickled.predict_proba(X) - plain.predict_proba(X)).max() > 1e-4
    for clf in (plain, fitted):
        clf.set_params(lr=1e-2).partial_fit(X, Y)
    np.testing.assert_allclose(fitted.predict_proba(X), plain.predict_proba(X), rtol=1e-5)


def test_views_that_nothing_makes_any_more_are_refused(X: Array, Y: Array) -> None:
    clf = quick().fit(X, Y).set_params(tta=2)
    with pytest.raises(ValueError, match="tta=2 needs an augmentation that makes other views of pictures"):
        clf.predict(X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scoring": "nonsense"}, "'nonsense' is no scorer of skdeep"),
        ({"scoring": "f1", "early_stopping": True}, r"scoring='f1' cannot score the binary targets .*pos_label=1"),
        (
            {"scoring": make_scorer(f1_score), "early_stopping": True},
            r"scoring=make_scorer\(f1_score.*cannot score the binary targets .*pos_label=1",
        ),
        ({"phases": [HEAD, Phase(lr_mult=(1,) * 40)]}, "SmallCNN can be cut into 1 to 4 groups of layers, got n_gr"),
        ({"phases": [ALL, Phase(train="head", lr_mult=(1,) * 40)]}, "SmallCNN can be cut into 1 to 4 groups of layers"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_learnt(options: dict[str, Any], message: str, X: Array) -> None:
    noted = Noted()
    with pytest.raises(ValueError, match=message):
        quick(augmentation=noted, **options).fit(X, list("ab" * 6))
    assert noted.seen == []


def test_early_stopping_that_leaves_one_image_to_learn_from_is_refused(X: Array) -> None:
    clf = quick(early_stopping=True, validation_fraction=0.9)
    with pytest.raises(ValueError, match="at least 2 images to learn from, got 1 sample beside the 2 that early_stop"):
        clf.fit(X[:3], np.ones((3, 2)))
    clf.fit(X[:3], np.ones((3, 2)), X_val=X[3:], y_val=np.ones((9, 2)))


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (list("ab" * 6), list("bc" * 6), r"'a', 'b'.*'c'|not announced: 'c'"),
        (list("ab" * 6), np.eye(12, 2, dtype=int), "What was learnt are classes, but y holds labels"),
        (np.eye(12, 2, dtype=int), list("ab" * 6), "What was learnt are labels, but y holds classes"),
        (np.eye(12, 2, dtype=int), np.eye(12, 3, dtype=int), "y must have the 2 labels that were learnt, got 3"),
        (
            pd.DataFrame(np.eye(12, 2, dtype=int), columns=["haze", "road"]),
            pd.DataFrame(np.eye(12, 2, dtype=int), columns=["road", "haze"]),
            "the labels that were learnt, in the same order: haze, road, got road, haze",
        ),
    ],
)
def test_learning_goes_on_with_the_same_targets_only(
    warm: bool, first: Any, second: Any, message: str, X: Array
) -> None:
    clf = quick(phases=[ALL], warm_start=warm).fit(X, first)
    expected = clf.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        (clf.fit if warm else clf.partial_fit)(X, second)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    (clf.fit if warm else clf.partial_fit)(X, np.asarray(first))
    assert getattr(clf, "label_names_", [None])[0] in {None, "haze", "y0"}


def test_a_warm_start_needs_all_classes_again_and_parts_may_lack_some(X: Array) -> None:
    clf = quick(warm_start=True).fit(X, list("abc" * 4))
    with pytest.raises(ValueError, match="y must hold the classes that were learnt, 'a', 'b', 'c', got 'a', 'b'"):
        clf.fit(X, list("ab" * 6))
    assert clf.partial_fit(X, list("ab" * 6), classes=list("cba")).predict_proba(X).shape == (12, 3)
    with pytest.raises(ValueError, match="classes must be those that were announced before, 'a', 'b', 'c', got 'a'"):
        clf.partial_fit(X, list("ab" * 6), classes=list("ab"))


def test_a_warm_start_keeps_the_random_network_that_its_head_has_learnt_on(X: Array, Y: Array) -> None:
    clf = quick(warm_start=True, random_state=np.random.RandomState(0)).fit(X, Y)
    expected = clf.backbone_.weights
    assert clf.set_params(lr=1e-30).fit(X, Y).backbone_.weights == expected
    assert clf.partial_fit(X, Y).backbone_.weights == expected
    clf.set_params(phases=[ALL]).fit(X, Y)
    body = build_backbone(resolve_backbone("small_cnn", weights=None, image_size=32, seed=expected.seed), "cpu")
    for name, weight in body.named_parameters():
        torch.testing.assert_close(clf.net_.module_.backbone.get_parameter(name), weight)


@pytest.mark.parametrize("phase", [HEAD, ALL])
@pytest.mark.parametrize(
    ("before", "after", "other"),
    [
        ({}, {"backbone": "resnet18"}, "backbone"),
        ({"backbone": "resnet18"}, {"pool": "max"}, "pool"),
        ({"backbone": "resnet18"}, {"backbone": "resnet34"}, "backbone"),
        ({"backbone": Body}, {"backbone_params": {"n_filters": 5}}, "number of features"),
        ({}, {"backbone": Body()}, "backbone"),
        ({"backbone": Body()}, {"backbone": "small_cnn"}, "backbone"),
    ],
)
def test_learning_cannot_go_on_with_another_network(
    phase: Phase, before: Any, after: Any, other: str, X: Array, Y: Array
) -> None:
    clf = quick(phases=[phase], warm_start=True, **before).fit(X, Y)
    for go_on in (clf.set_params(**after).fit, clf.partial_fit):
        with pytest.raises(ValueError, match=f"the network that was fitted. It has other .*{other}"):
            go_on(X, Y)


def test_a_warm_start_on_other_channels_is_refused(X: Array, Y: Array) -> None:
    clf = quick(phases=[ALL], warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"other number of channels, .*number of channels: 3.*number of channels: 4"):
        clf.fit(np.concatenate([X, X[..., :1]], axis=-1), Y)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("phase", [HEAD, ALL])
def test_what_is_set_anew_holds_where_learning_goes_on(method: str, phase: Phase, X: Array, Y: Array) -> None:
    clf = quick(phases=[phase], warm_start=True).fit(X, Y)
    clf.set_params(precision="bf16", dropout=0.75, micro_batch_size=4)
    getattr(clf, method)(X, Y)
    module = clf.net_.module_
    head = getattr(module, "head", module)
    assert [layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)] == [0.75]
    assert (clf.net_.precision, clf.precision_, getattr(module, "precision", "bf16")) == ("bf16",) * 3
    assert clf.net_.micro_batch_size == 4
    clf.net_.micro_batch_size = 2  # as where memory ran out
    assert clf.partial_fit(X, Y).net_.micro_batch_size == 2
    assert clf.set_params(micro_batch_size=None).partial_fit(X, Y).net_.micro_batch_size is None


def test_parts_learn_what_the_phase_of_each_call_says(X: Array, Y: Array) -> None:
    clf = quick(phases="linear_probe", lr=0.01).fit(X, Y)
    moving = []
    for phase in (ALL, HEAD, Phase(lr_mult=(0, 1, 1)), ALL):
        before = weights_of(clf)
        clf.set_params(phases=[phase]).partial_fit(X, Y)
        after = dict(clf.net_.module_.named_parameters())
        moving.append({name for name in after if name in before and not torch.equal(before[name], after[name])})
    first, head, last, everything = (sum("backbone" in name for name in names) for names in moving)
    assert (first, head) == (0, 0)  # there was no body before the first call
    assert 0 < last < everything == sum("backbone" in name for name in dict(clf.net_.module_.named_parameters()))
    assert len(moving[1]) == 4
    assert clf.history_["train"].tolist()[-4:] == ["all", "head", "all", "all"]


def test_frozen_statistics_follow_the_phase_of_each_call(X: Array, Y: Array) -> None:
    clf = quick(backbone=Body(), phases=[Phase(freeze_bn=True)]).partial_fit(X, Y)
    norm = clf.net_.module_.backbone.layers[1]
    assert torch.equal(norm.running_mean, torch.zeros(4))
    clf.set_params(phases=[ALL]).partial_fit(X, Y)
    assert not torch.equal(clf.net_.module_.backbone.layers[1].running_mean, torch.zeros(4))


def test_an_optimizer_remembers_until_it_is_another_one(X: Array, Y: Array) -> None:
    def n_steps(clf: CNNClassifier) -> float:
        return max(float(state["step"]) for state in clf.net_.optimizer_.state.values())

    clf = quick(phases=[ALL]).partial_fit(X, Y).partial_fit(X, Y)
    assert n_steps(clf) == 2
    assert n_steps(clf.set_params(weight_decay=0.5).partial_fit(X, Y)) == 1
    assert {group["weight_decay"] for group in clf.net_.optimizer_.param_groups} == {0.0, 0.5}
    assert n_steps(clf.set_params(lr=1e-4, dropout=0.1).partial_fit(X, Y)) == 2
    assert isinstance(clf.set_params(optimizer="sgd").partial_fit(X, Y).net_.optimizer_, torch.optim.SGD)


def interrupt(picture: torch.Tensor) -> torch.Tensor:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"lr": 1e30, "optimizer": "sgd"}, ValueError),
        ({"augmentation": interrupt}, KeyboardInterrupt),
        ({"phases": [Phase(lr_mult=(1,) * 40)]}, ValueError),
        ({"criterion": "focal", "phases": [HEAD], "augmentation": interrupt}, KeyboardInterrupt),
    ],
)
def test_a_part_that_fails_leaves_the_estimator_as_it_was(other: Any, error: Any, X: Array, Y: Array) -> None:
    clf = quick(phases=[ALL], batch_size=4).partial_fit(X, Y)
    untouched = copy.deepcopy(clf)
    expected, criterion, options = clf.predict_proba(X), clf.net_.criterion_, clf.get_params()
    with pytest.raises(error):
        clf.set_params(**other).partial_fit(X, Y)
    clf.set_params(**options)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    assert clf.n_iter_ == len(clf.history_) == 1
    assert clf.net_.criterion_ is criterion
    for one in (clf, untouched):
        one.partial_fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), untouched.predict_proba(X))


def test_parts_learn_at_the_rate_that_fit_found(X: Array, Y: Array) -> None:
    clf = quick(lr="auto", phases=[ALL], dropout=0.0)
    with pytest.raises(ValueError, match="partial_fit cannot look for lr='auto'"):
        clf.partial_fit(X, Y)
    clf.fit(X, Y).partial_fit(X, Y)
    assert clf.history_["lr"].iloc[-1] == clf.phases_[0].lr


@pytest.mark.parametrize("name", ["class_weight", "pos_weight"])
def test_parts_cannot_tell_what_is_balanced(name: str, X: Array, Y: Array) -> None:
    with pytest.raises(ValueError, match=f"{name}='balanced' is not for partial_fit, which sees a part of y"):
        quick(**{name: "balanced"}).partial_fit(X, Y)
