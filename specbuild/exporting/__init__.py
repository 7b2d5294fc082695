"""Files with which a trained model forecasts without specbuild: SavedModel, ONNX and others."""

from __future__ import annotations

from specbuild.exporting.export import ExportResult, export

__all__ = ["ExportResult", "export"]
