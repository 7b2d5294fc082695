"""Scores of forecasts per lead time: how each is computed, and the sums that they are computed from."""

from specbuild.run.scores.base import Family, Frame, Score
from specbuild.run.scores.chosen import Scoring, check_scoring
from specbuild.run.scores.comparison import Comparison, Skill
from specbuild.run.scores.gather import Scores

__all__ = ["Comparison", "Family", "Frame", "Score", "Scores", "Scoring", "Skill", "check_scoring"]
