"""The wheel: what is installed from it needs no checkout, templates and their data included."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "specbuild", "specs")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout gets no build folder."""
    folder = tmp_path_factory.mktemp("build")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    pip("wheel", "--no-build-isolation", "--wheel-dir", "wheels", ".", cwd=folder)
    (built,) = (folder / "wheels").glob("specbuild-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    pip("install", "--target", str(target), str(wheel), cwd=target)
    return target


def pip(verb: str, *arguments: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", verb, "--no-deps", "--no-index", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def python(*arguments: str, installed: Path, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_every_spec_and_no_data_that_none_names(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    inside = "specbuild/templates/"
    held = {name.removeprefix(inside) for name in names if name.startswith(inside)}
    specs = list((ROOT / "specs").rglob("*.yaml"))
    said = "".join(spec.read_text("utf-8") for spec in specs)
    assert {name for name in held if name.endswith(".yaml")} == {
        spec.relative_to(ROOT / "specs").as_posix() for spec in specs
    }
    assert {Path(name).name for name in held if not name.endswith((".yaml", ".md"))} == {
        file.name for file in (ROOT / "specs" / "data").iterdir() if file.suffix != ".md" and file.name in said
    }
    assert "specbuild/py.typed" in names
    assert "specbuild/catalog/keras_signatures.json" in names
    assert "specbuild/model/mapping/tables/openstl_predrnn.yaml" in names
    assert not any(name.startswith(("tests/", "specs/", "tools/")) for name in names)


def test_it_runs_where_there_is_no_checkout(installed: Path, tmp_path: Path) -> None:
    def specbuild(*arguments: str) -> str:
        return python("-m", "specbuild", *arguments, installed=installed, cwd=tmp_path)

    assert specbuild("init", "radar-nowcast").startswith("wrote radar_nowcast.yaml\n")
    assert specbuild("check", "radar_nowcast.yaml").startswith("radar_nowcast.yaml: ok")
    assert "forecast" in specbuild("summary", "radar_nowcast.yaml")
    assert "wrote cnn_lstm.yaml\n" in specbuild("init", "zoo/cnn-lstm")
    where = python("-c", "import specbuild; print(specbuild.__file__)", installed=installed, cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed)
