"""Loops, branches, residuals, blocks, shared layers and extending specs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild import SpecError, build_graph, build_model, load_spec
from specbuild.document import Report
from specbuild.graph import Graph, check
from specbuild.language.forms import FORMS, form_of

HEAD = "specbuild: 1\ninputs: {x: [8, 8, 3]}\n"
CONV = "{layer: Conv2D, filters: %s, kernel_size: 3, padding: same}"


def graph(layers: str, head: str = HEAD) -> Graph:
    return build_graph(head + "layers:\n" + layers)


def wires(built: Graph) -> dict[str, list[str]]:
    return {node.id: [str(port) for port in node.inputs] for node in built.nodes}


def fault(text: str) -> tuple[str, str]:
    with pytest.raises(SpecError) as caught:
        build_graph(text)
    (error,) = caught.value.diagnostics
    return error.message, error.help


def test_every_form_says_what_it_is_and_what_its_keys_are() -> None:
    for key in FORMS:
        cls = form_of(key)
        assert key == cls.KEY
        assert cls.__doc__
        assert [name for name, field in cls.model_fields.items() if not field.description] == []


def test_a_faulty_key_that_can_be_left_out_hides_nothing_else() -> None:
    """The nodes inside keep their ids, and what reads them is not reported as well."""
    loop = f"  - {{id: a, repeat: 1, expect: [x], trainable: [1], do: [{{id: c, {(CONV % 4)[1:]}]}}\n"
    with pytest.raises(SpecError) as caught:
        graph(loop + "  - {layer: ReLU, from: c}\n")
    assert [error.path for error in caught.value.diagnostics] == ["layers.a.expect", "layers.a.trainable"]


def test_repeat() -> None:
    built = graph(f"  - {{repeat: 3, do: [{CONV % 4}, {{layer: ReLU}}]}}\n")
    assert [node.layer.kind for node in built.nodes] == ["Conv2D", "ReLU"] * 3
    assert wires(built)["conv2d_1"] == ["re_lu"]


def test_repeat_with_a_counter() -> None:
    built = graph(f"  - {{repeat: 3, as: i, do: [{CONV % '4 * $i'}]}}\n")
    assert [node.shape[-1] for node in built.nodes] == [4, 8, 12]


def test_for() -> None:
    layers = "  - for: {f: [4, 8], k: [3, 5]}\n    do:\n"
    layers += "      - {id: conv_$f, layer: Conv2D, filters: $f, kernel_size: $k, padding: same}\n"
    built = graph(layers)
    assert [(node.id, node.shape[-1]) for node in built.nodes] == [("conv_4", 4), ("conv_8", 8)]


def test_a_loop_by_a_variable_list_and_no_rounds_at_all() -> None:
    built = graph(
        f"  - {{for: {{f: $widths}}, do: [{CONV % '$f'}]}}\n  - {{repeat: 0, do: [{{layer: Flatten}}]}}\n",
        HEAD + "vars: {widths: [2, 3]}\n",
    )
    assert [node.shape for node in built.nodes] == [(8, 8, 2), (8, 8, 3)]


TWO = "specbuild: 1\ninputs: {x: [8, 8, 3], y: [8, 8, 3]}\n"


def test_loops_and_branches_may_begin_a_spec_of_several_inputs() -> None:
    """Nothing stands before them, and what they hold says what it reads."""
    loop = f"  - {{for: {{i: [x, y]}}, do: [{{id: of_$i, from: $i, {(CONV % 4)[1:]}]}}\n"
    assert wires(graph(loop + "  - {layer: Add, from: [of_x, of_y]}\n", TWO)) == {
        "of_x": ["x"],
        "of_y": ["y"],
        "add": ["of_x", "of_y"],
    }
    ends = ", ".join(f"{one}: [{{layer: ReLU, from: {one}}}]" for one in ("x", "y"))
    built = graph(f"  - {{id: both, branch: {{{ends}}}, merge: Add}}\n", TWO)
    assert wires(built) == {"re_lu": ["x"], "re_lu_1": ["y"], "both": ["re_lu", "re_lu_1"]}


@pytest.mark.parametrize(
    "node",
    ["{repeat: 2, do: [{layer: ReLU}]}", "{branch: {a: [{layer: ReLU}]}, merge: Add}", "{residual: [{layer: ReLU}]}"],
)
def test_one_that_does_not_say_what_it_reads_is_refused_once(node: str) -> None:
    assert fault(TWO + f"layers:\n  - {node}\n") == (
        "the first node must say which input it reads",
        "write from: and the id of what it reads",
    )


def test_branches_read_the_same_and_are_merged() -> None:
    built = graph(
        f"  - {CONV % 4}\n"
        f"  - {{id: both, branch: {{a: [{CONV % 2}], b: [{CONV % 3}, {{layer: ReLU}}], c: []}}, merge: Concatenate}}\n"
        "  - {id: one, layer: Conv2D, filters: 2, kernel_size: 1, from: both}\n"
        "  - {layer: Add, from: [both.a, one]}\n"
    )
    assert wires(built) == {
        "conv2d": ["x"],
        "conv2d_1": ["conv2d"],
        "conv2d_2": ["conv2d"],
        "re_lu": ["conv2d_2"],
        "both": ["conv2d_1", "re_lu", "conv2d"],
        "one": ["both"],
        "add": ["conv2d_1", "one"],
    }
    assert next(node for node in built.nodes if node.id == "both").shape == (8, 8, 9)


def test_branches_without_a_merge() -> None:
    built = graph(
        f"  - {{id: split, branch: {{a: [{CONV % 2}], b: [{CONV % 2}]}}}}\n"
        "  - {layer: Add, from: [split.a, split.b]}\n"
    )
    assert wires(built)["add"] == ["conv2d", "conv2d_1"]
    message, _ = fault(
        HEAD + f"layers:\n  - {{id: split, branch: {{a: [{CONV % 2}]}}}}\n  - {{id: f, layer: Flatten}}\noutputs: [f]\n"
    )
    assert message == "the branch before has no merge, so this node must say what it reads"


def test_residual() -> None:
    built = graph(f"  - {{id: res, residual: [{CONV % 3}]}}\n")
    assert wires(built) == {"conv2d": ["x"], "res": ["conv2d", "x"]}
    built = graph(f"  - {{residual: [{CONV % 5}], shortcut: [{CONV % 5}]}}\n  - {{layer: ReLU}}\n")
    assert wires(built) == {"conv2d": ["x"], "conv2d_1": ["x"], "add": ["conv2d", "conv2d_1"], "re_lu": ["add"]}


BLOCKS = """\
blocks:
  conv:
    parameters: {f: int, k: 3, act: {type: str, default: relu}}
    do:
      - {id: conv, layer: Conv2D, filters: $f, kernel_size: $k, padding: same}
      - {layer: Activation, activation: $act}
  double:
    parameters: {f: int}
    do:
      - {id: first, block: conv, with: {f: $f}}
      - {block: conv, with: {f: $f, act: tanh}}
  up:
    parameters: {f: int}
    inputs: [low, skip]
    do:
      - {layer: UpSampling2D, from: low}
      - {layer: Concatenate, from: [up_sampling2d_x, skip]}
"""


def test_blocks_nest_and_their_parts_have_names() -> None:
    text = HEAD + BLOCKS.partition("  up:")[0] + "layers:\n  - {id: a, block: double, with: {f: 4}}\n"
    text += "  - {block: conv, with: {f: 2}}\n  - {layer: Concatenate, from: [a, a.first.conv, conv_x]}\n"
    text = text.replace("{block: conv, with: {f: 2}}", "{id: conv_x, block: conv, with: {f: 2}}")
    built = build_graph(text)
    assert wires(built) == {
        "a_first_conv": ["x"],
        "a_first_activation": ["a_first_conv"],
        "a_conv_conv": ["a_first_activation"],
        "a_conv_activation": ["a_conv_conv"],
        "conv_x_conv": ["a_conv_activation"],
        "conv_x_activation": ["conv_x_conv"],
        "concatenate": ["a_conv_activation", "a_first_conv", "conv_x_activation"],
    }


def test_a_block_with_several_inputs() -> None:
    text = """\
specbuild: 1
inputs: {x: [8, 8, 3]}
blocks:
  up:
    inputs: [low, skip]
    do:
      - {id: big, layer: UpSampling2D, from: low}
      - {layer: Concatenate, from: [big, skip]}
layers:
  - {id: small, layer: MaxPooling2D}
  - {block: up, from: [small, x]}
"""
    assert wires(build_graph(text)) == {"small": ["x"], "up_big": ["small"], "up_concatenate": ["up_big", "x"]}
    message, _ = fault(text.replace("from: [small, x]", "from: small"))
    assert message == "up reads 2 inputs, got 1"


@pytest.mark.parametrize(
    ("call", "message", "help"),
    [
        ("{block: con, with: {f: 4}}", 'no block is called "con"', 'did you mean "conv"?'),
        ("{block: conv}", "the block conv needs f", "write with: {f: …}"),
        ("{block: conv, with: {f: 4, kk: 3}}", 'the block conv has no parameter "kk"', 'did you mean "k"?'),
        ("{block: conv, with: {f: many}}", 'f: expected a whole number, got "many"', ""),
        ("{block: conv, with: {f: 4}, filters: 3}", 'unknown key "filters"', ""),
    ],
)
def test_faulty_calls(call: str, message: str, help: str) -> None:
    assert fault(HEAD + BLOCKS.partition("  double:")[0] + f"layers:\n  - {call}\n") == (message, help)


def test_a_block_reads_nothing_from_outside() -> None:
    text = HEAD + "blocks:\n  b:\n    do: [{layer: Add, from: [input, x]}]\nlayers:\n  - {block: b}\n"
    assert fault(text) == ("the block b has no node x", "it knows input")


def test_a_block_cannot_contain_itself() -> None:
    text = HEAD + "blocks:\n  a: {do: [{block: b}]}\n  b: {do: [{block: a}]}\nlayers:\n  - {block: a}\n"
    assert fault(text)[0] == "the block a contains itself"


def test_shared_layers_have_one_set_of_weights() -> None:
    text = """\
specbuild: 1
inputs: {a: [4, 8, 8, 1], b: [4, 8, 8, 1]}
layers:
  - {id: enc, layer: ConvLSTM2D, filters: 2, kernel_size: 3, from: a}
  - {id: again, reuse: enc, from: b}
  - {layer: Subtract, from: [enc.last, again.last]}
"""
    built, model = build_graph(text), build_model(text)
    assert built.parameters == model.count_params() == 4 * 2 * 9 * 3 + 8
    frames = np.random.default_rng(0).normal(size=(2, 4, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(model([frames, frames]), 0, atol=1e-7)
    message, _ = fault(text.replace("b: [4, 8, 8, 1]", "b: [4, 8, 8, 2]"))
    assert message == "the weights of enc do not fit this input"


def test_a_whole_block_can_be_used_again() -> None:
    text = HEAD.replace("x: [8, 8, 3]", "x: [8, 8, 3], y: [8, 8, 3]") + BLOCKS.partition("  up:")[0]
    text += "layers:\n  - {id: a, block: double, with: {f: 4}, from: x}\n  - {id: b, reuse: a, from: y}\n"
    text += "  - {layer: Subtract, from: [a, b]}\n"
    built, model = build_graph(text), build_model(text)
    assert built.parameters == model.count_params() == (9 * 3 * 4 + 4) + (9 * 4 * 4 + 4)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(model([x, x]), 0)


def test_trainable_false_freezes_all_that_is_inside() -> None:
    built = graph(f"  - {{repeat: 2, trainable: false, do: [{CONV % 3}]}}\n  - {CONV % 3}\n")
    assert (built.parameters, built.trainable_parameters) == (3 * 84, 84)


STACKS = """\
specbuild: 1
inputs: {a: [5, 8, 8, 1], b: [5, 8, 8, 1]}
blocks:
  stack:
    parameters: {f: int}
    do:
      - {layer: ConvLSTM2D, filters: $f, kernel_size: 3}
      - {layer: BatchNormalization}
layers:
  - {for: {x: [a, b]}, do: [{id: of_$x, block: stack, with: {f: 2}, from: $x}]}
  - {layer: Concatenate, from: [of_a, of_b]}
  - {layer: Conv2D, filters: 1, kernel_size: 1}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "message", "help"),
    [
        ("[of_a, of_b]", "[of_a, of_bb]", "no node is called of_bb", 'did you mean "of_b"?'),
        (
            "kernel_size: 1}",
            "kernel_size: 0}",
            "kernel_size: expected a positive whole number or a list of 2, got 0",
            "",
        ),
        ("with: {f: 2}", "with: {f: two}", 'f: expected a whole number, got "two"', ""),
        ("id: of_$x, block: stack", "id: of_$x, blok: stack", "a node needs a layer", 'did you mean "block"?'),
        (
            "kernel_size: 3}",
            "kernel_sise: 3}",
            'ConvLSTM2D has no argument "kernel_sise"',
            'did you mean "kernel_size"?',
        ),
    ],
)
def test_one_mistake_is_one_error(right: str, wrong: str, message: str, help: str) -> None:
    """However often a block is used, whatever reads it, and whatever was to follow from what reads it."""
    build_graph(STACKS)
    found, hint = fault(STACKS.replace(right, wrong))
    assert (found, hint) == (message, help)


def test_a_composite_is_read_after_it_stands() -> None:
    text = HEAD + "blocks:\n  b: {do: [{layer: ReLU}]}\n"
    text += "layers:\n  - {layer: Add, from: [x, later]}\n  - {id: later, block: b, from: x}\n"
    assert fault(text)[0] == "later is below add, which reads it"


@pytest.mark.parametrize(
    "node",
    [
        "autoregressive: {horizon: 2, do: [{layer: ConvLSTM1D, filters: 1, kernel_size: 3, padding: same}]}",
        "recurrent: {states: {h: 1}, do: [{id: y, layer: Conv1D, filters: 1, kernel_size: 1}], next: {h: y}}",
    ],
)
def test_a_composite_below_reports_no_error_at_a_node_that_runs_others(node: str) -> None:
    text = f"specbuild: 1\ninputs: {{x: [4, 8, 1]}}\nlayers:\n  - {{id: cell, {node}}}\n"
    text += "  - {id: sum, residual: [{layer: ReLU}], from: later}\n  - {id: later, layer: ReLU, from: x}\n"
    assert fault(text)[0] == "later is below sum, which reads it"


@pytest.mark.parametrize("loop", ["repeat: 2, as: 1", "repeat: 2, as: f-x", "for: {1: [2, 3]}", "for: {f-x: [2, 3]}"])
def test_a_loop_variable_that_cannot_be_written(loop: str) -> None:
    message, help = fault(HEAD + f"layers:\n  - {{{loop}, do: [{{layer: ReLU}}]}}\n")
    assert message in ('"1" cannot name a variable', '"f-x" cannot name a variable')
    assert help == "use letters, digits and _, not starting with a digit"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("  - {repeat: -1, do: []}\n", "repeat: expected a whole number from 0 to 10,000, got -1"),
        (
            "  - {repeat: 1000000000, do: [{layer: ReLU}]}\n",
            "repeat: expected a whole number from 0 to 10,000, got 1000000000",
        ),
        (
            "  - {repeat: 1000, do: [{repeat: 1000, do: [{layer: ReLU}]}]}\n",
            "the layers unroll into more than 10,000 nodes",
        ),
        ("  - {for: {f: 3}, do: []}\n", "f: expected a list of values"),
        ("  - {for: {f: [1], g: [1, 2]}, do: []}\n", "the variables of a loop need lists of one length"),
        ("  - {repeat: 2}\n", "a loop needs do: and a list of nodes"),
        ("  - {repeat: 2, do: [{id: a, layer: ReLU}]}\n", "two nodes are called a"),
    ],
)
def test_faulty_loops(layers: str, message: str) -> None:
    assert fault(HEAD + "layers:\n" + layers)[0] == message


def test_extends(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        HEAD
        + "vars: {f: 4}\nlayers:\n  - {id: conv, layer: Conv2D, filters: $f, kernel_size: 3}\n"
        + "train: {epochs: 5, seed: 3}\n"
    )
    (tmp_path / "mid.yaml").write_text("specbuild: 1\nextends: base.yaml\nvars: {f: 6}\n")
    (tmp_path / "top.yaml").write_text(
        "specbuild: 1\nextends: mid.yaml\nset: {layers.conv.kernel_size: 5, train.epochs: 9}\n"
    )
    spec = load_spec(tmp_path / "top.yaml", overrides=["train.seed=7"])
    assert spec.layers[0].layer.arguments() == {"filters": 6, "kernel_size": (5, 5)}
    assert (spec.train.epochs, spec.train.seed) == (9, 7)


def test_extends_reports_where_the_fault_stands(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(HEAD + "layers:\n  - {layer: Conv2D, filters: 4, kernel: 3}\n")
    (tmp_path / "top.yaml").write_text("specbuild: 1\nextends: base.yaml\n")
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "top.yaml")
    assert {Path(d.span.source.name).name for d in caught.value.diagnostics if d.span} == {"base.yaml"}


def test_a_spec_cannot_extend_itself(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("specbuild: 1\nextends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("specbuild: 1\nextends: a.yaml\n")
    with pytest.raises(SpecError, match="extends itself"):
        load_spec(tmp_path / "a.yaml")


def test_a_base_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("specbuild: 1\nextends: bse.yaml\n")
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "a.yaml")
    assert "bse.yaml" in caught.value.diagnostics[0].message


ENCODER = """\
specbuild: 1
vars: {f: 4}
inputs: {frames: [5, 8, 8, 1]}
layers:
  - {id: enc, layer: ConvLSTM2D, filters: $f, kernel_size: 3, padding: same, return_sequences: true}
  - {id: head, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
outputs: {features: enc, map: head}
"""


def test_another_file_is_a_part(tmp_path: Path) -> None:
    (tmp_path / "encoder.yaml").write_text(ENCODER)
    (tmp_path / "top.yaml").write_text("""\
specbuild: 1
inputs: {left: [5, 8, 8, 1], right: [5, 8, 8, 1]}
layers:
  - {id: a, model: encoder.yaml, from: left, trainable: false}
  - {id: b, model: encoder.yaml, vars: {f: 2}, from: right}
  - {layer: Concatenate, from: [a.features, b.features, b.map]}
""")
    built, model = build_graph(tmp_path / "top.yaml"), build_model(tmp_path / "top.yaml")
    assert built.outputs[0].shape == (5, 8, 8, 7)
    assert model.count_params() == built.parameters
    assert [node.id for node in built.nodes if node.weights] == ["a_enc", "b_enc", "b_head"]
    assert built.trainable_parameters == sum(n.parameters for n in built.nodes if n.id.startswith("b_"))


def test_a_part_may_extend_another_file(tmp_path: Path) -> None:
    (tmp_path / "encoder.yaml").write_text(ENCODER)
    (tmp_path / "small.yaml").write_text("extends: encoder.yaml\nset: {vars.f: 2}\n")
    (tmp_path / "top.yaml").write_text("""\
specbuild: 1
inputs: {left: [5, 8, 8, 1]}
layers:
  - {id: a, model: small.yaml}
outputs: [a.features]
""")
    assert build_graph(tmp_path / "top.yaml").outputs[0].shape == (5, 8, 8, 2)


def test_a_part_is_held_to_the_keys_and_the_version_of_the_language(tmp_path: Path) -> None:
    (tmp_path / "encoder.yaml").write_text(ENCODER.replace("specbuild: 1\n", "specbuild: 2\nlayer: []\n"))
    (tmp_path / "top.yaml").write_text(
        "specbuild: 1\ninputs: {x: [5, 8, 8, 1]}\nlayers: [{id: a, model: encoder.yaml}]\noutputs: [a.map]\n"
    )
    with pytest.raises(SpecError) as caught:
        build_graph(tmp_path / "top.yaml")
    found = [one.message for one in caught.value.diagnostics]
    assert found == ["this specbuild reads language version 1", 'unknown key "layer"']


def test_an_optional_key_without_a_value_counts_as_left_out() -> None:
    keys = "id: , from: , expect: , trainable: , as: "
    bare, given = (graph(f"  - {{repeat: 2, do: [{CONV % 3}]{more}}}\n") for more in ("", f", {keys}"))
    assert [(node.id, node.layer, node.shapes) for node in given.nodes] == [
        (node.id, node.layer, node.shapes) for node in bare.nodes
    ]


@pytest.mark.parametrize("form", ["repeat: 1, do: [{layer: ReLU}]", "layer: ReLU"])
def test_a_wrong_trainable_is_the_same_fault_in_every_form(form: str) -> None:
    with pytest.raises(SpecError) as caught:
        graph(f"  - {{{form}, trainable: 1}}\n")
    (fault,) = caught.value.diagnostics
    assert (fault.code, fault.message) == ("wrong-type", "trainable: expected true or false, got 1")


def test_one_fault_of_a_wrapper_or_a_composite_is_said_once(tmp_path: Path) -> None:
    for item in ("time_distributed: []", "repeat: 2, trainable: $no, do: [{layer: ReLU}]"):
        text = (
            f"specbuild: 1\ninputs: {{x: [5, 8, 8, 1]}}\nlayers:\n  - {{id: a, {item}}}\n  - {{layer: ReLU, from: a}}\n"
        )
        (tmp_path / "top.yaml").write_text(text)
        with pytest.raises(SpecError) as caught:
            build_graph(tmp_path / "top.yaml")
        assert len(caught.value.diagnostics) == 1


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("{id: a, model: encodr.yaml, from: left}", "there is no file"),
        ("{id: a, model: encoder.yaml, from: left, vars: {g: 2}}", "encoder.yaml has no variable g"),
        ("{id: a, model: encoder.yaml, from: left, vars: 3}", "vars: expected variables and their values, got a num"),
        ("{id: a, model: encoder.yaml, from: [left, left]}", "encoder reads 1 input, got 2"),
        ("{id: a, model: encoder.yaml, from: small}", "a_frames reads 5 × 8 × 8 × 1, got 4 × 4 × 1"),
        ("{id: a, model: top.yaml, from: left}", "top.yaml contains itself"),
    ],
)
def test_faulty_parts(tmp_path: Path, node: str, message: str) -> None:
    (tmp_path / "encoder.yaml").write_text(ENCODER)
    text = "specbuild: 1\ninputs: {left: [5, 8, 8, 1], small: [4, 4, 1]}\nlayers:\n  - " + node + "\noutputs: [left]\n"
    (tmp_path / "top.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        build_graph(tmp_path / "top.yaml")
    assert caught.value.diagnostics[0].message.startswith(message)


def test_what_no_output_depends_on_is_left_out_with_a_warning() -> None:
    report = Report()
    text = HEAD + f"layers:\n  - {{id: a, layer: ReLU}}\n  - {{id: dead, {(CONV % 2)[1:]}\noutputs: [a]\n"
    built = check(text, report=report)
    assert built is not None
    assert [node.id for node in built.nodes] == ["a"]
    (warning,) = report.warnings
    assert warning.message == "nothing reads dead, and it is not an output"
