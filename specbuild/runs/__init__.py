"""The run folder: the files of a training run, and opening a trained model."""
