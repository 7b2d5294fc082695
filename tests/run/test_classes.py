"""Classifiers of clips: what is trained, and that its scores are those of scikit-learn."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from specbuild import Forecaster, predict, report, train
from specbuild.data.samples.clips import open_clips
from specbuild.document import RunError, SpecError
from specbuild.evaluation.classes import ClassScores, evaluate_classes, probabilities_of
from specbuild.evaluation.evaluate import evaluate
from specbuild.evaluation.tables import report_text
from specbuild.exporting.whole import whole
from specbuild.runs.trained import TrainedRun
from tests.data.pictures import write_frames
from tests.run.report_page import ReportPage

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def scores(pairs: list[tuple[int, int]]) -> ClassScores:
    counts = np.zeros((4, 4), int)
    for true, given_to in pairs:
        counts[true, given_to] += 1
    return ClassScores("test", "test", tuple("abcd"), tuple(tuple(row) for row in counts.tolist()), 0)


@settings(max_examples=40, deadline=None)
@given(LABELS)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    true, given_to = zip(*pairs, strict=True)
    found = scores(pairs)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(true, given_to, labels=range(4)))
    assert found.accuracy == pytest.approx(accuracy_score(true, given_to))
    assert found.macro_f1 == pytest.approx(f1_score(true, given_to, average="macro", zero_division=0))
    expected = precision_recall_fscore_support(true, given_to, labels=range(4), zero_division=np.nan)
    for label in range(4):
        ours = (found.precision(label), found.recall(label), found.f1(label), found.support[label])
        np.testing.assert_allclose(ours, [column[label] for column in expected])


def test_report() -> None:
    found = scores([(0, 0), (0, 0), (0, 1), (1, 1), (2, 0)])
    assert report_text(found).splitlines()[:16] == [
        "test: classes of the test split, 5 clips",
        "",
        "accuracy 60.0%, macro F1 0.444; always a: accuracy 60.0%",
        "",
        "| class | clips | precision | recall |    F1 |",
        "|-------|-------|-----------|--------|-------|",
        "| a     |     3 |     0.667 |  0.667 | 0.667 |",
        "| b     |     1 |     0.500 |  1.000 | 0.667 |",
        "| c     |     1 |         - |  0.000 | 0.000 |",
        "| d     |     0 |         - |      - |     - |",
        "",
        "Clips by true class (down) and predicted class (across)",
        "",
        "| true | a | b | c | d |",
        "|------|---|---|---|---|",
        "| a    | 2 | 1 | 0 | 0 |",
    ]
    assert found.to_csv().splitlines()[3] == "c,1,,0.0,0.0,1,0,0,0"


SPEC = """
specbuild: 1
name: brightness
inputs: {clip: [3, 8, 8, 1]}
layers:
  - {id: frames, time_distributed: {layer: GlobalAveragePooling2D}}
  - {layer: GlobalAveragePooling1D}
  - {layer: Dense, units: 8, activation: tanh}
  - {id: class, layer: Dense, units: 3, activation: softmax}
data:
  source: {path: clips, layout: N T H W}
  target: class
  windows: {past: 3}
  split: {train: 0.6, validation: 0.2, test: 0.2}
  transform: [standardize]
train: {optimizer: {name: Adam, learning_rate: 5e-2}, loss: sparse_categorical_crossentropy, metrics: [accuracy],
        epochs: 8, batch_size: 8, seed: 1}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classes")
    random = np.random.default_rng(0)
    for name, mean in (("bright", 200), ("dark", 30), ("grey", 110)):
        for clip in range(15):
            frames = np.clip(random.normal(mean, 20, (4, 8, 8)), 0, 255).astype(np.uint8)
            write_frames(folder / "clips" / name / str(clip), frames)
    (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
    return train(folder / "spec.yaml", out=folder / "runs", quiet=True).path


def test_a_classifier_is_trained_and_scored(run: Path) -> None:
    found = json.loads((run / "scores.json").read_text())
    assert found["clips"] == 9
    assert found["accuracy"] > 0.9 > 0.5 > found["baseline_accuracy"]
    assert [one["class"] for one in found["classes"]] == ["bright", "dark", "grey"]
    assert sum(map(sum, found["confusion"]["counts"])) == 9
    for name in ("scores.csv", "confusion.png", "loss.png", "model.keras"):
        assert (run / name).stat().st_size > 0


def test_accuracy_is_that_of_classes(run: Path) -> None:
    history = (run / "history.csv").read_text().splitlines()
    last = dict(zip(history[0].split(","), history[-1].split(","), strict=True))
    assert float(last["accuracy"]) > 0.9
    assert float(last["val_accuracy"]) > 0.9


def test_a_report_of_a_classifier_has_its_confusion_matrix(run: Path, tmp_path: Path) -> None:
    page = ReportPage(report(run, tmp_path / "r.html"))
    assert "Of 9 clips in the test split," in page.text
    assert "Clips by true class (rows) and predicted class (columns)" in page.text
    assert {"bright", "dark", "grey"} <= set(page.of("th"))
    assert "Clips of each class" in page.text
    assert page.text.count("Correct; true and predicted: ") + page.text.count("Wrong; true: ") == 6
    assert "All 9 clips of the test split were classified for this report." in page.text
    names = [f"The {place} frame of " for place in ("first", "middle", "last")]
    alts = [attributes["alt"] for tag, attributes in page.elements if tag == "img"]
    assert [sum(alt.startswith(name) for alt in alts) for name in names] == [6, 6, 6]
    assert "No forecasts" not in page.text
    assert (page.payload["scores"], page.payload["forecasts"]) == ([], [])
    assert "accuracy" in page.payload["curves"][0]["series"]


def test_probabilities_of_classes(run: Path) -> None:
    trained = TrainedRun.open(run)
    clips = open_clips(trained.spec, trained.graph)
    assert clips.names[0] == "bright/0"
    by_class = np.array([0.5, 0.3, 0.2], np.float32)
    assert probabilities_of(trained, clips, by_class) is by_class
    logits = TrainedRun.open(run, overrides=["train.loss={name: sparse_categorical_crossentropy, from_logits: true}"])
    found = probabilities_of(logits, clips, np.log(by_class) + 3)
    np.testing.assert_allclose(found, by_class, rtol=1e-6)
    one = replace(clips, code="yes or no")
    np.testing.assert_allclose(probabilities_of(logits, one, np.log([3.0])), [0.25, 0.75], rtol=1e-6)
    np.testing.assert_allclose(probabilities_of(trained, one, np.array([0.9])), [0.1, 0.9], rtol=1e-6)


def test_another_split(run: Path) -> None:
    found = evaluate(run, "validation")
    assert isinstance(found, ClassScores)
    assert found.clips == 9
    trained = TrainedRun.open(run)
    assert evaluate_classes(trained, "validation") == found
    assert whole(trained).graphs[0].outputs[0].channels == found.classes
    assert (run / "confusion-validation.png").exists()


def test_other_clips_are_scored_where_their_classes_are_the_same(run: Path) -> None:
    folder = run.parents[1]
    other = Path(shutil.copytree(folder / "clips", folder / "other"))
    shutil.rmtree(other / "grey" / "0")
    before = (run / "scores.json").read_bytes()
    found = evaluate(run, overrides=["data.source.path=other"])
    assert isinstance(found, ClassScores)
    assert report_text(found).splitlines()[0].endswith(" clips, of other data than those of the training")
    assert json.loads((run / "scores-on-other.json").read_text("utf-8"))["data"][0]["path"] == str(other)
    assert (run / "scores.json").read_bytes() == before
    (other / "grey").rename(other / "blinding")
    with pytest.raises(RunError) as error:
        evaluate(run, overrides=["data.source.path=other"])
    assert error.value.message == ("the classes are blinding, bright, dark, the run was trained on bright, dark, grey")


def test_forecasts_are_refused(run: Path) -> None:
    with pytest.raises(SpecError, match="the model gives classes of clips, this needs forecasts of frames"):
        predict(run)


def test_a_forecaster_is_refused(run: Path) -> None:
    with pytest.raises(RunError, match="gives classes of clips, not forecasts"):
        Forecaster(run)
