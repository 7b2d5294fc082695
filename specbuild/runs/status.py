"""The status of a run: what run.json says, and whether the process that it names is still alive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from specbuild.runs.checkpoint import Position
from specbuild.runs.lock import Process

State: TypeAlias = Literal["running", "interrupted", "failed", "finished"]


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far a run is. A run whose process is gone is interrupted, whatever run.json says."""

    state: State
    reached: Position | None
    """How far the last checkpoint is; None where there is no checkpoint."""
    process: Process | None = None
    """The process that trains it, or that ended unexpectedly."""
    error: str = ""
    """Why it failed."""
    epochs: int | None = None
    """The number of epochs to train, where it is known."""

    @property
    def text(self) -> str:
        """The status in words: `its process 1234 on node7 ended unexpectedly after epoch 3`."""
        of = f" of {self.epochs}" if self.epochs is not None and self.reached and not self.reached.step else ""
        where = f"after {self.reached}{of}" if self.reached else "before the first epoch was finished"
        match self.state:
            case "running":
                done = f"{self.reached}{of} is saved" if self.reached else "no epoch is finished yet"
                since = f"{self.process}, since {self.process.since}" if self.process is not None else "another process"
                return f"it is being trained by {since}; {done}"
            case "interrupted" if self.process is not None:
                return f"its {self.process} ended unexpectedly {where}"
            case "interrupted":
                return f"it was interrupted {where}"
            case "failed":
                return f"it failed {where}" + (f": {self.error}" if self.error else "")
            case _:
                return "it is finished"
