"""From `data.source` to frames: finds the files, opens them and says what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from specbuild.data.section import data_section
from specbuild.data.sources.base import FilePart, FrameSource, SourceError
from specbuild.data.sources.checked import GuardedSource
from specbuild.data.sources.frame_folder import is_pictures
from specbuild.data.sources.join import join
from specbuild.data.sources.located import located
from specbuild.data.sources.patterns import folder_above, is_pattern, matches
from specbuild.data.sources.record import READERS, Record, read_record, suffixes
from specbuild.data.time.times import differ, usual_step
from specbuild.document import did_you_mean
from specbuild.language.interval import Interval
from specbuild.language.sections.data import DataSection

if TYPE_CHECKING:
    from specbuild.language import Spec


def open_source(spec: Spec) -> FrameSource:
    """The frames of the spec's data section; nothing but headers and coordinates is read yet.

    Raises:
        SpecError: no data section; the files, their arrays or the axes are not what `data.source` says, located at the
            key at fault.
    """
    data = data_section(spec)
    if data.target is not None:
        raise spec.error(
            ("data", "target"),
            "the model gives classes of clips, this needs forecasts of frames",
            help="score it with specbuild evaluate",
            code="data-shape",
        )
    with located(spec):
        if data.source.generator is not None:
            from specbuild.data.generators import open_generated

            return open_generated(data.source.generator, data, spec.resolve_path)
        return _open(data, _found(spec.resolve_path(data.source.path), data.source.path))


def source_files(spec: Spec) -> dict[Path, tuple[Path, ...]]:
    """The paths that `data.source` names, each with the files and folders that it means; a pattern means several."""
    paths = [spec.resolve_path(file) for file in spec.data.source.files] if spec.data is not None else []
    return {path: tuple(matches(path)) if is_pattern(path) else (path,) for path in paths}


def _open(data: DataSection, paths: list[Path]) -> FrameSource:
    def read(path: Path) -> Record:
        return read_record(path, data)

    if len(paths) == 1 and data.source.by == "time":
        whole = read(paths[0])
        parts = tuple(
            FilePart(name, range(number, number + 1), range(whole.frames)) for number, name in enumerate(whole.events)
        )
    else:
        whole, parts = join(paths, read, Path(data.source.path).name, data.source.by)
    if not whole.frames:
        raise SourceError("time", f"no frame of {whole.label} lies between the dates")
    _check_interval(data, whole)
    spatial = tuple(axis for axis in data.source.space if axis in whole.axes)
    return GuardedSource(
        whole.label,
        whole.array,
        whole.axes,
        spatial,
        whole.packing,
        whole.clocks,
        whole.coordinates,
        whole.variables,
        whole.units,
        whole.lengths,
        parts=parts,
        units_of=whole.units_of,
        allow_missing=data.allow_missing,
        skip=data.on_error == "skip",
    )


def _check_interval(data: DataSection, whole: Record) -> None:
    """Checks that frames are as far apart as the spec says, which names lead times by it."""
    if data.interval is None or not whole.clocks:
        return
    step = usual_step(whole.clocks[0])
    if step is not None and differ(step, Interval.parse(data.interval)):
        raise SourceError(
            "interval",
            f"frames are {data.interval} apart by the spec, {step.times(1)} by the times of {whole.name}",
            help=f"write interval: {step.times(1)}",
        )


def _found(path: Path, written: str) -> list[Path]:
    """The files that a path means: more than one where it is a pattern.

    Raises:
        SourceError: there is none, or nothing that reads it.
    """
    if is_pictures(path) and (path.exists() or is_pattern(path)):
        return [path]
    if is_pattern(path):
        found = matches(path)
        if not found:
            folder = folder_above(path)
            reason = f"looked in {folder.resolve()}" if folder.is_dir() else f"there is no folder {folder}"
            raise SourceError("path", f"nothing matches {written}", reason=reason)
        for one in found:
            _check_file(one, one.name)
        return found
    _check_file(path, written)
    return [path]


def _check_file(path: Path, written: str) -> None:
    suffix = path.suffix.lower()
    if not path.exists():
        folder = path.parent
        if not folder.is_dir():
            raise SourceError("path", f"{written} does not exist", reason=f"there is no folder {folder}")
        hint = did_you_mean(path.name, sorted(one.name for one in folder.iterdir()))
        raise SourceError("path", f"{written} does not exist", reason=f"looked in {folder.resolve()}", help=hint)
    if path.is_dir() and suffix != ".zarr":
        raise SourceError("path", f"{written} is a folder, not a file", help=f"name a file: {suffixes()}")
    if suffix not in READERS:
        raise SourceError(
            "path", f'no reader knows the suffix "{path.suffix}" of {written}', help=f"known are {suffixes()}"
        )
