"""Stage 6: build a `keras.Model` from a graph. Importing this imports Keras."""

from specbuild.model.build import build, build_model
from specbuild.model.saving import save

__all__ = ["build", "build_model", "save"]
