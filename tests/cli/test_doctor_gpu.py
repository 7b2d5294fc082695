"""What `doctor` says of an NVIDIA card that the framework does not see, with a false nvidia-smi."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from specbuild import doctor
from specbuild.cli import main
from specbuild.doctor import gpu
from specbuild.model import nvidia

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the false nvidia-smi is a shell script")
A100 = "NVIDIA A100-SXM4-80GB, 81920, 550.54.15, 8.0"
SEEN = "NVIDIA A100-SXM4-80GB (80 GiB, driver 550.54.15)"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes an nvidia-smi which prints a table, or fails."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def lists(*lines: str, code: int = 0) -> None:
        text = "\n".join(lines)
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n", "utf-8")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return lists


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that sets which packages of those looked at are installed."""

    def only(**versions: str) -> None:
        known = {name.replace("_", "-"): version for name, version in versions.items()}

        def version(package: str) -> str:
            if package not in known:
                raise importlib.metadata.PackageNotFoundError(package)
            return known[package]

        monkeypatch.setattr(importlib.metadata, "version", version)

    return only


def test_a_card_that_is_seen(driver: Any) -> None:
    driver(A100)
    assert gpu.missing("tensorflow", True, {}) == (True, SEEN)
    driver(A100, A100)
    assert gpu.missing("jax", True, {}) == (True, "2 × NVIDIA A100-SXM4-80GB (80 GiB each, driver 550.54.15)")
    assert nvidia.cards()[0].capability == (8, 0)


def test_no_card(driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "has_card_without_driver", lambda: False)
    assert gpu.missing("tensorflow", False, {}) == (True, "no NVIDIA card was found")
    driver("No devices were found", code=6)
    assert gpu.missing("tensorflow", False, {}) == (True, "no NVIDIA card was found")


def test_a_card_without_a_driver(driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "has_card_without_driver", lambda: True)
    complete, text = gpu.missing("tensorflow", False, {})
    assert not complete
    assert text.startswith("there is an NVIDIA card, but no driver that can use it; install NVIDIA's driver, or in a ")
    driver("NVIDIA-SMI has failed because it could not talk to the driver", code=9)
    complete, text = gpu.missing("tensorflow", False, {})
    assert not complete
    assert text.startswith("nvidia-smi fails: NVIDIA-SMI has failed because")


def test_a_card_on_the_bus(tmp_path: Path) -> None:
    for name, vendor, kind in (("0", "0x8086", "0x030000"), ("1", "0x10de", "0x040300"), ("2", "0x10de", "0x030200")):
        assert not nvidia.has_card_without_driver(tmp_path)
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n", "ascii")
        (tmp_path / name / "class").write_text(f"{kind}\n", "ascii")
    assert nvidia.has_card_without_driver(tmp_path)
    assert not nvidia.has_card_without_driver(tmp_path / "none")


@pytest.mark.parametrize(
    ("backend", "packages", "environment", "reasons"),
    [
        ("tensorflow", {}, {}, ["CUDA's libraries are not installed: pip install 'specbuild[gpu]'"]),
        (
            "tensorflow",
            {"tensorflow_cpu": "2.21.0", "nvidia_cudnn_cu12": "9.3"},
            {},
            ["tensorflow-cpu 2.21.0 cannot use GPUs: pip uninstall tensorflow-cpu, then pip install 'specbuild[gpu]'"],
        ),
        (
            "tensorflow",
            {"nvidia_cudnn_cu12": "9.3"},
            {"CUDA_VISIBLE_DEVICES": "-1"},
            ['CUDA_VISIBLE_DEVICES is "-1", which hides every card: unset CUDA_VISIBLE_DEVICES'],
        ),
        (
            "tensorflow",
            {"nvidia_cudnn_cu12": "9.3"},
            {},
            [
                "its libraries are installed but cannot be loaded; to see why, run TF_CPP_MIN_LOG_LEVEL=0 specbuild "
                "doctor, or reinstall them with pip install 'specbuild[gpu]'"
            ],
        ),
        ("jax", {"jaxlib": "0.10.2"}, {}, ["jax has no CUDA plugin: pip install 'specbuild[jax-gpu]'"]),
        (
            "jax",
            {"jaxlib": "0.10.2", "jax_cuda12_plugin": "0.10.1"},
            {"JAX_PLATFORMS": "cpu"},
            [
                "JAX_PLATFORMS is cpu: unset JAX_PLATFORMS",
                "jax-cuda12-plugin 0.10.1 does not match jaxlib 0.10.2: pip install -U 'jax[cuda12]'",
            ],
        ),
        (
            "jax",
            {"jaxlib": "0.10.2", "jax_cuda13_plugin": "0.10.2"},
            {},
            ["CUDA 13 needs driver 580 or newer, this is 550.54.15: update it, or pip install 'jax[cuda12]'"],
        ),
        (
            "torch",
            {"torch": "2.13.0+cpu"},
            {},
            ["torch 2.13.0+cpu is a CPU-only build; pip install torch, a CUDA build from pytorch.org"],
        ),
    ],
)
def test_why_a_card_is_not_seen(
    backend: str, packages: dict[str, str], environment: dict[str, str], reasons: list[str], driver: Any, installed: Any
) -> None:
    driver(A100)
    installed(**packages)
    complete, text = gpu.missing(backend, False, environment)
    assert not complete
    assert text == f"{SEEN}: {backend} does not see it: {'; '.join(reasons)}"


def test_libraries_in_the_way(driver: Any, installed: Any, tmp_path: Path) -> None:
    driver(A100)
    installed(nvidia_cudnn_cu12="9.3")
    (tmp_path / "cuda").mkdir()
    (tmp_path / "cuda" / "libcudnn.so.8").touch()
    _, text = gpu.missing("tensorflow", False, {"LD_LIBRARY_PATH": f"{tmp_path}:{tmp_path / 'cuda'}"})
    assert text.endswith(
        f"LD_LIBRARY_PATH has {tmp_path / 'cuda'}, whose libcudnn.so.8 is loaded instead: unset LD_LIBRARY_PATH"
    )


def test_an_old_driver(driver: Any, installed: Any) -> None:
    driver(A100.replace("550.54.15", "470.82.01"))
    installed(nvidia_cudnn_cu12="9.3")
    assert gpu.missing("tensorflow", False, {})[1].endswith(
        "CUDA 12 needs driver 525 or newer, this is 470.82.01: update it"
    )


def test_how_many_samples_of_a_spec_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tmp_path / "spec.yaml"
    plain.write_text(
        "specbuild: 1\nname: tiny nowcast\ninputs: {rain: [12, 12, 1]}\n"
        "layers: [{layer: Conv2D, filters: 1, kernel_size: 3, padding: same}]\ntrain: {batch_size: 4}\n",
        "utf-8",
    )
    only = {"device": doctor._device}
    monkeypatch.setattr(doctor, "_CHECKS", only)

    def last(*overrides: str) -> dict[str, str]:
        sets = [part for override in overrides for part in ("--set", override)]
        result = CliRunner().invoke(main, ["doctor", str(plain), "--format", "json", *sets])
        assert result.exit_code == int("fault" in result.output)
        found: dict[str, str] = json.loads(result.output)[-1]
        return found

    found = last()
    assert (found["subject"], found["verdict"]) == ("memory", "ok")
    assert found["text"].startswith("tiny nowcast: a training step with a batch size of 4 takes about ")
    assert found["text"].endswith(" of this machine")
    assert " samples are predicted to fit into the " in found["text"]
    assert last("train.batch_size=1000000000")["verdict"] == "fault"
    assert last("inputs.rain=[null, null, 1]")["verdict"] == "note"
