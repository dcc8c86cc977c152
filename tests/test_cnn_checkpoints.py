"""Fits that are killed and go on, and fitted classifiers in files and pickles."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV

from skdeep import CNNClassifier, Phase
from skdeep.backbones.small_cnn import SmallCNN
from skdeep.training import course

Array = NDArray[Any]

SCRIPT = """
import os, signal, sys
import numpy as np
from sklearn.metrics import get_scorer
from skdeep import CNNClassifier, Phase

seen = []

def score_or_die(estimator, X, y):
    seen.append(1)
    if len(seen) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return get_scorer("average_precision")(estimator, X, y)

rng = np.random.default_rng(0)
X, Y = rng.integers(256, size=(24, 32, 32, 3), dtype=np.uint8), rng.integers(2, size=(24, 2))
Y[:4] = [[0, 0], [0, 1], [1, 0], [1, 1]]
phases = [Phase(train="head", max_epochs=2), Phase(max_epochs=4, policy="sgdr", image_size=48, cycle_mult=3), Phase()]
clf = CNNClassifier(
    "small_cnn", weights=None, phases=phases, image_size=32, max_epochs=2, augmentation="side_on", averaging="ema",
    early_stopping=True, scoring=score_or_die, validation_fraction=0.3, checkpoint=sys.argv[1], cache=False,
    batch_size=8, random_state=0,
)
clf.fit(X, Y)
print(len(seen), clf.predict_proba(X).tobytes().hex())
"""


def run(script: Path, folder: Path, die_at: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(script), str(folder), str(die_at)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_fit_that_was_killed_goes_on_at_its_last_whole_epoch_to_the_same_bits(tmp_path: Path) -> None:
    script = tmp_path / "fit.py"
    script.write_text(SCRIPT)
    n_epochs, expected = run(script, tmp_path / "straight", -1).stdout.split()
    assert n_epochs == "8"
    for die_at in (2, 3):  # in its first phase, then in its second, whose epochs are counted anew in each process
        killed = run(script, tmp_path / "broken", die_at)
        assert killed.returncode == -signal.SIGKILL
    n_left, resumed = run(script, tmp_path / "broken", -1).stdout.split()
    assert (n_left, resumed) == (str(8 - 1 - 2), expected)
    # what is finished is only read
    assert run(script, tmp_path / "broken", -1).stdout.split() == ["0", expected]


def quick(**options: Any) -> CNNClassifier:
    settled = {"weights": None, "image_size": 32, "max_epochs": 2, "cache": False, "precision": "float32"}
    return CNNClassifier(**{"backbone": "small_cnn", **settled, "random_state": 0, **options})


@pytest.fixture
def X() -> Array:
    return np.random.default_rng(0).integers(256, size=(12, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def Y() -> Array:
    return np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 3)


@pytest.fixture
def n_learnt(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry for each epoch that is learnt."""
    learn, epochs = course.learn_epoch, []
    monkeypatch.setattr(course, "learn_epoch", lambda *arguments: (epochs.append(1), learn(*arguments))[1])
    return epochs


@pytest.mark.parametrize(
    "other",
    [
        {"lr": 2e-3},
        {"max_epochs": 3},
        {"phases": [Phase(train="head")]},
        {"random_state": 1},
        {"augmentation": "side_on"},
        {"class_weight": "balanced"},
        {"weights": "file"},
    ],
)
def test_another_fit_starts_anew(other: dict[str, Any], X: Array, Y: Array, n_learnt: list[int], tmp_path: Any) -> None:
    if "weights" in other:
        other = {"weights": tmp_path / "weights.pth"}
        torch.save(SmallCNN().state_dict(), other["weights"])
    clf = quick(checkpoint=tmp_path / "fits").fit(X, Y)
    n_before = len(n_learnt)
    clf.set_params(**other).fit(X, Y)
    assert len(n_learnt) == n_before + clf.n_iter_
    alone = quick(**other).fit(X, Y)
    np.testing.assert_array_equal(alone.predict_proba(X), clf.predict_proba(X))


def test_other_pictures_targets_and_weights_start_anew(X: Array, Y: Array, n_learnt: list[int], tmp_path: Any) -> None:
    clf = quick(checkpoint=tmp_path).fit(X, Y)
    other = X.copy()
    other[0, 0, 0, 0] ^= 1
    for arguments in ((other, Y), (X, 1 - Y), (X, Y, np.arange(12)), (X[::-1], Y)):
        n_before = len(n_learnt)
        clf.fit(*arguments)
        assert len(n_learnt) == n_before + 2
    n_before = len(n_learnt)
    clf.fit(X, Y)
    clf.fit(list(X), Y)
    assert len(n_learnt) == n_before


def test_a_search_that_is_called_again_repeats_nothing(X: Array, Y: Array, n_learnt: list[int], tmp_path: Any) -> None:
    grid = {"lr": [1e-3, 1e-2], "phases": ["linear_probe", "from_scratch"]}
    options = {"scoring": "average_precision", "cv": 2, "error_score": "raise"}
    first = GridSearchCV(quick(checkpoint=tmp_path), grid, **options).fit(X, Y)
    assert len(n_learnt) == (4 * 2 + 1) * 2
    again = GridSearchCV(quick(checkpoint=tmp_path), grid, **options).fit(X, Y)
    assert len(n_learnt) == (4 * 2 + 1) * 2
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    plain = GridSearchCV(quick(), grid, **options).fit(X, Y)
    np.testing.assert_array_equal(first.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])


def test_a_checkpoint_needs_a_seed(X: Array, Y: Array, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="checkpoint= needs random_state=, or no later fit could be the same"):
        quick(checkpoint=tmp_path, random_state=None).fit(X, Y)


def test_warm_starts_of_other_networks_are_other_fits(X: Array, Y: Array, n_learnt: list[int], tmp_path: Any) -> None:
    clf = quick(checkpoint=tmp_path, warm_start=True, phases="from_scratch").fit(X, Y)
    n_before = len(n_learnt)
    once = clf.predict_proba(X)
    twice = clf.fit(X, Y).predict_proba(X)
    assert len(n_learnt) == n_before + 2
    assert np.abs(once - twice).max() > 0


@pytest.mark.parametrize("n_before", [1, 3, 4])
def test_a_stochastic_average_goes_on_after_a_break_to_the_same_bits(
    n_before: int, X: Array, Y: Array, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    options = {"phases": "from_scratch", "max_epochs": 5, "batch_size": 4, "lr": 0.01, "averaging": "swa"}
    straight, broken = quick(**options).fit(X, Y), quick(checkpoint=tmp_path, **options)
    learn, n_learnt = course.learn_epoch, 0

    def learn_or_stop(*arguments: Any) -> float:
        nonlocal n_learnt
        n_learnt += 1
        if n_learnt == n_before + 1:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(course, "learn_epoch", learn_or_stop)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y)
    broken.fit(X, Y)
    assert n_learnt == 5 + 1
    expected = straight.net_.module_.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in broken.net_.module_.state_dict().items())


@pytest.mark.parametrize("phases", ["linear_probe", "from_scratch"])
def test_what_was_saved_predicts_and_learns_as_before(phases: str, X: Array, Y: Array, tmp_path: Any) -> None:
    fitted = quick(phases=phases, augmentation="side_on", tta=2).fit(X, Y)
    fitted.save(tmp_path / "kept.safetensors")
    loaded = CNNClassifier.load(tmp_path / "kept.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    for clf in (fitted, loaded):
        clf.partial_fit(X, Y)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
