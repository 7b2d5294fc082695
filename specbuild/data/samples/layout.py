"""How samples are cut for the model, once the real size of the frames is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from specbuild.catalog.heads import Head
from specbuild.catalog.shapes import show
from specbuild.data.sources.base import FrameSource
from specbuild.document import SpecError
from specbuild.graph import Graph
from specbuild.graph.data_checks import FrameLayout, sample_faults, without_time
from specbuild.graph.heads import output_head
from specbuild.language import Spec
from specbuild.language.sections.augment import not_square
from specbuild.language.sections.data import DataSection


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """How samples are laid out for the model."""

    crop: tuple[int, ...]
    """The axes of space of one sample."""
    input_without_time: bool = False
    """The model reads one past frame, without an axis of time."""
    output_without_time: bool = False
    """The model gives one frame, without an axis of time."""
    head: Head | None = None
    """How the channels of the output are read as a distribution; None: they are the forecast."""


def sample_layout(spec: Spec, section: DataSection, graph: Graph, source: FrameSource) -> SampleLayout:
    """Return the layout of samples that the model and the data agree on.

    Raises:
        SpecError: with every number that differs, each at the line to change.
    """
    _check_single(spec, section, graph)
    crop = section.crop_shape(source.space)
    frames = FrameLayout(source.name, source.space, source.channels)
    faults = [*_crop_faults(spec, section, crop, source), *sample_faults(spec, graph, frames)]
    if faults:
        raise SpecError(diagnostic for fault in faults for diagnostic in fault.diagnostics)
    return SampleLayout(
        crop,
        input_without_time=without_time(graph.inputs[0].shape, section.windows.past, crop),
        output_without_time=without_time(graph.outputs[0].shape, section.windows.targets, crop),
        head=output_head(spec, graph.outputs[0].name),
    )


def _check_single(spec: Spec, section: DataSection, graph: Graph) -> None:
    if len(graph.inputs) != 1:
        names = ", ".join(given.id for given in graph.inputs)
        raise spec.error(
            ("inputs",),
            f"data feeds one input, the model has {len(graph.inputs)}: {names}",
            help="train a model of several inputs from Python, with build_model and your own arrays",
            code="data-shape",
        )
    if len(graph.outputs) != 1:
        names = ", ".join(output.name for output in graph.outputs)
        target = "forecast" if section.target is None else "class"
        raise spec.error(
            ("outputs",),
            f"data has one target, the model has {len(graph.outputs)} outputs: {names}",
            help=f"keep the output that is the {target}, or train from Python with build_model",
            code="data-shape",
        )


def _crop_faults(spec: Spec, section: DataSection, crop: tuple[int, ...], source: FrameSource) -> Iterator[SpecError]:
    if any(size > length for size, length in zip(crop, source.space, strict=True)):
        yield spec.error(
            ("data", "crop"),
            f"the crop {show(crop)} is larger than the frames of {source.name}, {show(source.space)}",
            code="data-shape",
        )
    if section.augment and section.augment.rotate and crop[-2] != crop[-1]:
        yield spec.error(("data", "augment", "rotate"), not_square(crop[-2], crop[-1]), code="data-shape")
