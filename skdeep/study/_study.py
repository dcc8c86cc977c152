"""Studies: several models on several data sets, fold by fold, stopped and continued at will."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterGrid

import skdeep
from skdeep._text import listed
from skdeep.metrics import get_scorer
from skdeep.study._folder import StudyFolder
from skdeep.study._plan import Design, Plan, make_plan
from skdeep.study._progress import Progress, told
from skdeep.study._results import StudyResults
from skdeep.study._running import run_all
from skdeep.study._scoring import check_scoring, known_measures
from skdeep.study._units import Search

_PACKAGES = ("numpy", "scipy", "scikit-learn", "scikit-multilearn", "torch", "torchvision", "skorch", "joblib")


class Study:
    """A cross-validated comparison of models on data sets.

    Every model learns from the same training parts and is scored on the same test parts. A unit is one model on one
    fold of one data set; it becomes one record on disk, so that a study that was stopped goes on where it was, by
    calling :meth:`run` again, and ends with the numbers that it would have had.

    Parameters
    ----------
    estimators : dict of str to estimator
        The models by name. They are cloned, never fitted themselves. Parameters ``random_state`` that are None, at any
        depth and in grids, and those of splitters, get a number that depends on the study's ``random_state``, the
        repeat and the fold.
    datasets : dict of str to (X, y), Bunch or callable
        The data sets by name: rows and targets, a Bunch with ``data`` and ``target`` (and ``groups``, if rows belong
        together), or a function without parameters that gives either. ``X`` may be whatever the models take: paths, a
        table, images. Of a function only a reference travels to other processes, and each loads the data set once; it
        must give the same each time.
    cv : int, splitter, list of (train, test), or dict by data set of these, default=5
        A number means shuffled folds with each label or class in its share, groups kept together
        (:class:`~skdeep.model_selection.MultilabelStratifiedKFold`, or for classes scikit-learn's ``StratifiedKFold``
        and ``StratifiedGroupKFold``).
    n_repeats : int or dict by data set of int, default=1
        How often the rows are divided anew. The splitter's ``random_state`` grows by one with each repeat.
    train_sizes : list of float, default=None
        Shares of the training part, above 0 and up to 1, to learn from, for a learning curve; the rows of a smaller
        share are among those of a larger. None learns from all.
    search : dict of str to dict or list of dict, default=None
        Of the models that are searched inside each training part, the grid, as ``GridSearchCV`` takes it. A model may
        as well be a search itself.
    search_cv : int or splitter, default=3
        Folds of the searches; a number means folds as for ``cv``. A splitter is given the groups of the data set.
    search_scoring : str or callable, default=None
        What the searches choose by: a name that :func:`skdeep.metrics.get_scorer` knows, or a scorer; None is the
        model's own ``score``.
    scoring : str, list of str, dict of str to scorer, or callable, default=None
        What is measured, as in ``cross_validate``; a callable gives a number or a dict of numbers. None takes all of
        :func:`skdeep.metrics.multilabel_scores` and F2 at the threshold 0.2 for labels, and accuracy, balanced
        accuracy, macro F1, area under the ROC curve, average precision (two classes) and log loss for classes. A
        measure that cannot be taken is NaN, with a warning. Each model is asked once for its labels and once for its
        probabilities, whatever the number of measures.
    random_state : int, default=0
        Decides folds that a number asks for, and what the models leave to chance.

    Raises
    ------
    ValueError
        If a parameter is nothing of the above, or names a model or data set that is not there.

    See Also
    --------
    StudyResults : What comes of it: tables, tests, pictures and a page.

    Notes
    -----
    Times are those of search and fit, and of prediction. Memory is the largest resident size of the process while it
    was at the unit (Linux), all that it held before included.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skdeep.multilabel import BinaryRelevance, MLkNN
    >>> from skdeep.study import Study
    >>> data = make_multilabel_classification(random_state=0)
    >>> study = Study({"BR": BinaryRelevance(GaussianNB()), "ML-kNN": MLkNN()}, {"made": data}, cv=3)
    >>> with TemporaryDirectory() as folder:
    ...     study.run(folder).summary(["f1_micro", "hamming_loss"]).round(2)
                   f1_micro             hamming_loss
                       mean   std count         mean   std count
    dataset model
    made    BR         ...
    """

    def __init__(
        self,
        estimators: Mapping[str, Any],
        datasets: Mapping[str, Any],
        *,
        cv: Any = 5,
        n_repeats: int | Mapping[str, int] = 1,
        train_sizes: Sequence[float] | None = None,
        search: Mapping[str, Any] | None = None,
        search_cv: Any = 3,
        search_scoring: Any = None,
        scoring: Any = None,
        random_state: int = 0,
    ) -> None:
        self.estimators = _check_estimators(estimators)
        self.datasets = _check_named("datasets", datasets)
        self.n_repeats = _check_repeats(n_repeats, self.datasets)
        self.cv = {
            name: _check_splitter(one, self.n_repeats[name])
            for name, one in _by_dataset("cv", cv, self.datasets).items()
        }
        self.train_sizes = _check_train_sizes(train_sizes)
        self.search = _check_search(search, self.estimators)
        self.search_cv = _check_search_cv(search_cv)
        self.search_scoring = get_scorer(search_scoring) if isinstance(search_scoring, str) else search_scoring
        check_scoring(scoring)
        self.scoring = scoring
        if not _is_whole(random_state, least=0):
            raise ValueError(
                "The 'random_state' parameter of Study must be an int from 0 on, so that a study that was stopped can "
                f"go on. Got {random_state!r} instead."
            )
        self.random_state = int(random_state)

    def run(
        self,
        folder: str | os.PathLike[str],
        *,
        n_jobs: int | None = None,
        keep_answers: bool = True,
        retry_failures: bool = True,
        verbose: int = 0,
    ) -> StudyResults:
        """Run every unit that has no record yet.

        A record counts as that of a unit as long as nothing has changed that decides its scores: the model and its
        parameters, rows and targets (of files the content), the split, what is measured, and the versions of the
        libraries. What changed is run anew; what was left out is kept on disk and not shown.

        Of files that a parameter names, alone or in a list or grid, the content counts: none should be one that models
        write to, such as a log. Of your own classes and functions the code counts, but not that of the functions that
        it calls.

        Parameters
        ----------
        folder : str or path
            Where the study is kept; made if it is not there. Where workers are on several machines, they must share
            it; it holds plain files only.
        n_jobs : int, default=None
            Units that run at once, as joblib takes it; ``joblib.parallel_config`` chooses where, a Dask cluster
            included.
        keep_answers : bool, default=True
            Whether to keep what the models answered on the test rows: labels and probabilities, on which the pictures
            of the report stand. What is done is not run again for their sake.
        retry_failures : bool, default=True
            Whether units that failed before are run again.
        verbose : int, default=0
            0 is silent; 1 shows how far the study has come.

        Returns
        -------
        results : StudyResults

        Raises
        ------
        ValueError
            If a data set or a split cannot be used, or a model cannot be told from others of its kind; no unit has run
            then.
        OSError
            If the folder cannot be written to.
        RuntimeError
            If another study is being run in the folder.

        Warns
        -----
        FitFailedWarning
            If units have failed: how many, and the first one's error.
        """
        kept = StudyFolder(Path(folder).absolute())
        with kept.opened():
            plan = make_plan(self._design(), kept.path, keep_answers=keep_answers)
            kept.write_manifest(self._manifest(plan))
            # equal models by two names are one
            works = {work.unit.digest: work for work in plan.works}
            progress = Progress([work.unit for work in works.values()], joblib.effective_n_jobs(n_jobs))
            left = []
            for digest, work in works.items():
                record = kept.read(digest)
                if record is None or (retry_failures and record["status"] == "failed"):
                    left.append(work)
                else:
                    progress.find(record)
            with told(progress, verbose) as tell:
                for record, answers in run_all(left, n_jobs):
                    kept.write(record, answers)
                    tell(record)
        results = StudyResults.load(kept.path)
        _warn_of_failures(results)
        return results

    def _design(self) -> Design:
        searches = {name: Search(grid, self.search_cv, self.search_scoring) for name, grid in self.search.items()}
        return Design(
            estimators=self.estimators,
            datasets=self.datasets,
            cv=self.cv,
            n_repeats=self.n_repeats,
            train_sizes=self.train_sizes,
            searches=searches,
            scoring=self.scoring,
            random_state=self.random_state,
        )

    def _manifest(self, plan: Plan) -> dict[str, Any]:
        return {
            "datasets": plan.datasets,
            "models": {
                name: {"repr": repr(estimator), "search": _shown(self.search.get(name))}
                for name, estimator in self.estimators.items()
            },
            "measures": known_measures(self.scoring, [about["kind"] for about in plan.datasets.values()]),
            "cv": {name: _shown_cv(cv) for name, cv in self.cv.items()},
            "n_repeats": self.n_repeats,
            "train_sizes": self.train_sizes,
            "random_state": self.random_state,
            "scoring": "all" if self.scoring is None else str(self.scoring),
            "units": [
                {name: value for name, value in asdict(work.unit).items() if name != "seed"} for work in plan.works
            ],
            "environment": _environment(),
        }


def _warn_of_failures(results: StudyResults) -> None:
    failed = [record for record in results.records if record["status"] == "failed"]
    if failed:
        first = failed[0]
        warnings.warn(
            f"{len(failed)} of {len(results.records)} units failed, the first being {first['model']!r} on "
            f"{first['dataset']!r}: {first['failure']['type']}: {first['failure']['message'][:300]}. All of them are "
            "in results.failures, and run() tries them again.",
            FitFailedWarning,
            stacklevel=3,
        )


def _check_named(parameter: str, given: Any) -> dict[str, Any]:
    is_named = isinstance(given, Mapping) and given and all(isinstance(name, str) and name for name in given)
    if not is_named:
        raise ValueError(
            f"The {parameter!r} parameter of Study must be a dict with at least one name. Got {given!r} instead."
        )
    return dict(given)


def _check_estimators(estimators: Any) -> dict[str, Any]:
    named = _check_named("estimators", estimators)
    for name, estimator in named.items():
        lacking = [method for method in ("fit", "predict", "get_params") if not hasattr(estimator, method)]
        if lacking or isinstance(estimator, type):
            raise ValueError(
                f"The model {name!r} must be an estimator with fit, predict and get_params. Got {estimator!r} instead."
            )
    return named


def _by_dataset(parameter: str, given: Any, datasets: Mapping[str, Any]) -> dict[str, Any]:
    """What is given for each data set, or for all of them."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(datasets, given)
    if given.keys() != datasets.keys():
        raise ValueError(
            f"The {parameter!r} parameter of Study must have an entry for each of the data sets {listed(datasets)}. "
            f"Got entries for {listed(given)} instead."
        )
    return {name: given[name] for name in datasets}


def _check_repeats(n_repeats: Any, datasets: Mapping[str, Any]) -> dict[str, int]:
    repeats = _by_dataset("n_repeats", n_repeats, datasets)
    if not all(_is_whole(number, least=1) for number in repeats.values()):
        raise ValueError(f"The 'n_repeats' parameter of Study must be an int from 1 on. Got {n_repeats!r} instead.")
    return {name: int(number) for name, number in repeats.items()}


def _check_splitter(cv: Any, n_repeats: int) -> Any:
    if _is_whole(cv, least=2):
        return int(cv)
    if hasattr(cv, "split") and hasattr(cv, "get_n_splits"):
        repeats_itself = hasattr(cv, "n_repeats")
        is_fixed = not hasattr(cv, "random_state") or not getattr(cv, "shuffle", True)
        if n_repeats > 1 and (repeats_itself or is_fixed):
            raise ValueError(
                f"n_repeats={n_repeats} divides rows anew each time, but {cv!r} "
                f"{'repeats by itself' if repeats_itself else 'would divide them in the same way'}: leave n_repeats at "
                "1, or pass a splitter that shuffles once."
            )
        return cv
    splits = list(cv) if isinstance(cv, Iterable) else []
    if not splits or any(not isinstance(split, tuple | list) or len(split) != 2 for split in splits):
        raise ValueError(
            "The 'cv' parameter of Study must be an int from 2 on, a splitter, a list of (train, test) row numbers, or "
            f"a dict of these by data set. Got {cv!r} instead."
        )
    if n_repeats > 1:
        raise ValueError(
            f"n_repeats={n_repeats} divides rows anew each time, but 'cv' is a list of splits: leave n_repeats at 1."
        )
    return splits


def _check_train_sizes(train_sizes: Any) -> list[float]:
    sizes = [1.0] if train_sizes is None else list(train_sizes) if isinstance(train_sizes, Iterable) else []
    if (
        not sizes
        or not all(isinstance(size, int | float) and 0 < size <= 1 for size in sizes)
        or len(set(sizes)) < len(sizes)
    ):
        raise ValueError(
            "The 'train_sizes' parameter of Study must be None, or different shares above 0 and up to 1. Got "
            f"{train_sizes!r} instead."
        )
    return sorted(float(size) for size in sizes)


def _check_search(search: Any, estimators: Mapping[str, Any]) -> dict[str, Any]:
    search = {} if search is None else search
    if not isinstance(search, Mapping) or (unknown := set(search) - set(estimators)):
        raise ValueError(
            f"The 'search' parameter of Study must be a dict of grids by the names of models, {listed(estimators)}. "
            f"Got {listed(sorted(unknown)) if isinstance(search, Mapping) else repr(search)} instead."
        )
    for name, grid in search.items():
        known = estimators[name].get_params(deep=True)
        try:
            grids = ParameterGrid(grid).param_grid
        except (TypeError, ValueError) as error:
            raise ValueError(f"The model {name!r} cannot be searched: {error}") from error
        if strange := {key for one in grids for key in one} - known.keys():
            raise ValueError(f"The model {name!r} has no parameter {listed(sorted(strange))} to search.")
    return dict(search)


def _check_search_cv(cv: Any) -> Any:
    if _is_whole(cv, least=2):
        return int(cv)
    if not (hasattr(cv, "split") and hasattr(cv, "get_n_splits")):
        raise ValueError(
            f"The 'search_cv' parameter of Study must be an int from 2 on, or a splitter. Got {cv!r} instead."
        )
    return cv


def _is_whole(value: Any, *, least: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)


def _shown(grid: Any) -> Any:
    """A grid as JSON can write it."""
    if isinstance(grid, Mapping):
        return {name: [repr(value) for value in values] for name, values in grid.items()}
    return None if grid is None else [_shown(one) for one in grid]


def _shown_cv(cv: Any) -> str:
    if isinstance(cv, list):
        return "a given split" if len(cv) == 1 else f"{len(cv)} given splits"
    return f"{cv} folds, stratified and shuffled" if isinstance(cv, int) else repr(cv)


def _environment() -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {"skdeep": skdeep.__version__, **{package: version(package) for package in _PACKAGES}},
    }
