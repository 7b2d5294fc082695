"""Where frames come from: one file per format, all read alike."""

from specbuild.data.sources.base import FrameSource
from specbuild.data.sources.open import READERS, open_source

__all__ = ["READERS", "FrameSource", "open_source"]
