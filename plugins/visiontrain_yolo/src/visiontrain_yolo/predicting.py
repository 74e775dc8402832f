"""Predictions of models that this plugin trained; the last one is kept for the next request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch

from visiontrain.protocol.inference import ImagePrediction, PredictParams, PredictResult
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.data import default_workers
from visiontrain.torchkit.device import resolve_device
from visiontrain.torchkit.loading import Kept, SavedModel, stamp_of
from visiontrain.torchkit.precision import resolve_precision
from visiontrain.torchkit.predicting import Scorer, Size, classify_images, predict_images
from visiontrain.torchkit.transforms import EvalTransform, Normalize
from visiontrain_yolo.build import stride_of
from visiontrain_yolo.classifying import ClassScores
from visiontrain_yolo.contradictions import refuse_for_model
from visiontrain_yolo.finding import Limits, ObjectFinder
from visiontrain_yolo.heads import for_inference
from visiontrain_yolo.inference import is_stretched, load, skeleton_of
from visiontrain_yolo.layout import place
from visiontrain_yolo.letterbox import Letterbox
from visiontrain_yolo.options import YoloOptions

__all__ = ["Inference"]


@dataclass(frozen=True)
class _Detector:
    """A detector where it computes."""

    saved: SavedModel
    letterbox: Letterbox
    finder: ObjectFinder


@dataclass(frozen=True)
class _Classifier:
    """Likewise."""

    saved: SavedModel
    scorer: Scorer


class Inference:
    """Predicts; keeps the model of the last request for the next one."""

    def __init__(self) -> None:
        self._kept: Kept[_Detector | _Classifier] = Kept()

    def predict(self, params: PredictParams) -> PredictResult:
        """What the model says of each image.

        Raises:
            WeightsError: the checkpoint can't be used.
            RunFailedError: memory has no room for a single image.
        """
        options = YoloOptions.from_params(params.options)
        loaded = self._load(params, options)
        saved = loaded.saved
        workers = default_workers(resolve_device(params.device)) if options.workers is None else options.workers
        threads = max(1, workers)
        if isinstance(loaded, _Classifier):
            classified = classify_images(
                params.images, EvalTransform(saved.image), loaded.scorer, batch_size=params.batch_size, threads=threads
            )
            return PredictResult(saved.classes, saved.multi_label, classified)
        finder, limits = loaded.finder, Limits(params.confidence, options.iou, options.max_det)

        def compute(pixels: torch.Tensor, sizes: Sequence[Size]) -> list[ImagePrediction]:
            return finder.find(pixels, sizes, limits)

        found = predict_images(params.images, loaded.letterbox, compute, batch_size=params.batch_size, threads=threads)
        skeleton = skeleton_of(saved)
        if skeleton is None:
            return PredictResult(saved.classes, saved.multi_label, found)
        return PredictResult(saved.classes, saved.multi_label, found, skeleton.names, skeleton.edges)

    def _load(self, params: PredictParams, options: YoloOptions) -> _Detector | _Classifier:
        device = resolve_device(params.device)
        precision = resolve_precision(options.precision, device)
        task = Task(params.task)

        def make() -> _Detector | _Classifier:
            saved, model = load(params.checkpoint, task)
            if task is Task.classify:
                normalize = Normalize(saved.image, device)
                scores = ClassScores(place(model, device))
                return _Classifier(saved, Scorer(scores, normalize, device, precision, multi_label=False))
            refuse_for_model(options, saved.model)
            model = place(for_inference(model, nms=options.nms, max_det=options.max_det), device)
            letterbox = Letterbox(saved.image.size[0], stride_of(model), stretch=is_stretched(saved))
            finder = ObjectFinder(model, letterbox, device, precision, task=task, classes=len(saved.classes))
            return _Detector(saved, letterbox, finder)

        heads = (options.nms, options.max_det)
        return self._kept.get((*stamp_of(params.checkpoint), task, str(device), precision, *heads), make)
