"""Sources of frames: one module per format, all with the same interface."""

from specbuild.data.sources.base import FrameSource
from specbuild.data.sources.open import open_source, source_files, source_urls

__all__ = ["FrameSource", "open_source", "source_files", "source_urls"]
