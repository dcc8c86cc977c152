"""CNNClassifier inside scikit-learn: searches, cross-validation, thresholds, several outputs, chains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skmultilearn import problem_transform

from skdeep import CNNClassifier, Phase
from skdeep._cnn_classifier import _Head
from skdeep.images import Augmentation
from skdeep.multilabel import BinaryRelevance, ClassifierChain, LabelPowerset

Array = NDArray[Any]

TWO_PHASES = [Phase(train="head", policy="constant", max_epochs=1), Phase(policy="one_cycle")]


def quick(**options: Any) -> CNNClassifier:
    settled = {"weights": None, "image_size": 32, "max_epochs": 2, "cache": False, "precision": "float32"}
    return CNNClassifier(**{"backbone": "small_cnn", **settled, "phases": TWO_PHASES, "random_state": 0, **options})


@pytest.fixture
def Y() -> Array:
    return np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 6)


@pytest.fixture
def X(Y: Array) -> Array:
    """Pictures whose red and green say which labels they have."""
    noise = np.random.default_rng(0).integers(60, size=(24, 8, 8, 3))
    noise[..., :2] += 150 * Y[:, None, None, :]
    return noise.astype(np.uint8)


def test_a_search_varies_phases_losses_and_rates(X: Array, Y: Array) -> None:
    grid = {
        "phases": ["linear_probe", TWO_PHASES],
        "criterion": ["bce", "focal"],
        "augmentation": [None, "side_on", Augmentation(mixup=0.4)],
        "lr": [1e-3],
    }
    search = GridSearchCV(quick(), grid, scoring="average_precision", cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 12
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict_proba(X).shape == (24, 2)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_gives_the_same_in_other_processes(n_jobs: int, X: Array, Y: Array) -> None:
    search = GridSearchCV(quick(), {"lr": [1e-3, 1e-2]}, scoring="average_precision", cv=2, n_jobs=n_jobs).fit(X, Y)
    alone = GridSearchCV(quick(), {"lr": [1e-3, 1e-2]}, scoring="average_precision", cv=2).fit(X, Y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_validated_predictions_have_the_shape_of_the_targets(method: str, X: Array, Y: Array) -> None:
    pipeline = make_pipeline(FunctionTransformer(), quick())
    assert cross_val_predict(pipeline, X, Y, cv=2, method=method).shape == Y.shape
    classes = np.arange(24) % 3
    shape = (24,) if method == "predict" else (24, 3)
    assert cross_val_predict(pipeline, X, classes, cv=2, method=method).shape == shape


def test_scores_of_two_classes(X: Array, Y: Array) -> None:
    scores = cross_validate(quick(lr=0.01, max_epochs=20), X, Y[:, 0], cv=2, scoring=["roc_auc", "neg_log_loss"])
    assert scores["test_roc_auc"].min() > 0.9


def test_a_threshold_is_tuned_for_two_classes(X: Array, Y: Array) -> None:
    tuned = TunedThresholdClassifierCV(quick(lr=0.01, max_epochs=10), scoring="f1", cv=2).fit(X, Y[:, 0])
    assert 0 <= tuned.best_threshold_ <= 1
    assert tuned.predict(X).shape == (24,)


@pytest.mark.parametrize("meta", [MultiOutputClassifier, OneVsRestClassifier, BinaryRelevance, LabelPowerset])
def test_meta_estimators_train_a_network_for_each_problem(meta: Any, X: Array, Y: Array) -> None:
    fitted = meta(quick(lr=0.01, max_epochs=20)).fit(X, Y)
    assert (fitted.predict(X) == Y).mean() > 0.9


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch", TWO_PHASES])
def test_earlier_labels_of_a_chain_reach_the_head(phases: Any, X: Array) -> None:
    # the second label is the first, and the pictures show neither
    blank = np.full_like(X, 100)
    first = np.arange(24) % 2
    chain = ClassifierChain(quick(phases=phases, lr=0.05, max_epochs=30, dropout=0.0)).fit(
        blank, np.column_stack([first, first])
    )
    second = chain.estimators_[1]
    answers = []
    for label in (0, 1):
        rows = [[picture, label] for picture in blank[:2]]
        answers.append(second.predict(pd.DataFrame(rows, columns=["image", "y0"])))
    np.testing.assert_array_equal(answers, [[0, 0], [1, 1]])


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch", "fine_tune"])
def test_an_earlier_label_that_says_all_outweighs_pictures_of_noise(phases: str) -> None:
    rng = np.random.default_rng(1)
    pictures, first = rng.integers(256, size=(600, 16, 16, 3), dtype=np.uint8), rng.integers(2, size=600)
    rows = pd.DataFrame({"image": list(pictures), "y0": first})
    clf = quick(phases=phases, max_epochs=None, image_size=16).fit(rows[:400], first[:400])
    assert (clf.predict(rows[400:]) == first[400:]).mean() >= 0.9


def test_a_head_without_numbers_beside_pictures_is_the_plain_one() -> None:
    torch.manual_seed(0)
    head = _Head(4, 3, 0.5)
    assert sorted(head.state_dict()) == sorted(f"layers.{name}" for name in head.layers.state_dict())
    table = torch.randn(8, 4)
    torch.testing.assert_close(head.eval()(table), head.layers(table))


@pytest.mark.parametrize(("optimizer", "scale"), [("adamw", 3.0), ("sgd", 3.0**0.5)])
def test_numbers_beside_pictures_are_scaled_and_never_dropped(optimizer: str, scale: float) -> None:
    torch.manual_seed(0)
    head, table = _Head(8, 1, 0.9, 2, optimizer), torch.randn(64, 8)
    with torch.no_grad():
        assert (head.layers[2].weight[:, -2:] == 0).all()
        head.layers[2].weight.zero_()[:, -2:] = 1
        normalised = (table - table.mean(dim=0)) / (table.var(dim=0, correction=0) + 1e-5).sqrt()
        expected = scale * normalised[:, -2:].sum(dim=1, keepdim=True) + head.layers[2].bias
        torch.testing.assert_close(head(table), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_a_saved_network_weighs_numbers_beside_pictures_as_before(phases: str, tmp_path: Any, X: Array) -> None:
    rows = pd.DataFrame({"image": list(X), "a": np.arange(24) % 2, "b": np.arange(24) % 3})
    clf = quick(phases=phases, optimizer="sgd", lr=0.01).fit(rows, np.arange(24) % 2)
    clf.save(tmp_path / "clf.safetensors")
    loaded = CNNClassifier.load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(rows), clf.predict_proba(rows))


@pytest.mark.parametrize("name", ["BinaryRelevance", "ClassifierChain", "LabelPowerset"])
def test_skmultilearns_own_transformations_train_all_layers(name: str, X: Array, Y: Array) -> None:
    rows = X.reshape(24, -1)
    base = quick(image_shape=(8, 8, 3), pixel_range=255, lr=0.01, max_epochs=20)
    fitted = getattr(problem_transform, name)(base, require_dense=[True, True]).fit(rows, Y)
    assert (fitted.predict(rows).toarray() == Y).mean() > 0.9


@pytest.mark.parametrize("class_weight", ["balanced", {"no": 1.0, "yes": 7.0}])
def test_rare_classes_weigh_more_where_they_are_balanced(class_weight: Any, X: Array) -> None:
    # the pictures tell nothing, so that shares of classes decide
    blank, y = np.full_like(X, 100), np.array(["yes"] * 3 + ["no"] * 21)
    plain, weighed = (
        quick(class_weight=weight, lr=0.05, max_epochs=30).fit(blank, y).predict_proba(blank)[:, 1].mean()
        for weight in (None, class_weight)
    )
    assert plain == pytest.approx(1 / 8, abs=0.05)
    assert weighed == pytest.approx(1 / 2, abs=0.1)
