"""How sure a score is: intervals from a bootstrap over blocks of windows.

Windows that overlap, or follow each other closely, see the same weather: they do not count as so many independent ones.
So windows are drawn in blocks (Künsch 1989), here without overlap (Carlstein 1986): a block holds the windows that
start within one window's span of frames. Blocks are drawn with replacement, as many as there are, and each score is
computed from their pooled sums; the model and a baseline are computed from the same draws.

An interval holds the middle 95 % of the draws, expanded for few blocks (Hesterberg 2015): the quantile of the normal
distribution is replaced with that of Student's, and the spread of n blocks divided by √((n − 1) / n).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from specbuild.data.samples.windows import WindowSet
from specbuild.evaluation.forecast_scores import Interval, too_few
from specbuild.evaluation.scores.base import Family, Values

_MOST = 100
"""Blocks at most, so that memory does not grow with the number of windows; beyond, neighbors are one block."""
_DRAWS = 2000
_SEED = 20


@dataclass(frozen=True)
class Blocks:
    """Which block each window of a split is in, by event and first frame: blocks are counted from 0 in that order."""

    numbers: dict[tuple[int, int], int]

    @classmethod
    def of(cls, windows: WindowSet) -> Self:
        """Return the blocks of a split: stretches of one event, of as many first frames as a window spans."""
        span = windows.section.span
        first = dict.fromkeys(windows.events, 0)
        starts: list[tuple[int, int]] = sorted(windows[number] for number in range(len(windows)))
        for event, start in reversed(starts):
            first[event] = start
        places = [(event, (start - first[event]) // span) for event, start in starts]
        order = {place: number for number, place in enumerate(dict.fromkeys(places))}
        merged = max(len(order), _MOST) / _MOST
        return cls({start: int(order[place] / merged) for start, place in zip(starts, places, strict=True)})

    def __len__(self) -> int:
        return max(self.numbers.values(), default=-1) + 1


@dataclass(frozen=True)
class Draws:
    """How often each block is in each draw, (draws, blocks); blocks without a window that was scored are in none."""

    counts: Values

    @classmethod
    def of(cls, scored: Sequence[int]) -> Self | None:
        """Draw blocks, given the number of windows scored of each; None if too few blocks have any."""
        used = np.flatnonzero(scored)
        if too_few(len(used)):
            return None
        counts = np.zeros((_DRAWS, len(scored)))
        rng = np.random.default_rng(_SEED)
        counts[:, used] = rng.multinomial(len(used), np.full(len(used), 1 / len(used)), size=_DRAWS)
        return cls(counts)

    def scores(self, family: Family, sums: Values) -> dict[str, Values]:
        """Return each score of a family in every draw, (draws, leads + 1), the last pooled over lead times.

        Args:
            sums: those of each block, (blocks, size, leads).
        """
        drawn = self.pooled(sums)
        by_name = {}
        with np.errstate(all="ignore"):
            for name, formula in family.formulas.items():
                flat = formula(np.moveaxis(drawn, 1, 0).reshape(family.size, -1))
                by_name[name] = np.asarray(flat, np.float64).reshape(len(drawn), -1)
        return by_name

    def pooled(self, sums: Values) -> Values:
        """Return the sums of every draw, (draws, size, leads + 1), given those of each block, (blocks, size, leads)."""
        with np.errstate(all="ignore"):  # an infinite sum times no block is NaN: that draw is left out
            drawn = np.tensordot(self.counts, sums, 1)
        return np.concatenate([drawn, drawn.sum(axis=-1, keepdims=True)], axis=-1)

    def intervals(self, values: Values) -> tuple[Interval | None, ...]:
        """Return the interval of each column of values, (draws, leads + 1); None where some draw is undefined."""
        from scipy.special import ndtr, stdtrit

        blocks = int(np.count_nonzero(self.counts.any(axis=0)))
        tail = ndtr(-math.sqrt(blocks / (blocks - 1)) * stdtrit(blocks - 1, 0.975))
        defined = np.all(np.isfinite(values), axis=0).reshape(-1)
        low, high = np.quantile(np.where(defined, values, 0.0), [tail, 1 - tail], axis=0)
        return tuple(
            Interval(least, most) if known else None
            for least, most, known in zip(low.tolist(), high.tolist(), defined.tolist(), strict=True)
        )
