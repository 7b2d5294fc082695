"""Whether windows and frames are what the model reads and gives; if not, which line to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specbuild.catalog.shapes import Dim, Shape, show, written_shape
from specbuild.document import Report, SpecError
from specbuild.graph.body_checks import check_feedback
from specbuild.graph.class_samples import class_faults
from specbuild.graph.output_fault import differ, output_fault
from specbuild.language.sections.data import DataSection

if TYPE_CHECKING:
    from specbuild.graph.model import Graph
    from specbuild.language import Spec


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a source: their axes of space and their channels, each None where only the file can tell."""

    name: str
    space: Shape
    channels: Dim


def check_samples(graph: Graph, report: Report) -> None:
    """Reports what does not fit whatever the file holds.

    A model of several inputs or outputs is left alone: it is trained from Python, with arrays of one's own.
    """
    data = graph.spec.data
    if data is None or not data.source.axes or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return
    if data.target is not None:
        for error in class_faults(graph.spec, graph, data.source.frame, data.source.channels):
            for diagnostic in error.diagnostics:
                report.add(diagnostic)
        return
    frames = Frames(data.source.label, data.source.frame, data.source.channels)
    for error in sample_faults(graph.spec, graph, frames):
        for diagnostic in error.diagnostics:
            report.add(diagnostic)
    if any(node.body is not None for node in graph.nodes):
        check_feedback(graph, data.windows, report)


def sample_faults(spec: Spec, graph: Graph, frames: Frames) -> Iterator[SpecError]:
    """Every number in which the model and the data differ, each at the line to change.

    The spec has a data section, the model one input and one output.
    """
    assert spec.data is not None
    yield from _input(spec, spec.data, graph, frames)
    yield from _output(spec, spec.data, graph, frames)


def without_time(shape: Shape, count: int, space: Shape) -> bool:
    """Whether the model reads or gives one frame, without an axis of time."""
    return count == 1 and len(shape) == len(space) + 1


def _input(spec: Spec, data: DataSection, graph: Graph, frames: Frames) -> Iterator[SpecError]:
    past, name, shape = data.windows.past, graph.inputs[0].id, graph.inputs[0].shape
    crop, timeless = data.crop_shape(frames.space), without_time(shape, past, frames.space)
    channels = None if frames.channels is None else frames.channels + data.mask_channels
    wanted: Shape = (*(() if timeless else (past,)), *_filled(crop, shape), channels)
    place = ("inputs", name)
    if len(shape) != len(wanted):
        yield spec.error(
            place,
            f"{name} has {_axes(shape)}, the data gives {len(wanted)}",
            reason=f"{name} is {show(shape)}; a sample is {show(wanted)} (past frames, space, channels"
            f"{' and mask' if data.mask else ''})",
            help=f"write {name}: {written_shape(wanted)}",
            code="data-shape",
        )
        return
    if not timeless and shape[0] not in (None, past):
        yield spec.error(
            ("data", "windows", "past"),
            f"the model reads {_frames(shape[0])}, the windows have {past} past",
            help=f"set data.windows.past: {shape[0]}, or write {name}: {written_shape((past, *shape[1:]))}",
            code="data-shape",
        )
    space = _space(shape, crop)
    if differ(space, crop):
        got = "whole frames are" if data.crop is None else "data.crop is"
        smaller = all(a is None or b is None or a <= b for a, b in zip(space, frames.space, strict=True))
        size = written_shape(tuple(b if a is None else a for a, b in zip(space, crop, strict=True)))
        change = f"set data.crop: {size}" if smaller else "read smaller frames"
        yield spec.error(
            ("data", "crop"),
            f"the model reads frames of {show(space)}, {got} {show(crop)}",
            help=f"{change}, or write {name}: {written_shape((*shape[: -len(crop) - 1], *crop, shape[-1]))}",
            code="data-shape",
        )
    if differ(shape[-1:], (channels,)):
        masked = f", and data.mask adds 1: {channels} in all" if data.mask else ""
        yield spec.error(
            place,
            f"{name} has {_channels(shape[-1])}, {frames.name} has {_channels(frames.channels)}{masked}",
            help=f"write {name}: {written_shape((*shape[:-1], channels))}",
            code="data-shape",
        )


def _output(spec: Spec, data: DataSection, graph: Graph, frames: Frames) -> Iterator[SpecError]:
    """Where the space of the input does not fit the frames, neither will that of the output: it is not compared."""
    windows, name, shape = data.windows, graph.outputs[0].name, graph.outputs[0].shape
    crop, timeless = data.crop_shape(frames.space), without_time(shape, windows.targets, frames.space)
    read = graph.inputs[0].shape
    target = _filled(crop, read)
    wanted: Shape = (*(() if timeless else (windows.targets,)), *target, frames.channels)
    if len(shape) != len(wanted):
        yield output_fault(
            spec,
            graph,
            f"the output {name} has {_axes(shape)}, its target has {len(wanted)}",
            reason=f"{name} is {show(shape)}; the target is {show(wanted)} (frames, space, channels)",
            help="end the model with one frame for each that it forecasts",
        )
        return
    if not timeless and shape[0] not in (None, windows.targets):
        yield _target_error(spec, data, name, shape)
    space = _space(shape, crop)
    if differ(space, target) and not differ(_space(read, crop), crop):
        yield output_fault(
            spec,
            graph,
            f"the output {name} has frames of {show(space)}, its target has {show(target)}",
            help="keep the size in every layer (padding: same), and undo each stride",
        )
    if differ(shape[-1:], (frames.channels,)):
        yield output_fault(
            spec,
            graph,
            f"the output {name} has {_channels(shape[-1])}, its target has {_channels(frames.channels)}",
            help=f"end the model with filters: {frames.channels}",
        )


def _target_error(spec: Spec, data: DataSection, name: str, shape: Shape) -> SpecError:
    """An output of fewer or more frames than its target."""
    windows = data.windows
    if windows.target == "future":
        message = f"the output {name} has {_frames(shape[0])}, the windows have {windows.future} future"
        future = shape[0] or 0
    else:
        count = f"past {windows.past} + future {windows.future} - 1 = {windows.targets}"
        message = f"the output {name} has {_frames(shape[0])}, with target: next it needs {count}"
        future = (shape[0] or 0) - windows.past + 1
    other = f"make the model give {windows.targets}"
    return spec.error(
        ("data", "windows", "future"),
        message,
        help=f"set data.windows.future: {future}, or {other}" if future > 0 else other,
        code="data-shape",
    )


def _space(shape: Shape, crop: Shape) -> Shape:
    return shape[-len(crop) - 1 : -1]


def _filled(crop: Shape, read: Shape) -> Shape:
    """The space of a sample, with what the data leaves open as the model reads it."""
    space = _space(read, crop)
    return tuple(b if a is None else a for a, b in zip(crop, space, strict=True)) if len(space) == len(crop) else crop


def _axes(shape: Shape) -> str:
    return "1 axis" if len(shape) == 1 else f"{len(shape)} axes"


def _frames(count: Dim) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _channels(count: Dim) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
