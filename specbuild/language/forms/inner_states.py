"""`initial_state` of an autoregressive node: what the recurrent nodes inside it start from."""

from __future__ import annotations

from specbuild.document import Entry, Mapping, Node, Scalar, did_you_mean, plain
from specbuild.language.forms.base import read_state
from specbuild.language.forms.scope import Scope
from specbuild.language.forms.walk import Walk
from specbuild.language.spec import BodySpec, InitialState, InnerStates, NodeSpec, is_written
from specbuild.language.variables import substitute


def read_inner_states(walk: Walk, scope: Scope, written: Node | None, body: BodySpec, name: str) -> InnerStates:
    """Return what each recurrent node of a body starts from, in order; nothing where that is not written, or faulty.

    `initial_state: enc` is for a single one, `{memory: enc, slow: none}` names each by its id; its value is a node
    whose whole state is passed, the tensors by name, or none for zeros.

    Args:
        walk: the walk over `layers:`.
        scope: where the node stands, whose names the states are given by.
        written: the value of `initial_state`.
        body: the nodes inside.
        name: the full id of the node, which the ids inside begin with.
    """
    if written is None or not is_written(written):
        return ()
    levels = {body.name_inside(node.id): node for node in body.recurrent}
    if any(identity.startswith(body.prefix) for identity in body.broken):
        return ()  # Those that could not be read may be meant.
    if not levels:
        message, help = f"no node inside {name} has a state", "remove initial_state"
        walk.report.error(message, written.span, help=help, code="state")
        return ()
    if not isinstance(written, Mapping):
        state = read_state(written, walk, scope)
        if state is not None and len(levels) > 1:
            message = f"{len(levels)} nodes inside {name} have a state, and {plain(written)} could be for any of them"
            help = f"write initial_state: {{{', '.join(f'{level}: …' for level in levels)}}}"
            walk.report.error(message, written.span, help=help, code="state")
        return (state,) if state is not None and len(levels) == 1 else ()
    states: dict[str, InitialState | None] = {}
    sound = True
    for entry in written.entries:
        level = _level(walk, scope, entry, levels, name)
        nothing = isinstance(entry.value, Scalar) and entry.value.value in (None, "none")
        state = None if nothing else read_state(entry.value, walk, scope)
        sound = sound and level is not None and (nothing or state is not None)
        states[level or ""] = state
    missing = [level for level in levels if level not in states]
    if missing and sound:
        message = f"initial_state does not say what {', '.join(missing)} start{'s' if len(missing) == 1 else ''} from"
        help = f"write {missing[0]}: and a node with a state, or none to start from zeros"
        walk.report.error(message, written.span, help=help, code="state")
        sound = False
    return tuple(states[level] for level in levels) if sound else ()


def _level(walk: Walk, scope: Scope, entry: Entry, levels: dict[str, NodeSpec], name: str) -> str | None:
    """The recurrent node inside that an entry names, as `cell` or, in a block inside, `block.cell`."""
    key = substitute(entry.key, scope.values, walk.report)
    level = str(getattr(key, "value", "")).replace(".", "_")
    if level in levels and levels[level].named:
        return level
    named = [each for each, node in levels.items() if node.named]
    help = did_you_mean(entry.name, named) or (f"choose from {', '.join(named)}" if named else "give it an id")
    message = f"no node with a state inside {name} is called {entry.name}"
    walk.report.error(message, entry.key.span, help=help, code="state")
    return None
