"""Names of exported models, of their axes and of their units."""

from __future__ import annotations

from specbuild.data import Dataset
from specbuild.data.sources.base import FrameMetadata
from specbuild.language.sections.source import LETTERS, SPACES
from specbuild.runs.folder import plain_name

SPACE = {letter: LETTERS[letter] for letters in SPACES for letter in letters}
"""What the spatial axes of a layout are called."""


def exported_name(name: str) -> str:
    """Return the name of a spec, as files and graphs are called."""
    return plain_name(name)


def units_of(dataset: Dataset) -> str:
    """Return the physical units of frames, as `units_in` lists them."""
    return units_in(dataset.labels)


def units_in(metadata: FrameMetadata) -> str:
    """Return the units of frames; of several variables with different units in their order."""
    of_each = [metadata.units_of_variable(name) for name in metadata.variables]
    return metadata.common_units or (", ".join(units or "not known" for units in of_each) if any(of_each) else "")
