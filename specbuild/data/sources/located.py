"""Faults of files as errors of the spec that names them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from specbuild.data.section import data_section
from specbuild.data.sources.base import SourceError
from specbuild.language.sections.data import DataSection

if TYPE_CHECKING:
    from specbuild.language import Spec


@contextmanager
def located(spec: Spec) -> Iterator[None]:
    """Locates what is raised inside over a file, at the key of the data section that is at fault.

    Raises:
        SpecError: in place of SourceError and OSError.
    """
    try:
        yield
    except SourceError as error:
        place = ("data", error.part) if error.part in DataSection.model_fields else ("data", "source", error.part)
        raise spec.error(place, error.message, reason=error.reason, help=error.help, code="bad-data") from error
    except OSError as error:
        name = Path(error.filename).name if isinstance(error.filename, str) else data_section(spec).source.label
        reason = error.strerror or str(error)
        place = ("data", "source", "path")
        raise spec.error(place, f"{name} cannot be read", reason=reason, code="bad-data") from error
