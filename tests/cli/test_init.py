"""`specbuild init`: a template with its data, into a folder where nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from specbuild.cli import main
from specbuild.cli.templates import templates

WROTE = "wrote specbuild.schema.json, which editors use to complete and check the spec\n"
RAIN = Path("data/mrms_preciprate_20190610_36x256x256.npz")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="specbuild")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_list_has_a_line_for_each_template() -> None:
    done = run("init", "--list")
    assert done.exit_code == 0
    lines = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    assert lines.keys() >= {"radar-nowcast", "next-frame"}
    assert lines["unet-convlstm"].endswith("; without data")
    assert lines["radar-nowcast"].strip() == "Weather radar from 8 minutes of rain to the next 12"
    assert lines["two-heads"].strip() == "One recurrence with two heads"
    assert max(map(len, done.stdout.splitlines())) <= 120


WARNED = ("tutorials/stacked-valid", "tutorials/stacked-valid-channels-first", "zoo/keras-next-frame")
"""What check warns of in these is so in their originals."""


@pytest.mark.parametrize("name", list(templates()))
def test_every_template_passes_check_where_it_is_written(name: str) -> None:
    assert run("init", name, "mine.yaml").exit_code == 0
    checked = run("check", "mine.yaml", *(() if name in WARNED else ("--strict",)))
    assert checked.exit_code == 0, checked.output


def test_a_template_of_a_folder_comes_with_what_it_extends(folder: Path) -> None:
    assert run("init", "zoo/shi2015_1layer_no_peephole").stdout == (
        "wrote shi2015_1layer_no_peephole.yaml\nwrote shi2015_1layer.yaml\nwrote shi2015_2layers.yaml\n"
        f"{WROTE}"
        "next: specbuild summary shi2015_1layer_no_peephole.yaml; it trains when it has a data section\n"
    )
    assert len(list(folder.iterdir())) == 4


def test_a_template_comes_with_its_data(folder: Path) -> None:
    done = run("init", "radar-nowcast")
    assert done.stdout == f"wrote radar_nowcast.yaml\nwrote {RAIN}\n{WROTE}next: specbuild train radar_nowcast.yaml\n"
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        RAIN.name,
        "radar_nowcast.yaml",
        "specbuild.schema.json",
    ]


def test_a_template_without_data_says_so() -> None:
    assert run("init", "unet-convlstm").stdout == (
        f"wrote unet_convlstm.yaml\n{WROTE}"
        "next: specbuild summary unet_convlstm.yaml; it trains when it has a data section\n"
    )


def test_a_folder_as_target(folder: Path) -> None:
    (folder / "models").mkdir()
    run("init", "radar_nowcast", "models")
    assert (folder / "models" / "radar_nowcast.yaml").is_file()
    assert (folder / "models" / RAIN).is_file()


def test_nothing_is_replaced_unless_told_so(folder: Path) -> None:
    run("init", "radar-nowcast")
    assert run("init", "radar-nowcast").stdout == "next: specbuild train radar_nowcast.yaml\n"
    (folder / "radar_nowcast.yaml").write_text("mine")
    (folder / RAIN).write_text("mine")
    done = run("init", "radar-nowcast")
    assert done.exit_code == 2
    assert f"radar_nowcast.yaml and {RAIN} exist already; --force replaces them" in done.stderr
    assert (folder / "radar_nowcast.yaml").read_text() == "mine"
    assert run("init", "radar-nowcast", "--force").exit_code == 0
    assert run("check", "radar_nowcast.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a template, as in: specbuild init radar-nowcast; there are bidirectional-segmenter, "),
        (("radar-nowcats",), 'no template is called "radar-nowcats"; did you mean "radar-nowcast"?'),
        (("zzz",), 'no template is called "zzz"; there are '),
    ],
)
def test_a_wrong_command_line(arguments: tuple[str, ...], message: str) -> None:
    done = run("init", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
