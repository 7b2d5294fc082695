"""From Keras to a spec and back: the same layers, weights and outputs, and text that a person would write."""

from __future__ import annotations

import copy
import json
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild import SpecError, build_graph, build_model
from specbuild.model.backend import keras
from specbuild.model.importing import import_model
from specbuild.model.keras_internals import without_memory
from tests.model.test_importing_feedback import PATCHES

ROOT = Path(__file__).parents[2]
SPECS = sorted([*(ROOT / "specs").glob("*.yaml"), *(ROOT / "tests" / "real_models").glob("*.yaml")])
NESTED = ("all_states", "per_frame_conv_by_hand", "regularized", "stateful", "volume_bidirectional")
SPECS += [ROOT / "specs" / "tutorials" / f"{name}.yaml" for name in NESTED]
SPECS += [ROOT / "specs" / "zoo" / f"{name}.yaml" for name in ("anomaly_autoencoder", "cnn_convlstm", "shi2015_radar")]
L = keras.layers


@pytest.fixture(autouse=True)
def _fresh_names() -> None:
    keras.backend.clear_session()


def as_json(model: Any, folder: Path) -> Path:
    path = folder / "model.json"
    path.write_text(model.to_json(), "utf-8")
    return path


def kinds(model: Any) -> Counter[str]:
    return Counter(type(layer).__name__ for layer in model.layers)


def shapes(model: Any) -> list[Any]:
    return [tuple(one.shape) for one in keras.tree.flatten(model.outputs)]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_comes_back(path: Path, tmp_path: Path) -> None:
    # Shapes and names are compared, no numbers; the states that a stateful layer keeps are needed to build it.
    with nullcontext() if path.stem == "stateful" else without_memory():
        model = build_model(path)
        again = build_model(import_model(as_json(model, tmp_path)).text)
    assert kinds(again) == kinds(model)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert again.count_params() == model.count_params()
    assert shapes(again) == shapes(model)
    assert [one.name for one in again.inputs] == [one.name for one in model.inputs]
    assert [tuple(one.shape) for one in again.weights] == [tuple(one.shape) for one in model.weights]


# Models as tutorials write them


def next_frame() -> Any:
    return keras.Sequential(
        [
            L.Input((None, 12, 12, 1)),
            L.ConvLSTM2D(4, (3, 3), padding="same", return_sequences=True, activation="relu"),
            L.BatchNormalization(),
            L.ConvLSTM2D(4, (3, 3), padding="same", return_sequences=True, activation="relu"),
            L.BatchNormalization(),
            L.Conv3D(1, (3, 3, 3), activation="sigmoid", padding="same"),
        ],
        name="next_frame",
    )


NEXT_FRAME = """\
specbuild: 1
name: next_frame

inputs:
  input_layer: [null, 12, 12, 1]

layers:
  - {layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same, activation: relu}
  - {layer: BatchNormalization}
  - {layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same, activation: relu}
  - {layer: BatchNormalization}
  - {id: conv3d, layer: Conv3D, filters: 1, kernel_size: 3, padding: same, activation: sigmoid}

outputs: [conv3d]
"""


def encoder_decoder() -> Any:
    frames, first = keras.Input((4, 8, 8, 1), name="frames"), keras.Input((2, 8, 8, 1), name="first")
    _, h, c = L.ConvLSTM2D(3, 3, padding="same", return_state=True, name="enc")(frames)
    y = L.ConvLSTM2D(3, 3, padding="same", return_sequences=True, name="dec")(first, initial_state=[h, c])
    y = L.TimeDistributed(L.Conv2D(1, 1, kernel_regularizer=keras.regularizers.L2(1e-4)), name="head")(y)
    return keras.Model([frames, first], y, name="seq2seq")


ENCODER_DECODER = """\
specbuild: 1
name: seq2seq

inputs:
  frames: [4, 8, 8, 1]
  first: [2, 8, 8, 1]

layers:
  - {id: enc, layer: ConvLSTM2D, from: frames, filters: 3, kernel_size: 3, padding: same}
  - {id: dec, layer: ConvLSTM2D, from: first, filters: 3, kernel_size: 3, padding: same, initial_state: enc}
  - {id: head, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1,
     kernel_regularizer: {name: l2, l2: 0.0001}}}

outputs: [head]
"""


def bidirectional() -> Any:
    x = keras.Input((5, 3), name="x")
    y = L.Bidirectional(L.LSTM(4, return_sequences=True, name="lstm"), merge_mode="sum", name="both")(x)
    y = L.Bidirectional(L.GRU(2, name="gru"), name="end")(y)
    return keras.Model(x, L.Dense(1, activation="sigmoid", name="dense")(y), name="tagger")


BIDIRECTIONAL = """\
specbuild: 1
name: tagger

inputs:
  x: [5, 3]

layers:
  - {id: both, bidirectional: {layer: LSTM, units: 4}, merge_mode: sum}
  - {id: end, bidirectional: {layer: GRU, units: 2}}
  - {id: dense, layer: Dense, from: end.last, units: 1, activation: sigmoid}

outputs: [dense]
"""


def shared_encoder() -> Any:
    encoder = keras.Sequential(
        [L.Input((8, 8, 1)), L.Conv2D(3, 3, name="conv"), L.GlobalAveragePooling2D(name="pool")], name="encoder"
    )
    left, right = keras.Input((8, 8, 1), name="left"), keras.Input((8, 8, 1), name="right")
    scale = L.Dense(2, name="scale")
    y = L.Concatenate(name="join")([scale(encoder(left)), scale(encoder(right))])
    return keras.Model([left, right], y, name="siamese")


SHARED_ENCODER = """\
specbuild: 1
name: siamese

inputs:
  left: [8, 8, 1]
  right: [8, 8, 1]

layers:
  - {id: encoder_conv, layer: Conv2D, from: left, filters: 3, kernel_size: 3}
  - {id: encoder_pool, layer: GlobalAveragePooling2D}
  - {id: scale, layer: Dense, units: 2}
  - {id: encoder_2_conv, reuse: encoder_conv, from: right}
  - {id: encoder_2_pool, reuse: encoder_pool}
  - {id: scale_2, reuse: scale}
  - {id: join, layer: Concatenate, from: [scale, scale_2]}

outputs: [join]
"""


def video_classifier() -> Any:
    """A network with a branch on every frame, as CNN-LSTM tutorials wrap it."""
    image = keras.Input((8, 8, 1), name="image")
    wide = L.Conv2D(2, 3, padding="same", name="wide")(image)
    joined = L.Concatenate(axis=3, name="join")([image, wide])
    cnn = keras.Model(image, L.Flatten(name="flat")(joined), name="cnn")
    clip = keras.Input((4, 8, 8, 1), name="clip")
    y = L.TimeDistributed(cnn, name="frames")(clip)
    y = L.LSTM(3, name="lstm")(y)
    return keras.Model(clip, L.Dense(2, activation="softmax", name="label")(y), name="video")


VIDEO_CLASSIFIER = """\
specbuild: 1
name: video

inputs:
  clip: [4, 8, 8, 1]

layers:
  - {id: frames_wide, time_distributed: {layer: Conv2D, filters: 2, kernel_size: 3, padding: same}}
  - {id: frames_join, layer: Concatenate, from: [clip, frames_wide], axis: 4}
  - {id: frames_flat, time_distributed: {layer: Flatten}}
  - {id: lstm, layer: LSTM, units: 3}
  - {id: label, layer: Dense, from: lstm.last, units: 2, activation: softmax}

outputs: [label]
"""


def operations() -> Any:
    x = keras.Input((4, 3), name="x")
    y = keras.ops.log1p(keras.ops.clip(x * 2.0 - 1, 0, 5))
    y = L.Dense(3, name="dense", activation=L.LeakyReLU(negative_slope=0.3))(y)
    y = (1 - y) / 4
    y = keras.ops.leaky_relu(x + y, 0.1)
    return keras.Model(x, {"end": y[:, -1], "mean": keras.ops.mean(y[:, 1:], axis=1)}, name="arithmetic")


OPERATIONS = """\
specbuild: 1
name: arithmetic

inputs:
  x: [4, 3]

layers:
  - {id: multiply, layer: Rescaling, scale: 2.0}
  - {id: subtract, layer: Rescaling, scale: 1, offset: -1}
  - {layer: Clip, min: 0, max: 5}
  - {id: log1p, layer: Elementwise, function: log1p}
  - {layer: Dense, units: 3, activation: {name: leaky_relu, negative_slope: 0.3}}
  - {id: subtract_1, layer: Rescaling, scale: -1, offset: 1}
  - {id: true_divide, layer: Rescaling, scale: 0.25}
  - {layer: Add, from: [x, true_divide]}
  - {id: leaky_relu, layer: Activation, activation: {name: leaky_relu, negative_slope: 0.1}}
  - {id: get_item, layer: LastFrame}
  - {id: get_item_1, layer: Slice, from: leaky_relu, axis: 1, start: 1}
  - {id: mean, layer: Reduce, function: mean, axis: 1}

outputs: {end: get_item, mean: mean}
"""

TUTORIALS: dict[str, tuple[Callable[[], Any], str]] = {
    "a Sequential next-frame model": (next_frame, NEXT_FRAME),
    "an encoder-decoder with states": (encoder_decoder, ENCODER_DECODER),
    "both directions": (bidirectional, BIDIRECTIONAL),
    "a shared encoder": (shared_encoder, SHARED_ENCODER),
    "a network on every frame": (video_classifier, VIDEO_CLASSIFIER),
    "arithmetic on tensors": (operations, OPERATIONS),
}


@pytest.mark.parametrize(("make", "text"), TUTORIALS.values(), ids=TUTORIALS)
def test_the_text(make: Callable[[], Any], text: str, tmp_path: Path) -> None:
    assert import_model(as_json(make(), tmp_path)).text == text


@pytest.mark.parametrize("make", [make for make, _ in TUTORIALS.values()], ids=TUTORIALS)
def test_the_same_outputs(make: Callable[[], Any], tmp_path: Path) -> None:
    model = make()
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=one.shape) for one in model.get_weights()])
    model.save(tmp_path / "model.keras")
    again = build_model(import_model(tmp_path / "model.keras").text)
    assert again.count_params() == model.count_params()
    again.set_weights(model.get_weights())
    frames = [rng.normal(size=(2, *(n or 3 for n in one.shape[1:]))).astype("float32") for one in model.inputs]
    given = frames if len(frames) > 1 else frames[0]
    for ours, theirs in zip(keras.tree.flatten(again(given)), keras.tree.flatten(model(given)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_weights_of_the_file_load(tmp_path: Path) -> None:
    model = encoder_decoder()
    model.save(tmp_path / "model.keras")
    again = build_model(import_model(tmp_path / "model.keras").text)
    again.load_weights(tmp_path / "model.keras")
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# What a spec says otherwise, or leaves out


def imported(model: Any, folder: Path) -> str:
    return import_model(as_json(model, folder)).text


def layers(text: str) -> list[str]:
    """The lines of the layers."""
    return [line.strip(" -") for line in text.partition("layers:\n")[2].partition("\noutputs")[0].splitlines()]


def test_inputs_keep_their_dtype_and_batch(tmp_path: Path) -> None:
    month, frame = keras.Input((), batch_size=2, dtype="int32", name="month"), keras.Input((3, 4), 2, name="frame")
    y = L.GRU(4, stateful=True, name="gru")(frame)
    y = L.Add(name="sum")([y, L.Embedding(12, 4, name="embed")(month)])
    text = imported(keras.Model([month, frame], y), tmp_path)
    assert "  month: {shape: [], dtype: int32, batch: 2}\n  frame: {shape: [3, 4], batch: 2}\n" in text
    assert "{id: gru, layer: GRU, from: frame, units: 4, stateful: true}" in layers(text)
    model = build_model(text)
    assert [(one.shape, one.dtype) for one in model.inputs] == [((2,), "int32"), ((2, 3, 4), "float32")]


def test_states_in_another_order_are_named(tmp_path: Path) -> None:
    x = keras.Input((4, 3), name="x")
    y, h, c = L.LSTM(2, return_sequences=True, return_state=True, name="enc")(x)
    y = L.LSTM(2, name="dec")(y, initial_state=[c, h])
    text = imported(keras.Model(x, [y, h]), tmp_path)
    assert layers(text) == [
        "{id: enc, layer: LSTM, units: 2}",
        "{id: dec, layer: LSTM, units: 2, initial_state: {h: enc.state.c, c: enc.state.h}}",
    ]
    assert text.endswith("outputs: [dec.last, enc.state.h]\n")


def test_what_layers_have_in_common_is_a_default(tmp_path: Path) -> None:
    stack = [L.ConvLSTM2D(f, 3, padding="same", return_sequences=True, name=f"rnn{f}") for f in (4, 8, 12)]
    text = imported(keras.Sequential([L.Input((4, 8, 8, 1), name="x"), *stack]), tmp_path)
    assert "defaults:\n  ConvLSTM2D: {kernel_size: 3, padding: same}\n" in text
    assert layers(text)[0] == "{id: rnn4, layer: ConvLSTM2D, filters: 4}"


def test_frozen_layers_and_models_stay_frozen(tmp_path: Path) -> None:
    base = keras.Sequential([L.Input((4,)), L.Dense(3, name="one"), L.Dropout(0.5, name="drop")], name="base")
    base.trainable = False
    x = keras.Input((4,), name="x")
    model = keras.Model(x, L.Dense(1, name="head")(base(x)))
    text = imported(model, tmp_path)
    assert layers(text)[:2] == [
        "{id: base_one, layer: Dense, units: 3, trainable: false}",
        "{id: base_drop, layer: Dropout, rate: 0.5}",
    ]
    assert len(build_model(text).trainable_weights) == len(model.trainable_weights) == 2


def test_names_that_cannot_be_ids_are_cleaned(tmp_path: Path) -> None:
    x = keras.Input((4,), name="1st input")
    y = L.Dense(2, name="down.conv-1")(x)
    z = L.Dense(2, name="down conv-1")(y)
    text = imported(keras.Model(x, [y, z, L.Add(name="null")([y, z])], name="no: $5"), tmp_path)
    graph = build_graph(text)
    assert [one.id for one in (*graph.inputs, *graph.nodes)] == ["_1st_input", "down_conv-1", "down_conv-1_2", "null"]
    assert graph.name == "no: $5"


def test_mixed_precision_is_left_to_training(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = keras.Sequential([L.Input((4,)), L.Dense(2), L.Activation("softmax", dtype="float32")])
    finally:
        keras.config.set_dtype_policy("float32")
    done = import_model(as_json(model, tmp_path))
    note = "the dtype policy mixed_bfloat16 is left out; train: {precision: bfloat16} trains with mixed precision"
    assert done.notes == (note,)
    assert done.text.startswith(f"# {note}\nspecbuild: 1\n")
    assert "dtype" not in "".join(layers(done.text))


def test_a_model_at_rest_in_training_is_noted(tmp_path: Path) -> None:
    base = keras.Sequential([L.Input((4,)), L.BatchNormalization()], name="base")
    x = keras.Input((4,))
    (note,) = import_model(as_json(keras.Model(x, base(x, training=False)), tmp_path)).notes
    assert note.startswith("base is called with training=False, which a spec cannot say")


def test_the_layers_of_specbuild_come_back(tmp_path: Path) -> None:
    spec = (
        "specbuild: 1\ninputs: {x: [4, 8, 8, 2]}\nlayers:\n  - {id: patches, layer: SpaceToDepth, block_size: 2}\n"
        "  - {id: rnn, layer: ConvLSTM2D, filters: 2, kernel_size: 3, activation: {name: elu, alpha: 0.1}}\n"
        "  - {id: again, layer: RepeatFrame, from: rnn.last, times: 3}\n"
    )
    assert layers(imported(build_model(spec), tmp_path)) == layers(spec + "\noutputs")


def test_layers_without_a_rule_of_their_own(tmp_path: Path) -> None:
    x = keras.Input((6, 4), name="x")
    y = L.MultiHeadAttention(2, 3, name="attend")(x, x)
    text = imported(keras.Model(x, L.CenterCrop(2, 2, name="crop")(L.Reshape((6, 4, 1), name="image")(y))), tmp_path)
    assert layers(text) == [
        "{id: attend, layer: MultiHeadAttention, from: [x, x], num_heads: 2, key_dim: 3, attention_axes: [1]}",
        "{id: image, layer: Reshape, target_shape: [6, 4, 1]}",
        "{id: crop, layer: CenterCrop, height: 2, width: 2}",
    ]


def test_a_mask_that_follows_from_a_layer_is_not_written(tmp_path: Path) -> None:
    x = keras.Input((5, 3), name="x")
    y = L.Bidirectional(L.LSTM(2, return_sequences=True), name="both")(L.Masking(1.0, name="skip")(x))
    model = keras.Model(x, L.LSTM(2, name="end")(y))
    text = imported(model, tmp_path)
    assert layers(text) == [
        "{id: skip, layer: Masking, mask_value: 1.0}",
        "{id: both, bidirectional: {layer: LSTM, units: 2}}",
        "{id: end, layer: LSTM, units: 2}",
    ]
    again = build_model(text)
    again.set_weights(model.get_weights())
    steps = np.array([[[1, 1, 1], [2, 0, 1], [1, 1, 1], [0, 1, 1], [3, 1, 1]]], "float32")
    np.testing.assert_allclose(again(steps), model(steps), atol=1e-6)


# The notation of Keras 2


def old_layer(kind: str, name: str, config: dict[str, Any], *reads: list[Any]) -> dict[str, Any]:
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
        "inbound_nodes": [[[*read, {}] for read in reads]] if reads else [],
    }


OLD = {
    "class_name": "Functional",
    "config": {
        "name": "model",
        "layers": [
            old_layer("InputLayer", "x", {"batch_input_shape": [None, 5, 3], "sparse": False, "ragged": False}),
            old_layer(
                "LSTM",
                "enc",
                {"units": 2, "return_state": True, "recurrent_activation": "hard_sigmoid", "time_major": False},
                ["x", 0, 0],
            ),
            old_layer(
                "LSTM",
                "dec",
                {"units": 2, "implementation": 2, "return_sequences": True},
                ["x", 0, 0],
                ["enc", 0, 1],
                ["enc", 0, 2],
            ),
            old_layer("BatchNormalization", "norm", {"axis": [2]}, ["dec", 0, 0]),
            old_layer("LeakyReLU", "leaky", {"alpha": 0.10000000149011612}, ["norm", 0, 0]),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["leaky", 0, 0]],
    },
    "keras_version": "2.11.0",
    "backend": "tensorflow",
}


def test_the_notation_of_keras_2(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(OLD), "utf-8")
    done = import_model(path)
    assert layers(done.text) == [
        "{id: enc, layer: LSTM, units: 2, recurrent_activation: hard_sigmoid}",
        "{id: dec, layer: LSTM, from: x, units: 2, initial_state: enc}",
        "{id: norm, layer: BatchNormalization, from: dec.sequence, axis: 2}",
        "{id: leaky, layer: LeakyReLU, negative_slope: 0.1}",
    ]
    assert done.notes == (
        "enc: hard_sigmoid of Keras 2 is clip(0.2 x + 0.5, 0, 1), that of Keras 3 clip(x / 6 + 0.5, 0, 1); "
        "outputs of weights trained with Keras 2 differ",
    )


def test_a_config_without_its_class(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(OLD["config"]), "utf-8")
    assert len(build_graph(import_model(path).text).nodes) == 4


def old_sequential() -> dict[str, Any]:
    """A next-frame model as Keras 2 wrote it: the shape of the input stands in the first layer."""
    frames = {"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "return_sequences": True}
    return {
        "class_name": "Sequential",
        "config": {
            "name": "sequential",
            "layers": [
                old_layer("ConvLSTM2D", "a", {"batch_input_shape": [None, None, 8, 8, 1], **frames}),
                old_layer("BatchNormalization", "norm", {"axis": [4], "momentum": 0.99, "epsilon": 0.001}),
                old_layer("Conv3D", "input", {"filters": 1, "kernel_size": [3, 3, 3], "padding": "same"}),
            ],
        },
        "keras_version": "2.2.4-tf",
        "backend": "tensorflow",
    }


def test_a_sequential_of_keras_2_without_an_input_layer(tmp_path: Path) -> None:
    """As JSON, HDF5 and an archive, and in the notation before 2.2.3; a layer may have the name of our input."""
    config = old_sequential()
    older = {**config, "config": config["config"]["layers"]}
    (tmp_path / "model.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "older.json").write_text(json.dumps(older), "utf-8")
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "2.2.4-tf"
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.12.0"}))
    for name in ("model.json", "older.json", "model.h5", "model.keras"):
        text = import_model(tmp_path / name).text
        assert "  input_0: [null, 8, 8, 1]\n" in text
        assert layers(text) == [
            "{id: a, layer: ConvLSTM2D, filters: 4, kernel_size: 3, padding: same}",
            "{id: norm, layer: BatchNormalization, axis: 4}",
            "{id: input, layer: Conv3D, filters: 1, kernel_size: 3, padding: same}",
        ]
    assert build_model(text).count_params() == 4 * 4 * (9 * 5 + 1) + 4 * 4 + 27 * 4 + 1


def test_where_a_sequential_keeps_the_shape_of_its_input(tmp_path: Path) -> None:
    """In the model that is its first layer, in what it was built for, or in what its first layer was."""
    dense = old_layer("Dense", "a", {"units": 3, "activation": "relu"})
    sized = old_layer("Dense", "a", {"units": 3, "batch_input_shape": [None, 4]})

    def sequential(*inside: Any, **more: Any) -> dict[str, Any]:
        return {"class_name": "Sequential", "config": {"name": "s", "layers": [*inside], **more}}

    shapes = {
        "nested": sequential(sequential(sized), old_layer("Dense", "b", {"units": 2})),
        "the model": sequential(dense, build_input_shape=[None, 4]),
        "the layer": sequential({**dense, "build_config": {"input_shape": [None, 4]}}),
    }
    model = keras.Sequential([L.Dense(3, name="a")])
    model.build((None, 4))
    shapes["Keras 3"] = json.loads(model.to_json())
    for name, config in shapes.items():
        (tmp_path / "model.json").write_text(json.dumps(config), "utf-8")
        (x,) = build_graph(import_model(tmp_path / "model.json").text).inputs
        assert x.shape == (4,), name
    (tmp_path / "model.json").write_text(json.dumps(sequential(dense)), "utf-8")
    with pytest.raises(SpecError, match="s does not say the shape of its input"):
        import_model(tmp_path / "model.json")


# Damaged files


class Configs(list[Any]):
    """Configurations of whole models, which no report of a test should print."""

    def __repr__(self) -> str:
        return f"{len(self)} configurations"


@pytest.fixture(scope="module")
def configs() -> Configs:
    models = [*(make() for make, _ in TUTORIALS.values()), build_model(PATCHES)]
    return Configs([*(json.loads(model.to_json()) for model in models), OLD])


JUNK = [None, True, -1, 3.5, "x", "", [], {}, [[1]], ["x", 0, 0], {"class_name": "function", "config": "f"}, 10**30]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_file_never_gives_a_traceback(
    configs: list[Any], tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = random.Random(seed)
    config = copy.deepcopy(rng.choice(configs))
    for _ in range(rng.randint(1, 3)):
        damage(config, rng)
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_text(json.dumps(config), "utf-8")
    try:
        text = import_model(path).text
    except SpecError:
        return
    build_graph(text)


def damage(value: Any, rng: random.Random) -> None:
    """Replaces or removes something, somewhere inside."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = rng.choice(keys)
        inner = value[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.85:
            value = inner
        elif rng.random() < 0.3:
            del value[key]
            return
        else:
            value[key] = copy.deepcopy(rng.choice(JUNK))
            return
        if not value:
            return
