"""The Optuna study behind a folder: where it is kept, how it samples and prunes. Imports Optuna."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from specbuild.document import RunError
from specbuild.language.sections.tune import TuneSection
from specbuild.runs.provenance import without_password
from specbuild.tuning.sampling import sampler

if TYPE_CHECKING:
    import optuna

EXTRA = "pip install 'specbuild[tune]'"
BEAT, GONE = 30, 150
"""Seconds between the heartbeats of a trial in a shared storage, and without one until its process counts as gone."""
_TRIES = 4
"""How often a storage is opened: of two processes that make its tables at once, one fails."""


def optuna_module() -> ModuleType:
    """Return the package Optuna.

    Raises:
        RunError: it is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise RunError("tune needs the package Optuna, which is not installed", help=EXTRA) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    module: ModuleType = optuna
    return module


@contextmanager
def quietly() -> Iterator[None]:
    """Silence Optuna's warnings that what we use on purpose is experimental, or meant for its own loop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=optuna_module().exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Heartbeat of storage")
        yield


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn the errors of a storage into one that says what to do.

    Raises:
        RunError: the storage failed.
    """
    try:
        yield
    except storage_errors() as error:
        cause = error.__cause__ if isinstance(error.__cause__, storage_errors()) else error
        text = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        raise RunError(
            f"the storage {without_password(url)} failed: {text}",
            help="finished trials are kept there; once it answers again, continue with specbuild tune --resume",
        ) from error


def storage_errors() -> tuple[type[Exception], ...]:
    """Return the errors that a storage raises when it fails."""
    from sqlalchemy.exc import SQLAlchemyError

    return SQLAlchemyError, optuna_module().exceptions.StorageInternalError


def database(file: Path) -> str:
    """Return the URL of a SQLite database in a file."""
    return f"sqlite:///{file.absolute().as_posix()}"


def open_study(url: str, name: str, options: TuneSection, *, maximize: bool) -> optuna.Study:
    """Return a study, made if the storage has none of that name.

    Args:
        url: of the storage.
        name: of the study.
        options: how it samples and prunes.
        maximize: whether a larger value is better.

    Raises:
        RunError: the storage cannot be opened.
    """
    optuna = optuna_module()
    with quietly(), explained(url):
        storage = _storage(optuna, url)
        return optuna.create_study(
            study_name=name,
            storage=storage,
            direction="maximize" if maximize else "minimize",
            sampler=sampler(options.sampler, options.seed),
            pruner=_pruner(optuna, options),
            load_if_exists=True,
        )


def _storage(optuna: Any, url: str) -> Any:
    from sqlalchemy.exc import ArgumentError

    own = url.startswith("sqlite")
    settings: dict[str, Any] = {"connect_args": {"timeout": 120}} if own else {"pool_pre_ping": True}
    beats = {} if own else {"heartbeat_interval": BEAT, "grace_period": GONE}
    if not own:
        beats["heartbeat_stale_trial_callback"] = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=3)
    for left in reversed(range(_TRIES)):
        try:
            return optuna.storages.RDBStorage(_with_driver(url), engine_kwargs=settings, **beats)
        except ImportError as error:
            raise RunError(
                f"the storage {without_password(url)} needs a package that is not installed: {error}",
                help="install the driver of the database, such as pip install 'psycopg[binary]' for PostgreSQL",
            ) from error
        except (ValueError, ArgumentError) as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"{without_password(url)} is not a storage: {without_password(reason)}",
                help="write a URL such as postgresql://user@host/database or sqlite:///study.db",
            ) from error
        except Exception:
            if not left:
                raise
            time.sleep(0.5)
    raise AssertionError


def _with_driver(url: str) -> str:
    """Return a URL of PostgreSQL with the driver that is installed, where only the older one is."""
    scheme, separator, rest = url.partition("://")
    old = scheme == "postgresql" and find_spec("psycopg") is None and find_spec("psycopg2") is not None
    return f"postgresql+psycopg2{separator}{rest}" if old else url


def _pruner(optuna: Any, options: TuneSection) -> Any:
    if options.pruner == "none":
        return optuna.pruners.NopPruner()
    # Optuna counts from step 0; ours are epochs, which count from 1.
    return optuna.pruners.MedianPruner(n_startup_trials=options.startup, n_warmup_steps=options.warmup + 1)
