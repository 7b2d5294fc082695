"""A recurrence over the nodes of a step as a `recurrent` node: its states, and the models inside it as `do`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from specbuild.catalog import Bidirectional, Recurrent
from specbuild.catalog.core import Identity
from specbuild.catalog.recurrence import Recurrence
from specbuild.graph import Input
from specbuild.model.importing.layers import SpecLayer, one_direction, spec_dtype, validated
from specbuild.model.importing.records import Malformed, Record, read_network, read_record
from specbuild.model.importing.steps import (
    Findings,
    FlatModel,
    Flatten,
    Ref,
    Refused,
    Step,
    as_id,
    each_layer,
    free_name,
    renamed_model,
    thawed,
)

REGISTERED = "specbuild>Recurrence"
"""The registered name of the layer."""

_SETTINGS = [name for name in Recurrence.model_fields if name not in (*Recurrent.model_fields, "states")]


def is_recurrence(record: Record) -> bool:
    """Whether a layer runs the nodes of a step, in one direction or in both."""
    if record.kind == "Bidirectional" and isinstance(record.config.get("layer"), Mapping):
        record = read_record(record.config["layer"])
    return record.registered == REGISTERED


def spec_recurrence(
    record: Record, findings: Findings, name: str, identity: str, *, frozen: bool, flatten: Flatten
) -> tuple[SpecLayer, FlatModel]:
    """Return a recurrent node, in one direction or in both, and what it runs at each step.

    The body's inputs are the frames, further sequences and static maps as the node reads them, then its states; its
    outputs are that of a step and the states after it.

    Args:
        record: the layer.
        findings: where faults and notes go.
        name: what a user calls the layer.
        identity: the id that its node gets.
        frozen: whether a model around the layer is not trained.
        flatten: turns the models inside into steps.

    Raises:
        Refused: a spec cannot express it, which is reported.
        Malformed: the configuration is not one of the layer.
    """
    frozen = frozen or record.config.get("trainable", True) is False
    if record.kind != "Bidirectional":
        return _one_way(record, record.name, findings, name, identity, frozen=frozen, flatten=flatten)
    ways = []
    for key, backwards in (("layer", False), ("backward_layer", True)):
        way = one_direction(record.config.get(key))
        way = replace(way, config={**way.config, "go_backwards": way.config.get("go_backwards") is not backwards})
        ways.append(_one_way(way, record.name, findings, name, identity, frozen=frozen, flatten=flatten))
    (cell, body), backward = ways
    if (cell.keys, body) != (backward[0].keys, backward[1]):
        message = f"the two directions of {name} are different layers, which a spec cannot express"
        raise findings.refuse(
            name, message, help="give both the same nodes, or write two recurrent nodes and join them"
        )
    merge = record.config.get("merge_mode", "concat")
    own = {} if merge == "concat" else {"merge_mode": merge}
    own |= {"trainable": False} if frozen else {}
    layer = validated(Bidirectional, {"layer": cell.layer, **own}, findings, name)
    return SpecLayer({"bidirectional": thawed(cell.keys), **own}, layer), body


def _one_way(
    record: Record, owner: str, findings: Findings, name: str, identity: str, *, frozen: bool, flatten: Flatten
) -> tuple[SpecLayer, FlatModel]:
    """The node of one direction, under the name that its `owner` has in the file.

    Raises:
        Refused, Malformed: as above.
    """
    config = record.config
    names = _state_names(config)
    step = flatten(read_network(read_record(config.get("step"))), findings)
    before = config.get("at_once")
    at_once = None if before is None else flatten(read_network(read_record(before)), findings)
    inputs, steps, ends = _joined(step, at_once, len(names))
    if any(each.layer is None for each in steps):
        raise Refused
    sequences = config.get("sequences", 1)
    given = len(inputs) - len(names)
    if len(step.outputs) != 1 + len(names) or not isinstance(sequences, int) or not 1 <= sequences <= given:
        raise Malformed(f"{name} does not fit the models inside it")
    if ends[0].step in {x.id for x in inputs[given:]} and ends[0].step not in [ref.step for ref in ends[1:]]:
        # A state as it was before the step, whose name means the state after it.
        kept = Step(free_name("before", {each.id for each in steps}), {"layer": "Identity"}, Identity(), (ends[0],))
        steps, ends = (*steps, kept), (Ref(kept.id), *ends[1:])
    frame = inputs[0].shape
    declared = {
        state["name"]: _declared(state, each.shape, frame)
        for state, each in zip(config["states"], inputs[given:], strict=True)
    }
    arguments = {key: config[key] for key in _SETTINGS if key in config}
    if (dtype := spec_dtype(record, findings, name)) is not None:
        arguments["dtype"] = dtype
    own = {"trainable": False} if frozen else {}
    layer = validated(Recurrence, {**arguments, "states": declared, **own}, findings, name)
    settings = layer.model_dump(exclude_defaults=True, exclude={"trainable", "states"})
    body = _named(FlatModel(inputs, steps, ends, ()), owner, identity, names, given, frozen=frozen)
    whole = {x.id.removeprefix(f"{identity}_"): at for at, x in enumerate(body.inputs[:given]) if at >= sequences}
    static = {"static": whole} if whole else {}
    return SpecLayer({"recurrent": {"states": declared, **static, **settings}, **own}, layer), body


def _state_names(config: Mapping[str, Any]) -> list[str]:
    """The names of the states.

    Raises:
        Malformed: there are none, or two of one name.
    """
    states = config.get("states")
    found = [state.get("name") for state in states if isinstance(state, Mapping)] if isinstance(states, list) else []
    if not found or len(set(found)) < len(states or ()) or not all(isinstance(each, str) for each in found):
        raise Malformed("a recurrence does not name its states")
    return [str(each) for each in found]


def _declared(state: Mapping[str, Any], shape: tuple[int | None, ...], frame: tuple[int | None, ...]) -> Any:
    """A state as a spec declares it: its channels where it is as large as the frames."""
    written: Any = shape[-1] if shape and shape[:-1] == frame[:-1] else list(shape)
    initial = state.get("initial", 0)
    if isinstance(initial, float) and initial.is_integer():
        initial = int(initial)
    return written if initial == 0 else {"shape": written, "initial": initial}


def _joined(
    step: FlatModel, at_once: FlatModel | None, states: int
) -> tuple[tuple[Input, ...], tuple[Step, ...], tuple[Ref, ...]]:
    """The inputs of a step, its steps after those that run for all steps at once, whose results they read, its outputs.

    Raises:
        Malformed: the models do not fit each other.
    """
    if at_once is None:
        return step.inputs, tuple(_in_order(step, [])), step.outputs
    computed, inputs = step.inputs[: len(at_once.outputs)], step.inputs[len(at_once.outputs) :]
    if len(inputs) != len(at_once.inputs) + states:
        raise Malformed("the two models of a recurrence do not fit each other")
    taken = {x.id for x in inputs} | {each.id for each in step.steps}
    names = {x.id: own.id for x, own in zip(at_once.inputs, inputs, strict=False)}
    for each in at_once.steps:
        names[each.id] = free_name(each.id, taken | set(names.values()))
    first = renamed_model(at_once, lambda identity: names[identity])
    read = {x.id: ref for x, ref in zip(computed, first.outputs, strict=True)}

    def moved(ref: Ref) -> Ref:
        return replace(read[ref.step], shape=ref.shape) if ref.step in read else ref

    steps = (
        replace(each, sources=tuple(map(moved, each.sources)), state=tuple(map(moved, each.state)))
        for each in _in_order(step, [x.id for x in computed])
    )
    ends = tuple(map(moved, step.outputs))
    return inputs, (*first.steps, *steps), ends


def _in_order(step: FlatModel, computed: list[str]) -> list[Step]:
    """The steps in an order in which they first read the results of the other model as those are counted.

    So the spec has them in that order again, and with it its weights. What states become comes last.

    Raises:
        Malformed: there is no such order.
    """
    places = {name: place for place, name in enumerate(computed)}
    own = {each.id for each in step.steps}
    ends = {ref.step: place for place, ref in reversed([*enumerate((*step.outputs[1:], step.outputs[0]))])}
    waiting = sorted(step.steps, key=lambda each: ends.get(each.id, 0) if _is_equation(each) else -1)
    done = set[str]()
    ordered: list[Step] = []
    seen = 0

    def new_places(each: Step) -> list[int]:
        """The results that nothing before has read, in the order that it reads them."""
        read = dict.fromkeys(places[ref.step] for ref in (*each.sources, *each.state) if ref.step in places)
        return [place for place in read if place >= seen]

    while waiting:
        ready = [x for x in waiting if not ({ref.step for ref in (*x.sources, *x.state)} & own) - done]
        ready = [x for x in ready if x.shares is None or x.shares in done]
        next_one = next((x for x in ready if (new := new_places(x)) == list(range(seen, seen + len(new)))), None)
        if next_one is None:
            raise Malformed("the models of a recurrence do not fit each other")
        seen += len(new_places(next_one))
        ordered.append(next_one)
        done.add(next_one.id)
        waiting.remove(next_one)
    return ordered


def _is_equation(step: Step) -> bool:
    return step.layer is not None and step.layer.kind == "Equation"


def written_beside(name: str, body: FlatModel, states: Sequence[str]) -> list[Step]:
    """Return the last steps of a recurrent node that `next` and `output` can say as equations.

    Their ids are those that a spec gives them there.
    """
    ends = {f"{name}_{state}_next": ref.step for state, ref in zip(states, body.outputs[1:], strict=True)}
    ends[f"{name}_output"] = body.outputs[0].step
    read = [ref.step for step in body.steps for ref in (*step.sources, *step.state)]
    found: list[Step] = []
    for step in reversed(body.steps):
        said = (
            _is_equation(step)
            and ends.get(step.id) == step.id
            and not (step.id == f"{name}_output" and (found or step.id in read))
        )
        if not said:
            break
        found.insert(0, step)
    return found


def _named(model: FlatModel, old: str, new: str, states: Sequence[str], given: int, *, frozen: bool) -> FlatModel:
    """The body with ids that begin with the node's, those of its states by their names."""
    names = {model.inputs[0].id: f"{new}_input"}
    names |= {x.id: f"{new}_{state}" for x, state in zip(model.inputs[given:], states, strict=True)}
    for each in (*(x.id for x in model.inputs[1:given]), *(step.id for step in model.steps)):
        names[each] = free_name(f"{new}_{each.removeprefix(f'{as_id(old)}_')}", names.values())
    body = renamed_model(model, names.__getitem__)
    return (
        replace(body, steps=tuple(replace(each, keys=each_layer(each.keys, thawed)) for each in body.steps))
        if frozen
        else body
    )
