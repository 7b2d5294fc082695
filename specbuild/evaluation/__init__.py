"""Scores of a trained model, beside those of its baselines and of other runs."""

from specbuild.evaluation.compare import compare
from specbuild.evaluation.evaluate import evaluate

__all__ = ["compare", "evaluate"]
