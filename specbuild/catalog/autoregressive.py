"""`autoregressive`: a stack of layers run over the past frames, and then on its own output, one frame at a time.

The node's form in the language brings the stack; the graph stage measures it and binds it here, so that shape, weights
and cost follow from the layers inside as they do for every other node.
"""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from specbuild.catalog.base import Layer
from specbuild.catalog.receptive_field import ReceptiveField
from specbuild.catalog.shapes import Dim, Shape, Weight
from specbuild.catalog.values import Choice, Flag, PositiveInt, PositiveNumber, Share, refuse


class Sampling(BaseModel):
    """Scheduled sampling (Bengio et al. 2015, arXiv 1506.03099): how often training reads the true frame.

    At iteration i, a feedback step of a sample reads the true frame with probability end + (start − end)·f(i), and the
    model's own forecast otherwise. f is max(0, 1 − i / steps) for linear, kⁱ for exponential, k / (k + exp(i / k)) for
    inverse_sigmoid and 1 for constant.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    schedule: Annotated[Literal["linear", "exponential", "inverse_sigmoid", "constant"], Choice()] = Field(
        "linear", description="How the probability decreases during training."
    )
    start: Share = Field(1.0, description="Probability of the true frame at the first iteration.")
    end: Share = Field(0.0, description="Probability of the true frame at the end.")
    steps: PositiveInt | None = Field(None, description="Iterations from start to end, for linear.")
    k: PositiveNumber | None = Field(
        None, description="Rate of the decay: below 1 for exponential, 1 or more for inverse_sigmoid."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wanted = {"linear": "steps", "exponential": "k", "inverse_sigmoid": "k"}.get(self.schedule)
        for name in ("steps", "k"):
            given = getattr(self, name) is not None
            if name == wanted and not given:
                refuse("sampling", f"a schedule that is {self.schedule} needs {name}")
            if name != wanted and given:
                refuse("sampling", f"{name} has no part in a schedule that is {self.schedule}")
        if self.schedule == "exponential" and not (self.k or 0) < 1:
            refuse("sampling", f"expected k below 1 for exponential, got {self.k:g}")
        if self.schedule == "inverse_sigmoid" and not (self.k or 0) >= 1:
            refuse("sampling", f"expected k of at least 1 for inverse_sigmoid, got {self.k:g}")
        if self.schedule == "constant" and "end" in self.model_fields_set:
            refuse("sampling", "end has no part in a schedule that is constant")
        return self


class MeasuredBody(Protocol):
    """The stack inside an autoregressive node, measured for inputs of any shapes.

    They are the frames `(P, *frame)`, then the covariates `(P + horizon − 1, *frame)`, then the static maps `(*frame)`.
    """

    @property
    def ranks(self) -> tuple[int, ...] | None:
        """Numbers of axes that the layers reading the frames accept."""

    def check(self, *inputs: Shape) -> None:
        """Refuse inputs that the stack does not accept.

        Raises:
            ShapeError: what does not fit.
        """

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        """Return the weights of every layer, in the order they run."""

    def flops(self, *inputs: Shape, horizon: int) -> Dim:
        """Return the operations for all past frames at once and for horizon − 1 single steps."""

    def saved_elements(self, *inputs: Shape, horizon: int, remat: bool) -> Dim:
        """Return how many numbers the backward pass needs; with `remat`, only those carried between steps."""

    def receptive_field(self, *inputs: Shape, horizon: int, every_step: bool) -> tuple[ReceptiveField, ...]:
        """Return what the last forecast frame depends on in each input, or with `every_step` each output in time."""

    def state_receptive_fields(self, *inputs: Shape, horizon: int) -> tuple[ReceptiveField, ...]:
        """Return what the last forecast frame depends on in each tensor of the states that the stack starts from."""


class Autoregressive(Layer):
    """`(P, *frame)` → `(horizon, *frame)`, or with `give: all` → `(P − 1 + horizon, *frame)`.

    The stack runs over all P frames at once, starting from zero states. Its last output is the first forecast frame;
    each further frame comes from one step on the previous forecast, with the states carried along.

    Further inputs are read beside the frames: covariates, of which step t reads frame t of P − 1 + horizon, then
    frames without a time axis, which every step reads.
    """

    horizon: PositiveInt = Field(description="Number of frames to forecast.")
    give: Annotated[Literal["horizon", "all"], Choice()] = Field(
        "horizon", description="Whether the output is only the forecast (horizon), or the output of every step (all)."
    )
    sampling: Sampling | None = Field(None, description="Scheduled sampling in training. Default: none.")
    remat: Flag = Field(
        False, description="Whether the backward pass recomputes each feedback step instead of storing it."
    )

    package: ClassVar[str] = "specbuild"
    keeps_rank = True

    _body: MeasuredBody | None = PrivateAttr(None)

    def bound(self, body: MeasuredBody) -> Self:
        """Return a copy of the node with its stack, from which its shapes and costs are computed."""
        copy = self.model_copy()
        copy._body = body
        return copy

    @property
    def body(self) -> MeasuredBody:
        """The stack.

        Raises:
            TypeError: none is bound; the graph stage does that.
        """
        if self._body is None:
            raise TypeError("an autoregressive node has no shapes before the graph stage binds its stack")
        return self._body

    @property
    def ranks(self) -> tuple[int, ...] | None:
        return None if self._body is None else self._body.ranks

    def check(self, *inputs: Shape) -> None:
        super().check(inputs[0])
        if len(inputs[0]) < 2:
            raise self.unfit("needs a sequence of frames", inputs[0], " (without the batch)")
        self.body.check(*inputs)

    def output_shape(self, *inputs: Shape) -> Shape:
        steps, *frame = inputs[0]
        every = None if steps is None else steps - 1 + self.horizon
        return (self.horizon if self.give == "horizon" else every, *frame)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        weights = self.body.weights(*inputs)
        return weights if self.trainable else tuple(replace(weight, trainable=False) for weight in weights)

    def flops(self, *inputs: Shape) -> Dim:
        return self.body.flops(*inputs, horizon=self.horizon)

    def saved_elements(self, *inputs: Shape) -> Dim:
        return self.body.saved_elements(*inputs, horizon=self.horizon, remat=self.remat)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return self.body.receptive_field(*inputs, horizon=self.horizon, every_step=self.give == "all")

    def state_receptive_fields(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """Return the receptive field in each tensor of the states that the stack starts from."""
        return self.body.state_receptive_fields(*inputs, horizon=self.horizon)

    def arguments(self) -> dict[str, Any]:
        """The node's own; the stack is built from the graph inside."""
        own = super().arguments()
        if self.sampling is not None:
            own["sampling"] = self.sampling.model_dump()
        return own
