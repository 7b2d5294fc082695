"""`encoder_decoder`: recurrent levels that read, and recurrent levels that start from their states and forecast.

It comes to plain nodes alone: the encoder's, the decoder's with their initial states, what the decoder reads, and a
head. Unconditioned it is the forecaster of Shi et al. 2015 and 2017 (arXiv 1506.04214, 1706.03458).
"""

from __future__ import annotations

from dataclasses import replace

from specbuild.catalog.merging import Concatenate
from specbuild.document import Mapping, Node, Scalar, Sequence, did_you_mean, kind_of
from specbuild.language.forms.encoder_decoder.feed import Feed, feed_decoder, read_feed, without_input
from specbuild.language.forms.encoder_decoder.mirror import mirror
from specbuild.language.forms.encoder_decoder.remat import compute_anew
from specbuild.language.forms.encoder_decoder.states import (
    Coder,
    channel_axis,
    level_names,
    made,
    merged_states,
    pass_states,
)
from specbuild.language.forms.expansion import COMMON, Expansion, Path_
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.references import Reference
from specbuild.language.spec import is_written

KEYS = ("encoder", "decoder", "feed", "horizon", "states", "head", "head_input", "remat")
"""What stands inside `encoder_decoder:`."""
_NODES = ("encoder", "decoder", "head")


def encoder_decoder_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{encoder_decoder: {encoder: […], decoder: […], feed: none, horizon: 10, states: mirrored, head: […]}}`.

    Its id is its end; the ids inside are ids of the spec, and `id.<inner id>` besides.
    """
    walk.only(item, ("encoder_decoder", "trainable"), path, help=_inside)
    body, where = item.get("encoder_decoder"), (*path, "encoder_decoder")
    outer = walk.resolve(item, scope, path, leave=("encoder_decoder",))
    coder = _coder(walk, body, outer, scope, where)
    if coder is None:
        walk.fail(item, scope, path)
        return
    with walk.composite(outer, scope, path, open_start=True) as group:
        known = set(scope.names)
        if len(group.inputs) > 1:
            walk.no_previous = f"{coder.name} has several inputs, so its first node must say which it reads"
        coder.encoder = _nodes(coder, "encoder", scope)
        encoder_end = walk.previous
        feed = read_feed(coder, scope)
        if not coder.faulty and not coder.encoder_levels:
            _no_levels(coder)
        _decode(coder, feed, group, scope)
        ends = {"encoder": encoder_end, "decoder": walk.previous}
        _head(coder, scope)
        group.members.update({name: target for name, target in scope.names.items() if name not in known})
        for name, end in ends.items():
            group.members.setdefault(name, Group(end))


def _coder(walk: Expansion, body: Node | None, item: Mapping, scope: Scope, path: Path_) -> Coder | None:
    """The form's own keys, variables filled in; None where there is nothing to expand."""
    assert body is not None
    if not isinstance(body, Mapping):
        walk.report.error(
            f"encoder_decoder must be a mapping, got {kind_of(body)}",
            body.span,
            path=path,
            help="write encoder_decoder: {encoder: […], horizon: …}",
            code="wrong-type",
        )
        return None
    for entry in body.entries:
        if entry.name not in KEYS:
            walk.report.error(
                f'unknown key "{entry.name}"',
                entry.key.span,
                path=(*path, entry.name),
                help="it stands beside encoder_decoder: {…}, not inside"
                if entry.name in (*COMMON, "trainable")
                else did_you_mean(entry.name, KEYS) or f"an encoder_decoder has {', '.join(KEYS)}",
                code="unknown-key",
            )
    if not is_written(body.get("encoder")):
        walk.report.error(
            "an encoder_decoder needs an encoder",
            body.span,
            path=path,
            help="write encoder: and a list of nodes with a recurrent layer among them",
            code="missing-key",
        )
        return None
    decoder = body.get("decoder")
    lists = tuple(key for key in _NODES if key != "decoder" or not isinstance(decoder, Scalar))
    body = walk.resolve(body, scope, path, leave=lists)
    at = next(entry.key.span for entry in item.entries if entry.name == "encoder_decoder")
    named = item.get("id")
    name = str(named.value) if isinstance(named, Scalar) and isinstance(named.value, str) else ""
    prefix = f"{scope.prefix}{name or 'encoder_decoder'}"
    return Coder(walk, name or "the encoder_decoder", prefix, body, at, path)


def _nodes(coder: Coder, key: str, scope: Scope) -> slice:
    """Expands the nodes under a key; where they stand among all."""
    start = len(coder.walk.nodes)
    coder.walk.items(coder.body.get(key), scope, (*coder.path, key))
    return slice(start, len(coder.walk.nodes))


def _no_levels(coder: Coder) -> None:
    coder.walk.report.error(
        f"the encoder of {coder.name} has no recurrent layer",
        coder.key("encoder"),
        path=(*coder.path, "encoder"),
        reason="a decoder starts from the states of recurrent layers",
        help="add one, such as {layer: ConvLSTM2D, filters: 16, kernel_size: 3, padding: same}",
        code="levels",
    )


def _decode(coder: Coder, feed: Feed | None, group: Group, scope: Scope) -> None:
    """Adds what the decoder reads, and the decoder."""
    steps = None if coder.faulty or feed is None else feed_decoder(coder, feed, group, scope)
    merged = {} if coder.faulty else merged_states(coder, scope)
    coder.walk.previous = steps or coder.walk.lost(coder.at, scope)
    written = coder.body.get("decoder")
    if not is_written(written):
        written = None
    start = len(coder.walk.nodes)
    if isinstance(written, Sequence | Mapping):
        _nodes(coder, "decoder", scope)
    elif written is not None and not (isinstance(written, Scalar) and written.value == "mirrored"):
        _not_a_decoder(coder, written)
    elif not coder.faulty:
        mirror(coder, scope)
    coder.decoder = slice(start, len(coder.walk.nodes))
    if not coder.faulty and feed is not None and steps is not None:
        _every_step(coder)
        pass_states(coder, merged, scope)
        without_input(coder, feed, steps)
        compute_anew(coder)
    if coder.faulty:
        coder.walk.previous = coder.walk.lost(coder.at, scope)


def _not_a_decoder(coder: Coder, written: Node) -> None:
    if coder.walk.report.is_known(written.span):
        return
    got = f'"{written.value}"' if isinstance(written, Scalar) else kind_of(written)
    coder.walk.report.error(
        f"decoder: expected a list of nodes or mirrored, got {got}",
        written.span,
        path=(*coder.path, "decoder"),
        help="leave it out for the mirror image of the encoder",
        code="wrong-type",
    )


def _every_step(coder: Coder) -> None:
    """Inside a decoder a bare id is every step: that is what it gives."""
    levels = {node.id: node for node in coder.decoder_levels}
    for node in levels.values():
        if node.layer.return_sequences is False:  # type: ignore[attr-defined]  # levels are recurrent
            coder.walk.report.error(
                f"{node.id} gives only its last step, and a decoder gives every one",
                node.span("return_sequences"),
                path=(*node.path, "return_sequences"),
                help="leave return_sequences out: it follows from how the node is used",
                code="levels",
            )
            coder.walk.broken.add(node.id)

    def stepwise(source: Reference) -> Reference:
        return replace(source, port="sequence") if source.id in levels and source.port is None else source

    for index in range(coder.decoder.start, coder.decoder.stop):
        node = coder.walk.nodes[index]
        coder.walk.nodes[index] = replace(node, sources=tuple(stepwise(source) for source in node.sources))
    if coder.walk.previous is not None:
        coder.walk.previous = stepwise(coder.walk.previous)


def _head(coder: Coder, scope: Scope) -> None:
    """The nodes after the decoder, on its end or on the sequences of all its levels."""
    head, chosen = coder.body.get("head"), coder.body.get("head_input")
    if chosen is not None and is_written(chosen) and not coder.walk.report.is_known(chosen.span):
        word = chosen.value if isinstance(chosen, Scalar) else None
        if word not in ("all", "end"):
            got = f'"{word}"' if isinstance(word, str) else kind_of(chosen)
            coder.walk.report.error(
                f"head_input: expected end or all, got {got}",
                chosen.span,
                path=(*coder.path, "head_input"),
                help=did_you_mean(str(word), ("all", "end")) or "end: what the decoder ends in; all: all its levels",
                code="bad-value",
            )
        elif not is_written(head):
            coder.walk.report.error(
                "head_input says what the head reads, and there is no head",
                coder.key("head_input"),
                path=(*coder.path, "head_input"),
                help="write head: and a list of nodes, or leave head_input out",
                code="missing-key",
            )
        elif word == "all" and not coder.faulty:
            _all_levels(coder, chosen, scope)
    if is_written(head):
        _nodes(coder, "head", scope)


def _all_levels(coder: Coder, at: Node, scope: Scope) -> None:
    """The outputs of every level of the decoder, joined along their channels, the first level first."""
    levels = coder.decoder_levels
    sequences = tuple(Reference(node.id, "sequence", at.span, implied=True) for node in levels)
    if len(sequences) == 1:
        coder.walk.previous = sequences[0]
        return
    axis = channel_axis(levels[0].layer)
    layer = Concatenate(axis=axis + 1) if axis > 0 else Concatenate()
    advice = f"head_input: all joins {level_names(levels)}; give them frames of one size, or write head_input: end"
    node = made(coder, "levels", layer, sequences, at, scope, advice=advice, key="head_input")
    coder.walk.previous = Reference(node.id, None, at.span, implied=True)


def _inside(name: str) -> str:
    return "write it inside encoder_decoder: {…}" if name in KEYS else ""
