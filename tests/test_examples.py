"""A smoke run of each example, and what the two that promise an accuracy reach."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from skdeep import CNNClassifier
from skdeep.datasets import load_image_csv, load_planet_labels, make_aerial_scenes

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run an example in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda name, *arguments: example(name).main([*map(str, arguments)])


def assert_distributions(probabilities: np.ndarray) -> None:
    assert np.all(probabilities >= 0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_digits_scores_every_test_digit_once(run):
    results = run("digits", "--smoke")
    assert results["confusion"].shape == (10, 10)
    assert results["confusion"].sum() == 450
    assert results["accuracy"] == results["confusion"].trace() / 450


def test_yes_no_compares_the_network_with_colours_and_the_commoner_answer(run, capsys):
    results = run("yes_no", "--smoke", "--tag", "primary")
    assert results["classes"].tolist() == ["no", "yes"]
    assert_distributions(results["probabilities"])
    assert set(results["accuracy"]) == {"network", "network, training scenes", "colours", "always the commoner answer"}
    assert "primary? 14 scenes to learn from, 6 to test on" in capsys.readouterr().out


def test_yes_no_draws_as_many_scenes_of_each_answer_and_refuses_rare_tags():
    yes_no = example("yes_no")
    scenes, answers = yes_no.draw_scenes("road", 12, n_scenes=60)
    assert scenes.shape == (12, 64, 64, 3)
    assert (answers == "yes").sum() == 6
    with pytest.raises(SystemExit, match="choose a commoner tag"):
        yes_no.draw_scenes("blow_down", 12, n_scenes=20)


def test_breeds_reads_what_it_wrote_and_knows_more_than_one_class(run, tmp_path):
    results = run("breeds", "--smoke")
    assert results["classes"].tolist() == [f"breed_{k:03d}" for k in range(6)]
    assert results["probabilities"].shape == (12, 6)
    assert_distributions(results["probabilities"])
    assert all(np.isfinite(score) for score in results["scores"].values())
    assert not list(tmp_path.iterdir())


def test_breeds_takes_a_table_and_a_folder_of_ones_own(run, tmp_path):
    table, pictures = example("breeds").write_breeds(tmp_path, n_breeds=3)
    results = run(
        "breeds", table, pictures, "--backbone", "squeezenet1_1", "--weights", random_weights(tmp_path), "--smoke"
    )
    assert results["classes"].tolist() == load_image_csv(table, pictures, suffix=".jpg").target_names


def random_weights(folder: Path) -> Path:
    """A file of weights of squeezenet1_1, as good as any for a smoke run."""
    import torch
    from torchvision.models import squeezenet1_1

    torch.save(squeezenet1_1(weights=None).state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def test_folders_holds_out_its_own_validation_part(run, tmp_path):
    results = run("folders", "--smoke")
    confusion = results["confusion"]
    assert list(confusion.index) == ["clear", "cloudy", "haze", "partly_cloudy"]
    assert confusion.to_numpy().sum() == pytest.approx(100 / 4, abs=3)
    assert results["accuracy"] == confusion.to_numpy().trace() / confusion.to_numpy().sum()
    assert results["history"]["valid_loss"].notna().all()
    assert not list(tmp_path.iterdir())


def test_planet_submission_names_every_test_chip(run, tmp_path):
    results = run("planet_submission", "--smoke", "--out", "tags.csv")
    written = load_planet_labels(tmp_path / "tags.csv")
    assert written.image_names.tolist() == results["names"]
    assert len(results["names"]) == 20
    assert set(written.target_names) <= set(results["label_names"])
    assert all(0 <= score <= 1 for score in results["scores"].values())
    assert 0.05 <= results["threshold"] <= 0.5


def test_planet_submission_takes_chips_without_tags(run, tmp_path):
    make_aerial_scenes(30, random_state=0, folder=tmp_path / "planet")
    make_aerial_scenes(4, random_state=1, folder=tmp_path / "others")
    test = tmp_path / "others" / "train-jpg"
    options = [
        "--backbone",
        "squeezenet1_1",
        "--weights",
        random_weights(tmp_path),
        "--phases",
        "linear_probe",
        "--smoke",
    ]
    results = run("planet_submission", tmp_path / "planet", "--test", test, *options)
    assert results["names"] == [f"train_{k}" for k in range(4)]
    assert results["scores"] == {}
    assert load_planet_labels(tmp_path / "submission.csv").image_names.tolist() == results["names"]


def test_one_picture_gives_a_probability_for_each_tag(run, tmp_path):
    answers = run("one_picture", "--smoke")
    assert {"clear", "primary", "road"} <= set(answers)
    assert all(0 <= probability <= 1 for probability in answers.values())
    assert not list(tmp_path.iterdir())


def test_one_picture_asks_a_model_of_ones_own(run, tmp_path, paths):
    y = np.array(["cat", "dog", "cat", "dog", "cat", "dog"])
    classifier = CNNClassifier("small_cnn", weights=None, phases="from_scratch", image_size=32, max_epochs=1)
    classifier.fit(paths, y).save(tmp_path / "pets.safetensors")
    answers = run("one_picture", tmp_path / "pets.safetensors", paths[2])
    assert list(answers) == ["cat", "dog"]
    np.testing.assert_allclose(list(answers.values()), classifier.predict_proba(paths[2:3])[0], rtol=1e-5)


@pytest.mark.parametrize("name", ["breeds", "folders", "one_picture"])
def test_one_argument_where_two_are_needed_is_refused(run, name, capsys):
    with pytest.raises(SystemExit):
        run(name, "alone")
    assert "give both" in capsys.readouterr().err


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_says_how_it_is_run(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        example(name).main(["--help"])
    assert f"python docs/examples/{name}.py" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("digits", 0.98), ("yes_no", 0.91)])
def test_promised_accuracies_are_reached(run, name, least):
    accuracy = run(name)["accuracy"]
    assert (accuracy if name == "digits" else accuracy["network"]) >= least
