"""The table of losses in `docs/losses.md` is what the catalogue says; every loss declared there has a Keras class."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.catalog.losses import LOSSES, SIGNATURES, own_loss
from specbuild.model import objects
from specbuild.model.backend import keras
from tests.tools import tool

ROOT = Path(__file__).parent.parent
loss_docs = tool("loss_docs")


def test_the_page_is_fresh() -> None:
    assert loss_docs.PAGE.read_text("utf-8") == loss_docs.page(), "run python tools/loss_docs.py --write"


@pytest.mark.parametrize("name", LOSSES)
def test_a_declared_loss_is_a_keras_class_with_its_arguments(name: str) -> None:
    declared = LOSSES[name]
    cls = objects.LOSS_CLASSES[name]
    assert keras.saving.get_registered_object(f"specbuild>{name}") is cls
    loss = cls(**{argument: [1.0, 2.0] for argument in declared.required})
    config = loss.get_config()
    assert {*declared.arguments} == {*config} - {"name", "space", "edges"}
    assert {argument: config[argument] for argument in declared.optional} == declared.optional
    assert ("edges" in config) == (declared.physical is not None)
    with pytest.raises(TypeError, match=f"{name} takes"):
        cls(sharpnes=1)


def test_names_stand_for_declared_losses() -> None:
    for cls, declared in LOSSES.items():
        assert all(own_loss(name) is declared for name in (cls, *declared.names))
    assert len(SIGNATURES) == sum(1 + len(declared.names) for declared in LOSSES.values())
    assert own_loss("mse") is None
