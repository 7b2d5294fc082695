"""Pictures of a study: the value of each trial in turn, and how much each path matters. Imports Optuna."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from specbuild.tuning.result import short_names
from specbuild.tuning.storage import quietly

if TYPE_CHECKING:
    import optuna

HISTORY, IMPORTANCE = "history.png", "importance.png"


def draw(study: optuna.Study, folder: Path, monitor: str) -> tuple[str, ...]:
    """Write `history.png`, and `importance.png` where at least four trials are complete, not all with the same value.

    Returns:
        The names of the pictures that were written.
    """
    import optuna
    from matplotlib import rc_context
    from optuna.visualization import matplotlib as pictures

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if not complete:
        return ()
    with quietly(), rc_context():  # Optuna sets a style for all figures to come
        _save(pictures.plot_optimization_history(study, target_name=monitor), folder / HISTORY, "trial", monitor)
        if len({trial.value for trial in complete}) < 2 or len(complete) < 4:
            return (HISTORY,)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()  # others need scikit-learn
        axes = pictures.plot_param_importances(study, evaluator=evaluator, target_name=monitor)
        names = short_names([label.get_text() for label in axes.get_yticklabels()])
        axes.set_yticks(axes.get_yticks(), [names[label.get_text()] for label in axes.get_yticklabels()])
        _save(axes, folder / IMPORTANCE, f"importance for {monitor}", "")
    return HISTORY, IMPORTANCE


def _save(axes: Any, path: Path, across: str, up: str) -> None:
    from matplotlib import pyplot

    from specbuild.pictures import save_figure

    figure = axes.figure
    figure.set_size_inches(6.4, 3.8)
    axes.set_title("")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    figure.tight_layout()
    save_figure(figure, path)
    pyplot.close(figure)
