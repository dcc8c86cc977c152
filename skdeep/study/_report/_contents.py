"""What stands on the page, section by section, as the template takes it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

import skdeep
from skdeep._text import listed
from skdeep.study._report._answers import Answers, as_answers, label_tables, threshold_charts
from skdeep.study._report._charts import N_COLOURS, Chart
from skdeep.study._report._figures import (
    Option,
    best_models,
    compares_all,
    dataset_figures,
    pairs_figure,
    rank_figure,
)
from skdeep.study._report._tables import (
    NO_VALUE,
    Column,
    Row,
    Table,
    counted,
    main_measures,
    summary_table,
    text_row,
)
from skdeep.study._wording import measure_text

if TYPE_CHECKING:
    from skdeep.study._report._pictures import Picture
    from skdeep.study._results import StudyResults

Facts = list[tuple[str, str]]

_SHORT = 16  # digits of a digest that are shown
_FEW, _LONG = 3, 40  # names, and letters in all, up to which each is written out
_MOST_NAMED = 12  # models that the head of the page names


class Status(NamedTuple):
    """How many units came to what."""

    kind: str
    sign: str
    number: int


class DatasetPart(NamedTuple):
    """A data set: its summary, and its figures for each measure."""

    name: str
    about: str
    summary: Table
    figures: list[Option]


class PairsPart(NamedTuple):
    """Tests within a data set, for each measure."""

    name: str
    options: list[Option]


class RanksPart(NamedTuple):
    """Ranks over data sets for each measure, none where there are too few, and tests within each data set."""

    n_datasets: int
    over: list[Option]
    within: list[PairsPart]
    against_best: bool


class LabelsPart(NamedTuple):
    """Labels of a data set, and scores against the threshold."""

    name: str
    notes: list[str]
    tables: list[Option]
    curves: list[Chart]


class ImagesPart(NamedTuple):
    """The most wrong images of a data set."""

    name: str
    about: str
    images: list[Picture]


class Failure(NamedTuple):
    """An error, and the folds in which it came."""

    model: str
    dataset: str
    stage: str
    where: str
    message: str
    traceback: str


class ParametersPart(NamedTuple):
    """What searches chose on a data set: how often each value, and fold by fold."""

    name: str
    table: Table
    by_fold: list[Option]


class EnvironmentPart(NamedTuple):
    """Where and with what the study was run."""

    facts: Facts
    versions: Facts
    code: str
    data: Table
    splits: Table
    models: Facts


class Page:
    """The contents of a report; each part is made when it is asked for.

    Parameters
    ----------
    results : StudyResults
    title : str or None
    images : mapping of str to images
        By data set.
    n_images : int
    """

    version = skdeep.__version__

    def __init__(self, results: StudyResults, title: str | None, images: Mapping[str, Any], n_images: int) -> None:
        self._results = results
        self._manifest = results.manifest
        self._datasets: dict[str, dict[str, Any]] = self._manifest["datasets"]
        self._models = list(self._manifest["models"])
        self._greater = results.measures
        self._units = results.units
        self._given_images = images
        self._n_images = n_images
        self.title = title or f"{_shortly(self._models, 'model')} on {_shortly(self._datasets, 'data set')}"

    @property
    def sections(self) -> dict[str, str]:
        """What the navigation lists: the sections that are there."""
        titles = {"summary": "Summary"}
        titles |= {"ranks": "Ranks and tests"} if self.ranks else {}
        titles |= {"folds": "Folds and cost"} if any(data.figures for data in self.datasets) else {}
        titles |= {"labels": "Labels and thresholds"} if self.labels else {}
        titles |= {"images": "Most wrong images"} if self.images else {}
        return titles | {"failures": "Failures and parameters", "environment": "Environment"}

    @property
    def lead(self) -> str:
        """What was run, in a sentence."""
        folds = sorted(set(self._planned.groupby("dataset")["fold"].nunique()))
        n_folds = counted(folds[0], "fold") if len(folds) == 1 else f"{folds[0]} to {folds[-1]} folds"
        n_repeats = self._planned["repeat"].nunique()
        repeated = f", repeated {n_repeats} times" if n_repeats > 1 else ""
        return f"In {n_folds}{repeated}, every model learnt from the same rows, and was scored on the same others."

    @property
    def status(self) -> list[Status]:
        """Runs that are done, failed or missing."""
        n_done = int((self._units["status"] == "done").sum())
        n_failed = len(self._units) - n_done
        return [
            Status("done", "✓", n_done),
            Status("failed", "✕", n_failed),
            Status("missing", "…", self.missing),
        ]

    @property
    def missing(self) -> int:
        """Planned runs that have no record yet."""
        return int(self._results.missing)

    @property
    def facts(self) -> Facts:
        """What was run, in short."""
        times = sorted(record["time"] for record in self._results.records if record.get("time"))
        sizes = self._manifest["train_sizes"] or [1.0]
        facts = [
            ("Data sets", " · ".join(self._datasets)),
            # many are named in the tables below only
            ("Models", " · ".join(self._models) if len(self._models) <= _MOST_NAMED else str(len(self._models))),
            ("Cross-validation", " · ".join(dict.fromkeys(map(self._cv, self._datasets)))),
            ("Run", _period(times[0], times[-1]) if times else "not yet"),
        ]
        if len(sizes) > 1:
            facts.append(("Training sizes", ", ".join(f"{size:.0%}" for size in sizes)))
        return facts

    @property
    def repeated(self) -> bool:
        """Whether there are several repeats, of which answers are shown of the first."""
        return bool(self._planned["repeat"].max() > 0)

    @property
    def incomplete(self) -> bool:
        """Whether means of some models are over fewer folds than those of others."""
        return bool(self.missing) or bool((self._units["status"] != "done").any())

    @cached_property
    def datasets(self) -> list[DatasetPart]:
        """The data sets in order."""
        parts = []
        for name in self._datasets:
            measures = self._measures_of(name)
            done = self._done(name)
            figures = [
                Option(
                    measure_text(measure),
                    dataset_figures(name, done[done[measure].notna()], measure, greater=measures[measure]),
                )
                for measure in main_measures(measures)
            ]
            summary = summary_table(name, self._full(name), self._models, measures, self._results.n_folds[name])
            parts.append(DatasetPart(name, self._about(name), summary, figures))
        return parts

    @cached_property
    def ranks(self) -> RanksPart | None:
        """Ranks and tests; None if there is nothing to compare."""
        over = [
            Option(measure_text(measure), figure)
            for measure, table in self._tables.items()
            if (figure := rank_figure(_mean_over_folds(table), greater=self._greater[measure]))
        ]
        within = [part for name in self._datasets if (part := self._pairs(name, ranked=not over))]
        if not over and not within:
            return None
        return RanksPart(len(self._datasets), over, within, not compares_all(len(self._models)))

    @cached_property
    def labels(self) -> list[LabelsPart]:
        """Scores of labels and thresholds, of the data sets whose answers were kept."""
        parts = []
        for name, about in self._datasets.items():
            answers = self._answers[name]
            tables = [Option(text, table) for text, table in label_tables(name, answers).items()]
            if not tables:
                continue
            ranked = [model for model in self._ranked(name) if model in answers]
            # a row with one class has no threshold to choose
            curves = threshold_charts(name, answers, ranked) if about["kind"] == "multilabel" else []
            parts.append(LabelsPart(name, _notes(answers, ranked, curves), tables, curves))
        return parts

    @cached_property
    def images(self) -> list[ImagesPart]:
        """The most wrong images of the best model that has scores, for data sets of which images were given."""
        # torch, which only this needs
        from skdeep.study._report._pictures import most_wrong

        parts = []
        for name, images in self._given_images.items():
            answers = self._answers[name]
            scored = [m for m in self._ranked(name) if m in answers and answers[m].probabilities is not None]
            if scored:
                measure = measure_text(next(iter(main_measures(self._measures_of(name)))))
                about = f"By {scored[0]}: of the models with scores, the best in {measure}."
                parts.append(ImagesPart(name, about, most_wrong(answers[scored[0]], images, self._n_images)))
        return parts

    @property
    def failures(self) -> list[Failure]:
        """What failed, once for all folds in which it failed alike."""
        alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for record in self._results.records:
            if record["status"] == "failed":
                what = record["failure"]
                message = f"{what['type']}: {what['message']}"
                alike.setdefault((record["model"], record["dataset"], what["stage"], message), []).append(record)
        return [
            Failure(model, dataset, stage, _places(records), message, records[0]["failure"]["traceback"])
            for (model, dataset, stage, message), records in alike.items()
        ]

    @property
    def warnings(self) -> Table | None:
        """Warnings of the models, and in how many units each came."""
        found = Counter(
            (record["model"], record["dataset"], text)
            for record in self._results.records
            for text in record.get("warnings", [])
        )
        rows = [text_row(model, [dataset, text, count]) for (model, dataset, text), count in found.items()]
        return _plain_table("Warnings", ["Model", "Data set", "Warning", "Runs"], rows) if rows else None

    @property
    def parameters(self) -> list[ParametersPart]:
        """What searches chose."""
        return [part for name in self._datasets if (part := self._chosen(name))]

    @property
    def environment(self) -> EnvironmentPart:
        """What is needed to run the study again."""
        environment = self._manifest["environment"]
        hosts = sorted({record["host"] for record in self._results.records})
        seeds = {_fold_of(record): record["seed"] for record in self._results.records}
        facts = [
            ("Python", environment["python"]),
            ("Machine", str(environment["machine"])),
            ("Hosts", listed(hosts) or NO_VALUE),
            ("Random state", str(self._manifest["random_state"])),
            ("Scoring", str(self._manifest["scoring"])),
            ("Planned", _period(environment["time"], environment["time"])),
        ]
        data = [
            text_row(name, [f"{about['n_samples']:,}", about["n_labels"] or about["kind"], self._cv(name), _cut(about)])
            for name, about in self._datasets.items()
        ]
        splits = {_fold_of(unit): unit["split_digest"] for unit in self._manifest["units"]}
        models = [(name, _model_text(about)) for name, about in self._manifest["models"].items()]
        return EnvironmentPart(
            facts,
            list(environment["versions"].items()),
            self._code(),
            _plain_table("Data sets", ["Data set", "Rows", "Labels", "Cross-validation", "Digest"], data),
            _plain_table(
                "Digests of the splits",
                ["Data set", "Repeat", "Fold", "Seed", "Digest"],
                [
                    text_row(fold[0], [*fold[1:], seeds.get(fold, NO_VALUE), digest[:_SHORT]])
                    for fold, digest in splits.items()
                ],
            ),
            models,
        )

    @cached_property
    def _planned(self) -> pd.DataFrame:
        return pd.DataFrame(self._manifest["units"])

    @cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        """By measure, folds by models; a fold that some model has not run yet is left out, for all models."""
        recorded = set(self._units["digest"])
        waiting = {_fold_of(unit) for unit in self._manifest["units"] if unit["digest"] not in recorded}
        measures = main_measures(self._greater)
        for dataset in self._datasets:
            measures += main_measures(self._measures_of(dataset))
        tables = {}
        for measure in dict.fromkeys(measures):
            table = self._results.table(measure, "fold")
            tables[measure] = table[[fold not in waiting for fold in table.index]]
        return tables

    @cached_property
    def _answers(self) -> dict[str, dict[str, Answers]]:
        """By data set and model, where a fold of the first repeat was done and its answers were kept."""
        done = self._units[(self._units["status"] == "done") & (self._units["repeat"] == 0)]
        answers: dict[str, dict[str, Answers]] = {name: {} for name in self._datasets}
        for dataset, model in done[["dataset", "model"]].drop_duplicates().to_numpy().tolist():
            try:
                predictions = self._results.predictions(dataset, model)
            except (FileNotFoundError, ValueError):
                continue  # the study was run without keeping them, or has none at the full training size yet
            answers[dataset][model] = as_answers(predictions, self._datasets[dataset])
        return answers

    def _done(self, dataset: str) -> pd.DataFrame:
        return self._units[(self._units["dataset"] == dataset) & (self._units["status"] == "done")]

    def _full(self, dataset: str) -> pd.DataFrame:
        """Units of a data set at its largest training size, failed ones too."""
        planned = self._planned[self._planned["dataset"] == dataset]
        units = self._units[self._units["dataset"] == dataset]
        return units[units["train_size"] == planned["train_size"].max()]

    def _measures_of(self, dataset: str) -> dict[str, bool]:
        """The measures that a model has on a data set, and whether greater is better."""
        done = self._done(dataset)
        return {name: greater for name, greater in self._greater.items() if done[name].notna().any()}

    def _ranked(self, dataset: str) -> list[str]:
        """Models from best to worst by the first of the main measures."""
        measures = self._measures_of(dataset)
        if not measures:
            return []
        measure = main_measures(measures)[0]
        return best_models(self._full(dataset), measure, greater=measures[measure])

    def _about(self, dataset: str) -> str:
        about = self._datasets[dataset]
        n_classes = len(about["label_names"] or [])
        outputs = counted(about["n_labels"], "label") if about["n_labels"] else f"{n_classes} classes"
        return f"{counted(about['n_samples'], 'row')}, {outputs}. Cross-validation: {self._cv(dataset)}."

    def _cv(self, dataset: str) -> str:
        repeats = self._planned[self._planned["dataset"] == dataset]["repeat"].nunique()
        return str(self._manifest["cv"][dataset]) + (f", {repeats} repeats" if repeats > 1 else "")

    def _pairs(self, dataset: str, *, ranked: bool) -> PairsPart | None:
        units = self._full(dataset)
        ratio = float((units["n_test"] / units["n_train"]).mean())
        options = []
        for measure in main_measures(self._measures_of(dataset)):
            table = self._tables[measure]
            table = table[table.index.get_level_values("dataset") == dataset]
            figure = pairs_figure(table, dataset, measure, ratio, greater=self._greater[measure], ranked=ranked)
            options += [Option(measure_text(measure), figure)] if figure else []
        return PairsPart(dataset, options) if options else None

    def _chosen(self, dataset: str) -> ParametersPart | None:
        records = [r for r in self._results.records if r["dataset"] == dataset and r.get("parameters")]
        if not records:
            return None
        rows, by_fold = [], []
        for model in dict.fromkeys(record["model"] for record in records):
            chosen = [record for record in records if record["model"] == model]
            names = list(dict.fromkeys(name for record in chosen for name in record["parameters"]))
            for name in names:
                counts = Counter(str(record["parameters"].get(name, NO_VALUE)) for record in chosen)
                texts = [f"{value} ({count})" for value, count in counts.most_common()]
                rows.append(text_row(model, [name, ", ".join(texts)]))
            lines = [text_row(_place(r), [r["parameters"].get(name, NO_VALUE) for name in names]) for r in chosen]
            table = _plain_table(f"Parameters of {model} on {dataset}, fold by fold", ["Fold", *names], lines)
            by_fold.append(Option(model, table))
        table = _plain_table(f"Parameters chosen on {dataset}", ["Model", "Parameter", "Values (folds)"], rows)
        return ParametersPart(dataset, table, by_fold)

    def _code(self) -> str:
        """How to run and read the study again; models and data are the user's own."""
        parameters = {name: self._manifest[name] for name in ("n_repeats", "train_sizes", "random_state")}
        given = "".join(f", {name}={value!r}" for name, value in parameters.items() if value is not None)
        if any(about["search"] for about in self._manifest["models"].values()):
            given += ", search=search, search_cv=search_cv, search_scoring=search_scoring"
        if self._manifest["scoring"] != "all":
            given += ", scoring=scoring"
        folder = self._results.folder.name
        return (
            "from skdeep.study import Study, StudyResults\n\n"
            f"study = Study(models, datasets, cv=cv{given})\n"
            f'study.run("{folder}")  # runs what has no record yet\n'
            f'StudyResults.load("{folder}").report("report.html")'
        )


def _shortly(names: Iterable[str], word: str) -> str:
    """Few names in full, of more the number."""
    names = list(names)
    if len(names) > _FEW or sum(map(len, names)) > _LONG:
        return counted(len(names), word)
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _period(first: str, last: str) -> str:
    """From when to when, in minutes of UTC."""
    first, last = (time[:16].replace("T", " ") for time in (first, last))
    if first == last:
        return f"{first} UTC"
    return f"{first} to {last[11:] if first[:10] == last[:10] else last} UTC"


def _mean_over_folds(table: pd.DataFrame) -> pd.DataFrame:
    """Means by data set; none where a fold has no value, for it would be one over other folds."""
    by_dataset = table.groupby(level="dataset", sort=False)
    return by_dataset.mean().where(by_dataset.count().eq(by_dataset.size(), axis=0))


def _fold_of(unit: Mapping[str, Any]) -> tuple[str, int, int]:
    return unit["dataset"], unit["repeat"], unit["fold"]


def _place(record: Mapping[str, Any]) -> str:
    size = "" if record["train_size"] == 1 else f", {record['train_size']:.0%} of the rows"
    return f"repeat {record['repeat']}, fold {record['fold']}{size}"


def _places(records: list[Mapping[str, Any]]) -> str:
    places = [_place(record) for record in records]
    return places[0] if len(places) == 1 else f"{len(places)} runs, the first of them {places[0]}"


def _cut(about: Mapping[str, Any]) -> str:
    return str(about["digest"])[:_SHORT]


def _model_text(about: Mapping[str, Any]) -> str:
    searched = f"\n\nsearched: {json.dumps(about['search'], indent=2)}" if about["search"] else ""
    return f"{about['repr']}{searched}"


def _notes(answers: Mapping[str, Answers], ranked: list[str], curves: list[Chart]) -> list[str]:
    """What has to be said of scores that are no probabilities, or are not there."""
    squashed = [model for model in ranked if answers[model].squashed]
    without = [model for model in ranked if answers[model].probabilities is None]
    scored = [model for model in ranked if model not in without]
    n_rows = max((len(answers[model].rows) for model in scored), default=0)
    fewer = [model for model in scored if len(answers[model].rows) < n_rows]
    notes = []
    if squashed:
        notes.append(
            f"Decision values were taken through the logistic function, for want of probabilities: {listed(squashed)}."
        )
    if without:
        notes.append(f"Left out, as they give neither probabilities nor decision values: {listed(without)}.")
    if fewer:
        notes.append(f"Over fewer rows than the others, as folds are missing: {listed(fewer)}.")
    if curves and len(scored) > N_COLOURS:
        notes.append(f"The curves are those of the best {N_COLOURS} models of {len(scored)}.")
    return notes


def _plain_table(caption: str, columns: Iterable[str], rows: list[Row]) -> Table:
    """A table of texts in the order given."""
    return Table(caption, [Column(text, numeric=False) for text in columns], rows, sortable=False)
