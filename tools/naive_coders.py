"""Encoders, decoders and autoregressive nodes, for the naive reading of a spec."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
from naive_things import (
    STATES,
    Call,
    Carried,
    Composite,
    Env,
    Named,
    NoInput,
    Part,
    Recurrent,
    Several,
    Tree,
    ended,
    last_of,
    look_up,
    one,
    passed,
)
from naive_values import (
    substituted,
    text,
)

from specbuild.model.layers import LAYERS


class Coders:
    """The part of `Reader` that forecasts further than it reads."""

    def _encoder_decoder(self, item: Tree, env: Env) -> Any:
        body = item["encoder_decoder"]
        outside = set(env.names)
        encoder, decoder = Part(), Part()
        end = self.items(body["encoder"], env.within("encoder", parts=(*env.parts, encoder)))
        if substituted(body.get("feed"), env.values) == "feedback":
            return self.fed_back(body, end, encoder, env, outside)
        steps = self.steps(substituted(body.get("feed", "none"), env.values), body, end, env.inputs, env)
        states = self.state_rule(body, env)
        if states != "none":
            decoder.state_of = lambda name, number, both: passed(states, encoder, name, number, both)
        inner = env.within("decoder", parts=(*env.parts, decoder), previous=steps)
        last, result = self.decoded(body, encoder, decoder, inner)
        inside = {name: named.thing for name, named in env.names.items() if name not in outside}
        return Composite(result, {**inside, "encoder": end, "decoder": last})

    def state_rule(self, body: Tree, env: Env) -> Any:
        """Return the rule by which levels of a decoder start from those of an encoder."""
        states = substituted(body.get("states", "mirrored"), env.values)
        if isinstance(states, dict):
            return {text(taker, env.values): giver for taker, giver in states.items()}
        return states

    def decoded(self, body: Tree, encoder: Part, decoder: Part, inner: Env) -> tuple[Any, Any]:
        """Return the end of a decoder and that of its head."""
        written = body.get("decoder", "mirrored")
        coded = self.mirrored(encoder.calls, inner) if written == "mirrored" else self.items(written, inner)
        last = ended(coded)
        if isinstance(last, Recurrent) and any(last is level for level in decoder.levels):
            last = last.ports["sequence"]
        result = last
        if "head" in body:
            previous = last
            if body.get("head_input") == "all":
                sequences = [level.ports["sequence"] for level in decoder.levels]
                previous = keras.layers.Concatenate()(sequences) if len(sequences) > 1 else sequences[0]
            outer = replace(inner, place=(*inner.place[:-1], "head"), parts=inner.parts[:-1], previous=previous)
            result = self.items(body["head"], outer)
        return last, result

    def fed_back(self, body: Tree, end: Any, encoder: Part, env: Env, outside: set[str]) -> Composite:
        """Return the forecast of a decoder that reads the last frame, then its own, step by step."""
        horizon = substituted(body["horizon"], env.values)
        read = ended(env.inputs[0])
        sequence = read.ports["sequence"] if isinstance(read, Recurrent) else one(read)
        inside = {name: named.thing for name, named in env.names.items() if name not in outside}
        states = self.state_rule(body, env)
        frames, before, outputs = sequence[:, -1:], None, []
        for step in range(horizon):
            decoder, carried = Part(), Carried(before)
            if step == 0 and states != "none":
                decoder.state_of = lambda name, number, both: passed(states, encoder, name, number, both)
            names = {"input": Named(frames), **self.beside(body, 1, step, env)}
            inner = env.within("decoder", names=names, previous=frames, carried=carried, parts=(decoder,))
            result = self.decoded(body, encoder, decoder, inner)[1]
            before, frames = list(carried.after), one(result, {len(sequence.shape)})
            outputs.append(frames)
        result = keras.layers.Concatenate(axis=1)(outputs) if horizon > 1 else outputs[0]
        return Composite(result, {**inside, "encoder": end})

    def steps(self, feed: Any, body: Tree, end: Any, inputs: list[Any], env: Env) -> Any:
        """Return what the decoder reads."""
        horizon = substituted(body.get("horizon"), env.values)
        if feed == "none":
            return NoInput(horizon)
        if feed == "last":
            frame = last_of(end)
        elif feed == "last_frame":
            read = ended(inputs[0])
            frame = last_of(read.ports["sequence"] if isinstance(read, Recurrent) else read)
        elif isinstance(feed, dict):
            thing = look_up(feed["repeat"], env.names)
            thing = ended(thing.things[0] if isinstance(thing, Several) else thing)
            frame = last_of(thing) if isinstance(thing, Recurrent) else one(thing)
        else:
            thing = look_up(feed, env.names)
            return thing.things[0] if isinstance(thing, Several) else thing
        return LAYERS["RepeatFrame"](times=horizon)(frame)

    def mirrored(self, calls: list[Call], env: Env) -> Any:
        """Return the end of the mirror image of an encoder."""
        groups: list[list[Call]] = []
        for call in calls:
            if call.kind in ("ReLU", "Activation", "BatchNormalization", "LayerNormalization") and groups:
                groups[-1].append(call)
            else:
                groups.append([call])
        thing = env.previous
        for number, call in enumerate(call for group in reversed(groups) for call in group):
            at = env.within("mirror", number)
            arguments = {name: value for name, value in call.arguments.items() if name != "trainable"}
            if call.again is not None:
                thing = self._mirrored_cell(call, thing, at)
                continue
            if call.kind in STATES:
                name = f"{call.name}_mirror" if call.name else ""
                arguments.pop("return_sequences", None)
                if call.settings.get("merge_mode") == "concat":
                    size = "filters" if "filters" in arguments else "units"
                    arguments[size] *= 2
                level = self.recurrent(call.kind, arguments, {}, thing, at, None, name)
                thing = level.ports["sequence"]
                if name:
                    env.names[name] = Named(level)
                continue
            kind = call.kind
            if kind == "Conv2D" and (arguments.get("strides", 1) != 1 or arguments.get("padding", "valid") != "same"):
                kind = "Conv2DTranspose"
            elif kind in ("MaxPooling2D", "AveragePooling2D"):
                kind, arguments = "UpSampling2D", {"size": arguments.get("pool_size", 2)}
            thing = self.apply(call.wrapper, kind, arguments, [thing], at)
        return thing

    def _mirrored_cell(self, call: Call, thing: Any, env: Env) -> Any:
        """Return every step of the mirror image of a custom cell."""
        assert call.again is not None
        level = call.again(thing, env)
        if call.name:
            env.names[f"{call.name}_mirror"] = Named(level)
        return level.ports["sequence"]

    # Feedback

    def beside(self, body: Tree, past: int, step: int, env: Env) -> dict[str, Named]:
        """Return the covariates and static maps of feedback: in step 0 for all past frames, then for one."""
        names = {}
        for name, source in substituted(body.get("covariates", {}), env.values).items():
            thing = ended(look_up(source, env.names))
            sequence = thing.ports["sequence"] if isinstance(thing, Recurrent) else one(thing)
            names[name] = Named(sequence[:, past - 1 + step : past + step] if step else sequence[:, :past])
        for name, source in substituted(body.get("static", {}), env.values).items():
            thing = ended(look_up(source, env.names))
            frame = thing.ports["last"] if isinstance(thing, Recurrent) else one(thing)
            names[name] = Named(LAYERS["RepeatFrame"](times=1 if step else past)(frame))
        return names

    def inner_states(self, item: Tree, env: Env) -> list[list[Any] | None] | None:
        """Return the states that the recurrent layers of feedback start from, in order."""
        written = substituted(item.get("initial_state"), env.values)
        if not isinstance(written, dict):
            return None if written is None else [self.state(written, env)]
        levels = [each["id"] for each in item["autoregressive"]["do"] if each.get("layer") in STATES]
        return [None if written[level] in (None, "none") else self.state(written[level], env) for level in levels]

    def _autoregressive(self, item: Tree, env: Env) -> Any:
        body = item["autoregressive"]
        horizon = substituted(body["horizon"], env.values)
        frames = one(env.inputs[0], {3, 5} if isinstance(ended(env.inputs[0]), Recurrent) else None)
        rank, past = len(frames.shape), frames.shape[1]
        before = self.inner_states(item, env)
        outputs = []
        for step in range(horizon):
            carried = Carried(before)
            names = {"input": Named(frames), **self.beside(body, past, step, env)}
            inner = env.within("feedback", names=names, previous=frames, carried=carried, parts=())
            end = one(self.items(body["do"], inner), {rank})
            outputs.append(end if step == 0 and body.get("give") == "all" else end[:, -1:])
            before, frames = list(carried.after), end[:, -1:]
        return keras.layers.Concatenate(axis=1)(outputs) if horizon > 1 else outputs[0]
