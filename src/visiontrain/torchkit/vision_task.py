"""What a task adds to the training and use of a framework's models: its data, its loss, its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from visiontrain.datasets.index import DatasetIndex
from visiontrain.hyperparameters.models import ModelOptions
from visiontrain.hyperparameters.optimizers import Start
from visiontrain.protocol.inference import ImagePrediction, PredictParams
from visiontrain.protocol.messages import TrainParams
from visiontrain.torchkit.evaluating import Batches
from visiontrain.torchkit.exported import ExportTask
from visiontrain.torchkit.framework import Built
from visiontrain.torchkit.learning import Batch, BatchSource, Learner
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.precision import Precision
from visiontrain.torchkit.transforms import Normalize
from visiontrain.worker.context import EvaluateContext

__all__ = ["Evaluated", "LoadedModel", "ModelInUse", "Setup", "VisionTask"]

B = TypeVar("B", bound=Batch)
O = TypeVar("O", bound=ModelOptions)  # noqa: E741 - an options class
O_co = TypeVar("O_co", bound=ModelOptions, covariant=True)
O_contra = TypeVar("O_contra", bound=ModelOptions, contravariant=True)


@dataclass(frozen=True)
class Setup(Generic[O_co]):
    """A training whose model is there.

    Args:
        params: The request.
        options: Its options, for the task.
        data: What is trained on.
        built: The model, on its device.
        normalize: Pixels to its input.
        device: The model's.
    """

    params: TrainParams
    options: O_co
    data: DatasetIndex
    built: Built
    normalize: Normalize
    device: torch.device


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint's model where it computes.

    Args:
        saved: What the checkpoint says.
        model: On its device, set to evaluation.
        normalize: Pixels to its input.
        device: The model's.
        precision: Of the forward pass.
        workers: Loader processes, or threads, at the most.
    """

    saved: SavedModel
    model: nn.Module
    normalize: Normalize
    device: torch.device
    precision: Precision
    workers: int


@dataclass(frozen=True)
class Evaluated(Generic[B]):
    """What an evaluation needs of a task.

    Args:
        learner: Gives the evaluation.
        batches: What is evaluated on.
        classes: From the data's classes to the model's.
    """

    learner: Learner[B]
    batches: Batches[B]
    classes: Callable[[B], B]


class ModelInUse(Protocol[B]):
    """A loaded model with what its task does with it. It is kept between requests."""

    def evaluated(self, context: EvaluateContext) -> Evaluated[B]:
        """Make ready for an evaluation.

        Raises:
            DatasetError: the data does not go with the model.
        """
        ...

    def predict(self, params: PredictParams) -> Iterable[ImagePrediction]:
        """What the model says of each image, in order.

        Raises:
            RunFailedError: memory has no room for a single image.
        """
        ...


class VisionTask(Protocol[O_contra, B]):
    """A task, whatever the framework: `visiontrain.torchkit.training.train` and `Inference` do the rest."""

    def check(self, data: DatasetIndex, options: O_contra) -> None:
        """Refuse data that is not of this task, and options that don't go with the data.

        Raises:
            DatasetError: the data is of another kind.
            SpecError: names the option, and what to do.
        """
        ...

    def metric(self, data: DatasetIndex, options: O_contra) -> str:
        """What picks the best epoch.

        Raises:
            SpecError: such data has no such metric.
        """
        ...

    def learning_rates(self, setup: Setup[O_contra]) -> Start | None:
        """Those that are usual with the task, the model and the optimizer; None: those usual with the optimizer."""
        ...

    def learner(self, setup: Setup[O_contra]) -> Learner[B]:
        """What is trained."""
        ...

    def trial(self, setup: Setup[O_contra], images: int) -> B:
        """A batch of so many images to try out what a step costs, as costly as one of the data's.

        Draws nothing from the global generators.
        """
        ...

    def loaders(self, setup: Setup[O_contra]) -> tuple[BatchSource[B], BatchSource[B]]:
        """Training and validation batches, of the size that the request has."""
        ...

    def metadata(self, setup: Setup[O_contra]) -> dict[str, Any]:
        """What else the use of a checkpoint needs, as plain values."""
        ...

    def use(self, loaded: LoadedModel) -> ModelInUse[B]:
        """A checkpoint's model in use."""
        ...

    def export(self, saved: SavedModel, reference: nn.Module, exportable: Callable[[], nn.Module]) -> ExportTask:
        """A checkpoint's model as it is exported.

        Args:
            saved: What the checkpoint says.
            reference: Its model in float32 on the CPU, set to evaluation.
            exportable: Gives the same model as exporters want it.

        Raises:
            ExportError: it can't be.
        """
        ...
