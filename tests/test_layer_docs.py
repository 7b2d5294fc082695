"""The page of layers, `docs/layers.md`, is what the catalogue says."""

from __future__ import annotations

import re
from pathlib import Path

from specbuild.catalog import KINDS, Bidirectional, TimeDistributed
from tests.tools import tool

ROOT = Path(__file__).parent.parent
layer_docs = tool("layer_docs")


def test_the_page_is_fresh() -> None:
    assert layer_docs.PAGE.read_text("utf-8") == layer_docs.page(), "run python tools/layer_docs.py --write"


def test_every_kind_has_a_section() -> None:
    headings = [line.removeprefix("### ") for line in layer_docs.page().splitlines() if line.startswith("### ")]
    named = [kind for heading in headings for kind in heading.split(", ")]
    assert sorted(named) == sorted([*KINDS, "TimeDistributed", "Bidirectional"])


def test_every_argument_of_every_kind_is_on_the_page() -> None:
    page = layer_docs.page()
    shared, _, rest = page.partition("\n## ")
    sections = re.split(r"\n(?=#{2,3} )", "## " + rest)
    common = ""
    for section in sections:
        heading, _, text = section.partition("\n")
        common = text if heading.startswith("## ") else common
        for kind in heading.removeprefix("### ").split(", ") if heading.startswith("### ") else ():
            missing = [name for name in argument_rows(kind) if name not in shared + common + text]
            assert not missing, kind


def argument_rows(kind: str) -> list[str]:
    """How the rows of a kind begin, required arguments aside by their default."""
    cls = {**KINDS, "TimeDistributed": TimeDistributed, "Bidirectional": Bidirectional}[kind]
    return [f"| `{name}` |" for name in cls.model_fields if name != "layer"]


def test_values_in_words() -> None:
    arguments = KINDS["Conv2D"].model_json_schema(schema_generator=layer_docs.SchemaGenerator)["properties"]
    assert layer_docs.words(arguments["kernel_size"]) == "positive whole number, or list of 2"
    assert layer_docs.words(arguments["activation"]) == "activation, or null"
    assert layer_docs.words(KINDS["Dropout"].model_json_schema()["properties"]["rate"]) == "number from 0 to below 1"
