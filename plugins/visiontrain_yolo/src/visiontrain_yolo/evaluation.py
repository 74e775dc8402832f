"""One pass over images with objects: Ultralytics' metrics under their canonical names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import numpy as np
import torch
from ultralytics.utils.metrics import ConfusionMatrix, DetMetrics, box_iou
from ultralytics.utils.nms import non_max_suppression
from ultralytics.utils.ops import xywh2xyxy

from visiontrain.torchkit.confusion import write_confusion_matrix
from visiontrain.torchkit.contact_sheet import write_sheet
from visiontrain.torchkit.curves import write_curves
from visiontrain.torchkit.sample_choice import CONFIDENCE
from visiontrain_yolo.batches import OF_OBJECTS, ObjectBatch
from visiontrain_yolo.curves import curves_of
from visiontrain_yolo.samples import Samples, Values

if TYPE_CHECKING:
    from visiontrain_yolo.learner import ObjectLearner

__all__ = ["DetectionEvaluation", "Values", "match", "select"]

#: The least score of a box that is counted, and that of one in the confusion matrix. Ultralytics' own.
_CONFIDENCE = 0.001
_CONFUSION_CONFIDENCE = 0.25

#: Overlaps (intersection over union) from which on a box finds an object.
_THRESHOLDS = np.linspace(0.5, 0.95, 10, dtype=np.float32)

#: Ultralytics' numbers of a head, in its order.
_NAMES = ("precision", "recall", "map50", "map50_95")

#: How much of a box must lie in what is passed over, for it to be passed over too.
_WITHIN = 0.5


def select(
    found: torch.Tensor,
    *,
    classes: int,
    confidence: float,
    iou: float,
    max_det: int,
    rotated: bool,
    end_to_end: bool,
    every_class: bool,
) -> list[torch.Tensor]:
    """Of boxes that overlap the best one; a tensor an image: four numbers of the box, score, class, and what follows.

    Args:
        found: Of the model, (batch, 4 + classes + what follows, places); rows as they are returned where its head
            suppresses nothing, (batch, rows, 6 + what follows).
        classes: How many there are.
        confidence: The least score.
        iou: How much two boxes of a class may overlap.
        max_det: Boxes of an image at the most.
        rotated: Boxes are turned; what follows is the angle.
        end_to_end: The model gives rows.
        every_class: A place has a box for each class with that score, as precision at every recall is counted by;
            otherwise for the best one alone.
    """
    boxes: list[torch.Tensor] = non_max_suppression(
        found, confidence, iou, nc=classes, multi_label=every_class, max_det=max_det, rotated=rotated,
        end2end=end_to_end,
        max_time_img=sys.maxsize,  # theirs ends with what was found so far when a machine is slow
    )  # fmt: skip
    return boxes


def match(overlap: torch.Tensor, predicted: torch.Tensor, truth: torch.Tensor) -> Any:
    """Which boxes find an object at each of ten thresholds, (boxes, 10): the best box first, each object once.

    Args:
        overlap: Of each object with each box, (objects, boxes).
        predicted: The boxes' classes, the best score first.
        truth: The objects' classes.
    """
    left = (overlap * (truth[:, None] == predicted)).cpu().numpy()[:, :, None].repeat(len(_THRESHOLDS), axis=2)
    hits = np.zeros(left.shape[1:], dtype=bool)
    levels = np.arange(len(_THRESHOLDS))
    for number in np.flatnonzero((left >= _THRESHOLDS[0]).any((0, 2))):
        best = left[:, number].argmax(0)
        hits[number] = left[best, number, levels] >= _THRESHOLDS
        left[best[hits[number]], :, levels[hits[number]]] = 0
    return hits


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
        edges: Pairs of keypoints that belong together, to be drawn.
    """

    #: Ultralytics' metrics, whether its boxes are turned, and the heads that are measured; the last one is the task's.
    metrics_of: Any = DetMetrics
    rotated = False
    heads: tuple[str, ...] = ("",)

    #: By the name that Ultralytics has for a head's numbers, what the head is called and how overlaps are measured.
    measures: ClassVar[dict[str, tuple[str, str]]] = {"box": ("box", "IoU")}

    def __init__(
        self,
        learner: ObjectLearner,
        classes: tuple[str, ...],
        device: torch.device,
        *,
        task: str,
        iou: float,
        max_det: int,
        edges: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self._learner, self._classes, self._device = learner, classes, device
        self._iou, self._max_det, self._edges = iou, max_det, edges
        names = dict(enumerate(classes))
        self._metrics = self.metrics_of(names)
        self._confusion = ConfusionMatrix(names=names, task=task)
        self._samples = Samples(classes)
        self._loss = torch.zeros((), dtype=torch.float32, device=device)
        self._loss_parts: dict[str, torch.Tensor] = {}
        self._images = 0

    def update(self, batch: ObjectBatch) -> None:
        """Count a batch."""
        counted, others = self.split(batch.to(self._device))
        found, loss, made_of = self._learner.predict(counted)
        self._loss += loss
        for name, part in made_of.items():
            self._loss_parts[name] = self._loss_parts.get(name, torch.zeros_like(part)) + part * len(counted)
        self._images += len(counted)
        sides = torch.tensor(counted.values["img"].shape[2:], device=self._device)[[1, 0, 1, 0]]
        decoded, extra = self.decoded(found)
        boxes = select(
            decoded,
            classes=len(self._classes),
            confidence=_CONFIDENCE,
            iou=self._iou,
            max_det=self._max_det,
            rotated=self.rotated,
            end_to_end=self._learner.end_to_end,
            every_class=True,
        )
        for number, one in enumerate(boxes):
            truth, ignored = self.truth(counted, number, sides), self.truth(others, number, sides)
            predicted = self.predicted(one, extra, number)
            self._samples.offer(counted, number, truth=truth, passed_over=ignored, found=predicted)
            self._count(predicted, truth, ignored, counted.values["im_file"][number])

    def split(self, batch: ObjectBatch) -> tuple[ObjectBatch, ObjectBatch]:
        """What counts, and what is passed over."""
        labels, values = batch.values["cls"].view(-1), batch.values
        made = []
        for chosen, offset in ((labels < len(self._classes), 0), (labels >= len(self._classes), len(self._classes))):
            own = {name: values[name][chosen] for name in OF_OBJECTS if name in values}
            own["cls"] = own["cls"] - offset
            made.append(ObjectBatch({**values, **own}, batch.epoch, batch.first))
        return made[0], made[1]

    def decoded(self, found: Any) -> tuple[torch.Tensor, Any]:
        """What the model found: boxes as `select` takes them, and what else there is."""
        return found, None

    def predicted(self, boxes: torch.Tensor, extra: Any, number: int) -> Values:  # noqa: ARG002 - for other tasks
        """Boxes of an image: ``bboxes`` in pixels of the batch, ``conf``, ``cls``."""
        return {"bboxes": boxes[:, :4], "conf": boxes[:, 4], "cls": boxes[:, 5]}

    def truth(self, batch: ObjectBatch, number: int, sides: torch.Tensor) -> Values:
        """An image's objects likewise, without ``conf``."""
        chosen = batch.values["batch_idx"] == number
        corners: Any = xywh2xyxy
        return {
            "cls": batch.values["cls"][chosen].view(-1),
            "bboxes": corners(batch.values["bboxes"][chosen]) * sides,
        }

    def hits(self, predicted: Values, truth: Values) -> dict[str, Any]:
        """What finds an object, by the name that Ultralytics' metrics have for it."""
        return {"tp": match(box_iou(truth["bboxes"], predicted["bboxes"]), predicted["cls"], truth["cls"])}

    def passed_over(self, predicted: Values, others: Values) -> torch.Tensor:
        """Which boxes lie by half or more in one of their class that is passed over."""
        boxes, regions = predicted["bboxes"], others["bboxes"]
        first = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
        last = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
        shared = (last - first).clamp(min=0).prod(2)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        same = predicted["cls"][:, None] == others["cls"][None]
        return ((shared >= _WITHIN * areas[:, None]) & same).any(1)

    def _count(self, predicted: Values, truth: Values, ignored: Values, path: str) -> None:
        hits = self.hits(predicted, truth)
        if len(ignored["cls"]):
            found = torch.from_numpy(hits["tp"][:, 0]).to(self._device)
            kept = found | ~self.passed_over(predicted, ignored)
            predicted = {name: value[kept] for name, value in predicted.items()}
            hits = {name: value[kept.cpu().numpy()] for name, value in hits.items()}
        labels = truth["cls"].cpu().numpy()
        self._metrics.update_stats(
            {
                **hits,
                "target_cls": labels,
                "target_img": np.unique(labels),
                "conf": predicted["conf"].cpu().numpy(),
                "pred_cls": predicted["cls"].cpu().numpy(),
                "im_name": path,
            }
        )
        plain = {name: predicted[name] for name in ("bboxes", "conf", "cls")}
        self._confusion.process_batch(plain, truth, conf=_CONFUSION_CONFIDENCE)

    def compute(self) -> dict[str, float]:
        """``val_loss``, what it is made of, and the canonical metrics, those of each class among them."""
        self._metrics.process(plot=False)
        images = max(1, self._images)
        found = {"val_loss": self._loss.item() / images}
        found |= {f"val_{name}": part.item() / images for name, part in self._loss_parts.items()}
        found |= self._named(self._metrics.mean_results())
        for row, label in enumerate(self._metrics.ap_class_index):
            name = self._classes[int(label)]
            numbers = self._named(self._metrics.class_result(row))
            found |= {f"{metric}/{name}": value for metric, value in numbers.items()}
        return found

    def _named(self, numbers: Any) -> dict[str, float]:
        """Ultralytics' four numbers of each head under their canonical names; the task's head has them plain, too."""
        found: dict[str, float] = {}
        for place, head in enumerate(self.heads):
            own = zip(_NAMES, numbers[place * len(_NAMES) :], strict=False)
            values = {name: float(number) for name, number in own}
            if head:
                found |= {f"{name}_{head}": value for name, value in values.items()}
        return {**values, **found}

    def write_artifacts(self, folder: Path, *, epoch: int) -> list[tuple[Path, str]]:
        """The confusion matrix, whose last class is the background, the curves of each head, and sample images."""
        matrix = self._confusion.matrix.T.astype(int).tolist()
        classes = [*self._classes, "background"]
        heads = [
            curves_of(getattr(self._metrics, name), self._classes, head) for name, (head, _) in self.measures.items()
        ]
        heading = f"Epoch {epoch}: the truth, and what was found with a score of {CONFIDENCE:g} or more"
        return [
            *write_confusion_matrix(folder, matrix, classes, epoch=epoch, of="objects"),
            *write_curves(
                folder, heads, epoch=epoch, overlap=float(_THRESHOLDS[0]), measure=dict(self.measures.values())
            ),
            *write_sheet(folder, self._samples.taken(), edges=self._edges, heading=heading),
        ]
