"""The gallery shows every shipped spec as it is now."""

from __future__ import annotations

import pytest

from specbuild import build_graph
from specbuild.graph import Graph
from tests.tools import tool

gallery = tool("gallery")


@pytest.fixture(scope="module")
def graphs() -> dict[object, Graph]:
    return {spec: build_graph(spec) for spec in sorted(gallery.SPECS.rglob("*.yaml"))}


def test_the_page_and_its_pictures_are_fresh(graphs: dict[object, Graph]) -> None:
    assert gallery.stale(graphs) == [], "run python tools/gallery.py --write"


def test_it_shows_every_spec_but_those_of_benchmarks(graphs: dict[object, Graph]) -> None:
    page = gallery.PAGE.read_text("utf-8")
    missing = [spec.name for spec in graphs if f"/{spec.name})" not in page]
    assert missing == [spec.name for spec in sorted((gallery.SPECS / "bench").glob("*.yaml"))]


def test_a_picture_that_is_drawn_of_another_graph_is_stale(graphs: dict[object, Graph]) -> None:
    shown = {spec: graph for spec, graph in graphs.items() if spec.parent.name == "cells"}
    drawings = dict(gallery.pictures(shown))
    assert list(drawings) == ["cells-conv-gru.png", "cells-conv-lstm.png"]
    assert len({gallery.mark(drawn) for drawn in drawings.values()}) == 2
