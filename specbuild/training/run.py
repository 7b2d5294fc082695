"""A run, as `train` returns it or as its folder holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from specbuild.document.html import paragraph, picture
from specbuild.runs.folder import RunFolder
from specbuild.runs.records import read_history

if TYPE_CHECKING:
    from specbuild.evaluation.stored import Scored


@dataclass(frozen=True, slots=True)
class Run:
    """A run. `best` is the epoch of the model's weights; `scores` are those of the test split, if any."""

    folder: RunFolder
    history: tuple[dict[str, float], ...]
    best: int
    scores: Scored | None
    process: int = 0
    """The number of this process, where several trained it together. Number 0 wrote the folder and has the scores."""

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Return the run in a folder, with the history and the scores that its files hold.

        A run that is not finished has the epochs that are, and no scores before `evaluate` has written some.

        Args:
            path: the run folder.

        Raises:
            SpecError: it is not a run folder.
            RunError: a file of it is damaged.
        """
        from specbuild.evaluation.stored import read_scores

        folder = RunFolder.open(path)
        history = read_history(folder.history_file) if folder.history_file.exists() else ()
        best = folder.manifest().get("model_epoch") or len(history)
        return cls(folder, history, best, read_scores(folder.scores_file) if folder.scores_file.exists() else None)

    @property
    def path(self) -> Path:
        return self.folder.path

    def _repr_html_(self) -> str:
        """The folder, the best epoch, the curve of the loss and the scores, as a notebook shows them."""
        count = len(self.history)
        text = f"{self.path}: {count} epoch{'s' if count != 1 else ''}, the model is that of epoch {self.best}"
        scores = self.scores._repr_html_() if self.scores is not None else ""
        return paragraph(text) + picture(self.path / "loss.png", "loss by epoch") + scores
