"""A smoke run of each benchmark, and the tables that come out of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import planet, render, speed, yeast
from benchmarks._records import LABEL_SCORES, RANKING_SCORES, read_records, summarise, to_markdown


def write_arff(path: Path, n_samples: int, random_state: int) -> str:
    """A small file in MEKA's manner, with three labels first."""
    rng = np.random.default_rng(random_state)
    data = rng.normal(size=(n_samples, 4))
    labels = (data[:, :3] + 0.3 * rng.normal(size=(n_samples, 3)) > 0).astype(int)
    head = ["@relation 'toy: -C 3'", *(f"@attribute L{j} {{0,1}}" for j in range(3))]
    head += [*(f"@attribute x{j} numeric" for j in range(4)), "@data"]
    rows = [",".join(map(str, [*label, *row])) for label, row in zip(labels, data, strict=True)]
    path.write_text("\n".join(head + rows), encoding="utf-8")
    return str(path)


def test_planet_smoke_run_compares_all_models_on_the_same_folds(tmp_path, capsys):
    out = tmp_path / "planet.jsonl"
    records = planet.main(["--smoke", "--out", str(out)])
    assert json.loads(out.read_text().splitlines()[0])["scores"] == records[0]["scores"]
    folds = {(record["model"], record["features"], record["weights"]): set() for record in records}
    for record in records:
        folds[record["model"], record["features"], record["weights"]].add(record["fold"])
        assert set(record["scores"]) == {*LABEL_SCORES, *RANKING_SCORES}
    assert len(folds) >= 10
    assert all(seen == {0, 1} for seen in folds.values())
    assert "small_cnn-other-scenes.pth" in capsys.readouterr().out


def test_planet_refuses_backbones_and_weights_that_do_not_pair(capsys):
    with pytest.raises(SystemExit):
        planet.main(["--backbone", "resnet18", "--backbone", "resnet34", "--weights", "DEFAULT"])
    assert "2 backbones need as many weights, got 1" in capsys.readouterr().err


def test_yeast_smoke_run_on_two_files_is_the_official_split(tmp_path, capsys):
    files = [write_arff(tmp_path / "train.arff", 60, 0), write_arff(tmp_path / "test.arff", 40, 1)]
    records = yeast.main([*files, "--smoke", "--out", str(tmp_path / "yeast.jsonl")])
    assert {record["n_folds"] for record in records} == {1}
    scores = {record["model"]: record["scores"] for record in records}
    trivial = scores["label frequencies"]["hamming_loss"]
    assert scores["BR, logistic regression"]["hamming_loss"] < trivial
    assert "official split" in capsys.readouterr().out


def test_comparison_never_overwrites_records(tmp_path):
    out = tmp_path / "yeast.jsonl"
    out.write_text("kept")
    files = [write_arff(tmp_path / "train.arff", 60, 0), write_arff(tmp_path / "test.arff", 40, 1)]
    with pytest.raises(SystemExit, match="already there"):
        yeast.main([*files, "--smoke", "--out", str(out)])
    assert out.read_text() == "kept"


def test_speed_runs_interleaved_pairs_and_gives_an_interval(tmp_path):
    records = speed.main(["mlknn", "--pairs", "3", "--out", str(tmp_path / "mlknn.jsonl")])
    options = ["--pairs", "2", "--backbone", "squeezenet1_1", "--image-size", "32", "--n-images", "4"]
    records += speed.main(["extraction", *options, "--out", str(tmp_path / "extraction.jsonl")])
    for record in records:
        low, high = record["ratio_interval"]
        assert 0 < low <= record["ratio"] <= high


def test_summary_gives_mean_and_deviation_over_folds():
    names = {"row": 0, "model": "a", "features": "b", "weights": "c"}
    records = [{**names, "scores": {"hamming_loss": value}} for value in (0.1, 0.2, 0.3)]
    records.append({**names, "row": 1, "scores": {"hamming_loss": 0.5}})
    table = summarise(records, {"hamming_loss": "Hamming ↓"})
    assert table["Hamming ↓"].tolist() == [".200 ±.100", ".500"]
    assert to_markdown(table).splitlines()[2] == "| a | b | c | .200 ±.100 |"


def test_readme_tables_say_what_the_records_say():
    assert render.main(["--check"]) == 0, "README.md is out of date: run python -m benchmarks.render"
    assert set(render.TABLES) == {found["name"] for found in render._TABLE.finditer(render.README.read_text())}


def test_records_of_results_name_their_commit_and_versions():
    for path in render.RESULTS.glob("*.jsonl"):
        for record in read_records(path):
            assert record["commit"]
            assert {"torch", "scikit-learn"} <= set(record["versions"])
