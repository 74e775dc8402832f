"""One pass over images with objects: Ultralytics' metrics under their canonical names."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import numpy as np
import torch
from ultralytics.utils.metrics import ConfusionMatrix, DetMetrics, box_iou
from ultralytics.utils.nms import non_max_suppression
from ultralytics.utils.ops import xywh2xyxy

from visiontrain_yolo.batches import ObjectBatch

if TYPE_CHECKING:
    from visiontrain_yolo.learner import ObjectLearner

__all__ = ["DetectionEvaluation", "match", "select"]

#: The least score of a box that is counted, and that of one in the confusion matrix. Ultralytics' own.
_CONFIDENCE = 0.001
_CONFUSION_CONFIDENCE = 0.25

#: Overlaps (intersection over union) from which on a box finds an object.
_THRESHOLDS = np.linspace(0.5, 0.95, 10, dtype=np.float32)

#: How much of a box must lie in what is passed over, for it to be passed over too.
_WITHIN = 0.5


def select(found: torch.Tensor, *, classes: int, confidence: float, iou: float, max_det: int) -> list[torch.Tensor]:
    """Of boxes that overlap the best one; a tensor an image: x1, y1, x2, y2, score, class.

    Args:
        found: Of the model, (batch, 4 + classes, places).
        classes: How many there are.
        confidence: The least score.
        iou: How much two boxes of a class may overlap.
        max_det: Boxes of an image at the most.
    """
    boxes: list[torch.Tensor] = non_max_suppression(
        found, confidence, iou, nc=classes, multi_label=True, max_det=max_det,
        max_time_img=sys.maxsize,  # theirs ends with what was found so far when a machine is slow
    )  # fmt: skip
    return boxes


class DetectionEvaluation:
    """Counts what was found, and what not.

    Objects that an evaluation passes over count neither as found nor as missed, and nor does a box of their class that
    finds no other object and lies by half or more in one of them.

    Args:
        learner: Its model is on its device and set to evaluation.
        classes: Class names by class index.
        device: The model's.
        task: What it is trained for.
        iou: How much two boxes of a class may overlap.
        max_det: Boxes of an image at the most.
    """

    def __init__(
        self,
        learner: ObjectLearner,
        classes: tuple[str, ...],
        device: torch.device,
        *,
        task: str,
        iou: float,
        max_det: int,
    ) -> None:
        self._learner, self._classes, self._device = learner, classes, device
        self._iou, self._max_det = iou, max_det
        names = dict(enumerate(classes))
        self._metrics = DetMetrics(names)
        self._confusion = ConfusionMatrix(names=names, task=task)
        self._loss = torch.zeros((), dtype=torch.float32, device=device)
        self._images = 0

    def update(self, batch: ObjectBatch) -> None:
        """Count a batch."""
        batch, passed_over = self._split(batch.to(self._device))
        found, loss = self._learner.predict(batch)
        self._loss += loss
        self._images += len(batch)
        sides = torch.tensor(batch.values["img"].shape[2:], device=self._device)[[1, 0, 1, 0]]
        boxes = select(found, classes=len(self._classes), confidence=_CONFIDENCE, iou=self._iou, max_det=self._max_det)
        for number, one in enumerate(boxes):
            truth = _of_image(batch, number, sides)
            self._count(one, truth, _of_image(passed_over, number, sides), batch.values["im_file"][number])

    def _split(self, batch: ObjectBatch) -> tuple[ObjectBatch, ObjectBatch]:
        """What counts, and what is passed over."""
        labels, values = batch.values["cls"].view(-1), batch.values
        made = []
        for chosen, offset in ((labels < len(self._classes), 0), (labels >= len(self._classes), len(self._classes))):
            own = {name: values[name][chosen] for name in ("cls", "bboxes", "batch_idx")}
            own["cls"] = own["cls"] - offset
            made.append(ObjectBatch({**values, **own}, batch.epoch, batch.first))
        return made[0], made[1]

    def _count(
        self, boxes: torch.Tensor, truth: dict[str, torch.Tensor], passed_over: dict[str, torch.Tensor], path: str
    ) -> None:
        predicted = {"bboxes": boxes[:, :4], "conf": boxes[:, 4], "cls": boxes[:, 5]}
        hits = match(predicted, truth)
        if len(passed_over["cls"]):
            kept = torch.from_numpy(hits[:, 0]).to(boxes.device) | ~_within(predicted, passed_over)
            predicted = {name: value[kept] for name, value in predicted.items()}
            hits = hits[kept.cpu().numpy()]
        labels = truth["cls"].cpu().numpy()
        self._metrics.update_stats(
            {
                "tp": hits,
                "target_cls": labels,
                "target_img": np.unique(labels),
                "conf": predicted["conf"].cpu().numpy(),
                "pred_cls": predicted["cls"].cpu().numpy(),
                "im_name": path,
            }
        )
        self._confusion.process_batch(predicted, truth, conf=_CONFUSION_CONFIDENCE)

    def compute(self) -> dict[str, float]:
        """``val_loss`` and the canonical metrics, those of each class among them."""
        self._metrics.process(plot=False)
        found = {"val_loss": self._loss.item() / max(1, self._images)}
        found |= _named(self._metrics.mean_results())
        for row, label in enumerate(self._metrics.ap_class_index):
            name = self._classes[int(label)]
            numbers = _named(self._metrics.class_result(row))
            found |= {f"{metric}/{name}": value for metric, value in numbers.items()}
        return found

    def write_artifacts(self, folder: Path, *, epoch: int) -> list[tuple[Path, str]]:
        """The confusion matrix."""
        path = folder / "confusion_matrix.json"
        path.parent.mkdir(exist_ok=True)
        # Theirs has a row a predicted class, and background as the last one of both.
        matrix = self._confusion.matrix.T.astype(int).tolist()
        content = {"epoch": epoch, "classes": [*self._classes, "background"], "matrix": matrix}
        path.write_text(json.dumps(content), encoding="utf-8")
        return [(path, "confusion_matrix")]


def _named(numbers: Any) -> dict[str, float]:
    """Ultralytics' four numbers under their canonical names."""
    names = ("precision", "recall", "map50", "map50_95")
    return {name: float(number) for name, number in zip(names, numbers, strict=True)}


def _of_image(batch: ObjectBatch, number: int, sides: torch.Tensor) -> dict[str, torch.Tensor]:
    """An image's classes, and boxes in pixels of the batch."""
    chosen = batch.values["batch_idx"] == number
    corners: Any = xywh2xyxy
    return {
        "cls": batch.values["cls"][chosen].view(-1),
        "bboxes": corners(batch.values["bboxes"][chosen]) * sides,
    }


def match(predicted: dict[str, torch.Tensor], truth: dict[str, torch.Tensor]) -> Any:
    """Which boxes find an object at each of ten thresholds, (boxes, 10): the best box first, each object once.

    Args:
        predicted: ``bboxes`` (x1, y1, x2, y2) and ``cls``, the best score first.
        truth: Likewise.
    """
    overlap = box_iou(truth["bboxes"], predicted["bboxes"]) * (truth["cls"][:, None] == predicted["cls"])
    left = overlap.cpu().numpy()[:, :, None].repeat(len(_THRESHOLDS), axis=2)
    hits = np.zeros(left.shape[1:], dtype=bool)
    levels = np.arange(len(_THRESHOLDS))
    for number in np.flatnonzero((left >= _THRESHOLDS[0]).any((0, 2))):
        best = left[:, number].argmax(0)
        hits[number] = left[best, number, levels] >= _THRESHOLDS
        left[best[hits[number]], :, levels[hits[number]]] = 0
    return hits


def _within(predicted: dict[str, torch.Tensor], passed_over: dict[str, torch.Tensor]) -> torch.Tensor:
    """Which boxes lie by half or more in one of their class that is passed over."""
    boxes, others = predicted["bboxes"], passed_over["bboxes"]
    corners = (
        torch.maximum(boxes[:, None, :2], others[None, :, :2]),
        torch.minimum(boxes[:, None, 2:], others[None, :, 2:]),
    )
    shared = (corners[1] - corners[0]).clamp(min=0).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    same = predicted["cls"][:, None] == passed_over["cls"][None]
    return ((shared >= _WITHIN * areas[:, None]) & same).any(1)
