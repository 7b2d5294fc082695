"""`specbuild plot`: where it writes, and what."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from specbuild.cli import main

ROOT = Path(__file__).parent.parent.parent
SPEC = """\
specbuild: 1
name: two layers
inputs: {x: [8]}
layers:
  - {id: a, layer: Dense, units: 4}
  - {id: b, layer: Dense, units: $n}
vars: {n: 2}
"""
MERMAID = """\
flowchart TD
  n0(["x<br/>Input<br/>8"]):::input
  n1["a<br/>Dense<br/>4"]:::dense
  n2["b<br/>Dense<br/>3<br/>→ b"]:::dense
  n0 --> n1
  n1 --> n2
  classDef input fill:#e9e9e9,stroke:#888,color:#222
  classDef dense fill:#e3e0f5,stroke:#888,color:#222
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(SPEC, "utf-8")
    return tmp_path


def plot(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plot", "a.yaml", *arguments])


def test_without_a_name_it_writes_the_models_svg(folder: Path) -> None:
    result = plot()
    assert (result.exit_code, result.output) == (0, "two-layers.svg\n")
    assert (folder / "two-layers.svg").read_text("utf-8").startswith("<?xml")


@pytest.mark.parametrize(("name", "start"), [("m.svg", b"<?xml"), ("m.PNG", b"\x89PNG"), ("m.mmd", b"flowchart TD\n")])
def test_the_suffix_says_what_is_written(folder: Path, name: str, start: bytes) -> None:
    result = plot("-o", name)
    assert (result.exit_code, result.output) == (0, f"{name}\n")
    assert (folder / name).read_bytes().startswith(start)


def test_the_format_can_be_said(folder: Path) -> None:
    assert plot("-o", "picture", "--format", "png").exit_code == 0
    assert (folder / "picture").read_bytes().startswith(b"\x89PNG")
    assert plot("--format", "png").output == "two-layers.png\n"


@pytest.mark.usefixtures("folder")
def test_mermaid_is_printed() -> None:
    result = plot("--format", "mermaid", "--set", "vars.n=3")
    assert (result.exit_code, result.stdout) == (0, MERMAID)


@pytest.mark.usefixtures("folder")
def test_an_unknown_suffix_is_refused() -> None:
    result = plot("-o", "a.jpg")
    assert result.exit_code == 2
    assert "a.jpg ends in none of .svg, .png, .mmd; say what to write with --format" in result.output


@pytest.mark.usefixtures("folder")
def test_a_wrong_spec_is_told() -> None:
    result = plot("--set", "vars.n=-3")
    assert result.exit_code == 2
    assert "units: expected a positive whole number, got -3" in result.output


def test_no_framework_is_loaded(folder: Path) -> None:
    script = (
        "import sys\nfrom specbuild.cli import main\nmain(['plot', 'a.yaml'], standalone_mode=False)\n"
        "print(*(name for name in ('keras', 'tensorflow', 'jax', 'torch', 'matplotlib.pyplot') if name in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "two-layers.svg\n\n"
