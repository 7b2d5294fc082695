"""The extras that messages name are those of the package, and one table has them."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from specbuild.document import RunError, extras
from specbuild.document.extras import EXTRAS, install, install_framework, missing, require
from specbuild.exporting.formats import FORMATS
from specbuild.language.sections.loggers import NAMES as LOGGERS
from specbuild.training.loggers.kinds import KINDS

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
FOR_DEVELOPERS = {"docs", "test"}
NAMED = re.compile(r"specbuild\[([\w-]+)\]")


def plain(name: str) -> str:
    """The name of a distribution without its version, its extras and its spelling."""
    return re.split(r"[\[<>=]", name)[0].strip().lower().replace("_", "-")


def test_the_table_has_the_extras_of_the_package() -> None:
    assert EXTRAS.keys() == DECLARED.keys() - FOR_DEVELOPERS
    assert {format.extra for format in FORMATS.values()} <= EXTRAS.keys() | {""}
    assert tuple(KINDS) == LOGGERS
    assert set(LOGGERS) <= EXTRAS.keys()


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_installs_the_modules_that_it_stands_for(extra: str) -> None:
    known = packages_distributions()
    required = {plain(requirement) for requirement in DECLARED[extra]}
    for module in EXTRAS[extra]:
        distributions = {plain(name) for name in known.get(module, [module])}
        assert distributions & required, f"{module} comes with {distributions}, the extra {extra} has {required}"


def test_every_extra_that_is_named_anywhere_exists() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"), ROOT / "README.md"]
    code = [*(ROOT / "specbuild").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    named = {name for path in (*pages, *code) for name in NAMED.findall(path.read_text("utf-8"))}
    assert {"report", "units"} <= named <= DECLARED.keys()
    messages = [
        path for path in (ROOT / "specbuild").rglob("*.py") if "pip install 'specbuild[" in path.read_text("utf-8")
    ]
    assert messages == [Path(str(extras.__file__))], "the command has one place"


def test_what_is_missing_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in ("plotly", "jinja2") else name)
    assert missing(("numpy", "plotly")) == ("plotly",)
    with pytest.raises(RunError, match="a page needs jinja2 and plotly, which are not installed") as error:
        require("report", "a page")
    assert error.value.help == install("report") == "pip install 'specbuild[report]'"
    require("tune", "a study")
    with pytest.raises(KeyError):
        install("reports")


def test_how_frameworks_are_installed() -> None:
    assert [install_framework(name) for name in ("tensorflow", "jax", "torch")] == [
        "pip install tensorflow",
        "pip install 'specbuild[jax]'",
        "pip install torch",
    ]
    assert [install_framework(name, gpu=True) for name in ("tensorflow", "jax", "torch")] == [
        "pip install 'specbuild[gpu]'",
        "pip install 'specbuild[jax-gpu]'",
        "pip install torch, a CUDA build from pytorch.org",
    ]
