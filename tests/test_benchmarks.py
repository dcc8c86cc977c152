"""A smoke run of each benchmark, and the tables that come out of them."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import _fastai, _grid, _lookup, finetuning, generated, planet, render, speed, yeast
from benchmarks._rates import rate_against_batch_size
from benchmarks._records import (
    LABEL_SCORES,
    RANKING_SCORES,
    _processor,
    environment,
    read_records,
    summarise,
    to_markdown,
)
from benchmarks._timing import check_agreement, median_interval
from benchmarks.planet import finetuned
from skdeep.datasets import make_aerial_scenes
from skdeep.exceptions import WeightsUnavailableError
from skdeep.training import resolve_phases


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


# what models warn of in a study stands in its records
in_a_study = pytest.mark.filterwarnings("default")


@in_a_study
def test_planet_smoke_run_compares_all_models_on_the_same_folds(tmp_path, capsys):
    out = tmp_path / "planet.jsonl"
    records = planet.main(["--smoke", "--study", str(tmp_path / "study"), "--out", str(out)])
    assert json.loads(out.read_text().splitlines()[0])["scores"] == records[0]["scores"]
    folds = {(record["model"], record["features"], record["weights"]): set() for record in records}
    for record in records:
        folds[record["model"], record["features"], record["weights"]].add(record["fold"])
        assert set(record["scores"]) >= {*LABEL_SCORES, *RANKING_SCORES}
    assert len(folds) >= 10
    assert all(seen == {0, 1} for seen in folds.values())
    assert "small_cnn-other-scenes.pth" in capsys.readouterr().out
    assert "</html>" in (tmp_path / "study" / "report.html").read_text(encoding="utf-8")


def test_planet_goes_on_without_weights_that_cannot_be_downloaded(scenes, tmp_path, capsys, monkeypatch):
    def offline(*args, **kwargs):
        raise WeightsUnavailableError("there is no network")

    monkeypatch.setattr(planet, "CNNFeatureExtractor", offline)
    assert planet.available([("resnet34", "DEFAULT")]) == []
    assert "Left out: resnet34 (DEFAULT): there is no network" in capsys.readouterr().out


def test_planet_refuses_backbones_and_weights_that_do_not_pair(capsys):
    with pytest.raises(SystemExit):
        planet.main(["--backbone", "resnet18", "--backbone", "resnet34", "--weights", "DEFAULT"])
    assert "2 backbones need as many weights, got 1" in capsys.readouterr().err


@in_a_study
def test_yeast_smoke_run_on_two_files_is_the_official_split(tmp_path, capsys):
    files = [write_arff(tmp_path / "train.arff", 60, 0), write_arff(tmp_path / "test.arff", 40, 1)]
    records = yeast.main([*files, "--smoke", "--study", str(tmp_path / "study"), "--out", str(tmp_path / "out.jsonl")])
    assert {record["n_folds"] for record in records} == {1}
    scores = {record["model"]: record["scores"] for record in records}
    trivial = scores["label frequencies"]["hamming_loss"]
    assert scores["BR, logistic regression"]["hamming_loss"] < trivial
    assert "official split" in capsys.readouterr().out


@in_a_study
def test_yeast_in_folds_goes_on_where_it_was(tmp_path, capsys):
    files = [write_arff(tmp_path / "train.arff", 60, 0), write_arff(tmp_path / "test.arff", 40, 1)]
    options = ["--smoke", "--cv", "3", "--repeats", "2", "--model", "ML-kNN, k=10", "--study", str(tmp_path / "study")]
    first = yeast.main([*files, *options])
    assert [(record["repeat"], record["fold"]) for record in first] == [(r, f) for r in range(2) for f in range(3)]
    capsys.readouterr()
    again = yeast.main([*files, *options, "--model", "label frequencies"])
    assert "(6 found in the folder)" in capsys.readouterr().out
    assert [record for record in again if record["model"] == "ML-kNN, k=10"] == [
        {**record, "row": record["row"], "time": again[0]["time"]} for record in first
    ]


def test_comparison_never_overwrites_records(tmp_path):
    out = tmp_path / "yeast.jsonl"
    out.write_text("kept")
    files = [write_arff(tmp_path / "train.arff", 60, 0), write_arff(tmp_path / "test.arff", 40, 1)]
    with pytest.raises(SystemExit, match="already there"):
        yeast.main([*files, "--smoke", "--out", str(out)])
    assert out.read_text() == "kept"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder of twenty small scenes."""
    folder = tmp_path_factory.mktemp("scenes") / "planet"
    make_aerial_scenes(20, image_size=64, random_state=0, folder=folder)
    return str(folder)


@pytest.fixture
def run_part(tmp_path):
    """Run a part of the speed benchmark, and read its records back."""

    def run(part, *options):
        out = tmp_path / f"speed-{part}.jsonl"
        records = speed.main([part, *map(str, options), "--out", str(out)])
        assert [record["what"] for record in read_records(out)] == [record["what"] for record in records]
        return records

    return run


def assert_ratios(records):
    for record in records:
        low, high = record["ratio_interval"]
        assert 0 < low <= record["ratio"] <= high


NETWORK = ("--backbone", "squeezenet1_1", "--image-size", 32)


def test_speed_compares_mlknn_with_bare_neighbour_searches(run_part):
    records = run_part("mlknn", "--pairs", 3)
    assert len(records) == 1
    assert_ratios(records)


def test_speed_compares_transformations_with_scikit_learns(run_part):
    records = run_part("transformations", "--pairs", 1)
    assert_ratios(records)
    assert len(records) == 4
    assert {record["relative_error"] for record in records} == {0}


def test_speed_compares_the_exact_threshold_search_with_grids(run_part):
    *ratios, _ = run_part("thresholds", "--pairs", 1, "--rows", 300)
    assert_ratios(ratios)
    assert len(ratios) == 2
    for record in ratios:
        assert record["scores"]["exact"] >= record["scores"]["grid"]


def test_generated_problems_are_solved_alike_by_both_libraries(tmp_path, capsys):
    records = generated.main(["--n-seeds", "2", "--out", str(tmp_path / "generated.jsonl")])
    assert len(records) == 2 * len(generated.PROBLEMS) * len(generated.OURS)
    for record in records:
        assert record.get("theirs", record["ours"]) == record["ours"]
        assert record.get("n_different", 0) == 0
    assert "fails" in capsys.readouterr().out


def test_speed_compares_extraction_with_both_bare_networks_in_each_precision(run_part):
    records = run_part("extraction", *NETWORK, "--pairs", 2, "--n-images", 4)
    assert_ratios(records)
    assert [(record["precision"], "plain" in record["what"]) for record in records] == [
        ("float32", False),
        ("float32", True),
        ("bf16", False),
        ("bf16", True),
    ]
    errors = [record["relative_error"] for record in records]
    assert max(errors[:3]) < 1e-5 < errors[3] < 0.05
    assert {"4 JPEG files of 256 px, squeezenet1_1 at 32 px"} == {record["data"] for record in records}


def test_speed_scores_features_of_both_precisions(run_part, scenes):
    *rates, scores = run_part(
        "precision", scenes, "--source", "squeezenet1_1", "--image-size", 32, "--cv", 2, "--smoke", "--pairs", 1
    )
    assert_ratios(rates)
    assert 0 < rates[0]["relative_error"] < 0.05
    for score, difference in scores["differences"].items():
        means = {precision: np.mean(of[score]) for precision, of in scores["fold_scores"].items()}
        assert difference == pytest.approx(means["bf16"] - means["float32"])


def test_speed_compares_with_a_dataloader(run_part, scenes):
    records = run_part(
        "rivals", scenes, *NETWORK, "--rival", "dataloader", "--n-images", 4, "--workers", 1, "--pairs", 1
    )
    assert_ratios(records)
    assert [record["what"].rpartition(" ")[2] for record in records] == ["float32", "bf16"]


def test_speed_compares_with_embetter(run_part, scenes):
    pytest.importorskip("embetter")
    pytest.importorskip("timm")
    options = ("--backbone", "resnet18", "--rival", "embetter", "--precision", "float32")
    records = run_part("rivals", scenes, *options, "--n-images", 2, "--pairs", 1)
    assert_ratios(records)
    assert records[0]["what"].startswith("embetter")


def test_speed_leaves_embetter_out_where_it_is_not_installed(run_part, scenes, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "timm", None)
    assert run_part("rivals", scenes, "--rival", "embetter", "--n-images", 2) == []
    assert "embetter is left out" in capsys.readouterr().out


def test_speed_counts_the_images_that_pass_the_network_in_a_grid(run_part, scenes, monkeypatch):
    monkeypatch.setattr(_grid, "CANDIDATES", [0.001, 0.01])
    options = ("--pairs", 1, "--rival-pairs", 1, "--n-images", 20, "--n-uncached-images", 10)
    records = run_part("grid", scenes, *NETWORK, *options)
    assert_ratios(records)
    # without a cache: training and test part of each fold for each candidate, and all images for the last fit;
    # joblib remembers what a training part gave, not what a test part did
    assert [record["images_through_network"] for record in records] == [
        [20, 20],
        [2 * 5 * 10 + 10, 10],
        [5 * 16 + 2 * 5 * 4 + 20, 20],
    ]


def test_speed_looks_stored_rows_up_in_a_new_process(run_part, tmp_path, monkeypatch):
    monkeypatch.setattr(_lookup, "_RACY", 0)
    (record,) = run_part("lookup", "--n-images", 20, "--file-size", 400, "--processes", 1)
    assert all(record[f"{name}_seconds"] > 0 for name in ("fit", "cold", "warm"))
    monkeypatch.setattr(render, "RESULTS", tmp_path)
    assert f"{record['cold_seconds']:.3f}" in render.lookup("speed-lookup.jsonl")


def test_speed_lookup_fails_if_an_image_passes_the_network(tmp_path):
    _lookup._write_files(tmp_path, 3, 400)
    np.save(tmp_path / "features.npy", np.zeros((3, _lookup.N_FEATURES)))
    with pytest.raises(RuntimeError, match="3 images passed the network"):
        _lookup.look_up(tmp_path)


def test_speed_draws_rates_against_batch_size(run_part, scenes, tmp_path):
    (record,) = run_part("batch-size", scenes, *NETWORK, "--n-images", 4, "--rounds", 2)
    assert record["batch_sizes"] == [1, 2, 4]
    figure = rate_against_batch_size(record)
    (axes,) = figure.axes
    lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert lines == {precision: rates["median"] for precision, rates in record["rates"].items()}
    assert set(lines) == {"float32", "bf16"}
    assert all("(" in label for label in (axes.get_xlabel(), axes.get_ylabel())), "axes say their units"
    figure.savefig(tmp_path / "rates.png")


@pytest.mark.parametrize("n_values", [6, 9, 11])
def test_median_interval_holds_the_median_in_95_of_100_cases(n_values):
    samples = np.random.default_rng(0).exponential(size=(4000, n_values))
    intervals = [median_interval(sample)[1] for sample in samples]
    held = np.mean([low <= np.log(2) <= high for low, high in intervals])
    assert held > 0.94


def test_agreement_is_to_each_number_or_to_the_whole_matrix():
    exact = np.random.default_rng(0).standard_normal((5, 7))
    rounded = torch.from_numpy(exact).bfloat16().double().numpy()
    assert check_agreement(exact * (1 + 5e-5), exact, close=True) == pytest.approx(5e-5)
    assert 0 < check_agreement(rounded, exact, close=False) < 0.01
    with pytest.raises(RuntimeError, match="do not compute the same"):
        check_agreement(rounded, exact, close=True)
    with pytest.raises(RuntimeError, match="do not compute the same"):
        check_agreement(exact[::-1], exact, close=False)
    with pytest.raises(RuntimeError, match=r"shapes \(4, 7\) and \(5, 7\)"):
        check_agreement(exact[1:], exact, close=False)


def test_summary_gives_mean_and_deviation_over_folds():
    names = {"row": 0, "model": "a", "features": "b", "weights": "c"}
    records = [{**names, "scores": {"hamming_loss": value}} for value in (0.1, 0.2, 0.3)]
    records.append({**names, "row": 1, "scores": {"hamming_loss": 0.5}})
    table = summarise(records, {"hamming_loss": "Hamming ↓"})
    assert table["Hamming ↓"].tolist() == [".200 ±.100", ".500"]
    assert to_markdown(table).splitlines()[2] == "| a | b | c | .200 ±.100 |"


def test_readme_tables_say_what_the_records_say():
    assert render.main(["--check"]) == 0, "out of date: run python -m benchmarks.render"
    texts = "".join(document.read_text(encoding="utf-8") for document in render.DOCUMENTS)
    assert set(render.TABLES) == {found["name"] for found in render._TABLE.finditer(texts)}


def test_tables_without_records_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(render, "RESULTS", tmp_path)
    for name in ("speed-in-short", "lookup", "precision", "precision-scores", "finetuning"):
        assert render.TABLES[name]() == "Not measured yet.\n"


def test_speed_table_names_few_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(render, "RESULTS", tmp_path)
    record = {
        "what": "a / b",
        "data": "c",
        "command": "d",
        "machine": "e",
        "commit": "f",
        "time": "2026-01-01T00:00:00",
    }
    record |= {"ratio": 2.0, "ratio_interval": [1.5, 2.5], "first_seconds": 2.0, "second_seconds": 1.0}
    records = [{**record, "n_pairs": n_pairs} for n_pairs in (5, 6)]
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    few, enough = render.speed("some.jsonl").splitlines()[2:4]
    assert "| 2.00 [1.50, 2.50] (range of 5 pairs) |" in few
    assert "| 2.00 [1.50, 2.50] |" in enough


def test_machines_name_their_processor_and_what_multiplies_bf16(tmp_path):
    information = tmp_path / "cpuinfo"
    assert list(_processor(information)) == []
    information.write_text("processor\t: 0\nmodel name\t: Some CPU: 2 GHz\nflags\t\t: fpu avx512_bf16 amx_bf16 sse\n")
    assert list(_processor(information)) == ["Some CPU: 2 GHz", "AMX", "AVX512-BF16"]
    information.write_text("flags : fpu avx2\n")
    assert list(_processor(information)) == []


def test_recorded_command_can_be_given_to_a_shell_again(monkeypatch):
    given = ["--rung", "networks of two sizes", "--cv", "5"]
    monkeypatch.setattr("sys.argv", ["finetuning.py", *given])
    assert shlex.split(environment()["command"])[-4:] == given


def test_records_of_results_name_their_commit_and_versions():
    for path in render.RESULTS.glob("*.jsonl"):
        for record in read_records(path):
            assert record["commit"]
            assert {"torch", "scikit-learn"} <= set(record["versions"])


def test_finetuning_smoke_run_climbs_the_ladder(tmp_path, capsys):
    out = tmp_path / "finetuning.jsonl"
    records = finetuning.main(["--smoke", "--backbone", "small_cnn", "--out", str(out)])
    assert read_records(out) == json.loads(json.dumps(records))
    models = [record["model"] for record in records]
    assert models[::2][:5] == [
        "tag frequencies",
        "colour statistics",
        "features of a random network",
        "features of the pretrained network",
        "fine-tuning at one size",
    ]
    assert models[-12:] == [
        "progressive sizes",
        "test-time augmentation",
        "test-time augmentation, tuned threshold",
        "networks of two sizes",
        "networks of two sizes, test-time augmentation",
        "vote with pretrained features",
        "vote with pretrained features, tuned threshold",
        "defaults, networks of two sizes",
        "defaults, the last network alone",
        "defaults, the last network alone, test-time augmentation",
        "defaults, networks of two sizes, test-time augmentation",
        "defaults, networks of two sizes, test-time augmentation, tuned threshold",
    ]
    of = {record["model"].removeprefix("defaults, "): record["scores"] for record in records[-5:]}
    assert of["the last network alone"] != of["networks of two sizes"]
    assert all(0 <= record["scores"][name] <= 1 for record in records for name in ("f2", "map"))
    assert all(0 < record["errors"]["f2"] < 0.2 for record in records)
    assert all(len(record["fit_seconds"]) == 2 for record in records)
    assert "mAP over" in capsys.readouterr().out


def test_finetuned_pair_is_the_recipe():
    for recipe, pair in {"planet": False, "planet_pair": True}.items():
        network = finetuned("mobilenet_v2", "weights", sizes=(64, 128, 256), max_epochs=None, pair=pair)
        assert network.phases == resolve_phases(recipe, lr=None, max_epochs=7, image_size=None)
        last = finetuned("mobilenet_v2", "weights", sizes=(32,), max_epochs=4, pair=pair).phases
        assert [(phase.image_size, phase.train, phase.max_epochs) for phase in last] == [
            (32, "head", 4),
            (32, "all", 4),
        ]


def test_finetuning_knows_its_rungs(tmp_path, capsys):
    with pytest.raises(SystemExit):
        finetuning.main(["--smoke", "--rung", "vote", "--out", str(tmp_path / "none.jsonl")])
    assert "--rung must be one of 'tag frequencies', " in capsys.readouterr().err
    assert not (tmp_path / "none.jsonl").exists()


def test_finetuning_beside_a_rival_leaves_out_what_was_not_timed(tmp_path, monkeypatch):
    def rival(python, paths, target, folds, weights, phases, mixup):
        assert (python, mixup) == ("elsewhere", 0.2)
        assert [phase.image_size for phase in phases] == [64, 64, 128, 128, 256, 256]
        known = np.asarray(target, dtype=float)
        seconds = dict.fromkeys(("seconds", "plain_seconds", "tta_seconds"), np.ones(len(folds)))
        return {"plain": known, "tta": known, **seconds}

    monkeypatch.setattr(finetuning, "run_fastai", rival)
    arguments = ["--smoke", "--rung", "fastai", "--fastai-python", "elsewhere", "--untimed", "--mixup", "0.2"]
    records = finetuning.main([*arguments, "--out", str(tmp_path / "rival.jsonl")])
    assert [record["model"] for record in records[:2]] == ["fastai", "fastai, test-time augmentation"]
    assert all(record["scores"] == {"f2": 1.0, "map": 1.0} for record in records)
    assert not any("fit_seconds" in record for record in records)
    assert finetuning.table(records)["fit, s a fold"].tolist() == ["-"] * 3


def test_tuned_thresholds_do_not_know_the_images_that_they_are_for():
    Y = np.array([[1, 0]] * 20)
    folds = [(np.arange(10, 20), np.arange(10)), (np.arange(10), np.arange(10, 20))]
    probabilities = np.vstack([np.tile([0.5, 0.4], (10, 1)), np.tile([0.3, 0.2], (10, 1))])
    thresholds = finetuning.tuned_thresholds(Y, probabilities, folds)
    # each half needs the other's: above .4 for the first, between .2 and .3 for the second
    assert (thresholds[:10] > 0.2).all()
    assert (thresholds[:10] <= 0.3).all()
    assert (thresholds[10:] > 0.4).all()
    assert (thresholds[10:] <= 0.5).all()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_training_is_timed_against_a_bare_loop_that_learns_the_same(precision, scenes, run_part):
    records = run_part("training", scenes, "--backbone", "small_cnn", "--image-size", "32", "--n-images", "20",
                       "--pairs", "1", "--precision", precision)  # fmt: skip
    assert len(records) == 3
    assert all(record["relative_error"] < 0.05 and record["ratio"] > 0 for record in records)


def test_fastai_is_timed_phase_by_phase(scenes, run_part, monkeypatch):
    monkeypatch.setattr(_fastai, "run_fastai", lambda *_, mixup: {"seconds": np.ones(1)})
    monkeypatch.setattr(_fastai, "_our_seconds", lambda *_: 0.5)
    records = run_part("fastai", scenes, "--weights", "none", "--fastai-python", "elsewhere")
    assert [record["ratio"] for record in records] == [2.0] * 7
    assert records[0]["what"] == "fastai / CNNClassifier, an epoch of the head at 64 px"
