"""Build a spec's model in the most obvious way, as a second opinion on `specbuild.language` and `specbuild.graph`.

The tree of a spec, as YAML gives it, is walked item by item, and Keras layers are called on the way, without nodes,
shapes or derived ports. It follows docs/language.md and takes from specbuild only its Keras layers. Every
recurrent layer gives all its steps and its state, and readers pick what they need. A layer belongs to its place in the
text (the item, the round of the loop, the use of the block), so `reuse` is the same item read again at its old place.

It assumes that the spec is valid, knows only the layers in its tables, and gives up (`Unsure`) where it cannot tell
which port of a recurrent layer is meant.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
from naive_cells import Cells
from naive_coders import Coders
from naive_forms import Forms
from naive_things import (
    COMPOSITES,
    JOINED,
    KEEPS_RANK,
    RANKS,
    SEVERAL,
    STATES,
    Call,
    Composite,
    Document,
    Env,
    EveryFrame,
    Inside,
    Named,
    NoInput,
    Open,
    Place,
    Recurrent,
    Several,
    Tree,
    ended,
    look_up,
    one,
)
from naive_values import (
    aligned,
    condition,
    filled,
    made,
    names_in,
    own_arguments,
    state_order,
    substituted,
    text,
    value_of,
    variables,
    wrapped,
)

from specbuild.model.layers import LAYERS


def interpret(tree: Tree, files: dict[str, Tree] | None = None) -> keras.Model:
    """Return the model of a spec; `files` are the specs that it names, by path."""
    document = Document(tree, variables(tree.get("vars", {})), files or {})
    inputs = {}
    for name, shape in substituted(tree["inputs"], document.values).items():
        inputs[name] = keras.Input(shape, name=name)
    names = {name: Named(tensor) for name, tensor in inputs.items()}
    previous = next(iter(inputs.values())) if len(inputs) == 1 else None
    env = Env(document, names, document.values, previous, ())
    reader = Reader()
    end = reader.items(tree["layers"], env.within("layers"))
    written = substituted(tree.get("outputs"), document.values)
    if written is None:
        outputs = one(end)
    elif isinstance(written, dict):
        outputs = {name: one(look_up(reference, names)) for name, reference in written.items()}
    else:
        outputs = [one(look_up(reference, names)) for reference in written]
        outputs = outputs if len(outputs) > 1 else outputs[0]
    return keras.Model(list(inputs.values()) if len(inputs) > 1 else next(iter(inputs.values())), outputs)


class Reader(Cells, Forms, Coders):
    """Reads items, with the layers made so far by their place in the text."""

    def __init__(self) -> None:
        self.layers: dict[Place, Any] = {}

    def items(self, items: list[Tree] | str, env: Env) -> Any:
        """Return what a list ends in."""
        if isinstance(items, str):
            passed = env.values[items[1:]]
            items, env = passed.items, replace(env, values=passed.values)
        for index, item in enumerate(items):
            if "when" in item and not condition(item["when"]):
                continue
            env = replace(env, previous=self.item(item, env.within(index)))
        return env.previous

    def item(self, item: Tree, env: Env) -> Any:
        """Return what an item stands for, under its id as well."""
        before = dict(env.names)
        inputs = self.sources(item, env)
        form = next(form for form in FORMS if form in item)

        def run(things: list[Any], at: Env, state: Any = None) -> Any:
            if len(things) == 1:
                at = replace(at, previous=things[0])
            elif things:
                at = replace(at, previous=None)
            if form != "layer" and item.get("trainable") is False:
                at = replace(at, frozen=True)
            if state is None and "initial_state" in item and form != "autoregressive":
                state = self.state(substituted(item["initial_state"], at.values), at)
            return getattr(self, f"_{form}")(item, replace(at, inputs=things, state=state))

        def again(things: list[Any], site: Env, state: Any) -> Any:
            at = replace(site, document=env.document, names=dict(before), values=env.values, place=env.place)
            return run(things, at, state)

        thing = run(inputs, env)
        if isinstance(item.get("expect"), str | list):
            expected = substituted(item["expect"], env.values)
            tensor = one(thing, {len(expected) + 1})
            if isinstance(thing, Open):
                thing.expected = len(expected) + 1
            if [want for want, length in zip(expected, tensor.shape[1:], strict=True) if want not in (None, length)]:
                raise AssertionError(f"expected {expected}, got {tensor.shape}")
        if "id" in item:
            env.names[text(item["id"], env.values)] = Named(thing, again)
        return thing

    def sources(self, item: Tree, env: Env) -> list[Any]:
        """Return what an item reads."""
        if "equation" in item:
            written: Any = list(names_in(filled(item["equation"], env.values)))
        elif "from" not in item:
            return [env.previous] if env.previous is not None else []
        else:
            written = substituted(item["from"], env.values)
        things = [look_up(each, env.names) for each in (written if isinstance(written, list) else [written])]
        return [x for thing in things for x in (thing.things if isinstance(thing, Several) else [thing])]

    def state(self, written: Any, env: Env) -> list[Any]:
        """Return the tensors of an initial state, in Keras's order."""
        if isinstance(written, dict):
            return [one(look_up(written[name], env.names)) for name in sorted(written, key=state_order)]
        thing = look_up(written, env.names)
        while isinstance(thing, Composite):
            thing = thing.end
        return thing.tensors

    # Layers

    def _layer(self, item: Tree, env: Env) -> Any:
        kind = substituted(item["layer"], env.values)
        arguments = own_arguments(item, env)
        if kind in STATES:
            return self.recurrent(kind, arguments, {}, env.inputs[0], env, env.state, text(item.get("id"), env.values))
        expect = substituted(item.get("expect"), env.values)
        return self.apply("", kind, arguments, env.inputs, env, len(expect) + 1 if expect else None)

    def apply(
        self, wrapper: str, kind: str, arguments: Tree, inputs: list[Any], env: Env, rank: int | None = None
    ) -> Any:
        """Return the output of a layer without state, on every frame under a wrapper."""
        for part in env.parts:
            part.calls.append(Call(wrapper, kind, arguments, {}, ""))
        needed = RANKS.get(kind)
        ranks = {needed + bool(wrapper)} if needed else None
        if needed is None and (wrapper or kind == "LastFrame"):
            ranks = set(range(3, 10))
        things = [ended(thing) for thing in inputs]
        if wrapper and isinstance(things[0], Recurrent):
            ranks = {len(things[0].ports["sequence"].shape)}

        def run(ranks: set[int] | None) -> Any:
            return self._run(wrapper, kind, arguments, [one(thing, ranks) for thing in things], env)

        if wrapper or kind not in KEEPS_RANK:
            return run(ranks)
        return self.of_any_rank(run, things, rank)

    def of_any_rank(self, run: Callable[[set[int]], Any], things: list[Any], rank: int | None) -> Any:
        """Return what reads things at one rank: that of those which leave no choice, else that of the reader."""
        if rank is not None:
            return run({rank})
        choices = [set(thing.choices) if isinstance(thing, Open) else {len(thing.shape)} for thing in things]
        fixed = {rank for ranks in choices if len(ranks) == 1 for rank in ranks}
        if fixed:
            return run(fixed)
        return Open({rank: (lambda rank=rank: run({rank})) for rank in set.intersection(*choices)})

    def _equation(self, item: Tree, env: Env) -> Any:
        written = filled(item["equation"], env.values)
        things = [ended(thing) for thing in env.inputs]

        def run(ranks: set[int]) -> Any:
            tensors = [one(thing, ranks) for thing in things]
            named = aligned(dict(zip(names_in(written), tensors, strict=True)))
            return value_of(ast.parse(written, mode="eval").body, named)

        expect = substituted(item.get("expect"), env.values)
        return self.of_any_rank(run, things, len(expect) + 1 if expect else None)

    def _split(self, item: Tree, env: Env) -> Any:
        names = [text(name, env.values) for name in item["split"]]
        lengths = [*item["split"].values()] if isinstance(item["split"], dict) else []
        (thing,) = map(ended, env.inputs)

        def part(index: int) -> Any:
            def run(ranks: set[int]) -> Any:
                tensor = one(thing, ranks)
                axis = item.get("axis", -1) % len(tensor.shape)
                sizes = lengths or [tensor.shape[axis] // len(names)] * len(names)
                start = sum(sizes[:index])
                return tensor[(*[slice(None)] * axis, slice(start, start + sizes[index]))]

            return self.of_any_rank(run, [thing], None)

        parts = {name: part(index) for index, name in enumerate(names)}
        if "id" not in item:
            env.names.update({name: Named(part) for name, part in parts.items()})
        return Composite(None, parts)

    def _run(self, wrapper: str, kind: str, arguments: Tree, tensors: list[Any], env: Env) -> Any:
        layer = self.made(env, lambda: wrapped(wrapper, made(kind, arguments)), arguments)
        return layer(tensors if kind in SEVERAL else tensors[0])

    def recurrent(
        self, kind: str, arguments: Tree, both: Tree | None, thing: Any, env: Env, state: Any, name: str
    ) -> Recurrent:
        """Return the outputs of a recurrent layer; `both` has the arguments of a Bidirectional around it."""
        bidirectional = bool(both)
        written = (both or arguments).get("return_sequences")
        for part in env.parts:
            settings = {**both} if both else {}
            part.calls.append(Call("bidirectional" if both else "", kind, arguments, settings, name))
        if state is None and env.parts and env.parts[-1].state_of is not None:
            part = env.parts[-1]
            state = part.state_of(name, len(part.levels), bidirectional)
        if env.carried is not None and env.carried.before is not None:
            state = env.carried.before[len(env.carried.after)]
        arguments = {name: value for name, value in arguments.items() if not name.startswith("return_")}
        thing = ended(thing)
        if isinstance(thing, NoInput):
            arguments = {**arguments, "use_input": False}
            frame = keras.ops.zeros_like(state[0][..., :1])
            tensor = LAYERS["RepeatFrame"](times=thing.steps)(frame)
        else:
            tensor = one(thing, {RANKS[kind]})

        def make() -> Any:
            layer = made(kind, {**arguments, "return_sequences": True, "return_state": True})
            if not bidirectional:
                return layer
            return keras.layers.Bidirectional(layer, merge_mode=both.get("merge_mode", "concat"))

        layer = self.made(env, make, arguments)
        sequence, *states = layer(tensor, **({"initial_state": state} if state is not None else {}))
        if bidirectional:
            mode = both.get("merge_mode", "concat")
            names = [f"{way}_{each}" for way in ("forward", "backward") for each in STATES[kind]]
            last = getattr(keras.layers, JOINED[mode])()([states[0], states[len(states) // 2]])
        else:
            names, last = STATES[kind], states[0]
        outputs = Recurrent(sequence, last, dict(zip(names, states, strict=True)), written)
        outputs.merge = both.get("merge_mode", "concat") if both else ""
        for part in env.parts:
            part.levels.append(outputs)
            part.names.append(name)
        if env.carried is not None:
            env.carried.after.append(states)
        return outputs

    def made(self, env: Env, make: Callable[[], Any], arguments: Tree) -> Any:
        """Return the layer of a place."""
        if env.place not in self.layers:
            self.layers[env.place] = make()
        layer = self.layers[env.place]
        if env.frozen or arguments.get("trainable") is False:
            layer.trainable = False
        return layer

    def _time_distributed(self, item: Tree, env: Env) -> Any:
        inner = item["time_distributed"]
        things = env.inputs
        if any(form in layer for layer in (inner if isinstance(inner, list) else [inner]) for form in COMPOSITES):
            return self.every_frame(inner if isinstance(inner, list) else [inner], one(things[0]), env)
        for index, layer in enumerate(inner if isinstance(inner, list) else [inner]):
            kind = substituted(layer["layer"], env.values)
            at = env.within(index, frozen=env.frozen or item.get("trainable") is False)
            things = [self.apply("td", kind, own_arguments(layer, env), things, at)]
        return things[0]

    def every_frame(self, items: list[Tree], sequence: Any, env: Env) -> Any:
        """Return the frames that the items give for each frame alone, with the same layers."""
        ends = []
        for step in range(sequence.shape[1]):
            inner = env.within("frame", names=Inside(), previous=sequence[:, step])
            ends.append(one(self.items(items, inner)))
            env.names.update(dict.fromkeys(inner.names, Named(EveryFrame())))
        return Composite(keras.ops.stack(ends, axis=1))

    def _bidirectional(self, item: Tree, env: Env) -> Any:
        inner = item["bidirectional"]
        if "recurrent" in inner:
            settings = {key: item[key] for key in ("merge_mode", "return_sequences") if key in item}
            both = {"merge_mode": "concat", **substituted(settings, env.values)}
            return self.cell(inner["recurrent"], both, env.inputs[0], env, env.state, text(item.get("id"), env.values))
        kind = substituted(inner["layer"], env.values)
        settings = {
            key: substituted(item[key], env.values) for key in ("merge_mode", "return_sequences") if key in item
        }
        both = {"merge_mode": "concat", **settings}
        arguments = own_arguments(inner, env)
        return self.recurrent(kind, arguments, both, env.inputs[0], env, env.state, text(item.get("id"), env.values))


FORMS = (
    *("layer", "equation", "split", "time_distributed", "bidirectional", "repeat", "for", "branch", "residual"),
    *("block", "reuse", "model", "encoder_decoder", "autoregressive", "recurrent"),
)
