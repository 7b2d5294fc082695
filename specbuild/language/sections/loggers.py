"""The loggers of `train.loggers`: where a run is reported to, besides its folder."""

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field

from specbuild.catalog.list_values import Each
from specbuild.catalog.values import Choice, Text, Value, error, written
from specbuild.document import did_you_mean
from specbuild.language.sections.base import Section


class TensorBoard(Section):
    """Event files in the folder `tensorboard` of the run; show them with `tensorboard --logdir runs`."""


class MLflow(Section):
    """A run on an MLflow server, or in a local database."""

    tracking_uri: Annotated[str, Text("the URI of a tracking server or of a database")] | None = Field(
        None,
        description="Server or database, such as https://host or sqlite:///mlflow.db. Default: MLFLOW_TRACKING_URI.",
        examples=["https://mlflow.example.org", "sqlite:///mlflow.db"],
    )
    experiment: Annotated[str, Text("the name of an experiment")] | None = Field(
        None,
        description="Experiment of the run, created if there is none. Default: the spec's name.",
    )


class Wandb(Section):
    """A run of Weights & Biases."""

    project: Annotated[str, Text("the name of a project")] | None = Field(
        None, description="Project to which the run belongs. Default: the spec's name."
    )
    entity: Annotated[str, Text("the name of a user or a team")] | None = Field(
        None, description="User or team that the project belongs to. Default: that of the login."
    )
    mode: Annotated[Literal["online", "offline"], Choice()] | None = Field(
        None,
        description="offline: into the run folder, for wandb sync. Default: WANDB_MODE, or online.",
    )


class Logger(Section):
    """One logger: its name, or a mapping of its name to its settings."""

    tensorboard: TensorBoard | None = Field(None, description="Event files for TensorBoard.")
    mlflow: MLflow | None = Field(None, description="An MLflow run.")
    wandb: Wandb | None = Field(None, description="A Weights & Biases run.")

    @property
    def name(self) -> str:
        """Which of the fields is given."""
        return next(iter(self.model_fields_set))

    @property
    def settings(self) -> Section:
        """The section of the logger's settings."""
        section: Section = getattr(self, self.name)
        return section


_KINDS: dict[str, type[Section]] = {name: get_args(field.annotation)[0] for name, field in Logger.model_fields.items()}
NAMES = tuple(_KINDS)


class _Logger(Value):
    """`tensorboard`, or `{mlflow: {experiment: nowcasts}}`."""

    words = f"{', '.join(NAMES[:-1])} or {NAMES[-1]}, or a mapping of one of them to its settings"

    def read(self, value: Any, expected: str = "") -> Logger:
        if isinstance(value, Logger):
            return value
        given = {value: {}} if isinstance(value, str) else value
        if not isinstance(given, dict) or len(given) != 1:
            raise self.mismatch(value, expected)
        (name,) = given
        if name not in NAMES:
            near = did_you_mean(str(name), NAMES)
            raise error("unknown_name", f"no logger is called {written(name)}; {near or f'known are {self.words}'}")
        return Logger.model_validate({name: {} if given[name] is None else given[name]})

    def schema(self) -> dict[str, Any]:
        settings = {name: {"anyOf": [kind.model_json_schema(), {"type": "null"}]} for name, kind in _KINDS.items()}
        mapping = {"type": "object", "properties": settings, "additionalProperties": False}
        return {"anyOf": [{"enum": list(NAMES)}, {**mapping, "minProperties": 1, "maxProperties": 1}]}


class _Loggers(Each):
    """Different loggers."""

    def read(self, value: Any, expected: str = "") -> tuple[Logger, ...]:
        loggers: tuple[Logger, ...] = super().read(value, expected)
        names = [logger.name for logger in loggers]
        if len(set(names)) < len(names):
            raise error("value", f"a logger is listed twice in {written(names)}")
        return loggers


Loggers: TypeAlias = Annotated[
    tuple[Logger, ...], _Loggers(_Logger(), "a list of loggers such as [tensorboard]", limit=len(NAMES))
]
"""`[tensorboard, {mlflow: {experiment: nowcasts}}]`."""
