"""How weights move, and how long, as a recipe states it. Needs no torch; what is made of it is in `optimization.py`."""

from typing import Literal

from pydantic import Field

from polyreel.settings import Settings


class OptimizerSettings(Settings):
    """How weights move."""

    name: Literal["adam", "adamw"] = Field(default="adam", description="adamw decays weights apart from the gradient")
    learning_rate: float = Field(default=1e-4, gt=0, description="of everything but the text backbone")
    backbone_learning_rate: float | None = Field(default=None, gt=0, description="of the text backbone; None: the same")
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="a layer of the text backbone learns so many times as fast as the next above",
    )
    weight_decay: float = Field(default=0.0, ge=0, description="for adamw")
    max_gradient_norm: float | None = Field(default=None, gt=0, description="gradients are clipped to it; None: never")
    embeddings: Literal["dense", "lazy"] = Field(
        default="dense",
        description='"lazy": of the text backbone\'s table of pieces only the rows that occur in the batch are moved, '
        "moments and decay included",
    )


class ScheduleSettings(Settings):
    """How long, how fast, and how often it is checked."""

    epochs: int = Field(default=20, ge=1, description="passes over the training clips; unused where `steps` is set")
    steps: int | None = Field(default=None, ge=1, description="number of steps")
    learning_rate: Literal["exponential", "one-cycle", "constant"] = Field(
        default="exponential", description="exponential: x decay an epoch; one-cycle: linear up, cosine down to 0"
    )
    decay: float = Field(default=0.9, gt=0, le=1, description="factor an epoch, for exponential")
    warm_up: float = Field(default=0.1, ge=0, lt=1, description="share of the steps that rise, for one-cycle")
    keep: Literal["best", "last"] = Field(
        default="best", description="which weights become the model: those that validated best, or the last"
    )
    average_epochs: int = Field(
        default=0,
        ge=0,
        description="the mean of the weights at the ends of the last so many epochs is validated too, and becomes the "
        'model where it beats the best; with keep = "last" in any case',
    )
    validate_every_steps: int | None = Field(default=None, ge=1, description="None: once an epoch")
    patience: int | None = Field(default=None, ge=1, description="stop after so many validations without a better one")
