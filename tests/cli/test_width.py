"""Every table fits a terminal of 80 columns, and says what it leaves out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from specbuild.cli import main
from specbuild.doctor import Finding
from specbuild.document.render import text_width

ROOT = Path(__file__).parent.parent.parent
SPECS = sorted((ROOT / "specs").rglob("*.yaml"))
LONG = "a_name_that_is_much_longer_than_any_that_a_person_would_want_to_read_twice"
SPEC = f"""\
specbuild: 1
name: {LONG}
inputs: {{{LONG}: [3, 12, 12, 1]}}
layers:
  - {{id: {LONG}_1, layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same}}
  - {{id: {LONG}_2, layer: RepeatFrame, from: {LONG}_1.last, times: 2}}
  - {{id: {LONG}_3, layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same, initial_state: {LONG}_1}}
  - {{id: {LONG}_4, time_distributed: {{layer: Conv2D, filters: 1, kernel_size: 1}}}}
data:
  source: {{path: {LONG}.npz, key: frames, layout: N T H W}}
  variable: {LONG}
  units: kg m-2 s-1 and more
  windows: {{past: 3, future: 2}}
  split: {{by: event, train: 0.6, validation: 0.2, test: 0.2}}
"""


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frames = np.random.default_rng(0).random((10, 30, 12, 12), np.float32) * 1e7
    np.savez(tmp_path / f"{LONG}.npz", frames=frames)
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC, "utf-8")
    return path


def printed(*arguments: object) -> list[str]:
    """Return the lines that a verb prints, none of which is too wide."""
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line for line in lines if text_width(line) > 80] == []
    return lines


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_summary(path: Path) -> None:
    lines = printed("summary", path)
    assert any(line.startswith("Parameters: ") for line in lines)


def test_a_summary_of_long_names_shows_where_it_cuts_them(spec: Path) -> None:
    lines = printed("summary", spec)
    rows = [line for line in lines if "ConvLSTM2D" in line]
    assert len(rows) == 2
    assert all("…" in row for row in rows)
    assert "Left out for lack of width: memory, field, state" in " ".join(lines)


def test_data(spec: Path) -> None:
    lines = printed("data", spec)
    tables = [line.split() for line in lines if line.startswith("split")]
    assert tables == [
        ["split", "events", "frames", "windows", "first", "last"],
        ["split", "missing", "min", "mean", "max", "std"],
    ]
    assert sum(line.startswith("validation ") for line in lines) == 2


def test_the_list_of_templates() -> None:
    lines = printed("init", "--list")
    assert len([line for line in lines if not line.startswith(" ")]) == len(SPECS)


def test_a_difference_is_continued_below(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = spec.with_name("other.yaml")
    other.write_text(
        SPEC.replace("windows: {", "missing: -99\n  windows: {").replace("filters: 2,", "filters: 4,"), "utf-8"
    )
    lines = printed("diff", spec, other)
    whole = f"layers.{LONG}_1.filters: 2 → 4"
    assert whole in [f"{first}{second.removeprefix('    ')}" for first, second in pairwise(lines)]
    monkeypatch.delenv("COLUMNS")
    assert whole in CliRunner().invoke(main, ["diff", str(spec), str(other)]).output.splitlines()


def test_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    def examine(*_: object) -> list[Finding]:
        return [Finding("gpu", "note", "the card is not seen: " + "its driver is older than CUDA needs; " * 6)]

    monkeypatch.setattr("specbuild.doctor.examine", examine)
    first, *rest = printed("doctor")
    assert first.startswith("note   gpu        the card is not seen: ")
    assert len(rest) >= 3
    assert {line[:18] for line in rest} == {" " * 18}
