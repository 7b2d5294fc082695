"""Which numbers to compute with on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Precision = Literal["float32", "bfloat16", "auto"]
Policy = Literal["float32", "mixed_bfloat16"]

_CPUINFO = Path("/proc/cpuinfo")


def policy_for(precision: Precision) -> Policy:
    """Keras's dtype policy for `train.precision`.

    `auto` is `mixed_bfloat16` (weights in float32, arithmetic in bfloat16) on an accelerator and on a CPU with AMX
    tiles for bfloat16, where it is faster; elsewhere bfloat16 is emulated and slower, so `auto` is `float32`.
    """
    if precision == "auto":
        return "mixed_bfloat16" if _has_accelerator() or cpu_computes_bfloat16() else "float32"
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def cpu_computes_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the CPU has AMX bfloat16 instructions, as Linux lists them; False where nothing tells."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return any("amx_bf16" in line.split() for line in text.splitlines() if line.startswith("flags"))


def _has_accelerator() -> bool:
    from specbuild.model.backend import has_accelerator

    return has_accelerator()
