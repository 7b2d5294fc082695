"""JAX's side of several processes: how they are joined, and left. Imports JAX."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
from jax.experimental import multihost_utils

from specbuild.document import RunError
from specbuild.training import jax_internals
from specbuild.training.launchers import Place
from specbuild.training.relay import Relay

_LOOPBACK = ("127.0.0.1", "localhost")
_A_WEEK = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Link:
    """What connects this process with the others."""

    place: Place
    client: Any
    """That of the service in process 0, with its store of keys and values."""
    relay: Relay | None
    """Between the two; None in process 0."""


_links: list[Link] = []
"""That of this process; JAX can be joined once."""


def join(place: Place, patience: int, silence: int) -> Link:
    """Join the other processes.

    Args:
        place: that of this process.
        patience: seconds to wait for the others.
        silence: seconds without a heartbeat after which JAX ends all of them.

    Raises:
        RunError: they did not come, or JAX has looked for its devices already.
    """
    if _links and _links[0].place == place:
        return _links[0]
    if jax.distributed.is_initialized():
        raise RunError(
            "JAX is already connected to other processes", help="let train connect them, or give --processes 1"
        )
    host, port = place.coordinator.rsplit(":", 1)
    relay = Relay(host.strip("[]"), int(port), patience) if place.index else None
    jax.config.update("jax_enable_preemption_service", False)  # which would take SIGTERM for itself
    if jax.config.jax_cpu_collectives_implementation is None:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        with _without_notes():
            jax.distributed.initialize(
                relay.address if relay is not None else place.coordinator,
                place.count,
                place.index,
                local_device_ids=place.devices,
                cluster_detection_method="deactivate",
                initialization_timeout=patience,
                heartbeat_timeout_seconds=silence,
                shutdown_timeout_seconds=_A_WEEK,  # one that is done waits for the others
                coordinator_bind_address=place.coordinator if host in _LOOPBACK else f"[::]:{port}",
            )
            multihost_utils.sync_global_devices("joined")
    except Exception as error:
        leave()
        first = str(error).strip().splitlines()[0]
        raise RunError(
            f"process {place.index} of {place.count} could not join the others: {first}",
            help=f"check that all of them start within {patience} s of each other and that port {port} is free on "
            f"{host}",
        ) from error
    _links[:] = [Link(place, jax_internals.client(), relay)]
    return _links[0]


def leave() -> None:
    """Let JAX forget the other processes, one of which is gone. It would wait for it at the end, and then abort."""
    jax_internals.forget()
    _links.clear()


@contextmanager
def _without_notes() -> Iterator[None]:
    """Keep what the libraries underneath JAX write while they connect off the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        kept = {number: os.dup(number) for number in (1, 2)}
        for number in kept:
            os.dup2(notes.fileno(), number)
        try:
            yield
        finally:
            for number, before in kept.items():
                os.dup2(before, number)
                os.close(before)
