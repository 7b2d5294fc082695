"""Keras layers of our own, one a file. Each is registered under `specbuild>` so that saved models load again."""

from specbuild.model.layers.repeat_frame import RepeatFrame

__all__ = ["RepeatFrame"]
