"""Layers without a state in a streaming model: by frames, with a few frames before each, or over the last ones."""

from __future__ import annotations

from dataclasses import replace

from specbuild.catalog import KINDS, Layer
from specbuild.catalog.plumbing import Slice
from specbuild.exporting.stream.reading import Reading, Refused, value_of
from specbuild.exporting.stream.side import Side
from specbuild.exporting.stream.timing import TRIALS, Reach, When, keeps_steps, reach
from specbuild.graph import Node, Port


class Plain(Reading):
    """Adds nodes that have no state of their own."""

    def add_plain(self, node: Node) -> None:
        """Add a node without a state.

        Raises:
            Refused: it cannot run step by step.
            ShapeError: it does not run on one frame.
        """
        layer, kind = node.layer, node.layer.kind
        whens = [self.when[port] for port in node.inputs]
        first = whens[0]
        if kind == "Constant":
            self.observe.add(replace(node, inputs=(self._countable(),)))
            self.settle(Port(node.id), When.STATIC)
        elif kind in ("RepeatFrame", "RepeatVector") and not first.is_sequence:
            self._repeat(node, first, KINDS["RepeatFrame"].model_validate({"times": 1}))
        elif kind.startswith("UpSampling") and first is When.SO_FAR and (one := self._enlarged(node)) is not None:
            self._repeat(node, first, one)
        elif not any(when.is_sequence for when in whens):
            self.add_value(node, node.inputs)
        elif kind == "ZerosLike" and first is not When.AHEAD:
            self._stepwise(node, (self.observe,), When.SAME)
        elif kind == "LastFrame" and first in (When.PAST, When.AHEAD):
            self._stepwise(node, self.sides(first), value_of(first))
        elif isinstance(layer, Slice) and (after := self._sliced(node, layer, first)) is not None:
            self._stepwise(replace(node, layer=KINDS["Identity"]()), self.sides(after), after)
        elif kind.startswith("Cropping") and first is When.PAST and (last := self._cropped(node)) is not None:
            self._stepwise(replace(node, layer=last), self.sides(first), value_of(first))
        elif kind.startswith("ZeroPadding") and (padding := self._front(node)) is not None:
            self._stepwise(replace(node, layer=layer.model_copy(update={"padding": padding})), self.sides(first), first)
            self.padded[Port(node.id)] = layer.margins[0][0]  # type: ignore[attr-defined]
        else:
            self._in_steps(node, whens)

    def _countable(self) -> Port:
        """An input of `observe`, from which a Constant counts samples."""
        return next(Port(name) for name, given in self.observe.inputs.items() if given.role != "state")

    def _repeat(self, node: Node, when: When, once: Layer) -> None:
        """Add a value in every step of a sequence, which the layer `once` gives for one step."""
        if when is When.LATER or (self.at_once and when is When.SO_FAR):
            self.add_value(node, node.inputs)
            return
        self.observe.add(replace(node, layer=once, inputs=(self.observe.here(node.inputs[0]),)))
        self.settle(Port(node.id), When.SAME if when is When.STATIC else When.SAME_SO_FAR)

    def _cropped(self, node: Node) -> Layer | None:
        """Return what a layer that crops all frames but the last does to one; None for any other."""
        (port,) = node.inputs
        shape, margins = self.shapes[port], node.layer.margins  # type: ignore[attr-defined]
        is_time = len(shape) == len(margins) + 1 and not getattr(node.layer, "channels_first", False)
        if not is_time or margins[0] != ((shape[0] or 0) - 1, 0) or port in self.padded:
            return None
        space = margins[1:]
        return node.layer.model_copy(update={"cropping": ((0, 0), *space) if space else (0, 0)})

    def _enlarged(self, node: Node) -> Layer | None:
        """Return what a layer that repeats one frame along time does to it besides; None for any other."""
        (port,) = node.inputs
        shape, factors = self.shapes[port], node.layer.factors  # type: ignore[attr-defined]
        is_time = len(shape) == len(factors) + 1 and not getattr(node.layer, "channels_first", False)
        if not is_time or shape[0] != 1 or factors[0] == 1:
            return None
        return node.layer.model_copy(update={"size": (1, *factors[1:]) if len(factors) > 1 else 1})

    def _sliced(self, node: Node, layer: Slice, when: When) -> When | None:
        """Return what a Slice along time gives of which one step is enough; None for any other."""
        (port,) = node.inputs
        shape = self.shapes[port]
        if layer.axis not in (1, -len(shape)) or layer.step != 1 or port in self.padded or when.is_uniform:
            return None
        if when in (When.PAST, When.AHEAD) and layer.start == -1 and layer.stop is None:
            return value_of(when)
        if shape[0] is None:
            return None
        taken = range(*slice(layer.start, layer.stop).indices(shape[0]))
        if when is When.AHEAD and port in self.counts and taken == range(shape[0])[-self.counts[port] :]:
            return When.AHEAD
        if when is not When.THROUGHOUT or not taken or taken.step != 1:
            return None
        past = next((x.shape[0] or 0 for x in self.whole.inputs if self.inputs[x.id] is When.PAST), 0)
        if taken == range(past):
            return When.PAST
        if taken == range(past, shape[0]) and not self.at_once:
            return When.AHEAD
        return When.THROUGHOUT if taken.start == 0 and len(taken) > past else None

    def _front(self, node: Node) -> tuple[tuple[int, int], ...] | tuple[int, int] | None:
        """Return the padding in space of a layer that puts frames of zeros before the first; None for any other."""
        (port,) = node.inputs
        margins = node.layer.margins  # type: ignore[attr-defined]
        channels_first = getattr(node.layer, "channels_first", False)
        if channels_first or len(self.shapes[port]) != len(margins) + 1 or port in self.padded:
            return None
        (before, after), *space = margins
        if after or not before or self.when[port] not in (When.PAST, When.AHEAD):
            return None
        return ((0, 0), *space) if space else (0, 0)

    def _stepwise(self, node: Node, sides: tuple[Side, ...], when: When) -> None:
        """Add a node that runs on one entry of its sequences as it does on several."""
        for side in sides:
            side.add(replace(node, inputs=tuple(self.read(port, side) for port in node.inputs)))
        own = Port(node.id)
        if when is When.AHEAD:
            counts = [self.counts[port] for port in node.inputs if port in self.counts]
            if counts and (self.shapes[own][0] or 0) != counts[0]:
                self.counts[own] = counts[0]
        self.settle(own, when)

    def _in_steps(self, node: Node, whens: list[When]) -> None:
        """Add a node that reads sequences: by steps where it reads each frame alone, or some before it as well."""
        padded = next((port for port in node.inputs if port in self.padded), None)
        if padded is not None:
            self._after_padding(node, padded, whens)
            return
        try:
            clock = self.clock(node, whens)
        except Refused:
            if When.PAST not in whens or When.AHEAD in whens:
                raise
        else:
            stepped = self._by_frames(node, [when.is_sequence for when in whens])
            if stepped is not None and not (stepped.before and clock is When.THROUGHOUT):
                own = replace(node, layer=stepped.layer)
                if stepped.before:
                    self._causal(own, stepped.before, clock)
                else:
                    self._stepwise(own, self.sides(clock), clock)
                return
        self.add_value(node, self.as_values(node, node.inputs))

    def _by_frames(self, node: Node, sequences: list[bool]) -> _Stepped | None:
        """Return how a layer runs on one frame, where it gives the same as on several."""
        shapes, layer = [self.shapes[port] for port in node.inputs], node.layer
        if type(layer).__module__.endswith(".regularization"):
            return _Stepped(KINDS["Identity"]())  # It acts in training alone.
        if layer.kind == "Reshape" and (frame := keeps_steps(layer, shapes[0])) is not None:
            return _Stepped(layer.model_copy(update={"target_shape": (1, *frame)}))
        reads, before = reach(layer, shapes, sequences)
        if reads is Reach.FRAME:
            return _Stepped(layer)
        if reads is Reach.CAUSAL and getattr(layer, "padding", "") == "causal":
            return _Stepped(layer.model_copy(update={"padding": "valid"}), before)
        return None

    def _causal(self, node: Node, before: int, clock: When) -> None:
        """Add a node that reads the entries before each one as well, which are kept as a state."""
        for side in self.sides(clock):
            self.read(node.inputs[0], side)
            side.add(replace(node, inputs=(self.buffered(side, node.inputs[0], before, node),)))
        self.settle(Port(node.id), clock)

    def _after_padding(self, node: Node, port: Port, whens: list[When]) -> None:
        """Add what reads a sequence that begins with frames of zeros, as a convolution does that pads nothing else."""
        before, shape = self.padded[port], self.shapes[port]
        if len(node.inputs) > 1:
            raise self.refuse_padded(node, port)
        for length in TRIALS:
            given = (length + before, *(64 if axis is None else axis for axis in shape[1:]))
            node.layer.check(given)
            time = node.layer.receptive_field(given)[0][0]
            spans = [(step, step + before) for step in range(length)]
            if node.layer.output_shape(given)[:1] != (length,) or time is None:
                raise self.refuse_padded(node, port)
            if time.axis != 0 or list(time.spans) != spans:
                raise self.refuse_padded(node, port)
        self._causal(node, before, whens[0])


class _Stepped:
    """A layer that runs on one frame behind so many before it."""

    def __init__(self, layer: Layer, before: int = 0) -> None:
        self.layer, self.before = layer, before
