"""A detector as it is exported: pixels from 0 to 1 to named outputs."""

from __future__ import annotations

from types import MethodType
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from torch import nn
from ultralytics.nn.modules.head import Detect

from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.exported import Tensors
from visiontrain_yolo.heads import ends_in_rows

__all__ = ["ExportedDetector", "made_exportable", "output_names"]

#: What a task's models give beside boxes and scores.
_MORE = {Task.segment: ("coefficients", "prototypes"), Task.pose: ("keypoints",)}


def output_names(task: Task, *, rows: bool) -> tuple[str, ...]:
    """Names of a detector's outputs, in order; `rows`: it gives a row an object."""
    return ("boxes", "scores", *(("labels",) if rows else ()), *_MORE.get(task, ()))


class ExportedDetector(nn.Module):
    """A detector whose outputs have names. Coordinates are in pixels of its input.

    With boxes that are to be suppressed: ``boxes`` (batch, places, 4) of left, top, right, bottom, and ``scores``
    (batch, places, classes). With a row an object: ``boxes`` (batch, rows, 4), ``scores`` and ``labels`` (batch, rows),
    these as int64. Turned boxes have five numbers: centre, width, height, and the angle in radians. Then follow, for
    each place or row, ``coefficients`` (batch, places, prototypes) and once ``prototypes`` (batch, prototypes, height,
    width), or ``keypoints`` (batch, places, keypoints, 3) of x, y and score.

    Args:
        model: Of Ultralytics, set to evaluation.
        task: What it is for.
        classes: How many it tells apart.
    """

    def __init__(self, model: nn.Module, task: Task, classes: int) -> None:
        super().__init__()
        self.model, self._task, self._classes = model, task, classes
        self._rows = ends_in_rows(model)
        self.eval()

    def forward(self, images: torch.Tensor) -> Tensors:
        """float32 (batch, 3, height, width), RGB from 0 to 1, to the outputs."""
        found: Any = self.model(images)
        exporting = bool(self.model.model[-1].export)  # type: ignore[index, union-attr]
        decoded = found if exporting else found[0]  # otherwise with what losses are made of
        values, prototypes = decoded if isinstance(decoded, tuple) else (decoded, None)
        if self._rows:
            boxes, scores, labels, more = values.split((4, 1, 1, values.shape[2] - 6), dim=2)
            outputs = [boxes, scores.squeeze(2), labels.squeeze(2).long()]
        else:
            values = values.transpose(1, 2)
            boxes, scores, more = values.split((4, self._classes, values.shape[2] - 4 - self._classes), dim=2)
            outputs = [boxes if self._task is Task.obb else _corners(boxes), scores]
        if self._task is Task.obb:
            outputs[0] = torch.cat([boxes, more], dim=2)
        elif self._task is Task.segment:
            outputs += [more, prototypes]
        elif self._task is Task.pose:
            outputs.append(more.unflatten(2, (-1, 3)))
        return tuple(outputs)


def _corners(boxes: torch.Tensor) -> torch.Tensor:
    centres, halves = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centres - halves, centres + halves], dim=-1)


def made_exportable(model: nn.Module, image_size: int) -> nn.Module:
    """Let a detector be traced: where its boxes may lie is computed once, for images of one size. Changed in place.

    Args:
        model: Of Ultralytics, in float32 on the CPU, set to evaluation.
        image_size: Height and width in pixels.
    """
    built: Any = model
    head: Any = built.model[-1]
    with torch.no_grad():
        model(torch.zeros(1, 3, image_size, image_size))  # leaves the places of this size in the head
    head.export = True
    if isinstance(built.model[-1], Detect):
        head.__dict__.pop("_inference", None)  # what keeps it from bfloat16 exporters don't know
        # Theirs compares shapes, and so fixes the batch.
        head._get_decode_boxes = MethodType(_decode, head)  # noqa: SLF001
    return model


def _decode(head: Any, given: dict[str, torch.Tensor]) -> torch.Tensor:
    """Boxes from distances, as Ultralytics' heads decode them."""
    distances = head.dfl(given["boxes"])
    boxes: torch.Tensor = head.decode_bboxes(distances, head.anchors.unsqueeze(0), given.get("angle")) * head.strides
    return boxes
