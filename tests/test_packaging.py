"""What is published: the sdist, the wheel built from it, and what works where only the wheel is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import yaml

import specbuild

ROOT = Path(__file__).parent.parent
SOURCES = (
    *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md"),
    *("mkdocs.yml", "pyproject.toml", "setup.py", "docs", "examples", "specbuild", "specs", "tests", "tools"),
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sdist and the wheel, built from a copy, so that the checkout gets no build folder."""
    folder = tmp_path_factory.mktemp("build")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    python("-m", "build", "--no-isolation", cwd=folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("specbuild-*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment that has nothing but the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    python("-m", "venv", "--without-pip", "venv", cwd=folder)
    interpreter = folder / "venv" / "bin" / "python"
    pip = ("-m", "pip", "--disable-pip-version-check", "--python", str(interpreter))
    python(*pip, "install", "--no-deps", "--no-index", str(wheel), cwd=folder)
    return interpreter


def python(*arguments: str, cwd: Path, interpreter: str | Path = sys.executable) -> str:
    """Return what a Python prints that sees nothing of this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(interpreter), *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_index_would_accept_them(built: Path) -> None:
    files = sorted(built.iterdir())
    assert [file.name.removeprefix(f"specbuild-{specbuild.__version__}") for file in files] == [
        "-py3-none-any.whl",
        ".tar.gz",
    ]
    printed = python("-m", "twine", "check", "--strict", *map(str, files), cwd=built)
    assert printed.count("PASSED") == 2


def test_the_sdist_holds_what_the_tests_and_the_site_need(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(SOURCES) <= names
    assert {"docs/tutorials/netcdf.md", "tests/golden", "tools/gallery.py", "specs/data/sst.mnmean.nc"} <= names
    assert not [name for name in names if name.endswith(".pyc")]


def test_the_wheel_holds_every_spec_and_no_data_that_none_names(wheel: Path) -> None:
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
    assert not any(name.startswith(("tests/", "specs/", "tools/", "docs/")) for name in names)


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = [path for path in (ROOT / "specbuild").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert [name for path in files if (name := path.relative_to(ROOT).as_posix()) not in names] == []


def test_it_is_imported_where_there_is_nothing_else(installed: Path, tmp_path: Path) -> None:
    script = "import specbuild; print(specbuild.__version__, specbuild.__file__)"
    version, place = python("-c", script, cwd=tmp_path, interpreter=installed).split(maxsplit=1)
    assert version == specbuild.__version__
    assert Path(place.strip()).is_relative_to(installed.parent.parent)


def test_it_runs_where_there_is_no_checkout(installed: Path, tmp_path: Path) -> None:
    dependencies = sysconfig.get_path("purelib")
    (packages,) = (installed.parent.parent / "lib").glob("*/site-packages")
    (packages / "dependencies.pth").write_text(f"{dependencies}\n", "utf-8")

    def run(*arguments: str) -> str:
        return python("-m", "specbuild", *arguments, cwd=tmp_path, interpreter=installed)

    assert run("init", "radar-nowcast").startswith("wrote radar_nowcast.yaml\n")
    assert run("check", "radar_nowcast.yaml").startswith("radar_nowcast.yaml: ok")
    assert "forecast" in run("summary", "radar_nowcast.yaml")
    assert "wrote cnn_lstm.yaml\n" in run("init", "zoo/cnn-lstm")


def test_the_metadata_are_those_of_the_project(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert metadata["Version"] == specbuild.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert sorted(metadata.get_all("Provides-Extra", [])) == sorted(PROJECT["optional-dependencies"])


def test_the_citation_is_that_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == specbuild.__version__
    assert citation["license"] == PROJECT["license"]
    assert all("name" in author or "family-names" in author for author in citation["authors"])


def test_the_changelog_is_as_keep_a_changelog_has_it() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## (.+)$", text, re.M)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - (\d{4}-\d{2}-\d{2}|unreleased)", version) for version in versions[1:])
    assert versions[1].startswith(f"[{specbuild.__version__}]")
    for part in re.split(r"^## .+$", text, flags=re.M)[1:]:
        kinds = re.findall(r"^### (.+)$", part, re.M)
        assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
        assert len(kinds) == len(set(kinds))
