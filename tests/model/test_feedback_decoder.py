"""`encoder_decoder` with `feed: feedback`: against layers called by hand, trained, saved, imported and nested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from specbuild import build_graph, build_model, load_spec
from specbuild.model import save
from specbuild.model.backend import keras
from specbuild.model.importing import import_model

layers = keras.layers
Floats = npt.NDArray[Any]
EAGER = keras.backend.backend() == "tensorflow"

SPEC = """specbuild: 1
inputs: {rain: [4, 6, 6, 1]}
defaults: {ConvLSTM2D: {kernel_size: 3, padding: same}}
layers:
  - id: nowcast
    encoder_decoder:
      encoder: [{id: enc1, layer: ConvLSTM2D, filters: 3}, {id: enc2, layer: ConvLSTM2D, filters: 2}]
      decoder: [{id: dec1, layer: ConvLSTM2D, filters: 2}, {id: dec2, layer: ConvLSTM2D, filters: 3}]
      feed: feedback
      horizon: 3
      head: [{id: head, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}]
"""
SETTINGS = "layers.nowcast.encoder_decoder"
RAIN = np.random.default_rng(5).normal(size=(2, 4, 6, 6, 1)).astype("float32")
TRUTH = np.random.default_rng(6).normal(size=(2, 3, 6, 6, 1)).astype("float32")


def model(text: str = SPEC, *, teacher: bool = False, **settings: Any) -> Any:
    """A model with reproducible weights."""
    made = build_model(text, overrides={f"{SETTINGS}.{k}": v for k, v in settings.items()}, teacher=teacher)
    generator = np.random.default_rng(1)
    made.set_weights([generator.normal(scale=0.5, size=weight.shape) for weight in made.get_weights()])
    return made


def run(made: Any, *inputs: Floats, training: bool = False) -> Floats:
    given = list(inputs) if len(inputs) > 1 else inputs[0]
    return np.asarray(keras.ops.convert_to_numpy(made(given, training=training)))


def by_hand(ours: Any, *, mirrored: bool = True, joined: bool = False) -> tuple[Any, list[tuple[Any, Any]]]:
    """The same with Keras layers, every step written out; its layers and ours, with the same weights."""
    cells = [layers.ConvLSTM2D(f, 3, padding="same", return_sequences=True, return_state=True) for f in (3, 2, 2, 3)]
    cells[2:] = cells[2:] if mirrored else cells[:1:-1]
    head = layers.TimeDistributed(layers.Conv2D(1, 1))
    rain = keras.Input((4, 6, 6, 1))
    hidden, *first = cells[0](rain)
    _, *second = cells[1](hidden)
    states = [second, first] if mirrored else [first, second]
    frames, forecasts = rain[:, -1:], []
    for _ in range(3):
        lower, *states[0] = cells[2](frames, initial_state=states[0])
        upper, *states[1] = cells[3](lower, initial_state=states[1])
        frames = head(layers.Concatenate()([lower, upper]) if joined else upper)
        forecasts.append(frames)
    made = keras.Model(rain, layers.Concatenate(axis=1)(forecasts))
    body = ours.get_layer("nowcast").body
    names = ("nowcast_dec1", "nowcast_dec2", "nowcast_head")
    same = [ours.get_layer("enc1"), ours.get_layer("enc2"), *map(body.get_layer, names)]
    pairs = list(zip([*cells, head], same, strict=True))
    for layer, own in pairs:
        layer.set_weights(own.get_weights())
    return made, pairs


@pytest.mark.parametrize("remat", [False, True])
def test_outputs_and_gradients_are_those_of_layers_called_by_hand(remat: bool) -> None:
    ours = model(remat=remat)
    theirs, pairs = by_hand(ours)
    np.testing.assert_allclose(run(ours, RAIN), run(theirs, RAIN), atol=1e-5)
    for made in (ours, theirs):
        made.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=EAGER, jit_compile="auto")
        made.train_on_batch(RAIN, TRUTH)
    for layer, own in pairs:
        for got, wanted in zip(own.get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_the_head_may_read_every_level() -> None:
    ours = model(head_input="all")
    np.testing.assert_allclose(run(ours, RAIN), run(by_hand(ours, joined=True)[0], RAIN), atol=1e-5)


def test_states_in_order_or_by_id() -> None:
    swapped = SPEC.replace("dec1, layer: ConvLSTM2D, filters: 2", "dec1, layer: ConvLSTM2D, filters: 3")
    swapped = swapped.replace("dec2, layer: ConvLSTM2D, filters: 3", "dec2, layer: ConvLSTM2D, filters: 2")
    ours = model(swapped, states="in_order")
    wanted = run(by_hand(ours, mirrored=False)[0], RAIN)
    np.testing.assert_allclose(run(ours, RAIN), wanted, atol=1e-5)
    np.testing.assert_allclose(run(model(swapped, states={"dec1": "enc1", "dec2": "enc2"}), RAIN), wanted, atol=1e-5)
    zeros = build_graph(SPEC, overrides={f"{SETTINGS}.states": {"dec1": "none", "dec2": "enc1"}}).nodes[-1]
    assert [str(port) for port in zeros.initial_state] == ["enc1.state.h", "enc1.state.c"]


def test_with_the_truth_it_is_a_decoder_that_reads_the_frame_before() -> None:
    taught = model(teacher=True, sampling={"schedule": "constant"})
    text = SPEC.replace("{rain: [4, 6, 6, 1]}", "{rain: [4, 6, 6, 1], before: [3, 6, 6, 1]}")
    text = text.replace("feed: feedback\n      horizon: 3", "feed: before").replace(
        "id: nowcast", "id: nowcast\n    from: rain"
    )
    forced = build_model(text)
    forced.set_weights(taught.get_weights())
    before = np.concatenate([RAIN[:, -1:], TRUTH[:, :2]], axis=1)
    np.testing.assert_allclose(run(taught, RAIN, TRUTH, training=True), run(forced, RAIN, before), atol=1e-5)
    np.testing.assert_allclose(run(taught, RAIN, TRUTH), run(model(), RAIN), atol=1e-6)
    taught.compile("sgd", "mse", run_eagerly=EAGER, jit_compile="auto")
    assert np.isfinite(taught.train_on_batch([RAIN, TRUTH], TRUTH))


def test_its_mirror_image_and_a_bidirectional_encoder() -> None:
    text = SPEC.replace(
        "      decoder: [{id: dec1, layer: ConvLSTM2D, filters: 2}, {id: dec2, layer: ConvLSTM2D, filters: 3}]\n", ""
    ).replace("{id: enc1, layer: ConvLSTM2D, filters: 3}", "{id: enc1, bidirectional: {layer: ConvLSTM2D, filters: 3}}")
    graph = build_graph(text)
    node = graph.nodes[-1]
    assert node.body is not None
    assert [(inner.id, inner.state.get("h")) for inner in node.body.given.nodes] == [
        ("nowcast_enc2_mirror", (6, 6, 2)),
        ("nowcast_enc1_mirror", (6, 6, 6)),
        ("nowcast_head", None),
    ]
    assert [str(port) for port in node.initial_state] == [
        "enc2.state.h",
        "enc2.state.c",
        "nowcast_enc1_h",
        "nowcast_enc1_c",
    ]
    assert run(model(text), RAIN).shape == (2, 3, 6, 6, 1)


def test_it_is_plain_nodes_that_save_import_and_resolve(tmp_path: Path) -> None:
    made = model()
    wanted = run(made, RAIN)
    save(made, tmp_path / "model.keras")
    np.testing.assert_array_equal(run(keras.models.load_model(tmp_path / "model.keras"), RAIN), wanted)
    resolved = load_spec(SPEC).resolved()
    assert load_spec(resolved).resolved() == resolved
    imported = import_model(tmp_path / "model.keras").text
    assert "initial_state: {dec1: enc2, dec2: enc1}" in imported
    for text in (resolved, imported):
        again = build_model(text)
        again.load_weights(tmp_path / "model.keras")
        np.testing.assert_array_equal(run(again, RAIN), wanted)


def test_it_is_frozen_reused_and_repeated_like_any_composite() -> None:
    encoder, rest = SPEC.split("layers:\n")
    text = f"""{encoder}blocks:
  forecaster:
    do:
{"".join(f"    {line}" + chr(10) for line in rest.rstrip().splitlines())}layers:
  - {{id: one, block: forecaster, from: rain}}
  - {{id: two, reuse: one, from: rain}}
  - {{id: three, block: forecaster, from: rain, trainable: false}}
outputs: [one, two, three]
"""
    graph = build_graph(text)
    alone = build_graph(SPEC)
    assert (graph.parameters, graph.trainable_parameters) == (2 * alone.parameters, alone.parameters)
    made = build_model(text)
    first, second, third = (np.asarray(part) for part in made.predict_on_batch(RAIN))
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.abs(first - third).max() > 0
    resolved = load_spec(text).resolved()
    again = build_graph(resolved)
    assert [(n.id, n.inputs, n.initial_state, n.shares) for n in again.nodes] == [
        (n.id, n.inputs, n.initial_state, n.shares) for n in graph.nodes
    ]


def test_a_decoder_reads_covariates() -> None:
    text = SPEC.replace("{rain: [4, 6, 6, 1]}", "{rain: [4, 6, 6, 1], uv: [3, 6, 6, 2], relief: [6, 6, 1]}")
    text = text.replace("decoder: [", "decoder: [{layer: Concatenate, from: [input, wind, height]}, ")
    text = text.replace(
        "      feed: feedback", "      covariates: {wind: uv}\n      static: {height: relief}\n      feed: feedback"
    )
    text = text.replace("id: nowcast", "id: nowcast\n    from: rain")
    made = model(text)
    wind = np.random.default_rng(3).normal(size=(2, 3, 6, 6, 2)).astype("float32")
    other = wind.copy()
    other[:, 2] += 1
    given = np.ones((2, 6, 6, 1), "float32")
    changed = np.abs(run(made, RAIN, wind, given) - run(made, RAIN, other, given)).max(axis=(0, 2, 3, 4)) > 0
    assert changed.tolist() == [False, False, True]
