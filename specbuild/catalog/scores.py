"""Scores of forecasts, declared once: everything except their computation.

The section `evaluate`, tables, pictures, JSON and `docs/scores.md` follow from these declarations. The formulas are in
`specbuild/evaluation/scores`, under the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, isnan, nan
from typing import Literal, TypeAlias

Units: TypeAlias = Literal["", "data", "data²", "dB"]
"""Units of a score: none, those of the data, those squared, or decibels."""
Computed: TypeAlias = Literal[
    "always",
    "with thresholds",
    "by name",
    "with latitudes",
    "with a distribution",
    "with a distribution and thresholds",
]
Need: TypeAlias = Literal["thresholds", "windows", "space", "height and width", "climatology"]
"""What a score reads: `evaluate.thresholds`, `evaluate.fss_windows`, frames with axes, the training mean."""


@dataclass(frozen=True, slots=True)
class Score:
    """One score.

    Attributes:
        title: its name in tables, pictures and files.
        formula: for the documentation, in Markdown.
        convention: what tables and files say of it, in ASCII. Braces stand for what an evaluation fills in.
        limits: the least and the greatest value it can take.
        best: the value of a perfect forecast; NaN where that is another score.
        units: those of its values.
        computed: when it is.
        needs: what it reads besides forecasts and observations.
        source: the paper or book that defines it.
    """

    title: str
    formula: str
    convention: str
    limits: tuple[float, float]
    best: float
    units: Units = ""
    computed: Computed = "by name"
    needs: tuple[Need, ...] = ()
    source: str = ""

    @property
    def direction(self) -> Literal[-1, 0, 1]:
        """1 where higher is better, -1 where lower is, 0 where the best value is between the limits."""
        if self.best not in self.limits:
            return 0
        return 1 if self.best == self.limits[1] else -1

    @property
    def of_distributions(self) -> bool:
        """Whether it is of forecasts that are distributions, or probabilities."""
        return self.computed.startswith("with a distribution")

    @property
    def better(self) -> str:
        """Which values are better, for the axis of a picture."""
        if isnan(self.best):
            return "best as large as the RMSE of the mean"
        return {1: "higher is better", -1: "lower is better", 0: f"{self.best:g} is best"}[self.direction]


SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
"""SSIM's Gaussian window in pixels: its σ, and its reach on each side of the center (cut at 3.5 σ)."""
SSIM_SIDE = 2 * SSIM_RADIUS + 1
_BELL = [exp(-0.5 * (at / SSIM_SIGMA) ** 2) for at in range(-SSIM_RADIUS, SSIM_RADIUS + 1)]
SSIM_WEIGHTS = tuple(value / sum(_BELL) for value in _BELL)
"""The weights of the window along an axis; their sum is 1."""

_WILKS = "Wilks (2011), section 8"


def _event(
    title: str, formula: str, convention: str, limits: tuple[float, float], best: float, source: str = f"{_WILKS}.2"
) -> Score:
    """A score of hits, misses, false alarms and correct negatives at each threshold."""
    return Score(
        title, formula, convention, limits, best, computed="with thresholds", needs=("thresholds",), source=source
    )


def _anomalies(title: str, formula: str, convention: str) -> Score:
    """A correlation of anomalies."""
    convention += "; anomalies from {climatology}{area}; pooled over windows"
    return Score(title, formula, convention, (-1, 1), 1, needs=("climatology",), source=f"{_WILKS}.6.4")


def _frame_sum(title: str, formula: str, cost: str, theirs: str, units: Units) -> Score:
    """A cost of the error that is summed over a frame; `theirs` is what OpenSTL calls it."""
    formula = f"Σ{formula} over the pixels and channels of a frame, mean over windows"
    convention = f"sum of {cost} over a frame's pixels and channels, mean over windows (OpenSTL's {theirs})"
    return Score(title, formula, f"{convention}; nothing clipped", (0, inf), 0, units)


SCORES: dict[str, Score] = {
    "mse": Score("MSE", "Σe² / n", "mean of e^2, e = forecast - observation", (0, inf), 0, "data²", "always"),
    "mae": Score("MAE", r"Σ\|e\| / n", "mean of |e|", (0, inf), 0, "data", "always"),
    "rmse": Score("RMSE", "√(Σe² / n)", "root of the mean of e^2 over all windows", (0, inf), 0, "data", "always"),
    "bias": Score("bias", "Σe / n", "mean of e; above 0 the forecast is too high", (-inf, inf), 0, "data", "always"),
    "csi": _event(
        "CSI",
        "critical success index H / (H + M + F)",
        "H / (H + M + F): hits, misses and false alarms in pixels, pooled over windows",
        (0, 1),
        1,
        source="Schaefer (1990), *Weather Forecast.* 5, 570",
    ),
    "pod": _event("POD", "probability of detection H / (H + M)", "H / (H + M)", (0, 1), 1),
    "far": _event("FAR", "false alarm ratio F / (H + F)", "F / (H + F)", (0, 1), 0),
    "frequency_bias": _event(
        "BIAS",
        "frequency bias (H + F) / (H + M); above 1 the event is forecast too often",
        "(H + F) / (H + M); above 1 the event is forecast too often",
        (0, inf),
        1,
    ),
    "hss": _event(
        "HSS",
        "Heidke skill score 2(HR − FM) / [(H + M)(M + R) + (H + F)(F + R)]; 0 is chance",
        "2(HR - FM) / [(H + M)(M + R) + (H + F)(F + R)]; R correct negatives; 0 is chance",
        (-1, 1),
        1,
        source="Heidke (1926), *Geogr. Ann.* 8, 301",
    ),
    "fss": Score(
        "FSS",
        "fractions skill score 1 − Σ(f − o)² / (Σf² + Σo²)",
        "1 - sum of (f - o)^2 / (sum of f^2 + sum of o^2), f and o the shares of event pixels in a square box around "
        "each pixel; outside of the frame and where a pixel is missing there is no event",
        (0, 1),
        1,
        needs=("thresholds", "windows", "space"),
        source="Roberts and Lean (2008), *Mon. Weather Rev.* 136, 78",
    ),
    "ssim": Score(
        "SSIM",
        "structural similarity, mean over frames",
        f"mean over frames; Gaussian window of sigma {SSIM_SIGMA}, {SSIM_SIDE} x {SSIM_SIDE} pixels; data range "
        "{range}; windows with a missing pixel left out",
        (-1, 1),
        1,
        needs=("height and width",),
        source="Wang et al. (2004), *IEEE Trans. Image Process.* 13, 600",
    ),
    "psnr": Score(
        "PSNR",
        "peak signal-to-noise ratio, mean over frames of −10 log₁₀(MSE / R²)",
        "mean over frames of -10 log10(MSE of the frame / range^2); data range {range}; infinite with a frame without "
        "error",
        (-inf, inf),
        inf,
        "dB",
    ),
    "correlation": Score(
        "correlation",
        "Pearson's, over all pixels, channels and windows at once",
        "Pearson's, over all pixels, channels and windows at once; it does not see a bias",
        (-1, 1),
        1,
    ),
    "acc": _anomalies("ACC", "anomaly correlation coefficient Σwf′o′ / √(Σwf′² Σwo′²)", "uncentred"),
    "acc_centred": _anomalies(
        "ACC (centred)", "the same of f′ and o′ less their weighted means", "centered on the mean anomalies"
    ),
    "mse_sum": _frame_sum("MSE (sum)", "e²", "e^2", "MSE of Moving MNIST", "data²"),
    "mae_sum": _frame_sum("MAE (sum)", r"\|e\|", "|e|", "MAE", "data"),
    "rmse_latitude": Score(
        "RMSE (latitude)",
        "√(Σwe² / Σw)",
        "root of the mean of e^2 with weights by cell area: sine of the northern less that of the southern edge of "
        "each row, mean 1",
        (0, inf),
        0,
        "data",
        computed="with latitudes",
    ),
    "crps": Score(
        "CRPS",
        "continuous ranked probability score ∫(F(x) − 1[x ≥ y])² dx; of one value its absolute error",
        "continuous ranked probability score, mean over pixels; of members the fair estimate, of quantiles twice the "
        "mean quantile score, each weighted by the probabilities nearest to it, of a Gaussian in closed form; of one "
        "value its absolute error",
        (0, inf),
        0,
        "data",
        computed="with a distribution",
        source="Gneiting and Raftery (2007), *J. Am. Stat. Assoc.* 102, 359; Ferro (2014), *Q. J. R. Meteorol. Soc.* "
        "140, 1917; Laio and Tamea (2007), *Hydrol. Earth Syst. Sci.* 11, 1267",
    ),
    "rmse_mean": Score(
        "RMSE of the mean",
        "√(Σ(x̄ − y)² / n), x̄ the mean of the distribution",
        "root of the mean squared error of the mean of the distribution",
        (0, inf),
        0,
        "data",
        computed="with a distribution",
    ),
    "spread": Score(
        "spread",
        "√(mean variance), of M members (M + 1) / M times their unbiased variance; as large as the RMSE of the mean if "
        "the spread is right",
        "root of the mean variance, of M members times (M + 1) / M; as large as the RMSE of the mean if it is right",
        (0, inf),
        nan,
        "data",
        computed="with a distribution",
        source="Fortin et al. (2014), *J. Hydrometeorol.* 15, 1708",
    ),
    "brier": Score(
        "Brier",
        "Brier score Σ(p − o)² / n of the probability p of a value at or above the threshold",
        "mean of (p - o)^2, p the forecast probability of the event, o 1 where it was observed and 0 elsewhere",
        (0, 1),
        0,
        computed="with a distribution and thresholds",
        needs=("thresholds",),
        source="Brier (1950), *Mon. Weather Rev.* 78, 1",
    ),
}
"""Every score by the name that a spec writes, in the order in which messages list them."""

PROBABILITIES = tuple(name for name, score in SCORES.items() if score.of_distributions)
"""The scores of distributions, computed where the model gives one."""
SELECTABLE = tuple(name for name, score in SCORES.items() if name not in PROBABILITIES and name != "rmse_latitude")
"""The scores that `evaluate.scores` may list; the others are computed with `evaluate.latitude_weights`, or where the
model gives a distribution."""
SHOWN_OF_EVENTS = ("brier", "csi", "pod", "far")
"""The scores that a terminal shows of an output that gives the probability of an event."""
SHOWN = ("rmse", "mae", "csi")
"""What a terminal always shows of the computed scores, in this order; then come those that a spec lists."""
CONVENTIONS = {"openstl": ("mse_sum", "mae_sum", "ssim", "psnr")}
"""The scores that `evaluate.convention` adds: what OpenSTL reports of Moving MNIST."""


def score_titled(title: str) -> Score:
    """Return the score that tables call `title`.

    Raises:
        KeyError: there is none.
    """
    return {score.title: score for score in SCORES.values()}[title]
