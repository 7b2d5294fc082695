"""The ids of nodes: those in use, and generated ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

from specbuild.document import Span


class Ids:
    """The names in use. Generated names follow Keras: `conv_lstm2d`, `conv_lstm2d_1`."""

    def __init__(self, inputs: Sequence[str]) -> None:
        self._places: dict[str, Span | None] = dict.fromkeys(inputs)
        self._counts: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Whether `name` is in use."""
        return name in self._places

    def place(self, name: str) -> Span | None:
        """Return where a name in use was first used; None for an input."""
        return self._places[name]

    def claim(self, name: str, span: Span | None) -> None:
        """Take `name` for what stands at `span`; None for an input."""
        self._places.setdefault(name, span)

    def make(self, base: str, span: Span) -> str:
        """A free name made from `base`, claimed."""
        while True:
            count = self._counts.get(base, 0)
            self._counts[base] = count + 1
            name = f"{base}_{count}" if count else base
            if name not in self._places:
                self.claim(name, span)
                return name


def snake(kind: str) -> str:
    """Keras's own spelling of a layer's default name: ConvLSTM2D → conv_lstm2d."""
    text = re.sub(r"\W+", "", kind)
    text = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", text)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", text).lower()
