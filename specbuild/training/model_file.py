"""model.keras: the model of the best epoch, or of the last, as evaluate and predict use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specbuild.catalog.optimizers import averages_weights
from specbuild.graph import Graph
from specbuild.runs import checkpoint
from specbuild.runs.files import copy
from specbuild.runs.folder import RunFolder
from specbuild.training.history import Watch


@dataclass(frozen=True, slots=True)
class Chosen:
    """The epoch of which model.keras is, 0 before the first is finished; `best` where another had a better value."""

    epoch: int
    best: int | None = None

    def note(self, monitor: str) -> str:
        """Return what to say where the checkpoint of the best epoch is gone; empty where it is not."""
        if self.best in (None, self.epoch):
            return ""
        return (
            f"the best epoch by {monitor} is {self.best}, whose checkpoint was not kept; "
            f"the model is that of epoch {self.epoch}, the best of those that were kept"
        )

    def record(self, watch: Watch) -> dict[str, Any]:
        """Return for run.json which epoch it is, and why; there is a best one only where one is kept."""
        if not self.epoch:
            return {}
        if not watch.keep_best:
            return {"model_epoch": self.epoch, "chosen_by": "last epoch", "best_epoch": None}
        extreme = "highest" if watch.larger_is_better else "lowest"
        return {"model_epoch": self.epoch, "chosen_by": f"{extreme} {watch.monitor}", "best_epoch": self.epoch}


def choose(folder: RunFolder, watch: Watch) -> Chosen:
    """Return the epoch to keep: the best of those that have a checkpoint, or the last where no best is kept."""
    saved = folder.checkpoints()
    kept = [position.epoch for position in saved if position.epoch and not position.step]
    if not kept or not watch.keep_best:
        return Chosen(max(kept, default=0))
    history = checkpoint.read(saved[max(saved)]).history
    return Chosen(watch.best(history, among=kept) or max(kept), watch.best(history))


def write(folder: RunFolder, chosen: Chosen, graph: Graph, compile_model: Callable[[Any], None]) -> None:
    """Write model.keras from the checkpoint of the chosen epoch.

    Args:
        compile_model: gives a model the optimizer of the run. The moving averages of the weights are in its state.
    """
    from specbuild.training.batches import has_scheduled_sampling

    path = folder.checkpoint(chosen.epoch)
    train = graph.spec.train
    if not (has_scheduled_sampling(graph) or averages_weights(train.optimizer)):
        copy(path, folder.model_file)
        return
    _rebuild(folder, path, graph, compile_model if averages_weights(train.optimizer) else None)


def _rebuild(folder: RunFolder, path: Path, graph: Graph, compile_model: Callable[[Any], None] | None) -> None:
    """Write the model without the input of true frames, and with averaged weights where it is given an optimizer."""
    from specbuild.model.backend import set_seed
    from specbuild.model.build import build
    from specbuild.runs.optimizer import take_averages

    set_seed(graph.spec.train.seed)
    model = build(graph, folder.manifest()["precision"])
    if compile_model is not None:
        compile_model(model)
        checkpoint.build_optimizer(model)
    checkpoint.load_weights(model, path)
    if compile_model is not None:
        take_averages(model)
    checkpoint.Snapshot.take(model, checkpoint.read(path).history).write(folder.model_file)
