"""Mapping tables: the words of their errors, the orders of axes, and files of checkpoints.

The numbers of whole models are in test_openstl.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from specbuild import SpecError, build_graph, build_model, import_weights
from specbuild.graph import Graph
from specbuild.model.backend import keras
from specbuild.model.mapping import arranged_weights, pytorch
from specbuild.model.mapping.arrange import ORDERS, axes_moved, unshuffled
from specbuild.model.mapping.plan import weight_shapes
from specbuild.model.mapping.table import TableSection, WeightSection, shipped_tables
from specbuild.model.mapping.weights import keras_weights
from tests.model.recurrences import numbers

PAGE = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
GOLDEN = Path(__file__).parents[1] / "golden"
SPEC = """\
specbuild: 1
vars: {norm: none}
defaults: {ConvLSTM2D: {filters: 4, kernel_size: 3, padding: same, use_bias: false, return_sequences: true}}
inputs: {x: [4, 8, 8, 3]}
layers:
  - {repeat: 2, as: i, do: [{id: cell$i, layer: ConvLSTM2D}]}
  - {id: head, time_distributed: {layer: Dense, units: 2}}
"""
TABLE = """\
specbuild-mapping: 1
weights:
  cell$i/kernel: {from: "cells.${i - 1}.x.weight", order: conv}
  cell$i/recurrent_kernel: {from: "cells.${i - 1}.h.weight", order: conv}
  head/kernel: {from: head.weight, order: linear}
  head/bias: head.bias
unused: [step]
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build_graph(SPEC)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "cells.0.x.weight": (16, 3, 3, 3),
        "cells.0.h.weight": (16, 4, 3, 3),
        "cells.1.x.weight": (16, 4, 3, 3),
        "cells.1.h.weight": (16, 4, 3, 3),
        "head.weight": (2, 4),
        "head.bias": (2,),
        "step": (),
    }
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def said(graph: Graph, table: str, arrays: dict[str, np.ndarray] | str) -> list[str]:
    """Every error as `line:column message | reason | help`."""
    Path("table.yaml").write_text(table, "utf-8")
    with pytest.raises(SpecError) as caught:
        arranged_weights(graph, "table.yaml", arrays)
    return [
        " | ".join(filter(None, [f"{d.span.line}:{d.span.column} {d.message}" if d.span else d.message, d.why, d.help]))
        for d in caught.value.diagnostics
    ]


def test_every_weight_gets_its_array(graph: Graph) -> None:
    arrays = checkpoint()
    Path("table.yaml").write_text(TABLE, "utf-8")
    given = arranged_weights(graph, "table.yaml", arrays)
    assert list(given) == list(weight_shapes(graph))
    np.testing.assert_array_equal(given["cell2/kernel"][1, 2, 3, 5], arrays["cells.1.x.weight"][5, 3, 1, 2])
    np.testing.assert_array_equal(given["head/kernel"], arrays["head.weight"].T)
    model = import_weights(SPEC, "table.yaml", arrays)
    for name, weight in keras_weights(graph, model).items():
        np.testing.assert_array_equal(numbers(weight), given[name].astype("float32"))


FAULTS: dict[tuple[str, str], list[str]] = {
    ("specbuild-mapping: 1", "specbuild-mapping: 2"): ["1:20 this specbuild reads mapping tables of version 1, got 2"],
    ("specbuild-mapping: 1\n", ""): ["1:1 the table needs specbuild-mapping"],
    ("weights:", "weigths:"): ['2:1 unknown key "weigths" | did you mean "weights"?'],
    ("head/bias", "head/bais"): ['6:3 the model has no weight head/bais | did you mean "head/bias"?'],
    ("cell$i/kernel", "cels$i/kernel"): [
        '3:3 no weight of the model is called cels$i/kernel | did you mean "cell1/kernel"?'
    ],
    ("cell$i/kernel", "cell${i - 1}/kernel"): [
        "3:3 cannot read the name cell${i - 1}/kernel | the name of a weight has plain variables, such as $i and ${i}; "
        "arithmetic belongs into from"
    ],
    ("head/bias", "$a$b$c$d$e/bias"): [
        "6:3 the name $a$b$c$d$e/bias has more than 4 variables | write an entry for each value of one of them"
    ],
    ("[step]", "[s*t*e*p*1*]"): ['7:9 unused: expected at most 4 stars in a name, got "s*t*e*p*1*"'],
    ("${i - 1}.h", "$i.h"): [
        "4:35 the checkpoint has no array cells.2.h.weight | cell2/recurrent_kernel is made from it | "
        'did you mean "cells.0.h.weight"?'
    ],
    ("${i - 1}.h", "$j.h"): ["4:35 no variable is called $j | declared are i, norm"],
    (": head.bias", ": head.bais"): [
        '6:14 the checkpoint has no array head.bais | head/bias is made from it | did you mean "head.bias"?'
    ],
    ("order: linear", "order: lineer"): [
        "5:43 order: expected same, conv, transposed_conv, depthwise_conv, linear, channels_last or per_channel, "
        'got "lineer"; did you mean "linear"?'
    ],
    ("order: linear", "ordre: linear"): ['5:36 unknown key "ordre" | did you mean "order"?'],
    ("order: linear", "order: same"): [
        "5:23 head/kernel is (4, 2), and the table gives (2, 4) | it is made from head.weight (2, 4) | "
        "it would fit with order: linear or channels_last"
    ],
    ("order: linear", "order: conv"): [
        "5:23 cannot make head/kernel (4, 2) from head.weight (2, 4) | expected (out, in, *kernel), got 2 axes | "
        "it would fit with order: linear or channels_last"
    ],
    ("order: linear", "order: [0, 2]"): [
        "5:43 order: expected same, conv, transposed_conv, depthwise_conv, linear, channels_last, per_channel, or the "
        "old position of each axis such as [2, 3, 1, 0], got [0, 2]"
    ],
    ("order: linear", "order: [0, 2, 1]"): [
        "5:23 cannot make head/kernel (4, 2) from head.weight (2, 4) | order names 3 axes, and the array has 2 | "
        "it would fit with order: linear or channels_last"
    ],
    ("order: linear", "order: linear, gates: [1, 0, 2]"): [
        "5:23 cannot make head/kernel (4, 2) from head.weight (2, 4) | "
        "the last axis of (4, 2) cannot be split into 3 gates"
    ],
    ("order: linear", "order: linear, gates: [1, 2]"): [
        "5:58 gates: expected the old position of each gate, as [0, 1, 3, 2], got [1, 2]"
    ],
    ("order: linear", "order: linear, pixel_shuffle: 2"): [
        "5:23 cannot make head/kernel (4, 2) from head.weight (2, 4) | the last axis of (4, 2) is not a multiple of 2²"
    ],
    ("order: linear", "order: linear, take: middle"): ['5:57 take: expected first or last, got "middle"'],
    ("  head/bias: head.bias\n", ""): ["2:1 one weight of the model gets no array: head/bias"],
    ('  cell$i/kernel: {from: "cells.${i - 1}.x.weight", order: conv}\n', ""): [
        "2:1 2 weights of the model get no array: cell1/kernel, cell2/kernel"
    ],
    ("unused: [step]", ""): [
        "2:1 one array of the checkpoint is not used: step | "
        "write the weights that they are for, or list them: unused: [name, other.*]"
    ],
    ("[step]", "[stp]"): ['7:10 the checkpoint has no array stp | did you mean "step"?'],
    ("[step]", "[step, head.*]"): ["7:16 head.* is used | head/kernel is made from head.weight"],
    ("unused:", "  head/$w: head.bias\nunused:"): [
        "7:3 head/$w applies to no weight | other entries give head/kernel, head/bias"
    ],
    ("head/bias: head.bias", "$a/bias: head.bias\n  head/$b: head.bias"): [
        "7:3 head/bias is given twice | $a/bias matches it too"
    ],
    ("head/bias: head.bias", "head/bias: 3"): ["6:14 head/bias must be a mapping, got a number"],
    ("head/bias: head.bias", "head/bias: {from: [head.bias, head.weight]}"): [
        "6:21 cannot make head/bias (2,) from head.bias (2,) and head.weight (2, 4) | "
        "the arrays cannot be joined: (2,), (2, 4)"
    ],
    ("head/bias: head.bias", "head/bias: {from: head.bias, when: false}"): [
        "2:1 one weight of the model gets no array: head/bias"
    ],
    ("head/bias: head.bias", "head/bias: {from: head.bias, when: $norm}"): [
        '6:38 when: expected true or false, got "none"'
    ],
    ("head/bias: head.bias", "head/bias: {from: step, order: [0]}"): [
        "6:21 cannot make head/bias (2,) from step () | order names 1 axes, and the array has 0",
        "7:10 step is used | head/bias is made from step",
    ],
    ("unused:", "prefixes: [param/]\nunused:"): [
        "7:11 no array of the checkpoint begins with param/ | it has cells.0.x.weight, cells.0.h.weight, "
        "cells.1.x.weight, cells.1.h.weight, head.weight, head.bias, step"
    ],
}


@pytest.mark.parametrize(("change", "faults"), list(FAULTS.items()))
def test_every_fault_is_named_where_it_is(graph: Graph, change: tuple[str, str], faults: list[str]) -> None:
    assert change[0] in TABLE
    assert said(graph, TABLE.replace(*change, 1), checkpoint()) == faults


def test_a_pattern_of_unused_arrays_may_match_none(graph: Graph) -> None:
    Path("table.yaml").write_text(TABLE.replace("[step]", "[step, epoch.*]"), "utf-8")
    assert len(arranged_weights(graph, "table.yaml", checkpoint())) == 6


def test_text_cannot_be_a_weight(graph: Graph) -> None:
    words = {**checkpoint(), "head.bias": np.array(["a", "b"])}
    assert said(graph, TABLE, words) == ["6:14 head.bias holds <U1, not numbers"]


def test_an_entry_that_the_variables_of_the_spec_leave_out(graph: Graph) -> None:
    entry = "  cell${i}_norm/gamma: {from: \"cells.${i - 1}.norm\", when: $norm != 'none'}\n"
    Path("table.yaml").write_text(TABLE.replace("unused", f"{entry}unused"), "utf-8")
    assert len(arranged_weights(graph, "table.yaml", checkpoint())) == 6
    assert said(graph, TABLE.replace("unused", entry.replace("!=", "==") + "unused"), checkpoint()) == [
        "7:3 no weight of the model is called cell${i}_norm/gamma | it has cell1/kernel, cell1/recurrent_kernel, "
        "cell2/kernel, cell2/recurrent_kernel, head/kernel, head/bias"
    ]


def test_prefixes_choose_the_arrays(graph: Graph) -> None:
    Path("table.yaml").write_text(TABLE.replace("unused", "prefixes: [module., extra/]\nunused"), "utf-8")
    arrays = {f"{'extra/' if name == 'step' else 'module.'}{name}": array for name, array in checkpoint().items()}
    given = arranged_weights(graph, "table.yaml", {**arrays, "optimizer.lr": np.ones(1)})
    np.testing.assert_array_equal(given["head/bias"], arrays["module.head.bias"])


def test_a_convolution_of_input_and_state_is_split() -> None:
    """The table does the same as the function for this checkpoint."""
    layers = "layers: [{id: c, layer: ConvLSTM2D, filters: 2, kernel_size: 3}]\noutputs: [c.last]\n"
    spec = f"specbuild: 1\ninputs: {{x: [2, 6, 6, 3]}}\n{layers}"
    Path("table.yaml").write_text(
        "specbuild-mapping: 1\n"
        "weights:\n"
        "  c/kernel: {from: conv.weight, order: conv, take: first, gates: [0, 1, 3, 2]}\n"
        "  c/recurrent_kernel: {from: conv.weight, order: conv, take: last, gates: [0, 1, 3, 2]}\n"
        "  c/bias: {from: conv.bias, gates: [0, 1, 3, 2]}\n",
        "utf-8",
    )
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(8, 5, 3, 3)), rng.normal(size=8)
    given = arranged_weights(build_graph(spec), "table.yaml", {"conv.weight": weight, "conv.bias": bias})
    for name, array in pytorch.conv_lstm(weight, bias).items():
        np.testing.assert_array_equal(given[f"c/{name}"], array)


NESTED = """\
specbuild: 1
defaults: {Conv2D: {filters: 2, kernel_size: 3, padding: same}}
inputs: {x: [3, 6, 6, 2]}
layers:
  - id: cell
    recurrent:
      states: {h: {shape: [6, 6, 2], initial: learned}}
      do:
        - {id: read, layer: Conv2D, from: input}
        - {id: norm, layer: LayerNormalization}
        - {id: kept, layer: Conv2D, from: h}
      next: {h: tanh(norm + kept)}
    trainable: false
  - id: both
    bidirectional: {recurrent: {states: {h: 2}, do: [{id: r, layer: Conv2D}, {id: u, layer: Conv2D, from: h}],
                                next: {h: tanh(r + u)}}}
    return_sequences: true
  - {id: two, bidirectional: {layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same}, return_sequences: true}
  - {id: fixed, layer: Constant, value: 2.0}
  - {id: scaled, layer: Multiply, from: [two, fixed]}
  - id: fed
    from: scaled
    autoregressive:
      do:
        - id: inner
          recurrent: {states: {h: 2}, do: [{id: e, layer: Conv2D}, {id: a, layer: Conv2D, from: h}], next: {h: e + a}}
        - {id: last, time_distributed: {layer: Dense, units: 2}}
      horizon: 2
"""


def test_weights_inside_nodes_have_unique_names() -> None:
    """Every weight has the name and shape of its variable."""
    graph = build_graph(NESTED)
    shapes, model = weight_shapes(graph), build_model(graph)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == model.count_params() - 1
    variables = keras_weights(graph, model)
    assert variables.keys() == shapes.keys()
    assert {id(variable) for variable in variables.values()} == {
        id(weight) for weight in model.weights if weight.name != "numbers"
    }
    assert {"cell/initial_h", "cell_read/kernel", "cell_kept/bias", "fed_inner_a/kernel", "fed_last/bias"} <= {*shapes}
    for name, variable in variables.items():
        assert tuple(variable.shape) == shapes[name]
        assert name.endswith(variable.name)
    layer = model.get_layer("both").backward_layer
    assert variables["backward_both_u/kernel"] is layer.step.get_layer("both_u").kernel
    assert variables["backward_both_r/kernel"] is layer.at_once.get_layer("both_r").kernel


# Orders of axes, against their definitions


def test_a_matrix() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 3)), rng.normal(size=(5, 3))
    layer = keras.layers.Dense(5, use_bias=False)
    layer.build(x.shape)
    layer.kernel.assign(axes_moved(w, "linear", (3, 5)))
    np.testing.assert_allclose(numbers(layer(x.astype("float32"))), x @ w.T, atol=1e-5)


def test_a_transposed_convolution() -> None:
    """PyTorch adds x[i] · w[i, o] at every position of the kernel around (stride · y, stride · x)."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 2, 3, 2))
    wanted = np.zeros((2, 9, 10))
    for row in range(4):
        for column in range(5):
            wanted[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 2] += np.einsum(
                "i,ioab->oab", x[:, row, column], w
            )
    layer = keras.layers.Conv2DTranspose(2, (3, 2), strides=2, use_bias=False)
    layer.build((None, 4, 5, 3))
    layer.kernel.assign(axes_moved(w, "transposed_conv", (3, 2, 2, 3)))
    y = numbers(layer(np.moveaxis(x, 0, -1)[np.newaxis].astype("float32")))[0]
    np.testing.assert_allclose(np.moveaxis(y, -1, 0), wanted, atol=1e-5)


def test_a_depthwise_convolution_with_several_filters_a_channel() -> None:
    """PyTorch's filter m · c + j is the j-th of channel c."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 3, 3)), rng.normal(size=(6, 1, 3, 3))
    wanted = [np.sum(x[channel // 2] * w[channel, 0]) for channel in range(6)]
    layer = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)
    layer.build((None, 3, 3, 3))
    layer.kernel.assign(axes_moved(w, "depthwise_conv", (3, 3, 3, 2)))
    y = numbers(layer(np.moveaxis(x, 0, -1)[np.newaxis].astype("float32")))
    np.testing.assert_allclose(y.ravel(), wanted, atol=1e-5)


def test_volumes_and_numbers_for_each_channel() -> None:
    w = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)
    moved = axes_moved(w, "conv", (4, 5, 6, 3, 2))
    assert moved.shape == (4, 5, 6, 3, 2)
    assert moved[3, 1, 2, 0, 1] == w[1, 0, 3, 1, 2]
    assert axes_moved(w, "channels_last", (3, 4, 5, 6, 2))[2, 1, 0, 3, 1] == w[1, 2, 1, 0, 3]
    assert axes_moved(w, (4, 3, 2, 1, 0), ()).shape == (6, 5, 4, 3, 2)
    assert axes_moved(np.arange(3), "per_channel", (1, 1, 3)).shape == (1, 1, 3)


def test_a_pixel_shuffle_becomes_depth_to_space() -> None:
    channels = np.arange(3 * 4)  # of PyTorch: channel 4c + 2i + j goes to row i, column j and channel c
    place = unshuffled(channels, 2).reshape(2, 2, 3)
    assert all(place[i, j, c] == 4 * c + 2 * i + j for i in (0, 1) for j in (0, 1) for c in range(3))


# Files


def test_files_of_arrays_give_the_same(graph: Graph) -> None:
    arrays = {name: array.astype("float32") for name, array in checkpoint().items()}
    Path("table.yaml").write_text(TABLE, "utf-8")
    np.savez("a.npz", **arrays)
    save_file(arrays, "a.safetensors")
    wanted = arranged_weights(graph, "table.yaml", arrays)
    for file in ("a.npz", "a.safetensors"):
        given = arranged_weights(graph, "table.yaml", file)
        for name, array in wanted.items():
            np.testing.assert_array_equal(given[name], array)


def test_numbers_of_any_precision(graph: Graph) -> None:
    """bfloat16 is what large checkpoints are stored in."""
    Path("table.yaml").write_text(TABLE, "utf-8")
    arrays = {name: array.astype("bfloat16") for name, array in checkpoint().items()}
    save_file(arrays, "half.safetensors")
    given = arranged_weights(graph, "table.yaml", "half.safetensors")
    np.testing.assert_array_equal(given["head/bias"].astype("float32"), arrays["head.bias"].astype("float32"))
    model = import_weights(SPEC, "table.yaml", "half.safetensors")
    np.testing.assert_array_equal(numbers(model.get_layer("head").layer.bias), arrays["head.bias"].astype("float32"))


def test_a_file_that_is_not_a_checkpoint_is_refused(graph: Graph) -> None:
    Path("bad.npz").write_text("no archive", "utf-8")
    Path("bad.safetensors").write_text("too short", "utf-8")
    np.savez("objects.npz", x=np.array([{}], dtype=object))
    cases = {
        "bad.npz": "bad.npz cannot be read | it is not an archive of arrays, which numpy.savez writes",
        "objects.npz": "objects.npz cannot be read | it holds objects, which only a pickle can",
        "away/gone.npz": "there is no file away/gone.npz",
        "bads.npz": 'there is no file bads.npz | did you mean "bad.npz"?',
        "model.h5": "model.h5 is not a checkpoint | its suffix is not .npz or .safetensors",
        "model.pth": "model.pth is a pickle, which is not read | reading one runs the code in it | convert it once, in "
        'Python:\nimport numpy, torch; state = torch.load("model.pth", map_location="cpu", weights_only=True)\n'
        'numpy.savez("model.npz", **{name: array.float().numpy() for name, array in state.items()})',
    }
    for file, words in cases.items():
        assert said(graph, TABLE, file) == [words]
    (broken,) = said(graph, TABLE, "bad.safetensors")
    assert broken.startswith("bad.safetensors cannot be read | ")


def test_a_table_that_does_not_exist(graph: Graph) -> None:
    with pytest.raises(SpecError, match=r'no mapping table is called openstl-predrn\n.*did you mean "openstl-predrnn"'):
        arranged_weights(graph, "openstl-predrn", {})
    with pytest.raises(SpecError, match=r"there is no file gone\.yaml"):
        arranged_weights(graph, "gone.yaml", {})


# The page


def test_the_page_has_every_key_order_and_table() -> None:
    names = [field.alias or name for cls in (TableSection, WeightSection) for name, field in cls.model_fields.items()]
    assert [name for name in (*names, *ORDERS, *shipped_tables()) if f"`{name}`" not in PAGE] == []
    for cls in (TableSection, WeightSection):
        assert [field.description for field in cls.model_fields.values() if str(field.description) not in PAGE] == []
    assert [words for words, _ in ORDERS.values() if words not in PAGE] == []


def test_the_example_of_the_page_is_right() -> None:
    spec, table = BLOCKS[:2]
    Path("table.yaml").write_text(table, "utf-8")
    arrays: dict[str, np.ndarray] = {}
    for name, shape in {"net.0.weight": (8, 3, 3, 3), "net.0.bias": (8,), "net.1.weight": (8, 8, 3, 3)}.items():
        arrays[name] = np.ones(shape)
    arrays |= {"net.1.bias": np.ones(8), "head.weight": np.ones((10, 8)), "head.bias": np.ones(10), "step": np.ones(())}
    assert len(arranged_weights(build_graph(spec), "table.yaml", arrays)) == 6


CELLS = {
    "torch_convlstm_nobias_timefirst": (2, "layer1_outputs"),
    "tf1_convlstm2d_peephole1_layernorm1": (4, "outputs"),
    "tf1_convgru3d_bidirectional": (6, "outputs"),
}
"""Reference files of cells by name: the place of their spec on the page, with their table behind it, and the output."""


@pytest.mark.parametrize("name", CELLS)
def test_the_tables_of_cells_on_the_page_give_the_outputs_of_the_original(name: str) -> None:
    block, key = CELLS[name]
    spec, table = BLOCKS[block : block + 2]
    golden = dict(np.load(GOLDEN / f"{name}.npz"))
    arrays = {key.removeprefix("weight:"): array for key, array in golden.items() if key.startswith("weight:")}
    inputs = golden["inputs"]
    if name.endswith("nobias_timefirst"):
        spec = spec.replace("kernel_size: 3}", "kernel_size: 3, use_bias: false}")
        table = "".join(line for line in table.splitlines(keepends=True) if "/bias" not in line)
        inputs = inputs.swapaxes(0, 1)
    Path("table.yaml").write_text(table, "utf-8")
    wrapped = {f"module.{name}": array for name, array in arrays.items()}
    outputs = import_weights(spec, "table.yaml", wrapped, prefixes=["module."]).predict(inputs, verbose=0)
    expected = golden[key]
    if "outputs_backward" in golden:
        expected = np.concatenate([expected, golden["outputs_backward"]], axis=-1)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5)


def test_a_prefix_that_is_missing_everywhere_is_one_error(graph: Graph) -> None:
    wrapped = {f"module.{name}": array for name, array in checkpoint().items()}
    assert said(graph, TABLE, wrapped) == [
        "2:1 the names of the checkpoint begin with module., those of the table do not | "
        "the checkpoint has module.head.weight | "
        "remove it with prefixes: module. in the table, or with --prefix module."
    ]
    longer = (
        TABLE.replace("cells.", "net.cells.").replace("from: head", "from: net.head").replace(": head", ": net.head")
    )
    assert said(graph, longer, checkpoint()) == [
        "2:1 the names of the table begin with net., those of the checkpoint do not | the checkpoint has head.weight"
    ]
    assert said(graph, TABLE, {}) == ["2:1 the checkpoint has no arrays"]


def test_arguments_that_the_weights_do_not_show_are_required(graph: Graph) -> None:
    good = "requires: {cell$i: {padding: same, kernel_size: 3, activation: tanh}, head: {units: 2}}\n"
    Path("table.yaml").write_text(TABLE + good, "utf-8")
    assert len(arranged_weights(graph, "table.yaml", checkpoint())) == 6
    bad = "requires: {cell1: {forget_bias: 1}, hed: {units: 2}, head: {bogus: 3}}\n"
    assert said(graph, TABLE + bad, checkpoint()) == [
        "8:33 cell1 has forget_bias: null, and the checkpoint comes from a layer with 1 | "
        "the weights have the same shapes, but the outputs would differ",
        '8:37 the model has no node hed | did you mean "head"?',
        "8:61 head is a Dense, which has no argument bogus",
    ]
    mistake = ["8:20 cell$i: expected a mapping, got 3"]
    assert said(graph, TABLE + "requires: {cell$i: 3}\n", checkpoint()) == mistake
