"""Whether the scores that a spec asks for fit its data, as far as the layout tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specbuild.document import Report
from specbuild.language.sections.evaluate import NEED_PICTURES

if TYPE_CHECKING:
    from specbuild.language import Spec


def check_scores(spec: Spec, report: Report) -> None:
    """Reports a score that needs axes which the layout of the data does not have."""
    if spec.data is None or not spec.data.source.axes:
        return  # the file will tell
    layout, space, evaluate = " ".join(spec.data.source.axes), spec.data.source.space, spec.evaluate
    for position, name in enumerate(evaluate.scores):
        missing = "height and width" if name in NEED_PICTURES and len(space) < 2 else ""
        missing = missing or ("space" if name == "fss" and not space else "")
        if missing:
            path = ("evaluate", "scores", position)
            report.error(
                f"{name} is of frames with {missing}, and the layout {layout} has none",
                spec.span(path),
                path=path,
                code="score-and-data",
            )
    if evaluate.latitude_weights is True and "H" not in space:
        place = ("evaluate", "latitude_weights")
        report.error(
            f"rows of latitude are along H, and the layout {layout} has none",
            spec.span(place),
            path=place,
            help="leave latitude_weights out",
            code="score-and-data",
        )
