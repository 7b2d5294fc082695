"""One call of `train`, from the compiled model to its scores, and what it writes into the run folder."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specbuild.catalog.schedules import counts_epochs, in_words
from specbuild.data.samples.base import Samples
from specbuild.document import ArgumentError, Report, RunError, SpecError
from specbuild.document.render import render_text
from specbuild.graph import Graph
from specbuild.graph.monitors import check_monitors, monitors
from specbuild.runs import checkpoint
from specbuild.runs.checkpoint import Progress
from specbuild.runs.clock import now
from specbuild.runs.compatibility import Change
from specbuild.runs.faults import UnsavedError, explained
from specbuild.runs.files import remove_leftovers
from specbuild.runs.folder import RunFolder
from specbuild.runs.initial_weights import InitialWeights, WeightSource
from specbuild.runs.records import TrainingPolicy, results_in
from specbuild.training import model_file
from specbuild.training.alike import compare_checkpoints
from specbuild.training.compile import compile_model
from specbuild.training.description import (
    beginning,
    files_for_logger,
    for_logger,
    note_resumption,
    scores_for_logger,
    write_first_files,
)
from specbuild.training.history import Watch, draw_history
from specbuild.training.hosts import ALONE, Processes
from specbuild.training.interrupt import Interrupted, Signals
from specbuild.training.loggers.base import Ending
from specbuild.training.loggers.kinds import loggers_of
from specbuild.training.loggers.reporting import Reported, Reporter
from specbuild.training.model_file import Chosen
from specbuild.training.opened import notes_at_first
from specbuild.training.plan import planned
from specbuild.training.progress import Display, opening_lines
from specbuild.training.resuming import check_changes_take_effect, how_to_resume, resuming, without_checkpoints
from specbuild.training.run import Run

if TYPE_CHECKING:
    from specbuild.evaluation.stored import Scored
    from specbuild.training.hooks import Hooks


class Session:
    """One call of `train`, after all checks that need no framework."""

    def __init__(
        self,
        graph: Graph,
        dataset: Samples,
        show: Display,
        folder: RunFolder | None = None,
        changes: tuple[Change, ...] = (),
        processes: Processes = ALONE,
        callbacks: Iterable[Any] = (),
    ) -> None:
        train, validated = graph.spec.train, "validation" in dataset.splits
        self.processes, self.callbacks, self.scored = processes, tuple(callbacks), True
        self.initial: InitialWeights | None = None
        self.dataset, self.show = dataset, show
        self.watch = Watch.of(train, validated)
        self.notes: list[str] = []
        if not self.callbacks:  # which may add values to those that are known
            report = Report()
            check_monitors(graph.spec, report)
            report.raise_errors()
        for place, monitor in monitors(graph.spec) if not validated else ():
            if monitor.startswith("val_"):
                raise graph.spec.error(
                    place,
                    f"{monitor} needs validation data, and data.split gives none",
                    help="add a validation share to data.split, or monitor loss",
                    code="no-validation",
                )
        self.plan = planned(graph, dataset, folder, changes, processes)
        self.folder, self.graph, self.changes = folder, self.plan.graph, self.plan.changes
        self.spec = self.graph.spec
        size = self.spec.batch_size
        self.loggers = loggers_of(self.spec) if processes.writes else []
        self.training = dataset.sampler("train", size, train.seed, steps=train.steps_per_epoch)
        self.validation = dataset.sampler("validation", size, train.seed) if validated else None

    def run(self, out: str | Path, signals: Signals, name: str | None = None, *, score: bool = True) -> Run:
        """Train in the folder that is continued, whose lock the caller holds, or in a new one below `out`.

        Args:
            out: where to make a new folder.
            signals: what may end training.
            name: of a new folder; None: that of the spec, with date and time.
            score: whether to score the model on the test split.
        """
        self.scored = score
        folder, precision = self.folder, self.processes.of_first("precision", lambda: self.plan.precision)
        # The run folder is made or changed only once the model is known to fit: what is refused leaves no trace.
        model, done = self._prepare(folder, precision)
        if signals.asked is not None:
            raise KeyboardInterrupt
        if not self.processes.writes:
            return self._follow(model, done, signals)
        if folder is None:
            description = beginning(
                self.spec, self.dataset, precision, self.devices.label, self.initial, self.hooks.names
            )

            def fill(new: RunFolder) -> None:
                write_first_files(new, self.spec, self.dataset, description)

            with RunFolder.create(out, name or self.spec.name, fill, stamped=name is None) as folder:
                return self._run(model, folder, done, precision, signals)
        check_changes_take_effect(self.spec, self.changes, folder, done, self.watch)
        with explained(folder.path):
            note_resumption(folder, self.spec, done, precision, self.changes, self.notes, self.hooks.names)
        self.show.note(resuming(folder, done, self.spec.train.epochs))
        for change in self.changes:
            self.show.note(f"changed: {change}")
        return self._run(model, folder, done, precision, signals)

    def _follow(self, model: Any, done: Progress, signals: Signals) -> Run:
        """Train with process 0, which alone writes and scores, and wait for it."""
        folder = RunFolder(Path(self.processes.of_first("run folder", str)))
        signals.begun = True
        try:
            history = self._fit(model, folder, done, signals)
        except KeyboardInterrupt:
            raise Interrupted("", signals.number) from None
        return Run(folder, history, self.watch.best(history) or len(history), None, self.processes.index)

    def _run(self, model: Any, folder: RunFolder, done: Progress, precision: TrainingPolicy, signals: Signals) -> Run:
        def interrupted() -> str:
            self._ended(folder, "interrupted", report=False)
            return how_to_resume(folder)

        signals.at_once, signals.begun = interrupted, True
        self.processes.at_once(lambda reason, number: self._ended_by_another(folder, reason, number))
        self.processes.of_first("run folder", lambda: str(folder.path))
        self.reporter = Reporter(self.loggers, folder, self._note)
        self.reporter.begin(lambda known: for_logger(self.spec, folder, done, known))
        try:
            return self._fit_and_score(model, folder, done, precision, signals)
        except Interrupted:
            raise
        except KeyboardInterrupt:  # a second signal, while the first was obeyed
            raise Interrupted(interrupted(), signals.number) from None
        finally:
            signals.at_once = None

    def _fit_and_score(
        self, model: Any, folder: RunFolder, done: Progress, precision: TrainingPolicy, signals: Signals
    ) -> Run:
        for line in opening_lines(self.graph, self.dataset, folder.path, precision, self.devices):
            self.show.note(line)
        if self.plan.memory:
            self.show.note(self.plan.memory)
        for line in self.initial.lines() if self.initial is not None else ():
            self.show.note(line)
        for warning in self.graph.warnings:
            self.show.note(render_text(warning) + "\n")
        for note in (*self.plan.notes, *notes_at_first(self.dataset), *self.devices.notes(model)):
            self._note(note)
        try:
            with self.show, explained(folder.path):
                history = self._fit(model, folder, done, signals)
        except KeyboardInterrupt:
            self._ended(folder, "interrupted")
            with explained(folder.path):
                folder.update_manifest(**self._keep_model(folder).record(self.watch))
            raise Interrupted(how_to_resume(folder), signals.number) from None
        except BaseException as error:
            self._ended(folder, "failed", error=_reason(error))
            raise
        try:
            with explained(folder.path):
                return self._finished(folder, history)
        except KeyboardInterrupt:
            if folder.manifest()["status"] == "finished":
                message = f"interrupted while loggers were waited for; {folder.path} is finished"
                raise Interrupted(message, signals.number) from None
            self._ended(folder, "interrupted")
            message = f"interrupted after training. Score the model with: specbuild evaluate {folder.path}"
            raise Interrupted(message, signals.number) from None
        except BaseException as error:
            self._ended(folder, "failed", error=_reason(error))
            raise

    def _ended_by_another(self, folder: RunFolder, reason: str, number: int) -> None:
        """Say how a run ended that another process ended, with a signal of this number or, for 0, with an error."""
        if number:
            self._ended(folder, "interrupted", report=False)
        else:
            self._ended(folder, "failed", report=False, error=reason)

    def _ended(self, folder: RunFolder, status: str, *, report: bool = True, **values: Any) -> None:
        # Where this cannot be written either, the status is that of a run whose process ended unexpectedly.
        with suppress(OSError, RunError):
            folder.update_manifest(status=status, finished=now(), process=None, **values)
        if report:
            self.reporter.end(Ending(status))

    def _finished(self, folder: RunFolder, history: tuple[dict[str, float], ...]) -> Run:
        """Keep the model that training gave, and score it."""
        if self.hooks.stopped_by:
            self._note(f"the callback {self.hooks.stopped_by} ended training after epoch {len(history)}")
        for note in self.dataset.notes():
            self._note(note)
        chosen = self._keep_model(folder)
        scores = self._score(folder, history, chosen.epoch)
        folder.update_manifest(
            status="finished",
            finished=now(),
            process=None,
            epochs=len(history),
            notes=self.notes,
            **chosen.record(self.watch),
        )
        said = len(self.notes)  # the run is complete, however long its loggers take
        self.reporter.end(Ending("finished", scores_for_logger(scores), files_for_logger(folder)))
        if len(self.notes) > said:
            folder.update_manifest(notes=self.notes)
        return Run(folder, history, chosen.epoch, scores)

    def _prepare(self, folder: RunFolder | None, precision: TrainingPolicy) -> tuple[Any, Progress]:
        """Return the compiled model, with the state of the last checkpoint where a run is continued."""
        from specbuild.training.devices import chosen

        self.devices = chosen(self.spec)
        with self.devices.scope():
            return self._prepare_on_devices(folder, precision)

    def _prepare_on_devices(self, folder: RunFolder | None, precision: TrainingPolicy) -> tuple[Any, Progress]:
        from specbuild.model.backend import set_seed
        from specbuild.model.build import build
        from specbuild.training.memory import room_for_weights

        set_seed(self.spec.train.seed)
        with room_for_weights(self.spec):
            model = build(self.graph, precision, teacher=True)
        self._compile(model)
        done, path = self._last_checkpoint(folder) if folder is not None else (Progress(), None)
        if folder is not None:
            compare_checkpoints(self.processes, path)
        if path is None and (start := WeightSource.of(self.spec)) is not None:
            self.initial = start.put_into(self.graph, model)
        if path is not None:
            from specbuild.runs.optimizer import arguments_kept, written_rate

            with room_for_weights(self.spec):
                checkpoint.build_optimizer(model)
            with arguments_kept(model, path, rate_too=done.rate != written_rate(self.spec.train.optimizer)):
                checkpoint.restore(model, path, done)
            self._check_monitor(done)
        self._check_lengths(done)
        self.hooks = self._hooks(folder, done)
        return model, done

    def _check_lengths(self, done: Progress) -> None:
        """Refuse another number of steps in an epoch where the learning-rate schedule counts epochs."""
        before, steps = done.steps, len(self.training)
        if before is not None and before != steps and counts_epochs(self.spec.train.optimizer):
            raise ArgumentError(
                f"an epoch of this run has {before} steps and would have {steps}, and its learning-rate schedule "
                "counts epochs",
                help=f"write its lengths in steps, as they are so far: {in_words(self.spec.train.optimizer, before)}",
            )

    def _hooks(self, folder: RunFolder | None, done: Progress) -> Hooks:
        """Return the callbacks of the run, with a note on those that start without their state."""
        from specbuild.training.hooks import Hooks

        hooks = Hooks(self.spec, self.callbacks, done, len(self.training))
        if folder is None or not (done.history or done.step):
            return hooks
        gone = [name for name in folder.manifest().get("callbacks", []) if name not in hooks.names]
        if gone:
            self._note(f"the run was trained with callbacks that are not given now: {', '.join(gone)}")
        if hooks.forgetful:
            self._note(f"callbacks without get_state and set_state start fresh: {', '.join(hooks.forgetful)}")
        return hooks

    def _check_monitor(self, done: Progress) -> None:
        """Refuse to judge epochs by a value that they did not report."""
        monitor = self.watch.monitor
        if any(monitor not in row for row in done.history):
            raise self.spec.error(
                ("train", "early_stopping", "monitor"),
                f"the earlier epochs did not report {monitor}",
                reason="the best epoch is chosen among all epochs, including those before the run was resumed",
                help=f"choose among {', '.join(results_in(done.history[0]))}",
                code="unknown-name",
            )

    def _compile(self, model: Any) -> None:
        compile_model(
            model,
            self.spec,
            weighted=self.dataset.source.may_miss,
            outputs=[output.name for output in self.graph.outputs],
            transform=self.dataset.transform,
            transforms=self.dataset.transforms,
            steps=len(self.training),
        )

    def _last_checkpoint(self, folder: RunFolder) -> tuple[Progress, Path | None]:
        """Return the last checkpoint that training can go on from; without one it starts over.

        Raises:
            RunError: there are checkpoints, and none can be read; the spec changes what the last one, within an epoch,
                does not allow.
        """
        damaged: RunError | None = None
        for path in reversed(folder.checkpoints().values()):
            try:
                progress = checkpoint.verify(path)
            except RunError as error:
                damaged = error
                self._note(f"{error.message}; it is skipped")
                continue
            between = [change.path for change in self.changes if change.between_epochs]
            if progress.step and (between or progress.steps != len(self.training)):
                raise RunError(
                    f"{', '.join(between) or 'the number of steps'} can change only between two epochs, and this run "
                    f"stopped after {progress.reached}",
                    help="finish the epoch first; or delete the checkpoints with a step in their names, to go back to "
                    "the last finished epoch",
                )
            return progress, path
        if damaged is not None:
            raise RunError(damaged.message, help=without_checkpoints(folder))
        return Progress(), None

    def _note(self, text: str) -> None:
        """Say something on the terminal, and in run.json once training ends."""
        self.notes.append(text)
        self.show.note(f"note: {text}")

    def _fit(self, model: Any, folder: RunFolder, done: Progress, signals: Signals) -> tuple[dict[str, float], ...]:
        from specbuild.training.batches import BatchSource, for_outputs, part, with_true_frames
        from specbuild.training.fit import fit

        together = self.processes

        def batches(source: BatchSource, *, shown: bool) -> BatchSource:
            own = part(source, together.index, together.count, self.devices.parts)
            return for_outputs(self.graph, with_true_frames(self.graph, own, shown=shown))

        if together.writes:
            remove_leftovers(folder.path)
        training = batches(self.training, shown=True)
        held_out = batches(self.validation, shown=False) if self.validation is not None else None
        return fit(
            model,
            self.spec,
            folder,
            training,
            held_out,
            self.watch,
            Reported(self.show, self.reporter) if self.loggers else self.show,
            done,
            signals,
            self.devices,
            self.hooks,
            together,
        )

    def _keep_model(self, folder: RunFolder) -> Chosen:
        """Write model.keras, unless no epoch is finished, and return the epoch that it is of."""
        chosen = model_file.choose(folder, self.watch)
        if note := chosen.note(self.watch.monitor):
            self._note(note)
        if chosen.epoch:
            model_file.write(folder, chosen, self.graph, self._compile)
        return chosen

    def _score(self, folder: RunFolder, history: tuple[dict[str, float], ...], best: int) -> Scored | None:
        from specbuild.evaluation.evaluate import evaluate

        draw_history(history, folder.path / "loss.png", best if self.watch.keep_best else None)
        if "test" not in self.dataset.splits or not self.scored:
            return None
        try:
            return evaluate(folder.path, split="test")
        except UnsavedError as error:
            if isinstance(error.__cause__, OSError):  # which is explained as that of a run to resume
                raise error.__cause__ from None
            raise


def _reason(error: BaseException) -> str:
    """Return why a run failed, in one line."""
    first = error.diagnostics[0] if isinstance(error, SpecError) else error
    return " ".join(str(getattr(first, "message", error)).split()) or type(error).__name__
