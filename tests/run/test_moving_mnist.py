"""The benchmark of Moving MNIST: its spec, and the script that trains it for a while, goes on and prints scores."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.training import train
from tests.tools import benchmark_script

TINY = ("vars.widths=[2]", "vars.kernel=3", "data.source.sequences=20", "train.steps_per_epoch=1", "train.batch_size=2")
SPLIT = "data.split={train: 0.6, validation: 0.2, test: 0.2}"


@pytest.fixture(scope="module")
def benchmark() -> Any:
    return benchmark_script("moving_mnist")


def test_the_spec_is_the_published_recipe(benchmark: Any) -> None:
    graph = build_graph(benchmark.SPEC)
    section = graph.spec.train
    assert (section.epochs, section.steps_per_epoch, section.batch_size) == (200, 625, 16)  # 10,000 sequences an epoch
    assert graph.parameters == 11_675_648
    assert graph.spec.data.windows.target == "next"
    model = build_model(build_graph(benchmark.SPEC, overrides=["vars.widths=[2, 2]"]))
    assert model.output_shape == (None, 19, 64, 64, 1)


def test_it_trains_goes_on_and_prints_scores(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def here(*arguments: str, hours: float | None) -> None:
        """Train in this process, one epoch at a time."""
        asked.append((arguments[0], hours))
        if arguments[0] == "--resume":
            train(resume=arguments[1], overrides=["train.epochs=2"], quiet=True)
        else:
            changes = [value for key, value in pairwise(arguments) if key == "--set"]
            train(arguments[0], overrides=[*changes, "train.epochs=1"], out=tmp_path, quiet=True)

    monkeypatch.setattr(benchmark, "train", here)
    np.save(tmp_path / "digits.npy", np.full((3, 28, 28), 255, np.uint8))
    np.save(tmp_path / "published.npy", np.random.default_rng(0).integers(0, 256, (20, 3, 64, 64), dtype=np.uint8))
    options = [part for change in (*TINY, SPLIT) for part in ("--set", change)]
    monkeypatch.setattr(
        sys, "argv", ["", "--out", str(tmp_path), "--hours", "1", "--images", str(tmp_path / "digits.npy"), *options]
    )
    benchmark.main()
    assert "1 epoch, 4 test sequences" in capsys.readouterr().out
    monkeypatch.setattr(benchmark, "finished", lambda _run: False)
    monkeypatch.setattr(sys, "argv", ["", "--out", str(tmp_path), "--test", str(tmp_path / "published.npy")])
    benchmark.main()
    said = capsys.readouterr().out
    assert asked == [(str(benchmark.SPEC), 1.0), ("--resume", None)]
    assert "2 epochs, 3 test sequences" in said
    (line,) = [line for line in said.splitlines() if line.startswith("MSE (sum)")]
    here_mse, published = map(float, line.split()[2:])
    assert published == 29.80
    assert 1000 < here_mse < 3000  # of 4096 pixels of uniform noise against almost nothing: 4096 / 3
