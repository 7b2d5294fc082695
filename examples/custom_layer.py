"""Use your own layer in a spec: a registered Keras class in a module named by the caller.

    python examples/custom_layer.py

On the command line: `specbuild summary spec.yaml --plugin my_layers`. A spec by itself never imports a module, so an
untrusted spec cannot run code.
"""

from __future__ import annotations

import numpy as np

from specbuild import SpecError, build_graph, build_model

SPEC = """\
specbuild: 1
name: gated
inputs: {frames: [4, 16, 16, 1]}
layers:
  - {id: rnn, layer: ConvLSTM2D, filters: 6, kernel_size: 3, padding: same}
  - {id: gate, layer: my_layers>Gate, from: rnn.last, start: 0.9}
  - {id: frame, layer: Conv2D, filters: 1, kernel_size: 1}
"""


def main() -> None:
    # Without the plugin the layer is unknown.
    try:
        build_graph(SPEC)
    except SpecError as error:
        print("without the plugin:", error, "\n")

    # my_layers.py stands beside this script. Shapes and weights of its layers come from Keras itself.
    graph = build_graph(SPEC, plugins=["my_layers"])
    gate = next(node for node in graph.nodes if node.id == "gate")
    print(f"with it: {gate.id} gives {gate.shape} and has {gate.parameters} parameters")

    # Its arguments are checked against its signature.
    try:
        build_graph(SPEC.replace("start: 0.9", "begin: 0.9"), plugins=["my_layers"])
    except SpecError as error:
        print("a misspelled argument:", error, "\n")

    model = build_model(graph)
    print("the gates start at", np.round(model.get_layer("gate").get_weights()[0], 2))


if __name__ == "__main__":
    main()
