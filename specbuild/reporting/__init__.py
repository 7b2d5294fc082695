"""Reports: one HTML file that shows runs, their data, scores and forecasts, and loads nothing from anywhere."""

from specbuild.reporting.report import report

__all__ = ["report"]
