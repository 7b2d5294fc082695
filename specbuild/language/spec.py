"""The typed spec: what a document says, checked and resolved, as values that never change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard

from specbuild.catalog import Recurrent
from specbuild.document import Diagnostic, FilledIds, Mapping, Node, PathPart, Scalar, Span, SpecError, dotted, locate
from specbuild.document.html import preformatted
from specbuild.language.references import Reference, References, Rename

if TYPE_CHECKING:
    from specbuild.catalog import Layer
    from specbuild.language.sections.data import DataSection
    from specbuild.language.sections.evaluate import EvaluateSection
    from specbuild.language.sections.inputs import InputSection
    from specbuild.language.sections.train import TrainSection
    from specbuild.language.tuning import Tuning


@dataclass(frozen=True, slots=True)
class InputSpec:
    id: str
    section: InputSection
    span: Span


@dataclass(frozen=True, slots=True)
class Levels:
    """The recurrent nodes of an encoder_decoder, in the order they run. The ids are full ones."""

    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    order: Literal["mirrored", "in_order", "mapped"]
    source: str
    """The level of the encoder that gave the state."""
    fed: Span | None = None
    """Where the sequence is named that the decoder reads; None where it reads none."""


@dataclass(frozen=True, slots=True)
class AcceptedWarning:
    """An entry of `allow`: the name of a warning, and why the spec accepts it."""

    code: str
    reason: str
    span: Span


InitialState: TypeAlias = Reference | dict[str, Reference]
"""An initial state: that of a node, or its tensors by name."""
InnerStates: TypeAlias = tuple[InitialState | None, ...]
"""An initial state for each recurrent node of a body, in the order they run; None: zeros."""


@dataclass(frozen=True, slots=True)
class CarriedState:
    """A state that a recurrence carries from step to step."""

    id: str
    """The id under which the nodes of a step read it."""
    next: Reference
    """Its value after the step."""


@dataclass(frozen=True, slots=True)
class BodySpec:
    """The nodes inside an autoregressive or a recurrent node. Ids are full ones, which begin with that node's."""

    inputs: tuple[str, ...]
    """The ids of the inputs inside, in the order of the node's sources."""
    nodes: NodeSpecs
    end: Reference
    broken: frozenset[str]
    static: int = 0
    """How many of the inputs, the last ones, have no time axis: the nodes read them at every step."""
    states: tuple[CarriedState, ...] = ()
    """The states of a recurrent node, in order."""

    @property
    def is_step(self) -> bool:
        """Whether they are the step of a recurrent node, not what an autoregressive one feeds back."""
        return bool(self.states)

    @property
    def sequences(self) -> int:
        """How many of the inputs, the first ones, have a time axis."""
        return len(self.inputs) - self.static

    @property
    def recurrent(self) -> NodeSpecs:
        """The nodes with a state, in the order they run."""
        return tuple(node for node in self.nodes if isinstance(node.layer, Recurrent))

    @property
    def prefix(self) -> str:
        """The prefix of the ids."""
        return self.inputs[0].removesuffix("input")

    def name_inside(self, identity: str) -> str:
        """Return the id of a node or an input as the nodes call it, without that of the node around."""
        return identity.removeprefix(self.prefix)

    def renamed(self, rename: Rename) -> BodySpec:
        """Return the body with other ids."""
        return replace(
            self,
            inputs=tuple(map(rename, self.inputs)),
            nodes=tuple(node.renamed(rename) for node in self.nodes),
            end=self.end.renamed(rename),
            broken=frozenset(map(rename, self.broken)),
            states=tuple(CarriedState(rename(state.id), state.next.renamed(rename)) for state in self.states),
        )

    def under(self, old: str, new: str) -> BodySpec:
        """Return the body of a node that is now called `new`."""

        def renamed(name: str) -> str:
            return f"{new}_{name.removeprefix(f'{old}_')}" if name.startswith(f"{old}_") else name

        return self.renamed(renamed)


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """An item of `layers:`, with its loops, defaults and variables resolved."""

    id: str
    layer: Layer
    sources: References
    at: Mapping
    """The node as written."""
    arguments: Mapping
    """The layer's arguments as written; for a wrapper those of the layer inside."""
    named: bool = False
    """Whether the id was written; a generated id cannot be referred to."""
    initial_state: InitialState | None = None
    expect: tuple[int | None, ...] | None = None
    inside: str = ""
    """The block, file or node that it comes from; empty where the spec wrote it itself."""
    use: str = ""
    """Where that is used, in words."""
    shares: str | None = None
    """The node whose layer, weights included, this node reuses."""
    levels: Levels | None = None
    """The levels that its initial state follows from, where an encoder_decoder passed it."""
    advice: str = ""
    """How to fix a misfit with what it reads, where that was not written on the node itself."""
    collects: bool = False
    """Whether it joins a list of inputs, of which there may be one alone: the rounds of a loop, or `from: [a]`."""
    frames: int = 0
    """How many composite time_distributed it stands in, each of which runs it on every frame of a sequence."""
    body: BodySpec | None = None
    """What an autoregressive or a recurrent node runs."""
    inner_states: InnerStates = ()
    """What the recurrent nodes inside an autoregressive one start from; empty: all from zeros."""
    allow: tuple[AcceptedWarning, ...] = ()
    """The warnings that are accepted here, on the node itself or on what it stands in."""
    differ: tuple[Reference, Reference] | None = None
    """Where these two have one shape, the node is left out, and what reads it reads the first of them."""
    ids: FilledIds | None = field(default=None, repr=False, compare=False)
    """The ids around it that contain variables, as they are here."""

    def reading(self, other: Callable[[Reference], Reference]) -> NodeSpec:
        """Return the node with other references for all that it reads."""

        def changed(state: InitialState | None) -> InitialState | None:
            if isinstance(state, Reference):
                return other(state)
            return None if state is None else {name: other(source) for name, source in state.items()}

        sources, inner = tuple(map(other, self.sources)), tuple(map(changed, self.inner_states))
        differ = (other(self.differ[0]), other(self.differ[1])) if self.differ is not None else None
        state = changed(self.initial_state)
        return replace(self, sources=sources, initial_state=state, inner_states=inner, differ=differ)

    def renamed(self, rename: Rename) -> NodeSpec:
        """Return the node under another id, and with other ids for all that it refers to."""
        levels = self.levels
        if levels is not None:
            encoder, decoder = tuple(map(rename, levels.encoder)), tuple(map(rename, levels.decoder))
            levels = replace(levels, encoder=encoder, decoder=decoder, source=rename(levels.source))
        shares = rename(self.shares) if self.shares is not None else None
        body = self.body.renamed(rename) if self.body is not None else None
        reading = self.reading(lambda source: source.renamed(rename))
        return replace(reading, id=rename(self.id), levels=levels, shares=shares, body=body)

    def accepting(self, allow: tuple[AcceptedWarning, ...]) -> NodeSpec:
        """Return the node with further warnings accepted, on the nodes that it runs as well."""
        body = self.body
        if body is not None:
            body = replace(body, nodes=tuple(node.accepting(allow) for node in body.nodes))
        return replace(self, allow=(*self.allow, *allow), body=body)

    def span(self, *keys: str) -> Span:
        """Return where the first of `keys` stands, as an argument or on the node itself; else the node's layer."""
        span = self._written(*keys).span
        return span if self.ids is None or span.ids is not None else replace(span, ids=self.ids)

    def _written(self, *keys: str) -> Node:
        for key in keys:
            for mapping in (self.arguments, self.at):
                if (value := mapping.get(key)) is not None:
                    return value
        if self.body is not None:
            return self.arguments
        return self.arguments.get("layer") or self.arguments.get("application") or self.arguments

    @property
    def reads(self) -> References:
        """Everything that it refers to: its sources, and those of its states."""
        states = (state for state in (self.initial_state, *self.inner_states) if state is not None)
        tensors = ((state,) if isinstance(state, Reference) else state.values() for state in states)
        return (*self.sources, *(tensor for each in tensors for tensor in each))


NodeSpecs: TypeAlias = tuple[NodeSpec, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """A node that a composite reads but that is below it, or nowhere."""

    source: Reference
    reader: str
    """The composite, as messages call it."""
    nodes: tuple[str, ...]
    """The ids of the nodes inside."""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    name: str
    source: Reference


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole spec. `document` is the located tree after overrides and variables; `written` the text as it came."""

    name: str
    description: str
    vars: dict[str, Any]
    inputs: tuple[InputSpec, ...]
    layers: NodeSpecs
    outputs: tuple[OutputSpec, ...]
    named_outputs: bool
    """Whether `outputs:` is a mapping, which makes the model's outputs a dict."""
    data: DataSection | None
    train: TrainSection
    evaluate: EvaluateSection
    directory: Path
    """Paths of data are relative to this folder."""
    here: Path
    """The folder of the spec's file, to which those of `files` are relative; absolute."""
    files: tuple[Path, ...]
    """The other files that it was read from: its bases, specs that it uses, and those of constants; absolute."""
    written: str
    overrides: tuple[str, ...]
    document: Mapping = field(repr=False)
    broken: frozenset[str] = frozenset()
    """Ids of nodes that could not be read; none in a spec that `load_spec` gave."""
    ahead: tuple[Ahead, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    """The ids of nodes whose `when` is false, with their lines."""
    composites: tuple[str, ...] = ()
    """Ids of loops, branches, blocks and other files, each of which stands for several nodes."""
    allow: tuple[AcceptedWarning, ...] = ()
    """The warnings that are accepted anywhere."""
    tuning: Tuning | None = None
    """What `specbuild tune` varies; a training ignores it."""
    known_steps: bool = False
    """Of nodes that another one runs: whether the number of steps is known there, even if left open here."""

    def _repr_html_(self) -> str:
        """The text as it was written, as a notebook shows it."""
        return preformatted(self.written)

    @property
    def batch_size(self) -> int:
        """Samples in a batch: as many as an input fixes, else `train.batch_size`; 8 until training has chosen."""
        fixed = (x.section.batch for x in self.inputs if x.section.batch is not None)
        return next(fixed, self.train.known_batch_size)

    def without(self, instead: AnyMapping[str, Reference]) -> Spec:
        """Return the spec without some nodes, given what is read in place of each."""

        def other(source: Reference) -> Reference:
            return replace(instead[source.id], span=source.span) if source.id in instead else source

        kept = (node for node in self.layers if node.id not in instead)
        layers = tuple(replace(node.reading(other), differ=None) for node in kept)
        outputs = tuple(replace(output, source=other(output.source)) for output in self.outputs)
        return replace(self, layers=layers, outputs=outputs)

    def require_data(self) -> DataSection:
        """Return the data section.

        Raises:
            SpecError: there is none.
        """
        if self.data is None:
            help = "add data: with source and windows"
            raise self.error((), "the spec has no data section", help=help, code="missing-key")
        return self.data

    def resolve_path(self, path: str) -> Path:
        """Return a path of the spec as a path of this machine."""
        return self.directory / Path(path).expanduser()

    def span(self, path: tuple[PathPart, ...], *, key: bool = False) -> Span:
        """Return the span of `path` in the document, or of the deepest part of it that was written."""
        return locate(self.document, path, key=key)

    def error(
        self,
        path: tuple[PathPart, ...],
        message: str,
        *,
        reason: str = "",
        help: str = "",
        code: str = "invalid",
        key: bool = False,
    ) -> SpecError:
        """Return a SpecError about the value at `path`, for stages that find a fault only when they read the data."""
        return SpecError([Diagnostic(message, self.span(path, key=key), dotted(path), reason, help, code)])

    def resolved(self) -> str:
        """Return the spec as YAML with every variable, default and override resolved; it loads to the same graph."""
        from specbuild.language.resolved import dump

        return dump(self)


def every_node(nodes: NodeSpecs) -> Iterator[NodeSpec]:
    """Yield the nodes, and after each of them those that it runs."""
    for node in nodes:
        yield node
        if node.body is not None:
            yield from every_node(node.body.nodes)


def why_absent(name: str, left_out: dict[str, int]) -> str:
    """Say why a node that was written is not there, given the lines of those that were left out."""
    return f"it is left out: its when is false on line {left_out[name]}" if name in left_out else ""


def is_written(node: Node | None) -> TypeGuard[Node]:
    """Whether a key was given a value; `from:` with nothing after it counts as absent."""
    return node is not None and not (isinstance(node, Scalar) and node.value is None)
