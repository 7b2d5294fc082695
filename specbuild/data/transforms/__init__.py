"""Transforms: from physical units to what the model reads, and back; fitted on the training frames alone."""

from specbuild.data.transforms.chain import Transform

__all__ = ["Transform"]
