"""Colours of the pictures: a quiet fill for each family of layers, one strong colour for states that are passed on."""

from __future__ import annotations

FILLS = {
    "input": "#e9e9e9",
    "recurrent": "#fde3cf",
    "convolution": "#d9e7f7",
    "dense": "#e3e0f5",
    "merging": "#dcefdc",
    "reshaping": "#eef1e4",
    "other": "#f5f5f5",
}
INK = "#222222"
MUTED = "#666666"
LINE = "#555555"
STATE = "#c2410c"
