"""The page of the language: every whole spec on it is right, and everything that the language has is on it."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import specbuild
from specbuild.catalog.autoregressive import Sampling
from specbuild.catalog.equation import FUNCTIONS
from specbuild.document import Report, parse
from specbuild.document.render import render_text
from specbuild.graph import check
from specbuild.graph.lints import LINTS
from specbuild.language.forms import COMMON, FORMS
from specbuild.language.load import KEYS
from specbuild.language.sections.augment import AugmentSection
from specbuild.language.sections.data import DataSection, WindowsSection
from specbuild.language.sections.evaluate import EvaluateSection
from specbuild.language.sections.source import SourceSection
from specbuild.language.sections.split import SplitSection
from specbuild.language.sections.target import ClassTarget
from specbuild.language.sections.train import Checkpoints, EarlyStopping, TrainSection
from specbuild.language.sections.transform import TRANSFORMS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGE = (DOCS / "language.md").read_text("utf-8")
_BLOCK = re.compile(r"(?:^`(?P<file>[\w.]+)`\n\n)?^```yaml(?P<fragment> fragment)?\n(?P<text>.*?)^```$", re.M | re.S)

BLOCKS = list(_BLOCK.finditer(PAGE))
FILES = {block["file"]: block["text"] for block in BLOCKS if block["file"]}
SPECS = [block["text"] for block in BLOCKS if not block["fragment"]]
FRAGMENTS = [block["text"] for block in BLOCKS if block["fragment"]]
SECTIONS = (DataSection, SourceSection, WindowsSection, SplitSection, TrainSection, EarlyStopping, Checkpoints)


@pytest.mark.parametrize("spec", SPECS, ids=[f"line {PAGE[: PAGE.index(spec)].count(chr(10))}" for spec in SPECS])
def test_every_whole_spec_is_right(spec: str, tmp_path: Path) -> None:
    for name, text in {**FILES, "spec.yaml": spec}.items():
        (tmp_path / name).write_text(text, "utf-8")
    report = Report()
    check(str(tmp_path / "spec.yaml"), report=report)
    assert [render_text(one) for one in report if one.severity != "accepted"] == []


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_every_fragment_is_right_among_layers(fragment: str) -> None:
    parse(fragment)
    layers = "".join(f"  {line}\n" for line in fragment.splitlines())
    report = Report()
    check(f"specbuild: 1\ninputs: {{x: [8, 64, 64, 3]}}\nlayers:\n{layers}", report=report)
    assert [one.message for one in report.errors if one.code not in ("shape", "ambiguous-port")] == []


def test_the_functions_of_equations_are_those_of_the_catalogue() -> None:
    section = PAGE.split("## Equations and splits")[1].split("## ")[0]
    (alone,) = re.findall(r"`((?:\w+ ){5,}\w+)`", section)
    both = re.findall(r"`(\w+)\(a, b\)`", section)
    assert sorted([*alone.split(), *both]) == sorted(FUNCTIONS)
    assert {FUNCTIONS[name] for name in alone.split()} == {1}


def test_a_spec_is_marked_by_its_first_line() -> None:
    assert all(spec.startswith("specbuild: 1\n") for spec in SPECS)
    assert not any(fragment.startswith("specbuild") for fragment in FRAGMENTS)
    assert PAGE.count("```yaml") == len(BLOCKS) >= 20


@pytest.mark.parametrize("name", [*KEYS, "extends", "set", *FORMS, *COMMON, *TRANSFORMS])
def test_every_key_and_form_is_on_the_page(name: str) -> None:
    assert re.search(rf"`{name}`|\b{name}:|\[{name}|{name}\]", PAGE)


@pytest.mark.parametrize("section", [*SECTIONS, EvaluateSection], ids=lambda section: section.__name__)
def test_every_key_of_a_section_is_on_the_page(section: type[TrainSection]) -> None:
    assert [name for name in section.model_fields if not re.search(rf"`{name}`|\b{name}:", PAGE)] == []


@pytest.mark.parametrize("section", [*TRANSFORMS.values(), ClassTarget, AugmentSection, Sampling])
def test_every_key_of_a_part_is_on_a_page(section: type[TrainSection]) -> None:
    pages = PAGE + (DOCS / "data.md").read_text("utf-8")
    assert [name for name in section.model_fields if not re.search(rf"`{name}`|\b{name}:", pages)] == []


def test_every_code_of_a_warning_is_on_the_page() -> None:
    source = "".join(path.read_text("utf-8") for path in (DOCS.parent / "specbuild" / "graph").glob("*.py"))
    codes = set(re.findall(r'report\.warning\((?:.|\n)*?code="([a-z-]+)"', source))
    assert codes | {lint.code for lint in LINTS} == set(re.findall(r"^\| `([a-z]+-[a-z-]+)` \|", PAGE, re.M))


@pytest.mark.parametrize("page", [*sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_paths_of_the_code_exist(page: Path) -> None:
    paths = re.findall(
        r"`((?:specbuild|tests|tools|benchmarks|specs|language|data|model)/[\w/.]+)`", page.read_text("utf-8")
    )
    assert [path for path in paths if not any((base / path).exists() for base in (ROOT, ROOT / "specbuild"))] == []


def test_every_package_is_on_the_architecture_page() -> None:
    page = (DOCS / "architecture.md").read_text("utf-8")
    packages = [path.parent.name for path in (ROOT / "specbuild").glob("*/__init__.py")]
    assert [name for name in packages if f"`specbuild/{name}`" not in page] == []


def test_the_glossary_is_in_alphabetical_order() -> None:
    terms = re.findall(r"^\| ([a-z][^|]*?) \|", (DOCS / "glossary.md").read_text("utf-8"), re.M)[1:]
    assert len(terms) > 40
    assert terms == sorted(terms, key=str.casefold)


@pytest.mark.parametrize("page", [*sorted(DOCS.glob("*.md")), ROOT / "README.md"], ids=lambda page: page.name)
def test_names_that_pages_import_exist(page: Path) -> None:
    blocks = "".join(re.findall(r"^```python.*?\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S))
    imports = re.findall(r"^from (specbuild[\w.]*) import ([\w, ]+)", blocks, re.M)
    missing = [
        f"{module}.{name}"
        for module, names in imports
        for name in names.split(", ")
        if not hasattr(importlib.import_module(module), name)
    ]
    assert missing == []


PUBLIC = [name for name in specbuild.__all__ if name[0].islower()]
"""The functions, told by their names: looking at them would load the framework before any test runs."""


@pytest.mark.parametrize("name", [*PUBLIC, "Forecaster"])
def test_public_functions_describe_their_arguments_results_and_errors(name: str) -> None:
    documented = getattr(specbuild, name)
    text = inspect.getdoc(documented) or ""
    if inspect.isclass(documented):
        text += inspect.getdoc(documented.__init__) or ""
    arguments = [argument for argument in inspect.signature(documented).parameters if argument != "self"]
    assert [argument for argument in arguments if not re.search(rf"^ +{argument}: ", text, re.M)] == []
    assert "Raises:" in text
    assert "Returns:" in text or inspect.isclass(documented)
