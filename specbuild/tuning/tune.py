"""`tune`: search for better values of a spec, into the folder of a study."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from specbuild.document import ArgumentError, Report, RunError, SpecbuildError
from specbuild.facade import check, import_plugins
from specbuild.graph import Graph
from specbuild.language import Spec, normalize
from specbuild.language.interval import Interval
from specbuild.language.sections.train import EarlyStopping
from specbuild.language.tuning import Tuning
from specbuild.runs.files import write_text
from specbuild.runs.framework import settle
from specbuild.runs.provenance import without_password
from specbuild.runs.saved_spec import COPIES
from specbuild.training.history import Watch
from specbuild.training.interrupt import Interrupted, Signals
from specbuild.training.opened import open_everything
from specbuild.tuning.folder import StudyFolder
from specbuild.tuning.progress import Shown, shown
from specbuild.tuning.result import Study

if TYPE_CHECKING:
    import optuna

    from specbuild.tuning.trial import Objective

_IDENTITY = "specbuild"
"""The attribute of an Optuna study that tells its spec and its space."""


def tune(
    spec: str | Path | Mapping[str, Any] | None = None,
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    out: str | Path = "runs",
    name: str | None = None,
    resume: str | Path | None = None,
    trials: int | None = None,
    timeout: str | None = None,
    storage: str | None = None,
    plugins: Iterable[str] = (),
    roots: Iterable[str | Path] = (),
    quiet: bool = False,
) -> Study:
    """Search for better values of a spec with Optuna; its section `tune` names what to vary.

    Trials are compared on the validation split; the test split is never read. Each is an ordinary run in the folder of
    the study. Called with `resume` in several processes at once, or with one `storage` and `name` on several hosts,
    they share the trials of one study.

    Args:
        spec: path of a YAML file, YAML text, or its content as a mapping. None with `resume`.
        overrides: `{"tune.trials": 40}` or `["tune.trials=40"]`.
        out: where to create the folder of the study.
        name: of the study and its folder. Default: that of the spec, with date and time.
        resume: the folder of a study to continue; of a folder of studies, the latest.
        trials: the number of trials of the study. Default: as before, or `tune.trials`.
        timeout: time after which no new trial starts, such as `8 h`. Default: `tune.timeout`.
        storage: URL of an Optuna storage. Default: a SQLite file in the folder of the study.
        plugins: modules to import, which register custom layers.
        roots: folders, besides the spec's own, that files named in the spec may be in.
        quiet: whether to print nothing.

    Returns:
        Every trial with its values and its run folder, and the path of the best spec.

    Raises:
        SpecError: the spec, its search space or its data is wrong; raised before the first trial.
        ArgumentError: the study exists with another spec or search space.
        RunError: the storage fails, Optuna is not installed, or no trial was completed.
        Interrupted: Ctrl-C, or another signal. The trial that was running can be continued.
    """
    if (spec is None) == (resume is None):
        raise TypeError("tune needs a spec or resume=, and not both")
    from specbuild.tuning import storage as storages

    storages.optuna_module()
    limit, storage = _seconds(timeout), storages.with_whole_path(storage) if storage else None
    given, plugins, roots = normalize(overrides), tuple(plugins), tuple(roots)
    if resume is not None:
        if given:
            raise _keeps_its_spec()
        folder = _continued(resume, trials, plugins, roots)
    else:
        assert spec is not None
        graph = _checked(spec, given, plugins, roots)
        _check_data(graph)
        total = trials or _tuning(graph.spec).options.trials
        kept, monitor = without_password(storage) if storage else None, _objective(graph.spec).monitor
        folder = StudyFolder.create(out, graph.spec, name, total, monitor, kept)
    return _worked(folder, limit, storage, plugins, shown(quiet), new=resume is None)


def _keeps_its_spec() -> ArgumentError:
    return ArgumentError(
        "a study keeps its spec, so that its trials can be compared",
        help="leave --set out; for another spec or search space, start a new study",
    )


def _continued(resume: str | Path, trials: int | None, plugins: tuple[str, ...], roots: tuple[Any, ...]) -> StudyFolder:
    """Return the folder of a study that goes on, after checking its spec and changing its number of trials."""
    folder = StudyFolder.open(resume)
    record = folder.record()
    _checked(folder.saved, tuple(record.overrides), plugins, _roots(folder, roots))
    if trials not in (None, record.trials):
        folder.update(trials=trials)
    return folder


def _checked(
    source: str | Path | Mapping[str, Any], overrides: tuple[str, ...], plugins: tuple[str, ...], roots: Iterable[Any]
) -> Graph:
    """Return the graph of a spec, after checking every value of its search space.

    Raises:
        SpecError: it has none, or a value does not fit.
    """
    import_plugins(plugins)
    report = Report()
    graph = check(source, overrides=overrides, roots=roots, report=report)
    report.raise_errors()
    assert graph is not None
    graph.spec.require_data()
    _tuning(graph.spec)
    return graph


def _tuning(spec: Spec) -> Tuning:
    if spec.tuning is None:
        raise spec.error(
            (),
            "the spec does not say what to tune",
            help="add the paths to vary and the values to try, such as tune: {vars.filters: [16, 32, 64]}",
            code="missing-key",
        )
    return spec.tuning


def _roots(folder: StudyFolder, roots: tuple[Any, ...]) -> tuple[Any, ...]:
    copies = folder.path / COPIES
    return (*roots, copies) if copies.is_dir() else roots


def _objective(spec: Spec) -> Objective:
    """Return the value that trials are compared by: `tune.monitor`, else a validation value that the spec monitors."""
    from specbuild.tuning.trial import Objective

    options, watch = _tuning(spec).options, Watch.of(spec.train, validated=True)
    if options.monitor is None and options.mode == "auto" and watch.monitor.startswith("val_"):
        return Objective(watch.monitor, watch.larger_is_better)
    monitor = options.monitor or (watch.monitor if watch.monitor.startswith("val_") else "val_loss")
    stopping = EarlyStopping(monitor=monitor, mode=options.mode)
    watch = Watch.of(spec.train.model_copy(update={"early_stopping": stopping}), validated=True)
    return Objective(monitor, watch.larger_is_better)


def _check_data(graph: Graph) -> None:
    """Open the data as training does.

    Raises:
        SpecError: that fails, or there is no validation split.
    """
    if "validation" not in open_everything(graph).splits:
        raise graph.spec.error(
            ("data", "split"),
            "trials are compared on the validation split, and data.split has none",
            help="add a validation share to data.split; the test split is for the model that is chosen",
            code="no-validation",
        )


def _seconds(timeout: str | None) -> float | None:
    """Return a time such as `8 h` in seconds.

    Raises:
        ArgumentError: it is not one.
    """
    try:
        return None if timeout is None else Interval.parse(timeout).mean_seconds
    except PydanticCustomError as error:
        raise ArgumentError(f"the timeout is not a time: {error.message()}") from None


def _worked(
    folder: StudyFolder,
    limit: float | None,
    storage: str | None,
    plugins: tuple[str, ...],
    show: Shown,
    *,
    new: bool,
) -> Study:
    """Work on a study until it has its trials, and write its results; a `new` one that cannot start leaves no files."""
    from specbuild.tuning import storage as storages
    from specbuild.tuning.loop import Work, work
    from specbuild.tuning.workers import Worker

    spec, record = folder.spec(), folder.record()
    tuning, objective, total = _tuning(spec), _objective(spec), record.trials
    settle(spec)
    limit = _seconds(tuning.options.timeout) if limit is None else limit
    deadline = None if limit is None else time.monotonic() + limit
    try:
        stored = storages.open_study(
            folder, storage or record.storage, tuning.options, maximize=objective.larger_is_better
        )
        with storages.explained(stored.url):
            _identify(stored.study, spec, objective)
    except SpecbuildError:
        if new:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise

    given = Work(folder, stored, tuning, objective, plugins, show)

    def results() -> Study:
        return write_results(given.collected(total), stored.study, folder)

    with storages.explained(stored.url):
        try:
            with Signals() as signals, Worker(folder) as worker, show:
                show.note(f"study: {folder.path}, {total} trials by {objective.monitor}")
                try:
                    work(given, worker, total, deadline)
                except Interrupted:
                    raise
                except KeyboardInterrupt:
                    raise Interrupted("", signals.number) from None
        except Interrupted as stop:
            results()
            raise Interrupted(f"interrupted. {resume_with(folder)}", stop.number) from None
        return _finished(results())


def _identify(study: optuna.Study, spec: Spec, objective: Objective) -> None:
    """Check that a study in a storage has this spec.

    Raises:
        ArgumentError: it is of another one.
    """
    texts = [spec.written, *(file.read_text("utf-8", "replace") for file in spec.files), *spec.overrides]
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    identity = {"spec": digest, "monitor": objective.monitor}
    known = study.user_attrs.get(_IDENTITY)
    if known is None:
        study.set_user_attr(_IDENTITY, identity)
    elif known != identity:
        raise ArgumentError(
            f"the study {study.study_name} in this storage has another spec or search space",
            help="its trials could not be compared with those of this one; choose another --name",
        )


def write_results(result: Study, study: optuna.Study, folder: StudyFolder) -> Study:
    """Write the table of the trials, the best spec and the pictures, and return the study with its best spec."""
    from specbuild.tuning.best import write_best
    from specbuild.tuning.pictures import draw

    write_text(folder.table_file, result.to_csv())
    best = result.best
    if best is None:
        return result
    comment = f"Trial {best.number} of {folder.path.name}, {result.monitor} {best.value!r}"
    path = write_best(folder, normalize(best.params), comment)
    draw(study, folder.path, result.monitor)
    return replace(result, best_spec=path)


def _finished(result: Study) -> Study:
    """Return a study unless all of its trials failed.

    Raises:
        RunError: they did.
    """
    if result.finished and result.best is None:
        reasons = Counter(trial.reason for trial in result.trials if trial.reason)
        reason, count = reasons.most_common(1)[0] if reasons else ("", 0)
        raise RunError(
            f"none of the {len(result.trials)} trials was completed; {count} of them: {reason}"
            if len(result.trials) > 1
            else f"the only trial was not completed: {reason}",
            help=f"narrow the search space, or raise a limit; {result.path / 'trials.csv'} says why each ended",
        )
    return result


def resume_with(folder: StudyFolder) -> str:
    """Return the command that continues a study."""
    return f"Resume with: specbuild tune --resume {folder.path}"
