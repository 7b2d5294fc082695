"""Forecasts of a trained model: from a record, a file or a running sensor, into files and pictures."""

from specbuild.prediction.forecaster import Forecaster
from specbuild.prediction.predict import predict

__all__ = ["Forecaster", "predict"]
