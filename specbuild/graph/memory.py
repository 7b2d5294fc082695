"""The memory that a training step needs, from the graph alone.

Lengths that the graph leaves open leave it unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from specbuild.catalog import size
from specbuild.catalog.optimizers import slots
from specbuild.graph.model import Graph, Node, total

IN_PASSING = 4
"""How many times the largest output of a layer the backward pass holds besides: gradients, and copies of them."""
LEAST, MOST = 0.2, 1.6
"""The least part of the activations that was measured to be held, and the most of all that depends on the samples.

Compilers join operations, so that some results are never stored. `docs/performance.md` has the measurements.
"""
NUMBER = 4
"""Bytes of a float32 number."""


@dataclass(frozen=True, slots=True)
class StepMemory:
    """The memory of a training step with `samples` samples, in bytes.

    `kept` is held from step to step: the weights and what the optimizer keeps of each. `gradients` are those of the
    weights, `batch` the inputs, targets and weights of a batch, `activations` what the forward pass leaves to the
    backward pass (`trained`: of that, those of layers with weights that are trained, and of layers behind them),
    `passing` what that holds besides while it computes the gradients of the largest layer.
    """

    samples: int
    kept: int
    gradients: int
    batch: int
    activations: int
    trained: int
    passing: int

    @property
    def bytes(self) -> int:
        """All of it: the prediction."""
        return self.kept + self.gradients + self.batch + self.activations + self.passing

    @property
    def least(self) -> int:
        """What a step takes at the least that was measured. Gradients may be used up one by one."""
        return self.kept + self.batch + int(LEAST * self.trained)

    @property
    def most(self) -> int:
        """What a step takes at the most that was measured."""
        copies = self.gradients  # of the weights, in the layout that a convolution wants
        return self.kept + self.gradients + copies + self.batch + int(MOST * (self.activations + self.passing))


def step_memory(graph: Graph, samples: int, *, bytes_per_number: int = NUMBER) -> StepMemory | None:
    """Return the memory that a training step with so many samples needs; None where a length is known at run time only.

    Args:
        graph: of the model.
        samples: in a batch.
        bytes_per_number: of the activations; 2 in bfloat16. Weights and batches are float32 in any case.
    """
    read = total(size(x.shape) for x in graph.inputs)
    given = total(size(output.shape) for output in graph.outputs)
    saved = total(node.saved for node in graph.nodes)
    outputs = [size(shape) for node in graph.nodes for shape in node.shapes.values()]
    if read is None or given is None or saved is None or None in outputs:
        return None
    trained = graph.trainable_parameters
    return StepMemory(
        samples=samples,
        kept=NUMBER * (graph.parameters + slots(graph.spec.train.optimizer) * trained),
        gradients=NUMBER * trained,
        batch=NUMBER * samples * (read + given),
        activations=bytes_per_number * samples * saved,
        trained=bytes_per_number * samples * sum(node.saved or 0 for node in _behind_trained_weights(graph)),
        passing=bytes_per_number * samples * IN_PASSING * max(filter(None, outputs), default=0),
    )


def _behind_trained_weights(graph: Graph) -> Iterator[Node]:
    """Yield the nodes that gradients pass through: those with weights that are trained, and what depends on them."""
    reached: set[str] = set()
    trained = {node.id for node in graph.nodes if node.trainable_parameters}
    for node in graph.nodes:
        read = {port.node for port in (*node.inputs, *node.initial_state)}
        if node.id in trained or node.shares in trained or read & reached:
            reached.add(node.id)
            yield node
