"""Scores of a trained model, beside those of its baselines."""

from specbuild.evaluation.evaluate import evaluate

__all__ = ["evaluate"]
