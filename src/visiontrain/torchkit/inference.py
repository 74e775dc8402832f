"""A trained model in use: out of its checkpoint, onto a device, and what is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from visiontrain.hyperparameters.models import ModelOptions
from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.data import default_workers
from visiontrain.torchkit.device import resolve_device
from visiontrain.torchkit.evaluating import EvaluateSettings, evaluate
from visiontrain.torchkit.exporting import export
from visiontrain.torchkit.framework import Framework
from visiontrain.torchkit.loading import Kept, SavedModel, load_strictly, read_model, stamp_of
from visiontrain.torchkit.precision import resolve_precision
from visiontrain.torchkit.training import task_of
from visiontrain.torchkit.transforms import Normalize
from visiontrain.torchkit.vision_task import LoadedModel, ModelInUse, VisionTask
from visiontrain.worker.context import EvaluateContext, ExportContext

__all__ = ["Inference"]

O = TypeVar("O", bound=ModelOptions)  # noqa: E741 - an options class


@dataclass(frozen=True)
class _Loaded:
    """A model where it computes, with what its task does with it."""

    model: LoadedModel
    use: ModelInUse[Any]


class Inference(Generic[O]):
    """Evaluates, predicts and exports; keeps the model of the last request for the next one.

    Args:
        framework: How its models are built.
        tasks: What they are trained for.
    """

    def __init__(self, framework: Framework[O], tasks: Mapping[Task, VisionTask[O, Any]]) -> None:
        self._framework, self._tasks = framework, tasks
        self._kept: Kept[_Loaded] = Kept()

    def load(self, checkpoint: str, task: str, options: O) -> tuple[SavedModel, nn.Module]:
        """A checkpoint of ours and its model, in float32 on the CPU, set to evaluation.

        Raises:
            WeightsError: the file can't be read, or its model can't be built here.
        """
        saved = read_model(Path(checkpoint), framework=self._framework.name, task=task)
        return saved, self._built(saved, options)

    def _built(self, saved: SavedModel, options: O, *, exportable: bool = False) -> nn.Module:
        model = self._framework.rebuild(saved, options, exportable=exportable)
        load_strictly(model, saved)
        self._framework.make_ready(model)
        return model

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """The canonical metrics of a checkpoint on splits of a dataset."""
        params = context.params
        loaded = self._load(params.checkpoint, params.task, params.device, params.options)
        saved = loaded.model.saved
        evaluated = loaded.use.evaluated(context)
        context.log(
            f"{saved.model}, epoch {saved.epoch}, on {evaluated.batches.images} images of "
            f"{', '.join(params.splits)}: {loaded.model.precision} on {loaded.model.device}."
        )
        settings = EvaluateSettings(loaded.model.device, loaded.model.precision, saved.epoch)
        return evaluate(context, evaluated.learner, evaluated.batches, evaluated.classes, settings)

    def predict(self, params: PredictParams) -> PredictResult:
        """What the model says of each image."""
        loaded = self._load(params.checkpoint, params.task, params.device, params.options)
        saved = loaded.model.saved
        return PredictResult(saved.classes, saved.multi_label, tuple(loaded.use.predict(params)))

    def export(self, context: ExportContext) -> ExportResult:
        """Write a checkpoint's model for other programs.

        Raises:
            ExportError: it can't be, or what was written gives something else than the model.
        """
        params = context.params
        task = task_of(params.task, self._framework, self._tasks)
        options = self._framework.options.from_params(params.options, Task(params.task))
        saved, reference = self.load(params.checkpoint, params.task, options)
        exported = task.export(saved, reference, lambda: self._built(saved, options, exportable=True))
        return export(context, exported, packages=(self._framework.packages[0], "torch"))

    def _load(self, checkpoint: str, task_name: str, device_name: str, given: Mapping[str, Any]) -> _Loaded:
        task = task_of(task_name, self._framework, self._tasks)
        options = self._framework.options.from_params(given, Task(task_name))
        device = resolve_device(device_name)
        precision = resolve_precision(options.precision, device)
        workers = default_workers(device) if options.workers is None else options.workers
        key = (*stamp_of(checkpoint), task_name, str(device), precision, options.channels_last, workers)

        def make() -> _Loaded:
            saved, model = self.load(checkpoint, task_name, options)
            model = model.to(device)
            if options.channels_last:
                model = model.to(memory_format=torch.channels_last)
            normalize = Normalize(saved.image, device, channels_last=options.channels_last)
            loaded = LoadedModel(saved, model, normalize, device, precision, workers)
            return _Loaded(loaded, task.use(loaded))

        return self._kept.get(key, make)
