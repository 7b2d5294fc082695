"""Every test draws the same numbers in every run, in any order and on any number of workers."""

from __future__ import annotations

import gc
import importlib
import os
import random
import signal
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fixed")
"""`pytest --hypothesis-profile=explore` draws new examples instead of the fixed ones."""

for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:  # as behind `nohup … &`; tests send these to their processes
        signal.signal(_number, _handler)

os.environ.setdefault("SPECBUILD_CPU_DEVICES", "2")
"""Several devices are tried on two that the processor is divided into."""
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
"""XLA compiles twice as fast without its optimizations, and tests are tiny; processes that tests start inherit it."""
os.environ.pop("COLUMNS", None)  # which processes of pytest-xdist have, and which bounds tables

SEED = 1


def pytest_collection_finish() -> None:
    """What the modules of the tests imported stays: Python need not look through it for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def seed_everything() -> None:
    """Seed the global generators of Python, NumPy and, once it is imported, Keras and its backend.

    Keras would import TensorFlow to seed it, which takes a process on JAX longer than many a test.
    """
    random.seed(SEED)
    np.random.seed(SEED)
    keras = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "utils"):
        return
    if keras.backend.backend() == "tensorflow" or "tensorflow" in sys.modules:
        keras.utils.set_random_seed(SEED)
    else:
        state = importlib.import_module("keras.src.backend.common.global_state")
        state.set_global_attribute("global_random_seed", SEED)
        state.set_global_attribute("global_seed_generator", None)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> None:
    """A fixture that several tests share does not depend on which of them comes first."""
    if fixturedef.scope != "function":
        seed_everything()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    seed_everything()
