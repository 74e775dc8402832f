"""A trained classifier in use: out of its checkpoint, onto a device, and what is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from visiontrain.hyperparameters.classification import ClassificationOptions
from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.torchkit.classification.export import ClassifierExport
from visiontrain.torchkit.classification.framework import ClassifierFramework
from visiontrain.torchkit.classification.learner import Classifier
from visiontrain.torchkit.classification.multilabel import MultiLabelClassifier
from visiontrain.torchkit.data import default_workers
from visiontrain.torchkit.device import resolve_device
from visiontrain.torchkit.evaluating import ClassMap, EvaluateSettings, SplitBatches, evaluate
from visiontrain.torchkit.exporting import export
from visiontrain.torchkit.loading import Kept, SavedModel, load_strictly, read_model, stamp_of
from visiontrain.torchkit.precision import Precision, resolve_precision
from visiontrain.torchkit.predicting import Scorer, classify_images
from visiontrain.torchkit.transforms import EvalTransform, Normalize
from visiontrain.worker.context import EvaluateContext, ExportContext

__all__ = ["ClassifierInference"]

O = TypeVar("O", bound=ClassificationOptions)  # noqa: E741 - an options class


@dataclass(frozen=True)
class _Loaded:
    """A model where it computes."""

    saved: SavedModel
    model: nn.Module
    normalize: Normalize
    scorer: Scorer
    device: torch.device
    precision: Precision
    workers: int


class ClassifierInference(Generic[O]):
    """Evaluates, predicts and exports; keeps the model of the last request for the next one.

    Args:
        framework: How its models are built.
    """

    def __init__(self, framework: ClassifierFramework[O]) -> None:
        self._framework = framework
        self._kept: Kept[_Loaded] = Kept()

    def load(self, checkpoint: str, task: str) -> tuple[SavedModel, nn.Module]:
        """A checkpoint of ours and its model, in float32 on the CPU, set to evaluation.

        Raises:
            WeightsError: the file can't be read, or its model can't be built here.
        """
        saved = read_model(Path(checkpoint), framework=self._framework.name, task=task)
        model = self._framework.rebuild(saved)
        load_strictly(model, saved)
        self._framework.make_ready(model)
        return saved, model

    def evaluate(self, context: EvaluateContext) -> EvaluateResult:
        """The canonical metrics of a checkpoint on splits of a dataset."""
        params = context.params
        loaded = self._load(params.checkpoint, params.task, params.device, params.options)
        classes = ClassMap(context.dataset, loaded.saved)
        batches = SplitBatches(
            context.dataset,
            params.splits,
            EvalTransform(loaded.saved.image),
            batch_size=params.batch_size,
            workers=loaded.workers,
            device=loaded.device,
        )
        learner = (MultiLabelClassifier if loaded.saved.multi_label else Classifier)(
            loaded.model, loaded.saved.classes, loaded.normalize, loaded.device, label_smoothing=0.0
        )
        context.log(
            f"{loaded.saved.model}, epoch {loaded.saved.epoch}, on {batches.images} images of "
            f"{', '.join(params.splits)}: {loaded.precision} on {loaded.device}."
        )
        settings = EvaluateSettings(loaded.device, loaded.precision, loaded.saved.epoch)
        return evaluate(context, learner, batches, classes, settings)

    def predict(self, params: PredictParams) -> PredictResult:
        """Probabilities for each image."""
        loaded = self._load(params.checkpoint, params.task, params.device, params.options)
        saved = loaded.saved
        found = classify_images(
            params.images,
            EvalTransform(saved.image),
            loaded.scorer,
            batch_size=params.batch_size,
            threads=max(1, loaded.workers),
        )
        return PredictResult(saved.classes, saved.multi_label, found)

    def export(self, context: ExportContext) -> ExportResult:
        """Write a checkpoint's model for other programs.

        Raises:
            ExportError: it can't be, or what was written gives something else than the model.
        """
        params = context.params
        saved, reference = self.load(params.checkpoint, params.task)

        def exportable() -> nn.Module:
            model = self._framework.rebuild(saved, exportable=True)
            load_strictly(model, saved)
            self._framework.make_ready(model)
            return model

        packages = (self._framework.packages[0], "torch")
        return export(context, ClassifierExport(saved, reference, exportable), packages=packages)

    def _load(self, checkpoint: str, task: str, device_name: str, given: Mapping[str, Any]) -> _Loaded:
        options = self._framework.options.from_params(given)
        device = resolve_device(device_name)
        precision = resolve_precision(options.precision, device)
        workers = default_workers(device) if options.workers is None else options.workers
        key = (*stamp_of(checkpoint), task, str(device), precision, options.channels_last, workers)

        def make() -> _Loaded:
            saved, model = self.load(checkpoint, task)
            model = model.to(device)
            if options.channels_last:
                model = model.to(memory_format=torch.channels_last)
            normalize = Normalize(saved.image, device, channels_last=options.channels_last)
            scorer = Scorer(model, normalize, device, precision, multi_label=saved.multi_label)
            return _Loaded(saved, model, normalize, scorer, device, precision, workers)

        return self._kept.get(key, make)
