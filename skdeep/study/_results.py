"""What a study has found: its records as tables, the tests on them, and the answers behind them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skdeep._text import listed
from skdeep.study._export import By, export_results
from skdeep.study._folder import Record, StudyFolder
from skdeep.study._statistics import (
    FriedmanResult,
    NemenyiResult,
    average_ranks,
    check_table,
    friedman_test,
    nemenyi_test,
    resampled_ttests,
    wilcoxon_holm,
)

Over = Literal["dataset", "fold"]

_PLACE = ["dataset", "model", "repeat", "fold"]
_MEASURED = ["n_train", "n_test", "fit_seconds", "predict_seconds", "cpu_seconds", "peak_mb"]
_UNIT = [*_PLACE, "train_size", "status", *_MEASURED, "digest"]
_FAILURE = ["stage", "type", "message", "traceback"]


class StudyResults:
    """What a study has found, as far as it has got.

    Use :meth:`load`, or take what ``Study.run`` gives. Records are read once; answers are read as they are asked for.

    Parameters
    ----------
    folder : str or path
        Of the study.
    manifest : dict
        What was planned.
    records : iterable of dict
        Those of the planned units that were run, in any order.

    Attributes
    ----------
    folder : Path
    manifest : dict
    records : list of dict
        In the order of the manifest's data sets and models, then by training size, repeat and fold.

    Notes
    -----
    A unit is one model, fitted and scored in one fold of one repeat on one data set. Where a study has training sizes,
    all tables but :attr:`units` and :attr:`scores` are of the largest one of each data set.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skdeep.multilabel import BRkNN, MLkNN
    >>> from skdeep.study import Study, StudyResults
    >>> study = Study({"BRkNN": BRkNN(), "ML-kNN": MLkNN()}, {"made": make_multilabel_classification(random_state=0)})
    >>> with TemporaryDirectory() as folder:
    ...     _ = study.run(folder)
    ...     results = StudyResults.load(folder)
    >>> results.missing, len(results.units), list(results.summary("f1_micro").index)
    (0, 10, [('made', 'BRkNN'), ('made', 'ML-kNN')])
    >>> results.corrected_ttest("made", "f1_micro")[["model", "other"]].to_numpy().tolist()
    [['BRkNN', 'ML-kNN']]
    """

    def __init__(self, folder: str | os.PathLike[str], manifest: Mapping[str, Any], records: Iterable[Record]) -> None:
        self.folder = Path(folder)
        self.manifest = dict(manifest)
        found = {record["digest"]: record for record in records}
        # equal models by two names share their records, which know one of the names
        self.records = [
            {**found[unit["digest"]], **{name: unit[name] for name in _PLACE}}
            for unit in sorted(self.manifest["units"], key=self._place)
            if unit["digest"] in found
        ]

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what a study has written, while it runs or later.

        Parameters
        ----------
        folder : str or path
            As given to ``Study.run``.

        Returns
        -------
        results : StudyResults

        Raises
        ------
        FileNotFoundError
            If there is no study in the folder.
        ValueError
            If what was planned cannot be read.
        """
        files = StudyFolder(folder)
        return cls(folder, files.read_manifest(), files.records())

    def __repr__(self) -> str:
        counts = Counter(record["status"] for record in self.records)
        return (
            f"<{type(self).__name__} of {str(self.folder)!r}: {len(self.manifest['models'])} models, "
            f"{len(self.manifest['datasets'])} data sets; {counts['done']} units done, {counts['failed']} failed, "
            f"{self.missing} missing>"
        )

    def select(self, *, models: Sequence[str] | None = None, datasets: Sequence[str] | None = None) -> Self:
        """The same of some models and data sets, as if the others had not been in the study.

        Parameters
        ----------
        models, datasets : sequence of str, default=None
            Names, in the order in which tables shall have them. None takes all.

        Returns
        -------
        results : StudyResults

        Raises
        ------
        ValueError
            If there is no such model or data set, or none is named.
        """
        chosen = {
            "models": list(self.manifest["models"]) if models is None else list(models),
            "datasets": list(self.manifest["datasets"]) if datasets is None else list(datasets),
        }
        for kind, names in chosen.items():
            if not names or isinstance(models if kind == "models" else datasets, str):
                raise ValueError(f"The {kind!r} parameter must be a list of at least one name, or None.")
            for name in names:
                _check_name(kind, name, self.manifest[kind])
        units = [
            unit
            for unit in self.manifest["units"]
            if unit["model"] in chosen["models"] and unit["dataset"] in chosen["datasets"]
        ]
        manifest = {
            **self.manifest,
            **{kind: {name: self.manifest[kind][name] for name in names} for kind, names in chosen.items()},
            **{by: {name: self.manifest[by][name] for name in chosen["datasets"]} for by in ("cv", "n_repeats")},
            "units": units,
        }
        return type(self)(self.folder, manifest, self.records)

    @property
    def measures(self) -> dict[str, bool]:
        """Each measure, and whether a greater value is better."""
        # of a user's own scorers, the names are known once one has scored; greater is better, as in scikit-learn
        known = self.manifest["measures"] or {name: True for record in self.records for name in record["scores"]}
        return dict(known)

    @property
    def n_folds(self) -> dict[str, int]:
        """Number of folds of each data set, repeats included."""
        folds = self._planned([]).drop_duplicates(["dataset", "repeat", "fold"])
        return dict(Counter(folds["dataset"]))

    @property
    def units(self) -> pd.DataFrame:
        """A row for each unit that was run.

        Columns ``dataset``, ``model``, ``repeat``, ``fold``, ``train_size`` (share of the fold's training rows),
        ``status`` (``"done"`` or ``"failed"``), ``n_train``, ``n_test``, ``fit_seconds``, ``predict_seconds``,
        ``cpu_seconds``, ``peak_mb``, ``digest``, and one for each measure, NaN where it failed.
        """
        return self._units.copy()

    @property
    def scores(self) -> pd.DataFrame:
        """A row a score: ``dataset``, ``model``, ``repeat``, ``fold``, ``train_size``, ``measure``, ``value``."""
        place = [*_PLACE, "train_size"]
        rows = [
            {**{name: record[name] for name in place}, "measure": measure, "value": value}
            for record in self.records
            for measure, value in _values(record).items()
        ]
        return pd.DataFrame(rows, columns=[*place, "measure", "value"]).astype({"value": float})

    @property
    def failures(self) -> pd.DataFrame:
        """A row a failed unit: where, at which ``stage``, and the error's ``type``, ``message`` and ``traceback``."""
        rows = [
            {**{name: record[name] for name in _PLACE}, **record["failure"]}
            for record in self.records
            if record["status"] == "failed"
        ]
        return pd.DataFrame(rows, columns=[*_PLACE, *_FAILURE])

    @property
    def missing(self) -> int:
        """Number of planned units that were not run yet."""
        return len(self.manifest["units"]) - len(self.records)

    def summary(self, measures: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Mean and standard deviation over folds and repeats.

        Parameters
        ----------
        measures : str or sequence of str, default=None
            None is all of them.

        Returns
        -------
        summary : DataFrame
            By data set and model. For each measure the columns ``mean``, ``std`` (of a sample: NaN for one fold) and
            ``count``, the number of folds that have a value. Folds that failed or were not run yet are left out.

        Raises
        ------
        ValueError
            If there is no such measure.
        """
        names = check_measures(self, measures)
        return self._planned(names).groupby(["dataset", "model"], sort=False)[names].agg(["mean", "std", "count"])

    def table(self, measure: str, over: Over = "dataset", dataset: str | Sequence[str] | None = None) -> pd.DataFrame:
        """One measure, blocks by models, as the tests take it.

        Parameters
        ----------
        measure : str
        over : {"dataset", "fold"}, default="dataset"
            What a block is: a data set, with the mean over all its folds and repeats; or each fold of each repeat.
        dataset : str or sequence of str, default=None
            Those to take. None is all that have the measure.

        Returns
        -------
        table : DataFrame of shape (n_blocks, n_models)
            NaN where a unit failed or was not run yet, for means too: one over other folds could not be compared.

        Raises
        ------
        ValueError
            If there is no such measure or data set, or ``over`` is something else.
        """
        (measure,) = check_measures(self, measure)
        if over not in {"dataset", "fold"}:
            raise ValueError(f"The 'over' parameter must be one of 'dataset', 'fold'. Got {over!r} instead.")
        planned = self._planned([measure])
        planned = planned[planned["dataset"].isin(self._datasets_with(measure, dataset))]
        wide = pd.DataFrame(
            {
                model: units.set_index(["dataset", "repeat", "fold"])[measure]
                for model, units in planned.groupby("model", sort=False)
            }
        )
        if over == "fold":
            return wide
        are_whole = wide.notna().groupby(level="dataset", sort=False).all()
        return wide.groupby(level="dataset", sort=False).mean().where(are_whole)

    def average_ranks(
        self, measure: str, over: Over = "dataset", dataset: str | Sequence[str] | None = None
    ) -> pd.Series[float]:
        """Mean rank of each model: :func:`~skdeep.study.average_ranks` of :meth:`table`, 1 being best.

        Parameters
        ----------
        measure : str
        over : {"dataset", "fold"}, default="dataset"
        dataset : str or sequence of str, default=None
            As in :meth:`table`.

        Returns
        -------
        ranks : Series of shape (n_models,)

        Raises
        ------
        ValueError
            As from :meth:`table`, or if a block has no value for a model.
        """
        return average_ranks(self.table(measure, over, dataset), greater_is_better=self.measures[measure])

    def friedman(
        self, measure: str, over: Over = "dataset", dataset: str | Sequence[str] | None = None
    ) -> FriedmanResult:
        """Whether all models rank alike: :func:`~skdeep.study.friedman_test` of :meth:`table`.

        Parameters
        ----------
        measure : str
        over : {"dataset", "fold"}, default="dataset"
        dataset : str or sequence of str, default=None
            As in :meth:`table`.

        Returns
        -------
        result : FriedmanResult

        Raises
        ------
        ValueError
            As from :meth:`table` and :func:`~skdeep.study.friedman_test`.
        """
        return friedman_test(self.table(measure, over, dataset))

    def nemenyi(
        self,
        measure: str,
        over: Over = "dataset",
        dataset: str | Sequence[str] | None = None,
        *,
        alpha: float = 0.05,
    ) -> NemenyiResult:
        """Which models rank differently: :func:`~skdeep.study.nemenyi_test` of :meth:`table`.

        Parameters
        ----------
        measure : str
        over : {"dataset", "fold"}, default="dataset"
        dataset : str or sequence of str, default=None
            As in :meth:`table`.
        alpha : float, default=0.05
            Level of the critical difference.

        Returns
        -------
        result : NemenyiResult

        Raises
        ------
        ValueError
            As from :meth:`table` and :func:`~skdeep.study.nemenyi_test`.
        """
        return nemenyi_test(self.table(measure, over, dataset), alpha=alpha)

    def wilcoxon(
        self,
        measure: str,
        over: Over = "dataset",
        dataset: str | Sequence[str] | None = None,
        *,
        control: Hashable = None,
    ) -> pd.DataFrame:
        """Which pairs of models differ: :func:`~skdeep.study.wilcoxon_holm` of :meth:`table`.

        Parameters
        ----------
        measure : str
        over : {"dataset", "fold"}, default="dataset"
        dataset : str or sequence of str, default=None
            As in :meth:`table`.
        control : str, default=None
            The model that is compared with each other one. None compares all pairs.

        Returns
        -------
        pairs : DataFrame

        Raises
        ------
        ValueError
            As from :meth:`table` and :func:`~skdeep.study.wilcoxon_holm`.
        """
        return wilcoxon_holm(self.table(measure, over, dataset), control)

    def corrected_ttest(
        self, dataset: str, measure: str, *, control: Hashable = None, level: float = 0.95
    ) -> pd.DataFrame:
        """Which pairs of models differ on one data set: :func:`~skdeep.study.corrected_resampled_ttest` over its folds.

        Parameters
        ----------
        dataset, measure : str
        control : str, default=None
            The model that is compared with each other one. None compares all pairs.
        level : float, default=0.95
            Of the intervals, which are not adjusted for the number of pairs.

        Returns
        -------
        pairs : DataFrame
            A row a pair: ``model``, ``other``, ``difference`` (mean of the first less that of the second), its interval
            from ``low`` to ``high``, ``statistic``, ``p_value``, and ``p_holm``, adjusted for the number of pairs.

        Raises
        ------
        ValueError
            If there is no such data set, measure or control, there are fewer than 2 models or folds, or one failed.
        """
        table = check_table(self.table(measure, "fold", dataset), n_models=2)
        units = self._planned(["n_test", "n_train"])
        units = units[units["dataset"] == dataset]
        ratio = float((units["n_test"] / units["n_train"]).mean())
        return resampled_ttests(table, ratio, control, level=level)

    def predictions(self, dataset: str, model: str, repeat: int = 0) -> Bunch:
        """What a model answered of the rows that it had not learnt from, all folds together.

        Parameters
        ----------
        dataset, model : str
        repeat : int, default=0

        Returns
        -------
        predictions : Bunch
            By row of the data set, in its order; rows of folds that failed or were not run yet are left out, and a row
            that several folds test, as those of ``ShuffleSplit`` may, stands there once for each:

            - ``rows`` : ndarray of int of shape (n,), positions in the data set;
            - ``target``, ``predicted`` : ndarray of shape (n, n_labels), or of classes of shape (n,);
            - ``scores`` : ndarray of float32, or None if the model gives none, or not of all classes in each fold;
            - ``scores_are`` : ``"predict_proba"``, ``"decision_function"`` or None;
            - ``fold`` : ndarray of int of shape (n,).

        Raises
        ------
        ValueError
            If there is no such data set or model, or no fold of this repeat was done.
        FileNotFoundError
            If one of the folds was run without keeping answers.
        """
        _check_name("dataset", dataset, self.manifest["datasets"])
        _check_name("model", model, self.manifest["models"])
        planned = self._planned([])
        chosen = planned[(planned["dataset"] == dataset) & (planned["model"] == model) & (planned["repeat"] == repeat)]
        done = {record["digest"] for record in self.records if record["status"] == "done"}
        units = chosen[chosen["digest"].isin(done)]
        if units.empty:
            raise ValueError(
                f"No fold of {model!r} on {dataset!r}, repeat {repeat}, was done, of {len(chosen)} planned: see "
                "failures, and missing."
            )
        files = StudyFolder(self.folder)
        return _pooled([files.answers(digest) for digest in units["digest"]], units["fold"].tolist())

    def export(
        self, path: str | os.PathLike[str], measures: str | Sequence[str] | None = None, *, by: By = "dataset"
    ) -> None:
        r"""Write a table to a file.

        Parameters
        ----------
        path : str or path
            Its suffix says what is written: ``.csv``, :attr:`units`; ``.md``, tables in Markdown; ``.tex``, the same
            in LaTeX, which needs ``\usepackage{booktabs}``. The tables hold mean ± standard deviation over folds, the
            best in bold; a model that lacks folds has their number beside it, and is not called best if another has
            more.
        measures : str or sequence of str, default=None
            None is all of them.
        by : {"dataset", "measure"}, default="dataset"
            Of what there is a table each: of the data sets, with a column for each measure; or of the measures, with a
            column for each data set, and of several the average rank if no model lacks a fold. The columns become rows
            where there are more of them than models.

        Raises
        ------
        ValueError
            If the suffix or ``by`` is another, or there is no such measure.

        Notes
        -----
        What the tests give are DataFrames, which pandas writes: ``results.wilcoxon("f1_macro").to_latex()``.
        """
        export_results(self, path, check_measures(self, measures), by)

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        images: Mapping[str, Any] | None = None,
        n_images: int = 12,
    ) -> Path:
        """Write one HTML page that needs nothing beside itself.

        Parameters
        ----------
        path : str or path
            Of the page; a file that is there is replaced.
        title : str, default=None
            None names the models and data sets, or counts them.
        images : mapping of str to images, default=None
            By data set: an image for each of its rows, in their order, as :func:`skdeep.images.as_images` takes them.
            The page shows those that the best model is most wrong about.
        n_images : int, default=12
            How many of each data set.

        Returns
        -------
        path : Path

        Raises
        ------
        ImportError
            If Jinja2 is not there.
        ValueError
            If ``images`` names a data set that is not in the study, or holds fewer images than it has rows.
        """
        from skdeep.study._report import write_report

        return write_report(self, path, title=title, images=images, n_images=n_images)

    def _planned(self, columns: list[str]) -> pd.DataFrame:
        """All planned units of each data set's largest training size, with columns of :attr:`units`, NaN if not run."""
        return self._largest[[*_PLACE, "train_size", "digest", *columns]]

    @cached_property
    def _units(self) -> pd.DataFrame:
        columns = [*_UNIT, *self.measures]
        rows = [{**{name: record[name] for name in _UNIT}, **_values(record)} for record in self.records]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(self.measures, float))

    @cached_property
    def _largest(self) -> pd.DataFrame:
        units = sorted(self.manifest["units"], key=self._place)
        largest = {unit["dataset"]: unit["train_size"] for unit in sorted(units, key=itemgetter("train_size"))}
        kept = [unit for unit in units if unit["train_size"] == largest[unit["dataset"]]]
        place = [*_PLACE, "train_size"]
        return pd.DataFrame(kept, columns=[*place, "digest"]).merge(
            self._units.drop(columns="digest"), on=place, how="left"
        )

    def _place(self, unit: Mapping[str, Any]) -> tuple[Any, ...]:
        """Where a unit stands in tables."""
        names = [list(self.manifest[kind]).index(unit[kind[:-1]]) for kind in ("datasets", "models")]
        return (*names, unit["train_size"], unit["repeat"], unit["fold"])

    def _datasets_with(self, measure: str, dataset: str | Sequence[str] | None) -> list[str]:
        if dataset is None:
            found = {record["dataset"] for record in self.records if measure in record["scores"]}
            return list(found or self.manifest["datasets"])
        names = [dataset] if isinstance(dataset, str) else list(dataset)
        for name in names:
            _check_name("dataset", name, self.manifest["datasets"])
        return names


def check_measures(results: StudyResults, measures: str | Sequence[str] | None) -> list[str]:
    """The measures asked for as a list, or ``ValueError`` if there is no such one."""
    known = list(results.measures)
    if not known:
        raise ValueError("No unit of this study has a score yet: results.failures and results.missing say why.")
    names = known if measures is None else [measures] if isinstance(measures, str) else list(measures)
    for name in names:
        _check_name("measure", name, known)
    return names


def one_dataset(results: StudyResults, dataset: str | None) -> str:
    """The data set named, or the only one."""
    names = list(results.manifest["datasets"])
    if dataset is None and len(names) == 1:
        return names[0]
    _check_name("dataset", dataset, names)
    return str(dataset)


def _check_name(kind: str, name: Any, known: Iterable[str]) -> None:
    if name not in known:
        raise ValueError(f"The {kind!r} parameter must be one of {listed(known, 30)}. Got {name!r} instead.")


def _values(record: Record) -> dict[str, float]:
    """The scores of a record, which holds None for NaN."""
    return {name: np.nan if value is None else float(value) for name, value in record["scores"].items()}


def _pooled(answers: Sequence[Mapping[str, Any]], folds: Sequence[int]) -> Bunch:
    rows = np.concatenate([fold["rows"] for fold in answers])
    order = np.argsort(rows, kind="stable")
    # None where there are no scores
    widths = {fold["scores"].shape[1:] if "scores" in fold else None for fold in answers}
    is_scored = len(widths) == 1 and None not in widths

    def joined(name: str) -> Any:
        return np.concatenate([fold[name] for fold in answers])[order]

    return Bunch(
        rows=rows[order],
        target=joined("target"),
        predicted=joined("predicted"),
        scores=joined("scores") if is_scored else None,
        scores_are=str(answers[0]["scores_are"]) if is_scored else None,
        fold=np.repeat(folds, [len(fold["rows"]) for fold in answers])[order],
    )
