"""Import a saved Keras model as a spec, and rebuild the same model from the spec.

    python examples/import_keras_model.py

On the command line: `specbuild import model.keras`. No code in the file is run; an error names any layer that a spec
cannot express.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from specbuild import SpecError, build_model
from specbuild.model.backend import keras
from specbuild.model.importing import import_model

layers = keras.layers


def sequence_to_sequence() -> keras.Model:
    """Return an encoder-decoder as tutorials write it, with states passed by position."""
    past = keras.Input((4, 16, 16, 1), name="past")
    _, h, c = layers.ConvLSTM2D(8, 3, padding="same", return_state=True, name="encoder")(past)
    frames = layers.Reshape((1, 16, 16, 8), name="first")(h)
    frames = layers.UpSampling3D((6, 1, 1), name="repeated")(frames)
    frames = layers.ConvLSTM2D(8, 3, padding="same", return_sequences=True, name="decoder")(
        frames, initial_state=[h, c]
    )
    frames = layers.TimeDistributed(layers.Conv2D(1, 1, activation="relu"), name="forecast")(frames)
    return keras.Model(past, frames, name="seq2seq")


def main() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model = sequence_to_sequence()
        model.save(path)

        # The text has been loaded and compared before it is given.
        imported = import_model(path)
        print(imported.text)

        # The same layers in the same order: the weights of the file fit.
        again = build_model(imported.text)
        again.load_weights(path)
        frames = np.random.default_rng(0).normal(size=(2, 4, 16, 16, 1)).astype("float32")
        apart = np.abs(again.predict(frames, verbose=0) - model.predict(frames, verbose=0)).max()
        print(f"largest difference of the outputs: {apart:.0e}\n")

        # Python code has no words in a spec.
        x = keras.Input((4, 3))
        keras.Model(x, layers.Lambda(keras.ops.cumsum, name="running_sum")(x)).save(path)
        try:
            import_model(path)
        except SpecError as error:
            print(str(error).strip().replace(str(path), path.name))


if __name__ == "__main__":
    main()
