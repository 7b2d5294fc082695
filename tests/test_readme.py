"""The README shows what specbuild does now."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from specbuild import build_graph
from specbuild.document import Report
from specbuild.document.extras import EXTRAS
from specbuild.graph import check
from specbuild.graph.summary import summarize

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_generated_parts_are_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "readme.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_spec_of_the_readme_is_the_shipped_one() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    shipped = build_graph(ROOT / "specs" / "radar_convlstm.yaml")
    assert summarize(build_graph(shown), batch=1).rows == summarize(shipped, batch=1).rows


@pytest.mark.parametrize("fragment", re.findall(r"```yaml fragment\n(.*?)```", README, re.S))
def test_every_fragment_is_right(fragment: str) -> None:
    given = (
        f"layers:\n{fragment}" if fragment.startswith("-") else f"{fragment}layers: [{{layer: Conv3D, filters: 2}}]\n"
    )
    report = Report()
    check(f"specbuild: 1\ninputs: {{x: [10, 33, 49, 1]}}\n{given}", report=report)
    assert [one.message for one in report.errors if one.code not in ("missing-key", "data-shape")] == []


def test_every_extra_that_an_error_names_exists() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])
    source = "".join(path.read_text("utf-8") for path in (ROOT / "specbuild").rglob("*.py"))
    named = set(re.findall(r"specbuild\[([a-z-]+)\]", source)) | set(EXTRAS)
    assert named <= extras
    assert len(named) > 8
