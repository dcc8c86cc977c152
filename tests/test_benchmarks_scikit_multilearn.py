"""What the table on scikit-multilearn says, and that the examples of its page run."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _skmultilearn_rival, scikit_multilearn
from benchmarks._records import RESULTS, read_records, to_markdown
from benchmarks.scikit_multilearn import ADAPTER, CASES, INSTEAD, faults, make_problem, table
from skdeep.model_selection import MultilabelStratifiedKFold
from skdeep.multilabel import BinaryRelevance, BRkNN, LabelPowerset

PAGE = (Path(__file__).parent.parent / "docs" / "scikit-multilearn.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
TRIED = ("BinaryRelevance", "ClassifierChain, order", "MLkNN", "iterative_train_test_split", "embedding")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    out = tmp_path_factory.mktemp("records") / "scikit-multilearn.jsonl"
    made = scikit_multilearn.main([*(word for name in TRIED for word in ("--case", name)), "--out", str(out)])
    assert read_records(out) == json.loads(json.dumps(made))
    return made


def test_run_tries_each_class_as_it_comes_and_estimators_through_the_adapter_too(records):
    raw = [record["class"] for record in records if record["way"] != ADAPTER]
    adapted = [record["class"] for record in records if record["way"] == ADAPTER]
    assert raw == list(TRIED)
    assert adapted == list(TRIED[:3])


def test_run_sees_failures_and_silent_faults_and_that_the_adapter_mends_both(records):
    found = {(record["class"], record["way"] == ADAPTER): record for record in records}
    relevance, chain = found["BinaryRelevance", False], found["ClassifierChain, order", False]
    failed = {step for step, error in relevance["steps"].items() if error != "ok"}
    assert failed == {"GridSearchCV(average_precision)", "cross_val_predict(predict_proba)", "csr_array"}
    assert relevance["faults"] == []
    assert re.fullmatch(r"\d+\.\d% of the labels", chain["faults"][0])
    assert chain["faults"][1].startswith("probabilities by up to")
    for name in TRIED[:2]:
        assert found[name, True]["faults"] == []
        assert set(found[name, True]["steps"].values()) == {"ok"}


def test_table_has_a_row_for_each_class_and_a_column_for_each_way(records):
    rows = table(records).set_index("class or module")
    assert list(rows.columns) == ["scikit-multilearn 0.2.0", ADAPTER, "use instead"]
    assert list(rows.index) == [
        "`BinaryRelevance`",
        "`ClassifierChain`, order",
        "`MLkNN`",
        "`iterative_train_test_split`",
        "`embedding`",
    ]
    assert list(rows[ADAPTER]) == ["yes", "yes", "no: the error names the remedy", "-", "-"]
    as_it_comes = list(rows["scikit-multilearn 0.2.0"])
    assert as_it_comes[0] == "fails: GridSearchCV, cross_val_predict, csr_array"
    assert as_it_comes[1].startswith("**wrong**: ")
    assert as_it_comes[2] == "no: `fit` raises TypeError"
    assert as_it_comes[3] == "yes; returns X_train, y_train, X_test, y_test"
    assert as_it_comes[4].startswith("no: No module named")


def test_every_case_has_advice():
    assert INSTEAD.keys() == CASES.keys()


def test_rival_script_imports_only_what_every_environment_of_scikit_multilearn_has():
    tree = ast.parse(Path(_skmultilearn_rival.__file__).read_text(encoding="utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not {module.split(".")[0] for module in modules} & {"skdeep", "benchmarks", "pandas", "torch"}


def test_answers_of_the_same_algorithm_are_no_fault_and_a_flipped_label_is():
    problem = make_problem()
    ours = BinaryRelevance(scikit_multilearn._BASE).fit(problem["X"], problem["Y"])
    labels, probabilities = ours.predict(problem["X_test"]), ours.predict_proba(problem["X_test"])
    assert faults("BinaryRelevance", {"predict": labels, "predict_proba": probabilities}, problem) == []
    labels[:2, 0] = 1 - labels[:2, 0]
    probabilities[0, 0] += 0.25
    assert faults("BinaryRelevance", {"predict": labels, "predict_proba": probabilities}, problem) == [
        f"{2 / labels.size:.1%} of the labels",
        "probabilities by up to 0.25",
    ]


def test_any_choice_between_equally_frequent_labels_is_no_fault():
    problem = make_problem()
    ours = BRkNN(extension="b").fit(problem["X"], problem["Y"])
    labels, votes = ours.predict(problem["X_test"]), ours.predict_proba(problem["X_test"])
    tied = [
        (row, on, off)
        for row in range(len(labels))
        for on in np.flatnonzero(labels[row])
        for off in np.flatnonzero(labels[row] == 0)
        if votes[row, on] == votes[row, off]
    ]
    row, on, off = tied[0]
    labels[row, [on, off]] = 0, 1
    assert faults("BRkNNbClassifier", {"predict": labels}, problem) == []
    labels[row] = 1
    assert len(faults("BRkNNbClassifier", {"predict": labels}, problem)) == 1


def test_labelsets_that_are_repeated_or_too_many_are_a_fault():
    problem = make_problem()
    # each pair decides alone on its labels, so that votes are those of a label powerset
    answer = {"labelsets": [[0, 1], [2, 3], [1, 0]]}
    labels = np.zeros((len(problem["X_test"]), 4))
    for pair in ([0, 1], [2, 3]):
        labels[:, pair] = (
            LabelPowerset(scikit_multilearn._BASE).fit(problem["X"], problem["Y"][:, pair]).predict(problem["X_test"])
        )
    assert faults("RakelO", {**answer, "predict": labels}, problem) == ["3 labelsets for 4, 2 of them different"]
    assert faults("RakelD", {"labelsets": [[0, 1], [2, 3]], "predict": labels}, problem) == []


def test_folds_that_are_uneven_or_lose_rows_are_a_fault():
    problem = make_problem()
    folds = np.zeros(len(problem["Y"]), dtype=int)
    splits = MultilabelStratifiedKFold(3).split(problem["X"], problem["Y"])
    for fold, (_, test) in enumerate(splits):
        folds[test] = fold
    assert faults("IterativeStratification", {"folds": folds}, problem) == []
    by_the_first_label = np.argsort(np.argsort(problem["Y"][:, 0], kind="stable")) * 3 // len(folds)
    (uneven,) = faults("IterativeStratification", {"folds": by_the_first_label}, problem)
    assert re.fullmatch(r"folds are [\d.]+ positives of a label off their share, [\d.]+ by chance", uneven)
    folds[:2] = -1
    assert faults("IterativeStratification", {"folds": folds}, problem)[0] == "2 rows are never tested"


def test_page_shows_the_table_of_the_records():
    shown = re.search(r"<!-- table: scikit-multilearn -->\n(.*?)\n\n", PAGE, flags=re.DOTALL)
    assert shown[1] == to_markdown(table(read_records(RESULTS / "scikit-multilearn.jsonl")))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(skdeep(?:\.\w+)+)", PAGE))))
def test_page_names_what_is_there(name):
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(module), attribute)


def test_examples_of_the_page_run_and_the_chain_is_right_afterwards():
    before, after, wrapped = ({} for _ in EXAMPLES)
    for example, names in zip(EXAMPLES, (before, after, wrapped), strict=True):
        exec(compile(example, "scikit-multilearn.md", "exec"), names)
    assert after["score"] > before["score"] + 0.1
    assert after["probabilities"].shape == after["Y_test"].shape
    assert wrapped["score"] > 0.8
