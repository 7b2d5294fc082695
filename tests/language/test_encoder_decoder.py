"""`encoder_decoder`: the plain nodes that it comes to. Its faults are in `docs/errors.md`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuild import SpecError, build_graph, load_spec
from specbuild.graph import Graph
from specbuild.graph.receptive_field import receptive_fields

HEAD = """specbuild: 1
inputs: {x: [4, 12, 12, 1]}
defaults:
  ConvLSTM2D: {kernel_size: 3, padding: same}
  ConvGRU2D: {kernel_size: 3, padding: same}
"""
TWO = """      encoder: [{id: enc1, layer: ConvLSTM2D, filters: 4}, {id: enc2, layer: ConvLSTM2D, filters: 8}]
      decoder: [{id: dec2, layer: ConvLSTM2D, filters: 8}, {id: dec1, layer: ConvLSTM2D, filters: 4}]
"""


def coder(body: str, head: str = HEAD, more: str = "") -> Graph:
    lines = "".join(f"      {line.strip()}\n" if ":" in line else line for line in body.strip().splitlines())
    return build_graph(f"{head}layers:\n  - id: n\n    encoder_decoder:\n{lines}{more}")


def wires(graph: Graph) -> dict[str, list[str]]:
    return {node.id: [str(port) for port in (*node.inputs, *node.initial_state)] for node in graph.nodes}


def weights(graph: Graph) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(node.id, weight.name, weight.shape) for node in graph.nodes for weight in node.weights]


def fault(body: str, head: str = HEAD) -> tuple[str, str, str]:
    with pytest.raises(SpecError) as caught:
        coder(body, head)
    (error,) = caught.value.diagnostics
    return error.message, error.reason, error.help


def test_unconditioned() -> None:
    graph = coder(f"{TWO}horizon: 3")
    assert wires(graph) == {
        "enc1": ["x"],
        "enc2": ["enc1.sequence"],
        "n_frame": ["enc2.last"],
        "n_steps": ["n_frame"],
        "dec2": ["n_steps", "enc2.state.h", "enc2.state.c"],
        "dec1": ["dec2.sequence", "enc1.state.h", "enc1.state.c"],
    }
    nodes = {node.id: node for node in graph.nodes}
    assert nodes["n_steps"].shape == (3, 12, 12, 1)  # one channel: nothing of it is read
    assert [weight.name for weight in nodes["dec2"].weights] == ["recurrent_kernel", "bias"]
    assert [output.shape for output in graph.outputs] == [(3, 12, 12, 4)]


@pytest.mark.parametrize(
    ("feed", "frame", "source", "channels"),
    [
        ("last", None, "enc2.last", 8),
        ("last_frame", "x", "n_frame", 1),
        ("{repeat: enc1}", None, "enc1.last", 4),
        ("{repeat: enc1.state.c}", None, "enc1.state.c", 4),
    ],
)
def test_one_frame_in_every_step(feed: str, frame: str | None, source: str, channels: int) -> None:
    graph = coder(f"{TWO}horizon: 3\nfeed: {feed}")
    assert wires(graph).get("n_frame") == ([frame] if frame else None)
    assert wires(graph)["n_steps"] == [source]
    assert wires(graph)["dec2"][0] == "n_steps"
    assert next(node for node in graph.nodes if node.id == "n_steps").shape == (3, 12, 12, channels)


def test_the_last_frame_of_an_encoder_that_ends_in_other_layers() -> None:
    body = TWO.replace("}]\n", "}, {time_distributed: {layer: Conv2D, filters: 3, kernel_size: 1}}]\n", 1)
    assert wires(coder(f"{body}horizon: 3\nfeed: last"))["n_frame"] == ["conv2d"]


def test_given_a_sequence() -> None:
    head = HEAD.replace("1]}", "1], y: [7, 12, 12, 2]}")
    graph = coder(f"{TWO.replace('ConvLSTM2D, filters: 4}', 'ConvLSTM2D, filters: 4, from: x}', 1)}feed: y", head)
    assert wires(graph)["dec2"] == ["y", "enc2.state.h", "enc2.state.c"]
    assert graph.outputs[0].shape == (7, 12, 12, 4)


@pytest.mark.parametrize(
    ("states", "filters", "expected"),
    [
        ("mirrored", (8, 4), {"dec2": "enc2", "dec1": "enc1"}),
        ("in_order", (4, 8), {"dec2": "enc1", "dec1": "enc2"}),
        ("{dec1: enc2, dec2: enc1}", (4, 8), {"dec2": "enc1", "dec1": "enc2"}),
        ("{dec1: none, dec2: enc2}", (8, 4), {"dec2": "enc2", "dec1": None}),
        ("none", (8, 4), {"dec2": None, "dec1": None}),
    ],
)
def test_states(states: str, filters: tuple[int, int], expected: dict[str, str | None]) -> None:
    body = TWO.replace("dec2, layer: ConvLSTM2D, filters: 8", f"dec2, layer: ConvLSTM2D, filters: {filters[0]}")
    body = body.replace("dec1, layer: ConvLSTM2D, filters: 4", f"dec1, layer: ConvLSTM2D, filters: {filters[1]}")
    graph = coder(f"{body}horizon: 3\nfeed: last\nstates: {states}")
    found = {node.id: [str(port) for port in node.initial_state] for node in graph.nodes if node.id in expected}
    assert found == {to: [f"{of}.state.h", f"{of}.state.c"] if of else [] for to, of in expected.items()}


def test_with_states_none_every_level_says_its_own() -> None:
    own = "dec2, initial_state: {h: enc2.state.c, c: enc2.last}, "
    graph = coder(f"{TWO.replace('dec2, ', own)}horizon: 3\nstates: none")
    assert wires(graph)["dec2"] == ["n_steps", "enc2.state.c", "enc2.last"]


def test_a_decoder_that_starts_from_another_level_has_frames_of_its_size() -> None:
    pooled = TWO.replace("4}, {id: enc2", "4}, {time_distributed: {layer: MaxPooling2D}}, {id: enc2")
    graph = coder(f"{pooled.replace('8}, {id: dec1', '4}, {id: dec1')}horizon: 2\nstates: {{dec2: enc1, dec1: none}}")
    assert wires(graph)["n_frame"] == ["enc1.last"]
    assert graph.outputs[0].shape == (2, 12, 12, 4)


SHI_2015 = """specbuild: 1
inputs: {x: [10, 16, 16, 16]}
defaults: {ConvLSTM2D: {kernel_size: 5, padding: same, peephole: %s}}
layers:
  - encoder_decoder:
      encoder: [%s]
      horizon: 10
      head: [{time_distributed: {layer: Conv2D, filters: 16, kernel_size: 1}}]
      head_input: all
"""


@pytest.mark.parametrize(
    ("filters", "plain", "peepholes"),
    [
        ((256,), 13_522_960, 13_524_496),
        ((128, 128), 10_041_360, 10_042_896),
        ((128, 64, 64), 7_583_760, 7_585_296),
    ],
)
def test_the_models_of_shi_2015_are_counted_as_published(filters: tuple[int, ...], plain: int, peepholes: int) -> None:
    """The forecaster is the mirror image of the encoder, without an input; the head reads every h of it."""
    levels = ", ".join(f"{{layer: ConvLSTM2D, filters: {count}}}" for count in filters)
    assert build_graph(SHI_2015 % ("none", levels)).parameters == plain
    graph = build_graph(SHI_2015 % ("per_channel", levels))
    assert graph.parameters == peepholes
    assert graph.outputs[0].shape == (10, 16, 16, 16)
    assert receptive_fields(graph)[graph.outputs[0].port.node]["x"][0].length == 10


def test_the_skeleton_of_shi_2017_is_counted_as_published() -> None:
    graph = build_graph(
        """specbuild: 1
inputs: {rain: [5, 480, 480, 1]}
defaults:
  ConvGRU2D: {kernel_size: 3, padding: same}
  Conv2D: {padding: same}
  Conv2DTranspose: {padding: same}
layers:
  - encoder_decoder:
      encoder:
        - {time_distributed: {layer: Conv2D, filters: 8, kernel_size: 7, strides: 5}}
        - {layer: ConvGRU2D, filters: 64, recurrent_kernel_size: 5}
        - {time_distributed: {layer: Conv2D, filters: 192, kernel_size: 5, strides: 3}}
        - {layer: ConvGRU2D, filters: 192, recurrent_kernel_size: 5}
        - {time_distributed: {layer: Conv2D, filters: 192, kernel_size: 3, strides: 2}}
        - {layer: ConvGRU2D, filters: 192}
      decoder:
        - {layer: ConvGRU2D, filters: 192}
        - {time_distributed: {layer: Conv2DTranspose, filters: 192, kernel_size: 4, strides: 2}}
        - {layer: ConvGRU2D, filters: 192, recurrent_kernel_size: 5}
        - {time_distributed: {layer: Conv2DTranspose, filters: 192, kernel_size: 5, strides: 3}}
        - {layer: ConvGRU2D, filters: 64, recurrent_kernel_size: 5}
        - {time_distributed: {layer: Conv2DTranspose, filters: 8, kernel_size: 7, strides: 5}}
      horizon: 20
      head:
        - {time_distributed: {layer: Conv2D, filters: 8, kernel_size: 3}}
        - {time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}
"""
    )
    assert graph.parameters == 13_648_297
    assert graph.outputs[0].shape == (20, 480, 480, 1)


def test_a_head_on_all_levels_of_a_decoder_with_channels_first() -> None:
    graph = coder(
        "encoder: [{layer: ConvLSTM2D, filters: 4}, {layer: ConvLSTM2D, filters: 6}]\nhorizon: 2\n"
        "head: [{time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1, data_format: channels_first}}]\n"
        "head_input: all",
        "specbuild: 1\ninputs: {x: [4, 1, 8, 6]}\n"
        "defaults: {ConvLSTM2D: {kernel_size: 3, padding: same, data_format: channels_first}}\n",
    )
    assert {node.id: node.shape for node in graph.nodes}["n_levels"] == (2, 10, 8, 6)
    assert {node.id: node.shape for node in graph.nodes}["n_frame"] == (1, 8, 6)
    assert graph.outputs[0].shape == (2, 1, 8, 6)


def test_the_mirror_image() -> None:
    graph = coder(
        """encoder:
        - {layer: BatchNormalization}
        - {id: down, time_distributed: {layer: Conv2D, filters: 3, kernel_size: 5, strides: 3, padding: same}}
        - {layer: LeakyReLU}
        - {id: one, layer: ConvGRU2D, filters: 4}
        - {layer: LayerNormalization, from: one.sequence}
        - {time_distributed: {layer: MaxPooling2D}}
        - {time_distributed: {layer: Conv2D, filters: 5, kernel_size: 3, padding: same}}
        - {id: two, layer: ConvGRU2D, filters: 6, recurrent_kernel_size: 5, go_backwards: true}
horizon: 2"""
    )
    after = [node for node in graph.nodes if node.id.endswith("_mirror")]
    assert [(node.id, node.layer.label, node.shape) for node in after] == [
        ("two_mirror", "ConvGRU2D", (2, 2, 2, 6)),
        ("conv2d_mirror", "TimeDistributed(Conv2D)", (2, 2, 2, 5)),
        ("max_pooling2d_mirror", "TimeDistributed(UpSampling2D)", (2, 4, 4, 5)),
        ("one_mirror", "ConvGRU2D", (2, 4, 4, 4)),
        ("layer_normalization_mirror", "LayerNormalization", (2, 4, 4, 4)),
        ("down_mirror", "TimeDistributed(Conv2DTranspose)", (2, 12, 12, 3)),
        ("leaky_re_lu_mirror", "LeakyReLU", (2, 12, 12, 3)),
    ]
    layer = after[0].layer
    assert (layer.recurrent_kernel_size, layer.go_backwards, layer.use_input) == ((5, 5), False, False)  # type: ignore[attr-defined]


def test_the_mirror_image_of_patches_and_of_vectors() -> None:
    graph = coder("encoder: [{layer: SpaceToDepth, block_size: 2}, {layer: ConvGRU2D, filters: 8}]\nhorizon: 3")
    assert graph.outputs[0].shape == (3, 12, 12, 2)
    graph = coder(
        "encoder: [{time_distributed: {layer: Dense, units: 6}}, {layer: LSTM, units: 5}, {layer: LSTM, units: 4}]\n"
        "horizon: 3\nfeed: last",
        "specbuild: 1\ninputs: {x: [8, 2]}\n",
    )
    assert [node.shape for node in graph.nodes] == [(8, 6), (8, 5), (4,), (3, 4), (3, 4), (3, 5), (3, 6)]


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        ("{layer: ConvLSTM2D, filters: 4, strides: 2}", "its strides make its state smaller than its frames"),
        ("{layer: ConvLSTM2D, filters: 4, padding: valid}", "padding: valid makes its state smaller than its frames"),
        (
            "{layer: ConvLSTM2D, filters: 4}, {layer: Conv3D, filters: 4, kernel_size: 3}",
            "only layers on every frame can be turned round; it reads the whole sequence",
        ),
        (
            "{time_distributed: {layer: Conv2D, filters: 4, kernel_size: 3, strides: 2, groups: 2}}, "
            "{layer: ConvLSTM2D, filters: 4}",
            "a transposed convolution has no groups",
        ),
        (
            "{time_distributed: {layer: ZeroPadding2D}}, {layer: ConvLSTM2D, filters: 4}",
            "a mirror image knows convolutions, pooling, Dense, SpaceToDepth, normalizations and activations",
        ),
        (
            "{id: e, layer: ConvLSTM2D, filters: 4}, {id: f, layer: ConvLSTM2D, filters: 4, from: x}",
            "the encoder is not a plain chain there",
        ),
        ("{id: e, layer: ConvLSTM2D, filters: 2}, {reuse: e, from: e.sequence}", "it has the weights of another"),
    ],
)
def test_what_has_no_mirror_image(encoder: str, reason: str) -> None:
    head = HEAD.replace("12, 1]", "12, 2]")
    assert fault(f"encoder: [{encoder}]\nhorizon: 3\nfeed: last", head)[1:] == (
        reason,
        "write the decoder of n out: decoder: […]",
    )


BOTH_WAYS = "encoder: [{id: e, bidirectional: {layer: ConvLSTM2D, filters: 4}, merge_mode: %s}]\nhorizon: 2\n"


@pytest.mark.parametrize(
    ("merge", "filters", "joint"),
    [("concat", 8, "Concatenate"), ("sum", 4, "Add"), ("ave", 4, "Average"), ("mul", 4, "Multiply")],
)
def test_states_of_both_directions_are_joined_as_the_outputs_are(merge: str, filters: int, joint: str) -> None:
    graph = coder(BOTH_WAYS % merge)
    kinds = {node.id: node.layer.kind for node in graph.nodes}
    assert (kinds["n_e_h"], kinds["n_e_c"], kinds["e_mirror"]) == (joint, joint, "ConvLSTM2D")
    assert wires(graph)["e_mirror"] == ["n_steps", "n_e_h", "n_e_c"]
    assert graph.outputs[0].shape == (2, 12, 12, filters)
    both = coder(BOTH_WAYS % merge + "decoder: [{id: d, bidirectional: {layer: ConvLSTM2D, filters: 4}}]")
    assert wires(both)["d"][1:] == [f"e.state.{way}_{name}" for way in ("forward", "backward") for name in "hc"]


def test_a_joined_state_that_does_not_fit_is_that_of_its_level() -> None:
    assert fault(BOTH_WAYS % "concat" + "decoder: [{id: d, layer: ConvLSTM2D, filters: 4}]") == (
        "the state of e does not fit d",
        "e carries a state of 12 × 12 × 8 (height, width, filters); d has 12 × 12 × 4",
        "set filters: 8 on d",
    )


def test_ids_inside_are_ids_of_the_spec_and_members_of_the_node() -> None:
    outputs = "outputs: [n, n.dec1.state.h, n.encoder.last, dec2.last, n.last]\n"
    graph = coder(f"{TWO}horizon: 3", more=outputs)
    assert [str(output.port) for output in graph.outputs] == [
        "dec1.sequence",
        "dec1.state.h",
        "enc2.last",
        "dec2.last",
        "dec1.last",
    ]


def test_loops_blocks_and_reuse() -> None:
    graph = build_graph(
        HEAD
        + """vars: {h: 3}
blocks:
  pair:
    parameters: {f: list}
    do:
      - id: pair
        encoder_decoder:
          encoder: [{for: {f: $f}, do: [{id: enc_$f, layer: ConvGRU2D, filters: $f}]}]
          decoder: [{id: top, layer: ConvGRU2D, filters: 5}, {id: low, layer: ConvGRU2D, filters: 3}]
          horizon: $h
          states: {low: enc_3, top: enc_5}
layers:
  - {id: a, block: pair, with: {f: [3, 5]}, trainable: false}
  - {id: b, reuse: a, from: x}
outputs: [a, b, a.pair.low.state.h]
"""
    )
    assert wires(graph)["a_low"] == ["a_top.sequence", "a_enc_3.state.h"]
    assert [str(output.port) for output in graph.outputs] == ["a_low.sequence", "b_low.sequence", "a_low.state.h"]
    assert {weight.trainable for node in graph.nodes for weight in node.weights} == {False}


def test_the_resolved_spec_is_the_same_graph() -> None:
    text = f"{HEAD}layers:\n  - id: n\n    encoder_decoder:\n{TWO}      horizon: 3\n"
    again = build_graph(load_spec(text).resolved())
    assert wires(again) == wires(build_graph(text))
    assert again.parameters == build_graph(text).parameters


@pytest.mark.parametrize("change", ["layers.n.encoder_decoder.horizon=9", "vars.h=9"])
def test_the_horizon_is_changed_from_outside(change: str) -> None:
    text = f"{HEAD}vars: {{h: 3}}\nlayers:\n  - id: n\n    encoder_decoder:\n{TWO}      horizon: $h\n"
    short, long = build_graph(text), build_graph(text, overrides=[change])
    assert (short.outputs[0].shape[0], long.outputs[0].shape[0]) == (3, 9)
    assert weights(short) == weights(long)


def test_what_its_steps_see_is_no_leak_where_they_forecast_what_follows() -> None:
    """Ten frames to ten frames has the shapes of a next-frame model, and is none."""
    head = "head: [{layer: Conv3D, filters: 1, kernel_size: 3, padding: same}]"
    assert coder(f"{TWO}horizon: 4\n{head}").warnings == ()


@settings(max_examples=25, deadline=None)
@given(
    filters=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    kind=st.sampled_from(["LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvGRU1D", "ConvLSTM3D", "ConvGRU3D"]),
    horizon=st.integers(1, 5),
    feed=st.sampled_from(["none", "last", "last_frame"]),
)
def test_a_mirrored_decoder_always_fits(filters: list[int], kind: str, horizon: int, feed: str) -> None:
    space = [5] * int(kind[-2]) if kind.startswith("Conv") else []
    width, size = ("filters", ", kernel_size: 3, padding: same") if space else ("units", "")
    levels = ", ".join(f"{{layer: {kind}, {width}: {count}{size}}}" for count in filters)
    feed = feed if space or feed != "none" else "last"
    inputs = f"specbuild: 1\ninputs: {{x: {[3, *space, 2]}}}\n"
    graph = coder(f"encoder: [{levels}]\nhorizon: {horizon}\nfeed: {feed}", inputs)
    assert graph.outputs[0].shape == (horizon, *space, filters[0])
    assert [len(node.initial_state) for node in graph.nodes if node.initial_state] == [
        2 if "LSTM" in kind else 1
    ] * len(filters)


REMAT = """      encoder: [{id: enc1, layer: ConvLSTM2D, filters: 4}, {id: enc2, bidirectional: {layer: ConvGRU2D, filters: 8}}]
      decoder: [{id: dec2, reuse: enc1}, {id: dec1, layer: ConvLSTM2D, filters: 4, remat: false}]
      states: none
      remat: true
"""  # noqa: E501


def test_levels_are_computed_anew_but_for_those_that_say_no() -> None:
    found = {
        node.id: node.layer
        for node in load_spec(
            f"{HEAD}layers:\n  - id: n\n    encoder_decoder:\n{REMAT}      horizon: 9\n      feed: last_frame\n"
        ).layers
    }
    assert [getattr(found[name], "remat", None) for name in ("enc1", "dec2", "dec1")] == [True, True, False]
    assert found["enc2"].layer.remat is True  # type: ignore[attr-defined]  # Bidirectional


def test_what_is_computed_anew_is_not_kept() -> None:
    long = HEAD.replace("x: [4,", "x: [40,")
    plain, anew = (coder(f"{TWO}horizon: 40\nremat: {flag}", long) for flag in ("false", "true"))
    kept, less = plain.activation_bytes(1), anew.activation_bytes(1)
    assert kept is not None
    assert less is not None
    assert 2.5 * less < kept
    assert weights(plain) == weights(anew)
    assert plain.flops == anew.flops
    again = build_graph(anew.spec.resolved())
    assert [(node.layer, node.saved) for node in again.nodes] == [(node.layer, node.saved) for node in anew.nodes]


def test_the_last_frame_of_both_directions_is_that_of_the_sequence() -> None:
    graph = build_graph(
        HEAD
        + """layers:
  - {id: both, bidirectional: {layer: ConvGRU2D, filters: 2}}
  - encoder_decoder:
      encoder: [{id: enc, layer: ConvGRU2D, filters: 3}]
      horizon: 2
      feed: last_frame
"""
    )
    (frame,) = [node for node in graph.nodes if node.layer.kind == "LastFrame"]
    assert [str(port) for port in frame.inputs] == ["both.sequence"]
