"""The text of a spec for files that were looked at: their data section, and a model that fits."""

from __future__ import annotations

import re
from typing import Any

from specbuild.catalog.shapes import show
from specbuild.data.proposal import CROPPED, Proposal
from specbuild.document.printable import one_line
from specbuild.language.resolved import inline

SCALES = {"mm/h": "[0.5, 2, 5]", "dBZ": "[20, 30, 40]"}
"""Thresholds for scores of events, by units."""
STEPS = 100
"""Most batches of an epoch."""


def spec_text(proposal: Proposal, name: str) -> str:
    """Return a spec that trains on the data."""
    rank = len(proposal.frames.space)
    sides = (proposal.crop,) * rank if proposal.crop else proposal.frames.space
    shape = ", ".join(["$past", *map(str, sides), str(proposal.frames.channels)])
    lines = [
        "specbuild: 1",
        f"name: {inline(name)}",
        f"vars: {{past: {proposal.window}, future: {proposal.window}, filters: 16}}",
        *([f"defaults: {{ConvLSTM{rank}D: {{kernel_size: 3, padding: same}}}}"] if rank else []),
        "",
        "inputs:",
        f"  frames: [{shape}]",
        "",
        "# An encoder and a decoder that forecast the change from the last frame: at first that is persistence.",
        "layers:",
        *_layers(rank, proposal.frames.channels),
        "",
        *_data(proposal),
        "",
        f"train: {{optimizer: {{name: Adam, learning_rate: 1e-3}}, loss: mse, {_epochs(proposal)}, batch_size: 8}}",
    ]
    thresholds = SCALES.get(proposal.frames.metadata.units)
    return "\n".join([*lines, *([f"evaluate: {{thresholds: {thresholds}}}"] if thresholds else []), ""])


def said(proposal: Proposal) -> str:
    """Return what was found, in a line or two."""
    frames = proposal.frames
    events = f"{frames.events} events of " if frames.events > 1 else ""
    size = f" of {show(frames.space)}" if frames.space else ""
    apart = f", {proposal.interval} apart" if proposal.interval else ", without times"
    channels = f", {frames.channels} channels" if frames.channels > 1 else ""
    units = f" {frames.metadata.units}" if frames.metadata.units else ""
    missing = f"; {100 * proposal.share_missing:.1f} % missing" if proposal.share_missing else ""
    values = f"values from {proposal.least:g} to {proposal.greatest:g}{units}{missing}"
    return one_line(f"{frames.name}: {events}{frames.length:,} frames{size}{channels}{apart}; {values}")


def _layers(rank: int, channels: int) -> list[str]:
    if rank:
        cell = f"layer: ConvLSTM{rank}D, filters: $filters"
        head = f"layer: Conv{rank}D, filters: {channels}, kernel_size: 3, padding: same, kernel_initializer: zeros"
    else:
        cell = "layer: LSTM, units: $filters, return_sequences: true"
        head = f"layer: Dense, units: {channels}, kernel_initializer: zeros"
    return [
        f"  - {{id: encoder, {cell}}}",
        "  - {layer: RepeatFrame, from: encoder.last, times: $future}",
        f"  - {{id: decoder, {cell}, initial_state: encoder}}",
        f"  - {{id: change, time_distributed: {{{head}}}}}",
        "  - {layer: LastFrame, from: frames}",
        "  - {id: persistence, layer: RepeatFrame, times: $future}",
        "  - {id: forecast, layer: Add, from: [persistence, change]}",
    ]


def _data(proposal: Proposal) -> list[str]:
    frames, remarks = proposal.frames, proposal.remarks
    metadata = frames.metadata
    source = [f"    {key}: {_value(value)}{_remark(remarks, key)}" for key, value in proposal.source.items()]
    variable = metadata.keys[0].rpartition("/")[2] if len(metadata.keys) == 1 else ""
    variable = "" if variable in ("data", "image_data") else variable
    optional = {
        "variable": variable,
        "units": metadata.units,
        "interval": proposal.interval,
        "missing": proposal.missing,
        "crop": proposal.crop,
    }
    remarks.setdefault("crop", f"parts of {CROPPED} × {CROPPED} in training, tiles of the whole frame otherwise")
    keys = [
        f"  {key}: {_value(value)}{_remark(remarks, key)}" for key, value in optional.items() if value not in ("", None)
    ]
    steps = f"  transform: [{', '.join(proposal.transform)}]"
    split = "  split: {by: event, train: 0.6, validation: 0.2, test: 0.2}"
    if frames.events < 5:
        split = f"  split: {{{'by: time, ' if frames.events > 1 else ''}train: 0.6, validation: 0.2, test: 0.2}}"
    return ["data:", "  source:", *source, *keys, "  windows: {past: $past, future: $future}", split, steps]


def _epochs(proposal: Proposal) -> str:
    """Return the number of epochs, and of steps in each where all windows of training would make it long."""
    return f"epochs: 10{f', steps_per_epoch: {STEPS}' if 0.6 * sum(proposal.frames.lengths) > 8 * STEPS else ''}"


def _remark(remarks: dict[str, str], key: str) -> str:
    return f"   # {remarks[key]}" if key in remarks else ""


def _value(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return inline(value)


def name_for(path: str) -> str:
    """Return a name for the spec of a path: that of its file or folder, without its suffix and wildcards."""
    last = re.split(r"[/\\]", path.split("?")[0].rstrip("/\\"))[-1]
    words = re.findall(r"[A-Za-z0-9]+", last.split(".")[0])
    return "-".join(words).lower() or "forecast"
