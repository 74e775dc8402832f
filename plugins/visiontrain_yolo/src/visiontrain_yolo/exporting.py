"""Exports of models that this plugin trained, each compared with the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import numpy as np
import torch
from torch import nn

from visiontrain.protocol.inference import ExportResult
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.classification.export import ClassifierExport
from visiontrain.torchkit.exported import INPUT, Tensors, preprocessing
from visiontrain.torchkit.exportformats import FORMATS, OpenVino
from visiontrain.torchkit.exporting import export
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.loading import SavedModel
from visiontrain.worker.context import ExportContext
from visiontrain_yolo.build import stride_of
from visiontrain_yolo.classifying import ClassScores
from visiontrain_yolo.comparing import difference_of
from visiontrain_yolo.contradictions import refuse_for_model
from visiontrain_yolo.exported_detector import ExportedDetector, made_exportable, output_names
from visiontrain_yolo.heads import ends_in_rows, for_inference
from visiontrain_yolo.inference import is_stretched, load, skeleton_of
from visiontrain_yolo.letterbox import FILL, Letterbox
from visiontrain_yolo.options import YoloOptions

__all__ = ["export_checkpoint"]

_PACKAGES = ("ultralytics-opencv-headless", "torch")

#: What each number of an output is, by the output's name; in pixels of the input.
_MEANINGS = {
    "boxes": "left, top, right, bottom in pixels of the input",
    "scores": "from 0 to 1",
    "labels": "class index",
    "coefficients": "a mask's pixels are the object's where coefficients times prototypes are above 0, within its box",
    "prototypes": "at a quarter of the input's sides",
    "keypoints": "x, y in pixels of the input, score from 0 to 1",
}
_TURNED = "centre x, centre y, width, height in pixels of the input; angle in radians, clockwise"


def export_checkpoint(context: ExportContext) -> ExportResult:
    """Write a checkpoint's model for other programs.

    Raises:
        ExportError: it can't be, or what was written gives something else than the model.
        WeightsError: the checkpoint can't be used.
    """
    params = context.params
    options = YoloOptions.from_params(params.options)
    formats = {**FORMATS, OpenVino.name: OpenVino()}
    if params.task == Task.classify:
        saved, reference = load(params.checkpoint, params.task)

        def exportable() -> nn.Module:
            return ClassScores(load(params.checkpoint, params.task)[1])

        task = ClassifierExport(saved, ClassScores(reference), exportable)
        return export(context, task, packages=_PACKAGES, formats=formats)
    return export(context, DetectorExport(params.checkpoint, params.task, options), packages=_PACKAGES, formats=formats)


class DetectorExport:
    """A detector, for torchkit's export: images in a square, what it says before anything is suppressed.

    Args:
        checkpoint: The file.
        task: detect, segment, pose or obb.
        options: The training's.

    Raises:
        WeightsError: the checkpoint can't be used.
    """

    def __init__(self, checkpoint: str, task: str, options: YoloOptions) -> None:
        self._checkpoint, self._task, self._options = checkpoint, Task(task), options
        self.saved, model = self._load()
        self._rows = ends_in_rows(model)
        self.outputs = output_names(self._task, rows=self._rows)
        self._reference = ExportedDetector(model, self._task, len(self.saved.classes))
        self._image_size = self.saved.image.size[0]
        self._stretched = is_stretched(self.saved)
        self._letterbox = Letterbox(self._image_size, stride_of(model), stretch=self._stretched, square=True)
        with torch.inference_mode():
            self._shapes = [list(each.shape[1:]) for each in self._reference(torch.zeros(1, *self._input))]

    @property
    def _input(self) -> tuple[int, int, int]:
        return 3, self._image_size, self._image_size

    @property
    def reference(self) -> nn.Module:
        """As it predicts."""
        return self._reference

    def exportable(self) -> nn.Module:
        """Another one, for images of one size."""
        _, model = self._load()
        return ExportedDetector(made_exportable(model, self._image_size), self._task, len(self.saved.classes))

    def read(self, paths: Sequence[str]) -> torch.Tensor:
        """In a square."""
        pixels = np.stack([self._letterbox(read_rgb(path)) for path in paths])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255

    def differences(self, wanted: Tensors, found: Tensors) -> list[dict[str, float]]:
        """Of scores, boxes, and what the task has more."""
        pairs = zip(zip(*wanted, strict=True), zip(*found, strict=True), strict=True)
        return [difference_of(self._task, self.outputs, one, other) for one, other in pairs]

    def describe(self) -> dict[str, Any]:
        """All that a program needs to make boxes of the outputs."""
        fit: dict[str, Any] = (
            {"resize": "both sides"}
            if self._stretched
            else {"resize": "the longer side, the other one in proportion", "border": FILL, "position": "center"}
        )
        skeleton = skeleton_of(self.saved)
        return {
            "preprocessing": {
                **preprocessing(),
                "range": "0 to 1",
                "size": [self._image_size, self._image_size],
                **fit,
                "interpolation": "bilinear, between the four nearest pixels",
            },
            "input": {"name": INPUT, "type": "float32", "shape": ["batch", *self._input]},
            "outputs": [
                {
                    "name": name,
                    "type": "int64" if name == "labels" else "float32",
                    "shape": ["batch", *shape],
                    "meaning": _TURNED if name == "boxes" and self._task is Task.obb else _MEANINGS[name],
                }
                for name, shape in zip(self.outputs, self._shapes, strict=True)
            ],
            "suppression": None if self._rows else self._suppression(),
            **({} if skeleton is None else {"skeleton": {"names": skeleton.names, "edges": skeleton.edges}}),
        }

    def _suppression(self) -> dict[str, Any]:
        """What is left to do: of boxes of a class that overlap by more, the best one is kept."""
        overlap = "likeness of distributions" if self._task is Task.obb else "intersection over union"
        return {"overlap": overlap, "iou": self._options.iou, "max_det": self._options.max_det}

    def _load(self) -> tuple[SavedModel, nn.Module]:
        saved, model = load(self._checkpoint, self._task)
        refuse_for_model(self._options, saved.model)
        return saved, for_inference(model, nms=self._options.nms, max_det=self._options.max_det)
