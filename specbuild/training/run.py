"""A finished run, as `train` returns it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from specbuild.document.html import paragraph, picture
from specbuild.runs.folder import RunFolder

if TYPE_CHECKING:
    from specbuild.evaluation.evaluate import Scored


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run. `best` is the epoch of the model's weights; `scores` are those of the test split, if any."""

    folder: RunFolder
    history: tuple[dict[str, float], ...]
    best: int
    scores: Scored | None
    process: int = 0
    """The number of this process, where several trained it together. Number 0 wrote the folder and has the scores."""

    @property
    def path(self) -> Path:
        return self.folder.path

    def _repr_html_(self) -> str:
        """The folder, the best epoch, the curve of the loss and the scores, as a notebook shows them."""
        count = len(self.history)
        text = f"{self.path}: {count} epoch{'s' if count != 1 else ''}, the model is that of epoch {self.best}"
        scores = self.scores._repr_html_() if self.scores is not None else ""
        return paragraph(text) + picture(self.path / "loss.png", "loss by epoch") + scores
