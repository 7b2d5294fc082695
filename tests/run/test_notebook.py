"""What a notebook shows of a spec, a graph, a run and its scores, and scores as tables of pandas and xarray."""

from __future__ import annotations

import csv
import io
import math
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from specbuild import RunError, build_graph, load_spec
from specbuild.document.html import escaped, html_table
from specbuild.document.text_table import Column
from specbuild.training import Run

VOID = {"br", "img"}


class Page(HTMLParser):
    """The cells, captions and texts of a piece of HTML; every element must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: dict[str, list[str]] = {}
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes[tag] = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.open:
            self.words.setdefault(self.open[-1], []).append(text)


def test_a_table_escapes_what_comes_from_outside() -> None:
    page = Page(html_table([Column("<id>"), Column("n", number=True)], [["a & b", "1"], ["\x1b[2J", "2"]], "a\nb"))
    assert page.words["th"] == ["<id>", "n", "a & b", "\\x1b[2J"]
    assert page.words["td"] == ["1", "2"]
    assert page.words["caption"] == ["a", "b"]
    assert escaped('<script>"') == "&lt;script&gt;&quot;"


def test_a_spec_and_a_graph_show_themselves(trained: Run) -> None:
    spec = load_spec(trained.path / "spec.yaml")
    assert "".join(Page(spec._repr_html_()).words["pre"]) == spec.written
    page = Page(build_graph(spec)._repr_html_())
    assert page.words["caption"] == ["tiny nowcast"]
    assert {"enc", "dec", "forecast"} <= set(page.words["th"])
    assert page.attributes["svg"]["role"] == "img"
    assert any(text.startswith("Parameters: ") for text in page.words["p"])


def test_a_run_shows_its_loss_and_its_scores(trained: Run) -> None:
    page = Page(trained._repr_html_())
    assert str(page.attributes["img"]["src"]).startswith("data:image/png;base64,iVBOR")
    assert page.attributes["img"]["alt"] == "loss by epoch"
    assert page.words["p"][0] == f"{trained.path}: 3 epochs, the model is that of epoch {trained.best}"
    assert ": 1 epoch, the model" in replace(trained, history=trained.history[:1])._repr_html_()
    assert "RMSE, mm/h" in page.words["caption"]
    assert page.words["th"].count("+5 min") == len(page.words["caption"])


def test_a_run_folder_is_opened_as_the_run_that_train_returned(trained: Run) -> None:
    run = Run.open(trained.path)
    assert run.history == trained.history
    assert run.best == trained.best
    assert run.scores.to_csv() == trained.scores.to_csv()
    assert Page(run._repr_html_()).words["caption"] == Page(trained._repr_html_()).words["caption"]


def test_a_run_folder_without_scores_or_epochs_is_opened(trained: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.path, folder)
    (folder / "scores.json").unlink()
    (folder / "history.csv").unlink()
    run = Run.open(folder)
    assert run.scores is None
    assert run.history == ()
    (folder / "scores.json").write_text("{}", "utf-8")
    with pytest.raises(RunError, match=r"scores\.json is damaged"):
        Run.open(folder)


def test_scores_are_tables_of_pandas_and_xarray(trained: Run) -> None:
    scores = trained.scores
    frame = scores.to_pandas()
    rows = list(csv.DictReader(io.StringIO(scores.to_csv())))
    assert [*frame.columns] == [*rows[0]]
    assert len(frame) == len(rows)
    for (_, ours), theirs in zip(frame.iterrows(), rows, strict=True):
        assert (ours.forecast, ours.lead, ours.score) == (theirs["forecast"], theirs["lead"], theirs["score"])
        assert math.isnan(ours.value) if theirs["value"] == "" else ours.value == float(theirs["value"])
    data = scores.to_xarray()
    assert data.RMSE.dims == ("forecast", "lead")
    assert [*data.lead.values] == ["+5 min", "+10 min", "all"]
    assert data.RMSE.attrs["units"] == "mm/h"
    model = scores.of("model")
    np.testing.assert_array_equal(data.RMSE.sel(forecast="model"), model.column("RMSE").all)
    np.testing.assert_array_equal(data.CSI.sel(forecast="model", threshold=3.0), model.column("CSI", 3.0).all)
