"""Studies: every unit once, with the numbers that a loop by hand would give, whatever happens on the way."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from PIL import Image
from scipy import sparse
from scipy.stats import norm
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    RepeatedKFold,
    ShuffleSplit,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import Bunch

from skdeep import CNNFeatureExtractor
from skdeep.metrics import get_scorer, multilabel_scorer, multilabel_scores
from skdeep.model_selection import MultilabelStratifiedKFold
from skdeep.multilabel import BinaryRelevance, MLkNN
from skdeep.study import Study, StudyResults
from skdeep.study._folder import StudyFolder
from skdeep.study._plan import make_plan
from skdeep.study._units import seed_open_states, seeded_grid
from tests.study_models import Frequencies, Log, loaded, made, models

# what tests of failures are about
pytestmark = pytest.mark.filterwarnings(r"ignore:\d+ of \d+ units failed")

LOGISTIC = BinaryRelevance(LogisticRegression(max_iter=500))


def records(folder: Path) -> list[dict[str, Any]]:
    return list(StudyFolder(folder).records())


def numbers(folder: Path) -> list[tuple[Any, ...]]:
    """All that must not depend on how a study came to its end."""
    names = ("dataset", "model", "repeat", "fold", "train_size", "seed", "split_digest", "status", "parameters")
    return [(*(record[name] for name in names), record["scores"]) for record in records(folder)]


def test_scores_are_those_of_cross_validate(tmp_path: Path) -> None:
    X, Y = made()
    cv = KFold(4, shuffle=True, random_state=3)
    results = Study({"BR": LOGISTIC, "kNN": MLkNN()}, {"made": (X, Y)}, cv=cv).run(tmp_path)
    for name, estimator in {"BR": LOGISTIC, "kNN": MLkNN()}.items():
        expected = cross_validate(estimator, X, Y, cv=cv, scoring=multilabel_scorer)
        found = results.units[results.units["model"] == name]
        np.testing.assert_allclose(found["f1_macro"], expected["test_f1_macro"], rtol=1e-12)
        np.testing.assert_allclose(found["hamming_loss"], -expected["test_neg_hamming_loss"], rtol=1e-12)
        np.testing.assert_allclose(found["map_macro"], expected["test_map_macro"], rtol=1e-12)


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    study = Study({"BR": LOGISTIC, "trees": RandomForestClassifier(5)}, {"made": made(), "more": made(60, 1)}, cv=2)
    study.run(tmp_path / "one")
    study.run(tmp_path / "two", n_jobs=2)
    assert numbers(tmp_path / "one") == numbers(tmp_path / "two")


def test_only_what_is_missing_is_run(tmp_path: Path) -> None:
    log, folder = Log(tmp_path / "log"), tmp_path / "study"
    one = {"a": Frequencies(log)}
    two = {**one, "b": Frequencies(log, seconds=1e-9)}
    Study(one, {"made": made()}, cv=3).run(folder)
    assert len(log.lines()) == 3
    Study(two, {"made": made()}, cv=3).run(folder)
    assert len(log.lines()) == 6
    (folder / "units" / f"{records(folder)[0]['digest']}.json").write_text("{ damaged")
    results = Study(two, {"made": made()}, cv=3).run(folder)
    assert len(log.lines()) == 7
    assert results.missing == 0


@pytest.mark.parametrize("change", ["a parameter", "a target", "the folds", "the seed", "the measures", "the search"])
def test_what_decides_a_score_makes_a_unit_another(change: str, tmp_path: Path) -> None:
    def study(change: str | None) -> Study:
        X, Y = made()
        if change == "a target":
            Y[0, 0] = 1 - Y[0, 0]
        return Study(
            {"kNN": MLkNN(9 if change == "a parameter" else 10)},
            {"made": (X, Y)},
            cv=KFold(2, shuffle=True, random_state=1 if change == "the folds" else 0),
            random_state=1 if change == "the seed" else 0,
            scoring=["neg_hamming_loss"] if change == "the measures" else None,
            search={"kNN": {"n_neighbors": [3, 4]}} if change == "the search" else None,
        )

    def digests(study: Study) -> list[str]:
        plan = make_plan(study._design(), tmp_path, keep_answers=True)
        return [work.unit.digest for work in plan.works]

    before = digests(study(None))
    assert digests(study(None)) == before
    assert not set(digests(study(change))) & set(before)


def planned(study: Study, folder: Path) -> set[str]:
    """The digests of a study's units."""
    return {work.unit.digest for work in make_plan(study._design(), folder, keep_answers=True).works}


FORMS_OF_PATHS: dict[str, Callable[[list[Path]], Any]] = {
    "list": list,
    "array": lambda paths: np.array(paths, dtype=object),
    "column": lambda paths: np.array([str(path) for path in paths])[:, None],
    "column of objects": lambda paths: np.array(paths, dtype=object)[:, None],
    "nested list": lambda paths: [[path] for path in paths],
    "Series": pd.Series,
    "DataFrame": lambda paths: pd.DataFrame({"image": paths, "side": range(len(paths))}),
}


@pytest.mark.parametrize("form", FORMS_OF_PATHS)
def test_a_file_that_changes_makes_units_others(form: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{row}.png" for row in range(4)]
    for path in paths:
        Image.new("RGB", (8, 8)).save(path)
    X = FORMS_OF_PATHS[form](paths)
    study = Study({"a": Frequencies()}, {"images": (X, np.array([[0, 1], [1, 0]] * 2))}, cv=2)
    before = planned(study, tmp_path)
    assert planned(study, tmp_path) == before
    Image.new("RGB", (8, 8), "red").save(paths[0])
    assert not planned(study, tmp_path) & before


def deep(**parameters: Any) -> Any:
    return make_pipeline(CNNFeatureExtractor(**parameters), MLkNN())


# models that name a file, or whose grids do
NAMING: dict[str, Callable[[Path], tuple[Any, Any]]] = {
    "a path": lambda file: (deep(weights=file), None),
    "a name": lambda file: (deep(weights=str(file)), None),
    "a name with a digest": lambda file: (deep(weights=f"{file}#sha256=0123abcd"), None),
    "a list": lambda file: (Frequencies([("best", str(file))]), None),
    "an estimator's": lambda file: (BinaryRelevance(Frequencies(file)), None),
    "a grid": lambda file: (Frequencies(), {"log": [None, file]}),
    "one of several grids": lambda file: (Frequencies(), [{"seconds": [0]}, {"log": np.array([str(file)])}]),
    "an estimator of a grid": lambda file: (BinaryRelevance(Frequencies()), {"estimator": [Frequencies(file)]}),
    "the grid of a search": lambda file: (GridSearchCV(Frequencies(), {"log": [file]}), None),
}


@pytest.mark.parametrize("place", NAMING)
def test_a_file_that_a_model_names_makes_units_others_when_it_changes(place: str, tmp_path: Path) -> None:
    file = tmp_path / "best.pth"
    model, grid = NAMING[place](file)
    study = Study({"a": model}, {"made": made()}, cv=2, search={"a": grid} if grid else None)
    absent = planned(study, tmp_path)
    file.write_bytes(b"one")
    before = planned(study, tmp_path)
    assert planned(study, tmp_path) == before
    file.write_bytes(b"two")
    after = planned(study, tmp_path)
    assert len(absent | before | after) == 3 * len(before)
    # time does not count
    os.utime(file, (1, 1))
    assert planned(study, tmp_path) == after


def test_folders_and_features_of_a_cache_make_no_unit_another(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "features.safetensors"
    estimators = {
        "a": deep(cache=[str(folder), str(file)]),
        "b": Frequencies(folder),
        "no name of a file": Frequencies("x" * 5000),
    }
    study = Study(estimators, {"made": made()}, cv=2)
    before = planned(study, tmp_path)
    folder.mkdir()
    (folder / "rows").touch()
    file.touch()
    assert planned(study, tmp_path) == before


def test_a_killed_study_ends_with_the_numbers_of_an_uninterrupted_one(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.study_models import Frequencies, made, models; from skdeep.study import Study\n"
        "study = Study({**models(), 'slow': Frequencies(seconds=0.3)}, {'made': made(), 'more': made(60, 1)}, cv=3)\n"
        "study.run(Path(sys.argv[1]))\n"
    )
    root = Path(__file__).parent.parent

    def start(folder: Path) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(root)}
        return subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(folder)], cwd=root, env=environment)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(whole).wait() == 0
    process = start(broken)
    while len(list(broken.glob("units/*.json"))) < 10:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = {path.name for path in broken.glob("units/*.json")}
    assert len(left) < 42
    assert start(broken).wait() == 0
    assert len(numbers(broken)) == 42
    assert numbers(broken) == numbers(whole)
    assert not list(broken.rglob("*.part*"))
    assert not (broken / "data").exists()


def test_what_killed_writers_have_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "units").mkdir()
    left = [tmp_path / ".study.json.1f.part", tmp_path / "units" / ".1.json.2f.part"]
    for path in (*left, tmp_path / "letter.part"):
        path.touch()
    Study({"a": Frequencies()}, {"made": made()}, cv=2).run(tmp_path)
    assert list(tmp_path.rglob("*.part")) == [tmp_path / "letter.part"]


def test_a_model_that_fails_stops_no_other(tmp_path: Path) -> None:
    study = Study({"bad": Frequencies(fault="error"), "good": Frequencies()}, {"made": made()}, cv=2)
    results = study.run(tmp_path)
    assert [record["status"] for record in records(tmp_path)] == ["failed", "done", "failed", "done"]
    failure = records(tmp_path)[0]["failure"]
    assert (failure["stage"], failure["type"], failure["message"]) == ("fit", "RuntimeError", "the training failed")
    assert "tests/study_models.py" in failure["traceback"]
    assert len(results.failures) == 2


def test_failures_are_told_in_one_warning(tmp_path: Path) -> None:
    study = Study({"bad": Frequencies(fault="error"), "good": Frequencies()}, {"made": made()}, cv=2)
    with pytest.warns(
        FitFailedWarning, match="2 of 4 units failed, the first being 'bad' on 'made': RuntimeError: the"
    ):
        study.run(tmp_path)


def test_failures_are_run_again_unless_they_are_to_stay(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    study = Study({"bad": Frequencies(log, fault="error")}, {"made": made()}, cv=2)
    for n_fits, retry in ((2, True), (2, False), (4, True)):
        study.run(tmp_path / "study", retry_failures=retry)
        assert len(log.lines()) == n_fits


def test_a_model_that_kills_its_process_is_known_and_costs_nothing_else(tmp_path: Path) -> None:
    estimators = {"good": Frequencies(), "deadly": Frequencies(fault="exit"), "fine": LOGISTIC}
    Study(estimators, {"made": made()}, cv=3).run(tmp_path, n_jobs=2)
    found = {(record["model"], record["fold"]): record["status"] for record in records(tmp_path)}
    assert found == {(name, fold): "failed" if name == "deadly" else "done" for name in estimators for fold in range(3)}
    assert {record["failure"]["stage"] for record in records(tmp_path) if record["failure"]} == {"process"}


def test_a_process_that_dies_once_loses_nothing(tmp_path: Path) -> None:
    estimators = {"unlucky": Frequencies(tmp_path / "log", fault="once"), "good": Frequencies()}
    results = Study(estimators, {"made": made()}, cv=4).run(tmp_path / "study", n_jobs=2)
    assert results.missing == 0
    assert {record["status"] for record in records(tmp_path / "study")} == {"done"}


def test_a_wrong_number_of_processes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="n_jobs == 0"):
        Study({"a": Frequencies()}, {"made": made()}, cv=2).run(tmp_path, n_jobs=0)


def test_a_search_sees_the_training_part_only(tmp_path: Path) -> None:
    X, Y = made()
    cv = KFold(3, shuffle=True, random_state=0)
    grid = {"n_neighbors": [3, 8, 15]}
    inner = KFold(2)
    study = Study(
        {"kNN": MLkNN()}, {"made": (X, Y)}, cv=cv, search={"kNN": grid}, search_cv=inner, search_scoring="map_macro"
    )
    study.run(tmp_path)
    for record, (train, test) in zip(records(tmp_path), cv.split(X), strict=True):
        search = GridSearchCV(MLkNN(), grid, cv=inner, scoring=get_scorer("map_macro")).fit(X[train], Y[train])
        assert record["parameters"] == search.best_params_
        expected = multilabel_scores(Y[test], search.predict(X[test]), search.predict_proba(X[test]))
        assert {name: record["scores"][name] for name in expected} == expected


def test_open_random_states_follow_the_study_and_set_ones_stay() -> None:
    forest = make_pipeline(StandardScaler(), BinaryRelevance(RandomForestClassifier()))
    state = "binaryrelevance__estimator__random_state"
    seed_open_states(forest, 5)
    first = forest.get_params()[state]
    assert isinstance(first, int)
    seed_open_states(forest, 6)
    assert forest.get_params()[state] == first


def test_each_fold_has_a_seed_of_its_own_that_all_models_share(tmp_path: Path) -> None:
    log = tmp_path / "log"
    study = Study({"a": Frequencies(log), "b": Frequencies(log, seconds=1e-9)}, {"made": made()}, cv=3, n_repeats=2)
    study.run(tmp_path / "study")
    assert len({record["seed"] for record in records(tmp_path / "study")}) == 6
    assert len(set(log.read_text().splitlines())) == 6


def test_repeats_divide_rows_anew(tmp_path: Path) -> None:
    X, Y = made()
    cv = KFold(3, shuffle=True, random_state=4)
    Study({"a": Frequencies()}, {"made": (X, Y)}, cv=cv, n_repeats=2).run(tmp_path)
    folder = StudyFolder(tmp_path)
    for record in folder.records():
        splits = list(KFold(3, shuffle=True, random_state=4 + record["repeat"]).split(X))
        np.testing.assert_array_equal(folder.answers(record["digest"])["rows"], splits[record["fold"]][1])


def test_a_splitter_that_repeats_itself_is_told_apart(tmp_path: Path) -> None:
    cv = RepeatedKFold(n_splits=2, n_repeats=3, random_state=0)
    Study({"a": Frequencies()}, {"made": made()}, cv=cv).run(tmp_path)
    assert [(r["repeat"], r["fold"]) for r in records(tmp_path)] == [(r, f) for r in range(3) for f in range(2)]


def test_a_splitter_whose_state_is_open_takes_the_studys(tmp_path: Path) -> None:
    for name, cv in {"open": ShuffleSplit(2), "set": ShuffleSplit(2, random_state=7)}.items():
        Study({"a": Frequencies()}, {"made": made()}, cv=cv, random_state=7).run(tmp_path / name)
    assert numbers(tmp_path / "open") == numbers(tmp_path / "set")


def test_folds_by_number_are_stratified(tmp_path: Path) -> None:
    X, Y = made()
    Study({"a": Frequencies()}, {"made": (X, Y)}, cv=3, random_state=2).run(tmp_path)
    folder = StudyFolder(tmp_path)
    splits = MultilabelStratifiedKFold(3, shuffle=True, random_state=2).split(X, Y)
    for record, (_, test) in zip(folder.records(), splits, strict=True):
        np.testing.assert_array_equal(folder.answers(record["digest"])["rows"], test)


@pytest.mark.parametrize("target", ["labels", "classes"])
def test_folds_by_number_keep_groups_together(target: str, tmp_path: Path) -> None:
    X, Y = made()
    groups = np.arange(90) // 3
    data = Bunch(data=X, target=Y if target == "labels" else Y[:, 0], groups=groups)
    model = LOGISTIC if target == "labels" else LogisticRegression(max_iter=500)
    Study({"model": model}, {"made": data}, cv=3).run(tmp_path)
    folder = StudyFolder(tmp_path)
    for record in folder.records():
        test = folder.answers(record["digest"])["rows"]
        assert not set(groups[test]) & set(np.delete(groups, test))


def test_each_data_set_may_have_folds_of_its_own(tmp_path: Path) -> None:
    groups = np.arange(90) % 9
    X, Y = made()
    datasets = {"official": (X, Y), "grouped": Bunch(data=X, target=Y, groups=groups)}
    cv = {"official": [(np.arange(60), np.arange(60, 90))], "grouped": GroupKFold(3)}
    Study({"a": Frequencies()}, datasets, cv=cv).run(tmp_path)
    folder = StudyFolder(tmp_path)
    found = list(folder.records())
    assert [record["dataset"] for record in found] == ["official", *["grouped"] * 3]
    for record in found[1:]:
        test = folder.answers(record["digest"])["rows"]
        assert not set(groups[test]) & set(np.delete(groups, test))


def test_smaller_training_parts_lie_within_larger(tmp_path: Path) -> None:
    log = tmp_path / "log"
    study = Study({"a": Frequencies(log)}, {"made": made()}, cv=3, train_sizes=[0.5, 1, 0.1])
    study.run(tmp_path / "study")
    assert [record["n_train"] for record in records(tmp_path / "study")] == [6, 30, 60] * 3
    assert [int(line.split()[0]) for line in log.read_text().splitlines()] == [6, 30, 60] * 3


@pytest.mark.parametrize("form", ["dense", "sparse", "DataFrame", "bool"])
def test_targets_may_have_any_form(form: str, tmp_path: Path) -> None:
    X, Y = made()
    given = {"dense": Y, "sparse": sparse.csr_array(Y), "bool": Y.astype(bool)}.get(form)
    if form == "DataFrame":
        given = pd.DataFrame(Y, columns=list("abcd"))
    Study({"BR": LOGISTIC}, {"made": (X, Y)}, cv=2).run(tmp_path / "dense")
    results = Study({"BR": LOGISTIC}, {"made": (X, given)}, cv=2).run(tmp_path / "given")
    assert [r["scores"] for r in records(tmp_path / "given")] == [r["scores"] for r in records(tmp_path / "dense")]
    names = results.manifest["datasets"]["made"]["label_names"]
    assert names == (list("abcd") if form == "DataFrame" else ["y0", "y1", "y2", "y3"])


def test_a_bunch_names_its_labels(tmp_path: Path) -> None:
    X, Y = made()
    results = Study({"BR": LOGISTIC}, {"made": Bunch(data=X, target=Y, target_names=list("wxyz"))}, cv=2).run(tmp_path)
    assert results.manifest["datasets"]["made"]["label_names"] == list("wxyz")


@pytest.mark.parametrize("data", [load_iris, load_breast_cancer])
def test_classes_are_measured_as_classes(data: Any, tmp_path: Path) -> None:
    X, y = data(return_X_y=True)
    scaled = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    machine = make_pipeline(StandardScaler(), LinearSVC(random_state=0))
    cv = KFold(2, shuffle=True, random_state=0)
    results = Study({"logistic": scaled, "machine": machine}, {"data": (X, y)}, cv=cv).run(tmp_path)
    logistic = results.units[results.units["model"] == "logistic"]
    names = ["accuracy", "neg_log_loss", "roc_auc_ovr" if data is load_iris else "roc_auc"]
    expected = cross_validate(scaled, X, y, cv=cv, scoring=names)
    for name in names:
        np.testing.assert_allclose(logistic[name], expected[f"test_{name}"], rtol=1e-12)
    assert results.units.loc[results.units["model"] == "machine", "neg_log_loss"].isna().all()
    assert results.units["accuracy"].notna().all()


@pytest.mark.parametrize(
    ("scoring", "measures"),
    [
        ("f1_micro", {"f1_micro"}),
        (["neg_hamming_loss", "f2_at_threshold"], {"neg_hamming_loss", "f2_at_threshold"}),
        ({"best": get_scorer("map_macro")}, {"best"}),
        (multilabel_scorer, set(multilabel_scorer(LOGISTIC.fit(*made()), *made()))),
    ],
)
def test_any_measure_may_be_asked_for(scoring: Any, measures: set[str], tmp_path: Path) -> None:
    results = Study({"BR": LOGISTIC}, {"made": made()}, cv=2, scoring=scoring).run(tmp_path)
    assert set(results.measures) == measures
    assert all(results.measures.values())
    assert results.units[sorted(measures)].notna().all(axis=None)


def test_a_model_is_asked_once_whatever_the_number_of_measures(tmp_path: Path) -> None:
    asked = tmp_path / "asked"

    class Counting(Frequencies):
        def predict_proba(self, X: Any) -> Any:
            with asked.open("a") as file:
                file.write("p")
            return super().predict_proba(X)

        def predict(self, X: Any) -> Any:
            return np.zeros((len(X), len(self.frequencies_)), dtype=int)

    scoring = ["average_precision", "roc_auc", "f2_at_threshold", "neg_one_error"]
    Study({"a": Counting()}, {"made": made()}, cv=2, scoring=scoring).run(tmp_path / "study")
    assert asked.read_text() == "pp"


def test_answers_are_kept_unless_they_are_not_wanted(tmp_path: Path) -> None:
    X, Y = made()
    folder = StudyFolder(tmp_path / "kept")
    Study({"BR": LOGISTIC}, {"made": (X, Y)}, cv=2).run(folder.path)
    for record in folder.records():
        answers = folder.answers(record["digest"])
        np.testing.assert_array_equal(answers["target"], Y[answers["rows"]])
        assert answers["scores"].shape == answers["predicted"].shape == answers["target"].shape
        np.testing.assert_array_equal(answers["predicted"], answers["scores"] > 0.5)
        assert str(answers["scores_are"]) == "predict_proba"
    bare = StudyFolder(tmp_path / "bare")
    Study({"BR": LOGISTIC}, {"made": (X, Y)}, cv=2).run(bare.path, keep_answers=False)
    # nor are they there after all, for what is done is not run again
    Study({"BR": LOGISTIC}, {"made": (X, Y)}, cv=2).run(bare.path)
    with pytest.raises(
        FileNotFoundError, match="this unit was run with keep_answers=False, and what is done is not run"
    ):
        bare.answers(next(bare.records())["digest"])


def test_classes_are_kept_by_their_positions(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    folder = StudyFolder(tmp_path)
    results = Study({"logistic": LogisticRegression(max_iter=1000)}, {"iris": (X, names[y])}, cv=3).run(folder.path)
    for record in folder.records():
        answers = folder.answers(record["digest"])
        np.testing.assert_array_equal(answers["target"], y[answers["rows"]])
        assert np.mean(answers["predicted"] == answers["target"]) == record["scores"]["accuracy"]
    assert results.manifest["datasets"]["iris"]["label_names"] == list(names)


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("n_classes", [3, 4])
def test_scores_of_other_classes_than_those_of_the_data_are_not_kept(n_classes: int, tmp_path: Path) -> None:
    y = np.repeat(np.arange(n_classes), 12)
    X = np.random.default_rng(0).normal(size=(len(y), 2)) + y[:, None]
    # each training part lacks the class of its test part; of three classes two are left, with one column
    study = Study({"a": LogisticRegression()}, {"made": (X, y)}, cv=KFold(n_classes))
    results = study.run(tmp_path)
    answers = results.predictions("made", "a")
    assert answers.scores is None
    assert answers.scores_are is None
    np.testing.assert_array_equal(answers.target, y)
    assert (answers.predicted != y).all()
    assert results.report(tmp_path / "report.html", images={"made": np.zeros((len(y), 8, 8), np.uint8)}).exists()


@pytest.mark.filterwarnings("always")
def test_scores_are_not_pooled_where_a_fold_lacks_a_class(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    rows = np.arange(150)
    splits = [(rows[:100], rows[100:]), (rows[rows % 2 == 0], rows[(rows % 2 == 1) & (rows < 100)])]
    folder = StudyFolder(tmp_path)
    results = Study({"a": LogisticRegression(max_iter=500)}, {"iris": (X, y)}, cv=splits).run(folder.path)
    assert results.predictions("iris", "a").scores is None
    assert ["scores" in folder.answers(record["digest"]) for record in folder.records()] == [False, True]
    assert results.report(tmp_path / "report.html").exists()


@pytest.mark.filterwarnings("always")
def test_warnings_of_models_stand_in_their_records(tmp_path: Path) -> None:
    Study({"a": Frequencies(fault="warning"), "b": Frequencies()}, {"made": made()}, cv=2).run(tmp_path)
    warned = ["UserWarning: it is not what it seems"]
    assert [record["warnings"] for record in records(tmp_path)] == [warned, [], warned, []]


def test_a_function_loads_a_data_set_once_a_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    Study(models(), {"made": functools.partial(loaded, log)}, cv=3).run(tmp_path / "study", n_jobs=2)
    pids = log.read_text().split()
    # the first is this process, which makes the plan
    assert len(pids) == len(set(pids)) <= 3


def test_units_carry_no_rows(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{row}.png") for row in range(20_000)]
    Y = np.tile([[0, 1], [1, 0]], (10_000, 1))
    plan = make_plan(Study({"a": Frequencies()}, {"images": (paths, Y)}, cv=2)._design(), tmp_path, keep_answers=True)
    assert all(len(pickle.dumps(work)) < 3000 for work in plan.works)


def test_images_pass_the_network_once_for_all_models_and_folds(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    images = rng.randint(0, 256, (24, 16, 16, 3)).astype(np.uint8)
    paths = []
    for row, image in enumerate(images):
        paths.append(tmp_path / f"{row}.png")
        Image.fromarray(image).save(paths[-1])
    Y = np.tile([[0, 1], [1, 0], [1, 1]], (8, 1))
    cache = tmp_path / "cache"
    extractor = CNNFeatureExtractor("small_cnn", weights=None, image_size=16, random_state=0, cache=cache)
    estimators = {"BR": make_pipeline(extractor, LOGISTIC), "kNN": make_pipeline(extractor, MLkNN(3))}
    results = Study(estimators, {"images": (paths, Y)}, cv=3).run(tmp_path / "study")
    assert len(results.failures) == 0
    from skdeep.features import info

    assert info(cache).n_computed == len(paths)


def test_the_peak_of_memory_is_that_of_the_unit(tmp_path: Path) -> None:
    class Hungry(Frequencies):
        def fit(self, X: Any, y: Any) -> Hungry:
            if self.seconds:
                np.ones(2**25)  # 256 MiB
            return super().fit(X, y)

    estimators = {"modest": Hungry(), "hungry": Hungry(seconds=1e-9), "modest again": Hungry(fault="")}
    Study(estimators, {"made": made()}, cv=[(np.arange(50), np.arange(50, 90))]).run(tmp_path)
    peaks = [record["peak_mb"] for record in records(tmp_path)]
    if None in peaks:
        pytest.skip("this system does not tell the peak of memory anew")
    assert peaks[1] > peaks[0] + 200
    assert peaks[2] < peaks[1] - 200


def test_results_are_read_from_the_folder(tmp_path: Path) -> None:
    study = Study({"BR": LOGISTIC}, {"made": made()}, cv=2)
    pd.testing.assert_frame_equal(study.run(tmp_path).units, StudyResults.load(tmp_path).units)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"estimators": {}}, "'estimators' parameter of Study must be a dict with at least one name"),
    "a class": ({"estimators": {"kNN": MLkNN}}, "The model 'kNN' must be an estimator with fit, predict"),
    "no estimator": ({"estimators": {"x": 3}}, "The model 'x' must be an estimator"),
    "a list": ({"datasets": [made()]}, "'datasets' parameter of Study must be a dict"),
    "one fold": ({"cv": 1}, "'cv' parameter of Study must be an int from 2 on"),
    "a word for folds": ({"cv": "many"}, "'cv' parameter of Study must be"),
    "folds of another data set": ({"cv": {"other": 3}}, "must have an entry for each of the data sets made"),
    "no repeat": ({"n_repeats": 0}, "'n_repeats' parameter of Study must be an int from 1 on"),
    "repeats of one division": ({"cv": KFold(3), "n_repeats": 2}, "would divide them in the same way"),
    "repeats of repeats": ({"cv": RepeatedKFold(), "n_repeats": 2}, "repeats by itself"),
    "repeats of given splits": ({"cv": [([0], [1])], "n_repeats": 2}, "'cv' is a list of splits"),
    "a size above 1": ({"train_sizes": [0.5, 2]}, "'train_sizes' parameter of Study must be None, or different shares"),
    "a size twice": ({"train_sizes": [0.5, 0.5]}, "'train_sizes' parameter"),
    "a search of no model": ({"search": {"SVM": {}}}, "must be a dict of grids by the names of models, BR. Got SVM"),
    "a strange parameter": ({"search": {"BR": {"depth": [1]}}}, "The model 'BR' has no parameter depth to search"),
    "a strange measure": ({"scoring": "beauty"}, "'beauty' is no scorer"),
    "a metric": ({"scoring": f1_score}, r"f1_score is a metric .* pass make_scorer\(f1_score\)"),
    "a metric by name": ({"scoring": {"best": f1_score}}, "f1_score is a metric"),
    "an empty list of measures": ({"scoring": []}, "'scoring' parameter of Study must be None, the name of a scorer"),
    "no search folds": (
        {"search_cv": "many"},
        "'search_cv' parameter of Study must be an int from 2 on, or a splitter",
    ),
    "a value for a grid": (
        {"search": {"BR": {"estimator": 5}}},
        "The model 'BR' cannot be searched: .*needs to be a list",
    ),
    "a size for sizes": ({"train_sizes": 0.5}, "'train_sizes' parameter of Study must be None, or different shares"),
    "an object for folds": ({"cv": object()}, "'cv' parameter of Study must be an int from 2 on"),
    "rows for splits": ({"cv": [1, 2]}, "'cv' parameter of Study must be an int from 2 on"),
    "no seed": ({"random_state": None}, "'random_state' parameter of Study must be an int from 0 on"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_study_refuses(mistake: str) -> None:
    changed, message = WRONG[mistake]
    arguments = {"estimators": {"BR": LOGISTIC}, "datasets": {"made": made()}, **changed}
    with pytest.raises(ValueError, match=message):
        Study(**arguments)


X_MADE, Y_MADE = made()
UNUSABLE: dict[str, tuple[Any, Any, str]] = {
    "no pair": (X_MADE, 2, r"must be a tuple \(X, y\), a Bunch with data and target"),
    "too few rows": ((X_MADE[:-1], Y_MADE), 2, "The data set 'made' cannot be used: .*inconsistent numbers of samples"),
    "counts": ((X_MADE, Y_MADE + 1), 2, "The data set 'made' cannot be used: Unknown label type"),
    "a leak": ((X_MADE, Y_MADE), [([0, 1, 2], [2, 3])], r"share 1 row\(s\): 2"),
    "no test rows": ((X_MADE, Y_MADE), [([0, 1, 2], [])], "A split has an empty test part"),
    "a row too many": ((X_MADE, Y_MADE), [([0, 1, 2], [90])], "holds row 90, but the data set has 90 rows"),
    "no groups": (
        (X_MADE, Y_MADE),
        GroupKFold(3),
        "The data set 'made' cannot be divided: The 'groups' .* Groups come with a Bunch that has data, target and",
    ),
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_data_that_cannot_be_used_stop_a_study_before_any_fit(fault: str, tmp_path: Path) -> None:
    given, cv, message = UNUSABLE[fault]
    study = Study({"a": Frequencies(tmp_path / "log")}, {"made": given}, cv=cv)
    with pytest.raises(ValueError, match=message):
        study.run(tmp_path / "study")
    assert not (tmp_path / "log").exists()


def test_warnings_of_a_split_name_the_data_set(tmp_path: Path) -> None:
    X, Y = made()
    rare = Y * 0
    rare[:, 0], rare[:1, 1:] = Y[:, 0], 1
    study = Study({"a": Frequencies(tmp_path / "log")}, {"common": (X, Y), "rare": (X, rare)}, cv=2)
    with pytest.warns(UserWarning, match="cannot be expected") as told:
        study.run(tmp_path / "study")
    about = [str(warning.message) for warning in told if "cannot be expected in every part" in str(warning.message)]
    assert [text[: text.index(":")] for text in about] == ["On the data set 'rare'"]


def test_a_folder_that_holds_no_study_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no study"):
        StudyResults.load(tmp_path)
    (tmp_path / "study.json").write_text("[")
    with pytest.raises(ValueError, match="is damaged"):
        StudyResults.load(tmp_path)
    (tmp_path / "study.json").write_text('{"format": 0}')
    with pytest.raises(ValueError, match="is not of format 1"):
        StudyResults.load(tmp_path)


class NoReturn(Frequencies):
    """Learns, and returns nothing."""

    def fit(self, X: Any, y: Any) -> None:  # type: ignore[override]
        super().fit(X, y)


class Foreign(BaseEstimator):
    """A classifier by nothing but its methods, which answer in sparse arrays."""

    def fit(self, X: Any, y: Any) -> Foreign:
        self.inner_ = Frequencies().fit(X, y)
        return self

    def predict_proba(self, X: Any) -> Any:
        return sparse.csr_array(self.inner_.predict_proba(X))

    def predict(self, X: Any) -> Any:
        return sparse.csr_array(self.inner_.predict(X))


@pytest.mark.parametrize("model", [NoReturn(), Foreign()])
def test_models_need_no_more_than_methods(model: Any, tmp_path: Path) -> None:
    Study({"plain": Frequencies()}, {"made": made()}, cv=2).run(tmp_path / "plain")
    Study({"model": model}, {"made": made()}, cv=2).run(tmp_path / "model")
    assert [r["scores"] for r in records(tmp_path / "model")] == [r["scores"] for r in records(tmp_path / "plain")]


def test_two_labels_are_no_binary_problem(tmp_path: Path) -> None:
    X, Y = made()
    Y = Y[:, :2]
    cv = KFold(2)
    one_vs_rest = OneVsRestClassifier(LogisticRegression(max_iter=500))
    results = Study({"one": one_vs_rest, "BR": LOGISTIC}, {"made": (X, Y)}, cv=cv).run(tmp_path)
    assert len(results.failures) == 0
    values = results.table("map_macro", "fold")
    np.testing.assert_allclose(values["one"], values["BR"], rtol=1e-12)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_label_that_never_changed_in_training_has_its_value_as_probability(constant: int, tmp_path: Path) -> None:
    X, Y = made()
    Y[:60, 1] = constant
    split = (np.arange(60), np.arange(60, 90))
    folder = StudyFolder(tmp_path)
    forest = RandomForestClassifier(5, random_state=0)
    Study({"forest": forest}, {"made": (X, Y)}, cv=[split]).run(folder.path)
    (record,) = folder.records()
    scores = folder.answers(record["digest"])["scores"]
    expected = forest.fit(X[:60], Y[:60]).predict_proba(X[60:])
    assert (scores[:, 1] == constant).all()
    for label in (0, 2, 3):
        np.testing.assert_allclose(scores[:, label], expected[label][:, 1], rtol=1e-6)


@pytest.mark.parametrize("form", ["array", "list", "Series"])
def test_classes_may_be_words(form: str, tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    words: Any = np.array(["benign", "worse"])[y]
    given = {"array": words, "list": words.tolist(), "Series": pd.Series(words, dtype="category")}[form]
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    cv = KFold(2, shuffle=True, random_state=0)
    Study({"a": scaled}, {"data": (X, y)}, cv=cv).run(tmp_path / "numbers")
    Study({"a": scaled}, {"data": (X, given)}, cv=cv).run(tmp_path / "words")
    expected = [record["scores"] for record in records(tmp_path / "numbers")]
    assert [record["scores"] for record in records(tmp_path / "words")] == expected
    assert None not in expected[0].values()


@pytest.mark.filterwarnings("always")
def test_a_measure_that_cannot_be_taken_costs_no_other(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    # no class of a test part is in its training part
    Study({"a": LogisticRegression(max_iter=500)}, {"iris": (X, y)}, cv=KFold(3)).run(tmp_path / "classes")
    for record in records(tmp_path / "classes"):
        assert record["scores"]["accuracy"] == 0
        assert record["scores"]["neg_log_loss"] is None
        assert any("neg_log_loss could not be measured: ValueError" in text for text in record["warnings"])
    machine = BinaryRelevance(LinearSVC(random_state=0))
    scoring = ["f1_micro", "f2_at_threshold"]
    results = Study({"a": machine}, {"made": made()}, cv=2, scoring=scoring).run(tmp_path / "labels")
    assert results.units["f1_micro"].notna().all()
    assert results.units["f2_at_threshold"].isna().all()
    results = Study({"a": machine}, {"made": made()}, cv=2, scoring="f2_at_threshold").run(tmp_path / "none")
    assert set(results.failures["stage"]) == {"score"}


@pytest.mark.parametrize("form", ["coo_matrix", "dia_array", "csc_array"])
def test_sparse_rows_and_targets_may_have_any_format(form: str, tmp_path: Path) -> None:
    X, Y = made()
    make = getattr(sparse, form)
    Study({"BR": LOGISTIC}, {"made": (sparse.csr_array(X), Y)}, cv=2).run(tmp_path / "rows")
    Study({"BR": LOGISTIC}, {"made": (make(X), make(Y))}, cv=2).run(tmp_path / "given")
    assert [r["scores"] for r in records(tmp_path / "given")] == [r["scores"] for r in records(tmp_path / "rows")]


def test_a_search_keeps_groups_together(tmp_path: Path) -> None:
    X, Y = made()
    groups = np.arange(90) % 9
    grid = {"n_neighbors": [3, 8, 15]}
    cv, inner = GroupKFold(3), GroupKFold(2)
    data = Bunch(data=X, target=Y, groups=groups)
    Study({"kNN": MLkNN()}, {"made": data}, cv=cv, search={"kNN": grid}, search_cv=inner).run(tmp_path)
    for record, (train, _) in zip(records(tmp_path), cv.split(X, Y, groups), strict=True):
        search = GridSearchCV(MLkNN(), grid, cv=inner).fit(X[train], Y[train], groups=groups[train])
        assert record["parameters"] == search.best_params_


def test_open_states_of_splitters_follow_the_study(tmp_path: Path) -> None:
    open_folds, grid = KFold(2, shuffle=True), {"n_neighbors": [1, 3, 8, 15]}
    # each of the 4 folds chooses by folds of its own, at random where these are left open
    for name in ("one", "two"):
        studies = {
            "own": Study({"kNN": GridSearchCV(MLkNN(), grid, cv=open_folds)}, {"made": made()}, cv=4),
            "given": Study({"kNN": MLkNN()}, {"made": made()}, cv=4, search={"kNN": grid}, search_cv=open_folds),
        }
        for kind, study in studies.items():
            study.run(tmp_path / name / kind)
    assert open_folds.random_state is None
    for kind in ("own", "given"):
        assert numbers(tmp_path / "one" / kind) == numbers(tmp_path / "two" / kind)
    search = GridSearchCV(MLkNN(), grid, cv=open_folds)
    seed_open_states(search, 5)
    assert search.cv.random_state == 5


def test_open_states_within_grids_follow_the_study(tmp_path: Path) -> None:
    forests = [RandomForestClassifier(2, max_features=1), RandomForestClassifier(3, max_features=1)]
    grid = {"estimator": forests}
    model = BinaryRelevance(RandomForestClassifier())
    own = RandomizedSearchCV(model, grid, n_iter=2, cv=KFold(2))
    study = Study(
        {"given": model, "own": own},
        {"made": made()},
        cv=3,
        search={"given": grid},
        search_cv=KFold(2),
        scoring="f1_macro",
    )
    for name in ("one", "two"):
        assert len(study.run(tmp_path / name).failures) == 0
    assert numbers(tmp_path / "one") == numbers(tmp_path / "two")
    assert [forest.random_state for forest in forests] == [None, None]
    # what was chosen is told as it was given
    chosen = {record["parameters"]["estimator"] for record in records(tmp_path / "one")}
    assert chosen <= {repr(forest) for forest in forests}


def test_grids_keep_what_is_set_and_what_is_no_estimator() -> None:
    grid = {
        "n_neighbors": [1, 2],
        "smooth": (0.5, 1),
        "weights": np.array([None, "distance"], dtype=object),
        "n": norm(),
    }
    for same in (grid, [grid, {}], [{"estimator": [MLkNN]}]):
        assert seeded_grid(same, 5) is same
    steps = [("trees", RandomForestClassifier()), ("more", RandomForestClassifier(random_state=3))]
    folds = KFold(2, shuffle=True)
    search = RandomizedSearchCV(MLkNN(), [{"steps": [steps], "cv": [folds], "n": [1]}])
    seed_open_states(search, 5)
    (seeded,) = search.param_distributions
    assert [type(forest.random_state) for _, forest in seeded["steps"][0]] == [int, int]
    assert seeded["steps"][0][1][1].random_state == 3
    assert seeded["cv"][0].random_state == 5
    assert seeded["n"] == [1]
    assert (steps[0][1].random_state, folds.random_state) == (None, None)


def test_repeats_of_a_random_state_differ_and_are_the_same_in_each_run(tmp_path: Path) -> None:
    cv = KFold(2, shuffle=True, random_state=np.random.RandomState(0))
    log = Log(tmp_path / "log")
    study = Study({"a": Frequencies(log)}, {"made": made()}, cv=cv, n_repeats=2)
    study.run(tmp_path / "study")
    assert len({record["split_digest"] for record in records(tmp_path / "study")}) == 4
    study.run(tmp_path / "study")
    assert len(log.lines()) == 4


def test_splitters_see_the_rows(tmp_path: Path) -> None:
    class Halves:
        def get_n_splits(self, X: Any, y: Any, groups: Any) -> int:
            return 1

        def split(self, X: Any, y: Any, groups: Any) -> Any:
            is_low = X[:, 0] <= np.median(X[:, 0])
            yield np.flatnonzero(is_low), np.flatnonzero(~is_low)

    X, Y = made()
    folder = StudyFolder(tmp_path)
    Study({"a": Frequencies()}, {"made": (X, Y)}, cv=Halves()).run(folder.path)
    (record,) = folder.records()
    assert X[folder.answers(record["digest"])["rows"], 0].min() > np.median(X[:, 0])


def test_a_function_that_gives_other_rows_each_time_is_told(tmp_path: Path) -> None:
    calls = iter(range(100))
    datasets = {"whims": lambda: made(seed=next(calls)), "more": functools.partial(made, 60)}
    results = Study({"a": Frequencies()}, datasets, cv=2).run(tmp_path)
    assert set(results.failures["dataset"]) == {"whims"}
    assert results.failures["message"].str.contains("must give the same each time").all()


def test_a_scorer_alone_is_measured_as_score(tmp_path: Path) -> None:
    one = Study({"BR": LOGISTIC}, {"made": made()}, cv=2, scoring=get_scorer("map_macro")).run(tmp_path / "one")
    named = Study({"BR": LOGISTIC}, {"made": made()}, cv=2, scoring="map_macro").run(tmp_path / "named")
    assert one.measures == {"score": True}
    assert one.units["score"].tolist() == named.units["map_macro"].tolist()


def test_rows_are_copied_for_other_processes_only(tmp_path: Path) -> None:
    class Watching(Frequencies):
        def fit(self, X: Any, y: Any) -> Watching:
            assert not (tmp_path / "study" / "data").exists()
            return super().fit(X, y)

    datasets = {"made": made(), "more": made(60, 1)}
    assert len(Study({"a": Watching()}, datasets, cv=2).run(tmp_path / "study").failures) == 0
    results = Study({"a": Watching()}, datasets, cv=2).run(tmp_path / "study", n_jobs=2)
    assert results.missing == 0


def test_an_interrupted_study_leaves_no_copies_and_goes_on(tmp_path: Path) -> None:
    class Interrupted(Frequencies):
        def fit(self, X: Any, y: Any) -> Interrupted:
            if len(list((tmp_path / "study").glob("units/*.json"))) == 2:
                raise KeyboardInterrupt
            return super().fit(X, y)

    study = Study({"a": Interrupted(), "b": Frequencies()}, {"made": made()}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        study.run(tmp_path / "study")
    assert StudyResults.load(tmp_path / "study").missing == 2
    assert not list((tmp_path / "study").rglob("*.part"))
    with pytest.raises(KeyboardInterrupt):
        study.run(tmp_path / "study")


def test_a_folder_takes_one_study_at_a_time(tmp_path: Path) -> None:
    study = Study({"a": Frequencies()}, {"made": made()}, cv=2)

    class Nested(Frequencies):
        def fit(self, X: Any, y: Any) -> Nested:
            study.run(tmp_path)
            return super().fit(X, y)

    failures = Study({"a": Nested()}, {"made": made()}, cv=2).run(tmp_path).failures
    assert failures["type"].tolist() == ["RuntimeError"] * 2
    assert failures["message"].str.contains("Another study is being run in").all()
    assert study.run(tmp_path).missing == 0


def test_threads_share_data_sets(tmp_path: Path) -> None:
    datasets = {"made": made, "more": functools.partial(made, 60, 1)}
    study = Study(models(), datasets, cv=5)
    study.run(tmp_path / "here")
    with parallel_config("threading"):
        results = study.run(tmp_path / "threads", n_jobs=4)
    assert len(results.failures) == 0
    assert numbers(tmp_path / "threads") == numbers(tmp_path / "here")


def test_settings_of_scikit_learn_hold_in_other_processes(tmp_path: Path) -> None:
    def is_frame(estimator: Any, X: Any, y: Any) -> float:
        return float(hasattr(StandardScaler().fit_transform(X), "columns"))

    with config_context(transform_output="pandas"):
        study = Study({"a": Frequencies()}, {"made": made()}, cv=2, scoring={"is_frame": is_frame})
        assert study.run(tmp_path, n_jobs=2).units["is_frame"].tolist() == [1, 1]


def test_progress_counts_equal_models_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Study({"a": Frequencies(), "b": Frequencies()}, {"made": made()}, cv=2).run(tmp_path, verbose=1)
    assert "2 of 2 units, 0 running, 0 to go" in capsys.readouterr().out


def test_a_full_disk_ends_a_study_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study({"a": Frequencies()}, {"made": made()}, cv=3)

    def full(self: Path, target: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            study.run(tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    assert study.run(tmp_path).missing == 0
