"""Loops, paths, blocks, files and reuses, for the naive reading of a spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from naive_things import (
    Composite,
    Document,
    Env,
    Named,
    Several,
    Tree,
    look_up,
    one,
    pinned,
    shapes,
)
from naive_values import (
    default,
    handed_over,
    own_arguments,
    substituted,
    variables,
)


class Forms:
    """The part of `Reader` that reads composites."""

    def _repeat(self, item: Tree, env: Env) -> Any:
        counter = item.get("as")
        rounds = range(1, substituted(item["repeat"], env.values) + 1)
        return self.rounds(item, ({counter: number} if counter else {} for number in rounds), env)

    def _for(self, item: Tree, env: Env) -> Any:
        columns = substituted(item["for"], env.values)
        rows = enumerate(zip(*columns.values(), strict=True), start=1)
        counted = (
            {**({item["as"]: n} if "as" in item else {}), **dict(zip(columns, row, strict=True))} for n, row in rows
        )
        return self.rounds(item, counted, env)

    def rounds(self, item: Tree, rounds: Iterator[dict[str, Any]], env: Env) -> Composite:
        end, ends = env.previous, []
        for number, values in enumerate(rounds):
            start = env.previous if "merge" in item else end
            inner = env.within("do", number, values={**env.values, **values}, previous=start)
            end = self.items(item["do"], inner)
            ends.append(end)
        if "merge" in item:
            return Composite(self.merged(item["merge"], ends, env))
        return Composite(end, {"rounds": Several(ends)})

    def _branch(self, item: Tree, env: Env) -> Any:
        members = {name: self.items(path, env.within("branch", name)) for name, path in item["branch"].items()}
        end = self.merged(item["merge"], list(members.values()), env) if "merge" in item else None
        return Composite(end, members)

    def _residual(self, item: Tree, env: Env) -> Any:
        main = self.items(item["residual"], env.within("residual"))
        around = self.items(item.get("shortcut") or [], env.within("shortcut"))
        if "projection" in item and shapes(main).isdisjoint(shapes(env.previous)):
            around = self.items(item["projection"], env.within("projection"))
        return Composite(self.merged(item.get("merge", "Add"), [main, around], env))

    def merged(self, merge: Any, ends: list[Any], env: Env) -> Any:
        layer = {"layer": merge} if isinstance(merge, str) else merge
        kind = substituted(layer["layer"], env.values)
        return self.apply("", kind, own_arguments(layer, env), ends, env.within("merge"))

    # What stands elsewhere

    def _reuse(self, item: Tree, env: Env) -> Any:
        named = env.names[substituted(item["reuse"], env.values)]
        return named.again(env.inputs, env, env.state)

    def _block(self, item: Tree, env: Env) -> Any:
        block = env.document.tree["blocks"][substituted(item["block"], env.values)]
        types = block.get("parameters", {})
        given = {
            name: handed_over(value, env.values) if types[name] == "nodes" else substituted(value, env.values)
            for name, value in item.get("with", {}).items()
        }
        values = {**env.values, **{name: default(each) for name, each in block.get("parameters", {}).items()}, **given}
        return self.inlined(block["do"], block.get("inputs", []), block.get("output"), env.inputs, env, values)

    def _model(self, item: Tree, env: Env) -> Any:
        tree = env.document.files[item["model"]]
        values = variables({**tree.get("vars", {}), **substituted(item.get("vars", {}), env.values)})
        inner = replace(env, document=Document(tree, values, env.document.files))
        outputs = substituted(tree.get("outputs"), values)
        things = [
            one(thing, {len(shape) + 1}) for thing, shape in zip(env.inputs, tree["inputs"].values(), strict=True)
        ]
        return self.inlined(tree["layers"], list(tree["inputs"]), outputs, things, inner, values)

    def inlined(
        self, items: list[Tree], names: list[str], output: Any, inputs: list[Any], env: Env, values: dict[str, Any]
    ) -> Composite:
        """Return nodes that read nothing from outside but their inputs."""
        known = {"input": Named(Several(inputs)), **{name: Named(x) for name, x in zip(names, inputs, strict=False)}}
        end = self.items(items, env.within("inside", names=known, values=values))
        members = {name: named.thing for name, named in known.items() if name not in (*names, "input")}
        output = substituted(output, values)
        if output is None:
            return Composite(end, members)
        if isinstance(output, dict):
            ends = {name: look_up(reference, known) for name, reference in output.items()}
        else:
            references = output if isinstance(output, list) else [output]
            ends = {reference.split(".")[0]: pinned(reference, known) for reference in references}
        return Composite(next(iter(ends.values())) if len(ends) == 1 else None, {**members, **ends})
