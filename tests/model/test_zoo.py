"""The published models: their exact sizes, that they train, and that a saved one is the same elsewhere.

Sizes are those of the originals. Everything that computes does so on small variants of the same specs, since what a
variant changes are lengths and widths alone. PredRNN++ has its layer normalization as well, without which the products
of its gates vanish at small widths.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.catalog import KerasObject
from specbuild.catalog.signatures import Family
from specbuild.document import Report
from specbuild.graph import Graph, check
from specbuild.graph.summary import summarize
from specbuild.model.backend import keras
from specbuild.model.objects import to_keras
from specbuild.training.losses import output_loss
from tests.model.recurrences import numbers
from tests.tools import tool

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "specs" / "zoo"
zoo_docs = tool("zoo_docs")


@dataclass(frozen=True)
class Published:
    """A model's parameters, trained ones and others, and the variables of a small variant."""

    trainable: int
    others: int = 0
    small: dict[str, Any] = field(default_factory=dict)


_TINY = {"past": 3, "future": 2, "size": 16, "kernel": 3}
_TINY_FRAMES = {"past": 3, "future": 2, "height": 16, "width": 16, "kernel": 3}
_TINY_CELLS = {"past": 3, "future": 2, "height": 16, "width": 16, "filters": 2}
_TINY_RADAR = {"past": 2, "future": 3, "size": 30, "f": 2, "low": 3, "high": 4}
_TINY_CLIP = {"frames": 3, "size": 16, "classes": 3, "dropout": 0}
_TINY_SIMVP = {"frames": 2, "height": 16, "width": 16, "spatial": 4, "hidden": 6, "blocks": 3, "ratio": 2}
_TINY_PHYDNET = {"filters": 4, "widths": [3, 4], "derivatives": 6, "groups": 2, "derivative_groups": 3}
_TINY_SWIN = {
    "past": 2,
    "future": 2,
    "size": 32,
    "width": 4,
    "window": 2,
    "places": [0, 1],
    "down": [2, 2],
    "down_heads": [2, 4],
    "up": [2, 2],
    "up_heads": [4, 2],
}

ZOO: dict[str, Published] = {
    "anomaly_autoencoder": Published(1_958_209, small={"frames": 3, "size": 16, "wide": 6, "narrow": 4}),
    "bcdu_net": Published(20_659_973, 896, {"size": 16, "f": 4}),
    "cnn_convlstm": Published(134_634, small={**_TINY_CLIP, "widths": [2, 3], "filters": 4}),
    "cnn_lstm": Published(118_378, small={**_TINY_CLIP, "widths": [2, 3], "units": 4}),
    "e3dlstm": Published(51_347_456, small={**_TINY_CELLS, "cells": 2}),
    "keras_next_frame": Published(746_433, 256, {"frames": 3, "size": 8, "filters": 4}),
    "keras_next_frame_causal": Published(746_433, 256, {"frames": 3, "size": 8, "filters": 4}),
    "mau": Published(4_475_329, small={**_TINY_FRAMES, "filters": 3, "tau": 2, "cells": 2}),
    "mim": Published(37_945_344, small={**_TINY_FRAMES, "filters": 3}),
    "openstl_convlstm_l": Published(26_115_072, small={**_TINY_FRAMES, "widths": [4, 3, 3]}),
    "openstl_convlstm_s": Published(11_675_648, small={**_TINY_FRAMES, "widths": [3, 2]}),
    "phydnet": Published(3_091_732, small={**_TINY_FRAMES, **_TINY_PHYDNET}),
    "predrnn": Published(23_838_720, small={**_TINY_FRAMES, "widths": [3, 3]}),
    "predrnnpp": Published(35_307_520, small={**_TINY_CELLS, "cells": 3, "kernel": 3, "norm": True}),
    "predrnnv2": Published(23_838_720, small={**_TINY_FRAMES, "widths": [3, 3]}),
    "shi2015_1layer": Published(13_524_496, small={**_TINY, "widths": [6]}),
    "shi2015_1layer_no_peephole": Published(13_522_960, small={**_TINY, "widths": [6]}),
    "shi2015_2layers": Published(10_042_896, small={**_TINY, "widths": [4, 3]}),
    "shi2015_2layers_no_peephole": Published(10_041_360, small={**_TINY, "widths": [4, 3]}),
    "shi2015_3layers": Published(7_585_296, small={**_TINY, "widths": [4, 3, 2]}),
    "shi2015_3layers_no_peephole": Published(7_583_760, small={**_TINY, "widths": [4, 3, 2]}),
    "shi2015_radar": Published(896_260, small={**_TINY, "widths": [4, 3]}),
    "shi2017_convgru": Published(13_648_297, small=_TINY_RADAR),
    "shi2017_convlstm": Published(11_316_841, small=_TINY_RADAR),
    "simvp_gsta": Published(46_769_665, 16_896, _TINY_SIMVP),
    "swinlstm_d": Published(18_845_409, 64, _TINY_SWIN),
    "tau": Published(44_656_001, 16_896, {**_TINY_SIMVP, "squeezed": 3}),
    "unet_convlstm_lanes": Published(51_148_226, 7_936, {"frames": 2, "height": 16, "width": 32, "f": 2}),
}

WARNED = {"keras_next_frame": {"unbounded-recurrence"}}
"""What check says of a model, and the spec accepts, as it is so in the original."""
ON_JAX = ("shi2015_2layers", "openstl_convlstm_s")
"""Models that are loaded on the other backend as well, which takes seconds to make each."""
BATCH = 2

models = pytest.mark.parametrize("name", ZOO)


def spec(name: str) -> Path:
    return FOLDER / f"{name}.yaml"


def test_every_model_is_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(ZOO)


@models
def test_check_warns_of_what_the_original_does_alone(name: str) -> None:
    report = Report()
    check(spec(name), report=report)
    assert {one.code for one in report} == WARNED.get(name, set())
    assert report.warnings == ()


# Sizes


@models
def test_the_summary_has_the_parameters_of_the_original(name: str) -> None:
    published, graph = ZOO[name], build_graph(spec(name))
    summary = summarize(graph, batch=1)
    assert summary.trainable_parameters == published.trainable
    assert summary.parameters == published.trainable + published.others
    said = zoo_docs.facts(spec(name))["parameters"]
    assert zoo_docs.number(said) == zoo_docs.counted(graph, said)


@models
def test_keras_has_them_too(name: str) -> None:
    published = ZOO[name]
    model = build_model(build_graph(spec(name), overrides=CHEAP.get(name, {})))
    assert model.count_params() == published.trainable + published.others
    assert sum(int(np.prod(one.shape)) for one in model.trainable_weights) == published.trainable
    weights = [weight.shape for node in build_graph(spec(name)).nodes for weight in node.weights]
    assert sorted(tuple(one.shape) for one in model.weights) == sorted(weights)
    keras.backend.clear_session()


CHEAP = {
    name: {f"defaults.{'STLSTM2D' if name.startswith('predrnn') else 'ConvLSTM2D'}.recurrent_initializer": "zeros"}
    for name in ZOO
    if name.startswith(("shi2015", "openstl", "unet", "predrnn"))
}
"""Orthogonal matrices of this size take seconds each; no count depends on them."""


def test_the_top_of_a_forecaster_has_no_input_kernel() -> None:
    """The published count of the ConvLSTM of HKO-7 has one of 3 × 3 × 192 × 4 · 192, fed with zeros alone."""
    top = next(node for node in build_graph(spec("shi2017_convlstm")).nodes if node.id == "dec3")
    assert [weight.name for weight in top.weights] == ["recurrent_kernel", "bias"]
    assert ZOO["shi2017_convlstm"].trainable + 9 * 192 * 4 * 192 == 12_643_945
    assert "12,643,945" in zoo_docs.facts(spec("shi2017_convlstm"))["parameters"]


def test_the_scores_are_those_of_the_feedback_alone() -> None:
    """OpenSTL's four cells are called in turn; the weights that it counts beyond these are of layers never called."""
    (node,) = build_graph(spec("openstl_convlstm_s")).nodes
    patches, width = 16, 128
    cells = [25 * (channels + width) * 4 * width for channels in (patches, width, width, width)]
    assert sum(cells) + width * patches == node.parameters == ZOO["openstl_convlstm_s"].trainable


def test_the_page_is_fresh() -> None:
    assert zoo_docs.PAGE.read_text("utf-8") == zoo_docs.page(), "run python tools/zoo_docs.py --write"


# Small variants, trained and saved


@dataclass(frozen=True)
class Trained:
    """A small variant after three steps on one batch: its losses, and what it gives for the batch."""

    losses: list[float]
    y: np.ndarray[Any, Any]
    other: np.ndarray[Any, Any]
    """What it gives for the batch with light and dark exchanged."""


@cache
def small(name: str) -> Graph:
    return build_graph(spec(name), overrides={f"vars.{key}": value for key, value in ZOO[name].small.items()})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """Models that are trained when a test first asks for them."""
    yield Models(tmp_path_factory.mktemp("zoo"))
    keras.backend.clear_session()


class Models(dict[str, Trained]):
    """Models trained and saved as `<name>.keras`, with what they give in `<name>.npz`.

    Each is trained when it is first asked for: several processes that share the tests of this module do not all train
    every model.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Trained:
        self[name] = train_and_save(name, self.folder)
        return self[name]


def train_and_save(name: str, folder: Path) -> Trained:
    keras.utils.set_random_seed(1)
    graph = small(name)
    model = build_model(graph, teacher=True)
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(BATCH, *graph.inputs[0].shape)).astype("float32")
    target = targets(graph, x, rng)
    loss = output_loss(graph.spec, graph.outputs[0].name, made, weighted=False, transform=None)
    model.compile(optimizer=to_keras(graph.spec.train.optimizer, "optimizers"), loss=loss)
    model.run_eagerly = True
    true = [rng.uniform(size=(BATCH, *one.shape[1:])).astype("float32") for one in model.inputs[1:]]
    given = [x, *true] if true else x
    losses = [float(model.train_on_batch(given, target)) for _ in range(3)]
    if true:  # what trains reads the true frames besides; what is kept does not
        trained, model = model, build_model(graph)
        model.set_weights(trained.get_weights())
    y, other = np.split(numbers(model(np.concatenate([x, 1 - x]), training=False)), 2)
    model.save(folder / f"{name}.keras")
    np.savez(folder / f"{name}.npz", x=x, y=y)
    return Trained(losses, y, other)


def made(item: KerasObject, family: Family, *place: str | int) -> Any:  # noqa: ARG001 - nothing is refused here
    return to_keras(item, family)


def targets(graph: Graph, x: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """What a model is asked for: classes, masks, the clip itself or numbers, as its loss takes them."""
    (output,) = graph.outputs
    shape = (BATCH, *(length or 0 for length in output.shape))
    loss = graph.spec.train.loss_of(output.name)
    assert loss is not None
    if loss.name == "sparse_categorical_crossentropy":
        return rng.integers(shape[-1], size=shape[:-1])
    if loss.name == "binary_crossentropy":
        return (rng.uniform(size=shape) < 0.3).astype("float32")
    return x if shape == x.shape else rng.uniform(size=shape).astype("float32")


@models
def test_three_steps_lower_the_loss_and_the_frames_reach_the_output(name: str, trained: Models) -> None:
    """Of a forecaster's layers nothing but the states that are passed on comes from the frames."""
    found = trained[name]
    assert np.isfinite(found.losses).all()
    assert found.losses[2] < found.losses[1] < found.losses[0]
    assert found.y.shape == (BATCH, *small(name).outputs[0].shape)
    assert not np.allclose(found.y, found.other, atol=1e-6)


LOAD = """\
import json, sys
import numpy as np
import specbuild.model
from specbuild.model.backend import keras

apart = {}
for name in sys.argv[2:]:
    saved = np.load(f"{sys.argv[1]}/{name}.npz")
    model = keras.models.load_model(f"{sys.argv[1]}/{name}.keras")
    x = np.concatenate([saved["x"], 1 - saved["x"]])  # as many as there: rounding depends on the batch
    y = model.predict(x, verbose=0) if keras.backend.backend() == "jax" else model(x, training=False)
    apart[name] = float(np.abs(np.asarray(y)[: len(saved["y"])] - saved["y"]).max())
print(json.dumps(apart))
"""


@pytest.mark.parametrize(
    ("backend", "names", "tolerance"),
    [(keras.backend.backend(), tuple(ZOO), 1e-6), ("jax", ON_JAX, 1e-5)],
    ids=["the same backend", "jax"],
)
def test_it_is_the_same_in_another_process(
    backend: str, names: tuple[str, ...], tolerance: float, trained: Models
) -> None:
    assert {name for name in names if trained[name].losses} == set(names)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(trained.folder), *names],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    apart = json.loads(done.stdout.splitlines()[-1])
    assert set(apart) == set(names)
    assert {name: one for name, one in apart.items() if not one <= tolerance} == {}
