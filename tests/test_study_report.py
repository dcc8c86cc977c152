"""The report of a study: what stands on the page, against the study's own tables and scikit-learn."""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score, log_loss

from skdeep.metrics import fbeta_at_threshold
from skdeep.study._folder import StudyFolder
from skdeep.study._report import _template, write_report
from skdeep.study._report._answers import as_answers
from skdeep.study._report._charts import Point, _apart, _labelled, dots, linear, logarithmic
from skdeep.study._report._tables import is_best
from skdeep.study._results import StudyResults
from skdeep.study._statistics import average_ranks, corrected_resampled_ttest
from skdeep.study._wording import measure_text
from tests.study_folders import LABELS, MEASURES, score_of, target_of, write_study

MODELS = ("BR", "CC", "ML-kNN")
VOID = {"meta", "link", "img", "input", "br", "hr"}
N_ROWS = 60


@dataclass
class Element:
    """A node of the page."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None
    content: list[Element | str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Element]:
        """All elements within, in order."""
        for child in self.content:
            if isinstance(child, Element):
                yield child
                yield from child

    def all(self, tag: str, of_class: str = "") -> list[Element]:
        return [e for e in self if e.tag == tag and of_class in ("", *e.attributes.get("class", "").split())]

    def one(self, tag: str, of_class: str = "") -> Element:
        (found,) = self.all(tag, of_class)
        return found

    def by_id(self, name: str) -> Element:
        (found,) = [element for element in self if element.attributes.get("id") == name]
        return found

    @property
    def text(self) -> str:
        parts = [child if isinstance(child, str) else child.text for child in self.content]
        return re.sub(r"\s+", " ", "".join(parts)).strip()


class Reader(HTMLParser):
    """Reads a page, and fails where a tag is closed that was not opened last."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.current = Element("", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute of {tag} stands twice"
        element = Element(tag, {name: value or "" for name, value in attrs}, self.current)
        self.current.content.append(element)
        if tag not in VOID:
            self.current = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.current.tag, f"</{tag}> closes <{self.current.tag}>"
        assert self.current.parent is not None
        self.current = self.current.parent

    def handle_data(self, data: str) -> None:
        self.current.content.append(data)


def read(text: str) -> Element:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.current is reader.root
    return reader.root


def table_of(element: Element) -> tuple[list[str], list[list[str]]]:
    """The heads and the cells of a table, as they are seen: stars stand, words for the blind do not."""
    heads = [seen(head) for head in element.all("thead")[0].all("th")]
    rows = [[seen(cell) for cell in row if cell.tag in {"th", "td"}] for row in element.all("tbody")[0].all("tr")]
    return heads, rows


def seen(element: Element) -> str:
    return re.sub(r"\s+", " ", "".join(_seen(element))).strip()


def _seen(element: Element) -> Iterator[str]:
    for child in element.content:
        if isinstance(child, str):
            yield child
        elif child.attributes.get("class") != "unseen":
            yield from _seen(child)


def option(section: Element, heading: str, text: str) -> Element:
    """What a choice shows once ``text`` is chosen, beneath a heading."""
    after = list(section)
    start = next(k for k, e in enumerate(after) if e.tag in {"h3", "summary"} and e.text == heading)
    return next(e for e in after[start:] if e.attributes.get("data-option") == text)


def answer(folder: Path, *, decision: tuple[str, ...] = (), mute: tuple[str, ...] = ()) -> Path:
    """Let all models of a study answer by chance, the first better than the others."""
    files = StudyFolder(folder)
    for number, record in enumerate(files.records()):
        if record["status"] == "failed":
            continue
        answers = files.answers(record["digest"])
        rng = np.random.default_rng(number)
        scores = rng.random((len(answers["rows"]), len(LABELS)))
        scores = np.round((scores + answers["target"] * (0.5 if record["model"] == MODELS[0] else 0.1)) / 1.5, 3)
        answers = {"rows": answers["rows"], "target": answers["target"], "predicted": (scores > 0.5).astype(np.uint8)}
        if record["model"] not in mute:
            is_decision = record["model"] in decision
            answers["scores"] = (4 * scores - 2 if is_decision else scores).astype(np.float32)
            answers["scores_are"] = np.array("decision_function" if is_decision else "predict_proba")
        files.write(record, answers)
    return folder


Make = Callable[..., tuple[StudyResults, Element]]


@pytest.fixture
def page(tmp_path: Path) -> Make:
    """Writes a study and its report."""

    def make(*, answers: dict[str, Any] | None = None, report: dict[str, Any] | None = None, **study: Any) -> Any:
        folder = answer(write_study(tmp_path / "study", n_rows=N_ROWS, **study), **(answers or {}))
        results = StudyResults.load(folder)
        written = write_report(results, tmp_path / "report.html", **(report or {}))
        return results, read(written.read_text(encoding="utf-8"))

    return make


# the page as a whole


def test_report_is_one_file_that_loads_nothing(page: Make, tmp_path: Path) -> None:
    images = list(np.random.default_rng(0).integers(256, size=(N_ROWS, 8, 8, 3), dtype=np.uint8))
    _, html = page(report={"images": {"yeast": images}})
    loading = {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}
    addresses = [value for element in html for name, value in element.attributes.items() if name in loading]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(|https?://|//cdn", text)


def test_report_has_one_title_and_headings_in_order(page: Make) -> None:
    _, html = page(datasets=("yeast", "planet", "scene"), train_sizes=(0.5, 1.0), failed=[("yeast", "CC", 0, 1)])
    levels = [int(element.tag[1]) for element in html if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - level <= 1 for level, later in pairwise(levels))


def test_report_has_landmarks_and_a_link_past_them(page: Make) -> None:
    _, html = page()
    for tag in ("header", "nav", "main", "footer"):
        assert len(html.all(tag)) == 1
    assert html.one("a", "skip").attributes["href"] == f"#{html.one('main').attributes['id']}"
    assert html.one("html").attributes["lang"] == "en"


def test_navigation_lists_the_sections_that_are_there(page: Make) -> None:
    _, html = page()
    targets = [link.attributes["href"].removeprefix("#") for link in html.one("nav").all("a")]
    assert targets == [section.attributes["id"] for section in html.all("section")]
    identifiers = [element.attributes["id"] for element in html if "id" in element.attributes]
    assert len(identifiers) == len(set(identifiers))
    for section in html.all("section"):
        assert html.by_id(section.attributes["aria-labelledby"]).tag == "h2"


def test_charts_say_in_words_what_they_show(page: Make) -> None:
    _, html = page(train_sizes=(0.5, 1.0))
    pictures = [svg for svg in html.all("svg") if svg.parent is not None and svg.parent.tag != "svg"]
    assert pictures
    for svg in pictures:
        assert svg.attributes.get("aria-hidden") == "true" or svg.attributes["role"] == "img"
        if "role" in svg.attributes:
            assert all(model in svg.attributes["aria-label"] for model in MODELS)


def test_colours_are_those_of_the_style_sheet(page: Make) -> None:
    _, html = page()
    assert not any({"fill", "stroke"} & element.attributes.keys() for element in html)


def test_report_escapes_what_users_name(page: Make) -> None:
    evil = "<script>alert(1)</script>"
    _, html = page(models=("BR", evil), datasets=(f"{evil} & co",), failed=[(f"{evil} & co", evil, 0, 0)])
    assert len(html.all("script")) == 1
    assert evil in html.by_id("summary").text
    assert f"{evil} & co" in [heading.text for heading in html.all("h3")]


def test_report_is_the_same_for_the_same_results(page: Make, tmp_path: Path) -> None:
    results, _ = page(datasets=("yeast", "planet", "scene"), train_sizes=(0.5, 1.0))
    again = write_report(StudyResults.load(results.folder), str(tmp_path / "again.html"))
    assert again == tmp_path / "again.html"
    assert again.read_bytes() == (tmp_path / "report.html").read_bytes()


def test_title_is_the_users_or_names_what_was_run(page: Make) -> None:
    assert page(report={"title": "Bees & birds"})[1].one("h1").text == "Bees & birds"
    assert page()[1].one("h1").text == "BR, CC and ML-kNN on yeast and planet"
    assert page(models=tuple("abcdef"))[1].one("head").one("title").text == "6 models on yeast and planet"


def test_status_counts_what_is_done_failed_and_missing(page: Make) -> None:
    _, html = page(failed=[("yeast", "CC", 0, 1), ("yeast", "BR", 0, 1)], missing=[("planet", "BR", 0, 2)])
    assert [item.text for item in html.one("ul", "status").all("li")] == ["✓ 15 done", "✕ 2 failed", "… 1 missing"]


# the summary


@pytest.fixture
def gaps(page: Make) -> tuple[StudyResults, Element]:
    """CC failed in a fold of yeast, and ML-kNN was not run in one."""
    return page(n_repeats=2, failed=[("yeast", "CC", 0, 1)], missing=[("yeast", "ML-kNN", 1, 2)])


def test_summary_gives_mean_and_deviation_of_every_measure(gaps: tuple[StudyResults, Element]) -> None:
    results, html = gaps
    summary = results.summary()
    for dataset, table in zip(("yeast", "planet"), html.by_id("summary").all("table"), strict=True):
        heads, rows = table_of(table)
        assert [row[0].split(" ")[0] for row in rows] == list(MODELS)
        for measure, greater in MEASURES.items():
            place = heads.index(f"{measure_text(measure)} {'↑' if greater else '↓'}")
            for model, row in zip(MODELS, rows, strict=True):
                mean, deviation, _ = summary.loc[(dataset, model), measure]
                assert row[place].removeprefix("★") == f"{mean:.3f} ± {deviation:.3f}"


def test_summary_marks_the_best_among_the_models_with_all_folds(gaps: tuple[StudyResults, Element]) -> None:
    results, html = gaps
    yeast, planet = (table_of(table)[1] for table in html.by_id("summary").all("table"))
    assert [row[1].startswith("★") for row in yeast] == [True, False, False]
    means = results.summary("f1_micro").loc["planet"]["f1_micro", "mean"]
    assert [row[1].startswith("★") for row in planet] == (means == means.max()).tolist()
    losses = results.summary("hamming_loss").loc["planet"]["hamming_loss", "mean"]
    assert [row[2].startswith("★") for row in planet] == (losses == losses.min()).tolist()


def test_summary_says_how_many_folds_a_model_has(gaps: tuple[StudyResults, Element]) -> None:
    _, html = gaps
    yeast, planet = (table_of(table)[1] for table in html.by_id("summary").all("table"))
    assert [row[0] for row in yeast] == ["BR", "CC 5 of 6 folds", "ML-kNN 5 of 6 folds"]
    assert [row[0] for row in planet] == list(MODELS)


def test_main_measures_come_first_and_are_shown(page: Make) -> None:
    measures = {"coverage": False, "one_error": False, "hamming_loss": False, "f1_samples": True}
    _, html = page(measures=measures)
    heads = html.by_id("summary").all("table")[0].all("th")
    shown = [head.attributes["data-measure"] for head in heads if "data-main" in head.attributes]
    assert shown == ["f1_samples", "hamming_loss", "fit_seconds"]
    assert {head.attributes["data-measure"] for head in heads if "data-measure" in head.attributes} > set(measures)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("f1_samples", "F1 samples"),
        ("map_macro", "mAP macro"),
        ("roc_auc_ovr", "ROC AUC ovr"),
        ("subset_accuracy", "Subset accuracy"),
        ("neg_log_loss", "Neg log loss"),
    ],
)
def test_measures_are_written_as_words(name: str, text: str) -> None:
    assert measure_text(name) == text


def test_best_is_told_by_the_digits_shown_and_is_not_everyone() -> None:
    assert is_best([0.1234, 0.1231, 0.1, np.nan], 3) == [True, True, False, False]
    assert is_best([0.2, 0.1, 0.1], 3, greater_is_better=False) == [False, True, True]
    assert is_best([0.3, 0.2, 0.1], 3, eligible=[False, True, True]) == [False, True, False]
    assert is_best([0.1, 0.1], 3) == is_best([np.nan, np.nan], 3) == [False, False]


# ranks and tests


def test_three_data_sets_have_ranks_with_a_critical_difference(page: Make) -> None:
    results, html = page(datasets=("yeast", "planet", "scene", "birds"))
    shown = option(html.by_id("ranks"), "Over 4 data sets", "F1 micro")
    ranks = results.average_ranks("f1_micro").sort_values(kind="stable")
    rows = [item for item in shown.all("li") if item.attributes.get("class") != "axis"]
    assert [row.one("span", "name").text for row in rows] == ranks.index.tolist()
    assert [row.one("span", "value").text for row in rows] == [f"{rank:.2f}" for rank in ranks]
    difference = results.nemenyi("f1_micro").critical_difference
    friedman = results.friedman("f1_micro")
    assert f"{difference:.2f} ranks" in shown.text
    assert f"chi-square {friedman.statistic:.2f}, p = {friedman.p_value:.3f}" in shown.text
    hollow = [bool(row.all("path", "hollow")) for row in rows]
    assert hollow == (ranks - ranks.min() > difference).tolist()


def test_few_data_sets_have_ranks_over_folds_that_say_they_are_dependent(page: Make) -> None:
    results, html = page()
    section = html.by_id("ranks")
    assert "Folds are not independent" in section.text
    assert "Nemenyi" not in section.text
    ranks = results.average_ranks("hamming_loss", "fold", "planet").sort_values(kind="stable")
    shown = option(section, "planet", "Hamming loss").one("div", "strips")
    assert [value.text for value in shown.all("span", "value")][:-1] == [f"{rank:.2f}" for rank in ranks]


@pytest.mark.parametrize("datasets", [("yeast",), ("yeast", "planet", "scene")])
def test_pairs_of_models_have_the_corrected_t_test(page: Make, datasets: tuple[str, ...]) -> None:
    results, html = page(datasets=datasets, n_folds=5, score=lambda *place: 0.1 * score_of(*place))
    _, rows = table_of(option(html.by_id("ranks"), "yeast", "F1 micro").one("table"))
    expected = {
        frozenset((test.model, test.other)): test
        for test in results.corrected_ttest("yeast", "f1_micro").itertuples(index=False)
    }
    means = results.summary("f1_micro").loc["yeast"]["f1_micro", "mean"]
    assert {frozenset(row[:2]) for row in rows} == expected.keys()
    for better, other, difference, interval, p_value, adjusted in rows:
        test = expected[frozenset((better, other))]
        assert means[better] >= means[other]
        assert float(difference) == pytest.approx(abs(test.difference), abs=6e-4)
        ends = sorted(float(end.replace("\N{MINUS SIGN}", "-")) for end in interval.split(" to "))
        sign = 1 if test.model == better else -1
        assert ends == pytest.approx(sorted([sign * test.low, sign * test.high]), abs=6e-4)
        assert p_value == (f"{test.p_value:.3f}" if test.p_value >= 0.001 else "< 0.001")
        assert adjusted.endswith("*") == (test.p_holm < 0.05)


def test_many_models_are_compared_with_the_best(page: Make) -> None:
    results, html = page(models=tuple("abcdefghij"), datasets=("yeast",))
    _, rows = table_of(option(html.by_id("ranks"), "yeast", "F1 micro").one("table"))
    best = results.summary("f1_micro").loc["yeast"]["f1_micro", "mean"].idxmax()
    assert {row[0] for row in rows} == {best}
    assert {row[1] for row in rows} == set("abcdefghij") - {best}


def test_models_without_a_value_are_left_out_of_tests_and_named(page: Make) -> None:
    _, html = page(models=("BR", "CC", "LP", "ML-kNN"), datasets=("a", "b", "c"), failed=[("a", "CC", 0, 0)])
    shown = option(html.by_id("ranks"), "Over 3 data sets", "F1 micro")
    assert "Left out, as a value is missing somewhere: “CC”" in shown.text
    names = [name.text for name in shown.all("span", "name")]
    assert sorted(names[:-1]) == ["BR", "LP", "ML-kNN"]


def test_folds_that_some_model_has_not_run_yet_are_left_out_of_tests(page: Make) -> None:
    results, html = page(datasets=("a", "b", "c"), n_folds=4, missing=[("a", "CC", 0, 3)])
    tables = [results.table("f1_micro", "fold", name).dropna() for name in "abc"]
    assert [len(table) for table in tables] == [3, 4, 4]
    ranks = average_ranks([table.mean() for table in tables])
    shown = option(html.by_id("ranks"), "Over 3 data sets", "F1 micro")
    assert {item.one("span", "name").text: item.one("span", "value").text for item in shown.all("li")[:-1]} == {
        model: f"{rank:.2f}" for model, rank in zip(tables[0].columns, ranks, strict=True)
    }
    _, rows = table_of(option(html.by_id("ranks"), "a", "F1 micro").one("table"))
    ratio = results.units.query("dataset == 'a'").eval("n_test / n_train").mean()
    for better, other, _, _, p_value, _ in rows:
        test = corrected_resampled_ttest(tables[0][better] - tables[0][other], ratio)
        assert p_value == (f"{test.p_value:.3f}" if test.p_value >= 0.001 else "< 0.001")
    assert "Folds that some model has not run yet are left out." in html.by_id("ranks").text


# folds, cost and learning


def test_each_fold_is_a_dot(page: Make) -> None:
    _, html = page(n_folds=4, n_repeats=3)
    for strips in html.by_id("folds").all("div", "strips"):
        paths = strips.all("path", "dots")
        assert len(paths) == len(MODELS)
        assert all(path.attributes["d"].count("h0") == 12 for path in paths)


def test_cost_has_a_point_for_each_model_and_fills_those_that_no_other_beats(page: Make) -> None:
    results, html = page(datasets=("yeast",))
    titled = [svg for svg in option(html.by_id("folds"), "yeast", "F1 micro").all("svg") if len(svg.content) > 1]
    points = {svg.one("title").text.split(":")[0]: svg.one("circle") for svg in titled if svg.content[0].tag == "title"}
    units = results.units.groupby("model")
    cost, score = units["fit_seconds"].mean(), units["f1_micro"].mean()
    for model in MODELS:
        beaten = any(cost[o] <= cost[model] and score[o] >= score[model] and o != model for o in MODELS)
        assert points[model].attributes["class"] == ("behind" if beaten else "front")


def test_learning_curves_are_there_if_training_sizes_are(page: Make) -> None:
    _, plain = page()
    assert "Learning curves" not in plain.by_id("folds").text
    _, html = page(train_sizes=(0.25, 0.5, 1.0))
    shown = option(html.by_id("folds"), "yeast", "F1 micro")
    assert "Learning curves" in shown.text
    curves = shown.all("path", "line")
    assert len(curves) == len(MODELS)
    assert all(len(re.findall("[ML]", path.attributes["d"])) == 3 for path in curves)


# labels, thresholds and images


def test_labels_have_average_precision_and_f1_of_the_pooled_answers(page: Make) -> None:
    results, html = page(datasets=("yeast",), answers={"decision": ("CC",), "mute": ("ML-kNN",)})
    section = html.by_id("labels")
    target = target_of("multilabel", N_ROWS)
    for text, score in (
        ("Average precision", lambda true, scores, half: average_precision_score(true, scores)),
        ("F1 at 0.5", lambda true, scores, half: f1_score(true, scores >= half)),
    ):
        heads, rows = table_of(option(section, "yeast", text).one("table"))
        assert heads == ["Label", "Positives", "BR ↑", "CC ↑"]
        for label, row in enumerate(rows):
            assert row[0] == LABELS[label]
            assert int(row[1].split(" ")[0]) == target[:, label].sum()
            for place, (model, half) in enumerate((("BR", 0.5), ("CC", 0.0)), 2):
                scores = results.predictions("yeast", model).scores[:, label]
                assert float(row[place].removeprefix("★")) == pytest.approx(
                    score(target[:, label], scores, half), abs=5.1e-4
                )
    assert "logistic function, for want of probabilities: CC." in section.text
    assert "neither probabilities nor decision values: ML-kNN." in section.text


def test_labels_say_which_models_answered_fewer_rows(page: Make) -> None:
    _, html = page(datasets=("yeast",), failed=[("yeast", "BR", 0, 1)])
    section = html.by_id("labels")
    assert "Over fewer rows than the others, as folds are missing: BR." in section.text
    _, rows = table_of(option(section, "yeast", "Average precision").one("table"))
    assert not any(row[2].startswith("★") for row in rows)


def test_threshold_curves_name_their_highest_point(page: Make) -> None:
    results, html = page(datasets=("yeast",))
    target = target_of("multilabel", N_ROWS)
    for beta, plot in ((2, "F2"), (1, "F1")):
        legend = next(f for f in html.by_id("labels").all("figure") if f.text.startswith(plot)).one("ul", "legend")
        for model in MODELS:
            scores = results.predictions("yeast", model).scores.astype(float)
            grid = np.arange(101) / 100
            curve = [fbeta_at_threshold(target, scores, beta=beta, threshold=threshold) for threshold in grid]
            best = int(np.argmax(curve))
            assert f"{model} {curve[best]:.3f} at {grid[best]:.2f}" in [item.text for item in legend.all("li")]


def test_answers_that_were_not_kept_leave_their_sections_out(page: Make, tmp_path: Path) -> None:
    results, _ = page()
    for path in results.folder.glob("units/*.npz"):
        path.unlink()
    images = {"yeast": np.zeros((N_ROWS, 8, 8), dtype=np.uint8)}
    html = read(write_report(results, tmp_path / "again.html", images=images).read_text(encoding="utf-8"))
    assert "labels" not in [section.attributes["id"] for section in html.all("section")]
    assert not html.all("img")


def test_images_are_those_of_the_highest_log_loss(page: Make, paths_of: Callable[[int], list[str]]) -> None:
    paths = paths_of(N_ROWS)
    results, html = page(datasets=("yeast",), report={"images": {"yeast": paths}, "n_images": 5})
    best = results.summary("f1_micro").loc["yeast"]["f1_micro", "mean"].idxmax()
    answers = results.predictions("yeast", best)
    losses = [
        np.mean([log_loss([true], [score], labels=[0, 1]) for true, score in zip(*row, strict=True)])
        for row in zip(answers.target, np.clip(answers.scores.astype(float), 1e-7, 1 - 1e-7), strict=True)
    ]
    order = np.argsort(-np.array(losses), kind="stable")[:5]
    section = html.by_id("images")
    assert f"By {best}:" in section.text
    figures = section.all("figure")
    assert [figure.one("span", "file").text for figure in figures] == [Path(paths[row]).name for row in order]
    for row, figure in zip(order, figures, strict=True):
        true, predicted = (words(values) for values in (answers.target[row], answers.predicted[row]))
        assert figure.one("img").attributes["alt"] == f"{Path(paths[row]).name}; true: {true}; predicted: {predicted}"
        assert [span.text for span in figure.all("span", "labels")] == [f"True {true}", f"Predicted {predicted}"]
        wrong = [LABELS[k] for k in np.flatnonzero(answers.target[row] != answers.predicted[row])]
        assert sorted(mark.text for mark in figure.all("mark")) == wrong
        assert figure.one("span", "loss").text == f"log loss {losses[row]:.2f}"


def words(values: NDArray[np.uint8]) -> str:
    return ", ".join(LABELS[k] for k in np.flatnonzero(values)) or "none"


@pytest.fixture
def paths_of(tmp_path: Path) -> Callable[[int], list[str]]:
    """Writes so many pictures of one colour each, larger than a thumbnail."""

    def make(number: int) -> list[str]:
        names = [str(tmp_path / f"chip & {row}.png") for row in range(number)]
        for row, name in enumerate(names):
            Image.new("RGB", (400, 200), (4 * row, 0, 0)).save(name)
        return names

    return make


def test_images_are_small_pictures_within_the_page(page: Make, paths_of: Callable[[int], list[str]]) -> None:
    paths = paths_of(N_ROWS)
    _, html = page(datasets=("yeast",), report={"images": {"yeast": paths}, "n_images": 3})
    for figure in html.by_id("images").all("figure"):
        kind, content = figure.one("img").attributes["src"].split(",")
        assert kind == "data:image/jpeg;base64"
        picture = Image.open(io.BytesIO(base64.b64decode(content)))
        size = tuple(int(figure.one("img").attributes[side]) for side in ("width", "height"))
        assert picture.size == size
        assert max(size) <= 160
        row = int(figure.one("span", "file").text.removeprefix("chip & ").removesuffix(".png"))
        assert picture.getpixel((80, 80))[0] == pytest.approx(4 * row, abs=4)


def test_images_that_are_arrays_are_named_by_their_row(page: Make) -> None:
    images = np.random.default_rng(0).random((N_ROWS, 6, 6))
    _, html = page(datasets=("yeast",), report={"images": {"yeast": images}, "n_images": 1})
    assert re.fullmatch(r"row \d+", html.by_id("images").one("span", "file").text)


def test_report_refuses_images_that_fit_no_data_set(page: Make) -> None:
    with pytest.raises(ValueError, match=r"names of data sets: yeast, planet\. Got 'birds' instead\."):
        page(report={"images": {"birds": []}})
    with pytest.raises(ValueError, match=r"an image for each row .* at least 60\. Got 7 instead\."):
        page(report={"images": {"yeast": np.zeros((7, 8, 8), dtype=np.uint8)}})


# failures, parameters and environment


def test_failures_are_there_with_their_tracebacks(page: Make) -> None:
    _, html = page(failed=[("yeast", "CC", 0, 1)])
    failure = html.by_id("failures").one("details", "failure")
    assert failure.one("summary").text == "CC on yeast, fit: ValueError: too few rows"
    assert failure.one("p").text == "In repeat 0, fold 1."
    assert failure.one("pre").text == "Traceback ..."
    assert "No run failed" in page()[1].by_id("failures").text


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change every record of a study."""
    files = StudyFolder(folder)
    for record in list(files.records()):
        change(record)
        files.write(record, None)


def test_parameters_are_counted_and_listed_by_fold(page: Make, tmp_path: Path) -> None:
    def choose(record: dict[str, Any]) -> None:
        if record["model"] == "BR":
            record["parameters"] = {"C": 10 if record["fold"] == 2 else 0.1}

    results, _ = page(datasets=("yeast",))
    rewrite(results.folder, choose)
    html = read(write_report(StudyResults.load(results.folder), tmp_path / "again.html").read_text(encoding="utf-8"))
    counted, by_fold = (table_of(table)[1] for table in html.by_id("failures").all("table"))
    assert counted == [["BR", "C", "0.1 (2), 10 (1)"]]
    assert by_fold == [[f"repeat 0, fold {fold}", "10" if fold == 2 else "0.1"] for fold in range(3)]


def test_warnings_are_counted(page: Make, tmp_path: Path) -> None:
    results, _ = page(datasets=("yeast",))
    rewrite(results.folder, lambda record: record.update(warnings=["UserWarning: rare"] * (record["model"] == "CC")))
    html = read(write_report(StudyResults.load(results.folder), tmp_path / "again.html").read_text(encoding="utf-8"))
    assert table_of(html.by_id("failures").one("table"))[1] == [["CC", "yeast", "UserWarning: rare", "3"]]


def test_environment_has_all_that_is_needed_to_run_again(page: Make) -> None:
    results, html = page()
    section = html.by_id("environment")
    data, splits = section.all("table")
    assert [row[0] for row in table_of(data)[1]] == ["yeast", "planet"]
    assert len(table_of(splits)[1]) == 6
    assert table_of(splits)[1][1] == ["yeast", "0", "1", "0", "0 1"]
    for name, model in results.manifest["models"].items():
        assert model["repr"] in [pre.text for pre in section.all("pre")]
        assert name in section.text
    assert "n_repeats={'yeast': 1, 'planet': 1}, train_sizes=[1.0], random_state=0" in section.text


# other studies


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_classes_have_a_report_too(tmp_path: Path, kind: str) -> None:
    folder = write_study(tmp_path / "study", datasets={"a": kind}, measures={"accuracy": True}, n_rows=N_ROWS)
    images = {"a": np.random.default_rng(0).integers(256, size=(N_ROWS, 8, 8), dtype=np.uint8)}
    written = write_report(StudyResults.load(folder), tmp_path / "report.html", images=images, n_images=4)
    html = read(written.read_text(encoding="utf-8"))
    heads, rows = table_of(option(html.by_id("labels"), "a", "Average precision").one("table"))
    assert heads == ["Class", "Positives", *(f"{model} ↑" for model in MODELS)]
    target = target_of(kind, N_ROWS)
    assert [int(row[1].split(" ")[0]) for row in rows] == np.bincount(target).tolist()
    assert len(html.by_id("images").all("img")) == 4
    assert "against the threshold" not in html.by_id("labels").text


def test_classes_are_compared_by_their_positions() -> None:
    predictions = {"rows": np.arange(3), "target": np.array([0, 1, 2]), "predicted": np.array([0, 2, 2])}
    answers = as_answers(predictions, {"kind": "multiclass", "label_names": ["setosa", "versicolor", "virginica"]})
    assert answers.true.argmax(axis=1).tolist() == [0, 1, 2]
    assert answers.predicted.argmax(axis=1).tolist() == [0, 2, 2]
    assert answers.predicted.sum(axis=1).tolist() == [1, 1, 1]


def test_a_study_that_has_only_begun_has_a_report(page: Make) -> None:
    places = [(dataset, model, 0, fold) for dataset in ("yeast", "planet") for model in MODELS for fold in range(3)]
    _, html = page(missing=places)
    assert [item.text for item in html.one("ul", "status").all("li")] == ["✓ 0 done", "✕ 0 failed", "… 18 missing"]
    assert {row[0] for table in html.by_id("summary").all("table") for row in table_of(table)[1]} == {
        f"{model} 0 of 3 folds" for model in MODELS
    }
    assert [section.attributes["id"] for section in html.all("section")] == ["summary", "failures", "environment"]
    assert [link.attributes["href"][1:] for link in html.one("nav").all("a")] == ["summary", "failures", "environment"]
    _, html = page(missing=places[1:])
    assert table_of(html.by_id("summary").all("table")[0])[1][0][0] == "BR 1 of 3 folds"


def test_a_study_of_failures_has_a_report(page: Make) -> None:
    places = [("yeast", model, 0, fold) for model in MODELS for fold in range(3)]
    _, html = page(datasets=("yeast",), failed=places)
    failures = html.by_id("failures").all("details")
    assert [failure.one("p").text for failure in failures] == ["In 3 runs, the first of them repeat 0, fold 0."] * 3
    assert "ranks" not in [section.attributes["id"] for section in html.all("section")]


def test_one_model_has_no_rivals_to_be_tested_against(page: Make) -> None:
    _, html = page(models=("BR",))
    assert "ranks" not in [section.attributes["id"] for section in html.all("section")]
    assert "★" not in html.by_id("summary").all("table")[0].text


def test_report_asks_for_jinja2_where_it_is_missing(
    page: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, _ = page()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    _template.cache_clear()
    with pytest.raises(ImportError, match=r'needs Jinja2\. Install it with: pip install "skdeep\[study\]"'):
        write_report(results, tmp_path / "again.html")


# charts

FINITE = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 4))


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_linear_scales_hold_their_values_and_round_ticks(values: list[float]) -> None:
    scale = linear(values)
    assert all(0 <= scale(value) <= 100 for value in values)
    assert 1 <= len(scale.ticks) <= 16
    for tick in scale.ticks:
        assert 0 <= tick.at <= 100
        assert scale(float(tick.text)) == pytest.approx(tick.at, abs=1e-6)


@given(st.lists(st.floats(1e-4, 1e6), min_size=1, max_size=20))
def test_logarithmic_scales_hold_their_values_and_round_ticks(values: list[float]) -> None:
    scale = logarithmic(values)
    assert all(0 < scale(value) < 100 for value in values)
    for tick in scale.ticks:
        assert scale(float(tick.text.replace(",", ""))) == pytest.approx(tick.at, abs=1e-6)
        assert tick.text.strip("0.,") in {"1", "2", "3", "5"}


@given(st.lists(st.floats(0, 320), min_size=1, max_size=12))
def test_names_at_the_ends_of_lines_do_not_cover_each_other(places: list[float]) -> None:
    moved = np.array(places) + _apart(places, 320)
    assert (np.diff(np.sort(moved)) >= 15.9).all()
    assert (moved[np.argsort(places, kind="stable")] == np.sort(moved)).all()
    assert moved.min() >= -1
    assert moved.max() <= 321


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(5, 95)), min_size=1, max_size=5))
def test_names_of_points_do_not_cover_each_other(places: list[tuple[float, float]]) -> None:
    points = _labelled([Point(x, y, "", front=True, label="ten letter") for x, y in places])
    boxes = []
    for point in points:
        x, y = point.x / 100 * 290, point.y / 100 * 320 + point.shift
        boxes.append((x - 82 if point.left else x + 12, y))
    for k, (x, y) in enumerate(boxes):
        assert all(abs(x - other) >= 70 or abs(y - height) >= 16 for other, height in boxes[:k])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_dots_stay_within_their_strip(values: list[float]) -> None:
    found = re.findall(r"M(-?\d+) (-?\d+)h0", dots(values, linear([0, 1])))
    assert len(found) == len(values)
    assert all(0 <= int(x) <= 1000 and 3 <= int(y) <= 21 for x, y in found)
