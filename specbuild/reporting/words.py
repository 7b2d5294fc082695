"""Sentences of a report: what the model is, and whether it is better than the baselines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from specbuild.catalog import Recurrent, show
from specbuild.catalog.wrappers import innermost
from specbuild.data import Dataset
from specbuild.evaluation.forecast_scores import LEAST_BLOCKS
from specbuild.evaluation.result import Evaluation, Skill, hardest
from specbuild.graph import Graph
from specbuild.reporting.opened import ReportedRun


def about(run: ReportedRun) -> Iterator[str]:
    """Yield what a model reads and gives, and how large it is."""
    data, graph = run.trained.data, run.graph
    windows = data.windows
    frames = f"the last {windows.past} frames" if windows.past > 1 else "the last frame"
    if data.target is not None:
        yield f"Classifies clips from {windows.past} frames each."
    else:
        leads = [data.lead_label(lead * windows.step) for lead in (windows.lead + 1, windows.lead + windows.future)]
        future = f"{windows.future} frames, {leads[0]} to {leads[1]}," if windows.future > 1 else f"{leads[0]}"
        shown = run.dataset.labels.common_units if isinstance(run.dataset, Dataset) else data.units
        units = f" ({shown})" if shown else ""
        yield f"Forecasts {data.variable}{units} {future} from {frames}."
    if isinstance(graph, Graph):
        yield f"{_size(graph)}."


def when(run: ReportedRun) -> str:
    """Return when a run finished: `finished 2026-01-31 14:25 UTC after 10 epochs`; of an unfinished run, its state."""
    manifest = run.manifest
    if not manifest.get("finished"):
        return run.status.text.removeprefix("it is ")
    time = datetime.fromisoformat(manifest["finished"]).astimezone(UTC)
    epochs = manifest.get("epochs") or run.folder.finished
    return f"finished {time:%Y-%m-%d %H:%M} UTC after {epochs} epoch{'s' if epochs != 1 else ''}"


def read(run: ReportedRun) -> str:
    """Describe the frames that a run reads: `744 frames of 33 × 49, 1 h apart. Transform: standardize.`"""
    data = run.trained.data
    samples = run.clips if run.classifies else run.dataset
    if isinstance(samples, str):
        return ""
    source = samples.source
    size = " × ".join(map(str, source.space))
    least, most = min(source.lengths), max(source.lengths)
    frames = f"{most:,} frame{'s' if most != 1 else ''}" if least == most else f"{least:,} to {most:,} frames"
    events = f"{source.events:,} {'clips' if run.classifies else 'events'} of " if source.events > 1 else ""
    of_size = f" of {size}" if size else ""
    apart = f", {data.interval} apart" if data.interval else ""
    steps = ", ".join(step.name for step in data.transform)
    return f"{source.name}: {events}{frames}{of_size}{apart}. Transform: {steps or 'none'}."


def _size(graph: Graph) -> str:
    inputs = " and ".join(f"{port.id}, {show(port.shape)}" for port in graph.inputs)
    kinds = dict.fromkeys(
        type(innermost(node.layer)).__name__
        for node in graph.every_node
        if isinstance(innermost(node.layer), Recurrent)
    )
    recurrent = f"; recurrent: {', '.join(kinds)}" if kinds else "; no recurrent layer"
    count = len(graph.nodes)
    return f"{graph.parameters:,} parameters in {count} layer{'s' if count != 1 else ''}{recurrent}. Input: {inputs}"


def verdict(evaluation: Evaluation) -> Iterator[str]:
    """Yield how a model's squared error compares with that of the strongest baseline, over all and by lead time."""
    *leads, overall = evaluation.best()
    if overall is None:
        yield "No baseline can be compared with the model."
        return
    place = len(leads)
    yield _over_all(evaluation, overall, place)
    if len(leads) > 1:
        better, worse, unsure = (
            [evaluation.leads[at] for at, skill in enumerate(leads) if skill is not None and _sign(skill, at) == sign]
            for sign in (1, -1, 0)
        )
        parts = [
            f"{words} at {_listed(labels, evaluation.leads)}"
            for words, labels in (("better", better), ("worse", worse), ("no clear difference", unsure))
            if labels
        ]
        by_chance = "" if any(skill is not None and skill.intervals for skill in leads) else ", without intervals"
        yield f"Compared with the strongest baseline at each lead time{by_chance}: {'; '.join(parts)}."


def _over_all(evaluation: Evaluation, skill: Skill, place: int) -> str:
    value, interval = skill.all[place], skill.interval(place)
    over = f"that of {skill.baseline}, the strongest baseline"
    if not math.isfinite(value):
        return f"{skill.baseline} has zero error over all lead times, so skill is undefined."
    share = f"{abs(value):.0%}"
    amount = (
        f"{share} {'lower' if value > 0 else 'higher'} than {over}" if share != "0%" else f"about as large as {over}"
    )
    start = f"Over all lead times, the mean squared error of the model is {amount}"
    if interval is None:
        why = f"there are too few windows for an interval, which needs at least {LEAST_BLOCKS} blocks"
        return f"{start}. Whether this is chance is unknown{f': {why}' if evaluation.too_few_blocks else ''}."
    meaning = {
        1: "the model is better",
        -1: "the baseline is better",
        0: "the interval includes 0, so the difference may be chance",
    }[_sign(skill, place)]
    return f"{start} (skill {value:+.0%}, 95 % interval {interval.low:+.0%} to {interval.high:+.0%}): {meaning}."


def _sign(skill: Skill, place: int) -> int:
    """Return 1 where the model is better than a baseline, −1 where it is worse, 0 where that may be chance."""
    interval, value = skill.interval(place), skill.all[place]
    if interval is not None:
        return 1 if interval.low > 0 else -1 if interval.high < 0 else 0
    return 0 if math.isnan(value) or value == 0 else 1 if value > 0 else -1


def strongest(evaluation: Evaluation | None) -> str:
    """Return the baseline that leaves the least skill over all lead times; empty where none is known."""
    if evaluation is None or not evaluation.skills:
        return ""
    skill = hardest(evaluation.skills, len(evaluation.leads))
    return "" if skill is None else skill.baseline


def _listed(labels: Sequence[str], order: Sequence[str]) -> str:
    """Return lead times in words: `+2 min to +8 min`, where none between them is missing."""
    if len(labels) == len(order):
        return "every lead time"
    places = [order.index(label) for label in labels]
    if len(labels) > 2 and places == list(range(places[0], places[-1] + 1)):
        return f"{labels[0]} to {labels[-1]}"
    return ", ".join(labels)
