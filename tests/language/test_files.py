"""Where the files of a spec may lie: under its folder, under the roots that the user names, and specs anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from specbuild import SpecError, build_graph, load_spec

HEAD = "specbuild: 1\ninputs: {x: [4, 8, 8, 1]}\nlayers:\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `specs` beside a folder `maps` with an array and `parts` with a spec that has one of its own."""
    for name in ("specs", "maps", "parts"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "maps/relief.npy", np.ones((8, 8, 1), "float32"))
    np.save(tmp_path / "parts/own.npy", np.ones((8, 8, 1), "float32"))
    (tmp_path / "parts/part.yaml").write_text(HEAD + "  - {layer: Constant, path: own.npy}\n", "utf-8")
    return tmp_path


def written(folder: Path, layers: str) -> Path:
    spec = folder / "specs/mine.yaml"
    spec.write_text(HEAD + layers, "utf-8")
    return spec


def refusal(spec: Path, **options: list[Path]) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(spec, **options)
    return caught.value.diagnostics[0].message


def test_a_file_of_another_folder_needs_a_root(folder: Path) -> None:
    spec = written(folder, "  - {layer: Constant, path: ../maps/relief.npy}\n")
    assert refusal(spec) == "../maps/relief.npy lies outside the spec's folder"
    assert refusal(spec, roots=[folder / "parts"]) == "../maps/relief.npy lies outside the spec's folder"
    assert build_graph(spec, roots=[folder / "maps"]).outputs[0].shape == (8, 8, 1)
    assert build_graph(spec, roots=[folder]).outputs[0].shape == (8, 8, 1)


def test_a_link_counts_as_where_it_leads(folder: Path) -> None:
    (folder / "specs/relief.npy").symlink_to(folder / "maps/relief.npy")
    spec = written(folder, "  - {layer: Constant, path: relief.npy}\n")
    assert refusal(spec) == "relief.npy lies outside the spec's folder"
    assert build_graph(spec, roots=[folder / "maps"]).outputs[0].shape == (8, 8, 1)


def test_a_folder_may_itself_be_behind_a_link(folder: Path) -> None:
    spec = written(folder, "  - {layer: Constant, path: own.npy}\n")
    (folder / "parts/mine.yaml").write_text(spec.read_text("utf-8"), "utf-8")
    (folder / "link").symlink_to("parts")
    assert build_graph(folder / "link/mine.yaml").outputs[0].shape == (8, 8, 1)


def test_a_spec_of_another_folder_reads_the_files_beside_it(folder: Path) -> None:
    assert build_graph(written(folder, "  - {model: ../parts/part.yaml}\n")).outputs[0].shape == (8, 8, 1)


def test_a_spec_of_another_folder_does_not_read_the_files_of_this_one(folder: Path) -> None:
    np.save(folder / "specs/mine.npy", np.ones((8, 8, 1), "float32"))
    (folder / "parts/part.yaml").write_text(HEAD + "  - {layer: Constant, path: ../specs/mine.npy}\n", "utf-8")
    spec = written(folder, "  - {model: ../parts/part.yaml}\n")
    assert refusal(spec) == "../specs/mine.npy lies outside the spec's folder"


def test_a_misspelt_file_is_suggested(folder: Path) -> None:
    (folder / "parts/notes.txt").touch()
    (folder / "parts/part.yaml").write_text(HEAD + "  - {layer: Constant, path: onw.npy}\n", "utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(folder / "parts/part.yaml")
    assert caught.value.diagnostics[0].help == 'did you mean "own.npy"?'


def test_names_outside_the_folder_are_not_suggested(folder: Path) -> None:
    spec = written(folder, "  - {model: ../parts/prat.yaml}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(spec)
    (one,) = caught.value.diagnostics
    assert (one.message.endswith("/prat.yaml"), one.help) == (True, "")


def test_a_base_is_quoted_if_it_is_meant_to_be_a_spec(folder: Path) -> None:
    (folder / "specs/base.yaml").write_text("specbuild: 1\nlayers: [\n", "utf-8")
    spec = written(folder, "").with_name("top.yaml")
    spec.write_text("extends: base.yaml\n", "utf-8")
    assert refusal(spec) == 'this "[" is never closed'


def test_a_root_that_is_no_folder(folder: Path) -> None:
    spec = written(folder, "  - {layer: ReLU}\n")
    assert refusal(spec, roots=[folder / "map"]) == f"the root {folder / 'map'} is not a folder"


def test_the_command_line_takes_roots(folder: Path) -> None:
    spec = written(folder, "  - {layer: Constant, path: ../maps/relief.npy}\n")
    command = [sys.executable, "-m", "specbuild", "check", str(spec)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    said = [
        subprocess.run([*command, *more], env=environment, capture_output=True, text=True, check=False)
        for more in ([], ["--root", str(folder / "maps")])
    ]
    assert [done.returncode for done in said] == [2, 0]
    assert "help: move the file there, or allow its folder with --root FOLDER" in said[0].stderr
