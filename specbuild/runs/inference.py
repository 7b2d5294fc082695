"""A trained run, ready to forecast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.data import Dataset, open_data
from specbuild.data.arrays import Floats
from specbuild.data.samples.clips import ClipDataset, open_clips
from specbuild.data.samples.dataset import timed
from specbuild.data.samples.layout import sample_layout
from specbuild.data.samples.splits import open_splits
from specbuild.data.sources import open_source
from specbuild.data.transforms.pipeline import Transform
from specbuild.document import RunError
from specbuild.facade import build_graph, import_plugins
from specbuild.graph import Graph
from specbuild.language import Spec, normalize
from specbuild.language.sections.data import DataSection
from specbuild.runs.compatibility import check_same_weights
from specbuild.runs.folder import RunFolder
from specbuild.runs.horizon import horizon_overrides


@dataclass(frozen=True)
class TrainedRun:
    """A run folder that holds a trained model. What is slow to get is made when it is first used."""

    folder: RunFolder
    spec: Spec
    overrides: tuple[str, ...] = ()
    """What was changed of the spec that the run was trained with."""

    @classmethod
    def open(
        cls,
        path: str | Path,
        plugins: Iterable[str] = (),
        *,
        overrides: Mapping[str, Any] | Iterable[str] = (),
        horizon: int | None = None,
    ) -> TrainedRun:
        """The run in a folder, whose custom layers the modules `plugins` register.

        Args:
            path: the run folder.
            plugins: modules to import.
            overrides: changes of its spec that leave the weights as they are, such as `vars.horizon=30`.
            horizon: frames to forecast, where not as many as in training.

        Raises:
            SpecError: it is not a run folder, or an override does not fit.
            RunError: no epoch of it was finished, so there is no model; the overrides change its weights.
        """
        import_plugins(plugins)
        folder = RunFolder.open(path)
        if not folder.model_file.exists() or folder.reached == 0:
            why = "no epoch was finished" if not folder.reached else f"training stopped after epoch {folder.reached}"
            raise RunError(
                f"{folder.path} has no trained model: {why}",
                help=f"finish its training with: specbuild train --resume {folder.path}",
            )
        changes = normalize(overrides)
        if horizon is not None:
            changes = (*horizon_overrides(folder.load_spec(), horizon), *changes)
        return cls(folder, folder.load_spec(changes), changes)

    @property
    def note(self) -> str:
        """That training did not come to its end, where it did not; else empty."""
        reached, epochs = self.folder.reached, self.spec.train.epochs
        if self.folder.manifest().get("status") == "finished" or reached in (None, epochs):
            return ""
        return f"training of {self.folder.path} was interrupted after epoch {reached} of {epochs}"

    @property
    def data(self) -> DataSection:
        assert self.spec.data is not None  # train makes no run folder without
        return self.spec.data

    @cached_property
    def graph(self) -> Graph:
        graph = build_graph(self.spec)
        if self.overrides:
            check_same_weights(build_graph(self.folder.load_spec()), graph, self.overrides)
        return graph

    @cached_property
    def transform(self) -> dict[str, Any]:
        """The state of the transform that the model was trained with."""
        return self.folder.transform()

    @cached_property
    def dataset(self) -> Dataset:
        """The data that the spec names. With overrides the splits are those of the training, in other windows.

        Raises:
            SpecError: it is no longer there, or no longer fits.
        """
        if not self.overrides:
            return open_data(self.spec, self.graph, transform=self.transform)
        source = open_source(self.spec)
        layout = sample_layout(self.spec, self.data, self.graph, source)
        trained = self.folder.load_spec()
        splits = open_splits(trained, trained.require_data(), source)
        windows = {name: replace(split, section=self.data.windows) for name, split in splits.items()}
        return Dataset(timed(self.data, source), source, windows, Transform.from_state(self.transform), layout)

    @cached_property
    def clips(self) -> ClipDataset:
        """The clips that the spec of a classifier names.

        Raises:
            SpecError: they are no longer there, or no longer fit.
        """
        return open_clips(self.spec, self.graph, transform=self.transform)

    @cached_property
    def predict(self) -> Callable[[Floats], Floats]:
        """Maps a batch of inputs, as the model reads them, to its outputs. Loads the framework."""
        from specbuild.model.backend import jit_compile, keras
        from specbuild.model.build import build
        from specbuild.runs.checkpoint import load_weights

        model = build(self.graph, self.folder.manifest().get("precision", "float32"))
        model.jit_compile = bool(jit_compile())
        load_weights(model, self.folder.model_file)
        size = self.spec.train.batch_size

        def predict(x: Floats) -> Floats:
            parts = [model.predict_on_batch(x[first : first + size]) for first in range(0, len(x), size)]
            return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts]).astype(np.float32)

        return predict
