"""A trained run, opened for use: its data, its model and its horizon."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from specbuild.catalog.optimizers import averages_weights
from specbuild.data import Dataset
from specbuild.data.feeds.opened import Feeds, restored
from specbuild.data.samples.dataset import timed
from specbuild.data.samples.layout import SampleLayout
from specbuild.data.samples.opening import fed
from specbuild.data.samples.splits import open_splits
from specbuild.data.sources import FrameSource, open_source
from specbuild.data.sources.base import Coordinate
from specbuild.data.transforms.pipeline import Transform
from specbuild.data.units import converted
from specbuild.document import ArgumentError, Node, RunError, Scalar, Sequence, SpecError
from specbuild.document import Mapping as MappingNode
from specbuild.facade import build_graph, import_plugins
from specbuild.graph import Graph
from specbuild.language import Spec, normalize
from specbuild.language.overrides import is_under
from specbuild.language.sections.data import DataSection
from specbuild.runs.checkpoint import damage
from specbuild.runs.compatibility import check_same_weights
from specbuild.runs.folder import RunFolder
from specbuild.runs.frames import TrainingFrames
from specbuild.runs.framework import prefer
from specbuild.runs.likeness import check_interval, same_place
from specbuild.runs.predictor import predictor
from specbuild.runs.provenance import changed_data, data_difference, perhaps_moved

DATA_SOURCE = "data.source"
"""The path of where the data are, in overrides."""
INPUT_SOURCES = "data.inputs"
"""The path of where what other inputs read is."""
RandomPredict: TypeAlias = Callable[[tuple[int, ...]], Callable[[Any], Any]]
"""From a seed to a function from inputs to outputs, whose random numbers follow from the seed."""
SCORED_DATA = (DATA_SOURCE, INPUT_SOURCES, "data.split")
"""The paths of what says which windows are scored."""


@dataclass(frozen=True)
class TrainedRun:
    """A run folder that holds a trained model, opened for use. Data and model are loaded when they are first used."""

    folder: RunFolder
    spec: Spec
    overrides: tuple[str, ...] = ()
    """What was changed of the spec that the run was trained with."""
    horizon: int | None = None
    """The number of frames to forecast that was asked for, which the first of the overrides sets."""
    given: tuple[str, ...] = ()
    """The overrides as they were asked for."""
    precision: str | None = None
    """The Keras dtype policy that the model computes in; None: that of the training."""

    @classmethod
    def open(
        cls,
        path: str | Path,
        plugins: Iterable[str] = (),
        *,
        overrides: Mapping[str, Any] | Iterable[str] = (),
        horizon: int | None = None,
    ) -> TrainedRun:
        """Return the run in a folder, whose custom layers the modules `plugins` register.

        Args:
            path: the run folder.
            plugins: modules to import.
            overrides: changes of its spec that leave the weights as they are, such as `vars.horizon=30`.
            horizon: frames to forecast, where not as many as in training.

        Raises:
            SpecError: it is not a run folder, or an override does not fit.
            RunError: no epoch of it was finished, so there is no model; the overrides change its weights.
        """
        folder = RunFolder.open(path)
        reached = folder.reached
        if (reached is not None and not reached.epoch) or not (folder.model_file.exists() or folder.finished):
            raise RunError(
                f"{folder.path} has no trained model: no epoch was finished",
                help=f"finish its training with: specbuild train --resume {folder.path}",
            )
        given = normalize(overrides)
        if horizon is None:
            run = cls(folder, folder.load_spec(given), given, given=given)
        else:
            frames = horizon
            spec = folder.load_spec(change=lambda document: (*horizon_overrides(document, frames), *given))
            run = cls(folder, spec, spec.overrides[len(folder.overrides) :], horizon, (f"--horizon {frames}", *given))
        named = run.spec.train.backend
        if named is not None:
            prefer(folder.backend if named == "auto" else named)
        import_plugins(plugins)
        return run

    @cached_property
    def spec_as_trained(self) -> Spec:
        """The spec without the overrides."""
        return self.folder.load_spec() if self.overrides else self.spec

    @property
    def note(self) -> str:
        """What to know of training that is not finished, or of a model that is not there; empty where all is well."""
        notes = []
        status = replace(self.folder.status(), epochs=self.spec.train.epochs)
        if status.state != "finished" and status.reached is not None and status.reached.epoch < self.spec.train.epochs:
            notes.append(f"the training of {self.folder.path} is not finished: {status.text}")
        if not self.folder.model_file.exists():
            notes.append(f"there is no model.keras yet; the weights are those after epoch {self.folder.finished}")
        return "; ".join(notes)

    @property
    def weights_file(self) -> Path:
        """model.keras, or the checkpoint of the last finished epoch where training was cut off before."""
        model = self.folder.model_file
        return model if model.exists() else self.folder.checkpoint(self.folder.finished)

    @cached_property
    def data(self) -> DataSection:
        """The data section, with the time between the frames of the training where the spec leaves it out."""
        data = self.spec.data
        assert data is not None  # train makes no run folder without
        interval = data.interval or self.training_frames.interval
        return data.model_copy(update={"interval": interval})

    @cached_property
    def graph(self) -> Graph:
        try:
            graph = build_graph(self.spec)
        except SpecError as error:
            if self.horizon is not None and [each.path for each in error.diagnostics] == ["data.windows.future"]:
                raise self._does_not_follow() from error
            raise
        if self.overrides:
            check_same_weights(build_graph(self.spec_as_trained), graph, self.given)
        return graph

    def _does_not_follow(self) -> ArgumentError:
        """Return the error of a horizon that the length of the model's output does not depend on."""
        trained = self.spec_as_trained.require_data().windows.future
        changed = self.overrides[0].partition("=")[0]
        advice = "let the length of the model's output depend on it"
        if not changed.startswith("vars."):
            advice = "write it as a variable, on which the length of the model's output depends as well"
        return ArgumentError(
            f"the model forecasts {trained} frame{'s' if trained != 1 else ''}, and --horizon {self.horizon} does not "
            "change that",
            help=f"--horizon sets {changed}: {advice}",
        )

    @cached_property
    def data_change(self) -> str:
        """How the data differ from those of the training, in words; empty where they do not."""
        return self.data_change_besides()

    def data_change_besides(self, replaced: Collection[str] = ()) -> str:
        """How the data differ from those of the training, apart from the files of the inputs named by `replaced`."""
        return data_difference(self.spec, self.folder.manifest().get("data", []), replaced)

    @cached_property
    def samples_of_training(self) -> dict[str, Any]:
        """What run.json records of the samples; empty where it records nothing."""
        samples: dict[str, Any] = self.folder.manifest().get("samples") or {}
        return samples

    @property
    def other_data(self) -> str:
        """The name of data that were asked for in place of those of the training; empty where these are read.

        Raises:
            SpecError: the data are others than those of the training, and were not asked for.
        """
        if not self.data_change:
            return ""
        if not any(is_under(override, DATA_SOURCE, INPUT_SOURCES) for override in self.given):
            raise changed_data(
                self.spec,
                self.data_change,
                "put the old data back, or score these as other data, in files of their own: specbuild evaluate "
                f"{self.folder.path} --set data.source.path={self.data.source.path}",
            )
        given = [str(override).partition("=")[2] for override in self.given if is_under(override, INPUT_SOURCES)]
        stems = [Path(path).stem for path in (self.data.source.path, *given)]
        return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(stems)).strip("-.") or "other"

    @cached_property
    def transform(self) -> dict[str, Any]:
        """The state of the transform that the model was trained with."""
        return self.folder.transform()

    @cached_property
    def training_frames(self) -> TrainingFrames:
        """What is known of the frames that the model was trained on."""
        return self.folder.training_frames()

    @cached_property
    def dataset(self) -> Dataset:
        """The data that the spec names. With overrides the splits are those of training, in other windows.

        Raises:
            SpecError: it is no longer there, or no longer fits.
        """
        with perhaps_moved(self.spec):
            dataset = self.dataset_of(self.opened(self.spec))
        spec = self._spec_of_splits
        splits = open_splits(spec, spec.require_data(), dataset.source)
        windows = {name: replace(split, section=self.data.windows) for name, split in splits.items()}
        return replace(dataset, splits=windows)

    @property
    def _spec_of_splits(self) -> Spec:
        """The spec as trained, with the splits that the overrides set: without those that follow from a horizon."""
        asked = [override for override in self.given if is_under(override, *SCORED_DATA)]
        return self.folder.load_spec(asked) if asked else self.spec_as_trained

    def opened(self, spec: Spec) -> FrameSource:
        """Return the frames that a spec names, in the units of the training.

        Raises:
            SpecError: they are gone, or are not what the spec says.
            ArgumentError: they are in units that cannot be converted, or further apart than those of the training.
        """
        data = spec.require_data()
        source = open_source(replace(spec, data=data.model_copy(update={"interval": None})))
        check_interval(source, self.data.interval)
        return converted(source, self._units(data), rescaled=data.scale is not None or data.offset is not None)

    def _units(self, data: DataSection) -> str | dict[str, str]:
        """Return the units of the file of the training: by its own words, or by those of a spec that scales nothing."""
        stated: str | dict[str, str] = self.samples_of_training.get("units") or ""
        return stated or (data.units if data.scale is None and data.offset is None else "")

    def dataset_of(self, source: FrameSource) -> Dataset:
        """Return frames as a data set without splits, with the transform of the run.

        Raises:
            SpecError: they do not fit the model.
            RunError: the saved transform is not that of the spec.
        """
        feeds, layout = self._fed(source)
        transform = Transform.from_state(self.transform)
        transform.check_fits(self.data.transform, source.channels)
        pixels = self.training_frames.coverage
        known = None if pixels is None else pixels.unpack()
        if known is not None and not same_place(source, self.training_frames):
            known = known.elsewhere()
        return Dataset(timed(self.data, source), source, {}, transform, layout, known, feeds)

    def _fed(self, source: FrameSource) -> tuple[Feeds, SampleLayout]:
        """Return what the inputs read, and the layout of samples; for frames in memory what was opened before.

        Frames without coordinates lie on the grid of the training if they have its size.
        """
        metadata, axes = source.metadata, self.training_frames.space
        if not self.data.inputs or any(letter in metadata.coordinates for letter in metadata.space):
            feeds, layout = fed(self.spec, self.graph, source)
            return restored(feeds, self.transform), layout
        key = (source.space, source.channels, source.times(0) is None)
        if key not in self._opened:
            coordinates = {
                letter: Coordinate(axes[letter].name, np.asarray(axes[letter].values), axes[letter].units)
                for letter, length in zip(metadata.space, source.space, strict=True)
                if letter in axes and len(axes[letter].values) == length
            }
            placed = replace(source, metadata=replace(metadata, coordinates={**metadata.coordinates, **coordinates}))
            feeds, layout = fed(self.spec, self.graph, placed)
            self._opened[key] = restored(feeds, self.transform), layout
        return self._opened[key]

    @cached_property
    def _opened(self) -> dict[object, tuple[Feeds, SampleLayout]]:
        return {}

    def _check_model_file(self) -> None:
        if problem := damage(self.weights_file):
            raise RunError(
                f"the model {self.weights_file} is damaged: {problem}",
                help=f"write it again from its checkpoint with: specbuild train --resume {self.folder.path}",
            )

    @cached_property
    def predict(self) -> Callable[[Any], Any]:
        """The function from a batch of inputs, as the model reads them, to its outputs. Loads the framework.

        The batch is an array or, with `data.inputs`, a dict of arrays by the name of the input; what is returned is an
        array or, with `data.targets`, a dict of arrays by the name of the output.

        Raises:
            RunError: the file of the model is damaged.
        """
        return predictor(self.load_model(), self.spec.batch_size, self._outputs)

    @property
    def _outputs(self) -> list[str]:
        """The outputs that `data.targets` names, as the model gives them."""
        return [output.name for output in self.graph.outputs] if self.data.targets else []

    @cached_property
    def random_predict(self) -> RandomPredict:
        """What predicts with the dropout and the noise of training. Loads the framework.

        Raises:
            RunError: the file of the model is damaged, or nothing in the model is random.
        """
        from specbuild.runs.noise import SeededNoise

        model = self.load_model()
        noise, predict = SeededNoise(model), predictor(model, self.spec.batch_size, self._outputs)

        def seeded(seed: tuple[int, ...]) -> Callable[[Any], Any]:
            noise.seed(seed)
            return predict

        return seeded

    def load_model(self, precision: str | None = None) -> Any:
        """Return a new `keras.Model` with the weights of the run.

        Args:
            precision: a Keras dtype policy; None: that of `precision`.

        Raises:
            RunError: the file of the model is damaged.
        """
        self._check_model_file()
        from specbuild.model.backend import jit_compile
        from specbuild.model.build import build
        from specbuild.runs.checkpoint import load_weights

        model = build(self.graph, precision or self.precision or self.folder.manifest()["precision"])
        optimizer = self.spec.train.optimizer
        if not self.folder.model_file.exists() and averages_weights(optimizer):
            from specbuild.runs.optimizer import load_averages

            load_averages(model, optimizer, self.weights_file)
        else:
            load_weights(model, self.weights_file)
        model.jit_compile = bool(jit_compile())
        return model


def horizon_overrides(document: MappingNode, frames: int) -> tuple[str, ...]:
    """Return overrides with which the model of a spec, and its windows, forecast `frames` frames.

    Where `data.windows.future` is a variable, as in `$future`, it is that variable, on which the model depends as well.
    Otherwise it is the number itself and the `horizon` of every node that has one. The splits are dropped: a longer
    window may not fit into them, and only the end of the data is read. So are weights of lead times, which only
    training uses.

    Args:
        document: the spec before its variables are resolved.
    """
    variable = _variable(_at(document, "data", "windows", "future"))
    if _at(document, "vars", variable) is not None:
        overrides = [f"vars.{variable}={frames}"]
    else:
        overrides = [f"data.windows.future={frames}", *(f"{path}.horizon={frames}" for path in _horizons(document))]
    split = _at(document, "data", "split")
    split = _at(document, "vars", _variable(split)) or split
    if isinstance(split, MappingNode):
        overrides.append("data.split.train=1")
        overrides += [f"data.split.{key}=null" for key in split.names() if key in ("validation", "test", "embargo")]
    if _at(document, "train", "lead_weights") is not None:
        overrides.append("train.lead_weights=null")
    return tuple(overrides)


def _variable(node: Node | None) -> str:
    """Return the name of the variable that a value is; empty for anything else, as for an expression."""
    text = str(node.value) if isinstance(node, Scalar) else ""
    return text[1:] if text.startswith("$") and text[1:].isidentifier() else ""


def _horizons(document: MappingNode) -> Iterator[str]:
    """The paths of nodes that have a horizon of their own."""
    layers = document.get("layers")
    for node in layers.items if isinstance(layers, Sequence) else ():
        identity = _at(node, "id")
        if isinstance(node, MappingNode) and isinstance(identity, Scalar):
            for form in node.names():
                if _at(node, form, "horizon") is not None:
                    yield f"layers.{identity.value}.{form}"


def _at(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = node.get(key) if isinstance(node, MappingNode) else None
    return node
