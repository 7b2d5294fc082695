"""Processes that train one model together, on one host or on several.

JAX sums what each process computes from its own rows of every batch. Everything else they exchange goes through the
key-value store of JAX's coordination service, which runs in process 0: what process 0 decides for all, what must be the
same in all, and why one of them ends. Each writes a heartbeat there every few seconds; a thread in each watches, so
that all end when one does, whatever they are waiting for.
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from specbuild.document import RunError, SpecbuildError, SpecError
from specbuild.document.extras import install_framework
from specbuild.runs.framework import prefer
from specbuild.runs.processes import host
from specbuild.training.interrupt import Interrupted, Signals
from specbuild.training.launchers import Place

if TYPE_CHECKING:
    from specbuild.training.coordination import Link

Value = TypeVar("Value")

JOINING = 300
"""Seconds that the processes wait for each other at the start."""
BEAT = 4.0
"""Seconds between two heartbeats."""
SILENT = 36.0
"""Seconds without a heartbeat after which a process counts as gone."""
SUSPECT = 14.0
"""The same once a sum over processes has failed."""
FALLEN_SILENT = 120
"""Seconds without a heartbeat after which JAX itself ends the processes, without reporting an error."""
GRACE = 8.0
"""Seconds that this process has to end by itself once another is gone; it may be waiting for a sum that never comes."""


class Processes:
    """The processes that train together; this class stands for a single process."""

    count = 1
    """How many there are."""
    index = 0
    """The number of this one."""

    @property
    def writes(self) -> bool:
        """Whether this process writes the run folder and the terminal: number 0."""
        return self.index == 0

    @contextmanager
    def together(self, signals: Signals) -> Iterator[None]:  # noqa: ARG002 - several need them
        """Run the block together with the other processes, and end it if one of them fails or is interrupted.

        Raises:
            RunError: another process failed.
            Interrupted: a signal ended another process.
        """
        yield

    def of_first(self, name: str, value: Callable[[], Value]) -> Value:  # noqa: ARG002 - several have to find it
        """Return the value that process 0 gives to a name, once in a run; the others do not compute it."""
        return value()

    def compare(self, name: str, facts: Mapping[str, Any], help: Mapping[str, str]) -> None:
        """Refuse to go on where facts differ between processes.

        Args:
            name: of the comparison, once in a run.
            facts: what must be the same in all of them, by what it is in words. Only text is shown.
            help: what to do where one of them differs, by the same words; of another, the entry "".

        Raises:
            RunError: naming the process that differs from process 0, and in what.
        """

    def stop_asked(self, signals: Signals, *, now: bool = False) -> bool:  # noqa: ARG002 - several have to wait
        """Return whether a signal has come to one of the processes: the same answer in all, which ask equally often.

        Several ask once after every step, when the loss of the step before is known, and learn of a signal two steps
        later, so as not to wait for each other; with `now` they wait.
        """
        return signals.asked is not None

    def at_once(self, end: Callable[[str, int], None]) -> None:
        """Call `end` before this process is ended from another thread: with the reason, and the number of a signal."""

    def because(self, error: Exception) -> Exception:
        """Return the reason of an error inside a framework, where it is that another process is gone."""
        return error


ALONE = Processes()
GONE = "ended without an error message, or can no longer be reached"
"""What is said of a process that was killed, or whose host was."""


@dataclass(frozen=True, slots=True)
class _End:
    """How a process ended: what it says of it, and the number of the signal that ended it, or 0."""

    process: int
    words: str
    number: int = 0

    def error(self, name: str) -> BaseException:
        """Return what the other processes raise."""
        if self.number:
            return Interrupted(f"{name} was interrupted", self.number)
        return RunError(
            f"{name} {self.words}",
            help="all processes of a run end together; fix the cause, then start all of them again with --resume",
        )


class _Store:
    """The messages that processes exchange, by keys; `client` is that of JAX's coordination service."""

    def __init__(self, client: Any, run: int) -> None:
        self._client, self._prefix = client, f"specbuild/{run}"

    def put(self, key: str, value: Any) -> None:
        """Write a value, which may replace an earlier one."""
        self._client.key_value_set(f"{self._prefix}/{key}", json.dumps(value), allow_overwrite=True)

    def under(self, key: str) -> dict[int, Any]:
        """Return what the processes wrote under a key, by their numbers."""
        entries = self._client.key_value_dir_get(f"{self._prefix}/{key}/")
        return {int(name.rsplit("/", 1)[1]): json.loads(value) for name, value in entries}


class Together(Processes):
    """Several processes, joined by JAX."""

    _runs = 0

    def __init__(self, link: Link) -> None:
        self.count, self.index = link.place.count, link.place.index
        Together._runs += 1
        self._link, self._store = link, _Store(link.client, Together._runs)
        self._names: dict[int, str] = {}
        self._ended: _End | None = None
        """How another process ended."""
        self._over, self._ending = threading.Event(), threading.Lock()
        self._suspicious = False
        self._asked = 0
        """How often `stop_asked` was called."""
        self._said = self._agreed = False
        """Whether this process has told the others of a signal; whether all end now, and all know it."""
        self._finish: Callable[[str, int], None] | None = None

    @contextmanager
    def together(self, signals: Signals) -> Iterator[None]:
        from specbuild.model.backend import together
        from specbuild.training.coordination import leave

        if self._link.relay is not None:
            self._link.relay.lost = lambda: self._end_with(_End(0, GONE))
        threading.Thread(target=self._watch, name="processes", daemon=True).start()
        try:
            self._names = self._gathered("host", host(), JOINING)
            with together(self.count):
                yield
            self._gathered("end", True)
        except BaseException as error:
            if self._agreed:
                self._gathered("end", True)
                raise
            if self._ended is None:
                interrupt = isinstance(error, KeyboardInterrupt)
                words = "was interrupted" if interrupt else f"failed: {_words(error)}"
                self._tell(_End(self.index, words, signals.number if interrupt else 0))
            leave()
            if self._ended is not None and not isinstance(error, SpecbuildError):
                raise self._ended.error(self._name(self._ended.process)) from error
            raise
        finally:
            self._over.set()
            if self._link.relay is not None:
                self._link.relay.lost = None

    def of_first(self, name: str, value: Callable[[], Value]) -> Value:
        if self.writes:
            own = value()
            self._store.put(f"first/{name}/0", own)
            return own
        return self._awaited(f"first/{name}", 1)[0]  # type: ignore[no-any-return]

    def compare(self, name: str, facts: Mapping[str, Any], help: Mapping[str, str]) -> None:
        every = self._gathered(f"facts/{name}", dict(facts))
        for index, theirs in sorted(every.items()):
            for fact in facts:
                if theirs.get(fact) != every[0].get(fact):
                    first, other = every[0].get(fact), theirs.get(fact)
                    self._agreed = True
                    differ = f": {other}, not {first}" if isinstance(other, str) and isinstance(first, str) else ""
                    raise RunError(
                        f"{self._name(index)} differs from {self._name(0)} in the {fact}{differ}",
                        help=help.get(fact, help[""]),
                    )

    def stop_asked(self, signals: Signals, *, now: bool = False) -> bool:
        # Each has read the loss of the step before, to which all contributed. So none is more than one step ahead, and
        # what one says after a step is known to all after the next but one, where all stop.
        self._asked += 1
        mine = signals.number if signals.asked is not None else 0
        if now:
            numbers = set(self._gathered(f"asked/{self._asked}", mine).values())
        else:
            if mine and not self._said:
                self._said = True
                self._store.put(f"stop/{self.index}", [self._asked + 2, mine])
            numbers = {number for when, number in self._store.under("stop").values() if when <= self._asked}
        if number := max(numbers, default=0):
            self._agreed = True
            signals.asked = signals.asked or signal.Signals(number)
        return self._agreed

    def at_once(self, end: Callable[[str, int], None]) -> None:
        self._finish = end

    def because(self, error: Exception) -> Exception:
        self._suspicious = True
        until = time.monotonic() + SUSPECT + 2 * BEAT
        while self._ended is None and time.monotonic() < until:
            time.sleep(0.1)
        ended = None if self._ended is None else self._ended.error(self._name(self._ended.process))
        return ended if isinstance(ended, Exception) else error

    def _name(self, index: int) -> str:
        where = f" on {self._names[index]}" if index in self._names else ""
        return f"process {index}{where}"

    def _gathered(self, key: str, value: Any, patience: float = math.inf) -> dict[int, Any]:
        """Return what all processes say under a key, once in a run, when the last has said it."""
        self._store.put(f"{key}/{self.index}", value)
        return self._awaited(key, self.count, patience)

    def _awaited(self, key: str, count: int, patience: float = math.inf) -> dict[int, Any]:
        pause, until = 0.02, time.monotonic() + patience
        while len(values := self._store.under(key)) < count:
            if self._ended is not None:
                raise self._ended.error(self._name(self._ended.process))
            if time.monotonic() > until:
                raise RunError(
                    f"only {len(values)} of {count} processes began to train within {patience:.0f} s",
                    help="start all of them, with the same command",
                )
            time.sleep(pause)
            pause = min(2 * pause, 1.0)
        return values

    def _tell(self, end: _End) -> None:
        """Say how this process ends. Process 0 stays until the others have read it, which they could not afterwards."""
        with suppress(Exception):
            self._store.put(f"ended/{self.index}", [end.words, end.number])
            until = time.monotonic() + 2 * BEAT
            while self.writes and len(self._store.under("seen")) < self.count - 1 and time.monotonic() < until:
                time.sleep(0.1)

    def _watch(self) -> None:
        """Send heartbeats, and watch for those of the others."""
        heard: dict[int, tuple[Any, float]] = {}
        beats = 0
        while not self._over.wait(BEAT):
            beats += 1
            try:
                self._store.put(f"beat/{self.index}", beats)
                ended = [_End(index, *end) for index, end in self._store.under("ended").items() if index != self.index]
                signs = self._store.under("beat") if self.writes else {}
            except Exception:  # whatever the store raises without process 0, which runs it
                return self._end_with(_End(0, GONE))
            now = time.monotonic()
            for index in range(1, self.count if self.writes else 0):
                sign = signs.get(index)
                if index not in heard or heard[index][0] != sign:
                    heard[index] = sign, now
                elif now - heard[index][1] > (SUSPECT if self._suspicious else SILENT):
                    ended.append(_End(index, GONE))
            if ended:
                return self._end_with(ended[0])
        return None

    def _end_with(self, end: _End) -> None:
        """End this process because another did; from this thread if it does not do so itself."""
        with self._ending:
            if self._ended is not None or self._over.is_set():
                return
            self._ended = end
        with suppress(Exception):
            if self.writes:  # which alone knows of one that fell silent
                self._store.put(f"ended/{end.process}", [end.words, end.number])
            self._store.put(f"seen/{self.index}", True)
        if self._over.wait(GRACE):
            return
        error = end.error(self._name(end.process))
        with suppress(Exception):
            if self._finish is not None:
                self._finish(str(error).splitlines()[0], end.number)
        with suppress(OSError):
            os.write(2, f"error: {error}\n".encode())
        os._exit(128 + end.number if end.number else 1)


def joined(place: Place | None) -> Processes:
    """Join the other processes, before the framework looks for its devices; alone, do nothing.

    Raises:
        RunError: Keras does not run on JAX; the others did not come.
    """
    if place is None:
        return ALONE
    prefer("jax")
    from specbuild.model.backend import backend_name

    if backend_name() != "jax":
        raise RunError(
            f"this is process {place.index} of {place.count}, and several train together only on JAX; Keras runs on "
            f"{backend_name()} here",
            help=f"install JAX with {install_framework('jax')}, and set KERAS_BACKEND=jax for all processes; to train "
            "in each process by itself, give --processes 1",
        )
    from specbuild.training.coordination import join

    return Together(join(place, JOINING, FALLEN_SILENT))


def _words(error: BaseException) -> str:
    first = error.diagnostics[0] if isinstance(error, SpecError) else error
    return " ".join(str(getattr(first, "message", error)).split()) or type(error).__name__
