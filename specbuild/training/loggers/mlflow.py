"""An MLflow run. Needs `specbuild[mlflow]`."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from specbuild.training.loggers.base import Beginning, Ending, RunLogger, finite

Item = TypeVar("Item")
_STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
_BATCH = 100
"""The most parameters in one request; more metrics are allowed."""
_KEY, _VALUE = 250, 6000
"""The most characters in a name, and in the value of a parameter."""


class MLflowLogger(RunLogger):
    """Parameters, a metric for each value of an epoch, scores by lead time, and the files of the run as artifacts."""

    name = "mlflow"

    def begin(self, beginning: Beginning, record: Callable[[dict[str, str]], None]) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it tells of every table that it makes
        self._client = MlflowClient(self.settings.tracking_uri)
        if run := beginning.known.get("run"):
            self._run = run
            self._client.update_run(run, status="RUNNING")
            return
        experiment = self._experiment(self.settings.experiment or beginning.name)
        created = self._client.create_run(experiment, run_name=beginning.title)
        self._run = created.info.run_id
        record({"run": self._run, "experiment": experiment})
        self._client.set_tag(self._run, "specbuild.folder", str(beginning.folder.resolve()))
        parameters = [Param(_key(name), _value(value)) for name, value in beginning.parameters.items()]
        for some in _batches(parameters):
            self._client.log_batch(self._run, params=some)

    def _experiment(self, name: str) -> str:
        """Return the id of an experiment, which another run may be creating now."""
        from mlflow.exceptions import MlflowException

        known = self._client.get_experiment_by_name(name)
        if known is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:
                known = self._client.get_experiment_by_name(name)
                if known is None:
                    raise
        return str(known.experiment_id)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self._metrics([(name, value, number) for name, value in finite(values).items()])

    def end(self, ending: Ending) -> None:
        scores = [(f"test/{score.name}{' by lead time' if score.lead else ''}", score) for score in ending.scores]
        self._metrics([(name, score.value, score.lead) for name, score in scores])
        for path in ending.files:
            self._client.log_artifact(self._run, str(path))
        self._client.set_terminated(self._run, _STATUS[ending.status])

    def _metrics(self, values: Sequence[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        for some in _batches([Metric(_key(name), value, now, step) for name, value, step in values]):
            self._client.log_batch(self._run, metrics=some)


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def _key(name: str) -> str:
    """Return a name of characters that MLflow allows."""
    plain = name.replace(">=", "at least").replace("≥", "at least")
    return re.sub(r"[^\w\-. /]", "_", plain)[:_KEY]


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
