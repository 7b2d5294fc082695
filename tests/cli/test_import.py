"""`specbuild import` as a user runs it: what it prints, and what it refuses, word for word."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from specbuild import build_model, load_spec
from specbuild.cli import main
from specbuild.model.backend import keras

L = keras.layers


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["import", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def small() -> Any:
    x = keras.Input((4, 3), name="x")
    return keras.Model(x, L.Dense(2, name="head")(L.LSTM(5, name="rnn")(x)), name="small")


SMALL = """\
specbuild: 1
name: small

inputs:
  x: [4, 3]

layers:
  - {id: rnn, layer: LSTM, units: 5}
  - {id: head, layer: Dense, from: rnn.last, units: 2}

outputs: [head]
"""


def test_it_prints_a_spec(folder: Path) -> None:
    small().save(folder / "model.keras")
    result = run("model.keras")
    assert (result.exit_code, result.stdout, result.stderr) == (0, SMALL, "")
    assert build_model(result.stdout).count_params() == small().count_params()


def test_it_writes_a_file(folder: Path) -> None:
    (folder / "model.json").write_text(small().to_json(), "utf-8")
    result = run("model.json", "-o", "model.yaml")
    assert (result.exit_code, result.stdout) == (0, "wrote model.yaml\n")
    assert load_spec(folder / "model.yaml").name == "small"
    assert (folder / "model.yaml").read_text("utf-8") == SMALL


def test_it_replaces_a_file_only_if_told_to(folder: Path) -> None:
    (folder / "model.json").write_text(small().to_json(), "utf-8")
    (folder / "model.yaml").write_text("mine", "utf-8")
    result = run("model.json", "-o", "model.yaml")
    assert result.exit_code == 2
    assert "Error: model.yaml exists already; --force replaces it" in result.stderr
    assert (folder / "model.yaml").read_text("utf-8") == "mine"
    assert run("model.json", "-o", "model.yaml", "--force").stdout == "wrote model.yaml\n"
    assert (folder / "model.yaml").read_text("utf-8") == SMALL


def test_a_whole_model_in_hdf5(folder: Path) -> None:
    with h5py.File(folder / "model.h5", "w") as file:
        file.attrs["model_config"] = small().to_json()
        file.attrs["keras_version"] = "3.0.0"
    assert run("model.h5").stdout == SMALL


def test_notes_go_beside_the_spec(folder: Path) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(folder / "model.keras")
    result = run("model.keras")
    note = "the dtype policy mixed_float16 is left out; train: {precision: bfloat16} trains with mixed precision"
    assert result.stderr == f"note: {note}\n"
    assert result.stdout == f"# {note}\n{SMALL}"


# Files that are no model


def archive(path: Path, **files: str) -> None:
    with zipfile.ZipFile(path, "w") as made:
        for name, text in files.items():
            made.writestr(f"{name}.json", text)


def broken(path: Path) -> None:
    archive(path, config=json.dumps({"class_name": "Functional"} | {"padding": "x" * 500}))
    path.write_bytes(path.read_bytes()[:300])


def weights(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["layers"] = np.zeros(3)


def saved_model(path: Path) -> None:
    path.mkdir()
    (path / "saved_model.pb").touch()


FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda _: None, "error: there is no file model.x\n"),
    "a folder": (Path.mkdir, "error: model.x is a folder, not a file\n"),
    "a SavedModel": (
        saved_model,
        "error: model.x is a folder, not a file\n  | a SavedModel holds operations, not layers\n"
        "  = help: in Python, load the model and call model.save('model.keras')\n",
    ),
    "empty": (Path.touch, "error: model.x is not a Keras model\n"),
    "a spec": (
        lambda path: path.write_text("specbuild: 1\n", "utf-8"),
        "error: model.x is not a Keras model\n  | it is neither a .keras archive, nor HDF5, nor JSON\n"
        "  = help: name a file that model.save('model.keras') or model.to_json() wrote\n",
    ),
    "a broken archive": (
        broken,
        "error: model.x is a broken archive\n  | File is not a zip file\n"
        "  = help: copy the file again, or save the model again\n",
    ),
    "another archive": (
        lambda path: archive(path, other="{}"),
        "error: model.x is not a Keras model\n  | the archive holds no config.json\n",
    ),
    "an archive of text": (
        lambda path: archive(path, config="layers"),
        "error: the configuration in model.x is not JSON\n  | Expecting value: line 1 column 1 (char 0)\n",
    ),
    "weights alone": (
        weights,
        "error: model.x holds weights and no model\n"
        "  = help: in Python, load the model and call model.save('model.keras')\n",
    ),
    "other JSON": (
        lambda path: path.write_text('{"a": 1}', "utf-8"),
        "error: model.x holds no model that Keras wrote\n  | the class_name of a layer is not text\n",
    ),
    "JSON without an end": (
        lambda path: path.write_text('{"a": ' * 100_000, "utf-8"),
        "error: the configuration in model.x is nested too deeply\n",
    ),
}


@pytest.mark.parametrize(("make", "message"), FILES.values(), ids=FILES)
def test_what_is_no_model(make: Callable[[Path], Any], message: str, folder: Path) -> None:
    make(folder / "model.x")
    result = run("model.x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)


# Models that a spec cannot say


class Doubled(L.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return 2 * x


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.head = L.Dense(2)

    def call(self, x: Any) -> Any:
        return self.head(x)


def twice(x: Any) -> Any:
    return 2 * x


def one(layer: Any, shape: tuple[int, ...] = (4, 3), **call: Any) -> Any:
    x = keras.Input(shape, name="x")
    return keras.Model(x, layer(x, **call))


def subclassed() -> Any:
    model = Subclassed()
    model(np.zeros((1, 3)))
    return model


def two_states() -> Any:
    x = keras.Input((4, 3), name="x")
    rnn = L.GRU(3, name="rnn")
    y = L.Dense(3, name="start")(L.Flatten(name="flat")(x))
    return keras.Model(x, [rnn(x, initial_state=y), rnn(x)])


def own_mask() -> Any:
    x, mask = keras.Input((4, 3), name="x"), keras.Input((4,), dtype="bool", name="mask")
    return keras.Model([x, mask], L.LSTM(2, name="rnn")(x, mask=mask))


MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "a Lambda": (
        lambda: one(L.Lambda(twice, output_shape=(4, 3), name="twice")),
        "error: twice is a Lambda, which a spec cannot say\n --> model.keras  twice\n"
        "  | it holds Python code, which a spec cannot\n"
        "  = help: use a layer that computes it: Rescaling, Slice, Gather, Reshape, Permute, ExpandDims, RepeatFrame, "
        "Stack, Add, Multiply or Activation; or write a layer of your own and name its module with --plugin\n",
    ),
    "a class of a user": (
        lambda: one(Doubled(name="mine")),
        "error: mine is of the class Doubled, which is not a Keras layer\n --> model.keras  mine\n"
        "  | what it computes stands in the code that made the model, not in the file\n",
    ),
    "a subclassed model": (
        subclassed,
        "error: the model is a Subclassed, whose layers are not in the file\n --> model.keras  Subclassed\n"
        "  | a subclassed model keeps its wiring in Python code\n"
        "  = help: build the model with keras.Sequential or keras.Model(inputs, outputs), and save it again\n",
    ),
    "a function as activation": (
        lambda: one(L.Dense(2, activation=twice, name="head")),
        'error: head (Dense) has the Python function "twice" as its activation, which a spec cannot say\n',
    ),
    "an operation": (
        lambda: one(lambda x: keras.ops.cumsum(x, axis=1)),
        "error: cumsum is the operation Cumsum, which a spec cannot say\n",
    ),
    "a cell": (
        lambda: one(L.RNN(L.LSTMCell(3), name="rnn")),
        "error: rnn is a RNN, which a spec cannot say\n --> model.keras  rnn\n"
        "  | it takes or is a cell of a recurrence\n  = help: take LSTM, GRU, SimpleRNN or a ConvLSTM\n",
    ),
    "two directions of their own": (
        lambda: one(
            L.Bidirectional(L.LSTM(2), backward_layer=L.LSTM(2, go_backwards=True, activation="relu"), name="both")
        ),
        "error: the two directions of both are different layers, which a spec cannot express\n",
    ),
    "directions apart": (
        lambda: one(lambda x: L.Bidirectional(L.LSTM(2), merge_mode=None, name="both")(x)[0]),
        "error: both (Bidirectional) cannot be said by a spec\n --> model.keras  both\n"
        "  | expected concat, sum, mul or ave, got null\n",
    ),
    "dropout in use": (
        lambda: one(L.Dropout(0.3, name="drop"), training=True),
        "error: drop is called with training=True, which a spec cannot say\n",
    ),
    "a mask by hand": (own_mask, "error: rnn is called with a mask of its own, which a spec cannot say\n"),
    "a state in one call of two": (
        two_states,
        "error: rnn starts from a passed state in one call and from zero in another\n",
    ),
    "no input shape": (
        lambda: keras.Sequential([L.Dense(3)], name="open"),
        "error: open does not say the shape of its input\n --> model.keras  input\n"
        "  | it was saved before it met any data\n"
        "  = help: call model.build((None, …)) with the shape of a batch, and save it again\n",
    ),
}


@pytest.mark.filterwarnings("ignore")  # Keras warns of what cannot be loaded again
@pytest.mark.parametrize(("make", "message"), MODELS.values(), ids=MODELS)
def test_what_a_spec_cannot_say(make: Callable[[], Any], message: str, folder: Path) -> None:
    make().save(folder / "model.keras")
    result = run("model.keras")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)


def test_every_fault_is_named(folder: Path) -> None:
    x = keras.Input((3,))
    model = keras.Model(x, Doubled(name="second")(Doubled(name="first")(x)))
    (folder / "model.json").write_text(model.to_json(), "utf-8")
    stderr = run("model.json").stderr
    assert [line for line in stderr.splitlines() if line.startswith("error")] == [
        f"error: {name} is of the class Doubled, which is not a Keras layer" for name in ("first", "second")
    ]
    assert stderr.endswith("2 errors\n")


# Custom layers


PLUGIN = """\
import keras

@keras.saving.register_keras_serializable(package="import_test")
class Scale(keras.layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
"""


@pytest.fixture
def plugin(folder: Path) -> Iterator[str]:
    (folder / "import_test_layers.py").write_text(PLUGIN, "utf-8")
    yield "import_test_layers"
    sys.modules.pop("import_test_layers", None)
    keras.saving.get_custom_objects().pop("import_test>Scale", None)


def test_a_registered_layer_needs_its_plugin(folder: Path, plugin: str) -> None:
    config = {"class_name": "Sequential", "module": "keras", "config": {"name": "scaled", "layers": []}}
    config["config"]["layers"] = [  # type: ignore[index]
        {"class_name": "InputLayer", "module": "keras.layers", "config": {"batch_shape": [None, 3], "name": "x"}},
        {
            "class_name": "Scale",
            "module": "import_test_layers",
            "registered_name": "import_test>Scale",
            "config": {"name": "scale", "trainable": True, "dtype": "float32", "factor": 2.5},
        },
    ]
    (folder / "model.json").write_text(json.dumps(config), "utf-8")
    result = run("model.json")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "error: scale is of the class import_test>Scale, which no plugin has registered\n --> model.json  scale\n"
        "  | what it computes stands in the code that made the model, not in the file\n"
        "  = help: name the module that registers it: --plugin import_test\n"
    )
    result = run("model.json", "--plugin", plugin)
    assert result.exit_code == 0
    assert "  - {id: scale, layer: import_test>Scale, factor: 2.5}\n" in result.stdout
