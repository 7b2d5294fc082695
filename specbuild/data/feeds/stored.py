"""Another source as an input: its files, its grid, and its transform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from specbuild.catalog.shapes import show
from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import Feed, FeedContext
from specbuild.data.samples.windows import Stretch
from specbuild.data.sources import FrameSource, open_source
from specbuild.data.transforms.fit import fit_transform
from specbuild.data.transforms.pipeline import Transform
from specbuild.document import Mapping as MappingNode
from specbuild.document import SpecError
from specbuild.language import Spec
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.feeds import SourceFeed


def open_stored(spec: Spec, name: str, feed: SourceFeed, record: FrameSource) -> StaticField:
    """Open the source of an input, and compare its grid with that of the record.

    Raises:
        SpecError: it cannot be read, or does not fit, located at the key of the input.
    """
    seen = spec_of(spec, name, feed)
    with beside_the_record(name):
        source = open_source(seen)
        if "T" in source.metadata.axes:
            message = f"{source.name} has frames in time, an input is one field that does not change"
            help = "choose one frame of it, with select and a layout without T"
            raise seen.error(("data", "source", "layout"), message, help=help, code="data-shape")
        check_grid(seen, source, record)
    return StaticField(name, feed, source, seen)


def spec_of(spec: Spec, name: str, feed: SourceFeed) -> Spec:
    """Return the spec whose data section is the source of an input, so that it is opened and fitted like the record."""
    data = spec.require_data()
    section = DataSection.model_construct(
        source=feed.source,
        scale=feed.scale,
        offset=feed.offset,
        missing=feed.missing,
        fill=feed.fill,
        transform=feed.transform,
        variable=name,
        windows=data.windows,
        split=data.split,
        on_error=data.on_error,
        statistics=data.statistics,
    )
    document = spec.document
    written = document.get("data")
    inputs = written.get("inputs") if isinstance(written, MappingNode) else None
    node = inputs.get(name) if isinstance(inputs, MappingNode) else None
    if node is not None:
        document = document.with_value("data", node)
    return replace(spec, data=section, document=document)


@contextmanager
def beside_the_record(name: str) -> Iterator[None]:
    """Name the input in errors over its source, which is read as if it were the record.

    Raises:
        SpecError: what is raised inside.
    """
    try:
        yield
    except SpecError as error:
        place = f"data.inputs.{name}"
        faults = (
            replace(
                fault,
                where=place + fault.where.removeprefix("data") if fault.where.startswith("data") else fault.where,
                help=fault.help.replace("data.", f"{place}."),
            )
            for fault in error.diagnostics
        )
        raise SpecError(faults) from error


def check_grid(seen: Spec, source: FrameSource, record: FrameSource) -> None:
    """Check that a source has the grid of the record, as far as the coordinates of both are known.

    Raises:
        SpecError: it has another.
    """
    ours, theirs = source.metadata, record.metadata
    place, code = ("data", "source"), "data-shape"
    if ours.space != theirs.space:
        axes = [" ".join(metadata.space) or "none" for metadata in (ours, theirs)]
        message = f"{source.name} has the axes of space {axes[0]}, {record.name} has {axes[1]}"
        raise seen.error(
            (*place, "layout"), message, help="an input that is read from files has the record's", code=code
        )
    if source.space != record.space:
        message = f"{source.name} has frames of {show(source.space)}, {record.name} of {show(record.space)}"
        raise seen.error(place, message, help="bring both onto one grid, or read the same region of it", code=code)
    for letter in ours.space:
        a, b = ours.coordinates.get(letter), theirs.coordinates.get(letter)
        if a is None or b is None or a.values is None or b.values is None:
            continue
        if not same_places(a.values, b.values):
            raise seen.error(
                place,
                f"{a.name} of {source.name} is not that of {record.name}",
                reason=f"{a.values[0]} … {a.values[-1]} and {b.values[0]} … {b.values[-1]}",
                help="bring both onto one grid, or read the same region of it",
                code=code,
            )


def same_places(values: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> bool:
    """Whether two coordinates of one length are the same, apart from rounding: to a thousandth of a step."""
    if values.dtype.kind not in "iuf" or others.dtype.kind not in "iuf":
        return bool(np.array_equal(values, others))
    step = float(np.abs(np.diff(others.astype(np.float64))).min()) if len(others) > 1 else 1.0
    return bool(np.allclose(values, others, rtol=1e-6, atol=1e-3 * step))


@dataclass(frozen=True)
class StaticField(Feed[SourceFeed]):
    """One field that does not change, read once."""

    source: FrameSource
    seen: Spec
    """The spec as its data section would be if it were the record."""
    statistics: Transform | None = None
    field: Floats | None = None
    """The whole field as the model reads it, (*space, C)."""

    @property
    def channels(self) -> int:
        return self.source.channels

    @property
    def transform(self) -> Transform | None:
        return self.statistics

    def fitted(self, train: tuple[Stretch, ...]) -> Self:  # noqa: ARG002
        with beside_the_record(self.name):
            section = self.seen.require_data()
            return self._with(fit_transform(self.seen, section, self.source, (Stretch(0, range(1)),)))

    def restored(self, state: Mapping[str, Any] | None) -> Self:
        if state is None:
            return self.fitted(())
        transform = Transform.from_state(state)
        transform.check_fits(self.section.transform, self.source.channels)
        return self._with(transform)

    def read(self, context: FeedContext) -> Floats:
        assert self.field is not None
        return self.field[context.region]

    def notes(self) -> tuple[str, ...]:
        return self.source.notes()

    def _with(self, transform: Transform) -> Self:
        physical = self.source.read(0, range(1))
        return replace(self, statistics=transform, field=transform.fill_missing(transform.apply(physical))[0])
