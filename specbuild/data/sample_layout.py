"""Whether windows and frames are what the model reads and gives; if not, which line to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specbuild.catalog.shapes import Dim, Shape, show
from specbuild.data.sources.base import FrameSource
from specbuild.document import SpecError
from specbuild.spec.data_section import DataSection

if TYPE_CHECKING:
    from specbuild.graph import Graph
    from specbuild.spec import Spec


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """How samples are laid out for the model."""

    crop: tuple[int, ...]
    """The axes of space of one sample."""
    input_without_time: bool = False
    """The model reads one past frame, without an axis of time."""
    output_without_time: bool = False
    """The model gives one frame, without an axis of time."""


def sample_layout(spec: Spec, graph: Graph, source: FrameSource) -> SampleLayout:
    """The layout of samples that the model and the data agree on.

    Raises:
        SpecError: with every number that differs, each at the line to change.
    """
    data = spec.data
    assert data is not None
    _check_single(spec, graph)
    crop = data.crop_shape(source.space)
    past, target = data.windows.past, data.windows.targets
    read, given = graph.inputs[0], graph.outputs[0]
    frame_axes = len(crop) + 1
    layout = SampleLayout(
        crop,
        input_without_time=past == 1 and len(read.shape) == frame_axes,
        output_without_time=target == 1 and len(given.shape) == frame_axes,
    )
    found = [
        *_crop(spec, crop, source),
        *_input(spec, data, read.id, read.shape, layout, source),
        *_output(spec, data, given.name, given.shape, layout, source, _space(read.shape, layout)),
    ]
    if found:
        raise SpecError(diagnostic for error in found for diagnostic in error.diagnostics)
    return layout


def _check_single(spec: Spec, graph: Graph) -> None:
    if len(graph.inputs) != 1:
        names = ", ".join(one.id for one in graph.inputs)
        raise spec.error(
            ("inputs",),
            f"data feeds one input, the model has {len(graph.inputs)}: {names}",
            help="train a model of several inputs from Python, with build_model and your own arrays",
            code="data-shape",
        )
    if len(graph.outputs) != 1:
        names = ", ".join(one.name for one in graph.outputs)
        raise spec.error(
            ("outputs",),
            f"data has one target, the model has {len(graph.outputs)} outputs: {names}",
            help="keep the output that is the forecast, or train from Python with build_model",
            code="data-shape",
        )


def _crop(spec: Spec, crop: tuple[int, ...], source: FrameSource) -> Iterator[SpecError]:
    if any(size > length for size, length in zip(crop, source.space, strict=True)):
        yield spec.error(
            ("data", "crop"),
            f"the crop {show(crop)} is larger than the frames of {source.name}, {show(source.space)}",
            code="data-shape",
        )


def _input(
    spec: Spec, data: DataSection, name: str, shape: Shape, layout: SampleLayout, source: FrameSource
) -> Iterator[SpecError]:
    past = data.windows.past
    wanted: Shape = (*([] if layout.input_without_time else [past]), *layout.crop, source.channels)
    place = ("inputs", name)
    if len(shape) != len(wanted):
        yield spec.error(
            place,
            f"{name} has {len(shape)} axes, the data gives {len(wanted)}",
            reason=f"{name} is {show(shape)}; a sample is {show(wanted)} (past frames, space, channels)",
            help=f"write {name}: {_written(wanted)}",
            code="data-shape",
        )
        return
    if not layout.input_without_time and shape[0] not in (None, past):
        yield spec.error(
            ("data", "windows", "past"),
            f"the model reads {_frames(shape[0])}, the windows have {past} past",
            help=f"set data.windows.past: {shape[0]}, or write {name}: {_written((past, *shape[1:]))}",
            code="data-shape",
        )
    space = _space(shape, layout)
    if _differ(space, layout.crop):
        whole = data.crop is None
        got = "whole frames are" if whole else "data.crop is"
        smaller = all(a is None or a <= b for a, b in zip(space, source.space, strict=True))
        size = _written(tuple(b if a is None else a for a, b in zip(space, layout.crop, strict=True)))
        change = f"set data.crop: {size}" if smaller else "read smaller frames"
        yield spec.error(
            ("data", "crop"),
            f"the model reads frames of {show(space)}, {got} {show(layout.crop)}",
            help=f"{change}, or write {name}: {_written((*shape[: -len(layout.crop) - 1], *layout.crop, shape[-1]))}",
            code="data-shape",
        )
    if shape[-1] not in (None, source.channels):
        yield spec.error(
            place,
            f"{name} has {_channels(shape[-1])}, {source.name} has {_channels(source.channels)}",
            help=f"write {name}: {_written((*shape[:-1], source.channels))}",
            code="data-shape",
        )


def _output(
    spec: Spec, data: DataSection, name: str, shape: Shape, layout: SampleLayout, source: FrameSource, read: Shape
) -> Iterator[SpecError]:
    """`read` is the space of the input: where that does not fit the frames, neither will the output."""
    windows = data.windows
    wanted: Shape = (*([] if layout.output_without_time else [windows.targets]), *layout.crop, source.channels)
    place = ("outputs",)
    if len(shape) != len(wanted):
        yield spec.error(
            place,
            f"the output {name} has {len(shape)} axes, its target has {len(wanted)}",
            reason=f"{name} is {show(shape)}; the target is {show(wanted)} (frames, space, channels)",
            help="end the model with one frame for each that it forecasts",
            code="data-shape",
        )
        return
    if not layout.output_without_time and shape[0] not in (None, windows.targets):
        yield _target_error(spec, data, name, shape)
    space = _space(shape, layout)
    if _differ(space, layout.crop) and not _differ(read, layout.crop):
        yield spec.error(
            place,
            f"the output {name} has frames of {show(space)}, its target has {show(layout.crop)}",
            help="keep the size in every layer (padding: same), and undo each stride",
            code="data-shape",
        )
    if shape[-1] not in (None, source.channels):
        yield spec.error(
            place,
            f"the output {name} has {_channels(shape[-1])}, its target has {_channels(source.channels)}",
            help=f"end the model with filters: {source.channels}",
            code="data-shape",
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


def _space(shape: Shape, layout: SampleLayout) -> Shape:
    return shape[-len(layout.crop) - 1 : -1]


def _differ(space: Shape, crop: tuple[int, ...]) -> bool:
    return any(a is not None and a != b for a, b in zip(space, crop, strict=False))


def _frames(count: Dim) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _channels(count: Dim) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _written(shape: Shape) -> str:
    """A shape as a spec writes it."""
    return "[" + ", ".join("null" if dim is None else str(dim) for dim in shape) + "]"
