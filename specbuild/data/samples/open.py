"""The data of a spec, of whichever kind its samples are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.data.samples.clips import ClipDataset, open_clips
from specbuild.data.samples.dataset import Dataset, open_data
from specbuild.data.section import data_section

if TYPE_CHECKING:
    from specbuild.graph import Graph
    from specbuild.language import Spec

Samples: TypeAlias = Dataset | ClipDataset
"""What a model is trained on: windows of frames, or clips with their classes."""


def open_samples(spec: Spec, graph: Graph, *, transform: Mapping[str, Any] | None = None) -> Samples:
    """Opens windows of frames or, with `target: class`, clips; fits the transform on those for training.

    Args:
        transform: the state of a transform fitted before, which is then used as it is.

    Raises:
        SpecError: no data section, or data that does not fit it, the model or each other.
        RunError: `transform` cannot be read.
    """
    opened = open_data if data_section(spec).target is None else open_clips
    return opened(spec, graph, transform=transform)
