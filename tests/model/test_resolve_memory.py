"""What `check` asks of Keras costs no memory, however large the layers are: a process with little of it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LARGE = {
    "EinsumDense of 40 GB": ("x: [100000]", "{layer: EinsumDense, equation: 'bc,cd->bd', output_shape: 100000}"),
    "attention of 40 GB": ("x: [8, 50000]", "{layer: MultiHeadAttention, num_heads: 1, key_dim: 50000, from: [x, x]}"),
    "an embedding of 80 GB": (
        "x: {shape: [8], dtype: int32}",
        "{layer: ReversibleEmbedding, input_dim: 2000000, output_dim: 10000}",
    ),
    "a network of 1.4 GB": ("x: [64, 64, 3]", "{application: ConvNeXtXLarge}"),
}
SCRIPT = """
import resource, sys
from specbuild.document import Report
from specbuild.facade import check

def asked(head, node):
    report = Report()
    graph = check(f"specbuild: 1\\ninputs: {{{head}}}\\nlayers: [{node}]\\n", report=report)
    assert graph is not None, report.errors
    return graph.parameters

asked("x: [4]", "{layer: EinsumDense, equation: 'bc,cd->bd', output_shape: 2}")  # starts Keras
used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + 600_000_000,) * 2)
print(*(asked(*one) for one in [@]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="it asks Linux how much memory there is")
def test_large_layers_in_little_memory() -> None:
    script = SCRIPT.replace("@", ", ".join(map(repr, LARGE.values())))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [int(count) for count in done.stdout.split()] == [
        100_000 * 100_000,
        4 * 50_000 * 50_000 + 4 * 50_000,
        2_000_000 * 10_000,
        350_196_968,
    ]
