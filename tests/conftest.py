"""Fixtures shared by all tests, and the rule that real data, once named, is used."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

# before torch is imported: the tests' networks are tiny, and pytest-xdist fills the cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets, or skip where none is named."""
    folder = os.environ.get("SKDEEP_TEST_DATA")
    if not folder:
        pytest.skip("real data: SKDEEP_TEST_DATA is not set")
    return Path(folder)


@pytest.fixture(autouse=True)
def own_feature_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's feature store, and from the other tests'."""
    monkeypatch.setenv("SKDEEP_CACHE_DIR", str(tmp_path / "feature-store"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test on real data that was skipped although the data is named."""
    report = yield
    if report.skipped and item.get_closest_marker("data") and os.environ.get("SKDEEP_TEST_DATA"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although SKDEEP_TEST_DATA is set"
    return report
