from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from specbuild import doctor
from specbuild.cli import main


def test_it_looks_at_everything(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--out", str(tmp_path), "--format", "json"])
    found = {one["subject"]: one for one in json.loads(result.output)}
    assert result.exit_code == 0
    assert list(found) == [
        *("specbuild", "libraries", "backend", "device", "gpu", "precision", "training", "saving", "disk"),
    ]
    assert {one["verdict"] for one in found.values()} <= {"ok", "note"}
    assert found["training"]["text"].startswith("a tiny encoder-forecaster trains: loss ")


def test_a_fault_is_named_and_ends_with_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(_folder: Path) -> doctor.Outcome:
        raise OSError("no space left")

    monkeypatch.setattr(doctor, "_CHECKS", {"disk": torn})
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "fault  disk       no space left"


def test_a_backend_that_is_not_there_is_a_fault() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from specbuild.cli import main; main(['doctor'])"],
        env={**os.environ, "KERAS_BACKEND": "nowhere"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "fault  backend    Keras cannot start with the backend nowhere" in done.stdout
    assert "ok     disk" in done.stdout


def test_it_looks_at_the_framework_that_a_spec_names(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("specbuild: 1\ninputs: {x: [4]}\nlayers: [{layer: Dense, units: 1}]\ntrain: {backend: jax}\n")
    done = subprocess.run(
        [sys.executable, "-m", "specbuild", "doctor", str(spec), "--format", "json"],
        env={name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    found = {each["subject"]: each["text"] for each in json.loads(done.stdout)}
    assert found["backend"].startswith("jax under Keras ")
    assert "a training step with a batch size of 8 takes about" in found["memory"]
