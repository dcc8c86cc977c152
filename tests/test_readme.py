"""README's examples run, and its commands are those that CI runs."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["main road", "networks", "fine-tuning road", "toolbox", "studies"])
def test_readme_example_runs(example, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "mkdtemp", lambda: str(tmp_path))
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_readme_examples_are_short():
    for example in EXAMPLES:
        code = [line for line in example.splitlines() if line and not line.startswith(("from ", "import "))]
        assert len(code) <= 10


def test_readme_has_one_command_to_install_and_test():
    assert len(re.findall(r"^pip install .*\[test\].* pytest.*$", README, flags=re.MULTILINE)) == 1
