"""What the catalogue says that an optimizer keeps of each weight is what Keras's keeps."""

from __future__ import annotations

import pytest

from specbuild.catalog.objects import keras_object
from specbuild.catalog.optimizers import slots
from specbuild.catalog.signatures import names
from specbuild.model.backend import keras
from specbuild.model.objects import to_keras

SIDE = 64
OPTIMIZERS = [name for name in names("optimizers") if name[0].isupper() and name != "LossScaleOptimizer"]
MORE = [{"name": "Adam", "amsgrad": True}, {"name": "SGD", "momentum": 0.5}, {"name": "RMSprop", "centered": True}]
MORE += [{"name": "Adam", "use_ema": True}, {"name": "SGD", "gradient_accumulation_steps": 2}]


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, *MORE], ids=str)
def test_slots_are_those_of_keras(optimizer: object) -> None:
    written = keras_object("optimizers", optimizer)
    made = to_keras(written, "optimizers")
    variable = keras.Variable(keras.ops.zeros((SIDE, SIDE)), name="kernel")
    made.build([variable])
    kept = sum(int(keras.ops.size(each)) for each in made.variables)
    assert round(kept / SIDE**2, 1) == slots(written)
