"""An autoregressive layer as a node: its settings, and the model inside it as the nodes of `do`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pydantic import ValidationError

from specbuild.catalog import Recurrent
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.model.importing.findings import Findings
from specbuild.model.importing.layers import Said, say_dtype
from specbuild.model.importing.records import Network, Record, read_network, read_record
from specbuild.model.importing.steps import Ref, Step, Walked, as_id

FEEDBACK = "specbuild>Autoregressive"
"""The registered name of the layer."""
_DEFAULTS = {"give": "horizon", "sampling": None, "remat": False}
_SAMPLING = {"schedule": "linear", "start": 1.0, "end": 0.0, "steps": None, "k": None}

Walk: TypeAlias = Callable[[Network, Findings], Walked]


@dataclass(frozen=True, slots=True)
class Loop:
    """An autoregressive node and what it runs."""

    said: Said
    body: Walked


def say_feedback(
    record: Record, findings: Findings, name: str, identity: str, *, frozen: bool, walk: Walk
) -> Loop | None:
    """The keys of an autoregressive node; None after reporting why there are none.

    Args:
        record: the layer.
        findings: where faults and notes go.
        name: what a user calls the layer.
        identity: the id that its node gets.
        frozen: whether a model around the layer is not trained.
        walk: what turns the model inside into steps.

    Raises:
        Malformed: the configuration is not one of the layer.
    """
    frozen = frozen or record.config.get("trainable", True) is False
    walked = walk(read_network(read_record(record.config.get("body"))), findings)
    if any(step.layer is None for step in walked.steps):
        return None
    if not _carries_its_states(walked):
        findings.refuse(
            name,
            f"the model inside {name} does not carry its states from step to step, which a spec cannot say",
            reason="each recurrent layer in it must start from states that it is given, and give them on",
        )
        return None
    given: dict[str, Any] = {"horizon": record.config.get("horizon")}
    given |= {key: record.config[key] for key, usual in _DEFAULTS.items() if record.config.get(key, usual) != usual}
    if isinstance(sampling := given.get("sampling"), dict):
        given["sampling"] = {
            key: value
            for key, value in sampling.items()
            if value != _SAMPLING.get(key) and not (key == "end" and sampling.get("schedule") == "constant")
        }
    if (dtype := say_dtype(record, findings, name)) is not None:
        given["dtype"] = dtype
    own = {"trainable": False} if frozen else {}
    try:
        layer = Autoregressive.model_validate({**given, **own})
    except ValidationError as fault:
        findings.refuse(name, f"{name} (Autoregressive) cannot be said by a spec", reason=fault.errors()[0]["msg"])
        return None
    return Loop(Said({"autoregressive": given, **own}, layer), _renamed(walked, record.name, identity, frozen=frozen))


def _carries_its_states(walked: Walked) -> bool:
    """Whether every state comes in by an input of its own, and goes out by the output in the same place."""
    if not walked.inputs or not walked.steps or [one.step for one in walked.outputs[:1]] != [walked.steps[-1].id]:
        return False
    given = [one.id for one in walked.inputs[1:]]
    kept = [(one.step, one.index) for one in walked.outputs[1:]]
    carried = dict(zip(given, kept, strict=False))
    found = {ref.step: (step.id, place) for step in walked.steps for place, ref in enumerate(step.state, 1)}
    stateless = [step for step in walked.steps if isinstance(step.layer, Recurrent) and not step.state]
    return len(given) == len(kept) and found == carried and not stateless


def _renamed(walked: Walked, old: str, new: str, *, frozen: bool) -> Walked:
    """The body with ids that begin with the node's, and without the states, which a spec does not write."""
    frames = walked.inputs[0]

    def name(identity: str) -> str:
        return f"{new}_input" if identity == frames.id else f"{new}_{identity.removeprefix(f'{as_id(old)}_')}"

    def moved(ref: Ref) -> Ref:
        return replace(ref, step=name(ref.step))

    def step(one: Step) -> Step:
        keys = {"reuse": name(one.shares)} if one.shares is not None else one.keys
        return replace(
            one,
            id=name(one.id),
            keys=_thawed(keys) if frozen else keys,
            sources=tuple(map(moved, one.sources)),
            state=(),
            shares=None if one.shares is None else name(one.shares),
        )

    return Walked(
        (replace(frames, id=name(frames.id)),), tuple(map(step, walked.steps)), (moved(walked.outputs[0]),), ()
    )


def _thawed(keys: dict[str, Any]) -> dict[str, Any]:
    """The keys of a node inside a frozen one, which freezes it."""
    inside = ("time_distributed", "bidirectional")
    return {
        key: _thawed(value) if key in inside and isinstance(value, dict) else value
        for key, value in keys.items()
        if key != "trainable"
    }
