"""The JSON Schema of the language: it takes what the loader takes, and refuses what it can tell is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from specbuild.catalog.registry import argument_names, kind_named, kind_names
from specbuild.document import parse, plain, read
from specbuild.language import load
from specbuild.language.forms import FORMS
from specbuild.language.schema import json_schema

ROOT = Path(__file__).parent.parent.parent
SPECS = [path for folder in ("specs", "tests/real_models") for path in sorted((ROOT / folder).rglob("*.yaml"))]
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
HEAD = "specbuild: 1\ninputs: {x: [4, 16, 16, 1]}\n"


def faults(text: str) -> list[str]:
    """Where the schema finds something wrong, as dotted paths."""
    found = VALIDATOR.iter_errors(plain(parse(text, "spec.yaml")))
    return sorted({".".join(map(str, one.absolute_path)) for one in found})


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_whole_specs_fit(spec: Path) -> None:
    found = VALIDATOR.iter_errors(plain(read(spec)[1]))
    assert [f"{list(one.absolute_path)}: {one.message}" for one in found] == []


def test_the_specs_of_the_documentation_fit() -> None:
    page = (ROOT / "docs" / "language.md").read_text("utf-8")
    specs = re.findall(r"```yaml\n(specbuild: 1.*?)```", page, re.DOTALL)
    assert len(specs) > 20
    assert [faults(spec) for spec in specs] == [[]] * len(specs)


def test_every_key_of_a_spec_and_every_form_of_node_is_there() -> None:
    assert set(SCHEMA["properties"]) == {*load.KEYS, "extends", "set"}
    assert {f"node:{key}" for key in FORMS} == {name for name in SCHEMA["definitions"] if name.startswith("node:")}


def test_every_layer_is_there_with_every_argument() -> None:
    for name in kind_names():
        cls = kind_named(name)
        assert cls is not None
        assert set(argument_names(cls) or ()) <= set(SCHEMA["definitions"][f"layer:{cls.__name__}"]["properties"])
    assert {"ConvLSTM2D", "MultiHeadAttention", "AvgPool2D"} <= set(kind_names())


@pytest.mark.parametrize("path", ["properties", "definitions"])
def test_everything_that_can_be_written_is_described(path: str) -> None:
    described = [name for name, one in SCHEMA[path].items() if "description" in one]
    bare = {"nodes", "node", "layer", "layer inside", "frame layer", "both ways", "declared block"}
    families = {name for name in SCHEMA[path] if name.islower() and name.endswith("s")}
    assert set(SCHEMA[path]) - set(described) <= bare | families | {"node:layer", "variable"}


NODES = [
    "{layer: ConvLSTM2D, filters: 8, kernel_size: 3}",
    "{layer: ConvLSTM2D, filters: $f, kernel_size: [3, $k + 1], strides: $s, padding: $p, use_bias: $b}",
    "{layer: ConvLSTM2D, padding: same}",  # filters may come from defaults
    "{id: 'enc_$f', layer: Conv3D, filters: 8, kernel_size: 3, from: x, expect: [4, null, $n, 8]}",
    "{layer: Add, from: [a, b.sequence, c.state.h]}",
    "{layer: ConvLSTM2D, initial_state: enc, activation: relu}",
    "{layer: ConvLSTM2D, initial_state: {h: a.last, c: b}, activation: {name: leaky_relu, negative_slope: $slope}}",
    "{layer: Dense, units: 3, kernel_regularizer: {name: l2, l2: 1e-4}, activation: null}",
    "{layer: Dense, units: 3, activation: my_package>swish}",
    "{layer: my_package>MyLayer, anything: {at: all}}",
    "{layer: AdaptiveAveragePooling2D, output_size: [2, 2]}",
    "{layer: AvgPool2D, pool_size: $k}",
    "{layer: MultiHeadAttention, num_heads: 2, key_dim: 8, output_shape: [3], from: [a, a]}",
    "{application: MobileNetV2, include_top: false, weights: null, from: x}",
    "{time_distributed: {layer: Conv2D, filters: 8, kernel_size: 3}, id: a, from: x}",
    "{time_distributed: [{layer: Conv2D, filters: 8, kernel_size: 3}, {id: b, layer: Flatten}]}",
    "{time_distributed: {bidirectional: {layer: LSTM, units: 3}, merge_mode: sum}}",
    "{time_distributed: {time_distributed: {layer: Dense, units: 3}}}",
    "{bidirectional: {layer: LSTM, units: 3}, merge_mode: $mode}",
    "{repeat: $n, as: i, do: [{layer: Conv2D, filters: $i * 8, kernel_size: 3}]}",
    "{for: {f: [8, 16], k: $kernels}, do: [{layer: Conv2D, filters: $f, kernel_size: $k}], trainable: false}",
    "{branch: {a: [{layer: Flatten}], b: []}, merge: Concatenate}",
    "{branch: {a: [{layer: Flatten}], b: []}, merge: {layer: Concatenate, axis: 1}, id: join}",
    "{residual: [{layer: Dense, units: 3}], shortcut: [{layer: Dense, units: 3}], merge: {layer: Add}}",
    "{residual: [{layer: Dense, units: 3}], projection: [{layer: Dense, units: 3}], when: $deep}",
    "{layer: Dense, units: 3, when: {shapes_differ: [x, a.last]}}",
    "{block: stem, with: {f: 32, act: relu}, from: [a, b]}",
    "{model: encoder.yaml, vars: {filters: $f}, from: x, trainable: false}",
    "{reuse: encoder, from: other, id: again}",
    "{encoder_decoder: {encoder: [{layer: GRU, units: 3}], horizon: $n}, id: nowcast, from: x, trainable: false}",
    "{encoder_decoder: {encoder: [{layer: GRU, units: 3}], decoder: mirrored, feed: {repeat: a.last}, horizon: 3}}",
    "{encoder_decoder: {encoder: [{layer: GRU, units: 3}], decoder: [{layer: GRU, units: 3}], feed: truth, "
    "states: {b: a, c: none}, head: [{layer: Dense, units: 1}], head_input: all}}",
]
SECTIONS = [
    "vars: {a: 1, b: $a * 2, c: [1, 2], d: relu}",
    "defaults: {ConvLSTM2D: {padding: same, filters: $f}}",
    "blocks: {stem: {parameters: {f: int, k: 3, a: {type: str, default: relu}}, inputs: [x], do: [], output: end}}",
    "outputs: [a, b.last]",
    "outputs: {rain: a, wind: b}",
    "outputs: a",
    "train: {optimizer: {name: Adam, learning_rate: 1e-3, clipnorm: $clip}, loss: mse, metrics: [mae], epochs: $n}",
    "train: {optimizer: {name: Adam, learning_rate: {name: CosineDecay, initial_learning_rate: 1, decay_steps: 9}}}",
    "train: {loss: {sum: [mse, {name: ssim, data_range: [0, $m], weight: 0.1}]}, lead_weights: [1, $w]}",
    "train: {loss: {a: {sum: [mae]}, b: balanced_mse}, lead_weights: {a: [1, 2]}}",
    "train: {early_stopping: null, checkpoints: {keep: 2}, precision: auto}",
    "data: {source: {path: a.npz, layout: T H W}, windows: {past: $p, future: 2}, crop: [32, $c], "
    "transform: [log1p, {name: clip, min: 0}], missing: [1, 2], split: {train: 0.6, test: [3, $n]}}",
    "data: {source: {path: a.nc}, windows: {past: 2, future: $f}, inputs: {rain: past, "
    "place: {coordinates: [latitude]}, hours: {cycles: [day], frames: all}, "
    "top: {source: {path: t.nc, layout: {H: y, W: x}}, regrid: linear}, "
    "flow: {motion: true}}, targets: {a: future, b: {above: $t, frames: [1, 2], variables: [u]}}}",
    "evaluate: {thresholds: [0.5, $t]}",
]


@pytest.mark.parametrize("node", NODES)
def test_every_form_of_node_fits(node: str) -> None:
    assert faults(f"{HEAD}layers:\n  - {node}\n") == []


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_fits(section: str) -> None:
    assert faults(f"{HEAD}layers: []\n{section}\n") == []


def test_an_extending_spec_needs_no_more_than_its_base() -> None:
    assert faults("extends: base.yaml\nset: {vars.filters: 64}\n") == []
    assert faults("specbuild: 1\n") == [""]


WRONG = {
    "{layer: Conv2D, filters: 8, stride: 2}": "layers.0",
    "{layer: Conv2D, filters: many}": "layers.0.filters",
    "{layer: Conv2D, filters: -8}": "layers.0.filters",
    "{layer: Conv2D, filters: 1.5}": "layers.0.filters",
    "{layer: Conv2D, kernel_size: [3, 3, 3]}": "layers.0.kernel_size",
    "{layer: Conv2D, padding: smae}": "layers.0.padding",
    "{layer: Conv2D, use_bias: 1}": "layers.0.use_bias",
    "{layer: Conv2D, activation: rleu}": "layers.0.activation",
    "{layer: Conv2D, activation: {name: leaky_relu, slope: 1}}": "layers.0.activation",
    "{layer: Conv2D, initial_state: enc}": "layers.0",
    "{layer: Conv9D}": "layers.0.layer",
    "{layer: AdaptiveAveragePooling2D, size: 3}": "layers.0",
    "{layer: AvgPool2D, size: 3}": "layers.0",
    "{layer: Lambda}": "layers.0.layer",
    "{application: MobileNetV9}": "layers.0.application",
    "{id: a}": "layers.0",
    "{layer: Flatten, when: {shapes_differ: [a]}}": "layers.0.when",
    "{id: 3a, layer: Flatten}": "layers.0.id",
    "{from: a b, layer: Flatten}": "layers.0.from",
    "{layer: Flatten, repeat: 3}": "layers.0",
    "Flatten": "layers.0",
    "{time_distributed: {layer: Conv2D, from: a}}": "layers.0.time_distributed",
    "{time_distributed: {layer: Conv2D, stride: 2}}": "layers.0.time_distributed",
    "{bidirectional: {layer: LSTM}, units: 3}": "layers.0",
    "{repeat: 3}": "layers.0",
    "{repeat: 3, do: [{layer: Conv9D}]}": "layers.0.do.0.layer",
    "{branch: {a: [{layer: Conv9D}]}}": "layers.0.branch.a.0.layer",
    "{branch: {a: []}, merge: {layer: Conv9D}}": "layers.0.merge",
    "{branch: {a: []}, merge: {layer: Add, initial_state: a}}": "layers.0.merge",
}


@pytest.mark.parametrize(("node", "place"), WRONG.items())
def test_wrong_nodes_are_refused_where_they_are_wrong(node: str, place: str) -> None:
    assert place in faults(f"{HEAD}layers:\n  - {node}\n")


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ("tarin: {}", ""),
        ("train: {epoch: 3}", "train"),
        ("train: {epochs: three}", "train.epochs"),
        ("train: {optimizer: {name: Adam, lr: 1}}", "train.optimizer"),
        ("train: {loss: msee}", "train.loss"),
        ("data: {windows: {past: 1, future: 2}}", "data"),
        ("data: {source: {path: a.nc}, windows: {past: 1}, inputs: {x: pst}}", "data.inputs.x"),
        ("data: {source: {path: a.nc}, windows: {past: 1}, inputs: {x: {cycles: [hour]}}}", "data.inputs.x"),
        ("data: {source: {path: a.nc}, windows: {past: 1}, targets: {x: {beyond: 1}}}", "data.targets.x"),
        ("defaults: {Conv9D: {}}", "defaults"),
        ("defaults: {Conv2D: {id: a}}", "defaults.Conv2D"),
        ("vars: {a: {b: 1}}", "vars.a"),
        ("outputs: []", "outputs"),
        ("blocks: {stem: {}}", "blocks.stem"),
    ],
)
def test_wrong_sections_are_refused_where_they_are_wrong(section: str, place: str) -> None:
    assert place in faults(f"{HEAD}layers: []\n{section}\n")


def options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [inner for one in schema.get("anyOf", [schema]) for inner in (options(one) if "anyOf" in one else [one])]


def test_descriptions_tell_defaults() -> None:
    arguments = SCHEMA["definitions"]["layer:Conv2D"]["properties"]
    assert arguments["strides"]["description"] == "Step between kernel positions. Default: 1."
    assert arguments["use_bias"]["default"] is True
    assert arguments["filters"]["description"] == "Channels of the output. Required, here or under defaults."
    assert {"$ref": "#/definitions/variable"} in options(arguments["filters"])


def test_an_editor_offers_the_required_arguments_first() -> None:
    kind = SCHEMA["definitions"]["layer:ConvLSTM2D"]
    (snippet,) = kind["defaultSnippets"]
    assert list(snippet["body"]) == ["filters", "kernel_size"]
    assert list(kind["properties"])[:3] == ["layer", "filters", "kernel_size"]
    assert "defaultSnippets" not in SCHEMA["definitions"]["layer:LastFrame"]


@pytest.mark.parametrize("family", ["losses", "metrics", "optimizers", "activations", "schedules", "initializers"])
def test_every_name_is_described(family: str) -> None:
    names, *_ = SCHEMA["definitions"][family]["anyOf"]
    assert len(names["enum"]) == len(names["enumDescriptions"]) > 5
    assert all(names["enumDescriptions"])
    assert "description" not in SCHEMA["definitions"]["variable"]  # an editor would show it instead of the key's
