"""The memory that a training step needs, from the graph alone.

Lengths that the graph leaves open leave it unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from specbuild.catalog import size
from specbuild.catalog.optimizers import slots
from specbuild.graph.model import Graph, total

LEAST_KEPT = 0.3
"""The least part of the activations that was measured to be held."""
NUMBER = 4
"""Bytes of a float32 number."""


@dataclass(frozen=True, slots=True)
class StepMemory:
    """The memory of a training step with `samples` samples, in bytes.

    `kept` is held from step to step: the weights and what the optimizer keeps of each. `gradients` are those of the
    weights, `batch` the inputs, targets and weights of a batch, `activations` what the forward pass leaves to the
    backward pass.
    """

    samples: int
    kept: int
    gradients: int
    batch: int
    activations: int

    @property
    def bytes(self) -> int:
        """All of it: the prediction."""
        return self.kept + self.gradients + self.batch + self.activations

    @property
    def least(self) -> int:
        """What a step takes at least: not all that is kept for the backward pass need be there at once."""
        return self.kept + self.batch + int(LEAST_KEPT * self.activations)


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
    if read is None or given is None or saved is None:
        return None
    trained = graph.trainable_parameters
    return StepMemory(
        samples=samples,
        kept=NUMBER * (graph.parameters + slots(graph.spec.train.optimizer) * trained),
        gradients=NUMBER * trained,
        batch=NUMBER * samples * (read + given),
        activations=bytes_per_number * samples * saved,
    )
