"""Transforms inside of an exported graph: the steps as they are, on traced values, without checks of these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from specbuild.data.sources.base import Region
from specbuild.data.transforms.kinds import AnomalyStep, ClipStep, Only
from specbuild.data.transforms.pipeline import Transform
from specbuild.data.transforms.step import FrameContext, Step
from specbuild.document import ArgumentError
from specbuild.exporting.tracing import Lookup, Traced, Untraceable

HELP = "export with --shape whole, and transform what goes in and out as specbuild/data/transforms does"


@dataclass(frozen=True, slots=True)
class Unchecked(Transform):
    """A transform of traced values, which cannot be checked before the graph runs."""

    @classmethod
    def of(cls, transform: Transform, region: Region | None = None) -> Unchecked:
        """Return a transform for a region of the frames; None: for whole frames."""
        return cls(tuple(_with_lookup(step, region) for step in transform.steps), transform.fill)

    def apply(self, physical: Any, context: FrameContext | None = None) -> Any:
        for step in self.steps:
            with _Naming(step):
                physical = step.at(context).apply(physical)
        return physical

    def invert(self, transformed: Any, context: FrameContext | None = None) -> Any:
        for step in reversed(self.steps):
            with _Naming(step):
                transformed = step.at(context).invert(transformed)
        return transformed


def limits(transform: Transform) -> Iterator[str]:
    """Yield a note on each step that can be given values it cannot take, which a graph does not refuse.

    A step right after a `clip` that leaves only values it can take is not noted.
    """
    for before, step in zip((None, *transform.steps), transform.steps, strict=False):
        above = step.step.above if isinstance(step, Only) else step.above
        least = before.least if isinstance(before, ClipStep) else None
        if above is not None and (least is None or least <= above):
            yield f"{_name(step)} needs values above {above:g}; other values count as missing"


class _Naming:
    """Makes an error of a step name it."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, Untraceable):
            message = f"the transform {_name(self.step)} cannot be part of an exported graph: it uses {error}"
            raise ArgumentError(message, help=HELP) from error


def _name(step: Step) -> str:
    return step.step.name if isinstance(step, Only) else step.name


def _with_lookup(step: Step, region: Region | None) -> Step:
    """Return a step whose means are looked up by traced slots, for a region of the frames."""
    if isinstance(step, Only):
        return Only(_with_lookup(step.step, region), step.channels)
    if isinstance(step, AnomalyStep):
        means = step.means if region is None else step.means[(slice(None), *region)]
        return replace(step, means=Lookup(means))  # type: ignore[arg-type]
    return step


def slots_of(first: Traced, offsets: list[int]) -> FrameContext:
    """Return the context of frames so many slots after the one that goes in, for steps that depend on the time."""
    return FrameContext(first + np.asarray(offsets, np.int32))
