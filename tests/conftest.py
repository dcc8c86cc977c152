"""Fixtures shared by all tests, and the rule that real data, once named, is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

# before torch is imported: the tests' networks are tiny, and pytest-xdist fills the cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets, or skip where none is named."""
    folder = os.environ.get("SKDEEP_TEST_DATA")
    if not folder:
        pytest.skip("real data: SKDEEP_TEST_DATA is not set")
    return Path(folder)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh feature store for each test, so that none touches the user's own or finds another's rows."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SKDEEP_CACHE_DIR", str(folder))
    monkeypatch.delenv("SKDEEP_FEATURE_FILES", raising=False)
    return folder


@pytest.fixture
def fresh_workers() -> None:
    """End joblib's processes, which live on with the environment of the test that began them: another's store."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    """Six random RGB pictures of 32 pixels, all different."""
    return np.random.default_rng(0).integers(256, size=(6, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def paths(tmp_path: Path, pictures: NDArray[np.uint8]) -> list[str]:
    """The same pictures in lossless files."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    names = [str(folder / f"{row}.png") for row in range(len(pictures))]
    for name, picture in zip(names, pictures, strict=True):
        Image.fromarray(picture).save(name)
    return names


@pytest.fixture
def forget_networks() -> Callable[[], None]:
    """Call it to have networks built anew, as in another process."""
    from skdeep.backbones import registry

    def forget() -> None:
        registry._build_trainable.cache_clear()
        registry._build_frozen.cache_clear()

    return forget


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test on real data that was skipped although the data is named."""
    report = yield
    if report.skipped and item.get_closest_marker("data") and os.environ.get("SKDEEP_TEST_DATA"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although SKDEEP_TEST_DATA is set"
    return report
