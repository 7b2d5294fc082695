"""A spec in the folder of what was made from it: its text, the files it was read from, and where its paths point."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from collections.abc import Mapping as AnyMapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from specbuild.document import Mapping
from specbuild.language import Spec, load_spec
from specbuild.runs.files import copy, write_text

SPEC = "spec.yaml"
COPIES = "spec"
"""The folder with the spec and the other files that it was read from, placed as they were."""


def directories(folder: Path, spec: Spec) -> dict[str, str]:
    """Return the folder that the paths of a spec are relative to: absolute, and relative to `folder`."""
    directory = spec.directory.resolve()
    with suppress(ValueError):  # on another drive of Windows
        return {
            "directory": str(directory),
            "relative_directory": Path(os.path.relpath(directory, folder.resolve())).as_posix(),
        }
    return {"directory": str(directory)}


def save_spec(folder: Path, spec: Spec) -> dict[str, str]:
    """Write a spec as it was written, and all files that it was read from.

    Returns:
        `spec`: the file to read it from, relative to the folder, where that is not `spec.yaml`.
    """
    write_text(folder / SPEC, spec.written)
    if not spec.files:
        return {}
    root = Path(os.path.commonpath([spec.here, *(file.parent for file in spec.files)]))
    copies = folder / COPIES
    for file in spec.files:
        target = copies / file.relative_to(root)
        if not (target.exists() and target.samefile(file)):
            target.parent.mkdir(parents=True, exist_ok=True)
            copy(file, target)
    main = copies / spec.here.relative_to(root) / SPEC
    main.parent.mkdir(parents=True, exist_ok=True)
    write_text(main, spec.written)
    return {"spec": main.relative_to(folder).as_posix()}


def read_saved_spec(
    folder: Path,
    record: AnyMapping[str, Any],
    overrides: Iterable[str] = (),
    *,
    change: Callable[[Mapping], tuple[str, ...]] | None = None,
) -> Spec:
    """Return a spec that `save_spec` wrote, with the overrides in its record, then `overrides`, then those of `change`.

    Its paths are still relative to the folder of the file it was read from. If that folder is gone, they are relative
    to the folder at the same path relative to `folder`.

    Args:
        folder: where it was saved.
        record: what `directories` and `save_spec` returned, with its `name` and `overrides`.
        overrides: further ones.
        change: gives further overrides from the document with those before.

    Raises:
        SpecError: an override does not fit.
    """
    directory = Path(record["directory"])
    beside = folder.absolute() / (record.get("relative_directory") or ".")
    if not directory.is_dir() and beside.is_dir():
        directory = beside.resolve()
    file, copies = folder / (record.get("spec") or SPEC), folder / COPIES
    roots = [copies] if copies.is_dir() else []
    written = (*record["overrides"], *overrides)
    spec = load_spec(file, overrides=written, change=change, directory=directory, roots=roots)
    return replace(spec, name=record["name"])
