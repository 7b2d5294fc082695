"""`specbuild schema`: the same schema on standard output and in a file."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from specbuild.cli import main
from specbuild.language.schema import json_schema


def test_it_prints_the_schema() -> None:
    result = CliRunner().invoke(main, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json_schema()


def test_it_writes_the_schema(tmp_path: Path) -> None:
    file = tmp_path / "specbuild.schema.json"
    result = CliRunner().invoke(main, ["schema", "--output", str(file)])
    assert (result.exit_code, result.output) == (0, "")
    assert json.loads(file.read_text("utf-8")) == json_schema()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["schema", "-o", str(tmp_path / "nowhere" / "a.json")])
    assert result.exit_code == 1
    assert "No such file or directory" in result.output


def test_help_shows_how_an_editor_finds_it() -> None:
    result = CliRunner().invoke(main, ["schema", "--help"])
    assert "# yaml-language-server: $schema=specbuild.schema.json" in result.output


def test_a_full_disk_is_no_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    result = CliRunner().invoke(main, ["schema", "--output", str(tmp_path / "schema.json")])
    assert (result.exit_code, result.output) == (
        1,
        "error: No space left on device\n  = help: make room, then run the command again\n",
    )
