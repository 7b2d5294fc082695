"""A run.json as training writes it at its beginning."""

from __future__ import annotations

from typing import Any


def manifest(**changes: Any) -> dict[str, Any]:
    """Return what `update_manifest` takes, with some values changed."""
    return {
        "status": "running",
        "name": "radar",
        "started": "2026-01-31T12:00:05+00:00",
        "command": ["specbuild", "train", "radar.yaml"],
        "overrides": [],
        "directory": "/data",
        "data": [],
        "seed": 0,
        "precision": "float32",
        "batch_size": 4,
        "versions": {"python": "3.11.4"},
        "machine": {"system": "Linux", "cpu": "x86_64", "cores": 2, "device": "CPU"},
    } | changes
