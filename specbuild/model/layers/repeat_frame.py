"""One frame as every step of a sequence."""

from __future__ import annotations

from typing import Any

from specbuild.model.backend import keras


@keras.saving.register_keras_serializable(package="specbuild")
class RepeatFrame(keras.layers.Layer):  # type: ignore[misc]
    """Repeats its input along a new time axis, the first after the batch: `(N, …)` → `(N, times, …)`.

    Unlike `keras.layers.RepeatVector` it takes frames of any shape.
    """

    def __init__(self, times: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.times = times

    def call(self, inputs: Any) -> Any:
        return keras.ops.repeat(keras.ops.expand_dims(inputs, axis=1), self.times, axis=1)  # (N, times, …)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.times, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "times": self.times}
