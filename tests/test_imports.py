"""What importing specbuild, checking a spec and summarizing it load: no framework, nothing that opens data or draws.

Each is asked in a fresh process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import specbuild

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").glob("*.yaml"))

REPORT = """
import sys
frameworks = ("keras", "tensorflow", "jax", "torch")
readers = ("xarray", "zarr", "netCDF4", "h5py", "av", "imageio", "PIL", "matplotlib", "scipy")
extras = ("plotly", "jinja2", "pygments", "optuna", "sqlalchemy", "onnx", "mlflow", "tensorboard", "wandb")
print("loaded:", *(name for name in (*frameworks, *readers, *extras) if name in sys.modules))
"""
VERB = """
from specbuild.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    print("exit code:", end.code or 0)
"""


def last_lines(script: str) -> list[str]:
    """What a fresh Python prints for the script and the report after it, without the blank lines."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", script + REPORT],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_specbuild_loads_no_framework() -> None:
    assert last_lines("import specbuild")[-1] == "loaded:"


def test_every_name_that_needs_no_framework_loads_none() -> None:
    names = "SpecError, RunError, SpecbuildError, load_spec, build_graph, __version__"
    assert last_lines(f"from specbuild import {names}")[-1] == "loaded:"


def test_there_are_specs_to_ask_about() -> None:
    assert {"radar_nowcast.yaml", "next_frame.yaml"} <= {spec.name for spec in SPECS}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
@pytest.mark.parametrize("verb", ["check", "summary"])
def test_verbs_that_load_no_framework(verb: str, spec: Path) -> None:
    script = VERB.format(arguments=[verb, str(spec.relative_to(ROOT))])
    assert last_lines(script)[-2:] == ["exit code: 0", "loaded:"]


def test_training_loads_no_reader_of_data_that_it_does_not_read() -> None:
    loaded = last_lines("import specbuild.training.fit, specbuild.evaluation")[-1].split()
    assert not {"av", "netCDF4", "xarray", "zarr"} & set(loaded)


def test_check_opens_data_without_a_framework(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", np.arange(320.0).reshape(20, 4, 4))
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "specbuild: 1\ninputs: {x: [2, 4, 4, 1]}\nlayers: [{layer: Activation, activation: relu}]\n"
        "data: {source: {path: rain.npy, layout: T H W}, windows: {past: 2, future: 2}, split: {train: 1}}\n",
        "utf-8",
    )
    *_, opened, memory, code, loaded = last_lines(VERB.format(arguments=["check", str(spec), "--data"]))
    assert (opened, code) == ("data: rain.npy, 20 frames of 4 x 4; windows: 17 train", "exit code: 0")
    assert memory.startswith("memory: about ")
    assert not {"keras", "tensorflow", "jax"} & set(loaded.split())


def test_a_wrong_spec_loads_no_framework(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("specbuild: 1\nlayers: [{layer: Conv9D}]\n", "utf-8")
    assert last_lines(VERB.format(arguments=["check", str(wrong)]))[-2:] == ["exit code: 2", "loaded:"]


@pytest.mark.parametrize("script", ["import keras", "from specbuild import build_model"])
def test_this_check_can_fail(script: str) -> None:
    loaded = last_lines(script)[-1]
    assert loaded.startswith("loaded: keras")


# The public face


def test_public_names() -> None:
    assert sorted(specbuild.__all__) == [
        "Forecaster",
        "Run",
        "RunError",
        "SpecError",
        "SpecbuildError",
        "__version__",
        "build_graph",
        "build_model",
        "compare",
        "evaluate",
        "export",
        "import_weights",
        "load_spec",
        "predict",
        "report",
        "train",
        "tune",
    ]
    assert dir(specbuild) == sorted(specbuild.__all__)


@pytest.mark.parametrize("name", sorted(specbuild.__all__))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(specbuild, name) is not None


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="module 'specbuild' has no attribute 'trian'"):
        getattr(specbuild, "trian")  # noqa: B009


def test_the_errors_form_one_tree() -> None:
    assert issubclass(specbuild.SpecError, specbuild.SpecbuildError)
    assert issubclass(specbuild.RunError, specbuild.SpecbuildError)
    assert (specbuild.SpecError.exit_code, specbuild.RunError.exit_code) == (2, 1)
