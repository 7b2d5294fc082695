"""A Weights & Biases run. Needs `specbuild[wandb]`."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from specbuild.training.loggers.base import Beginning, Ending, RunLogger, finite


class WandbLogger(RunLogger):
    """The resolved spec as configuration, curves by epoch, a table of scores, and the files of the run."""

    name = "wandb"

    def begin(self, beginning: Beginning, record: Callable[[dict[str, str]], None]) -> None:
        import wandb

        self._wandb = wandb
        identity = dict(beginning.known)
        if not identity:
            identity = {"run": uuid.uuid4().hex[:12]}
            record(identity)
        self._run: Any = wandb.init(
            project=self.settings.project or beginning.name,
            entity=self.settings.entity,
            mode=self.settings.mode,
            name=beginning.title,
            id=identity["run"],
            resume="allow",
            dir=str(beginning.folder),
            config=dict(beginning.parameters),
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True),
        )
        self._run.define_metric("*", step_metric="epoch")

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self._run.log({"epoch": number, **finite(values)}, step=number, commit=True)

    def end(self, ending: Ending) -> None:
        overall = {f"test/{score.name}": score.value for score in ending.scores if not score.lead}
        self._run.summary.update(overall)
        if ending.scores:
            rows = [[score.name, score.lead or None, score.value] for score in ending.scores]
            self._run.log({"test scores": self._wandb.Table(["score", "lead", "value"], rows)})
        pictures = [path for path in ending.files if path.suffix == ".png"]
        if pictures:
            self._run.log({f"pictures/{path.stem}": self._wandb.Image(str(path)) for path in pictures})
        for path in ending.files:
            copy = Path(self._run.dir) / path.name  # of a file elsewhere, wandb would make a link
            shutil.copyfile(path, copy)
            self._run.save(str(copy), base_path=self._run.dir, policy="now")
        self._run.finish(exit_code=0 if ending.status == "finished" else 1)
