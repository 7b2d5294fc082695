"""The other backend, for tests that run themselves again in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ON_JAX = {**os.environ, "KERAS_BACKEND": "jax", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
"""The environment of a process on JAX. XLA compiles twice as fast without its optimizations, and tests are tiny."""

not_on_jax = pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="this is the run on JAX")
"""Marks a test that runs its own module again on JAX."""


def passes_on_jax(*arguments: str | Path) -> str:
    """Run tests on JAX, given pytest's arguments; return pytest's last line, such as `3 passed in 1.20s`.

    Fails unless some of them pass and none fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        env=_ON_JAX,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    last = done.stdout.splitlines()[-1]
    assert " passed" in last, done.stdout
    return last
