"""`specbuild --help`: every verb with one whole sentence."""

from __future__ import annotations

from click.testing import CliRunner

from specbuild.cli import VERBS, main


def test_the_verbs_fit_80_columns() -> None:
    text = CliRunner().invoke(main, ["--help"], terminal_width=80).stdout
    listed = text.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == list(VERBS)
    assert all(line.endswith(".") and not line.endswith("...") and len(line) <= 80 for line in listed)
