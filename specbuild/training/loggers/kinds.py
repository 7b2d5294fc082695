"""Every logger by its name in a spec, and whether what it needs is installed."""

from __future__ import annotations

from specbuild.document import SpecError
from specbuild.document.extras import EXTRAS, install, missing, not_installed
from specbuild.language import Spec
from specbuild.training.loggers.base import RunLogger
from specbuild.training.loggers.mlflow import MLflowLogger
from specbuild.training.loggers.tensorboard import TensorBoardLogger
from specbuild.training.loggers.wandb import WandbLogger

KINDS: dict[str, type[RunLogger]] = {kind.name: kind for kind in (TensorBoardLogger, MLflowLogger, WandbLogger)}


def loggers_of(spec: Spec) -> list[RunLogger]:
    """Return the loggers that a spec names, none of which has begun.

    Raises:
        SpecError: the package of one is missing.
    """
    errors = []
    for number, logger in enumerate(spec.train.loggers):
        if absent := missing(EXTRAS[logger.name]):
            errors.append(
                spec.error(
                    ("train", "loggers", number),
                    not_installed(f"the logger {logger.name}", absent),
                    help=f"{install(logger.name)}, or leave the logger out",
                    code="missing-package",
                )
            )
    if errors:
        raise SpecError(diagnostic for error in errors for diagnostic in error.diagnostics)
    return [KINDS[logger.name](logger.settings) for logger in spec.train.loggers]
