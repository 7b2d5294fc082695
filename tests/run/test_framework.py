"""`train.backend`: which framework Keras starts with, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from specbuild import SpecError, load_spec
from specbuild.language import Spec
from specbuild.runs import framework

ROOT = Path(__file__).parents[2]
TEXT = "specbuild: 1\ninputs: {x: [4]}\nlayers: [{layer: Dense, units: 1}]\ntrain: {backend: BACKEND}\n"

IN_A_NEW_PROCESS = """
import os, sys
from specbuild import Forecaster, SpecError, train
from specbuild.runs import framework

run = train({spec!r}, overrides=["train.backend=jax", "train.epochs=1"], out={out!r}, quiet=True)
print("trained on", framework._started())
try:
    train(resume=run.path, overrides=["train.backend=tensorflow", "train.epochs=2"], quiet=True)
except SpecError as error:
    print(error.diagnostics[0].message)
print(run.path)
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which nothing is settled."""
    monkeypatch.setenv("KERAS_BACKEND", "")  # so that what a test leaves there is taken away
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setattr(framework, "_named", "")
    monkeypatch.setattr(framework, "_started", lambda: None)


def spec(backend: str) -> Spec:
    return load_spec(TEXT.replace("BACKEND", backend))


def refusal(backend: str) -> dict[str, Any]:
    with pytest.raises(SpecError) as caught:
        framework.settle(spec(backend))
    (fault,) = caught.value.diagnostics
    assert fault.path == "train.backend"
    return {"message": fault.message, "help": fault.help}


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_keras_starts_with_the_framework_that_the_spec_names(backend: str) -> None:
    framework.settle(spec(backend))
    assert os.environ["KERAS_BACKEND"] == backend


def test_nothing_is_settled_where_the_spec_names_none() -> None:
    framework.settle(spec("null"))
    assert "KERAS_BACKEND" not in os.environ


def test_another_framework_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert refusal("jax") == {
        "message": "the spec asks for jax, but KERAS_BACKEND for tensorflow",
        "help": "unset KERAS_BACKEND, or leave train.backend out",
    }
    framework.settle(spec("tensorflow"))
    framework.settle(spec("auto"))
    framework.prefer("jax")
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_another_framework_that_runs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framework, "_started", lambda: "tensorflow")
    assert refusal("jax") == {
        "message": "the spec asks for jax, but Keras already runs on tensorflow",
        "help": "start a new process, or leave train.backend out to train on tensorflow",
    }
    framework.prefer("jax")
    assert "KERAS_BACKEND" not in os.environ


def test_one_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framework, "_installed", lambda backend: backend != "jax")
    assert refusal("jax") == {
        "message": "jax is not installed",
        "help": "install it with: pip install 'specbuild[jax]'",
    }


def test_auto_takes_tensorflow_where_it_is_installed_and_what_a_run_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing, expected in (("neither", "tensorflow"), ("jax", "tensorflow"), ("tensorflow", "jax")):
        monkeypatch.setattr(framework, "_installed", lambda backend, missing=missing: backend != missing)
        assert framework.faster() == expected
        framework.settle(spec("auto"))
        assert os.environ["KERAS_BACKEND"] == expected
    monkeypatch.setattr(framework, "_installed", lambda _: True)
    framework.settle(spec("auto"), "jax")
    assert os.environ["KERAS_BACKEND"] == "jax", "which the run began with"
    monkeypatch.setattr(framework, "_named", "")
    framework.settle(spec("auto"))
    assert os.environ["KERAS_BACKEND"] == "jax", "what the user has settled stays"


def test_a_run_is_trained_resumed_and_scored_on_the_framework_of_its_spec(plain: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    script = IN_A_NEW_PROCESS.format(spec=str(plain), out=str(plain.parent / "runs"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, refused, path = done.stdout.splitlines()
    assert first == "trained on jax"
    assert refused == "the spec asks for tensorflow, but Keras already runs on jax"
    recorded = json.loads((Path(path) / "run.json").read_text("utf-8"))
    assert "jax" in recorded["versions"]
    assert recorded["status"] == "finished"
    settled: list[str | None] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("specbuild.runs.trained.prefer", settled.append)
        from specbuild.runs.trained import TrainedRun

        TrainedRun.open(path)
        TrainedRun.open(path, overrides=["train.backend=auto"])
        TrainedRun.open(path, overrides=["train.backend=tensorflow"])
    assert settled == ["jax", "jax", "tensorflow"]


def test_a_call_that_fails_before_keras_starts_settles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(framework, "_started", lambda: None)
    framework.settle(spec("jax"))
    assert os.environ["KERAS_BACKEND"] == "jax"
    framework.settle(spec("tensorflow"))
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    framework.settle(spec("null"))
    assert "KERAS_BACKEND" not in os.environ
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # the user's
    framework.settle(spec("jax"))
    framework.settle(spec("null"))
    assert os.environ["KERAS_BACKEND"] == "jax"
