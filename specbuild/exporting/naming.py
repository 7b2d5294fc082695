"""Names of exported models, of their axes and of their units."""

from __future__ import annotations

from specbuild.data import Dataset
from specbuild.language.sections.source import LETTERS, SPACES
from specbuild.runs.folder import plain_name

SPACE = {letter: LETTERS[letter] for letters in SPACES for letter in letters}
"""What the spatial axes of a layout are called."""


def exported_name(name: str) -> str:
    """Return the name of a spec, as files and graphs are called."""
    return plain_name(name)


def units_of(dataset: Dataset) -> str:
    """Return the physical units of frames, by the spec or else by their file; of several variables in their order."""
    metadata = dataset.source.metadata
    if dataset.section.units:
        return dataset.section.units
    if metadata.common_units or not metadata.units_of:
        return metadata.common_units
    return ", ".join(metadata.units_of_variable(name) for name in metadata.variables)
