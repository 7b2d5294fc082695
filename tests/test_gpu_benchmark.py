"""The benchmark of a GPU: its clock, its report, and that all its variants compute what our layers compute."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends import not_on_jax, passes_on_jax
from tests.tools import BENCHMARKS, benchmark_script

DIFFERENT = {"both, unrolled", "input and state in one convolution", "input by step", "channels first"}
"""The variants that compute something in a way of their own; the others combine these, or are options of XLA."""
SMALL = """\
specbuild: 1
inputs: {frames: [2, 16, 16, 1]}
layers: [{time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}]
data:
  source: {generator: moving_digits, sequences: 4, size: 16, digits: 1, digit_size: 8, seed: 1}
  windows: {past: 2, future: 2}
  split: {train: 1.0}
train: {loss: mse, batch_size: 2}
"""
ON_JAX = os.environ.get("KERAS_BACKEND") == "jax"


@pytest.fixture
def gpu() -> Any:
    return benchmark_script("gpu")


@not_on_jax
def test_a_case_that_hangs_fails_or_is_killed_stops_no_other(gpu: Any, tmp_path: Path) -> None:
    hanging, failing, killed = gpu.REHEARSED
    cases = [gpu.Planned(hanging.name, 4, hanging.arguments), failing, killed]
    benchmark = gpu.Benchmark(tmp_path, 60, "full")
    benchmark.run(cases, tests=False)
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))["cases"]
    assert [case["status"] for case in results] == [
        "stopped after 4 s",
        "failed: exit code 1, see log.txt",
        "failed: ended by SIGKILL",
    ]
    assert [row["name"] for case in results for row in case["rows"]] == ["hang", "memory", "killed"]
    assert "| rehearsal: is killed | failed: ended by SIGKILL |" in (tmp_path / "table.md").read_text("utf-8")
    assert "MemoryError: rehearsed" in (tmp_path / "log.txt").read_text("utf-8")


@not_on_jax
def test_no_case_begins_when_the_time_is_up(gpu: Any, tmp_path: Path) -> None:
    gpu.Benchmark(tmp_path, 12, "full").run(gpu.plan("full"), tests=True)
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))["cases"]
    assert {case["status"] for case in results} <= {"skipped: no time left", "skipped: no torch"}
    assert results[-1]["name"] == "tests on JAX"


@not_on_jax
def test_the_slowest_is_the_one_of_ours_with_the_least_share(gpu: Any) -> None:
    def row(name: str, training: float, rate: float) -> dict[str, Any]:
        return {"kind": "layer", "name": name, "flops": 10, "training": training, "matrix_rate": rate}

    rows = [row("specbuild (jax)", 2.0, 10.0), row("specbuild (jax)", 1.0, 40.0), row("Keras (jax)", 9.0, 90.0)]
    assert gpu._slowest(rows) == rows[1]
    assert gpu._slowest([]) is None


@not_on_jax
def test_the_report_has_every_table(gpu: Any) -> None:
    shared = {"precision": "bfloat16", "case": "a case", "flops": 3e12, "matrix_rate": 6e14}
    times = {"inference": 0.01, "training": 0.03, "training_memory": 4e9, "inference_first": 1.0, "training_first": 2.0}
    rows = [
        {"kind": "machine", "device": "a GPU", "framework": "jax"},
        {"kind": "layer", "name": "specbuild (jax)", **shared, **times},
        {"kind": "layer", "name": "Keras (jax)", **shared, **times, "training": 0.09},
        {"kind": "variant", "name": "scan", **shared, "training": 0.02},
        {"kind": "loop", "name": "a spec", "precision": "float32", "bare": 0.1, "loop": 0.101, "train": 0.102},
        {"kind": "failure", "name": "a layer", "reason": "out of memory"},
    ]
    case = {"name": "all", "status": "done", "seconds": 1.0, "rows": rows}
    text = gpu.report({"started": "today", "scale": "full", "cases": [case]})
    assert "- device a GPU, framework jax" in text
    assert "| specbuild (jax) | bfloat16 | 10 | 300 | 50.0% | 30 | 300 | 50.0% | 4 | 1 | 2 |" in text
    assert "| scan | bfloat16 |  |  |  | 20 | 450 | 75.0% |  |  |  |" in text
    assert "| a case | bfloat16 | 3.00 |" in text
    assert "| a spec | float32 | 100 | 101 | 102 | 1.010 | 1.020 |" in text
    assert "| a layer | out of memory |" in text


@pytest.mark.skipif(not ON_JAX, reason="needs JAX")
def test_every_variant_computes_what_our_layers_compute() -> None:
    contenders, variants = benchmark_script("contenders"), benchmark_script("variants")
    import jax

    case = contenders.Case((2, 3, 4, 5, 3), 2, 3)
    model = contenders.keras_model("specbuild", case, "float32")
    weights, fixed = (
        [each.value for each in group] for group in (model.trainable_variables, model.non_trainable_variables)
    )
    x, y = case.example()
    step = jax.jit(contenders.descent(lambda weights, x: model.stateless_call(weights, fixed, x)[0]))
    expected = step(weights, x, y)
    tried = [variant for variant in variants.VARIANTS if variant.name in DIFFERENT]
    assert len(tried) == len(DIFFERENT)
    for variant in tried:
        trained = jax.jit(contenders.descent(variant.forward))(weights, x, y)
        for after, reached in zip(expected, trained, strict=True):
            np.testing.assert_allclose(reached, after, atol=1e-6, err_msg=variant.name)


@pytest.mark.skipif(not ON_JAX, reason="needs JAX")
def test_xla_knows_every_option_of_a_variant() -> None:
    import jax

    nothing = jax.jit(lambda: 0).lower()
    for variant in benchmark_script("variants").VARIANTS:
        nothing.compile(compiler_options=dict(variant.options))
    with pytest.raises(Exception, match="No such compile option"):
        nothing.compile(compiler_options={"xla_gpu_none": 1})


@pytest.mark.skipif(not ON_JAX, reason="needs JAX")
def test_the_training_loop_is_timed_beside_a_bare_one(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = benchmark_script("training_loop")
    monkeypatch.setattr(loop, "EPOCHS", 2)
    best = loop.measured(SMALL, [], 2, 1)
    assert set(best) == {f"{row}{kind}" for row in ("bare", "loop", "train") for kind in ("", "_processor")}
    assert all(0 < seconds < 60 for seconds in best.values())


@not_on_jax
def test_those_that_need_jax() -> None:
    passes_on_jax(__file__)


@not_on_jax
def test_the_plan_fits_into_the_command_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.sh", "--list", "--only", "128 filters 3 x 3", "--scale", "tiny"])
    benchmark_script("gpu").main()
    listed = capsys.readouterr().out.splitlines()
    assert [line.split("s  ")[1] for line in listed][:2] == ["ours, 128 filters 3 x 3", "PyTorch, 128 filters 3 x 3"]
    assert (BENCHMARKS / "gpu.sh").stat().st_mode & 0o111
