"""One trial: its spec checked without a framework, its training with pruning between epochs, and its value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from specbuild.document import ArgumentError, RunError, SpecError
from specbuild.document.amounts import in_bytes, scaled
from specbuild.facade import build_graph
from specbuild.graph import Graph
from specbuild.graph.memory import step_memory
from specbuild.language import Spec
from specbuild.language.sections.tune import TuneSection
from specbuild.runs import checkpoint
from specbuild.runs.folder import RunFolder
from specbuild.training.history import EpochRow
from specbuild.training.train import train

if TYPE_CHECKING:
    import optuna


class Refused(Exception):
    """A trial that does not begin: its values do not fit together, or its model is too large."""


class Pruned(Exception):
    """A trial that was ended because it is worse than others."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The validation value that trials are compared by."""

    monitor: str
    larger_is_better: bool

    def of(self, row: EpochRow, spec: Spec) -> float:
        """Return the value after an epoch.

        Raises:
            ArgumentError: the run does not report it.
        """
        if self.monitor in row:
            return float(row[self.monitor])
        known = [name for name in row if name.startswith("val_")]
        raise ArgumentError(
            f'the trials of {spec.name} report no "{self.monitor}"',
            help=f"set tune.monitor to one of {', '.join(known)}, or add the metric to train.metrics",
        )


def checked(spec: Spec, limits: TuneSection) -> Graph:
    """Return the graph of a trial's spec, if it is within the limits. Loads no framework.

    Raises:
        Refused: its values do not fit together, or it is beyond a limit.
    """
    try:
        graph = build_graph(spec)
    except SpecError as error:
        raise Refused(first_line(error)) from error
    for reason in _beyond(graph, limits):
        raise Refused(reason)
    return graph


def _beyond(graph: Graph, limits: TuneSection) -> Iterable[str]:
    """Yield the limits that a model exceeds, in words. What is not known of it exceeds none."""
    if limits.max_parameters is not None and graph.parameters > limits.max_parameters:
        yield f"it has {graph.parameters:,} parameters, more than max_parameters"
    flops = graph.flops
    if limits.max_flops is not None and flops is not None and flops > limits.max_flops:
        yield f"it takes {scaled(flops, 1000, ('', 'k', 'M', 'G', 'T', 'P'))}FLOPs per sample, more than max_flops"
    number = 2 if graph.spec.train.precision == "bfloat16" else 4
    memory = step_memory(graph, graph.spec.batch_size, bytes_per_number=number)
    if limits.max_memory is not None and memory is not None and memory.bytes > limits.max_memory:
        yield f"a training step is predicted to take {in_bytes(memory.bytes)}, more than max_memory"


class Reports:
    """Passes the value of each epoch to the study once, and asks it whether to prune."""

    def __init__(self, trial: optuna.trial.Trial, objective: Objective, spec: Spec) -> None:
        self._trial, self._objective, self._spec = trial, objective, spec
        self.reported = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def epoch(self, row: EpochRow) -> bool:
        """Report an epoch unless it was reported before, and return whether to prune the trial after it.

        After the last epoch a trial is complete, and pruning it would save nothing.
        """
        epoch, value = int(row["epoch"]), self._objective.of(row, self._spec)
        if epoch not in self.reported:
            self._trial.report(value, epoch)
            self.reported.add(epoch)
        return self._spec.train.epochs > epoch == max(self.reported) and bool(self._trial.should_prune())

    def history(self, rows: Sequence[EpochRow]) -> bool:
        """Report the epochs of a run that is resumed, and return whether the trial would have been pruned by now."""
        return any(self.epoch(row) for row in rows)


def run(
    spec: Spec,
    folder: RunFolder,
    reports: Reports,
    objective: Objective,
    shown: Callable[[int, float], None],
    plugins: Sequence[str],
) -> float:
    """Train the model of a trial in its folder, or resume it there, and return its value.

    Args:
        spec: with the values of the trial.
        folder: of its run.
        reports: passes on the value of each epoch.
        objective: what it is judged by.
        shown: told each epoch and its value.
        plugins: modules that register custom layers.

    Raises:
        Pruned: after the last epoch so far.
        SpecError, RunError: training could not begin, or failed.
        Interrupted: a signal came; what is done is saved.
    """
    done: tuple[dict[str, float], ...] = ()
    begun = folder.manifest_file.is_file()
    if begun and (saved := folder.checkpoints()):
        try:
            done = checkpoint.read(saved[max(saved)]).history
        except RunError:  # training itself skips a damaged checkpoint, and says so
            done = ()
    if reports.history(done):
        raise Pruned
    if begun and folder.manifest()["status"] == "finished":
        return objective.of(done[folder.manifest()["model_epoch"] - 1], spec)

    from specbuild.tuning.callback import TrialPruning, forget_model

    callback = TrialPruning(reports, objective, spec, shown)
    options: dict[str, Any] = {"plugins": plugins, "quiet": True, "score": False, "callbacks": [callback]}
    options["processes"] = 1  # those that a launcher such as srun has started work on other trials
    try:
        if begun:
            trained = train(resume=folder.path, **options)
        else:
            trained = train(spec, out=folder.path.parent, name=folder.path.name, **options)
    finally:
        forget_model()
    if reports.history(trained.history[len(done) :]) or callback.pruned:
        raise Pruned
    return objective.of(trained.history[trained.best - 1], spec)


def first_line(error: BaseException) -> str:
    """Return what an error says in one line, without its help."""
    first = error.diagnostics[0] if isinstance(error, SpecError) else error
    message = " ".join(str(getattr(first, "message", error)).split())
    where = getattr(first, "path", "")
    return (f"{message} ({where})" if where else message) or type(error).__name__
