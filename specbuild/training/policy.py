"""Which precision to compute in: what `train.precision` says, or for `auto` what the hardware is faster with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from specbuild.runs.records import TrainingPolicy

_CPUINFO = Path("/proc/cpuinfo")
TENSOR_CORES = (8, 0)
"""NVIDIA's compute capability from which on matrix units compute in bfloat16."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Keras's dtype policy, and why it is that one."""

    policy: TrainingPolicy
    reason: str


def policy_for(precision: Literal["float32", "bfloat16", "auto"]) -> TrainingPolicy:
    """Return Keras's dtype policy for `train.precision`.

    Under `mixed_bfloat16` the weights are float32 and the arithmetic is bfloat16.
    """
    if precision == "auto":
        return fastest().policy
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def fastest() -> Choice:
    """Return the policy that trains faster on the device of the framework, from what was measured on devices like it.

    On a CPU the instructions for bfloat16 decide, AVX-512's or AMX's, where the framework uses them; a CPU without them
    emulates bfloat16 and is slower. `docs/performance.md` has the measurements.
    """
    from specbuild.model.backend import backend_name, compute_capability, device_name, has_accelerator

    device = device_name()
    if has_accelerator():
        capability = compute_capability()
        if capability is not None and capability < TENSOR_CORES:
            have = f"{capability[0]}.{capability[1]}"
            return Choice("float32", f"{device} has compute capability {have}, without matrix units for bfloat16")
        return Choice("mixed_bfloat16", f"{device} has matrix units for bfloat16")
    found = bfloat16_instructions()
    if not found:
        return Choice("float32", "the CPU emulates bfloat16")
    if backend_name() not in FASTER_ON_CPU:
        return Choice("float32", f"{backend_name()} has not been measured to be faster in bfloat16 on a CPU")
    return Choice("mixed_bfloat16", f"the CPU has {' and '.join(found)}")


FASTER_ON_CPU = ("tensorflow",)
"""The frameworks that train faster in bfloat16 on a processor with instructions for it."""
_INSTRUCTIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16"}
"""By Linux's name."""


def bfloat16_instructions(cpuinfo: Path = _CPUINFO) -> tuple[str, ...]:
    """Return the processor's instructions for bfloat16 that Linux lists; none on other systems."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ()
    flags = {flag for line in text.splitlines() if line.startswith("flags") for flag in line.split()}
    return tuple(name for flag, name in _INSTRUCTIONS.items() if flag in flags)
