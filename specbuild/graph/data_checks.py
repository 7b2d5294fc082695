"""Check the model against the data section: windows, frames, clips and their classes, scores.

A number that differs is reported at the line to change. What is None is known to the file alone and fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from specbuild.catalog.scores import SCORES
from specbuild.catalog.shapes import Dim, Shape, fits, show, written_shape
from specbuild.document import Diagnostic, Report, SpecError
from specbuild.graph.body_checks import check_feedback
from specbuild.graph.device_checks import device_faults
from specbuild.graph.feed_checks import feed_faults
from specbuild.graph.heads import output_channels, output_head

if TYPE_CHECKING:
    from specbuild.graph.model import Graph, Output
    from specbuild.language import Spec
    from specbuild.language.sections.data import DataSection


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """The frames of a source: their spatial axes and their channels, each None where only the file can tell."""

    name: str
    space: Shape
    channels: Dim


def check_samples(graph: Graph, report: Report) -> None:
    """Report mismatches that do not depend on the contents of the files."""
    data = graph.spec.data
    if data is None or not data.source.axes:
        return
    source = data.source
    frames = FrameLayout(source.label, source.frame, source.channels)
    channels = {name: feed.channels(data, frames.channels) for name, feed in data.inputs.items()}
    for error in (*device_faults(graph.spec), *sample_faults(graph.spec, graph, frames, channels)):
        report.extend(error.diagnostics)
    if data.target is None and len(graph.outputs) == 1 and any(node.body is not None for node in graph.nodes):
        check_feedback(graph, data.windows, report)


def sample_faults(
    spec: Spec, graph: Graph, frames: FrameLayout, channels: Mapping[str, Dim] | None = None
) -> Iterator[SpecError]:
    """Yield an error for every number in which the model differs from windows of frames or, with a target, from clips.

    Each is at the line to change. The spec has a data section.

    Args:
        channels: those of each input of `data.inputs`, where they are known.
    """
    data = spec.require_data()
    several = list(_not_fed(spec, data, graph))
    if several:
        yield from several
    elif data.target is not None:
        yield from _class_faults(spec, data, graph, frames)
    else:
        for given in graph.inputs:
            if data.reads_past(given.id):
                yield from _input(spec, data, given.id, given.shape, frames)
            else:
                yield from feed_faults(spec, data, given.id, given.shape, data.crop_shape(frames.space), channels or {})
        for output in graph.outputs:
            yield from _output(spec, data, graph, output, frames)


def past_input(graph: Graph) -> Shape | None:
    """Return the shape of the input that reads the past frames of `data.source`; None where none does."""
    data = graph.spec.require_data()
    return next((given.shape for given in graph.inputs if data.reads_past(given.id)), None)


def _not_fed(spec: Spec, data: DataSection, graph: Graph) -> Iterator[SpecError]:
    """Yield an error for inputs and outputs of which the data section says nothing."""
    if len(graph.inputs) != 1 and not data.inputs:
        names = [given.id for given in graph.inputs]
        yield spec.error(
            ("inputs",),
            f"data feeds one input, the model has {len(names)}: {', '.join(names)}",
            help=f"say in data.inputs what each reads, such as {{{names[0] if names else 'x'}: past, …}}",
            code="data-shape",
        )
    if len(graph.outputs) != 1 and not data.targets:
        names = [output.name for output in graph.outputs]
        help = f"say in data.targets what each is compared with, such as {{{names[0] if names else 'x'}: future, …}}"
        yield spec.error(
            ("outputs",),
            f"data has one target, the model has {len(names)} outputs: {', '.join(names)}",
            help=help if data.target is None else "keep the output that is the class",
            code="data-shape",
        )


def input_faults(spec: Spec, frames: FrameLayout) -> Iterator[SpecError]:
    """Yield an error for every number in which what the past frames feed differs from windows of frames."""
    data = spec.require_data()
    if data.inputs or len(spec.inputs) == 1:
        for given in spec.inputs:
            if data.reads_past(given.id):
                yield from _input(spec, data, given.id, tuple(given.section.shape), frames)


def _class_faults(spec: Spec, data: DataSection, graph: Graph, frames: FrameLayout) -> Iterator[SpecError]:
    """Yield an error for every number in which the model differs from clips (frames, height, width, channels)."""
    name, shape = graph.inputs[0].id, graph.inputs[0].shape
    wanted = (data.windows.past, *data.crop_shape(frames.space), frames.channels)
    if not fits(shape, wanted):
        known = [a if b is None else b for a, b in zip(shape, wanted, strict=True)] if len(shape) == 4 else wanted
        message = f"{name} is {show(shape)}, a clip is {show(wanted)} (frames, height, width, channels)"
        help = f"write {name}: {written_shape(known)}, or change data.windows.past, data.source.size or data.crop"
        yield spec.error(("inputs", name), message, help=help, code="data-shape")
    output = graph.outputs[0]
    if len(output.shape) != 1:
        message = f"the output {output.name} is {show(output.shape)}, the class of a clip needs one axis"
        yield output_fault(spec, graph, message, help="end the model with a Dense layer of one unit for each class")


def output_fault(
    spec: Spec, graph: Graph, message: str, *, reason: str = "", help: str, output: Output | None = None
) -> SpecError:
    """Return a fault of an output, at `outputs` or, where that is left out, at the node that the model ends in."""
    output = output or graph.outputs[0]
    end = next((node.spec for node in graph.nodes if node.id == output.port.node), None)
    if spec.document.get("outputs") is not None or end is None:
        place = ("outputs", output.name) if spec.named_outputs else ("outputs",)
        return spec.error(place, message, reason=reason, help=help, code="data-shape")
    return SpecError([Diagnostic(message, end.span(), reason=reason, help=help, code="data-shape")])


def without_time(shape: Shape, count: int, space: Shape) -> bool:
    """Whether the model reads or gives one frame, without a time axis."""
    return count == 1 and len(shape) == len(space) + 1


def check_scores(spec: Spec, report: Report) -> None:
    """Report a score that needs axes which the layout of the data does not have."""
    if spec.data is None or not spec.data.source.axes:
        return  # the file will tell
    layout, space, evaluate = " ".join(spec.data.source.axes), spec.data.source.space, spec.evaluate
    for position, name in enumerate(evaluate.scores):
        needs = SCORES[name].needs
        missing = "height and width" if "height and width" in needs and len(space) < 2 else ""
        missing = missing or ("space" if "space" in needs and not space else "")
        if missing:
            message = f"{name} is of frames with {missing}, and the layout {layout} has none"
            report.error(message, spec.span(("evaluate", "scores", position)), code="score-and-data")
    if evaluate.latitude_weights is True and "H" not in space:
        message = f"rows of latitude are along H, and the layout {layout} has none"
        place = spec.span(("evaluate", "latitude_weights"))
        report.error(message, place, help="leave latitude_weights out", code="score-and-data")


def _input(spec: Spec, data: DataSection, name: str, shape: Shape, frames: FrameLayout) -> Iterator[SpecError]:
    error = partial(spec.error, code="data-shape")
    past = data.windows.past
    crop, timeless = data.crop_shape(frames.space), without_time(shape, past, frames.space)
    channels = None if frames.channels is None else frames.channels + data.mask_channels
    wanted: Shape = (*(() if timeless else (past,)), *_filled(crop, shape), channels)
    if len(shape) != len(wanted):
        message = f"{name} has {_count(len(shape), 'axis', 'axes')}, the data gives {len(wanted)}"
        axes = f"past frames, space, channels{' and mask' if data.mask else ''}"
        reason = f"{name} is {show(shape)}; a sample is {show(wanted)} ({axes})"
        yield error(("inputs", name), message, reason=reason, help=f"write {name}: {written_shape(wanted)}")
        return
    if not timeless and shape[0] not in (None, past):
        message = f"the model reads {_frames(shape[0])}, the windows have {past} past"
        help = f"set data.windows.past: {shape[0]}, or write {name}: {written_shape((past, *shape[1:]))}"
        yield error(("data", "windows", "past"), message, help=help)
    space = _space(shape, crop)
    if not fits(space, crop):
        size = "whole frames are" if data.crop is None else "data.crop is"
        smaller = all(a is None or b is None or a <= b for a, b in zip(space, frames.space, strict=True))
        read = written_shape(tuple(b if a is None else a for a, b in zip(space, crop, strict=True)))
        change = f"set data.crop: {read}" if smaller else "read smaller frames"
        help = f"{change}, or write {name}: {written_shape((*shape[: -len(crop) - 1], *crop, shape[-1]))}"
        yield error(("data", "crop"), f"the model reads frames of {show(space)}, {size} {show(crop)}", help=help)
    if not fits(shape[-1:], (channels,)):
        masked = f", and data.mask adds 1: {channels} in all" if data.mask else ""
        message = f"{name} has {_channels(shape[-1])}, {frames.name} has {_channels(frames.channels)}{masked}"
        yield error(("inputs", name), message, help=f"write {name}: {written_shape((*shape[:-1], channels))}")


def _output(spec: Spec, data: DataSection, graph: Graph, output: Output, frames: FrameLayout) -> Iterator[SpecError]:
    """Where the space of the input does not fit the frames, neither will that of the output: it is not compared."""
    name, shape, target = output.name, output.shape, data.targets.get(output.name)
    fault = partial(output_fault, spec, graph, output=output)
    count = data.windows.targets if target is None else target.count(data.windows)
    variables = frames.channels if target is None else target.channels(frames.channels)
    crop, timeless = data.crop_shape(frames.space), without_time(shape, count, frames.space)
    read = past_input(graph) or (*crop, None)
    space_of_target = _filled(crop, read)
    channels = output_channels(spec, name, variables)
    wanted: Shape = (*(() if timeless else (count,)), *space_of_target, channels)
    if len(shape) != len(wanted):
        message = f"the output {name} has {_count(len(shape), 'axis', 'axes')}, its target has {len(wanted)}"
        gives = "the target is" if channels == variables else "the loss reads"
        reason = f"{name} is {show(shape)}; {gives} {show(wanted)} (frames, space, channels)"
        yield fault(message, reason=reason, help="end the model with one frame for each that it forecasts")
        return
    if not timeless and shape[0] not in (None, count):
        yield _target_error(spec, data, name, shape)
    space = _space(shape, crop)
    if not fits(space, space_of_target) and fits(_space(read, crop), crop):
        message = f"the output {name} has frames of {show(space)}, its target has {show(space_of_target)}"
        yield fault(message, help="keep the size in every layer (padding: same), and undo each stride")
    if not fits(shape[-1:], (channels,)):
        message = f"the output {name} has {_channels(shape[-1])}, its target has {_channels(variables)}"
        reason = ""
        if (head := output_head(spec, name)) is not None:
            message = f"the output {name} has {_channels(shape[-1])}, its loss needs {_channels(channels)}"
            reason = f"{head.words} of each variable"
        yield fault(message, reason=reason, help=f"end the model with filters: {channels}")
    if target is not None and target.above is not None and output_head(spec, name) is not None:
        message = f"the target of {name} is an event, and its loss is for quantities"
        place = ("data", "targets", name, "above")
        yield spec.error(place, message, help="train it with binary_crossentropy", code="head")


def _target_error(spec: Spec, data: DataSection, name: str, shape: Shape) -> SpecError:
    """An output of fewer or more frames than its target."""
    windows, target = data.windows, data.targets.get(name)
    if target is not None and target.frames != "future":
        message = f"the output {name} has {_frames(shape[0])}, data.targets.{name} names {len(target.frames)}"
        return spec.error(
            ("data", "targets", name, "frames"),
            message,
            help="name as many frames as the output has",
            code="data-shape",
        )
    if windows.target == "future":
        needed = f"the windows have {windows.future} future"
        future = shape[0] or 0
    else:
        count = f"past {windows.past} + future {windows.future} - 1 = {windows.targets}"
        needed = f"with target: next it needs {count}"
        future = (shape[0] or 0) - windows.past + 1
    other = f"make the model give {windows.targets}"
    message = f"the output {name} has {_frames(shape[0])}, {needed}"
    help = f"set data.windows.future: {future}, or {other}" if future > 0 else other
    return spec.error(("data", "windows", "future"), message, help=help, code="data-shape")


def _space(shape: Shape, crop: Shape) -> Shape:
    return shape[-len(crop) - 1 : -1]


def _filled(crop: Shape, read: Shape) -> Shape:
    """The space of a sample, with what the data leaves open as the model reads it."""
    space = _space(read, crop)
    return tuple(b if a is None else a for a, b in zip(crop, space, strict=True)) if len(space) == len(crop) else crop


def _count(count: Dim, noun: str, plural: str) -> str:
    return f"{count} {noun if count == 1 else plural}"


def _frames(count: Dim) -> str:
    return _count(count, "frame", "frames")


def _channels(count: Dim) -> str:
    return _count(count, "channel", "channels")
