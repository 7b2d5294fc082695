"""Forecasts of a trained model: from a record, a file or a live sensor, to files and pictures."""

from specbuild.prediction.forecaster import Forecaster
from specbuild.prediction.predict import predict

__all__ = ["Forecaster", "predict"]
