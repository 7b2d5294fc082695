"""The Optuna study behind a folder: where it is kept, how it samples and prunes. Imports Optuna."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from specbuild.document import ArgumentError, RunError
from specbuild.document.extras import missing, require
from specbuild.language.sections.tune import TuneSection
from specbuild.runs.provenance import without_password
from specbuild.runs.studies import STUDY
from specbuild.tuning.folder import DATABASE, StudyFolder
from specbuild.tuning.sampling import sampler

if TYPE_CHECKING:
    import optuna

BEAT, GONE = 30, 150
"""Seconds between the heartbeats of a trial, and seconds without one until its process counts as gone."""
RETRIES = 3
"""How often the values of a trial are tried again because the process of the trial is gone."""
RETRIED = "retried"
"""The attribute with the numbers of the trials that a trial repeats because their processes were gone."""
_TRIES = 4
"""How often a storage is opened: of two processes that make its tables at once, one fails."""


def optuna_module() -> ModuleType:
    """Return the package Optuna.

    Raises:
        RunError: it is not installed.
    """
    require("tune", "specbuild tune")
    import optuna

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


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """A study of Optuna and the storage that keeps it."""

    study: optuna.Study
    storage: optuna.storages.RDBStorage
    url: str
    own: bool
    """Whether the storage is the database in the folder of the study.

    Then all processes share the folder, whose locks tell which of them are alive; in any other storage heartbeats do.
    """

    def id_of(self, number: int) -> int:
        """Return a trial's number in the storage, which counts the trials of all its studies."""
        study = self.storage.get_study_id_from_name(self.study.study_name)
        trial: int = self.storage.get_trial_id_from_study_id_trial_number(study, number)
        return trial

    def again(self, number: int) -> optuna.trial.Trial:
        """Return a trial that another process began, to go on with it."""
        return optuna_module().trial.Trial(self.study, self.id_of(number))


def open_study(folder: StudyFolder, url: str | None, options: TuneSection, *, maximize: bool) -> StoredStudy:
    """Return the study of a folder; it is made if the storage has none of that name.

    Args:
        folder: of the study.
        url: of the storage; None: the database in the folder.
        options: how it samples and prunes.
        maximize: whether a larger value is better.

    Raises:
        ArgumentError: the storage is the database in the folder of another study.
        RunError: the storage cannot be opened.
    """
    optuna = optuna_module()
    own = url is None or _is_own(url, folder)
    url = url or f"sqlite:///{(folder.path / DATABASE).absolute().as_posix()}"
    with quietly(), explained(url):
        storage = _storage(optuna, url, beats=not own)
        study = optuna.create_study(
            study_name=folder.record().study,
            storage=storage,
            direction="maximize" if maximize else "minimize",
            sampler=sampler(options.sampler, options.seed),
            pruner=_pruner(optuna, options),
            load_if_exists=True,
        )
    return StoredStudy(study, storage, url, own)


def with_whole_path(url: str) -> str:
    """Return the URL of a storage with the absolute path of its SQLite file, which may be given as a relative path."""
    from sqlalchemy.engine import make_url

    file = _sqlite_file(url)
    if file is None:
        return url
    whole: str = make_url(url).set(database=file.absolute().as_posix()).render_as_string(hide_password=False)
    return whole


def _sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL; None for any other URL, and without one.

    Raises:
        ArgumentError: the database is in memory.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError as NoURL

    with suppress(NoURL):
        place = make_url(url)
        if place.get_backend_name() != "sqlite":
            return None
        if place.database in (None, "", ":memory:"):
            raise ArgumentError(
                f"the storage {url} is a database in memory, which is lost when the process ends",
                help="name a file, such as sqlite:///study.db, or leave --storage out",
            )
        return Path(place.database)
    return None


def _is_own(url: str, folder: StudyFolder) -> bool:
    """Return whether a URL is that of the database in the folder.

    Raises:
        ArgumentError: it is that of the folder of another study, or of a database in memory.
    """
    file = _sqlite_file(url)
    if file is None or file.name != DATABASE:
        return False
    place = file.resolve().parent
    if place != folder.path.resolve() and (place / STUDY).is_file():
        raise ArgumentError(
            f"the storage {url} is the database of the study in {place}",
            help=f"to work on that study, give its folder: specbuild tune --resume {place}",
        )
    return place == folder.path.resolve()


def _storage(optuna: Any, url: str, *, beats: bool) -> Any:
    from sqlalchemy.exc import ArgumentError as NoURL

    sqlite = url.startswith("sqlite")
    settings: dict[str, Any] = {"connect_args": {"timeout": 120}} if sqlite else {"pool_pre_ping": True}
    heartbeats = {"heartbeat_interval": BEAT, "grace_period": GONE, "heartbeat_stale_trial_callback": _try_again}
    for left in reversed(range(_TRIES)):
        try:
            return optuna.storages.RDBStorage(
                _with_driver(url), engine_kwargs=settings, **(heartbeats if beats else {})
            )
        except ImportError as error:
            raise RunError(
                f"the storage {without_password(url)} needs a package that is not installed: {error}",
                help="install the driver of the database, such as pip install 'psycopg[binary]' for PostgreSQL",
            ) from error
        except (ValueError, NoURL) as error:
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


def _try_again(study: optuna.Study, gone: optuna.trial.FrozenTrial) -> None:
    """Put the values of a trial whose process is gone into the queue, under a new number."""
    import optuna

    before = [*gone.user_attrs.get(RETRIED, ()), gone.number]
    if len(before) <= RETRIES:
        waiting = optuna.trial.TrialState.WAITING
        study.add_trial(
            optuna.trial.create_trial(
                state=waiting, params=gone.params, distributions=gone.distributions, user_attrs={RETRIED: before}
            )
        )


def _with_driver(url: str) -> str:
    """Return a URL of PostgreSQL with the driver that is installed, where only the older one is."""
    scheme, separator, rest = url.partition("://")
    old = scheme == "postgresql" and missing(("psycopg", "psycopg2")) == ("psycopg",)
    return f"postgresql+psycopg2{separator}{rest}" if old else url


def _pruner(optuna: Any, options: TuneSection) -> Any:
    if options.pruner == "none":
        return optuna.pruners.NopPruner()
    # Optuna counts from step 0; ours are epochs, which count from 1.
    return optuna.pruners.MedianPruner(n_startup_trials=options.startup, n_warmup_steps=options.warmup + 1)
