"""Build many models from one spec: a sweep over its variables, without a file for each.

    python examples/overrides.py

Overrides use the same paths as on the command line (--set vars.filters=16). They are applied before variables are
resolved, so everything computed from a variable changes too. Costs are computed without loading a framework.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from specbuild import SpecError, build_graph

SPEC = Path(__file__).parent.parent / "specs" / "radar_convlstm.yaml"


def main() -> None:
    print(f"{'filters':>7} {'future':>6} {'parameters':>10} {'GFLOPs':>7} {'memory':>8}")
    for filters, future in product((8, 16, 32), (6, 12)):
        graph = build_graph(SPEC, overrides={"vars.filters": filters, "vars.future": future})
        memory = graph.activation_bytes(batch=8) or 0
        print(
            f"{filters:7} {future:6} {graph.parameters:10,} {(graph.flops or 0) / 1e9:7.2f} {memory / 2**20:4.0f} MiB"
        )

    # Text works as well, and any layer can be named by its id.
    wider = build_graph(SPEC, overrides=["layers.enc1.kernel_size=5", "defaults.ConvLSTM2D.activation=relu"])
    enc1 = next(node for node in wider.nodes if node.id == "enc1")
    print(f"\nenc1 with a kernel of 5 x 5: {enc1.parameters:,} parameters")

    # A path that does not exist is a mistake, not a new key.
    try:
        build_graph(SPEC, overrides={"vars.filter": 64})
    except SpecError as error:
        print(error)


if __name__ == "__main__":
    main()
