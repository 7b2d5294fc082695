"""From a spec to its samples: the data opened, checked against the model, and transforms fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.data.feeds.opened import Feeds, open_feeds, restored
from specbuild.data.samples.base import Samples
from specbuild.data.samples.dataset import Dataset, timed
from specbuild.data.samples.layout import SampleLayout, sample_layout
from specbuild.data.samples.leaks import check_leaks
from specbuild.data.samples.splits import open_splits
from specbuild.data.samples.views import check_views
from specbuild.data.sources import FrameSource, open_source
from specbuild.data.transforms.fit import fit_transform
from specbuild.data.transforms.pipeline import Transform
from specbuild.graph import Graph
from specbuild.language import Spec


def open_samples(spec: Spec, graph: Graph, *, transform: Mapping[str, Any] | None = None) -> Samples:
    """Open windows of frames or, with `target: class`, clips; fit the transform on those for training.

    Args:
        transform: the state of a transform fitted before (`Transform.state`), which is then used as it is.

    Raises:
        SpecError: no data section, or data that does not fit it, the model or each other.
        RunError: `transform` cannot be read, or does not fit.
    """
    if spec.data is None or spec.data.target is None:
        return open_data(spec, graph, transform=transform)
    from specbuild.data.samples.clips import open_clips

    return open_clips(spec, graph, transform=transform)


def open_data(spec: Spec, graph: Graph, *, transform: Mapping[str, Any] | None = None) -> Dataset:
    """Open the spec's data and fit its transform on the training frames.

    Args:
        transform: the state of a transform fitted before (`Transform.state`), which is then used as it is.

    Raises:
        SpecError: no data section, a file that does not fit it, splits without a window or with frames in common,
            frames that do not fit the model; located at the key to change.
        RunError: `transform` cannot be read, or does not fit.
    """
    section = spec.require_data()
    source = open_source(spec)
    feeds, layout = fed(spec, graph, source)
    splits = open_splits(spec, section, source)
    if transform is not None:
        fitted = Transform.from_state(transform)
        fitted.check_fits(section.transform, source.channels)
        feeds = restored(feeds, transform)
    else:
        check_leaks(spec, source, splits)
        train = splits["train"].stretches
        fitted = fit_transform(spec, section, source, train)
        feeds = {name: feed.fitted(train) for name, feed in feeds.items()}
    return Dataset(timed(section, source), source, splits, fitted, layout, feeds=feeds)


def fed(spec: Spec, graph: Graph, source: FrameSource) -> tuple[Feeds, SampleLayout]:
    """Return what the inputs of the model read, opened but not fitted, and how samples are laid out.

    Raises:
        SpecError: a source of an input cannot be read, or something does not fit the model.
    """
    section, feeds = spec.require_data(), open_feeds(spec, source)
    check_views(spec, source)
    channels = {name: feed.channels_of(section, source) for name, feed in feeds.items()}
    layout = sample_layout(spec, section, graph, source, channels)
    return {name: feed.laid_out(layout.inputs[name]) for name, feed in feeds.items()}, layout
