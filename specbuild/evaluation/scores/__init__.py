"""Scores of forecasts per lead time: how each is computed, and the sums that they are computed from."""

from specbuild.evaluation.scores.base import Family, Frame, Score
from specbuild.evaluation.scores.comparison import Comparison, Skill
from specbuild.evaluation.scores.gather import Scores
from specbuild.evaluation.scores.selection import Scoring, check_scoring

__all__ = ["Comparison", "Family", "Frame", "Score", "Scores", "Scoring", "Skill", "check_scoring"]
