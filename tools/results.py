"""Write `docs/results.md` from the `scores*.json` in the run folders of the shipped specs.

    specbuild train specs/radar_nowcast.yaml --out runs
    python tools/results.py runs/radar-nowcast-20260131-142501 runs/radar-half-hour-20260131-143011:horizon-3 …

A name after a colon is that of other scores in the folder: `scores-horizon-3.json`. Only the words around tables are
written by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from specbuild.catalog.scores import SCORES, SHOWN, score_titled
from specbuild.evaluation.forecast_scores import LEAST_BLOCKS

PAGE = Path(__file__).parent.parent / "docs" / "results.md"
HEAD = """# Scores of the shipped specs

Each spec was trained once, unchanged, on the data shipped with it, and scored on the test split, which is later than
all training frames, with an embargo between them. The score of the best baseline at that lead time is in parentheses;
it is the baseline over which the model has the least skill. Skill is 1 − MSE / MSE of the baseline: below 0 the
baseline is better. Its 95 % interval follows where there are enough windows. [Scores](scores.md) defines the scores.
`tools/results.py` writes this page from the run folders.

How the specs were chosen, on frames before the test split:

- `radar_nowcast`: about 60 settings of the motion and 25 networks were compared on frames 0 to 23, which end before the
  targets of the test begin. Most of the gain comes from estimating motion over the latest 24 minutes instead of the
  last four frames. The baseline `extrapolation` uses the same motion: its RMSE on the test fell from 0.501 to 0.475
  mm/h (pySTEPS's Lucas-Kanade extrapolation has 0.546). The model lowers the RMSE by another 1 %, and by 7 % at +2
  minutes, where it has learned which parts of a radar composite are updated late. Its RMSE is 7 % lower than with the
  motion of four frames; the goal was 10 %. Boosted trees on 20 features of the aligned frames, trained on the same 20
  frames, came 2 to 4 % below the motion of four frames. Of the networks compared, only the chosen one was scored on the
  test; earlier models and blurred extrapolations had been scored on it before. Trained unchanged on the record
  transposed and reversed in time, which was not used for any choice, the spec has 0.556 mm/h and extrapolation 0.566;
  it is better up to +10 minutes, and equal at +12.
- `radar_half_hour`: one network, scored once, with the motion of `radar_nowcast`. That motion was chosen on frames up
  to 23, which are inputs here and the first target. At +10 minutes the spec is no better than extrapolation.
- `era5_temperature`: about 20 regressions and 5 networks were compared within the training split. The test was scored
  twice: the first version was worse than the same hour yesterday from +6 h on, and the blend of the two was made after
  that.
- Three windows of one storm, or one week of one month, say little about other weather. Train the templates on
  your own records before relying on them.
"""


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    PAGE.write_text("\n".join([HEAD, *(section(argument) for argument in sys.argv[1:])]), encoding="utf-8")


def section(argument: str) -> str:
    """A run's part of the page."""
    folder, _, which = argument.partition(":")
    run = json.loads((Path(folder) / "run.json").read_text("utf-8"))
    scores = json.loads((Path(folder) / f"scores{'-' * bool(which)}{which}.json").read_text("utf-8"))
    model = scores["forecasts"][0]
    shown = [SCORES[name].title for name in (*SHOWN, "acc")]
    columns = [score for score in model["scores"] if score["score"] in shown]
    best = [*scores["skill over the best baseline"]["values"], scores["skill over the best baseline"]["overall"]]
    heads = [
        "lead time",
        *(title(column, scores["units"]) for column in columns),
        "best baseline",
        "skill over it",
    ]
    rows = [
        [
            lead,
            *(
                f"{number(cell(column, place))} ({number(cell(of(scores, skill['baseline'], column), place))})"
                for column in columns
            ),
            skill["baseline"],
            f"{100 * skill['value']:+.0f} %{interval(skill)}",
        ]
        for place, (lead, skill) in enumerate(zip([*model["leads"], "all"], best, strict=True))
    ]
    files = ", ".join(f"`{Path(file['path']).name}`" for file in run["data"])
    suffix = f" ({which.replace('-', ' ')})" if which else ""
    return "\n".join(
        [
            f"## {scores['name']}{suffix}",
            "",
            f"{scores['variable'].capitalize()} from {files}: {scores['windows']} test windows, seed {run['seed']}, "
            f"{run.get('epochs', '?')} epochs, {run['precision']} on {run['machine']['device']} with Keras "
            f"{run['versions']['keras']}.{sureness(scores)}",
            "",
            line(heads),
            line(["---", *["--:"] * len(columns), "---", "--:"]),
            *(line(row) for row in rows),
            "",
        ]
    )


def sureness(scores: dict[str, Any]) -> str:
    """A sentence on what the intervals of skill are of."""
    blocks = scores.get("intervals", {}).get("blocks", 0)
    if not blocks:
        return ""
    if blocks < LEAST_BLOCKS:
        return f" Too few windows for intervals: {blocks} independent block{'s' if blocks > 1 else ''} of windows."
    return f" Intervals are from {blocks} independent blocks of windows."


def interval(skill: dict[str, Any]) -> str:
    ends = skill.get("interval")
    return f" ({100 * ends[0]:+.0f} to {100 * ends[1]:+.0f})" if ends else ""


def of(scores: dict[str, Any], forecast: str, score: dict[str, Any]) -> dict[str, Any]:
    """The same score of another forecast."""
    table = next(table for table in scores["forecasts"] if table["forecast"] == forecast)
    keys = ("score", "threshold")
    return next(column for column in table["scores"] if all(column[key] == score[key] for key in keys))


def cell(score: dict[str, Any], place: int) -> float | None:
    return [*score["values"], score["overall"]][place]


def title(score: dict[str, Any], units: str) -> str:
    if score["threshold"] is not None:
        return f"{score['score']} ≥ {score['threshold']:g}"
    return f"{score['score']}, {units}" if score_titled(score["score"]).units == "data" and units else score["score"]


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
