"""Exports every shipped model in every format and shape, and writes what comes out into docs/export_matrix.md.

    python tools/export_matrix.py                        measure what has not been measured, print the table
    python tools/export_matrix.py --write                put what is measured into the two pages
    python tools/export_matrix.py --only predrnn mau     some models
    python tools/export_matrix.py --again --only mau     measure again, or with --failed what gave no file

Each model has a process of its own, `tools/export_cells.py`, which is replaced where a cell takes longer than LIMIT.
Each cell is stored as soon as it is measured, in the folder of `--done`. `--torch` names a folder with PyTorch, if
it is not installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from specbuild.exporting.formats import FORMATS, Format  # noqa: E402
from tests.model.test_zoo import ZOO  # noqa: E402
from tests.run.test_shipped import TINY  # noqa: E402

PAGE = ROOT / "docs" / "export_matrix.md"
SUMMARY = ROOT / "docs" / "exporting.md"
BEGIN, END = "<!-- Written by tools/export_matrix.py. -->\n", "<!-- End. -->\n"
SHAPES = {**dict.fromkeys(ZOO, ("whole", "streaming")), **dict.fromkeys(TINY, ("physical", "whole", "streaming"))}
"""What each model is exported as: those of the zoo have no data, and therefore no physical units."""
LIMIT = 60.0
"""Seconds of processor time that a cell may take."""
STUCK = 900.0
"""Seconds without processor time after which a process is given up."""

Cell = dict[str, Any]
Done = dict[str, dict[str, dict[str, Cell]]]
"""Of each model and shape, the cell of each format."""


class Late(Exception):
    """A process took longer than it may, or ended."""


class Cells:
    """A process that exports one model, with a framework under its Keras."""

    def __init__(self, name: str, backend: str, folder: Path, log: Path, torch: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = [str(ROOT), *([torch] if backend == "torch" or name in TINY else [])]
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, path))}
        self._log = log.open("a")
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "export_cells.py"), name, str(folder)],
            env=environment | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._answer(10 * LIMIT)

    def cell(self, shape: str, format: Format) -> Cell:
        """Ask for one entry of the table."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"shape": shape, "format": format.name}) + "\n")
        self._process.stdin.flush()
        answer: Cell = self._answer(LIMIT)
        return answer

    def _answer(self, limit: float) -> Any:
        begun, used = time.monotonic(), self._used()
        with selectors.DefaultSelector() as selector:
            assert self._process.stdout is not None
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not selector.select(0.2):
                if self._used() - used > limit or time.monotonic() - begun > STUCK:
                    self.end()
                    raise Late(f"> {limit:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise Late(f"the process ended with code {self._process.wait()}")
        return json.loads(line)

    def _used(self) -> float:
        """Return the processor time, in seconds, of the process and all that it started."""
        total = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self._process.pid:  # of its session
                own = sum(map(int, fields[11:13]))
                total += own + (sum(map(int, fields[13:15])) if int(status.parent.name) == self._process.pid else 0)
        return total / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End the process and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--failed", action="store_true", help="measure again where there was no file")
    parser.add_argument("--only", nargs="*", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--shapes", nargs="*", default=["physical", "whole", "streaming"])
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--done", type=Path, default=Path(tempfile.gettempdir()) / "export_matrix")
    parser.add_argument("--torch", default="", help="a folder with PyTorch, if it is not installed")
    options = parser.parse_args()
    place = options.done / "done.json"
    done: Done = json.loads(place.read_text("utf-8")) if place.exists() else {}
    if not options.write:
        options.done.mkdir(parents=True, exist_ok=True)
        for name in options.only:
            row_of(name, options, done)
    text = table(done)
    print(text)
    if options.write:
        written(PAGE, text)
        written(SUMMARY, summary(done))


def row_of(name: str, options: argparse.Namespace, done: Done) -> None:
    """Fill in the cells of a model, and store them one by one."""
    place, folder = options.done / "done.json", options.done / name
    row = done.setdefault(name, {})
    for torch in (False, True):
        if torch and name in ZOO:
            backend, formats = "torch", [each for each in options.formats if each == "torch"]
        elif not torch:
            backend = "tensorflow"
            formats = [each for each in options.formats if each != "torch" or name in TINY]
        else:
            continue
        process = None
        for shape in SHAPES[name]:
            cells = row.setdefault(shape, {})
            for format in formats:
                again = options.again or (options.failed and "relative" not in cells.get(format, {}))
                if shape not in options.shapes or (format in cells and not again):
                    continue
                begun = time.monotonic()
                try:
                    process = process or Cells(name, backend, folder, options.done / "log.txt", options.torch)
                    cells[format] = process.cell(shape, FORMATS[format])
                except (Late, BrokenPipeError) as error:
                    process, cells[format] = None, {"no": str(error)}
                place.write_text(json.dumps(done, indent=1), "utf-8")
                print(f"{name} {shape} {format}: {cells[format]} ({time.monotonic() - begun:.0f} s)", flush=True)
        if process is not None:
            process.end()


def entry(cell: Cell | None, reasons: list[str]) -> str:
    """Return a cell as text; why there is no file is added to the reasons, and the cell has its number."""
    if cell is None:
        return ""
    if "relative" not in cell:
        reason = reason_of(cell)
        if reason not in reasons:
            reasons.append(reason)
        return f"no ({reasons.index(reason) + 1})"
    batch = f" (batch of {cell['batch']})" if cell["batch"] else ""
    return f"{cell['relative']:.0e}, {1000 * cell['seconds']:.3g} ms{batch}"


def reason_of(cell: Cell) -> str:
    """Return why there is no file, in the same words for the same reason."""
    text: str = cell.get("refused") or cell["no"]
    if text.startswith("plain Keras cannot load"):
        return "The model has layers with weights that Keras does not have."
    if text.startswith("> "):
        return f"It takes more than {text.removeprefix('> ')} of processor time."
    return f"{text[0].upper()}{text[1:300]}.".replace("|", " ")


def table(done: Done) -> str:
    """Return the rows as Markdown, and the reasons for which there are no files."""
    reasons: list[str] = []
    head = f"| model | shape | {' | '.join(FORMATS)} |\n" + "|---" * (len(FORMATS) + 2) + "|\n"
    rows = []
    for name, shapes in SHAPES.items():
        for shape in shapes:
            cells = done.get(name, {}).get(shape, {})
            texts = [entry(cells.get(each), reasons) for each in FORMATS]
            rows.append(f"| `{name}` | {shape} | {' | '.join(texts)} |\n")
    return head + "".join(rows) + "".join(f"\n{n}. {reason}" for n, reason in enumerate(reasons, 1)) + "\n"


def summary(done: Done) -> str:
    """Return how many files of each format there are, and the largest difference."""
    text = "| format | measured | files | largest difference | median |\n|---|---|---|---|---|\n"
    for format in FORMATS:
        cells = [cells[format] for row in done.values() for cells in row.values() if format in cells]
        differences = sorted(cell["relative"] for cell in cells if "relative" in cell)
        if differences:
            middle = differences[len(differences) // 2]
            text += f"| `{format}` | {len(cells)} | {len(differences)} | {differences[-1]:.0e} | {middle:.0e} |\n"
    return text


def written(page: Path, text: str) -> None:
    """Put a text between the marks of a page."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
