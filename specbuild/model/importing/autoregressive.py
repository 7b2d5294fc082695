"""An autoregressive layer as a node: its settings, and the model inside it as the nodes of `do`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from specbuild.catalog import Layer, Recurrent
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.model.importing.layers import SpecLayer, spec_dtype, validated
from specbuild.model.importing.records import Malformed, Record, read_network, read_record
from specbuild.model.importing.steps import (
    Findings,
    FlatModel,
    Flatten,
    Refused,
    as_id,
    each_layer,
    renamed_model,
    thawed,
)

REGISTERED = "specbuild>Autoregressive"
"""The registered name of the layer."""

_SETTINGS = [name for name in Autoregressive.model_fields if name not in Layer.model_fields]


def spec_autoregressive(
    record: Record, findings: Findings, name: str, identity: str, *, frozen: bool, flatten: Flatten
) -> tuple[SpecLayer, FlatModel]:
    """Return an autoregressive node and what it runs.

    Args:
        record: the layer.
        findings: where faults and notes go.
        name: what a user calls the layer.
        identity: the id that its node gets.
        frozen: whether a model around the layer is not trained.
        flatten: turns the model inside into steps.

    Raises:
        Refused: a spec cannot express it, which is reported.
        Malformed: the configuration is not one of the layer.
    """
    frozen = frozen or record.config.get("trainable", True) is False
    model = flatten(read_network(read_record(record.config.get("body"))), findings)
    if any(step.layer is None for step in model.steps):
        raise Refused
    covariates = len(model.inputs) - len(model.outputs)
    if not _carries_its_states(model, covariates):
        raise findings.refuse(
            name,
            f"the model inside {name} does not carry its states from step to step, which a spec cannot say",
            reason="each recurrent layer in it must start from states that it is given, and give them on",
        )
    arguments = {name: record.config[name] for name in _SETTINGS if name in record.config}
    if isinstance(sampling := arguments.get("sampling"), Mapping):
        unused = "end" if sampling.get("schedule") == "constant" else ""
        arguments["sampling"] = {key: value for key, value in sampling.items() if value is not None and key != unused}
    if (dtype := spec_dtype(record, findings, name)) is not None:
        arguments["dtype"] = dtype
    own = {"trainable": False} if frozen else {}
    layer = validated(Autoregressive, {**arguments, **own}, findings, name)
    settings = layer.model_dump(exclude_defaults=True, exclude={"trainable"})
    body = _renamed(model, record.name, identity, covariates, frozen=frozen)
    more = _more_inputs(body, identity, record.config.get("static", 0))
    return SpecLayer({"autoregressive": {**settings, **more}, **own}, layer), body


def _more_inputs(body: FlatModel, identity: str, static: Any) -> dict[str, dict[str, int]]:
    """What the node reads besides its frames: by key and name, which of its sources that is.

    Raises:
        Malformed: `static` is not a number of inputs.
    """
    pairs = [(x.id.removeprefix(f"{identity}_"), index) for index, x in enumerate(body.inputs)][1:]
    if not isinstance(static, int) or not 0 <= static <= len(pairs):
        raise Malformed(f"{identity} says that {static!r} of its {len(pairs)} covariates are static")
    moving = len(pairs) - static
    return {key: dict(x) for key, x in (("covariates", pairs[:moving]), ("static", pairs[moving:])) if x}


def _carries_its_states(model: FlatModel, covariates: int) -> bool:
    """Whether every state comes in by an input of its own, and goes out by the output in the same place."""
    if not model.inputs or not model.steps or [ref.step for ref in model.outputs[:1]] != [model.steps[-1].id]:
        return False
    given = [x.id for x in model.inputs[1 + covariates :]]
    kept = [(ref.step, ref.index) for ref in model.outputs[1:]]
    carried = dict(zip(given, kept, strict=False))
    states = {ref.step: (step.id, index) for step in model.steps for index, ref in enumerate(step.state, 1)}
    stateless = [step for step in model.steps if isinstance(step.layer, Recurrent) and not step.state]
    return len(given) == len(kept) and states == carried and not stateless


def _renamed(model: FlatModel, old: str, new: str, covariates: int, *, frozen: bool) -> FlatModel:
    """The body with ids that begin with the node's, and without the states, which a spec does not write."""
    frames = model.inputs[0]

    def name(identity: str) -> str:
        return f"{new}_input" if identity == frames.id else f"{new}_{identity.removeprefix(f'{as_id(old)}_')}"

    whole = renamed_model(model, name)
    steps = tuple(
        replace(step, keys=each_layer(step.keys, thawed) if frozen else step.keys, state=()) for step in whole.steps
    )
    carried = tuple(ref.step for ref in whole.outputs[1:])
    return FlatModel(whole.inputs[: 1 + covariates], steps, whole.outputs[:1], (), carried)
