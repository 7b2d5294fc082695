"""`specbuild diff`: two specs compared, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from specbuild.cli import main

SPEC = """\
specbuild: 1
name: nowcast
vars: {filters: 8}
inputs: {rain: [4, 16, 16, 1]}
layers:
  - {id: enc, layer: ConvLSTM2D, filters: $filters, kernel_size: 3, padding: same}
  - {id: rain_next, layer: Conv2D, filters: 1, kernel_size: 1}
"""


@pytest.fixture
def specs(tmp_path: Path) -> tuple[str, str]:
    paths = tmp_path / "a.yaml", tmp_path / "b.yaml"
    paths[0].write_text(SPEC)
    paths[1].write_text(SPEC.replace("filters: 8", "filters: 12").replace("name: nowcast", "name: wider"))
    return str(paths[0]), str(paths[1])


def test_it_lists_what_differs_and_the_totals(specs: tuple[str, str]) -> None:
    result = CliRunner().invoke(main, ["diff", *specs])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "vars.filters: 8 → 12",
        "  layers.enc.filters: 8 → 12",
        "name: nowcast → wider",
        "",
        "Parameters: 2,633 → 5,677",
        "FLOPs: 5.41 M → 11.7 M",
        "Activation memory: 1.79 MiB → 2.66 MiB",
    ]
    assert CliRunner().invoke(main, ["diff", *specs, "--exit-code"]).exit_code == 1


def test_json_holds_the_same(specs: tuple[str, str]) -> None:
    result = json.loads(CliRunner().invoke(main, ["diff", *specs, "--format", "json"]).stdout)
    assert result["totals"]["parameters"] == [2633, 5677]
    assert [each["path"] for each in result["differences"]] == ["vars.filters", "name", "layers.enc.filters"]
    assert result["differences"][2]["variables"] == ["filters"]


def test_the_same_spec_does_not_differ(specs: tuple[str, str]) -> None:
    result = CliRunner().invoke(main, ["diff", specs[0], specs[0], "--exit-code"])
    assert (result.exit_code, result.stdout) == (0, "the specs mean the same\n")


def test_what_is_wrong_with_one_of_them_is_told_at_its_place(specs: tuple[str, str]) -> None:
    Path(specs[1]).write_text(SPEC.replace("ConvLSTM2D", "ConvLSTM4D"))
    result = CliRunner().invoke(main, ["diff", *specs])
    assert result.exit_code == 2
    assert "b.yaml:6:22" in result.stderr
