"""The same code on JAX: the shipped specs, their states and a training run, in a process with the other backend."""

from __future__ import annotations

import pytest

from tests.backends import passes_on_jax

SELECTIONS = {
    "states": ["tests/model/test_states.py"],
    "cells": ["tests/model/test_recurrent.py", "-k", "equals or masked or goes_on or feedback_starts"],
    "feedback": ["tests/model/test_autoregressive.py", "-k", "noise or longer_horizon or outside_of_training"],
    "feedback with more": [
        *("tests/model/test_covariates.py", "tests/model/test_inner_states.py", "tests/model/test_feedback_decoder.py"),
        *("-k", "whole_numbers or none_starts_at_zero or head_may_read"),
    ],
    "shipped specs": ["tests/model/test_shipped.py", "-k", "radar_nowcast or next_frame or static_map"],
    "steps computed anew": ["tests/model/test_remat.py", "-k", "backwards"],
    "equations and splits": [
        "tests/model/test_equation.py",
        "tests/model/test_split.py",
        "-k",
        "numbers or spec or mask",
    ],
    "losses": [
        *("tests/model/test_losses.py", "tests/model/test_losses_likelihood.py"),
        *("-k", "ssim or csi or sum or balanced or likelihoods or gradients_are"),
    ],
    "members": ["tests/run/test_members.py", "-k", "normalization or distributions"],
    "training a cell": ["tests/run/test_cells.py", "-k", "resumed"],
    "a training run": [
        *("tests/run/test_train.py", "tests/run/test_resume.py", "tests/run/test_workers.py"),
        *("tests/run/test_inputs_and_outputs.py", "tests/run/test_callbacks.py", "-k"),
        "run_folder_holds_everything or again_and_again or any_number_of_workers or live_sensor or callback_that_fails",
    ],
}


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_on_jax(selection: list[str]) -> None:
    assert "skipped" not in passes_on_jax(*selection)
