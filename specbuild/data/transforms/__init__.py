"""Transforms: from physical units to what the model reads, and back; fitted on the training frames alone."""

from specbuild.data.transforms.pipeline import Transform

__all__ = ["Transform"]
