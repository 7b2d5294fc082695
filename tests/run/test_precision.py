from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.training import compile as module


def test_a_written_precision_is_obeyed() -> None:
    assert module.policy_for("float32") == "float32"
    assert module.policy_for("bfloat16") == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("accelerator", "amx", "policy"),
    [(False, False, "float32"), (False, True, "mixed_bfloat16"), (True, False, "mixed_bfloat16")],
)
def test_auto_asks_the_hardware(accelerator: bool, amx: bool, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_has_accelerator", lambda: accelerator)
    monkeypatch.setattr(module, "cpu_computes_bfloat16", lambda: amx)
    assert module.policy_for("auto") == policy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f amx_bf16 amx_tile\n", True),
        ("flags\t\t: fpu avx512_bf16\n", False),
        ("model name : amx_bf16\n", False),
    ],
)
def test_amx_is_read_from_the_flags_of_the_cpu(text: str, expected: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert module.cpu_computes_bfloat16(tmp_path / "cpuinfo") is expected


def test_a_system_that_tells_nothing_has_no_amx(tmp_path: Path) -> None:
    assert not module.cpu_computes_bfloat16(tmp_path / "none")
