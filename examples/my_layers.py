"""A user-defined layer for custom_layer.py: an ordinary Keras class, registered under a package name."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="my_layers")
class Gate(keras.layers.Layer):
    """Multiply each channel by a learned number from 0 to 1: `(…, C)` → `(…, C)`."""

    def __init__(self, start: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        initializer = keras.initializers.Constant(self.start)
        self.opening = self.add_weight(shape=(input_shape[-1],), initializer=initializer, name="opening")

    def call(self, inputs: Any) -> Any:
        return inputs * keras.ops.clip(self.opening, 0, 1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start}
