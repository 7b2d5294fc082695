"""`specbuild summary`: the table, word for word, and the same as JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

from click.testing import CliRunner
from rich.console import Console

from specbuild import build_graph
from specbuild.cli import main
from specbuild.cli.tables import flops, print_summary, size
from specbuild.graph.summary import summarize

SPEC = """\
specbuild: 1
name: small
inputs: {x: [5, 8, 8, 1]}
layers:
  - {id: enc, layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}
  - {layer: BatchNormalization}
  - {id: dec, layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same, initial_state: enc}
outputs: [dec.last]
"""


def test_units() -> None:
    assert [flops(n) for n in (None, 0, 999, 1000, 12_345, 2_940_000_000)] == [
        "?",
        "0",
        "999",
        "1 k",
        "12.3 k",
        "2.94 G",
    ]
    assert [size(n) for n in (1, 1023, 1024, 3 * 2**20)] == ["1 B", "1023 B", "1 KiB", "3 MiB"]


def test_json(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    result = CliRunner().invoke(main, ["summary", str(tmp_path / "a.yaml"), "--format", "json", "--batch", "2"])
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert summary["parameters"] == 736 + 16 + 1168
    assert summary["trainable_parameters"] == 736 + 8 + 1168
    assert summary["batch"] == 2
    enc = next(row for row in summary["rows"] if row["id"] == "enc")
    assert enc["shape"] == [5, 8, 8, 4]
    assert enc["axes"] == ["time", "height", "width", "channels"]
    assert enc["state"] == {"h": [8, 8, 4], "c": [8, 8, 4]}


def test_memory_grows_with_the_batch() -> None:
    graph = build_graph(SPEC)
    one, four = (summarize(graph, batch=batch).activation_bytes for batch in (1, 4))
    assert one is not None
    assert four == 4 * one


def test_an_unknown_length_is_shown_as_such() -> None:
    text = io.StringIO()
    graph = build_graph(SPEC.replace("[5, 8", "[null, 8"))
    print_summary(summarize(graph, batch=1), Console(file=text, width=200))
    assert "FLOPs: ?" in text.getvalue()
    assert "unknown, as a length is known only at run time" in text.getvalue()
