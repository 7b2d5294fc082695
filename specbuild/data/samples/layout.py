"""How samples are cut for the model, once the real size of the frames is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from specbuild.catalog.heads import Head
from specbuild.catalog.shapes import Dim, show
from specbuild.data.sources.base import FrameSource
from specbuild.document import SpecError
from specbuild.graph import Graph
from specbuild.graph.data_checks import FrameLayout, sample_faults, without_time
from specbuild.graph.feed_checks import FeedLayout, feed_layout
from specbuild.graph.heads import output_head
from specbuild.language import Spec
from specbuild.language.sections.augment import not_square
from specbuild.language.sections.data import DataSection


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """How samples are laid out for the model."""

    crop: tuple[int, ...]
    """The spatial axes of one sample."""
    input_without_time: bool = False
    """The model has one input, and reads one past frame, without a time axis."""
    output_without_time: bool = False
    """The model gives one frame, without a time axis."""
    head: Head | None = None
    """How the channels of the output are read as a distribution; None: they are the forecast."""
    outputs: Mapping[str, SampleLayout] = field(default_factory=dict)
    """The layout of each output of `data.targets`."""
    inputs: Mapping[str, FeedLayout] = field(default_factory=dict)
    """The axes of each input of `data.inputs`."""


def sample_layout(
    spec: Spec,
    section: DataSection,
    graph: Graph,
    source: FrameSource,
    channels: Mapping[str, Dim] | None = None,
) -> SampleLayout:
    """Return the layout of samples that the model and the data agree on.

    Args:
        channels: those of each input of `data.inputs`.

    Raises:
        SpecError: with every number that differs, each at the line to change.
    """
    crop = section.crop_shape(source.space)
    frames = FrameLayout(source.name, source.space, source.channels)
    faults = [*_crop_faults(spec, section, crop, source), *sample_faults(spec, graph, frames, channels)]
    if faults:
        raise SpecError(diagnostic for fault in faults for diagnostic in fault.diagnostics)
    inputs = {
        given.id: feed_layout(section.inputs[given.id], section, given.shape, crop, (channels or {}).get(given.id))[0]
        for given in graph.inputs
        if given.id in section.inputs
    }
    layouts = {}
    for output in graph.outputs:
        target = section.targets.get(output.name)
        count = section.windows.targets if target is None else target.count(section.windows)
        layouts[output.name] = SampleLayout(
            crop,
            input_without_time=not section.inputs and without_time(graph.inputs[0].shape, section.windows.past, crop),
            output_without_time=without_time(output.shape, count, crop),
            head=output_head(spec, output.name),
            inputs=inputs,
        )
    first = layouts[graph.outputs[0].name]
    return replace(first, output_without_time=False, head=None, outputs=layouts) if section.targets else first


def _crop_faults(spec: Spec, section: DataSection, crop: tuple[int, ...], source: FrameSource) -> Iterator[SpecError]:
    if any(size > length for size, length in zip(crop, source.space, strict=True)):
        yield spec.error(
            ("data", "crop"),
            f"the crop {show(crop)} is larger than the frames of {source.name}, {show(source.space)}",
            code="data-shape",
        )
    if section.augment and section.augment.rotate and crop[-2] != crop[-1]:
        yield spec.error(("data", "augment", "rotate"), not_square(crop[-2], crop[-1]), code="data-shape")
