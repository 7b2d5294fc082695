"""The files that a path of the spec means, their order, and their faults as errors of the spec."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from specbuild.catalog.sources import GEOTIFF, Kind, SourceFormat, format_of, suffix_of, suffixes_of
from specbuild.data.sources.errors import FileError, SourceError, reason_of
from specbuild.data.sources.limits import check_regular
from specbuild.document import did_you_mean
from specbuild.document.printable import one_line
from specbuild.language import Spec
from specbuild.language.sections.data import DataSection

_WILD = re.compile(r"[*?\[]")


@contextmanager
def located(spec: Spec) -> Iterator[None]:
    """Locate what is raised inside over a file, at the key of the data section that is at fault.

    Raises:
        SpecError: in place of SourceError, OSError and MemoryError.
    """
    try:
        yield
    except SourceError as error:
        place = ("data", error.part) if error.part in DataSection.model_fields else ("data", "source", error.part)
        told = error.message, error.reason, _beside_its_base(spec, place) or error.help
        message, reason, help = map(one_line, told)
        raise spec.error(place, message, reason=reason, help=help, code="bad-data") from error
    except OSError as error:
        name = Path(error.filename).name if isinstance(error.filename, str) else spec.require_data().source.label
        reason = reason_of(error.strerror or error)
        place = ("data", "source", "path")
        raise spec.error(place, f"{name} cannot be read", reason=reason, code="bad-data") from error
    except MemoryError as error:
        message = f"there is not enough memory to open {spec.require_data().source.label}"
        help = "read a part of it with data.source.region or data.source.select, or close other programs"
        place = ("data", "source", "path")
        raise spec.error(place, message, reason=reason_of(error), help=help, code="bad-data") from error


def _beside_its_base(spec: Spec, place: tuple[str, ...]) -> str:
    """Return the help over data that are not there, but lie beside the base of the spec that names them; else ""."""
    if place != ("data", "source", "path"):
        return ""
    base, written = Path(spec.span(place).source.name), spec.require_data().source.path
    file, looked_for = base.parent / written, spec.resolve_path(written)
    if not base.is_file() or _exists(looked_for) or not _exists(file):
        return ""
    path = Path(os.path.relpath(file, spec.directory)).as_posix()
    return f"the paths of a base are relative to the spec that extends it: write path: {path} there"


def _exists(path: Path) -> bool:
    return path.exists() or (is_pattern(path) and bool(matches(path)))


def is_pattern(path: Path) -> bool:
    """Whether a path stands for all that match it: it has `*`, `?` or `[`, and no file has exactly this name."""
    return bool(_WILD.search(str(path))) and not path.exists()


def matches(pattern: Path) -> list[Path]:
    """Return the files and folders that a pattern means, in natural order."""
    above = folder_above(pattern)
    return natural_order(above.glob(str(pattern.relative_to(above)))) if above.is_dir() else []


def folder_above(pattern: Path) -> Path:
    """Return the folder below which a pattern looks."""
    return next(folder for folder in pattern.parents if not _WILD.search(str(folder)))


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Return paths in natural order, without hidden ones."""
    return sorted((path for path in paths if not path.name.startswith(".")), key=natural)


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Return the key that sorts numbers in names by their value: `9.png` before `10.png`."""
    parts = re.split(r"([0-9]+)", path.as_posix())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def format_at(path: Path) -> SourceFormat | None:
    """Return the format of a file by its suffix and, of a TIFF, by what is in it; None where none has this suffix."""
    source_format = format_of(path)
    if source_format is not None and path.suffix.lower() in GEOTIFF.suffixes and path.is_file():
        from specbuild.data.sources.geotiff import is_geotiff

        return GEOTIFF if is_geotiff(path) else source_format
    return source_format


def picture_kind(path: Path) -> Kind | None:
    """Return whether a file is an image or a video, by its suffix; None where it is neither."""
    source_format = format_at(path)
    return None if source_format is None or source_format.kind == "arrays" else source_format.kind


def is_pictures(path: Path) -> bool:
    """Whether a path means pictures: a video, a TIFF, a folder of images or videos, or a pattern of any of these."""
    if is_pattern(path):
        first = next(iter(matches(path)), None)
        return picture_kind(path) is not None if first is None else is_pictures(first)
    if path.is_dir():
        entries = natural_order(path.iterdir())
        inside = (inner for entry in entries for inner in ((entry, *entry.iterdir()) if entry.is_dir() else (entry,)))
        return any(map(picture_kind, inside))
    return picture_kind(path) is not None


def array_files(path: Path, written: str) -> list[Path]:
    """Return the files of arrays that a path means: more than one where it is a pattern or a folder.

    `written` is as in the spec.

    Raises:
        SourceError: there is none, or no reader for it.
    """
    if path.is_dir() and format_of(path) is None:
        return _files_in(path, written)
    if not is_pattern(path):
        _check_file(path, written)
        return [path]
    paths = matched(path, written)
    for file in paths:
        _check_file(file, file.name)
    return paths


def _files_in(folder: Path, written: str) -> list[Path]:
    """Return the files of arrays in a folder, all of one format."""
    files = [file for file in natural_order(folder.iterdir()) if is_arrays(file)]
    if not files:
        raise FileError(f"{written} holds no files that can be read", help=f"known are {known_suffixes()}")
    other = next((file for file in files if format_at(file) != format_at(files[0])), None)
    if other is not None:
        raise FileError(
            f"{written} holds files in two formats",
            reason=f"{files[0].name} and {other.name}",
            help=f"select one format with a pattern, such as {written.rstrip('/')}/*{suffix_of(files[0])}",
        )
    for file in files:
        _check_file(file, file.name)
    return files


def is_arrays(path: Path) -> bool:
    """Whether a path is of a format of arrays."""
    source_format = format_at(path)
    return source_format is not None and source_format.kind == "arrays"


def known_suffixes() -> str:
    """Return the suffixes of all formats, for messages."""
    return f"{', '.join(suffixes_of())}; all but videos and .zarr also with .gz"


def matched(pattern: Path, written: str) -> list[Path]:
    """Return the files and folders that a pattern means, at least one.

    Raises:
        SourceError: there is none.
    """
    folder, paths = folder_above(pattern), matches(pattern)
    if not paths:
        raise FileError(f"nothing matches {written}", reason=_looked_in(folder))
    return paths


def missing_file(part: str, path: Path, written: str) -> SourceError:
    """Return the error over a file that is not there, which `part` of the section names."""
    folder = path.parent
    near = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    hint = did_you_mean(path.name, near)
    return SourceError(part, f"{written} does not exist", reason=_looked_in(folder), help=hint)


def _looked_in(folder: Path) -> str:
    return f"looked in {folder.resolve()}" if folder.is_dir() else f"there is no folder {folder}"


def _check_file(path: Path, written: str) -> None:
    source_format = format_at(path)
    if not path.exists():
        raise missing_file("path", path, written)
    if path.is_dir() and not (source_format and source_format.is_folder):
        raise FileError(f"{written} is a folder, not a file", help=f"known are {known_suffixes()}")
    check_regular(path, written)
    if source_format is None or source_format.kind != "arrays":
        raise FileError(
            f'no reader knows the suffix "{path.suffix}" of {written}', help=f"known are {known_suffixes()}"
        )
