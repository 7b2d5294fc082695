"""A graph as Mermaid text, which GitHub, GitLab and many editors draw in Markdown."""

from __future__ import annotations

from specbuild.graph.drawing.colors import FILLS, STATE
from specbuild.graph.drawing.diagram import Box, Diagram, Edge


def mermaid(diagram: Diagram) -> str:
    """The text of a flowchart, without the fence around it. States that are passed on are dashed."""
    names = {box.id: f"n{index}" for index, box in enumerate(diagram.boxes)}
    families = dict.fromkeys(box.family for box in diagram.boxes)
    states = [str(index) for index, edge in enumerate(diagram.edges) if edge.state]
    lines = [
        "flowchart TD",
        *(f"  {names[box.id]}{_shape(box)}:::{box.family}" for box in diagram.boxes),
        *(f"  {names[edge.source]} {_arrow(edge)} {names[edge.target]}" for edge in diagram.edges),
        *(f"  classDef {family} fill:{FILLS[family]},stroke:#888,color:#222" for family in families),
        *([f"  linkStyle {','.join(states)} stroke:{STATE}"] if states else []),
    ]
    return "\n".join(lines) + "\n"


def _shape(box: Box) -> str:
    outputs = [f"→ {name}" for name in box.outputs]
    text = "<br/>".join(map(_escaped, filter(None, (box.id, box.layer, box.shape, box.state, *outputs))))
    return f'(["{text}"])' if box.family == "input" else f'["{text}"]'


def _arrow(edge: Edge) -> str:
    if edge.state:
        return f'-. "{edge.label}" .->'
    return f'-- "{edge.label}" -->' if edge.label else "-->"


def _escaped(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
