"""`train`: train and score the model of a spec, into a run folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from specbuild.document import SpecbuildError, SpecError
from specbuild.facade import build_graph, import_plugins
from specbuild.graph import Graph
from specbuild.language import Spec, load_spec, normalize
from specbuild.runs.compatibility import check_resumable
from specbuild.runs.folder import RunFolder
from specbuild.runs.framework import settle, settle_auto
from specbuild.runs.initial_weights import WeightSource
from specbuild.runs.provenance import check_data_unchanged, perhaps_moved
from specbuild.training.interrupt import Interrupted, Signals
from specbuild.training.opened import open_for_training
from specbuild.training.progress import display
from specbuild.training.resuming import resume_with
from specbuild.training.session import Run, Session


def train(
    spec: Spec | str | Path | Mapping[str, Any] | None = None,
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    out: str | Path = "runs",
    resume: str | Path | None = None,
    plugins: Iterable[str] = (),
    roots: Iterable[str | Path] = (),
    quiet: bool = False,
) -> Run:
    """Train the model of a spec, score it on the test split and draw it, all into one run folder.

    Args:
        spec: path of a YAML file, YAML text, its content as a mapping, or a loaded spec. None with `resume`.
        overrides: `{"train.epochs": 3}` or `["train.epochs=3"]`.
        out: where to create the run folder.
        resume: a run folder to continue from its last checkpoint; of a folder of runs, the latest that is neither
            finished nor being trained, or else the latest. On a CPU the result is bit-identical to that of an
            uninterrupted run.
        plugins: modules to import, which register custom layers.
        roots: folders besides the spec's own under which the files may lie that it names.
        quiet: whether to print nothing.

    Raises:
        SpecError: the spec or its data is wrong, which is noticed before a framework is loaded.
        RunError: training failed: the loss is not finite, a checkpoint is damaged.
        Interrupted: Ctrl-C, or another signal that ends a run, such as SIGTERM. The steps that are done are saved.
    """
    if (spec is None) == (resume is None):
        raise TypeError("train needs a spec or resume=, and not both")
    with Signals() as signals:
        if resume is None:
            assert spec is not None
            with _interruptible(signals, "interrupted before training began; nothing was written"):
                graph = _planned(spec, overrides, plugins, roots)
                WeightSource.of(graph.spec)  # what it names is looked for before a framework is loaded
                return Session(graph, open_for_training(graph), display(quiet)).run(out, signals)
        folder = RunFolder.to_resume(resume)
        status = folder.status()
        # Before anything else: a second process is refused at once, not after a framework is loaded.
        with (
            folder.writing(),
            _interruptible(signals, f"interrupted before anything was changed. {resume_with(folder)}"),
        ):
            given = normalize(overrides)
            resumed = folder.load_spec(given)
            settle(resumed)
            import_plugins(plugins)
            graph = build_graph(resumed)
            settle_auto(graph, folder.backend)
            changes = check_resumable(folder, build_graph(folder.load_spec()), graph, given) if given else ()
            check_data_unchanged(graph.spec, folder.manifest()["data"])
            with perhaps_moved(graph.spec):
                dataset = open_for_training(graph, folder.transform())
            session = Session(graph, dataset, display(quiet), folder, changes)
            if status.process is not None:
                session.show.note(f"note: {status.text}")
            return session.run(out, signals)


def _planned(
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
    graph = build_graph(spec, overrides=overrides, roots=roots)
    settle_auto(graph)
    return graph


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
