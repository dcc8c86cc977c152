"""What a study has found: tables against plain loops over its records, and what is made of failed and missing units."""

from __future__ import annotations

import math
import re
import statistics
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skdeep.study._results import StudyResults
from skdeep.study._statistics import (
    average_ranks,
    corrected_resampled_ttest,
    friedman_test,
    nemenyi_test,
    wilcoxon_holm,
)
from tests.study_folders import LABELS, rows_of, score_of, target_of, write_study

MODELS = ("BR", "CC", "ML-kNN")
DATASETS = ("yeast", "planet")


@pytest.fixture
def results(tmp_path: Path) -> StudyResults:
    """Two data sets, three models, three folds twice; all done."""
    return StudyResults.load(write_study(tmp_path / "study", n_repeats=2))


@pytest.fixture
def gaps(tmp_path: Path) -> StudyResults:
    """The same, but CC failed in a fold of yeast, ML-kNN was not run in one, and BR has no value in one of planet."""

    def score(place: Any, measure: str, train_size: float) -> float | None:
        return None if place == ("planet", "BR", 0, 1) else score_of(place, measure, train_size)

    return StudyResults.load(
        write_study(
            tmp_path / "study",
            n_repeats=2,
            score=score,
            failed=[("yeast", "CC", 0, 1)],
            missing=[("yeast", "ML-kNN", 1, 2)],
        )
    )


def places(dataset: str, model: str, n_folds: int = 3, n_repeats: int = 2) -> list[tuple[str, str, int, int]]:
    return [(dataset, model, repeat, fold) for repeat in range(n_repeats) for fold in range(n_folds)]


# tables of records


def test_units_are_in_the_order_of_the_manifest(results: StudyResults) -> None:
    units = results.units
    expected = [place for dataset in DATASETS for model in MODELS for place in places(dataset, model)]
    assert list(units[["dataset", "model", "repeat", "fold"]].itertuples(index=False, name=None)) == expected
    assert units["f1_micro"].tolist() == [score_of(place, "f1_micro") for place in expected]
    assert set(units["status"]) == {"done"}
    assert (units["n_train"] + units["n_test"] == 12).all()
    assert results.missing == 0
    assert results.measures == {"f1_micro": True, "hamming_loss": False}
    assert results.n_folds == {"yeast": 6, "planet": 6}


def test_some_models_and_data_sets_are_a_study_of_their_own(gaps: StudyResults, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"or models of a study with results\.select\(models="):
        gaps.average_ranks("f1_micro", "fold", "yeast")
    some = gaps.select(models=["BR"], datasets=["yeast"])
    assert list(some.units["model"].unique()) == ["BR"]
    assert some.missing == 0
    assert some.average_ranks("f1_micro", "fold").tolist() == [1.0]
    reversed_ = gaps.select(models=["ML-kNN", "BR"], datasets=["planet"])
    assert list(reversed_.table("f1_micro").columns) == ["ML-kNN", "BR"]
    assert gaps.select().units.equals(gaps.units)
    assert "1 models, 1 data sets; 6 units done, 0 failed, 0 missing" in repr(some)


@pytest.mark.parametrize("names", [[], "BR", ["SVM"]])
def test_what_is_not_in_a_study_cannot_be_selected(names: Any, results: StudyResults) -> None:
    with pytest.raises(ValueError, match="The 'models' parameter must be"):
        results.select(models=names)


def test_tables_are_the_callers_own(results: StudyResults) -> None:
    before = results.units
    for table in (results.units, results.table("f1_micro"), results.summary()):
        table.iloc[:, -1] = 0
    pd.testing.assert_frame_equal(results.units, before)
    assert (results.table("f1_micro") > 0).all(axis=None)


def test_scores_are_the_units_one_below_the_other(gaps: StudyResults) -> None:
    done = gaps.units[gaps.units["status"] == "done"]
    long = done.melt(
        ["dataset", "model", "repeat", "fold", "train_size"],
        list(gaps.measures),
        var_name="measure",
        value_name="value",
    )
    by = ["dataset", "model", "repeat", "fold", "measure"]
    pd.testing.assert_frame_equal(
        gaps.scores.sort_values(by, ignore_index=True), long.sort_values(by, ignore_index=True), check_dtype=False
    )


def test_failed_and_missing_units_are_told_apart(gaps: StudyResults) -> None:
    assert gaps.missing == 1
    assert len(gaps.units) == 35
    (failure,) = gaps.failures.to_dict("records")
    assert failure == {
        "dataset": "yeast",
        "model": "CC",
        "repeat": 0,
        "fold": 1,
        "stage": "fit",
        "type": "ValueError",
        "message": "too few rows",
        "traceback": "Traceback ...",
    }
    failed = gaps.units[gaps.units["status"] == "failed"]
    assert failed[["f1_micro", "hamming_loss"]].isna().all(axis=None)


def test_summary_is_mean_and_deviation_of_what_there_is(gaps: StudyResults) -> None:
    summary = gaps.summary()
    lacking = {("yeast", "CC", 0, 1), ("yeast", "ML-kNN", 1, 2), ("planet", "BR", 0, 1)}
    assert list(summary.index) == [(dataset, model) for dataset in DATASETS for model in MODELS]
    for (dataset, model), row in summary.iterrows():
        for measure in gaps.measures:
            values = [score_of(place, measure) for place in places(dataset, model) if place not in lacking]
            assert row[measure, "mean"] == pytest.approx(statistics.mean(values))
            assert row[measure, "std"] == pytest.approx(statistics.stdev(values))
            assert row[measure, "count"] == len(values)
    assert list(gaps.summary("f1_micro").columns) == [("f1_micro", kind) for kind in ("mean", "std", "count")]


def test_table_over_folds_holds_each_score(results: StudyResults) -> None:
    table = results.table("hamming_loss", over="fold")
    assert list(table.columns) == list(MODELS)
    assert list(table.index.names) == ["dataset", "repeat", "fold"]
    assert list(dict.fromkeys(table.index.get_level_values("dataset"))) == list(DATASETS)
    for (dataset, repeat, fold), row in table.iterrows():
        assert row.tolist() == [score_of((dataset, model, repeat, fold), "hamming_loss") for model in MODELS]
    pd.testing.assert_frame_equal(results.table("hamming_loss", "fold", "planet"), table.loc[["planet"]])


def test_table_over_data_sets_holds_means(results: StudyResults) -> None:
    table = results.table("f1_micro")
    assert list(table.index) == list(DATASETS)
    means = results.summary("f1_micro")["f1_micro", "mean"]
    for dataset in DATASETS:
        np.testing.assert_allclose(table.loc[dataset], means[dataset])
    assert list(results.table("f1_micro", dataset=["planet"]).index) == ["planet"]


def test_table_has_no_mean_of_other_folds_than_those_of_the_other_models(gaps: StudyResults) -> None:
    table = gaps.table("f1_micro").isna()
    assert [(row, column) for row in table.index for column in table if table.loc[row, column]] == [
        ("yeast", "CC"),
        ("yeast", "ML-kNN"),
        ("planet", "BR"),
    ]
    assert gaps.table("f1_micro", over="fold").isna().sum().sum() == 3


def test_data_sets_without_the_measure_are_no_blocks(tmp_path: Path) -> None:
    def score(place: Any, measure: str, train_size: float) -> float | None:
        return score_of(place, measure)

    folder = write_study(tmp_path, datasets={"a": "multilabel", "b": "multilabel"}, score=score)
    results = StudyResults.load(folder)
    for record in results.records:
        if record["dataset"] == "a":
            del record["scores"]["hamming_loss"]
    assert list(results.table("hamming_loss").index) == ["b"]
    assert list(results.table("f1_micro").index) == ["a", "b"]
    # asked for, it is shown as it is
    assert results.table("hamming_loss", dataset="a").isna().all(axis=None)


def test_tables_are_of_the_largest_training_size(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, train_sizes=(0.1, 0.5, 1.0)))
    assert len(results.units) == 54
    assert sorted(set(results.units["train_size"])) == [0.1, 0.5, 1.0]
    assert set(results.summary()["f1_micro", "count"]) == {3}
    assert results.n_folds == {"yeast": 3, "planet": 3}
    for (dataset, repeat, fold), row in results.table("f1_micro", "fold").iterrows():
        assert row.tolist() == [score_of((dataset, model, repeat, fold), "f1_micro", 1.0) for model in MODELS]


def test_a_study_that_has_just_begun_gives_empty_tables(tmp_path: Path) -> None:
    everything = [place for dataset in DATASETS for model in MODELS for place in places(dataset, model, n_repeats=1)]
    results = StudyResults.load(write_study(tmp_path, missing=everything))
    assert results.missing == 18
    assert len(results.units) == len(results.scores) == len(results.failures) == 0
    assert "f1_micro" in results.units
    assert (results.summary()["f1_micro", "count"] == 0).all()
    assert results.table("f1_micro").isna().all(axis=None)
    with pytest.raises(ValueError, match="got none in 2 of 2 blocks"):
        results.friedman("f1_micro")


def test_equal_models_by_two_names_share_their_records(results: StudyResults) -> None:
    units = {(unit["dataset"], unit["model"], unit["repeat"], unit["fold"]): unit for unit in results.manifest["units"]}
    for (dataset, model, repeat, fold), unit in units.items():
        if model == "CC":
            unit["digest"] = units[dataset, "BR", repeat, fold]["digest"]
    shared = StudyResults(results.folder, results.manifest, results.records)
    assert shared.missing == 0
    table = shared.table("f1_micro", "fold")
    assert len(table) == 12
    assert (table["BR"] == table["CC"]).all()
    assert not (table["BR"] == table["ML-kNN"]).any()
    assert len(shared.predictions("yeast", "CC").rows) == 12


def test_measures_of_own_scorers_are_those_found(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path))
    results.manifest["measures"] = None
    assert results.measures == {"f1_micro": True, "hamming_loss": True}
    results.records = []
    assert results.measures == {}


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        StudyResults.load(tmp_path)


# tests


@pytest.mark.parametrize("over", ["dataset", "fold"])
def test_tests_are_those_of_the_table(results: StudyResults, over: Any) -> None:
    for measure, greater in results.measures.items():
        table = results.table(measure, over)
        pd.testing.assert_series_equal(
            results.average_ranks(measure, over), average_ranks(table, greater_is_better=greater)
        )
        assert results.friedman(measure, over) == friedman_test(table)
        p_values, difference = nemenyi_test(table, alpha=0.1)
        got = results.nemenyi(measure, over, alpha=0.1)
        pd.testing.assert_frame_equal(got.p_values, p_values)
        assert got.critical_difference == difference
        pd.testing.assert_frame_equal(results.wilcoxon(measure, over, control="CC"), wilcoxon_holm(table, "CC"))


def test_the_lowest_loss_ranks_first(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, score=lambda place, *_: MODELS.index(place[1]) / 10))
    assert results.average_ranks("hamming_loss").tolist() == [1, 2, 3]
    assert results.average_ranks("f1_micro").tolist() == [3, 2, 1]


def test_corrected_ttest_is_that_of_the_folds_and_their_rows(results: StudyResults) -> None:
    table = results.table("f1_micro", "fold", "yeast")
    # 12 rows in three folds
    expected = corrected_resampled_ttest(table["BR"] - table["ML-kNN"], 4 / 8, level=0.9)
    rows = results.corrected_ttest("yeast", "f1_micro", level=0.9)
    row = rows.set_index(["model", "other"]).loc[("BR", "ML-kNN")]
    np.testing.assert_allclose(row[list(expected._fields)], expected, rtol=1e-6)
    assert (rows["p_holm"] >= rows["p_value"]).all()
    against = results.corrected_ttest("yeast", "f1_micro", control="ML-kNN")
    assert against["other"].tolist() == ["BR", "CC"]
    assert against.loc[0, "p_value"] == pytest.approx(row["p_value"])
    assert against.loc[0, "difference"] == pytest.approx(-row["difference"])


def test_models_that_answer_alike_do_not_differ(tmp_path: Path) -> None:
    # the same numbers but for the order of a sum
    folder = write_study(tmp_path, score=lambda place, *_: 0.3 if place[1] == "BR" else 0.1 + 0.2 + 0.0 * place[3])
    results = StudyResults.load(folder)
    assert results.corrected_ttest("yeast", "f1_micro")["p_value"].tolist() == [1, 1, 1]
    assert results.friedman("f1_micro").p_value == 1


def test_tests_refuse_units_that_are_not_there_by_name(gaps: StudyResults) -> None:
    with pytest.raises(ValueError, match=r"none in 2 of 2 blocks: yeast \(CC, ML-kNN\), planet \(BR\)\. Leave out"):
        gaps.friedman("f1_micro")
    with pytest.raises(ValueError, match=r"none in 2 of 6 blocks: yeast 0 1 \(CC\), yeast 1 2 \(ML-kNN\)"):
        gaps.corrected_ttest("yeast", "f1_micro")
    # what the error advises works
    assert friedman_test(gaps.table("f1_micro", "fold").dropna()).n_blocks == 9


def test_one_data_set_is_too_few_for_friedman_and_one_fold_for_the_ttest(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, datasets=["yeast"], n_folds=1))
    for test in (results.friedman, results.nemenyi, results.wilcoxon):
        with pytest.raises(ValueError, match=r"at least 2 blocks, got 1: .*corrected resampled t-test.*over=\"fold\""):
            test("f1_micro")
    with pytest.raises(ValueError, match="at least 2 folds, got shape"):
        results.corrected_ttest("yeast", "f1_micro")
    assert math.isnan(results.summary().loc[("yeast", "BR"), ("f1_micro", "std")])


def test_one_model_has_none_to_be_compared_with(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, models=["BR"]))
    assert results.average_ranks("f1_micro").to_dict() == {"BR": 1}
    with pytest.raises(ValueError, match="at least 2 models, got 1"):
        results.corrected_ttest("yeast", "f1_micro")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda results: results.summary("f2"), "'measure' parameter must be one of f1_micro, hamming_loss. Got 'f2'"),
        (lambda results: results.table("f2"), "'measure' parameter must be one of"),
        (
            lambda results: results.table("f1_micro", "row"),
            "'over' parameter must be one of 'dataset', 'fold'. Got 'row'",
        ),
        (lambda results: results.table("f1_micro", dataset="rcv1"), "'dataset' parameter must be one of yeast, planet"),
        (lambda results: results.corrected_ttest("rcv1", "f1_micro"), "'dataset' parameter must be"),
        (
            lambda results: results.corrected_ttest("yeast", "f1_micro", control="SVM"),
            "'control' parameter must be one of",
        ),
        (lambda results: results.predictions("yeast", "SVM"), "'model' parameter must be one of BR, CC, ML-kNN"),
        (lambda results: results.predictions("yeast", "BR", 7), "'BR' on 'yeast', repeat 7, was done, of 0 planned"),
        (lambda results: results.export("units.xlsx"), r"must end in one of \.csv, \.md, \.tex. Got 'units.xlsx'"),
    ],
)
def test_what_is_not_there_is_named(results: StudyResults, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(results)


# answers


@pytest.mark.parametrize("kind", ["multilabel", "binary", "multiclass"])
def test_predictions_are_those_of_all_folds_in_the_order_of_the_data(tmp_path: Path, kind: str) -> None:
    results = StudyResults.load(write_study(tmp_path, datasets={"made": kind}, n_repeats=2))
    for repeat in range(2):
        answers = results.predictions("made", "BR", repeat)
        np.testing.assert_array_equal(answers.rows, np.arange(12))
        np.testing.assert_array_equal(answers.target, target_of(kind, 12))
        np.testing.assert_allclose(answers.scores[:, 0], np.arange(12) / 100, rtol=1e-6)
        assert answers.scores_are == "predict_proba"
        for fold in range(3):
            place = ("made", "BR", repeat, fold)
            np.testing.assert_array_equal(np.flatnonzero(answers.fold == fold), np.sort(rows_of(place, 12, 3)))


def test_predictions_leave_out_the_rows_of_folds_that_are_not_there(gaps: StudyResults) -> None:
    answers = gaps.predictions("yeast", "CC")
    gone = rows_of(("yeast", "CC", 0, 1), 12, 3)
    np.testing.assert_array_equal(answers.rows, np.setdiff1d(np.arange(12), gone))
    assert answers.target.shape == answers.predicted.shape == (8, len(LABELS))
    assert len(gaps.predictions("yeast", "ML-kNN", 1).rows) == 8


def test_predictions_of_a_model_without_scores_have_none(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, unscored=["BR"]))
    answers = results.predictions("yeast", "BR")
    assert answers.scores is None
    assert answers.scores_are is None
    assert answers.predicted.shape == (12, 3)


def test_a_model_that_failed_everywhere_has_no_predictions(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, failed=places("yeast", "BR", n_repeats=1)))
    with pytest.raises(ValueError, match=r"No fold of 'BR' on 'yeast', repeat 0, was done, of 3 planned: see failures"):
        results.predictions("yeast", "BR")
    assert results.summary().loc[("yeast", "BR"), ("f1_micro", "count")] == 0


# files


def test_csv_holds_the_units(gaps: StudyResults, tmp_path: Path) -> None:
    gaps.export(tmp_path / "units.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "units.csv"), gaps.units, check_dtype=False)
    gaps.export(tmp_path / "few.csv", "hamming_loss")
    read = pd.read_csv(tmp_path / "few.csv")
    assert "hamming_loss" in read
    assert "f1_micro" not in read


def read_markdown(text: str) -> dict[str, pd.DataFrame]:
    """Tables by the headings above them, as other programs read them."""
    tables = {}
    for part in text.split("## ")[1:]:
        name, _, table = part.partition("\n\n")
        lines = [line for line in table.strip().splitlines() if not line.startswith("| ---")]
        assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
        frame = pd.read_csv(StringIO("\n".join(lines)), sep=r"(?<!\\)\|", engine="python", dtype=str)
        frame = frame.iloc[:, 1:-1].rename(columns=str.strip)
        tables[name] = frame.map(str.strip).set_index(frame.columns[0])
    return tables


def test_markdown_holds_means_and_deviations_with_the_best_in_bold(results: StudyResults, tmp_path: Path) -> None:
    results.export(tmp_path / "summary.md")
    tables = read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8"))
    assert list(tables) == list(DATASETS)
    summary = results.summary()
    for dataset, table in tables.items():
        assert list(table.columns) == ["F1 micro ↑", "Hamming loss ↓"]
        for measure, heading, best in (("f1_micro", "F1 micro ↑", "max"), ("hamming_loss", "Hamming loss ↓", "min")):
            means = summary.loc[dataset][measure, "mean"]
            for model in MODELS:
                std = summary.loc[(dataset, model), (measure, "std")]
                cell = f"{means[model]:.3f} ±{std:.3f}".replace("0.", ".")
                is_best = means[model] == means.agg(best)
                assert table.loc[model, heading] == (f"**{cell}**" if is_best else cell)


def test_a_table_of_each_measure_has_the_data_sets_and_the_average_rank(results: StudyResults, tmp_path: Path) -> None:
    results.export(tmp_path / "summary.md", by="measure")
    tables = read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8"))
    assert list(tables) == ["F1 micro ↑", "Hamming loss ↓"]
    summary = results.summary()
    for (measure, greater), table in zip(results.measures.items(), tables.values(), strict=True):
        table = table.T if table.index.name == "data set" else table
        assert list(table.columns) == [*DATASETS, "average rank"]
        means = summary[measure]["mean"].reset_index().pivot_table("mean", "model", "dataset")
        ranks = means.rank(ascending=not greater).mean(axis=1)
        for model in MODELS:
            for dataset in DATASETS:
                mean, std, _ = summary.loc[(dataset, model), measure]
                cell = f"{mean:.3f} ±{std:.3f}".replace("0.", ".")
                is_best = mean == means[dataset].agg("max" if greater else "min")
                assert table.loc[model, dataset] == (f"**{cell}**" if is_best else cell)
            rank = f"{ranks[model]:.2f}"
            assert table.loc[model, "average rank"] == (f"**{rank}**" if ranks[model] == ranks.min() else rank)


def test_models_with_gaps_have_no_average_rank(gaps: StudyResults, tmp_path: Path) -> None:
    gaps.export(tmp_path / "summary.md", "f1_micro", by="measure")
    (table,) = read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8")).values()
    assert "average rank" not in [*table.columns, *table.index]
    gaps.export(tmp_path / "summary.tex", "f1_micro", by="measure")
    assert r"\caption{F1 micro $\uparrow$: mean $\pm$" in (tmp_path / "summary.tex").read_text(encoding="utf-8")


def test_tables_are_by_data_set_or_by_measure(results: StudyResults, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'by' parameter must be one of 'dataset', 'measure'\. Got 'model'"):
        results.export(tmp_path / "summary.md", by="model")
    assert not (tmp_path / "summary.md").exists()


def test_models_that_look_alike_are_best_alike(tmp_path: Path) -> None:
    values = {"BR": 0.70011, "CC": 0.70049, "ML-kNN": 0.69949}
    results = StudyResults.load(write_study(tmp_path, datasets=["a"], score=lambda place, *_: values[place[1]]))
    results.export(tmp_path / "summary.md", "f1_micro")
    (table,) = read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8")).values()
    assert table["F1 micro ↑"].tolist() == ["**.700 ±.000**", "**.700 ±.000**", ".699 ±.000"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1674, ".167"), (1.0, "1.000"), (0.9996, "1.000"), (-0.25, "-.250"), (-0.0001, ".000"), (10.5, "10.500")],
)
def test_numbers_have_three_digits_and_no_zero_before_the_point(value: float, text: str, tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, datasets=["a"], models=["BR"], n_folds=1, score=lambda *_: value))
    results.export(tmp_path / "summary.md", "f1_micro")
    (table,) = read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8")).values()
    assert table.loc["BR", "F1 micro ↑"] == f"**{text}**"


def test_models_that_lack_folds_say_so_and_are_not_best(tmp_path: Path) -> None:
    values = {"BR": 0.1, "CC": 0.9, "ML-kNN": 0.5}
    failed = [("a", "CC", 0, 0), *(("a", "ML-kNN", 0, fold) for fold in range(3))]
    folder = write_study(tmp_path, datasets=["a"], score=lambda place, *_: values[place[1]], failed=failed)
    results = StudyResults.load(folder)
    results.export(tmp_path / "summary.md", "f1_micro")
    (table,) = read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8")).values()
    assert table["F1 micro ↑"].tolist() == ["**.100 ±.000**", ".900 ±.000 (2 of 3)", "-"]


def test_more_measures_than_models_go_down_the_page(tmp_path: Path) -> None:
    measures = dict.fromkeys("abcd", True)
    results = StudyResults.load(write_study(tmp_path, measures=measures))
    results.export(tmp_path / "summary.md")
    for table in read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8")).values():
        assert table.index.name == "measure"
        assert list(table.index) == [f"{name.upper()} ↑" for name in measures]
        assert list(table.columns) == list(MODELS)
    results.export(tmp_path / "few.md", ["b", "d"])
    for table in read_markdown((tmp_path / "few.md").read_text(encoding="utf-8")).values():
        assert table.index.name == "model"
        assert list(table.columns) == ["B ↑", "D ↑"]


def test_measures_are_shown_where_they_were_taken(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, datasets={"a": "multilabel", "b": "binary"}))
    for record in results.records:
        del record["scores"]["f1_micro" if record["dataset"] == "b" else "hamming_loss"]
    results.export(tmp_path / "summary.md")
    tables = read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8"))
    assert {name: list(table.columns) for name, table in tables.items()} == {
        "a": ["F1 micro ↑"],
        "b": ["Hamming loss ↓"],
    }


def test_latex_says_what_markdown_says(gaps: StudyResults, tmp_path: Path) -> None:
    gaps.export(tmp_path / "summary.md")
    gaps.export(tmp_path / "summary.tex")
    tex = (tmp_path / "summary.tex").read_text(encoding="utf-8")
    for table in read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8")).values():
        for model, row in table.iterrows():
            cells = [re.sub(r"\*\*(.*)\*\*", r"\\textbf{\1}", cell).replace("±", r"$\pm$") for cell in row]
            assert f"{model} & {' & '.join(cells)} \\\\" in tex
    assert r"model & F1 micro $\uparrow$ & Hamming loss $\downarrow$ \\" in tex


def test_latex_is_well_formed_whatever_the_names(tmp_path: Path) -> None:
    names = [r"50% & more", r"a_b^c~$d$", r"{x} \y #1", "<p|q>"]
    results = StudyResults.load(write_study(tmp_path / "study", datasets=["set_1 & 2"], models=names))
    results.export(tmp_path / "summary.tex")
    tex = (tmp_path / "summary.tex").read_text(encoding="utf-8")
    depth = []
    for command, name in re.findall(r"\\(begin|end)\{(\w+)\}", tex):
        if command == "begin":
            depth.append(name)
        else:
            assert depth.pop() == name
    assert depth == []
    bare = re.sub(r"\\[\\&%$#_{}]", "", tex)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not set("%#_^~|<>") & set(bare)
    assert r"\caption{set\_1 \& 2: mean $\pm$" in tex
    (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", tex)
    body = bare.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if "&" in line]
    assert len(rows) == 1 + len(names)
    assert all(line.count("&") == len(columns) - 1 for line in rows)
    order = [tex.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert order == sorted(order)


def test_markdown_cells_hold_whatever_the_names(tmp_path: Path) -> None:
    results = StudyResults.load(write_study(tmp_path, models=["a|b", "c*d", "e"]))
    results.export(tmp_path / "summary.md")
    for table in read_markdown((tmp_path / "summary.md").read_text(encoding="utf-8")).values():
        assert list(table.index) == [r"a\|b", r"c\*d", "e"]
