"""Loggers: a run reported to TensorBoard, MLflow or Weights & Biases while it is trained.

Their packages are extras, imported when a run begins that names them.
"""
