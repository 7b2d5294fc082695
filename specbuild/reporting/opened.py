"""The runs of a report, opened: what is known of each, and why something is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from specbuild.data import Dataset
from specbuild.data.samples.clips import ClipDataset, open_clips
from specbuild.document import ArgumentError, RunError, SpecbuildError, SpecError
from specbuild.evaluation.compare import letter
from specbuild.evaluation.result import Evaluation
from specbuild.graph import Graph
from specbuild.language import Spec
from specbuild.reporting.stored import Stored, main_evaluation, scores_or_fault
from specbuild.runs.folder import RunFolder
from specbuild.runs.status import RunStatus
from specbuild.runs.trained import TrainedRun


@dataclass(frozen=True)
class ReportedRun:
    """One run of a report.

    Attributes:
        letter: what it is called beside others: A, B, …
        name: that of its folder.
        fault: why it has no model to forecast with; empty where it has one.
    """

    trained: TrainedRun
    letter: str
    name: str
    fault: str = ""

    @property
    def folder(self) -> RunFolder:
        return self.trained.folder

    @property
    def spec(self) -> Spec:
        return self.trained.spec

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What run.json says."""
        return self.folder.manifest()

    @cached_property
    def status(self) -> RunStatus:
        return replace(self.folder.status(), epochs=self.spec.train.epochs)

    @property
    def classifies(self) -> bool:
        """Whether its model gives classes of clips."""
        return self.trained.data.target is not None

    @cached_property
    def graph(self) -> Graph | str:
        """Its graph, or why there is none."""
        try:
            return self.trained.graph
        except SpecbuildError as error:
            return fault_of(error)

    @cached_property
    def dataset(self) -> Dataset | str:
        """The data of a forecasting run, or why they cannot be read: gone, or changed since training."""
        try:
            _ = self.trained.other_data  # raises where they have changed
            return self.trained.dataset
        except SpecbuildError as error:
            return fault_of(error)

    @cached_property
    def clips(self) -> ClipDataset | str:
        """The clips of a classifier, or why they cannot be read."""
        if isinstance(self.graph, str):
            return self.graph
        try:
            return open_clips(self.spec, self.graph, transform=self.folder.transform())
        except SpecbuildError as error:
            return fault_of(error)

    @cached_property
    def _scores(self) -> tuple[tuple[Stored, ...], str]:
        return scores_or_fault(self.folder)

    @property
    def scores(self) -> tuple[Stored, ...]:
        """What was scored of it, that of the training first."""
        return self._scores[0]

    @property
    def evaluation(self) -> Evaluation | None:
        """The evaluation to speak of first; None where forecasts were not scored."""
        return main_evaluation(self.scores)

    @property
    def no_scores(self) -> str:
        """Why there are no scores; empty where there are some."""
        if self.scores:
            return ""
        return self._scores[1] or f"it has not been scored yet; run specbuild evaluate {self.folder.path}"

    def notes(self) -> Iterator[str]:
        """Yield what to know of a run that is not finished, or has no model."""
        if self.fault:
            yield self.fault
        elif self.trained.note:
            yield self.trained.note
        elif self.status.state != "finished":
            yield self.status.text


def opened(
    runs: Sequence[str | Path], plugins: Iterable[str] = (), overrides: Mapping[str, Any] | Iterable[str] = ()
) -> list[ReportedRun]:
    """Open the runs of a report.

    Args:
        runs: their folders.
        plugins: modules to import.
        overrides: where the data lie now.

    Raises:
        SpecError: one is not a run folder, or an override does not fit.
        ArgumentError: none is named, or one twice.
        RunError: a run.json is damaged.
    """
    if not runs:
        raise ArgumentError("a report needs a run", help="name a run folder written by specbuild train")
    folders = [RunFolder.open(path) for path in runs]
    places = [folder.path.resolve() for folder in folders]
    if len(set(places)) < len(places):
        raise ArgumentError("a run is named twice", help="name each run folder once")
    names = [place.name for place in places]
    if len(set(names)) < len(names):
        names = [str(folder.path) for folder in folders]
    return [
        _opened(folder, letter(at), name, plugins, overrides)
        for at, (folder, name) in enumerate(zip(folders, names, strict=True))
    ]


def _opened(
    folder: RunFolder,
    letter: str,
    name: str,
    plugins: Iterable[str],
    overrides: Mapping[str, Any] | Iterable[str],
) -> ReportedRun:
    folder.manifest()  # a damaged one is an error, not a missing model
    try:
        return ReportedRun(TrainedRun.open(folder.path, plugins, overrides=overrides), letter, name)
    except ArgumentError:
        raise
    except RunError as error:
        return ReportedRun(TrainedRun(folder, folder.load_spec()), letter, name, error.message)


def fault_of(error: SpecbuildError) -> str:
    """Return an error as one sentence of a page, with what to do about it."""
    if isinstance(error, RunError):
        return f"{error.message}; {error.help}" if error.help else error.message
    if isinstance(error, SpecError):
        return "; ".join(
            ", ".join(filter(None, (fault.message, fault.reason, fault.help))) for fault in error.diagnostics
        )
    return str(error)
