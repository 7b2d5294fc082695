"""The worked examples of CONTRIBUTING.md: each is applied to a copy of the code, and what it adds is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##)", PAGE, re.M | re.S))
MOST_FILES = {"A layer": 4, "A score": 3, "A loss": 3, "A transform": 3, "A data source": 3}
"""How many files each addition may touch, with the page of the documentation and without tests."""


def changes(section: str) -> list[tuple[str, str]]:
    """Return the files that a worked example changes, each with the lines of its change."""
    return re.findall(r"^```diff\n(\S+)\n(.*?)^```$", SECTIONS[section], re.M | re.S)


def apply(change: str, before: str) -> str:
    """Return the text with the old lines (marked by a space or minus) replaced by the new ones (a space or plus)."""
    lines = change.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] if line[0] in " +" else "" for line in lines)
    if not old:
        return before + new
    assert before.count(old) == 1, f"not once in the file: {old}"
    return before.replace(old, new)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with every worked example applied."""
    folder = tmp_path_factory.mktemp("changed")
    shutil.copytree(ROOT / "specbuild", folder / "specbuild", ignore=shutil.ignore_patterns("__pycache__"))
    for section in MOST_FILES:
        for name, change in changes(section):
            file = folder / name
            file.write_text(apply(change, file.read_text("utf-8") if file.exists() else ""), "utf-8")
    return folder


@pytest.mark.parametrize("section", MOST_FILES)
def test_an_addition_touches_few_files(section: str) -> None:
    touched = {name for name, _ in changes(section)} | set(re.findall(r"`(docs/\w+\.md)`", SECTIONS[section]))
    assert 2 <= len(touched) <= MOST_FILES[section]
    assert any(name.startswith("docs/") for name in touched)


def test_every_worked_example_works(changed: Path) -> None:
    pages = "".join(SECTIONS[name] for name in MOST_FILES)
    examples = re.findall(r"^```python \w+\n(.*?)^```$", pages, re.M | re.S)
    assert len(examples) == len(MOST_FILES)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(examples)],
        cwd=changed,
        env={**os.environ, "PYTHONPATH": str(changed)},
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_schema_knows_what_was_added(changed: Path) -> None:
    script = "import json; from specbuild.language.schema import json_schema; print(json.dumps(json_schema()))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=changed,
        env={**os.environ, "PYTHONPATH": str(changed)},
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        check=True,
    )
    for name in ("CumulativeSum", "bias_ratio", "charbonnier", "sqrt"):
        assert f'"{name}"' in done.stdout
