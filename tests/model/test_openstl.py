"""OpenSTL's models: specs of the zoo with the original's weights, through mapping tables, give the original's outputs.

Tolerances are ten times the difference between the original code in float32 and in float64.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from specbuild import build_graph, build_model, import_weights
from specbuild.document import parse, plain
from specbuild.model.mapping.plan import weight_shapes
from specbuild.model.mapping.table import shipped_tables
from tests.backends import not_on_jax, passes_on_jax
from tests.model.recurrences import numbers
from tests.model.saving import saved_and_loaded

ROOT = Path(__file__).parents[2]
ZOO = ROOT / "specs" / "zoo"
GOLDEN = ROOT / "tests" / "golden" / "openstl"

FRAMES = {"past": 3, "future": 3, "height": 8, "width": 6, "channels": 3, "patch": 1}
E3D = {"height": 6, "width": 4, "cells": 2, "filters": 4}
SIMVP = {
    "frames": 3,
    "height": 16,
    "width": 12,
    "channels": 2,
    "spatial": 4,
    "hidden": 16,
    "blocks": 3,
    "ratio": 8,
    "first_drop": 0,
}

FORECASTERS: dict[str, tuple[str, str, dict[str, Any], float]] = {
    "model_convlstm_ln0": ("openstl_convlstm_s", "openstl-convlstm", {"widths": [4, 4]}, 7e-7),
    "model_e3dlstm_ln0": ("e3dlstm", "openstl-e3dlstm", E3D, 5e-6),
    "model_e3dlstm_ln1": ("e3dlstm", "openstl-e3dlstm", {**E3D, "norm": True}, 8e-6),
    "model_predrnn_ln0": ("predrnn", "openstl-predrnn", {"widths": [4, 4]}, 1e-6),
    "model_predrnn_ln1": ("predrnn", "openstl-predrnn", {"widths": [4, 4], "norm": "layer_per_pixel"}, 1e-5),
    "model_predrnnpp_ln0": ("predrnnpp", "openstl-predrnnpp", {"cells": 3, "filters": 4}, 2e-6),
    "model_predrnnpp_ln1_corrected": (
        "predrnnpp",
        "openstl-predrnnpp",
        {"cells": 3, "filters": 4, "norm": True},
        3e-4,
    ),
    "model_predrnnv2_ln0": ("predrnnv2", "openstl-predrnn", {"widths": [4, 4, 4]}, 2e-6),
    "model_predrnnv2_ln1": ("predrnnv2", "openstl-predrnn", {"widths": [4, 4], "norm": "layer_per_pixel"}, 2e-5),
}
"""By file: the spec, the table, the variables of the small model, and the tolerance."""


def golden(name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The state dict of a file, and everything else in it."""
    arrays = dict(np.load(GOLDEN / f"{name}.npz"))
    state = {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(("param/", "buffer/"))}
    return state, arrays


def small(spec: str, table: str, state: dict[str, np.ndarray], variables: dict[str, Any]) -> Any:
    overrides = {f"vars.{name}": value for name, value in variables.items()}
    return import_weights(ZOO / f"{spec}.yaml", table, state, overrides=overrides)


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasts_are_those_of_the_original(name: str) -> None:
    spec, table, variables, tolerance = FORECASTERS[name]
    state, arrays = golden(name)
    model = small(spec, table, state, {**FRAMES, **variables})
    frames = numbers(model(arrays["in/frames"][:, :3].astype("float32"), training=False))
    np.testing.assert_allclose(frames, arrays["out/frames_inference"], rtol=0, atol=tolerance)
    if "v2" in name or "e3d" in name:
        return  # the original's loss has a further term
    loss = np.mean((frames - arrays["in/frames"][:, 1:]) ** 2)
    np.testing.assert_allclose(loss, arrays["out/loss_inference"], rtol=0, atol=tolerance)


# One step of each cell


@dataclass(frozen=True)
class Cell:
    """A spec of one step, its table, its inputs and outputs as the file calls them, and the tolerance.

    `entries` are those of the table that it needs, and `place` is the cell in the state dict of the whole model.
    """

    spec: str | dict[str, Any]
    table: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tolerance: float
    entries: str = "forecast_cell"
    place: str = "cell_list.0"


def block_of(
    name: str, node: dict[str, Any], inputs: dict[str, list[int]], outputs: list[str], **variables: Any
) -> Any:
    """A spec of one block of a model in the zoo."""
    whole = plain(parse((ZOO / f"{name}.yaml").read_text("utf-8")))
    return {
        **{key: whole[key] for key in ("specbuild", "defaults", "blocks")},
        "vars": {**whole["vars"], **variables},
        "inputs": inputs,
        "layers": [{**node, "from": [*inputs]}],
        "outputs": outputs,
    }


ST_LSTM = """\
specbuild: 1
vars: {{norm: {norm}}}
inputs: {{x: [1, 8, 6, 3], h: [8, 6, 4], c: [8, 6, 4], m: [8, 6, 4]}}
layers:
  - id: forecast_cells
    layer: STLSTM2D
    from: x
    filters: 4
    kernel_size: 5
    normalization: {norm}
    use_bias: "${{norm != 'none'}}"
    initial_state: {{h1: h, c1: c, m: m}}
outputs: [forecast_cells.state.h1, forecast_cells.state.c1, forecast_cells.state.m]
"""
CONV_LSTM = """\
specbuild: 1
inputs: {x: [1, 8, 6, 3], h: [8, 6, 4], c: [8, 6, 4]}
layers:
  - id: forecast_cell1
    layer: ConvLSTM2D
    from: x
    filters: 4
    kernel_size: 5
    padding: same
    use_bias: false
    initial_state: {h: h, c: c}
outputs: [forecast_cell1.state.h, forecast_cell1.state.c]
"""
STATES = ("h_t", "c_t", "m_t")
NEW = ("h_new", "c_new", "m_new")
PREDRNN = "openstl-predrnn"
IMAGE = [8, 6, 4]

CELLS: dict[str, Cell] = {
    "cell_convlstm_ln0": Cell(CONV_LSTM, "openstl-convlstm", ("x_t", *STATES[:2]), NEW[:2], 2e-6),
    "cell_stlstm_ln0": Cell(ST_LSTM.format(norm="none"), PREDRNN, ("x_t", *STATES), NEW, 3e-6),
    "cell_stlstm_ln1": Cell(ST_LSTM.format(norm="layer_per_pixel"), PREDRNN, ("x_t", *STATES), NEW, 3e-6),
    "cell_stlstmv2_ln0": Cell(ST_LSTM.format(norm="none"), PREDRNN, ("x_t", *STATES), NEW, 2e-6),
    "cell_stlstmv2_ln1": Cell(ST_LSTM.format(norm="layer_per_pixel"), PREDRNN, ("x_t", *STATES), NEW, 4e-6),
    **{
        f"cell_causallstm_{name}": Cell(
            block_of(
                "predrnnpp",
                {"id": "forecast_stack_cell1", "block": "causal"},
                {"x": [8, 6, 3], "h": IMAGE, "c": IMAGE, "m": IMAGE},
                [f"forecast_stack_cell1.{state}" for state in "hcm"],
                filters=4,
                norm=name == "ln1",
            ),
            "openstl-predrnnpp",
            ("x_t", *STATES),
            NEW,
            tolerance,
            "forecast_stack_cell",
        )
        for name, tolerance in {"ln0": 3e-6, "ln1": 6e-6}.items()
    },
    **{
        f"cell_ghu_{name}": Cell(
            block_of(
                "predrnnpp",
                {"id": "forecast_stack_ghu", "block": "highway"},
                {"x": IMAGE, "z": IMAGE},
                ["forecast_stack_ghu"],
                filters=4,
                norm=name != "ln0",
            ),
            "openstl-predrnnpp",
            ("x", "z"),
            ("z_new",),
            tolerance,
            "forecast_stack_ghu",
            "gradient_highway",
        )
        for name, tolerance in {"ln0": 1e-6, "ln1_corrected": 2e-6}.items()
    },
    "block_gsta": Cell(
        block_of(
            "simvp_gsta",
            {"id": "hid0", "block": "unit", "with": {"d": 8, "drop": 0.0}},
            {"x": [8, 6, 8]},
            ["hid0"],
            ratio=4,
        ),
        "openstl-simvp-gsta",
        ("x",),
        ("y_eval",),
        1e-5,
        "hid.*(?<!_reduction)/",
        "hid.enc.0.block",
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_one_step_of_a_cell_is_that_of_the_original(name: str, tmp_path: Path) -> None:
    cell = CELLS[name]
    state, arrays = golden(name)
    table = only(cell.table, cell.entries, tmp_path)
    model = import_weights(cell.spec, table, {f"{cell.place}.{key}": array for key, array in state.items()})
    given = []
    for tensor, key in zip(model.inputs, cell.inputs, strict=True):
        array = np.moveaxis(arrays[f"in/{key}"], 1, -1)  # (batch, *space, channels)
        given.append(array.reshape(-1, *tensor.shape[1:]).astype("float32"))
    outputs = model(given if len(given) > 1 else given[0], training=False)
    for key, output in zip(cell.outputs, outputs if len(cell.outputs) > 1 else [outputs], strict=True):
        wanted = np.moveaxis(arrays[f"out/{key}"], 1, -1)
        np.testing.assert_allclose(numbers(output), wanted, rtol=0, atol=cell.tolerance, err_msg=key)


@pytest.mark.parametrize(("name", "tolerance"), [("cell_e3dlstm_ln0", 5e-6), ("cell_e3dlstm_ln1", 6e-6)])
def test_one_step_of_the_eidetic_cell_is_that_of_the_original(name: str, tolerance: float, tmp_path: Path) -> None:
    """The original reads three memories without c; here c is the fourth and masked."""
    state, arrays = golden(name)
    rows, volume = 2 * 6 * 4, [2, 6, 4, 4]
    spec = block_of(
        "e3dlstm",
        {"id": "forecast_stack_cell1", "block": "eidetic", "with": {"at": 1}},
        {"x": [2, 6, 4, 3], "h": volume, "c": volume, "gm": volume, "past": [3, rows, 4], "seen": [1, 4, 1]},
        ["forecast_stack_cell1.h", "forecast_stack_cell1.c"],
        rows=6,
        columns=4,
        steps=4,
        filters=4,
        norm=name.endswith("ln1"),
    )
    table = only("openstl-e3dlstm", "forecast_stack_cell", tmp_path)
    model = import_weights(spec, table, {f"cell_list.0.{key}": array for key, array in state.items()})
    given = [np.moveaxis(arrays[f"in/{key}"], 1, -1) for key in ("x_t", "h_t", "c_t", "global_memory")]
    given += [arrays["in/eidetic_cell"].reshape(2, 3, rows, 4), np.tile([1, 1, 1, 0], (2, 1)).reshape(2, 1, 4, 1)]
    h, c = model([array.astype("float32") for array in given], training=False)
    np.testing.assert_allclose(numbers(h), np.moveaxis(arrays["out/h_new"], 1, -1), rtol=0, atol=tolerance)
    np.testing.assert_allclose(numbers(c), np.moveaxis(arrays["out/c_new"], 1, -1), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "tolerance"), [("cell_stlstmv2_ln0", 2e-6), ("cell_stlstmv2_ln1", 4e-6)])
def test_the_equations_of_an_st_lstm_give_the_increments_of_its_memories(name: str, tolerance: float) -> None:
    state, arrays = golden(name)
    overrides = {"vars.norm": name.endswith("ln1")}
    model = import_weights(GOLDEN / "st_lstm.yaml", GOLDEN / "st_lstm_weights.yaml", state, overrides=overrides)
    given = [np.moveaxis(arrays[f"in/{key}"], 1, -1).astype("float32") for key in ("x_t", *STATES)]
    for key, output in zip((*NEW, "delta_c", "delta_m"), model(given, training=False), strict=True):
        wanted = np.moveaxis(arrays[f"out/{key}"], 1, -1)
        np.testing.assert_allclose(numbers(output), wanted, rtol=0, atol=tolerance, err_msg=key)


def test_convlstm_with_layer_normalization_as_a_custom_cell_forecasts_like_the_original() -> None:
    state, arrays = golden("model_convlstm_ln1")
    model = import_weights(GOLDEN / "convlstm_layer_norm.yaml", GOLDEN / "convlstm_layer_norm_weights.yaml", state)
    frames = numbers(model(arrays["in/frames"][:, :3].astype("float32"), training=False))
    np.testing.assert_allclose(frames, arrays["out/frames_inference"], rtol=0, atol=7e-6)


def only(table: str, entries: str, folder: Path) -> Path:
    """A table without the entries of layers outside the cell."""
    whole = yaml.safe_load(shipped_tables()[table].read_text("utf-8"))
    whole["weights"] = {key: value for key, value in whole["weights"].items() if re.match(entries, key)}
    (folder / "table.yaml").write_text(yaml.safe_dump(whole), "utf-8")
    return folder / "table.yaml"


def test_simvp_forecasts_like_the_original() -> None:
    state, arrays = golden("model_simvp_gsta")
    model = small("simvp_gsta", "openstl-simvp-gsta", state, SIMVP)
    x = np.moveaxis(arrays["in/x"], 2, -1).astype("float32")
    y = np.moveaxis(numbers(model(x, training=False)), -1, 2)
    np.testing.assert_allclose(y, arrays["out/y_eval"], rtol=0, atol=1e-4)


def test_simvp_trains_on_the_statistics_of_the_batch_like_the_original() -> None:
    """Keras updates the running variance with the variance of the batch, PyTorch with n / (n − 1) times that."""
    state, arrays = golden("model_simvp_gsta")
    model = small("simvp_gsta", "openstl-simvp-gsta", state, SIMVP)
    x = np.moveaxis(arrays["in/x"], 2, -1).astype("float32")
    y = np.moveaxis(numbers(model(x, training=True)), -1, 2)
    np.testing.assert_allclose(y, arrays["out/y_train"], rtol=0, atol=1e-4)
    count = 2 * 4 * 3  # samples and places
    for block in range(3):
        for number in (1, 2):
            layer = model.get_layer(f"hid{block}_norm{number}")
            place = f"hid.enc.{block}.block.norm{number}.running"
            after = {key: arrays[f"out/buffer_after_train/{place}_{key}"] for key in ("mean", "var")}
            np.testing.assert_allclose(numbers(layer.moving_mean), after["mean"], rtol=0, atol=1e-5)
            before = state[f"{place}_var"]
            unbiased = 0.9 * before + (numbers(layer.moving_variance) - 0.9 * before) * count / (count - 1)
            np.testing.assert_allclose(unbiased, after["var"], rtol=0, atol=1e-5)


def test_patches_have_the_pixels_in_the_order_of_the_original() -> None:
    _, arrays = golden("patch_order")
    spec = "specbuild: 1\ninputs: {{x: {shape}}}\nlayers: [{{layer: {kind}, block_size: 2}}]\n"
    images, patches = arrays["in/images"], arrays["out/patches"]
    to_patches = build_model(spec.format(shape=list(images.shape[1:]), kind="SpaceToDepth"))
    to_images = build_model(spec.format(shape=list(patches.shape[1:]), kind="DepthToSpace"))
    np.testing.assert_array_equal(numbers(to_patches(images.astype("float32"))), patches.astype("float32"))
    np.testing.assert_array_equal(numbers(to_images(patches.astype("float32"))), arrays["out/back"].astype("float32"))


def test_the_whole_models_take_checkpoints_of_the_published_sizes() -> None:
    """The size of a checkpoint of the published configuration: parameters, and for SimVP running statistics."""
    sizes = {
        "openstl_convlstm_s": (15_083_520, 3_407_872),
        "openstl_convlstm_l": (33_782_784, 7_667_712),
        "e3dlstm": (51_347_456, 0),
        "predrnn": (23_838_720, 0),
        "predrnnpp": (38_584_320, 3_276_800),
        "predrnnv2": (23_855_104, 16_384),
        "simvp_gsta": (46_769_665 + 16_896, 0),
    }
    for name, (total, unused) in sizes.items():
        graph = build_graph(ZOO / f"{name}.yaml")
        assert sum(int(np.prod(shape)) for shape in weight_shapes(graph).values()) == total - unused


def test_a_saved_model_gives_the_same(tmp_path: Path) -> None:
    state, arrays = golden("model_simvp_gsta")
    model = small("simvp_gsta", "openstl-simvp-gsta", state, SIMVP)
    x = np.moveaxis(arrays["in/x"], 2, -1).astype("float32")
    loaded = saved_and_loaded(model, tmp_path)
    np.testing.assert_allclose(numbers(loaded(x, training=False)), numbers(model(x, training=False)), rtol=0, atol=1e-6)


@not_on_jax
def test_on_jax() -> None:
    passes_on_jax(__file__, "-k", "not published_sizes")  # these are of graphs alone
