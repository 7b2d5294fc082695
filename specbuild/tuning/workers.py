"""The processes that work on a study: which of them are alive, and who takes over the trials of those that are not.

Each holds a lock in the folder of the study as long as it lives. A trial names the lock of its process, so that another
process that shares the folder can tell at once that nobody works on it any more. A process with another folder cannot
see the lock: in any storage other than the database in the folder, Optuna's heartbeats decide.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from specbuild.runs.lock import RunLock, writer
from specbuild.tuning.folder import StudyFolder
from specbuild.tuning.storage import BEAT, StoredStudy

if TYPE_CHECKING:
    import optuna

WORKER = "worker"
"""The attribute of a trial that names its process."""
_PATIENCE = 120.0
"""Seconds to wait for another process that is about to begin a trial."""


class Worker:
    """This process, as one of those that work on a study; its lock is held within the block."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder, self._id = folder, folder.record().id
        self._token = secrets.token_hex(8)
        self._place = folder.workers / self._token
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder.workers.mkdir(exist_ok=True)
        with self.alone():  # else another process could sweep the place away before it is locked
            self._place.mkdir()
            self._stack.enter_context(RunLock(self._place))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        shutil.rmtree(self._place, ignore_errors=True)

    @property
    def record(self) -> dict[str, str]:
        """What a trial says of its process."""
        return {"folder": self._id, "token": self._token}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes that share the folder from beginning a trial, or taking one over, within the block."""
        with RunLock(self._folder.workers, _PATIENCE):
            yield

    def abandoned(self, trial: optuna.trial.FrozenTrial, stored: StoredStudy) -> bool:
        """Return whether the process of a running trial is gone, as far as this folder tells; call it `alone`."""
        record: Mapping[str, str] | None = trial.user_attrs.get(WORKER)
        if record is None:  # its process is about to say so, or ended before
            if not stored.own:
                _begin_to_wait(stored, trial)
            return stored.own
        if record["folder"] != self._id:
            return False
        return record["token"] == self._token or writer(self._folder.workers / record["token"]) is None

    def sweep(self) -> None:
        """Remove the locks of processes that are gone; call it `alone`."""
        for place in self._folder.workers.iterdir():
            if place.is_dir() and place != self._place and writer(place) is None:
                shutil.rmtree(place, ignore_errors=True)


def _begin_to_wait(stored: StoredStudy, trial: optuna.trial.FrozenTrial) -> None:
    """Record one heartbeat for a trial's process: if the process is gone and sends none, the trial is given up.

    Otherwise a trial whose process ended before its first heartbeat would count as running forever.
    """
    id = stored.id_of(trial.number)
    with suppress(given_up()):
        stored.storage.record_heartbeat(id)
        stored.storage.set_trial_user_attr(id, WORKER, {"folder": "", "token": ""})


def given_up() -> type[Exception]:
    """Return the error for a trial that another process has given up for lack of heartbeats."""
    import optuna

    error: type[Exception] = optuna.exceptions.UpdateFinishedTrialError
    return error


class Heartbeat:
    """Sends heartbeats of a trial to the storage within its block, unless the locks of the folder suffice."""

    def __init__(self, stored: StoredStudy, trial: int) -> None:
        self._storage, self._beats = stored.storage, not stored.own
        self._id, self._over = stored.id_of(trial), threading.Event()
        self._thread = threading.Thread(target=self._beat, name="trial heartbeat", daemon=True)

    def __enter__(self) -> Self:
        if self._beats:
            self._storage.record_heartbeat(self._id)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._beats:
            self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with suppress(Exception):  # a storage that is down for a moment: the next beat may reach it
                self._storage.record_heartbeat(self._id)
