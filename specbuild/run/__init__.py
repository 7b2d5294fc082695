"""The run stage: training into a run folder, scores, forecasts and pictures. Frameworks load with the first use."""

from specbuild.run.evaluate import evaluate
from specbuild.run.forecaster import Forecaster
from specbuild.run.predict import predict
from specbuild.run.train import Interrupted, Run, train

__all__ = ["Forecaster", "Interrupted", "Run", "evaluate", "predict", "train"]
