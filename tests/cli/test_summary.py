"""`specbuild summary`: the table, word for word, and the same as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from specbuild import build_graph
from specbuild.cli import main
from specbuild.document.amounts import in_bytes
from specbuild.graph.summary import summarize
from specbuild.graph.tables import flops, receptive_field, summary_text

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
    assert [in_bytes(n) for n in (1, 1023, 1024, 3 * 2**20)] == ["1 B", "1023 B", "1 KiB", "3 MiB"]


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
    text = summary_text(summarize(build_graph(SPEC.replace("[5, 8", "[null, 8")), batch=1), 200)
    assert "FLOPs: ? for one sample, forward; unknown for enc, batch_normalization, dec" in text
    assert "unknown, as a length is known only at run time" in text


MARKDOWN = """\
**small**

| id | layer | from | time | height | width | channels | state | parameters | FLOPs | memory | field |
| --- | --- | --- | --: | --: | --: | --: | --- | --: | --: | --: | --: |
| x | Input |  | 5 | 8 | 8 | 1 |  |  |  | 2.5 KiB |  |
| enc | ConvLSTM2D | x | 5 | 8 | 8 | 4 | h, c: 8 × 8 × 4 | 736 | 476 k | 70 KiB | 5 × 8 × 8 |
| batch_normalization | BatchNormalization | enc.sequence | 5 | 8 | 8 | 4 |  | 16 | 2.56 k | 10 KiB | 5 × 8 × 8 |
| dec | ConvLSTM2D | batch_normalization |  | 8 | 8 | 4 | h, c: 8 × 8 × 4 ← enc | 1,168 | 753 k | 70 KiB | 5 × 8 × 8 |

- Parameters: 1,920 (1,912 trainable, 8 not)
- FLOPs: 1.23 M for one sample, forward
- Memory: about 224 KiB for a training step at batch size 2, float32 \
(activations 150 KiB, their gradients 40 KiB, batch 4.5 KiB, weights and optimizer 22.4 KiB, \
gradients of the weights 7.47 KiB)
- Field: the receptive field, the largest part of the input, in time and space, on which one output value depends
- Outputs: dec = dec.last
"""


def test_markdown(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    result = CliRunner().invoke(main, ["summary", str(tmp_path / "a.yaml"), "--format", "markdown", "--batch", "2"])
    assert (result.exit_code, result.stdout) == (0, MARKDOWN)


def test_the_memory_of_the_rows_is_that_of_the_model() -> None:
    summary = summarize(build_graph(SPEC), batch=3)
    assert sum(row.activation_bytes or 0 for row in summary.rows) == summary.activation_bytes


def shown(spec: str, width: int) -> list[str]:
    return summary_text(summarize(build_graph(spec), batch=1), width).splitlines()


def test_a_narrow_terminal_keeps_what_matters_most() -> None:
    def heading(width: int) -> list[str]:
        return next(line.split() for line in shown(SPEC, width) if "layer" in line)

    shape = ["time", "height", "width", "channels"]
    everything = ["id", "layer", "from", *shape, "state", "parameters", "FLOPs", "memory", "field"]
    assert heading(240) == everything
    assert heading(165) == [name for name in everything if name != "memory"]
    assert heading(150) == [name for name in everything if name not in ("memory", "field")]
    assert heading(120) == ["id", "layer", "from", "shape", "state", "params", "FLOPs"]
    assert heading(100) == ["id", "layer", "from", "shape", "params", "FLOPs"]
    assert heading(84) == ["id", "layer", "from", "shape", "params"]
    assert heading(80) == ["id", "layer", "shape", "params"]


@pytest.mark.parametrize("width", [40, 80, 100, 165, 240])
def test_no_line_ends_in_spaces_or_is_too_long(width: int) -> None:
    lines = shown(SPEC, width)
    assert lines == [line.rstrip() for line in lines]
    assert max(map(len, lines)) <= width
    heading = next(line for line in lines if "layer" in line)
    assert any(line.startswith("Field") for line in lines) == ("field" in heading)


def test_a_narrow_table_has_short_names() -> None:
    spec = """\
specbuild: 1
name: frames
inputs: {x: [5, 8, 8, 1]}
layers:
  - {id: half, time_distributed: {layer: MaxPooling2D}}
  - {id: both, layer: Concatenate, from: [half, half]}
  - {id: rnn, bidirectional: {layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}}
outputs: [rnn.last]
"""
    lines = shown(spec, 70)
    assert [line.split()[1] for line in lines[3:6]] == ["Input", "TD(MaxPooling2D)", "Concatenate"]
    assert any("Bi(ConvLSTM2D)" in line for line in lines)


def test_columns_are_respected_off_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    wide, narrow = (
        CliRunner().invoke(main, ["summary", str(tmp_path / "a.yaml")], env={"COLUMNS": columns}).stdout
        for columns in (None, "84")
    )
    assert max(map(len, wide.splitlines())) > 150
    assert max(map(len, narrow.splitlines())) <= 84
    assert "memory" not in narrow.splitlines()[1]


def test_several_inputs_are_seen_by_name() -> None:
    spec = """\
specbuild: 1
inputs: {rain: [8, 8, 1], height: [null, null, 1], code: [3]}
layers:
  - {id: a, layer: Conv2D, filters: 1, kernel_size: 3, padding: same, from: rain}
  - {id: b, layer: GlobalAveragePooling2D, from: height}
  - {id: c, layer: Dense, units: 1, from: code}
outputs: [a, b, c]
"""
    summary = summarize(build_graph(spec), batch=1)
    assert {row.id: receptive_field(row, summary) for row in summary.rows if row.source} == {
        "a": "rain 3 × 3",
        "b": "height all × all",
        "c": "",
    }


def test_only_moving_values_takes_no_memory() -> None:
    layers = "[{layer: Flatten}, {layer: Reshape, target_shape: [4, 4]}, {layer: Flatten}]"
    summary = summarize(build_graph(f"specbuild: 1\ninputs: {{x: [2, 8]}}\nlayers: {layers}\n"), batch=1)
    assert [row.activation_bytes for row in summary.rows] == [64, 0, 0, 0]


def test_a_reused_layer_says_whose_weights_it_has(tmp_path: Path) -> None:
    spec = """\
specbuild: 1
inputs: {x: [8, 2]}
layers:
  - {id: one_a, layer: Dense, units: 2}
  - {id: pool, layer: MaxPooling1D}
  - {id: again, reuse: one_a, from: pool}
  - {id: pool_again, reuse: pool, from: again}
"""
    (tmp_path / "a.yaml").write_text(spec)
    summary = summarize(build_graph(spec), batch=1)
    assert {row.id: row.shares for row in summary.rows if row.shares} == {"again": "one_a"}
    run = CliRunner().invoke
    text, markdown, rows = (
        run(main, ["summary", str(tmp_path / "a.yaml"), "--format", name]).stdout
        for name in ("text", "markdown", "json")
    )
    assert "shares one_a" in next(line for line in text.splitlines() if line.strip().startswith("again"))
    assert "| shares one_a |" in markdown
    assert [row["shares"] for row in json.loads(rows)["rows"]] == ["", "", "", "one_a", ""]


def test_layers_in_a_cell_in_feedback_are_rows_that_come_to_its_costs() -> None:
    text = """\
specbuild: 1
inputs: {rain: [4, 8, 8, 2]}
layers:
  - id: forecast
    autoregressive:
      horizon: 3
      do:
        - id: memory
          recurrent:
            states: {h: 2}
            do: [{id: a, layer: Conv2D, filters: 2, kernel_size: 3, padding: same}]
            next: {h: tanh(a + h)}
"""
    rows = {row.id: row for row in summarize(build_graph(text), batch=2).rows}
    inside = {"forecast_memory": "forecast", "forecast_memory_a": "forecast_memory"}
    assert {name: rows[name].inside for name in inside} == inside
    parts = [row for row in rows.values() if row.inside == "forecast_memory"]
    whole = rows["forecast_memory"]
    assert len(parts) == 2
    assert sum(row.flops or 0 for row in parts) == whole.flops == rows["forecast"].flops
    assert rows["forecast_memory_a"].flops == 6 * 8 * 8 * 2 * (2 * 9 * 2 + 1)
    assert sum(row.activation_bytes or 0 for row in parts) == whole.activation_bytes


def test_an_equation_is_shown_by_its_text() -> None:
    spec = "specbuild: 1\ninputs: {x: [4], y: [4]}\nlayers:\n  - {id: a, equation: tanh(x) * y}\n"
    summary = summarize(build_graph(f"{spec}  - {{equation: {' + '.join(['a'] * 12)}}}\n"), batch=1)
    assert [row.equation for row in summary.rows[2:]] == ["tanh(x) * y", " + ".join(["a"] * 12)]
    wide, narrow = summary_text(summary, 200), summary_text(summary, 40)
    assert "= tanh(x) * y " in wide
    assert "= a + a + a + a + a + a + a + a + a + a…" in wide
    assert "Equation" in narrow


def test_columns_are_never_left_out_in_silence() -> None:
    def said(width: int) -> str:
        return " ".join(shown(SPEC, width)).partition("Left out for lack of width: ")[2]

    more = "; --columns all shows every column, --columns id,layer,shape,… those named"
    assert said(240) == ""
    assert said(165) == "memory" + more
    assert said(80) == "memory, field, state, FLOPs, from" + more


def test_columns_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["summary", str(tmp_path / "a.yaml"), *arguments], env={"COLUMNS": "80"})
        return result.exit_code, result.output

    code, text = run("--columns", "id, flops,shape")
    assert code == 0
    assert text.splitlines()[2].split() == ["id", "time", "height", "width", "channels", "FLOPs"]
    assert "Left out" not in text
    code, text = run("--columns", "all")
    compact = ["id", "layer", "from", "shape", "state", "params", "FLOPs", "memory", "field"]
    assert (code, text.splitlines()[1].split()) == (0, compact)
    code, text = run("--columns", "id,memory", "--format", "markdown")
    assert (code, text.splitlines()[2]) == (0, "| id | memory |")
    code, text = run("--columns", "id,flop")
    assert code == 2
    assert 'there is no column "flop"; did you mean "FLOPs"?' in " ".join(text.split())
    assert run("--columns", "all", "--format", "json")[0] == 2
