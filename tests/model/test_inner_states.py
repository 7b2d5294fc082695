"""Feedback that starts from the states of an encoder: against layers called by hand, saved, imported and reused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from specbuild import build_graph, build_model, load_spec
from specbuild.graph.receptive_field import receptive_fields
from specbuild.graph.summary import summarize
from specbuild.model import save
from specbuild.model.backend import keras
from specbuild.model.importing import import_model
from specbuild.model.layers import autoregressive

layers = keras.layers
Floats = npt.NDArray[Any]
EAGER = keras.backend.backend() == "tensorflow"

SPEC = """specbuild: 1
inputs: {rain: [2, 6, 6, 1], past: [4, 6, 6, 2]}
defaults: {ConvLSTM2D: {kernel_size: 3, padding: same}}
layers:
  - {id: enc1, from: past, layer: ConvLSTM2D, filters: 2}
  - {id: enc2, layer: ConvLSTM2D, filters: 1}
  - id: forecast
    from: rain
    initial_state: {mem2: enc2, mem1: enc1}
    autoregressive:
      horizon: 3
      do: [{id: mem1, layer: ConvLSTM2D, filters: 2}, {id: mem2, layer: ConvLSTM2D, filters: 1}]
"""
GIVEN = [np.random.default_rng(n).normal(size=(2, n, 6, 6, c)).astype("float32") for n, c in ((2, 1), (4, 2))]
TRUTH = np.random.default_rng(7).normal(size=(2, 3, 6, 6, 1)).astype("float32")


def model(text: str = SPEC, **settings: Any) -> Any:
    """A model with reproducible weights."""
    made = build_model(text, overrides={f"layers.forecast.autoregressive.{k}": v for k, v in settings.items()})
    generator = np.random.default_rng(1)
    made.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in made.get_weights()])
    return made


def run(made: Any) -> list[Floats]:
    outputs = made(GIVEN)
    listed = outputs if isinstance(outputs, list) else [outputs]
    return [np.asarray(keras.ops.convert_to_numpy(output)) for output in listed]


def by_hand(ours: Any) -> Any:
    """The same with Keras layers, every step written out, and the weights of our model."""
    cells = [layers.ConvLSTM2D(f, 3, padding="same", return_sequences=True, return_state=True) for f in (2, 1, 2, 1)]
    rain, past = inputs = [keras.Input(x.shape[1:]) for x in GIVEN]
    hidden, *first = cells[0](past)
    _, *second = cells[1](hidden)
    frames, forecasts = rain, []
    for _ in range(3):
        hidden, *first = cells[2](frames, initial_state=first)
        hidden, *second = cells[3](hidden, initial_state=second)
        frames = hidden[:, -1:]
        forecasts.append(frames)
    made = keras.Model(inputs, layers.Concatenate(axis=1)(forecasts))
    body = ours.get_layer("forecast").body
    same = [ours.get_layer("enc1"), ours.get_layer("enc2"), *(body.get_layer(f"forecast_mem{n}") for n in (1, 2))]
    for cell, layer in zip(cells, same, strict=True):
        cell.set_weights(layer.get_weights())
    return made, list(zip(cells, same, strict=True))


@pytest.mark.parametrize("way", ["written out", "looped", "remat"])
def test_outputs_and_gradients_are_those_of_layers_called_by_hand(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "looped":
        monkeypatch.setattr(autoregressive, "LONGEST_UNROLLED", 0)
    ours = model(remat=way == "remat")
    theirs, pairs = by_hand(ours)
    np.testing.assert_allclose(run(ours)[0], run(theirs)[0], atol=1e-5)
    for made in (ours, theirs):
        made.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=EAGER, jit_compile="auto")
        made.train_on_batch(GIVEN, TRUTH)
    for cell, layer in pairs:
        for got, wanted in zip(layer.get_weights(), cell.get_weights(), strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_none_starts_from_zeros() -> None:
    one = model(SPEC.replace("mem2: enc2", "mem2: none"))
    before = run(one)[0]
    one.get_layer("enc1").set_weights([np.zeros_like(weight) for weight in one.get_layer("enc1").get_weights()])
    plain = model(SPEC.replace("    initial_state: {mem2: enc2, mem1: enc1}\n", ""))
    plain.get_layer("forecast").set_weights(one.get_layer("forecast").get_weights())
    assert np.abs(before - run(one)[0]).max() > 1e-3
    np.testing.assert_allclose(run(one)[0], run(plain)[0], atol=1e-6)


def test_a_reuse_starts_from_the_same_states_or_from_its_own(tmp_path: Path) -> None:
    text = SPEC + (
        "  - {id: same, reuse: forecast, from: rain}\n"
        "  - {id: half, reuse: forecast, from: rain, initial_state: {mem1: none, mem2: enc2}}\n"
        "  - {id: zeros, reuse: forecast, from: rain, initial_state: {mem1: none, mem2: none}}\n"
        "outputs: [forecast, same, half, zeros]\n"
    )
    made = model(text)
    wanted = run(made)
    np.testing.assert_array_equal(wanted[0], wanted[1])
    assert all(np.abs(wanted[0] - other).max() > 1e-3 for other in wanted[2:])
    resolved = load_spec(text).resolved()
    assert load_spec(resolved).resolved() == resolved
    save(made, tmp_path / "model.keras")
    for again in (build_model(resolved), build_model(import_model(tmp_path / "model.keras").text)):
        again.load_weights(tmp_path / "model.keras")
        for got, expected in zip(run(again), wanted, strict=True):
            np.testing.assert_array_equal(got, expected)
    for got, expected in zip(run(keras.models.load_model(tmp_path / "model.keras")), wanted, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_single_recurrence_takes_a_node_or_its_tensors_by_name() -> None:
    text = SPEC.replace("{mem2: enc2, mem1: enc1}", "{cells.mem: {h: enc2.state.c, c: enc2.state.h}}").replace(
        "do: [{id: mem1, layer: ConvLSTM2D, filters: 2}, {id: mem2, layer: ConvLSTM2D, filters: 1}]",
        "do: [{id: cells, block: one}]",
    )
    text = text.replace("layers:\n", "blocks: {one: {do: [{id: mem, layer: ConvLSTM2D, filters: 1}]}}\nlayers:\n", 1)
    swapped = build_graph(text).nodes[-1].initial_state
    assert [str(port) for port in swapped] == ["enc2.state.c", "enc2.state.h"]
    whole = text.replace("{cells.mem: {h: enc2.state.c, c: enc2.state.h}}", "enc2")
    assert [str(port) for port in build_graph(whole).nodes[-1].initial_state] == ["enc2.state.h", "enc2.state.c"]


def test_the_states_count_as_read() -> None:
    graph = build_graph(SPEC.replace("6, 6", "40, 40"))
    field = receptive_fields(graph)["forecast"]
    assert [str(extent) for extent in field["rain"]] == ["2", "15", "15", "1"]
    assert [str(extent) for extent in field["past"]] == ["4", "23", "23", "2"]
    rows = {row.id: row.initial_state for row in summarize(graph, batch=1).rows}
    assert rows["forecast_mem1"] == ("enc1.state.h", "enc1.state.c")
    assert rows["forecast_mem2"] == ("enc2.state.h", "enc2.state.c")
