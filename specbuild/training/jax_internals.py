"""All private names of JAX that specbuild uses. Imports JAX.

Tested with JAX 0.10. A test names those that a new version no longer has.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jax._src import distributed

TRIED = "0.10"
"""The version of JAX that this module was last tested with."""
USED: Mapping[str, str] = MappingProxyType(
    {
        "global_state.client": "the connection with the coordination service",
        "global_state.service": "that service, in process 0",
        "client.key_value_set": "a message to the other processes",
        "client.key_value_dir_get": "the messages of the other processes",
    }
)
"""Each name of `jax._src.distributed`, and what it gives us."""


def client() -> Any:
    """Return the client of the coordination service, with its store of keys and values; None before `initialize`."""
    return distributed.global_state.client


def forget() -> None:
    """Make JAX drop its connections to the other processes without waiting for them, at exit or on deletion."""
    state = distributed.global_state
    for each in (state.client, state.service):
        if each is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))
    state.client = state.service = None
