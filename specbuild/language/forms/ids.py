"""The ids of nodes: those in use, and generated ones."""

from __future__ import annotations

import re
from collections.abc import Sequence


class Ids:
    """The names in use. Generated names follow Keras: `conv_lstm2d`, `conv_lstm2d_1`."""

    def __init__(self, taken: Sequence[str]) -> None:
        self._places: dict[str, int] = dict.fromkeys(taken, 0)
        self._counts: dict[str, int] = {}

    def line_of(self, name: str) -> int | None:
        """Where `name` was first used: a line, 0 for an input; None if it is free."""
        return self._places.get(name)

    def claim(self, name: str, line: int) -> None:
        self._places.setdefault(name, line)

    def make(self, base: str, line: int) -> str:
        """A free name made from `base`, claimed."""
        while True:
            count = self._counts.get(base, 0)
            self._counts[base] = count + 1
            name = f"{base}_{count}" if count else base
            if name not in self._places:
                self.claim(name, line)
                return name


def snake(kind: str) -> str:
    """Keras's own spelling of a layer's default name: ConvLSTM2D → conv_lstm2d."""
    text = re.sub(r"\W+", "", kind)
    text = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", text)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", text).lower()
