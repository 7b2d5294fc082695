"""Scores of forecasts per lead time: how each is computed, and the sums that they are computed from."""

from specbuild.evaluation.scores.base import Family, Frame
from specbuild.evaluation.scores.bootstrap import Blocks, Draws
from specbuild.evaluation.scores.differences import with_differences
from specbuild.evaluation.scores.selection import Scoring, check_scoring
from specbuild.evaluation.scores.sums import Comparison, Scores

__all__ = [
    "Blocks",
    "Comparison",
    "Draws",
    "Family",
    "Frame",
    "Scores",
    "Scoring",
    "check_scoring",
    "with_differences",
]
