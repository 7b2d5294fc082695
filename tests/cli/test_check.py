"""`specbuild check`, as real processes and, where only the text matters, in this one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from specbuild.cli import main

SPEC = """\
specbuild: 1
vars: {filters: 4}
inputs: {x: [5, 8, 8, 1]}
layers:
  - {id: enc, layer: ConvLSTM2D, filters: $filters, kernel_size: 3, return_sequences: true}
"""
WRONG = SPEC.replace("kernel_size: 3", "kernel: 3").replace("layers:\n", "train: {epoch: 3}\nlayers:\n")


def process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "specbuild", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="specbuild")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "wrong.yaml").write_text(WRONG)
    return tmp_path


def test_a_right_spec(folder: Path) -> None:
    done = process("check", "spec.yaml", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "spec.yaml: ok (1 layer, 736 parameters)\n", "")


def test_the_spec_of_the_folder_is_the_default(folder: Path) -> None:
    assert process("check", cwd=folder).stdout == "spec.yaml: ok (1 layer, 736 parameters)\n"
    (folder / "spec.yaml").unlink()
    done = process("check", cwd=folder)
    assert done.returncode == 2
    assert "no SPEC given, and this folder has no spec.yaml" in done.stderr


def test_every_mistake_at_once(folder: Path) -> None:
    done = process("check", "wrong.yaml", cwd=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert (
        done.stderr
        == """\
error: unknown key "epoch"
 --> wrong.yaml:4:9  train.epoch
  |
4 | train: {epoch: 3}
  |         ^^^^^
  = help: did you mean "epochs"?

error: ConvLSTM2D has no argument "kernel"
 --> wrong.yaml:6:53  layers.enc.kernel
  |
6 |   - {id: enc, layer: ConvLSTM2D, filters: $filters, kernel: 3, return_sequences: true}
  |                                                     ^^^^^^
  = help: did you mean "kernel_size"?

2 errors
"""
    )


@pytest.mark.usefixtures("folder")
def test_json() -> None:
    result = run("check", "wrong.yaml", "--format", "json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert [(one["code"], one["line"], one["column"]) for one in found] == [
        ("unknown-key", 4, 9),
        ("unknown-key", 6, 53),
    ]
    assert json.loads(run("check", "spec.yaml", "--format", "json").stdout) == []


@pytest.mark.usefixtures("folder")
def test_github() -> None:
    result = run("check", "wrong.yaml", "--format", "github")
    assert result.exit_code == 2
    assert result.stdout.splitlines()[0].startswith("::error file=wrong.yaml,line=4,col=9,")


def test_overrides_and_resolved(folder: Path) -> None:
    result = run("check", "--set", "vars.filters=2", "--resolved")
    assert result.exit_code == 0
    assert "filters: 2" in result.stdout
    (folder / "again.yaml").write_text(result.stdout)
    assert run("check", "again.yaml").stdout == "again.yaml: ok (1 layer, 224 parameters)\n"


def test_layers_inside_feedback_are_counted(folder: Path) -> None:
    (folder / "feedback.yaml").write_text("""specbuild: 1
inputs: {x: [3, 4]}
layers: [{autoregressive: {do: [{layer: GRU, units: 4}, {layer: Dense, units: 4}], horizon: 2}}]
""")
    assert run("check", "feedback.yaml").stdout == "feedback.yaml: ok (3 layers, 140 parameters)\n"


def test_a_warning_passes_unless_strict(folder: Path) -> None:
    (folder / "spec.yaml").write_text(SPEC + "  - {layer: ReLU, from: x}\noutputs: [enc]\n")
    result = run("check")
    assert result.exit_code == 0
    assert "warning: nothing reads re_lu, and it is not an output" in result.stderr
    strict = run("check", "--strict")
    assert strict.exit_code == 2
    assert "error: nothing reads re_lu, and it is not an output" in strict.stderr


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "error: there is no file bad.yaml"),
        (lambda path: path.mkdir(), "error: bad.yaml is a folder, not a file"),
        (lambda path: path.write_bytes(b"name: caf\xe9\n"), "error: bad.yaml is not UTF-8 text"),
        (lambda path: path.write_text(""), "error: bad.yaml is empty"),
        (lambda path: path.write_text("a:\n\tb: 1\n"), "error: a tab cannot indent a line"),
        (lambda path: path.write_text("- 1\n"), "error: a spec must be a mapping, got a list"),
    ],
    ids=["missing", "folder", "encoding", "empty", "tab", "list"],
)
def test_what_is_no_spec(folder: Path, make: object, message: str) -> None:
    make(folder / "bad.yaml")  # type: ignore[operator]
    done = process("check", "bad.yaml", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr


def test_a_misspelt_command() -> None:
    result = run("chek")
    assert result.exit_code == 2
    assert 'no command is called chek; did you mean "check"?' in result.stderr


def test_every_verb_has_help_with_examples() -> None:
    from specbuild.cli import VERBS

    for verb in VERBS:
        result = run(verb, "--help")
        assert result.exit_code == 0, verb
        assert "Example" in result.stdout, verb
        assert f"specbuild {verb}" in result.stdout, verb


DATA = """\
specbuild: 1
inputs: {x: [2, 4, 4, 1]}
layers: [{layer: Conv3D, filters: 1, kernel_size: [1, 3, 3], padding: same}]
data:
  source: {path: rain.npz, key: rain, layout: T H W}
  windows: {past: 2, future: 2}
  split: {train: 0.5, test: 0.5}
train: {epochs: 1}
"""


@pytest.mark.usefixtures("folder")
def test_the_data_are_opened_on_request() -> None:
    Path("data.yaml").write_text(DATA)
    assert run("check", "data.yaml").stdout == (
        "data.yaml: ok (1 layer, 10 parameters)\ndata: not opened; check --data does that\n"
    )
    np.savez("rain.npz", rain=np.random.default_rng(0).random((20, 4, 4)), snow=np.zeros(3))
    assert run("check", "data.yaml", "--data").stdout.splitlines()[1] == (
        "data: rain.npz, 20 frames of 4 x 4; windows: 6 train, 5 test"
    )
    np.savez("rain.npz", rain=np.full((20, 4, 4), 7.5), snow=np.zeros(3))
    assert run("check", "data.yaml", "--data").stdout.splitlines()[2:] == [
        "memory: about 5.41 KiB for a training step with 6 windows",
        "note: every known training value of rain is 7.5: there is nothing to learn from it",
    ]
    assert run("check", "spec.yaml", "--data").stdout.splitlines()[1] == "data: the spec has none"


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("path: rain.npz", "path: rian.npz", "5:18", "rian.npz does not exist"),
        ("path: rain.npz", "path: rain.xyz", "5:18", "rain.xyz"),
        ("key: rain", "key: rein", "5:33", 'rain.npz has no array "rein"'),
        ("4, 4, 1]", "4, 5, 1]", "5:3", "the model reads frames of 4 × 5"),
        ("future: 2", "future: 2, stride: 9, step: 9", "", "window"),
        (
            "train: {epochs: 1}",
            "evaluate: {forecasts: {other: {path: other.nc}}}",
            "8:31",
            "there is no file",
        ),
        ("train: {epochs: 1}", "train: {init_from: runs/gone}", "8:20", "there is no run runs/gone"),
    ],
    ids=["name", "suffix", "key", "shape", "window", "forecasts", "init_from"],
)
@pytest.mark.usefixtures("folder")
def test_what_only_the_data_tell(old: str, new: str, place: str, message: str) -> None:
    np.savez("rain.npz", rain=np.random.default_rng(0).random((20, 4, 4)), snow=np.zeros(3))
    Path("data.yaml").write_text(DATA.replace(old, new))
    result = run("check", "data.yaml", "--data", "--format", "json")
    assert result.exit_code == 2
    (fault,) = json.loads(result.stdout)
    assert message in fault["message"]
    assert f"{fault['line']}:{fault['column']}".startswith(place)


@pytest.mark.usefixtures("folder")
def test_data_and_initial_weights_are_found_wrong_at_once() -> None:
    Path("data.yaml").write_text(DATA.replace("{epochs: 1}", "{init_from: runs/gone}"))
    result = run("check", "data.yaml", "--data")
    assert result.exit_code == 2
    assert result.stderr.endswith("2 errors\n")
