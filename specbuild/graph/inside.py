"""The nodes that a node runs as a graph of their own: its spec, and its weights in those of the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from specbuild.catalog import Shape, Weight
from specbuild.graph.model import Graph
from specbuild.language import BodySpec, InputSection, InputSpec, NodeSpec, OutputSpec, Spec
from specbuild.language.sections.train import TrainSection


def spec_inside(
    node: NodeSpec, body: BodySpec, spec: Spec, inputs: Mapping[str, Shape], further: Iterable[OutputSpec] = ()
) -> Spec:
    """Return the nodes that a node runs as a spec of their own.

    Args:
        node: the node around them.
        body: the nodes, and the one that they end in, which gives the first output.
        spec: where the node stands.
        inputs: the shape of each input by its id, without the batch axis.
        further: the other outputs.
    """
    end = body.end
    return replace(
        spec,
        name=node.id,
        inputs=tuple(InputSpec(name, InputSection(shape=shape), end.span) for name, shape in inputs.items()),
        layers=body.nodes,
        outputs=(OutputSpec(end.id, end), *further),
        named_outputs=False,
        data=None,
        train=TrainSection(),
        broken=body.broken,
        ahead=(),
        composites=(),
    )


def weights_inside(graph: Graph) -> tuple[Weight, ...]:
    """Return the weights of a graph, in the order its nodes run, as the node that runs them calls them."""
    return tuple(replace(weight, name=f"{node.id}.{weight.name}") for node in graph.nodes for weight in node.weights)
