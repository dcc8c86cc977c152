"""What is shown of a running study."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from skdeep.study import Study, _progress
from skdeep.study._progress import Progress, told
from skdeep.study._units import Unit
from tests.study_models import Frequencies, made


def unit(model: str, fold: int) -> Unit:
    return Unit("data", model, 0, fold, 1.0, seed=0, split_digest="", digest=f"{model}{fold}")


def record(of: Unit, seconds: float = 0.0, status: str = "done") -> dict[str, Any]:
    failure = {"type": "ValueError", "message": "too [bold]large\nin two lines"} if status == "failed" else None
    return {**asdict(of), "status": status, "fit_seconds": seconds, "predict_seconds": 0.0, "failure": failure}


UNITS = [unit(model, fold) for fold in range(3) for model in ("quick", "slow")]


def test_time_left_is_that_of_each_models_own_units() -> None:
    progress = Progress(UNITS, n_workers=1)
    assert progress.seconds_left() is None
    progress.tell(record(UNITS[0], 1.0))
    # nothing is known of the slow one: it is taken for as slow as the rest
    assert progress.seconds_left() == pytest.approx(2 * 1 + 3 * 1)
    progress.tell(record(UNITS[1], 10.0))
    assert progress.seconds_left() == pytest.approx(2 * 1 + 2 * 10)


def test_time_left_is_shared_by_the_processes() -> None:
    progress = Progress(UNITS, n_workers=2)
    progress.find(record(UNITS[0], 4.0))
    assert progress.seconds_left() == pytest.approx(5 * 4 / 2)


def test_counts_are_of_all_runs() -> None:
    progress = Progress(UNITS, n_workers=4)
    progress.find(record(UNITS[0], 4.0))
    assert (progress.n_done, progress.n_left, progress.n_running) == (1, 5, 4)
    for each in UNITS[1:5]:
        progress.tell(record(each, status="failed"))
    assert (progress.n_done, progress.n_left, progress.n_running, progress.n_failed) == (5, 1, 1, 4)
    assert progress.line() == "5 of 6 units, 4 failed, 1 running, 1 to go, about 0:00:01 left"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a log holds afterwards."""
    text = io.StringIO()
    monkeypatch.setattr(_progress, "Console", lambda: Console(file=text, width=80))
    return text


def test_a_log_has_a_line_at_either_end_and_one_for_each_failure(shown: io.StringIO) -> None:
    progress = Progress(UNITS, n_workers=1)
    progress.find(record(UNITS[0]))
    with told(progress, verbose=1) as tell:
        for each in UNITS[1:]:
            tell(record(each, status="failed" if each.model == "slow" and each.fold else "done"))
    assert shown.getvalue().splitlines() == [
        "1 of 6 units, 1 running, 5 to go, about 0:00:00 left (1 found in the folder)",
        "failed: data, slow, repeat 0, fold 1: ValueError: too [bold]large",
        "failed: data, slow, repeat 0, fold 2: ValueError: too [bold]large",
        "6 of 6 units, 2 failed, 0 running, 0 to go",
    ]


def test_a_log_has_a_line_each_half_minute(shown: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(_progress.time, "monotonic", lambda: float(next(clock)))
    with told(Progress(UNITS, n_workers=1), verbose=1) as tell:
        for each in UNITS:
            tell(record(each))
    assert len(shown.getvalue().splitlines()) == 4


def test_a_terminal_has_one_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(_progress, "Console", lambda: Console(file=text, width=120, force_terminal=True))
    with told(Progress(UNITS, n_workers=1), verbose=1) as tell:
        for each in UNITS:
            tell(record(each, status="failed"))
    assert "6/6 units" in text.getvalue()
    assert "6 failed" in text.getvalue()


@pytest.mark.filterwarnings(r"ignore:\d+ of \d+ units failed")
def test_studies_are_silent_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = Study({"a": Frequencies(), "b": Frequencies(fault="error")}, {"made": made()}, cv=2)
    study.run(tmp_path / "silent")
    assert capsys.readouterr() == ("", "")
    study.run(tmp_path / "told", verbose=1)
    assert capsys.readouterr().out.count("failed: made, b") == 2
