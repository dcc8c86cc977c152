"""Studies on a Dask cluster: a real scheduler and two worker processes, one of which is killed."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest

from skdeep.study import Study
from skdeep.study._folder import StudyFolder
from tests.study_models import Frequencies, Log, made, models

distributed = pytest.importorskip("distributed")
# what dask itself warns of while processes come and go
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
        distributed.Client(cluster),
    ):
        yield cluster


def test_a_worker_that_is_killed_costs_no_unit_and_doubles_none(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path / "log")
    slow = {**models(), "BR": Frequencies(log, seconds=0.05)}
    datasets = {"made": made(), "more": functools.partial(made, 120, 1)}
    written: Counter[str] = Counter()
    write = StudyFolder.write

    def counted(self: StudyFolder, record: dict[str, Any], answers: Any) -> None:
        written[record["digest"]] += 1
        write(self, record, answers)

    monkeypatch.setattr(StudyFolder, "write", counted)
    killed = []

    def kill_when_under_way() -> None:
        while len(written) < 20:
            time.sleep(0.01)
        killed.append(next(iter(cluster.workers.values())).pid)
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_when_under_way)
    killer.start()
    with joblib.parallel_config("dask"):
        results = Study(slow, datasets, cv=10).run(tmp_path / "cluster")
    killer.join()
    assert killed
    assert results.missing == 0
    assert len(results.failures) == 0
    assert len(written) == 2 * 6 * 10
    assert set(written.values()) == {1}
    pids = {record["pid"] for record in StudyFolder(tmp_path / "cluster").records()}
    assert os.getpid() not in pids
    assert len(pids) >= 2
    Study(slow, datasets, cv=10).run(tmp_path / "here")
    there, here = (
        {record["digest"]: record["scores"] for record in StudyFolder(tmp_path / name).records()}
        for name in ("cluster", "here")
    )
    assert there == here
