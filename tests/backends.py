"""The other backend, for tests that run themselves again in a process of their own."""

from __future__ import annotations

import os

ON_JAX = {**os.environ, "KERAS_BACKEND": "jax", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
"""The environment of a process on JAX. XLA compiles twice as fast without its optimizations, and tests are tiny."""
