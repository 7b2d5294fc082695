"""Where frames come from: one module per format, all read alike."""

from specbuild.data.sources.base import FrameSource
from specbuild.data.sources.open import open_source, source_files

__all__ = ["FrameSource", "open_source", "source_files"]
