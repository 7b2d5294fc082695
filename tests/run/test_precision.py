from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.model import backend
from specbuild.training import policy as module


def test_a_written_precision_is_obeyed() -> None:
    assert module.policy_for("float32") == "float32"
    assert module.policy_for("bfloat16") == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("framework", "flags", "policy", "reason"),
    [
        ("tensorflow", (), "float32", "the CPU emulates bfloat16"),
        ("tensorflow", ("AMX", "AVX-512 BF16"), "mixed_bfloat16", "the CPU has AMX and AVX-512 BF16"),
        ("tensorflow", ("AVX-512 BF16",), "mixed_bfloat16", "the CPU has AVX-512 BF16"),
        ("torch", ("AVX-512 BF16",), "float32", "torch has not been measured to be faster in bfloat16 on a CPU"),
    ],
)
def test_on_a_processor_auto_asks_for_its_instructions(
    framework: str, flags: tuple[str, ...], policy: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "has_accelerator", lambda: False)
    monkeypatch.setattr(backend, "backend_name", lambda: framework)
    monkeypatch.setattr(module, "bfloat16_instructions", lambda: flags)
    assert module.fastest() == module.Choice(policy, reason)  # type: ignore[arg-type]
    assert module.policy_for("auto") == policy


@pytest.mark.parametrize(
    ("capability", "policy"), [((7, 5), "float32"), ((8, 0), "mixed_bfloat16"), (None, "mixed_bfloat16")]
)
def test_on_a_gpu_auto_asks_for_its_matrix_units(
    capability: tuple[int, int] | None, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "device_name", lambda: "gpu:0")
    monkeypatch.setattr(backend, "compute_capability", lambda: capability)
    choice = module.fastest()
    assert choice.policy == policy
    assert choice.reason.startswith("gpu:0 has ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f amx_bf16 avx512_bf16 amx_tile\n", ("AMX", "AVX-512 BF16")),
        ("flags\t\t: fpu avx512_bf16\n", ("AVX-512 BF16",)),
        ("flags\t\t: fpu avx512f\n", ()),
        ("model name : amx_bf16\n", ()),
    ],
)
def test_instructions_are_read_from_the_flags_of_the_cpu(text: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert module.bfloat16_instructions(tmp_path / "cpuinfo") == expected


def test_a_system_that_tells_nothing_has_no_instructions(tmp_path: Path) -> None:
    assert module.bfloat16_instructions(tmp_path / "none") == ()
