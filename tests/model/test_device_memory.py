"""The memory and the capability of a GPU, as each framework tells them; the frameworks are made to see one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from specbuild.model import backend
from specbuild.model.nvidia import Card, DriverError

CARDS = (
    Card("NVIDIA T4", 16 * 2**30, "550.54", (7, 5)),
    Card("NVIDIA A100", 80 * 2**30, "550.54", (8, 0)),
)


def on(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "backend_name", lambda: framework)


def test_tensorflow_tells_the_name_and_the_driver_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    tf: Any = pytest.importorskip("tensorflow")
    on("tensorflow", monkeypatch)
    limits: list[Any] = []
    details = {"device_name": "NVIDIA A100", "compute_capability": (8, 0)}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["GPU:0", "GPU:1"])
    monkeypatch.setattr(tf.config, "get_logical_device_configuration", lambda _: limits)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: details)
    monkeypatch.setattr(backend, "cards", lambda: CARDS)
    assert backend.device_memory() == 80 * 2**30
    assert backend.compute_capability() == (8, 0)
    limits.append(SimpleNamespace(memory_limit=1024))
    assert backend.device_memory() == 2**30

    def failing() -> Any:
        raise DriverError("no driver")

    limits.clear()
    monkeypatch.setattr(backend, "cards", failing)
    assert backend.device_memory() is None
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    assert backend.device_memory() is None
    assert backend.compute_capability() is None


def test_jax_tells_both(monkeypatch: pytest.MonkeyPatch) -> None:
    jax: Any = pytest.importorskip("jax")
    on("jax", monkeypatch)
    assert backend.device_memory() is None  # of a processor
    assert backend.compute_capability() is None
    gpu = SimpleNamespace(memory_stats=lambda: {"bytes_limit": 12 * 2**30}, compute_capability="9.0")
    monkeypatch.setattr(jax, "local_devices", lambda: [gpu])
    assert backend.device_memory() == 12 * 2**30
    assert backend.compute_capability() == (9, 0)
