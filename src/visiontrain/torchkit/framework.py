"""What a framework adds to the training and use of its models: how they are built, frozen and optimized."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from visiontrain.hyperparameters.models import ModelOptions
from visiontrain.protocol.messages import TrainParams
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.transforms import ImageConfig

__all__ = ["Built", "Framework"]

O = TypeVar("O", bound=ModelOptions)  # noqa: E741 - an options class


@dataclass(frozen=True)
class Built:
    """A model on the CPU, in float32.

    Args:
        model: From normalised images (batch, 3, height, width) to what the task's learner takes: of a classifier, a
            row of class scores an image.
        image: How it wants its images.
        recipe: What a checkpoint says of how it is built again, as plain values; see `Framework.rebuild`.
    """

    model: nn.Module
    image: ImageConfig
    recipe: dict[str, Any]


class Framework(Protocol[O]):
    """A framework's models, for `visiontrain.torchkit.training` and `visiontrain.torchkit.inference`."""

    @property
    def name(self) -> str:
        """The framework's, as its manifest has it."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose versions decide what a training gives, the framework's own first."""
        ...

    @property
    def options(self) -> type[O]:
        """Its options."""
        ...

    def build(self, params: TrainParams, options: O, classes: tuple[str, ...], log: Callable[[str], None]) -> Built:
        """The model with its first weights; of a run that goes on from a checkpoint with any.

        Args:
            params: Which model, for which task, at which image size, and where its first weights come from.
            options: The request's.
            classes: Class names by class index.
            log: Takes a sentence for the person.

        Raises:
            UnknownModelError: there is no such model.
            SpecError: the model can't take the image size or an option.
            WeightsError: the weights can't be had or don't fit.
        """
        ...

    def rebuild(self, saved: SavedModel, options: O, *, exportable: bool = False) -> nn.Module:
        """The model of a checkpoint, with random weights still; nothing is fetched.

        Args:
            saved: What the checkpoint says.
            options: Of the training that it is from.
            exportable: As exporters want it.

        Raises:
            WeightsError: this environment can't build it.
        """
        ...

    def make_ready(self, model: nn.Module) -> None:
        """Bring a rebuilt model whose weights are there into the form in which it is used; most are in it already."""
        ...

    def parameters_to_freeze(self, model: nn.Module, text: str) -> list[str]:
        """The parameters that the option ``freeze`` means.

        Raises:
            SpecError: it means nothing of this model, or all of it.
        """
        ...

    def optimizer(self, model: nn.Module, learning_rate: float, options: O) -> torch.optim.Optimizer:
        """The optimizer over the parameters that are not frozen.

        Raises:
            SpecError: an option can't be had with this model.
        """
        ...
