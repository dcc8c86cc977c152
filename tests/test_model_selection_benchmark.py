"""The benchmark of stratification: what it measures, and that it runs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import stratification
from benchmarks._records import read_records
from benchmarks._stratification_runs import Splitter, run, splitters


def test_measures_of_two_labels_are_those_worked_out_by_hand(monkeypatch):
    monkeypatch.setattr(stratification, "COMMON", 20)
    folds = np.repeat(np.arange(10), 3)
    Y = np.ones((30, 2), dtype=int)
    Y[:20, 1] = 0
    # the second label: 0 in six folds, 1 in the seventh, 3 in the others, where 1 is its share
    expected = {
        "label_deviation": 2,
        "rare_deviation": 2,
        "common_deviation": 0,
        "pair_deviation": (6 * 1 + 0 + 3 * 2) / 10,
        "size_spread": 0,
    }
    assert stratification.measures(Y, folds) == pytest.approx(expected)
    folds[0] = 9
    assert stratification.measures(Y, folds)["common_deviation"] == pytest.approx(1 / 3)
    assert stratification.measures(Y, folds)["size_spread"] == 2


def test_smoke_run_measures_each_splitter_on_all_rows_and_on_a_few(tmp_path, monkeypatch, capsys):
    some = [splitter for splitter in splitters(None) if splitter.order == 1][:3]
    monkeypatch.setattr(stratification, "splitters", lambda ng_python: some)
    out = tmp_path / "stratification.jsonl"
    records = stratification.main(["--smoke", "--few", "300", "--out", str(out)])
    assert read_records(out) == json.loads(json.dumps(records))
    assert [record["splitter"] for record in records] == 2 * [splitter.name for splitter in some]
    assert [record["data"].split(", ")[1] for record in records] == 3 * ["600 rows"] + 3 * ["300 rows"]
    for record in records:
        assert len(record["seconds"]) == 1
        assert {"label_deviation", "pair_deviation", "size_spread"} <= set(record["measures"])
    assert records[0]["measures"]["size_spread"] == 0
    assert "| skdeep, shuffled | 1 |" in capsys.readouterr().out


def test_a_splitter_that_reaches_the_limit_has_no_measures(monkeypatch):
    slow = Splitter("slow", 1, "numpy", "import time", "[time.sleep(60)]")
    record = stratification._run_all(slow, np.eye(20, dtype=int), 3, limit=0.5)
    assert record["seconds"] == []
    assert record["measures"] == {}
    shown = stratification.table([{"data": "rows", **record}]).iloc[0]
    assert shown["CPU seconds"] == "> 0.5"
    assert shown["worst label ↓"] == "-"


def test_a_splitter_that_fails_or_leaves_rows_out_stops_the_benchmark():
    imports = "from sklearn.model_selection import ShuffleSplit, GroupKFold"
    one, other = (
        Splitter("other", 1, "scikit-learn", imports, call) for call in ("GroupKFold(n_splits)", "ShuffleSplit(1)")
    )
    with pytest.raises(RuntimeError, match=r"other failed:\n[^$]*'groups' parameter should not be None"):
        run(one, np.eye(20, dtype=int), 10, 0, limit=60)
    with pytest.raises(RuntimeError, match=r"other tests on 10\.0% of the rows only"):
        run(other, np.eye(20, dtype=int), 10, 0, limit=60)


def test_the_fork_is_asked_in_its_own_interpreter():
    names = {splitter.name: splitter.python for splitter in splitters("elsewhere")}
    assert names.pop("scikit-multilearn-ng") == "elsewhere"
    assert "elsewhere" not in names.values()
