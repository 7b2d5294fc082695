"""What a run says when it is resumed, when it is interrupted, and when it cannot be resumed."""

from __future__ import annotations

from collections.abc import Iterable

from specbuild.document import ArgumentError, RunError
from specbuild.language import Spec
from specbuild.runs import checkpoint
from specbuild.runs.checkpoint import Progress
from specbuild.runs.compatibility import Change
from specbuild.runs.folder import RunFolder
from specbuild.training.history import Watch


def is_over(done: Progress, epochs: int, watch: Watch) -> bool:
    """Whether nothing is left to train: the last epoch is done, or early stopping or a callback ended training."""
    return done.epoch >= epochs or watch.is_over(done.history) or done.is_ended(epochs)


def resuming(folder: RunFolder, done: Progress, epochs: int) -> str:
    """Return from where a run is resumed."""
    if done.ended is not None and done.is_ended(epochs):
        return (
            f"{folder.path} was ended by the callback {done.ended.by} after epoch {done.epoch}; for more: --set "
            f"train.epochs={2 * epochs}"
        )
    if done.epoch >= epochs:
        return f"{folder.path} has finished all of its epochs; for more: --set train.epochs={2 * done.epoch}"
    if not done.epoch and not done.step:
        return f"{folder.path} has no checkpoint yet, so it starts over"
    return f"resuming {folder.path} after {done.reached}{'' if done.step else f' of {epochs}'}"


def check_changes_take_effect(
    spec: Spec, changes: Iterable[Change], folder: RunFolder, done: Progress, watch: Watch
) -> None:
    """Refuse changes of the training of a run that has nothing left to train.

    Raises:
        ArgumentError: naming them.
    """
    if not is_over(done, spec.train.epochs, watch):
        return
    idle = [change.path for change in changes if change.path.startswith("train.")]
    idle = [path for path in idle if not path.startswith(("train.early_stopping", "train.checkpoints"))]
    if not idle:
        return
    epochs = f"{done.epoch} epoch{'s' if done.epoch > 1 else ''}"
    why = f"has all its {epochs}" if done.epoch == spec.train.epochs else f"already has {epochs}"
    without = f"or leave {'them' if len(idle) > 1 else 'it'} out"
    more = f"train more with --set train.epochs={2 * done.epoch}, {without}"
    if done.ended is not None and done.is_ended(spec.train.epochs):
        why = f"was ended by the callback {done.ended.by} after epoch {done.epoch}"
        more = f"train more with --set train.epochs={2 * spec.train.epochs}, {without}"
    elif done.epoch < spec.train.epochs:
        why = f"was ended by early stopping after epoch {done.epoch}"
        more = f"train more with --set train.early_stopping=null, {without}"
    raise ArgumentError(f"{', '.join(idle)} would change nothing: {folder.path} {why}", help=more)


def how_to_resume(folder: RunFolder) -> str:
    """Return how far an interrupted run is, and the command that resumes it."""
    last = folder.reached
    if last is None:
        return f"interrupted before a step was saved. {resume_with(folder)}"
    try:
        reached = checkpoint.read(folder.checkpoint(*last)).reached
    except RunError:  # what is wrong with the file is said when the run is continued
        reached = str(last)
    return f"interrupted after {reached}. {resume_with(folder)}"


def without_checkpoints(folder: RunFolder) -> str:
    """Return the way out for a run none of whose checkpoints can be read."""
    model = folder.model_file
    if not model.is_file() or checkpoint.damage(model):
        return "start a new run; no other checkpoint of this one can be read"
    return (
        f"no checkpoint of this run can be read; evaluate and predict still work with {model}, and a new run can start "
        f"from its weights: --set train.init_from={folder.path.resolve()}"
    )


def resume_with(folder: RunFolder) -> str:
    """Return the command that resumes a run."""
    return f"Resume with: specbuild train --resume {folder.path}"
