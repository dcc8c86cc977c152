"""The pages of the documentation: they can be built, and the reference has every public name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# of the other packages the reference has what a user needs
WHOLE = {
    "skdeep",
    "skdeep.datasets",
    "skdeep.exceptions",
    "skdeep.inspection",
    "skdeep.metrics",
    "skdeep.model_selection",
    "skdeep.multilabel",
    "skdeep.study",
    "skdeep.utils",
}


def referenced() -> list[tuple[str, str]]:
    """Package and name of all that the reference lists."""
    package, found = "", []
    for line in (ROOT / "docs" / "reference.rst").read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            package = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            found.append((package, line.strip()))
    return found


def test_the_reference_has_every_public_name_once() -> None:
    found = referenced()
    assert len(set(found)) == len(found)
    for package in {package for package, _ in found} | WHOLE:
        names, public = {name for home, name in found if home == package}, set(import_module(package).__all__)
        assert names <= public
        assert names == public or package not in WHOLE


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("_build", "generated"))
    shutil.copy(ROOT / "README.md", folder)
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    build = [sys.executable, "-m", "sphinx", "-W", "-q", str(folder / "docs"), str(folder / "pages")]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "pages"


def test_every_name_has_a_page(pages: Path) -> None:
    for package, name in referenced():
        text = (pages / "generated" / f"{package}.{name}.html").read_text(encoding="utf-8")
        assert f'id="{package}.{name}"' in text


def test_pages_of_estimators_have_their_own_methods_only(pages: Path) -> None:
    text = (pages / "generated" / "skdeep.multilabel.MLkNN.html").read_text(encoding="utf-8")
    methods = set(re.findall(r'id="skdeep\.multilabel\.MLkNN\.(\w+)"', text))
    assert {"fit", "predict", "predict_proba"} <= methods
    assert not {"get_params", "score", "set_score_request"} & methods


def test_the_first_page_is_the_readme(pages: Path) -> None:
    text = (pages / "index.html").read_text(encoding="utf-8")
    assert "The main road: features once, then any estimator" in text
    for page in ("reference", "examples", "scikit-multilearn", "clusters"):
        assert f'href="{page}.html"' in text
    assert (pages / "_images" / "odd-formats.png").is_file()
