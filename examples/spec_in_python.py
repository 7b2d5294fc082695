"""Write a spec as a Python dict, for programs that generate specs: same language, same checks.

    python examples/spec_in_python.py

This generates encoder-decoders of any depth, builds one, prints it as YAML, and shows the error for a mistake.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from specbuild import SpecError, build_graph, build_model, load_spec


def encoder_decoder(levels: list[int], past: int, future: int) -> dict[str, Any]:
    """Return a ConvLSTM encoder-decoder with one level per number of filters, and states passed level by level."""
    names = [f"{number + 1}" for number in range(len(levels))]
    encoder = [{"id": f"enc{n}", "layer": "ConvLSTM2D", "filters": f} for n, f in zip(names, levels, strict=True)]
    decoder = [{**node, "id": f"dec{n}", "initial_state": f"enc{n}"} for n, node in zip(names, encoder, strict=True)]
    return {
        "specbuild": 1,
        "name": "made-in-python",
        "defaults": {"ConvLSTM2D": {"kernel_size": 3, "padding": "same"}},
        "inputs": {"frames": [past, 32, 32, 1]},
        "layers": [
            *encoder,
            {"layer": "RepeatFrame", "from": f"enc{names[-1]}.last", "times": future},
            *reversed(decoder),
            {"id": "forecast", "time_distributed": {"layer": "Conv2D", "filters": 1, "kernel_size": 1}},
        ],
    }


def main() -> None:
    # One level or three: the mapping is data, so a loop can make it.
    for levels in ([8], [8, 16, 8]):
        graph = build_graph(encoder_decoder(levels, past=4, future=6))
        print(f"{levels}: {len(graph.nodes)} layers, {graph.parameters:,} parameters, output {graph.outputs[0].shape}")

    model = build_model(encoder_decoder([8], past=4, future=6))
    print("a forecast:", model.predict(np.zeros((2, 4, 32, 32, 1), "float32"), verbose=0).shape, "\n")

    # Any spec can be written down as YAML, with every variable and default carried out.
    print(load_spec(encoder_decoder([8], past=4, future=6)).resolved())

    # Mistakes are named as in a file.
    wrong = encoder_decoder([8], past=4, future=6)
    wrong["layers"][2]["filters"] = 12
    try:
        build_graph(wrong)
    except SpecError as error:
        print("with 12 filters in the decoder:", error)


if __name__ == "__main__":
    main()
