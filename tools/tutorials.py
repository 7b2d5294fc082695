"""Run the tutorials in `docs/tutorials` and show where their output has changed, or rewrite it.

python tools/tutorials.py                 all, in full, in a folder of their own: some minutes
python tools/tutorials.py keras --write   one, and write its output into the page

Of a page, these blocks are run, in order: a block below a line with nothing but `file` in backticks is written to that
file; in a block marked `console`, each line that begins with "$ " is a command, and the lines below it are what it
prints. Everything else is only read.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias

ROOT = Path(__file__).parent.parent
TUTORIALS = ROOT / "docs" / "tutorials"
WIDTH = 80
"""Columns of the terminal that the pages show."""

_BLOCK = re.compile(r"(?:^`(?P<file>[\w./]+)`\n\n)?^```(?P<kind>\w+)[^\n]*\n(?P<text>.*?)^```$", re.M | re.S)

_LOG = re.compile(r"^(?:WARNING: All log messages before absl|[IWE]0000 ).*\n", re.M)
"""Lines that TensorFlow logs while it is imported."""


class File(NamedTuple):
    """A file that the reader writes."""

    name: str
    text: str


class Command(NamedTuple):
    """A command that the reader runs, and what the page says that it prints."""

    line: str
    output: str


Execute: TypeAlias = Callable[[str, Path], str]
"""Runs a command in a folder and returns what it prints, on both streams."""


def steps(page: str) -> Iterator[File | Command]:
    """Yield what the reader of a page does, in order."""
    for block in _BLOCK.finditer(page):
        if block["file"]:
            yield File(block["file"], block["text"])
        elif block["kind"] == "console":
            yield from _commands(block["text"])


def follow(page: str, folder: Path, execute: Execute) -> Iterator[tuple[Command, str]]:
    """Do in a folder what a page says, and yield each command with what it printed."""
    for step in steps(page):
        if isinstance(step, File):
            (folder / step.name).write_text(step.text, "utf-8")
        else:
            yield step, execute(step.line, folder).replace(f"{folder}/", "")


def rewritten(page: str, folder: Path, execute: Execute) -> str:
    """Return a page with what its commands print now."""
    printed = iter([output for _, output in follow(page, folder, execute)])

    def renewed(block: re.Match[str]) -> str:
        if block["kind"] != "console" or block["file"]:
            return block[0]
        shown = (f"$ {command.line}\n{next(printed)}" for command in _commands(block["text"]))
        return f"```console\n{''.join(shown)}```"

    return _BLOCK.sub(renewed, page)


def shell(command: str, folder: Path) -> str:
    """Run a command in a shell, with the specbuild of this checkout.

    Raises:
        OSError: the shell cannot be started.
    """
    environment = os.environ | {"COLUMNS": str(WIDTH), "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    script = f'specbuild() {{ python -m specbuild "$@"; }}\n{command}\n'
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return _LOG.sub("", done.stdout)


def _commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


def main() -> int:
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    changed = False
    for path in sorted(TUTORIALS.glob("*.md")):
        if names and path.stem not in names:
            continue
        page = path.read_text("utf-8")
        with TemporaryDirectory() as folder:
            now = rewritten(page, Path(folder).resolve(), shell)
        if "--write" in sys.argv:
            path.write_text(now, "utf-8")
        else:
            changed |= page != now
            sys.stdout.writelines(difflib.unified_diff(page.splitlines(True), now.splitlines(True), path.name, "now"))
    return int(changed)


if __name__ == "__main__":
    sys.exit(main())
