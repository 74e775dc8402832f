"""A trained classifier in use: out of its checkpoint, onto a device, and what evaluation and prediction do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visiontrain.protocol.inference import EvaluateResult, ExportResult, PredictParams, PredictResult
from visiontrain.torchkit.classifier_export import ClassifierExport
from visiontrain.torchkit.data import default_workers
from visiontrain.torchkit.device import resolve_device
from visiontrain.torchkit.evaluating import ClassMap, EvaluateSettings, SplitBatches, evaluate
from visiontrain.torchkit.exporting import export
from visiontrain.torchkit.loading import Kept, SavedModel, load_strictly, read_model, stamp_of
from visiontrain.torchkit.precision import Precision, resolve_precision
from visiontrain.torchkit.predicting import Scorer, classify_images
from visiontrain.torchkit.transforms import EvalTransform, Normalize
from visiontrain.worker.context import EvaluateContext, ExportContext
from visiontrain_timm.build import rebuild_model
from visiontrain_timm.classify import Classifier
from visiontrain_timm.multilabel import MultiLabelClassifier
from visiontrain_timm.options import TimmOptions

__all__ = ["FRAMEWORK", "Inference", "export_model", "load"]

FRAMEWORK = "timm"

_PACKAGES = ("timm", "torch")


def load(checkpoint: str, task: str) -> tuple[SavedModel, nn.Module]:
    """A checkpoint of ours and its model, in float32 on the CPU, set to evaluation.

    Raises:
        WeightsError: the file can't be read, or its model can't be built here.
    """
    saved = read_model(Path(checkpoint), framework=FRAMEWORK, task=task)
    model = rebuild_model(saved)
    load_strictly(model, saved)
    return saved, model


def export_model(context: ExportContext) -> ExportResult:
    """Write a checkpoint's model for other programs.

    Raises:
        ExportError: it can't be, or what was written gives something else than the model.
    """
    params = context.params
    saved, reference = load(params.checkpoint, params.task)

    def exportable() -> nn.Module:
        model = rebuild_model(saved, exportable=True)  # timm leaves out what exporters don't know
        load_strictly(model, saved)
        return model

    return export(context, ClassifierExport(saved, reference, exportable), packages=_PACKAGES)


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


class Inference:
    """Evaluates and predicts; keeps the model of the last request for the next one."""

    def __init__(self) -> None:
        self._kept: Kept[_Loaded] = Kept()

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

    def _load(self, checkpoint: str, task: str, device_name: str, given: Mapping[str, Any]) -> _Loaded:
        options = TimmOptions.from_params(given)
        device = resolve_device(device_name)
        precision = resolve_precision(options.precision, device)
        workers = default_workers(device) if options.workers is None else options.workers
        key = (*stamp_of(checkpoint), task, str(device), precision, options.channels_last, workers)

        def make() -> _Loaded:
            saved, model = load(checkpoint, task)
            model = model.to(device)
            if options.channels_last:
                model = model.to(memory_format=torch.channels_last)
            normalize = Normalize(saved.image, device, channels_last=options.channels_last)
            scorer = Scorer(model, normalize, device, precision, multi_label=saved.multi_label)
            return _Loaded(saved, model, normalize, scorer, device, precision, workers)

        return self._kept.get(key, make)
