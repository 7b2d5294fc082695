"""Another source as an input: its files, its grid, and its transform."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from specbuild.data.arrays import Floats
from specbuild.data.feeds.base import Feed, FeedContext
from specbuild.data.feeds.grid import Grid, placed
from specbuild.data.samples.windows import Stretch
from specbuild.data.sources import FrameSource
from specbuild.data.transforms.fit import fit_transform
from specbuild.data.transforms.pipeline import Transform
from specbuild.document import Mapping as MappingNode
from specbuild.document import RunError, SpecError
from specbuild.language import Spec
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.feeds import SourceFeed


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
    """Make errors about the source of an input, which is read as if it were the record, name the keys of the input.

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


@dataclass(frozen=True)
class Stored(Feed[SourceFeed]):
    """Values from another source, with a transform and statistics of their own."""

    source: FrameSource
    grid: Grid
    seen: Spec
    """The spec whose data section is this source."""
    record_space: tuple[int, ...]
    """The size of the record's frames."""
    statistics: Transform | None = None

    def channels_of(self, data: DataSection, record: FrameSource) -> int:  # noqa: ARG002
        return self.source.channels

    @property
    def transform(self) -> Transform | None:
        return self.statistics

    def fitted(self, train: tuple[Stretch, ...]) -> Self:
        with beside_the_record(self.name):
            frames = placed(self.source, self.grid, self.record_space)
            return self.transformed(fit_transform(self.seen, self.seen.require_data(), frames, self.training(train)))

    def restored(self, state: Mapping[str, Any] | None) -> Self:
        if state is None:
            raise RunError(f"the saved transforms have none for the input {self.name}", help="train the model again")
        transform = Transform.from_state(state)
        transform.check_fits(self.section.transform, self.source.channels)
        return self.transformed(transform)

    @abstractmethod
    def training(self, train: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
        """Return the frames of this source that belong to training frames of the record.

        Raises:
            SpecError: there are none.
        """

    def transformed(self, transform: Transform) -> Self:
        """Return the same with a transform."""
        return replace(self, statistics=transform)

    def notes(self) -> tuple[str, ...]:
        if self.section.regrid is None:
            return self.source.notes()
        how = {"linear": "interpolated linearly", "nearest": "interpolated by nearest neighbor"}[self.section.regrid]
        outside = self.grid.outside
        beyond = f"; {outside:.0%} of the pixels lie outside its own grid and are missing" if outside else ""
        return (f"{self.name} is {how} to the grid of the frames{beyond}", *self.source.notes())


@dataclass(frozen=True)
class StaticField(Stored):
    """One field that does not change, read once."""

    values: Floats | None = None
    """The whole field as the model reads it, (*space, C)."""

    def training(self, train: tuple[Stretch, ...]) -> tuple[Stretch, ...]:  # noqa: ARG002
        return (Stretch(0, range(1)),)

    def transformed(self, transform: Transform) -> Self:
        whole = tuple(slice(0, length) for length in self.record_space)
        physical = self.grid.read(self.source, 0, range(1), whole)
        values = transform.fill_missing(transform.apply(physical))[0]
        return replace(self, statistics=transform, values=values)

    def read(self, context: FeedContext) -> Floats:
        assert self.values is not None
        return self.values[context.region]
