"""Custom layers: registered by a module that the caller names, never by the spec."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from specbuild import SpecError, build_graph, build_model, load_spec
from specbuild.cli import main
from specbuild.model.backend import keras
from tests.test_imports import VERB, last_lines

MODULE = '''\
"""Layers of a user."""

import keras


@keras.saving.register_keras_serializable(package="{package}")
class Scale(keras.layers.Layer):
    """One learned factor a channel."""

    def __init__(self, power, gamma_initializer="ones", **kwargs):
        super().__init__(**kwargs)
        self.power = power
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def build(self, input_shape):
        self.gamma = self.add_weight(shape=(input_shape[-1],), initializer=self.gamma_initializer, name="gamma")

    def call(self, inputs):
        return inputs * self.gamma**self.power

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        initializer = keras.initializers.serialize(self.gamma_initializer)
        return {{**super().get_config(), "power": self.power, "gamma_initializer": initializer}}


@keras.saving.register_keras_serializable(package="{package}")
class Blend(keras.layers.Layer):
    """Two tensors as two arguments."""

    def call(self, first, second):
        return first - second


@keras.saving.register_keras_serializable(package="{package}")
class Once(keras.layers.Layer):
    """Does not say what shape it gives."""

    def call(self, inputs):
        return inputs


@keras.saving.register_keras_serializable(package="{package}")
class Pair(keras.layers.Layer):
    """Gives two tensors."""

    def call(self, inputs):
        return inputs, inputs


@keras.saving.register_keras_serializable(package="{package}")
def double(x):
    return 2 * x
'''
SPEC = """\
specbuild: 1
inputs: {x: [4, 8, 8, 3]}
layers:
  - {id: scale, layer: "PACKAGE>Scale", power: 2, gamma_initializer: {name: constant, value: 3}}
  - {id: frames, time_distributed: {layer: "PACKAGE>Scale", power: 1, trainable: false}}
  - {id: blend, layer: "PACKAGE>Blend", from: [frames, scale]}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """A module of its own for each test, in the working directory, and its package; both are forgotten afterwards."""
    name = f"layers_{abs(hash(request.node.name)):x}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(package=name), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield name
    sys.modules.pop(name, None)
    registered = keras.saving.get_custom_objects()
    for key in [key for key in registered if key.startswith(f"{name}>")]:
        del registered[key]


def message(spec: str, plugins: tuple[str, ...] = ()) -> tuple[str, str, str, str]:
    with pytest.raises(SpecError) as caught:
        build_graph(spec, plugins=plugins)
    (one,) = caught.value.diagnostics
    return one.message, one.reason, one.help, one.path


def test_built_with_its_module_saved_and_loaded(package: str, tmp_path: Path) -> None:
    spec = SPEC.replace("PACKAGE", package)
    graph = build_graph(spec, plugins=[package])
    assert graph.resolved_by_keras == ("scale", "frames", "blend")
    assert graph.outputs[0].shape == (4, 8, 8, 3)
    assert (graph.parameters, graph.trainable_parameters) == (6, 3)
    model = build_model(spec)
    x = np.random.default_rng(0).random((2, 4, 8, 8, 3), "float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), 9 * x - 9 * x)
    assert len(model.trainable_weights) == 1
    model.save(tmp_path / "model.keras")
    keras.models.load_model(tmp_path / "model.keras")
    assert build_model(load_spec(spec).resolved()).to_json() == model.to_json()


def test_every_door_takes_plugins(package: str) -> None:
    spec = SPEC.replace("PACKAGE", package)
    assert load_spec(spec, plugins=[package]).layers[0].layer.kind == f"{package}>Scale"
    assert build_model(spec, plugins=[package]).count_params() == 6


def test_on_the_command_line(package: str) -> None:
    Path("spec.yaml").write_text(SPEC.replace("PACKAGE", package), "utf-8")
    result = CliRunner().invoke(main, ["check", "--plugin", package])
    assert result.output.splitlines() == [
        "spec.yaml: ok (3 layers, 6 parameters)",
        "resolved through Keras: scale, frames, blend",
    ]
    assert CliRunner().invoke(main, ["summary", "--plugin", package]).exit_code == 0


def test_without_it_the_package_is_unknown(package: str) -> None:
    assert message(SPEC.replace("PACKAGE", package).split("  - {id: frames")[0]) == (
        f'{package}>Scale is unknown: no plugin has registered the package "{package}"',
        "a spec alone never imports a module",
        f"name the module that registers it: --plugin {package}, or plugins=[…] in Python",
        "layers.scale",
    )
    assert package not in sys.modules


def test_a_spec_alone_runs_no_module(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("print('imported')", "utf-8")
    spec = tmp_path / "spec.yaml"
    spec.write_text('specbuild: 1\ninputs: {x: [3]}\nlayers: [{layer: "evil>Layer"}]\n', "utf-8")
    lines = last_lines(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})" + VERB.format(arguments=["check", str(spec)])
    )
    assert "imported" not in lines
    assert lines[-2] == "exit code: 2"


def test_what_does_not_fit_its_class(package: str) -> None:
    def spec(node: str) -> str:
        return f"specbuild: 1\ninputs: {{x: [8, 3]}}\nlayers:\n  - {{id: a, layer: '{package}>{node}}}\n"

    plugins = (package,)
    assert message(spec("Scale', powr: 2"), plugins) == (
        f'{package}>Scale has no argument "powr"',
        "",
        'did you mean "power"?',
        "layers.a.powr",
    )
    assert message(spec("Scale'"), plugins)[:1] == (f"{package}>Scale needs power",)
    assert message(spec("Scael', power: 2"), plugins) == (
        f'{package}>Scael is unknown: the package "{package}" has no layer "Scael"',
        "",
        'did you mean "Scale"?',
        "layers.a",
    )
    assert message(spec("double'"), plugins)[0] == f"{package}>double is not a layer"
    assert message(spec("Pair'"), plugins)[0] == f"{package}>Pair gives 2 tensors; a node of a spec gives one"
    on_frames = (
        f"specbuild: 1\ninputs: {{x: [8, 3]}}\nlayers:\n  - {{id: a, time_distributed: {{layer: '{package}>Once'}}}}\n"
    )
    assert message(on_frames, plugins) == (
        f"{package}>Once cannot stand in time_distributed",
        "Keras asks it for its output's shape there, and its class does not say",
        "give the class a method compute_output_shape(self, input_shape)",
        "layers.a.time_distributed",
    )
    assert message(spec("Scale', power: 2, gamma_initializer: he_norml"), plugins)[0] == (
        'no initializer is called "he_norml"; did you mean "he_normal"?'
    )


def test_modules_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_layers.py").write_text("raise ValueError('not today')", "utf-8")
    (tmp_path / "fine_layers.py").write_text("", "utf-8")
    spec = "specbuild: 1\ninputs: {x: [8, 3]}\nlayers: [{layer: Flatten}]\n"
    assert message(spec, ("no_such_layers",)) == (
        'there is no module "no_such_layers" to load as a plugin',
        "it is looked for where Python looks, and in the working directory",
        "",
        "",
    )
    assert message(spec, ("fine_layers.py",))[2] == "name it as Python imports it: fine_layers"
    assert message(spec, ("broken_layers",)) == (
        "the plugin broken_layers cannot be imported",
        "ValueError: not today",
        "",
        "",
    )


@pytest.mark.parametrize("verb", ["check", "summary", "train", "evaluate", "predict"])
def test_every_verb_that_reads_a_spec_takes_plugins(verb: str) -> None:
    assert "--plugin MODULE" in CliRunner().invoke(main, [verb, "--help"]).output
