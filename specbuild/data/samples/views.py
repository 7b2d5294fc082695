"""The frames that one of several outputs is compared with: some of the variables, or whether an event occurs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from specbuild.data.arrays import Floats
from specbuild.data.sources.base import FrameMetadata, FrameSource, Region
from specbuild.data.transforms.pipeline import Transform
from specbuild.data.units import differ, labelled
from specbuild.document import did_you_mean
from specbuild.language import Spec
from specbuild.language.sections.data import DataSection
from specbuild.language.sections.outputs import OutputSection


@dataclass(frozen=True)
class SeenFrames(FrameSource):
    """The frames of a source in some of its channels, or 1 where they reach `above` and 0 elsewhere."""

    whole: FrameSource = field(kw_only=True)
    chosen: tuple[int, ...] = field(kw_only=True)
    above: float | None = field(default=None, kw_only=True)

    @property
    def is_event(self) -> bool:
        """Whether the frames are events: 1 where one takes place, 0 elsewhere."""
        return self.above is not None

    @property
    def channels(self) -> int:
        return len(self.chosen) if self.channel is None else 1

    @property
    def may_miss(self) -> bool:
        return self.whole.may_miss

    def seen(self, physical: Floats) -> Floats:
        """Return frames of the whole source (…, C) as they are here; what is missing stays missing."""
        part = physical[..., list(self.chosen)]
        if self.above is None:
            return part
        return np.where(np.isnan(part), np.float32(np.nan), part >= np.float32(self.above)).astype(np.float32)

    def exact(self, event: int, frames: range) -> npt.NDArray[np.float64]:
        return self._read(event, frames, None).astype(np.float64)

    def _read(self, event: int, frames: range, region: Region | None) -> Floats:
        return self.seen(self.whole.read(event, frames, region))


def check_views(spec: Spec, source: FrameSource) -> None:
    """Check that a source has the variables that `data.targets` names.

    Raises:
        SpecError: it does not have one.
    """
    variables = source.metadata.variables
    for name, output in spec.require_data().targets.items():
        for variable in output.variables or ():
            if variable not in variables:
                known = f"it has {', '.join(variables)}" if variables else "its channels have no names"
                raise spec.error(
                    ("data", "targets", name, "variables"),
                    f"{source.name} has no variable {variable}",
                    help=did_you_mean(variable, variables) or known,
                    code="unknown-name",
                )


def seen_by(output: OutputSection, source: FrameSource) -> SeenFrames:
    """Return the frames of a source as an output is compared with them."""
    metadata = source.metadata
    chosen = tuple(range(source.channels))
    if output.variables is not None:
        chosen = tuple(metadata.variables.index(variable) for variable in output.variables)
        units = {each: text for each, text in metadata.units_of.items() if each in output.variables}
        metadata = replace(
            metadata,
            variables=output.variables,
            units_of=units if len(chosen) > 1 else {},
            units=", ".join(dict.fromkeys(units.values())) if metadata.units_of else metadata.units,
            coordinates={letter: axis for letter, axis in metadata.coordinates.items() if letter != "C"},
            descriptions=tuple(metadata.descriptions[n] for n in chosen if n < len(metadata.descriptions)),
        )
    if output.above is not None:
        descriptions = tuple(replace(each, attributes={}) for each in metadata.descriptions)
        metadata = replace(metadata, units="", units_of={}, descriptions=descriptions)
    return SeenFrames(
        source.array,
        metadata,
        unusable=source.unusable,
        infinite=source.infinite,
        whole=source,
        chosen=chosen,
        above=output.above,
    )


def labels_of(section: DataSection, output: OutputSection, metadata: FrameMetadata) -> dict[str, str]:
    """Return the variable and the units of an output, as `data` has them of the frames.

    Args:
        metadata: of the whole source. Where its variables have different units, those of the output are in its own
            metadata.
    """
    variable = section.variable if output.variables is None else ", ".join(output.variables)
    if output.above is None:
        return {"variable": variable, "units": "" if differ(metadata) else section.units}
    shown = labelled(metadata, section.units)
    of_each = {shown.units_of_variable(name) for name in output.variables or metadata.variables} or {shown.units}
    units = f" {text}" if len(of_each) == 1 and (text := of_each.pop()) else ""
    return {"variable": f"probability of {variable} >= {output.above:g}{units}", "units": ""}


def transform_of(transform: Transform, output: OutputSection, frames: SeenFrames) -> Transform:
    """Return the transform of an output's target: that of its channels; none of an event."""
    if output.above is not None:
        return Transform((), (0.0,) * frames.channels)
    return transform.selected(frames.chosen)
