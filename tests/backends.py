"""The other backend, for tests that run themselves again in a process that has it.

That process serves every such test of a worker: Keras and JAX are imported once, and what XLA compiled for one test
serves the next. It reads pytest's arguments from its standard input, a JSON list in each line, and answers each with a
line of its own: the exit code and what pytest printed.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from threading import Timer

import pytest

_ON_JAX = {**os.environ, "KERAS_BACKEND": "jax"}
"""The environment of a process on JAX."""

_LONGEST = 900
"""Seconds that the tests of one request may take."""

not_on_jax = pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="this is the run on JAX")
"""Marks a test that runs its own module again on JAX."""


def passes_on_jax(*arguments: str | Path) -> str:
    """Run tests on JAX, given pytest's arguments; return pytest's last line, such as `3 passed in 1.20s`.

    Fails unless some of them pass and none fails.
    """
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    timer = Timer(_LONGEST, process.kill)
    timer.start()
    try:
        process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    finally:
        timer.cancel()
    if not answer:
        _process.cache_clear()
        pytest.fail(f"the process on JAX ended with {process.wait()}")
    code, output = json.loads(answer)
    assert code == 0, output
    last = str(output.splitlines()[-1])
    assert " passed" in last, output
    return last


@cache
def _process() -> subprocess.Popen[str]:
    """The process on JAX, which ends with this one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.backends"],
        env=_ON_JAX,
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    atexit.register(process.communicate)
    return process


def _serve() -> None:
    """Run pytest with the arguments of each line of the standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            os.dup2(output.fileno(), 1)
            code = pytest.main(["-q", "-p", "no:cacheprovider", *json.loads(line)])
            sys.stdout.flush()
            output.seek(0)
            answers.write(json.dumps([int(code), output.read()]) + "\n")
            answers.flush()


if __name__ == "__main__":
    _serve()
