"""Event files for TensorBoard, written with the package `tensorboard` alone: no TensorFlow, on any backend."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from specbuild.training.loggers.base import Beginning, Ending, RunLogger, finite

FOLDER = "tensorboard"
"""The folder of event files in a run folder."""


class TensorBoardLogger(RunLogger):
    """Curves by epoch, scores by lead time, pictures, and the resolved spec as text."""

    name = "tensorboard"
    _file: BinaryIO

    def begin(self, beginning: Beginning, record: Callable[[dict[str, str]], None]) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._events, self._summaries = event_pb2, summary_pb2
        folder = beginning.folder / FOLDER
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns() // 1000:020d}.{socket.gethostname()}.{os.getpid()}"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(0, file_version="brain.Event:2")
        if beginning.known:
            # What an interrupted run has reported of epochs that are trained again is dropped.
            session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(beginning.epoch + 1, session_log=session)
        else:
            self._text("spec", f"```yaml\n{beginning.spec}\n```")
            rows = "".join(f"| {name} | {_cell(value)} |\n" for name, value in beginning.parameters.items())
            self._text("parameters", f"| parameter | value |\n|---|---|\n{rows}")
            record({"folder": FOLDER})
        self._file.flush()

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self._scalars(number, {f"epoch/{name}": value for name, value in values.items()})

    def end(self, ending: Ending) -> None:
        for score in ending.scores:
            overall = f"test/{score.name}"
            tag, step = (f"{overall} by lead time", score.lead) if score.lead else (overall, 0)
            self._scalars(step, {tag: score.value})
        for path in ending.files:
            if path.suffix == ".png":
                self._picture(path)
        self._file.close()

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        summary = self._summaries.Summary
        scalars = [summary.Value(tag=name, simple_value=value) for name, value in finite(values).items()]
        self._write(step, summary=summary(value=scalars))
        self._file.flush()

    def _text(self, tag: str, text: str) -> None:
        from tensorboard.plugins.text.summary import text_pb

        self._write(0, summary=text_pb(tag, text))

    def _picture(self, path: Path) -> None:
        with Image.open(path) as image:
            width, height = image.size
        summary = self._summaries.Summary
        picture = summary.Image(height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes())
        self._write(0, summary=summary(value=[summary.Value(tag=f"pictures/{path.stem}", image=picture)]))

    def _write(self, step: int, **content: Any) -> None:
        event = self._events.Event(wall_time=time.time(), step=step, **content)
        self._records.write(event.SerializeToString())


def _cell(value: Any) -> str:
    """Return a value for a table in Markdown."""
    return json.dumps(value, ensure_ascii=False, default=str).replace("|", "\\|")
