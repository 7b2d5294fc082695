"""`train`: train and score the model of a spec, into a run folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from specbuild.document import SpecbuildError, SpecError
from specbuild.facade import build_graph, import_plugins
from specbuild.graph import Graph
from specbuild.language import Spec, load_spec, normalize
from specbuild.runs.compatibility import check_resumable
from specbuild.runs.folder import RunFolder
from specbuild.runs.framework import settle
from specbuild.runs.initial_weights import WeightSource
from specbuild.runs.provenance import check_data_unchanged, perhaps_moved
from specbuild.training.alike import compare_commands, folder_to_resume, open_together
from specbuild.training.hosts import Processes, joined
from specbuild.training.interrupt import Interrupted, Signals
from specbuild.training.launchers import place
from specbuild.training.progress import Display, display
from specbuild.training.resuming import resume_with
from specbuild.training.run import Run
from specbuild.training.session import Session


def train(
    spec: Spec | str | Path | Mapping[str, Any] | None = None,
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    out: str | Path = "runs",
    name: str | None = None,
    score: bool = True,
    resume: str | Path | None = None,
    plugins: Iterable[str] = (),
    roots: Iterable[str | Path] = (),
    quiet: bool = False,
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    callbacks: Iterable[Any] = (),
) -> Run:
    """Train the model of a spec, score it on the test split and draw it, all into one run folder.

    Args:
        spec: path of a YAML file, YAML text, its content as a mapping, or a loaded spec. None with `resume`.
        overrides: `{"train.epochs": 3}` or `["train.epochs=3"]`.
        out: where to create the run folder.
        name: of the run folder. Default: that of the spec, with date and time.
        score: whether to score the model on the test split, and to draw its forecast, after training.
        resume: a run folder to continue from its last checkpoint; of a folder of runs, the latest that is neither
            finished nor being trained, or else the latest. On a CPU the result is bit-identical to that of an
            uninterrupted run.
        plugins: modules to import, which register custom layers.
        roots: folders besides the spec's own under which the files may lie that it names.
        quiet: whether to print nothing.
        coordinator: `HOST:PORT`, where process 0 of several that train together listens. This and the following are
            taken from SLURM, MPI or Kubernetes where they are None and one of these started the process.
        processes: how many train together; 1: this one alone, whatever its launcher says.
        process_id: the number of this one, from 0. Process 0 writes the run folder and scores the model; the others
            return a run without scores.
        callbacks: `keras.callbacks.Callback` objects, called as Keras's `fit` calls them; where several processes train
            together, in each of them, and they must do the same. One that sets `model.stop_training` ends training. The
            state of those with `get_state()` and `set_state(state)` and of Keras's own is saved with each checkpoint.

    Returns:
        The folder of the run, its history (the loss in transformed units) and its scores (in those of the data).

    Raises:
        SpecError: the spec or its data is wrong, which is noticed before a framework is loaded.
        RunError: training failed: the loss is not finite, a checkpoint is damaged, a callback raised an error (which is
            the cause of the RunError), another process is gone.
        Interrupted: Ctrl-C, or another signal that ends a run, such as SIGTERM. The steps that are done are saved.
    """
    if (spec is None) == (resume is None):
        raise TypeError("train needs a spec or resume=, and not both")
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        with _interruptible(signals, "interrupted while the processes were joining; nothing was written"):
            group = joined(place(os.environ, coordinator, processes, process_id))
        stack.enter_context(group.together(signals))
        show = display(quiet or not group.writes)
        compare_commands(group, resume)
        if resume is None:
            assert spec is not None
            with _interruptible(signals, "interrupted before training began; nothing was written"):
                graph = settled_graph(spec, overrides, plugins, roots)
                WeightSource.of(graph.spec)  # what it names is looked for before a framework is loaded
                dataset = open_together(group, graph)
                session = Session(graph, dataset, show, processes=group, callbacks=callbacks)
                return session.run(out, signals, name, score=score)
        folder = folder_to_resume(group, resume)
        status = folder.status() if group.writes else None
        # Before anything else: a second process is refused at once, not after a framework is loaded.
        with (
            folder.writing() if group.writes else nullcontext(),
            _interruptible(signals, f"interrupted before anything was changed. {resume_with(folder)}"),
        ):
            session = _resumed(folder, overrides, plugins, show, group, callbacks)
            if status is not None and status.process is not None:
                session.show.note(f"note: {status.text}")
            return session.run(out, signals, score=score)


def _resumed(
    folder: RunFolder,
    overrides: Mapping[str, Any] | Iterable[str],
    plugins: Iterable[str],
    show: Display,
    group: Processes,
    callbacks: Iterable[Any],
) -> Session:
    """Return the session that continues a run; its spec may change only where that leaves the epochs so far valid.

    Raises:
        SpecError: an override changes more; the data have changed since training began.
    """
    given = normalize(overrides)
    spec = folder.load_spec(given)
    settle(spec, folder.backend)
    import_plugins(plugins)
    graph = build_graph(spec)
    changes = check_resumable(folder, build_graph(folder.load_spec()), graph, given) if given else ()
    check_data_unchanged(graph.spec, folder.manifest()["data"])
    with perhaps_moved(graph.spec):
        dataset = open_together(group, graph, folder.transform())
    return Session(graph, dataset, show, folder, changes, group, callbacks)


def settled_graph(
    spec: Spec | str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | Iterable[str],
    plugins: Iterable[str],
    roots: Iterable[str | Path],
) -> Graph:
    """Return the graph of a spec, with the framework settled before a plugin or a layer imports Keras."""
    overrides = normalize(overrides)
    if not isinstance(spec, Spec):
        with suppress(SpecError):  # which the graph reports together with its own faults
            spec, overrides = load_spec(spec, overrides=overrides, roots=roots), ()
    if isinstance(spec, Spec):
        settle(spec)
    import_plugins(plugins)
    return build_graph(spec, overrides=overrides, roots=roots)


@contextmanager
def _interruptible(signals: Signals, message: str) -> Iterator[None]:
    """Turn a signal that comes while nothing is written yet into an `Interrupted` that says `message`."""
    try:
        yield
    except Interrupted:
        raise
    except BaseException as error:
        # A signal inside a framework may surface as another error.
        from_signal = signals.asked is not None and not isinstance(error, SpecbuildError)
        if signals.begun or not (from_signal or isinstance(error, KeyboardInterrupt)):
            raise
        raise Interrupted(message, signals.number) from None
