"""Which port a bare id means, and what follows for Keras's flags."""

from __future__ import annotations

from typing import Any

import pytest

from specbuild import SpecError, build_graph
from specbuild.graph import Graph

CONV = {"layer": "ConvLSTM2D", "filters": 4, "kernel_size": 3, "padding": "same"}


def graph(*layers: dict[str, Any], outputs: Any = None, shape: Any = (5, 8, 8, 1)) -> Graph:
    spec = {"specbuild": 1, "inputs": {"x": list(shape)}, "layers": list(layers)}
    return build_graph(spec | ({"outputs": outputs} if outputs else {}))


def flags(built: Graph, name: str) -> tuple[bool, bool]:
    node = next(node for node in built.nodes if node.id == name)
    return node.return_sequences, node.return_state


def test_a_sequence_reader_gets_every_step() -> None:
    built = graph({"id": "a", **CONV}, {"id": "b", **CONV}, outputs=["b.last"])
    assert flags(built, "a") == (True, False)
    assert flags(built, "b") == (False, False)
    assert built.outputs[0].shape == (8, 8, 4)


def test_a_frame_reader_gets_the_last() -> None:
    built = graph({"id": "a", **CONV}, {"layer": "Conv2D", "filters": 1, "kernel_size": 1})
    assert flags(built, "a") == (False, False)
    assert built.outputs[0].shape == (8, 8, 1)


def test_the_need_passes_through_layers_that_keep_the_number_of_axes() -> None:
    built = graph(
        {"id": "a", **CONV},
        {"layer": "BatchNormalization"},
        {"layer": "Dropout", "rate": 0.1},
        {"id": "b", **CONV, "return_sequences": True},
    )
    assert flags(built, "a") == (True, False)


def test_a_merge_follows_the_branch_whose_axes_are_certain() -> None:
    built = graph({"id": "a", **CONV}, {"layer": "Concatenate", "from": ["x", "a"]})
    assert built.outputs[0].shape == (5, 8, 8, 5)


def test_a_passed_state_turns_return_state_on() -> None:
    built = graph({"id": "a", **CONV}, {"id": "b", **CONV, "from": "x", "initial_state": "a"}, outputs=["b.sequence"])
    assert flags(built, "a") == (False, True)
    assert flags(built, "b") == (True, False)


def test_every_step_and_the_last_together_need_the_state() -> None:
    built = graph({"id": "a", **CONV}, outputs={"all": "a.sequence", "end": "a.last"})
    assert flags(built, "a") == (True, True)


def test_the_cell_state_can_be_a_feature_map() -> None:
    built = graph({"id": "a", **CONV}, {"layer": "Conv2D", "filters": 2, "kernel_size": 3, "from": "a.state.c"})
    assert flags(built, "a") == (False, True)
    assert built.outputs[0].shape == (6, 6, 2)


def test_written_flags_are_obeyed() -> None:
    built = graph({"id": "a", **CONV, "return_sequences": True})
    assert built.outputs[0].shape == (5, 8, 8, 4)
    built = graph({"id": "a", **CONV, "return_sequences": False, "return_state": True})
    assert built.outputs[0].shape == (8, 8, 4)
    assert flags(built, "a") == (False, True)


def test_expect_decides_between_two_ports() -> None:
    built = graph({"id": "a", **CONV}, {"layer": "Activation", "activation": "relu", "expect": [8, 8, 4]})
    assert flags(built, "a") == (False, False)


@pytest.mark.parametrize("written", [True, False])
def test_a_bare_port_that_fits_both_ways_is_refused(written: bool) -> None:
    named = {"id": "a"} if written else {}
    with pytest.raises(SpecError) as caught:
        graph({**named, **CONV}, {"layer": "Flatten"})
    (error,) = caught.value.diagnostics
    name = "a" if written else "conv_lstm2d"
    assert error.message == f"{name} could be every step or the last one: both fit Flatten"
    assert error.help == (
        "write from: a.sequence or from: a.last"
        if written
        else "write return_sequences: true or false on that ConvLSTM2D, or give it an id"
    )


def test_one_gru_state_needs_no_name() -> None:
    built = graph(
        {"id": "a", "layer": "GRU", "units": 3}, {"layer": "Dense", "units": 2, "from": "a.state"}, shape=(5, 2)
    )
    assert built.outputs[0].shape == (2,)
