"""The commands of the tutorials do what the pages say, with a training that is cut short."""

from __future__ import annotations

import io
import re
import runpy
import shlex
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from specbuild.cli import main
from specbuild.model.backend import start
from specbuild.runs.files import write_text
from tests.tools import tool

tutorials = tool("tutorials")

TRAINED = ("specbuild train", "specbuild evaluate", "specbuild compare")
"""Commands whose numbers depend on the training."""
SHORT = (
    "vars.filters=1",
    "train.epochs=1",
    "train.steps_per_epoch=2",
    "data.split.validation=0.05",
    "data.split.test=0.06",
)
"""What keeps a training and its scores short."""
PICTURES = ("draw_scores", "draw_strip", "draw_animation")
"""What takes longer than the scores, and is looked at elsewhere."""


def execute(line: str, folder: Path) -> str:
    """Run a command like `tutorials.shell`; what is Python runs in this process, which loads the framework once."""
    words = [file for word in shlex.split(line) for file in (map(str, Path().glob(word)) if "*" in word else [word])]
    if words[0] == "specbuild":
        arguments = [*words[1:], *(f"--set={each}" for each in SHORT if words[1] == "train")]
        return CliRunner().invoke(main, arguments).output
    if words[0] == "python":
        printed = io.StringIO()
        with redirect_stdout(printed):
            runpy.run_path(words[1], run_name="__main__")
        return printed.getvalue()
    return str(tutorials.shell(line, folder))


def headings(text: str) -> list[str]:
    """Return the first column of each table, and its heading."""
    return re.findall(r"^\| +([^|]*?) +\|", text, re.M)


@pytest.mark.parametrize("name", ["keras", "netcdf"])
def test_a_tutorial(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start()  # before a script uses Keras: afterwards the devices of the tests cannot be set up any more
    for drawing in PICTURES:
        monkeypatch.setattr(
            import_module("specbuild.evaluation.evaluate"), drawing, lambda _, path: write_text(path, "")
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(tutorials.WIDTH))
    page = (tutorials.TUTORIALS / f"{name}.md").read_text("utf-8")
    commands = 0
    for command, printed in tutorials.follow(page, tmp_path, execute):
        commands += 1
        if command.line.startswith(TRAINED):
            assert set(headings(printed)) == set(headings(command.output)), command.line
        else:
            assert printed == command.output, command.line
    assert commands > 5


def test_every_tutorial_is_tested() -> None:
    assert sorted(path.stem for path in tutorials.TUTORIALS.glob("*.md")) == ["keras", "netcdf"]


def test_blocks_are_files_and_commands() -> None:
    page = "`a.txt`\n\n```text\n1\n```\n\nText.\n\n```console\n$ cat a.txt\n0\n$ true\n```\n\n```yaml\nx: 1\n```\n"
    steps = list(tutorials.steps(page))
    assert steps == [
        tutorials.File("a.txt", "1\n"),
        tutorials.Command("cat a.txt", "0\n"),
        tutorials.Command("true", ""),
    ]


def test_output_is_rewritten(tmp_path: Path) -> None:
    page = "`a.txt`\n\n```text\n1\n```\n\n```console\n$ cat a.txt\n0\n$ true\n```\n"
    assert tutorials.rewritten(page, tmp_path, tutorials.shell) == page.replace("\n0\n", "\n1\n")
