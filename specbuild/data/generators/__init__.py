"""Sequences generated when they are read: moving digits and moving shapes."""

from specbuild.data.generators.base import open_generated

__all__ = ["open_generated"]
