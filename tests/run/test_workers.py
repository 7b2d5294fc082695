"""Threads that prepare batches change when batches are ready, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specbuild.data import Dataset, open_data
from specbuild.document import RunError
from specbuild.facade import build_graph
from specbuild.language import load_spec
from specbuild.training import train
from specbuild.training.batches import Batches


def test_training_is_the_same_with_any_number_of_workers(plain: Path, tmp_path: Path) -> None:
    augment = "data.augment={flip: [height, width], rotate: true, noise: 0.1}"
    histories = [
        train(
            plain, overrides=[f"train.workers={workers}", "train.epochs=2", augment], out=tmp_path, quiet=True
        ).history
        for workers in (0, 1, 4)
    ]
    assert histories[0] == histories[1] == histories[2]


def test_epochs_follow_one_another_in_the_order_of_the_sampler(plain: Path) -> None:
    graph = build_graph(load_spec(plain, overrides=["data.crop=8", "inputs.rain=[2, 8, 8, 1]"]))
    sampler = open_data(graph.spec, graph).sampler("train", 4, seed=1)
    batches = Batches(sampler, 4, first_epoch=3)
    for number in (0, 1, len(sampler), 2 * len(sampler) + 1):
        epoch, index = divmod(number, len(sampler))
        np.testing.assert_array_equal(batches[number][0], sampler.batch(3 + epoch, index)[0])


def test_memory_that_runs_out_in_a_thread_ends_in_what_to_change(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Dataset, "_sample", fail)
    with pytest.raises(RunError, match="did not fit into memory with a batch size of 4, nor with any smaller one"):
        train(plain, overrides=["train.workers=2"], out=tmp_path, quiet=True)
