"""Callbacks of Keras that a spec does not name, and what to write instead."""

_IN_PYTHON = "it takes functions: give it in Python, train(spec, callbacks=[…])"
_SAVED = "specbuild saves the state of training itself: see train.checkpoints"
INSTEAD: dict[str, str] = {
    "BackupAndRestore": _SAVED,
    "CSVLogger": "specbuild always writes history.csv and history.jsonl; see train.loggers for others",
    "EarlyStopping": "write train.early_stopping",
    "History": "specbuild always writes history.csv and history.jsonl",
    "LambdaCallback": _IN_PYTHON,
    "LearningRateScheduler": f"write a schedule as the learning_rate of train.optimizer; {_IN_PYTHON}",
    "ModelCheckpoint": _SAVED,
    "OrbaxCheckpoint": _SAVED,
    "ProgbarLogger": "specbuild shows the progress itself",
    "SwapEMAWeights": "write use_ema: true in the optimizer; validation and the saved model then use the averages",
    "TensorBoard": "write train.loggers: [tensorboard]",
    "TerminateOnNaN": "specbuild ends every training whose loss is not finite",
}
"""By class."""
