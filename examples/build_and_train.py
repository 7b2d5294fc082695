"""Train a model from a spec in Python: inspect the graph, build the model, train it, read the scores.

    python examples/build_and_train.py

This uses a smaller version of the shipped radar spec. Its data are shipped too, so nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from specbuild import build_graph, build_model, train

SPEC = Path(__file__).parent.parent / "specs" / "radar_convlstm.yaml"

# The same paths as on the command line: --set vars.filters=4.
SMALL = {
    "vars.size": 32,
    "vars.filters": 4,
    "train.epochs": 4,
    "train.steps_per_epoch": 10,
    "train.batch_size": 4,
    "train.precision": "float32",
}


def main() -> None:
    # The graph is known without any framework: every shape, state and cost.
    graph = build_graph(SPEC, overrides=SMALL)
    for node in graph.nodes:
        state = f"  state {node.state}" if node.state else ""
        print(f"{node.id:20} {node.layer.label:32} {node.shape!s:20} {node.parameters:7,}{state}")
    print(f"{graph.parameters:,} parameters, {(graph.flops or 0) / 1e6:.0f} million FLOPs for one sample\n")

    # The model is an ordinary keras.Model; its layers are called as in the spec.
    model = build_model(graph)
    frames = np.zeros((1, *graph.inputs[0].shape), "float32")
    print(f"{type(model).__name__}: {frames.shape} -> {model.predict(frames, verbose=0).shape}\n")

    # Training makes a run folder: spec, history, checkpoints, model, scores and pictures.
    run = train(SPEC, overrides=SMALL, out="runs", quiet=True)
    print("loss by epoch:", *(f"{epoch['loss']:.3f}" for epoch in run.history))
    if run.scores is not None:
        rmse = run.scores.of("model").column("RMSE").overall
        print(f"RMSE of {run.scores.variable}: {rmse:.3f} {run.scores.units} on the {run.scores.split} split")
        print(f"skill over persistence: {run.scores.skill()[-1]:.1%}")
    print(f"run folder: {run.path}")


if __name__ == "__main__":
    main()
