"""How samples are cut for the model, once the real size of the frames is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specbuild.catalog.shapes import show
from specbuild.data.section import data_section
from specbuild.data.sources.base import FrameSource
from specbuild.document import SpecError
from specbuild.graph.data_checks import FrameLayout, sample_faults, without_time
from specbuild.language.sections.augment import not_square

if TYPE_CHECKING:
    from specbuild.graph import Graph
    from specbuild.language import Spec


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
    data = data_section(spec)
    _check_single(spec, graph)
    crop = data.crop_shape(source.space)
    found = [
        *_crop(spec, crop, source),
        *turn_faults(spec, crop),
        *sample_faults(spec, graph, FrameLayout(source.name, source.space, source.channels)),
    ]
    if found:
        raise SpecError(diagnostic for error in found for diagnostic in error.diagnostics)
    return SampleLayout(
        crop,
        input_without_time=without_time(graph.inputs[0].shape, data.windows.past, crop),
        output_without_time=without_time(graph.outputs[0].shape, data.windows.targets, crop),
    )


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


def turn_faults(spec: Spec, crop: tuple[int, ...]) -> Iterator[SpecError]:
    """The error of turning samples that are not square."""
    augment = spec.data and spec.data.augment
    if augment and augment.rotate and crop[-2] != crop[-1]:
        yield spec.error(("data", "augment", "rotate"), not_square(crop[-2], crop[-1]), code="data-shape")
