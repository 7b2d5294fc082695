"""Initial weights from another run: `train.init_from`. Keras is imported when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.catalog import Shape, show
from specbuild.document import RunError, SpecError, did_you_mean, listed
from specbuild.document.text_table import Column, text_table
from specbuild.facade import build_graph
from specbuild.graph import Graph
from specbuild.language import Spec
from specbuild.runs.files import sha256
from specbuild.runs.folder import RunFolder

if TYPE_CHECKING:
    import numpy as np

Arrays: TypeAlias = "dict[str, np.ndarray]"
"""Weights by name, `<id of the node>/<name of the weight>`."""


@dataclass(frozen=True, slots=True)
class WeightSource:
    """The file of a model to start from, and the run that it belongs to, where it lies in a run folder."""

    spec: Spec
    """The spec that names it."""
    file: Path
    folder: RunFolder | None

    @classmethod
    def of(cls, spec: Spec) -> WeightSource | None:
        """Return what `train.init_from` names; None where it names nothing. No framework is imported.

        Raises:
            SpecError: there is no such run or file, or the run has no model.
        """
        written = spec.train.init_from
        if written is None:
            return None
        path = spec.resolve_path(written)
        if path.is_dir():
            try:
                folder = RunFolder.open(path)
            except SpecError as error:
                (fault,) = error.diagnostics
                raise _wrong(spec, fault.message, help=fault.help) from error
            if not folder.model_file.is_file():
                raise _wrong(
                    spec, f"{written} has no trained model", help="name a file, such as one of its checkpoints"
                )
            return cls(spec, folder.model_file, folder)
        if not path.is_file():
            near = [entry.name for entry in path.parent.glob("*")] if path.parent.is_dir() else []
            help = did_you_mean(path.name, near) or "it is relative to the spec's folder"
            raise _wrong(spec, f"there is no run {written}", reason=f"looked for {path.resolve()}", help=help)
        if path.suffix != ".keras":
            raise _wrong(spec, f"{written} is not a Keras model", help="name a run folder or a .keras file")
        around = (parent for parent in path.resolve().parents[:2] if (parent / "run.json").is_file())
        return cls(spec, path, next(map(RunFolder, around), None))

    def put_into(self, graph: Graph, model: Any) -> InitialWeights:
        """Give a model the weights whose names and shapes it has, and return which these are.

        Raises:
            SpecError: the file cannot be read, or the model has none of its weights.
        """
        from specbuild.model.mapping.weights import keras_weights

        weights = keras_weights(graph, model)
        arrays = self._arrays() if self.folder is not None else self._arrays_for(model, weights)
        shapes = {name: tuple(variable.shape) for name, variable in weights.items()}
        found = InitialWeights.compared(self, shapes, arrays)
        if not found.taken:
            raise self._nothing_fits(shapes, arrays)
        for name in found.taken:
            weights[name].assign(arrays[name].astype("float32"))
        return found

    def _arrays(self) -> Arrays:
        """Return the weights of the run's model, which is built from its spec."""
        from specbuild.model.backend import keras
        from specbuild.model.build import build
        from specbuild.model.mapping.weights import keras_weights
        from specbuild.runs.checkpoint import load_weights

        assert self.folder is not None
        try:
            graph = build_graph(self.folder.load_spec())
            model = build(graph)
            load_weights(model, self.file)
        except (SpecError, RunError) as error:
            why = error.message if isinstance(error, RunError) else error.diagnostics[0].message
            raise _wrong(self.spec, f"the model of {self.folder.path} cannot be read", reason=why) from error
        return {name: keras.ops.convert_to_numpy(variable) for name, variable in keras_weights(graph, model).items()}

    def _arrays_for(self, model: Any, weights: Mapping[str, Any]) -> Arrays:
        """Return the weights of a plain Keras model, under the names that the same layers have in `model`.

        A layer with weights of other shapes keeps Keras's names for them.
        """
        from specbuild.model.backend import keras
        from specbuild.model.objects import words

        try:
            stored = keras.saving.load_model(self.file, compile=False)
        except Exception as error:  # a file of Keras fails in many ways; its message is what the user needs
            raise _wrong(self.spec, f"{self.file} cannot be read", reason=words(error)) from error
        names = {id(variable): name for name, variable in weights.items()}
        ours = {layer.name: [weight for weight in layer.weights if id(weight) in names] for layer in model.layers}
        arrays: Arrays = {}
        for layer in stored.layers:
            theirs, mine = layer.weights, ours.get(layer.name, [])
            alike = [tuple(weight.shape) for weight in theirs] == [tuple(weight.shape) for weight in mine]
            plain = [f"{layer.name}/{weight.name}" for weight in theirs]
            given = [names[id(weight)] for weight in mine] if alike else plain
            arrays |= {name: keras.ops.convert_to_numpy(weight) for name, weight in zip(given, theirs, strict=True)}
        return arrays

    def _nothing_fits(self, shapes: Mapping[str, Shape], arrays: Arrays) -> SpecError:
        nodes = {name.partition("/")[0]: None for name in arrays}
        same = [
            f"{node} here has the shapes of {other} there"
            for node, mine in _by_node(shapes)
            for other, theirs in _by_node({name: array.shape for name, array in arrays.items()})
            if mine == theirs
        ]
        ours = {name.partition("/")[0]: None for name in shapes}
        return _wrong(
            self.spec,
            f"{self.spec.train.init_from} has no weight of this model",
            reason=f"weights are matched by the ids of layers: there {listed(nodes)}, here {listed(ours)}",
            help=f"give the layers the same ids: {listed(same)}"
            if same
            else "name a run of a model with the same layers",
        )


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """Which weights a model took from another, by name."""

    path: str
    """The file, as an absolute path."""
    sha256: str
    taken: tuple[str, ...]
    missing: tuple[str, ...]
    """Those that the model has and the file does not."""
    surplus: tuple[str, ...]
    """Those that the file has and the model does not."""
    other_shape: dict[str, tuple[Shape, Shape]]
    """Those whose shape in the file (first) differs from that in the model."""

    @classmethod
    def compared(cls, source: WeightSource, shapes: Mapping[str, Shape], arrays: Arrays) -> InitialWeights:
        """Compare the shapes of a model's weights with those of a file."""
        both = [name for name in shapes if name in arrays]
        return cls(
            str(source.file.resolve()),
            sha256(source.file),
            tuple(name for name in both if shapes[name] == arrays[name].shape),
            tuple(name for name in shapes if name not in arrays),
            tuple(name for name in arrays if name not in shapes),
            {name: (arrays[name].shape, shapes[name]) for name in both if shapes[name] != arrays[name].shape},
        )

    def record(self) -> dict[str, Any]:
        """Return what run.json holds of it."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "taken": list(self.taken),
            "missing": list(self.missing),
            "surplus": list(self.surplus),
            "other_shape": {name: [list(shape) for shape in pair] for name, pair in self.other_shape.items()},
        }

    def lines(self) -> list[str]:
        """Return how many weights were taken, and a table of all by layer."""
        total = len(self.taken) + len(self.missing) + len(self.other_shape)
        rows = [[node, ", ".join(names), what] for what, node, names in self._rows()]
        columns = [Column("layer"), Column("weights"), Column("from the other run")]
        return [f"weights from {self.path}: {len(self.taken)} of {total}", *text_table(columns, rows, most=118)]

    def _rows(self) -> Iterator[tuple[str, str, list[str]]]:
        kinds = {
            "taken": self.taken,
            "missing there": self.missing,
            "only there": self.surplus,
        }
        for what, names in kinds.items():
            of_node: dict[str, list[str]] = {}
            for name in names:
                node, _, weight = name.partition("/")
                of_node.setdefault(node, []).append(weight)
            yield from ((what, node, weights) for node, weights in of_node.items())
        for name, (there, here) in self.other_shape.items():
            node, _, weight = name.partition("/")
            yield f"other shape: {show(there)} there, {show(here)} here", node, [weight]


def _by_node(shapes: Mapping[str, Shape]) -> list[tuple[str, list[Shape]]]:
    """Return the shapes of the weights of each node, in their order."""
    nodes: dict[str, list[Shape]] = {}
    for name, shape in shapes.items():
        nodes.setdefault(name.partition("/")[0], []).append(tuple(shape))
    return list(nodes.items())


def _wrong(spec: Spec, message: str, reason: str = "", help: str = "") -> SpecError:
    return spec.error(("train", "init_from"), message, reason=reason, help=help, code="init-from")
