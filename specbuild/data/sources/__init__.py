"""Where frames come from: one file per format, all read alike."""

from specbuild.data.sources.base import FrameSource
from specbuild.data.sources.open import open_source, source_files
from specbuild.data.sources.record import READERS

__all__ = ["READERS", "FrameSource", "open_source", "source_files"]
