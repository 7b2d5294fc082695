"""The data section of a spec, for the stage that cannot do without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specbuild.language.sections.data import DataSection

if TYPE_CHECKING:
    from specbuild.language import Spec


def data_section(spec: Spec) -> DataSection:
    """The data section of a spec.

    Raises:
        SpecError: it has none.
    """
    if spec.data is None:
        help = "add data: with source and windows"
        raise spec.error((), "the spec has no data section", help=help, code="missing-key")
    return spec.data
