"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets, or skip where none is named."""
    folder = os.environ.get("SKDEEP_TEST_DATA")
    if not folder:
        pytest.skip("real data: SKDEEP_TEST_DATA is not set")
    return Path(folder)
