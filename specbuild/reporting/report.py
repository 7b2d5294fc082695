"""`report`: runs as one HTML file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from specbuild.document import ArgumentError, RunError
from specbuild.document.extras import require
from specbuild.language import normalize
from specbuild.reporting.opened import opened
from specbuild.runs.faults import reason
from specbuild.runs.files import write_text

FILE = "report.html"
WINDOWS = 6
"""Windows whose forecasts are shown, unless another number is asked for."""
_MOST_WINDOWS = 40


def report(
    runs: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    windows: int = WINDOWS,
    overwrite: bool = False,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    plugins: Iterable[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write one self-contained HTML file about a run, or about several side by side.

    It shows the spec with its diagram, the splits of the data, the loss, the scores that `evaluate` has stored, the
    forecasts of some windows and the provenance of the run. If a run has no scores, model or data, the report says so.
    Nothing is trained; the windows of the test split, at most 60 of them, are forecast.

    Args:
        runs: a run folder, or several.
        output: the file; default: `report.html` in the run folder or, for several runs, in the working directory.
        windows: number of windows to show.
        overwrite: whether an existing file is replaced.
        overrides: `data.source.path`, the new location of the data.
        plugins: modules to import, which register custom layers.
        say: called with each step of the work, a sentence.

    Returns:
        The path of the file.

    Raises:
        SpecError: one is not a run folder.
        ArgumentError: a run is named twice; the file exists already.
        RunError: a file of a run is damaged; the file cannot be written; the packages of the extra `report` are not
            installed.
    """
    require("report", "a report")
    from specbuild.reporting.render import rendered

    paths = [runs] if isinstance(runs, str | os.PathLike) else list(runs)
    if not 1 <= windows <= _MOST_WINDOWS:
        raise ArgumentError(f"a report shows 1 to {_MOST_WINDOWS} windows, {windows} were asked for")
    given = normalize(overrides)
    reported = opened(paths, plugins, given)
    target = _target(paths, output)
    if target.exists() and not overwrite:
        raise ArgumentError(
            f"{target} exists already", help="replace it with --overwrite, or name another file with --output"
        )
    from specbuild.reporting.content import content

    text = rendered(content(reported, windows, given, plugins, say))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, text)
    except OSError as error:
        raise RunError(
            f"the report cannot be written to {target}: {reason(error)}", help="name another file with --output"
        ) from error
    return target


def _target(paths: Sequence[str | Path], output: str | Path | None) -> Path:
    """Return the file to write.

    Raises:
        ArgumentError: it is not named as HTML is.
    """
    if output is None:
        return Path(paths[0]) / FILE if len(paths) == 1 else Path(FILE)
    target = Path(output)
    if target.is_dir():
        return target / FILE
    if target.suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"a report is written as .html, not as {target}")
    return target
