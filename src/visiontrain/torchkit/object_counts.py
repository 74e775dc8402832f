"""How many objects are found, and how surely: COCO's counting by pycocotools, image by image. Needs pycocotools."""

from __future__ import annotations

import io
from array import array
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from visiontrain.torchkit.curves import GRID, HeadCurves
from visiontrain.torchkit.mask_runs import Bools
from visiontrain.torchkit.object_found import PlacedObjects
from visiontrain.torchkit.object_views import Floats

__all__ = ["LEAST_OVERLAP", "HeadCounts", "HeadNumbers"]

#: The overlap (intersection over union) from which on an object is found, for `map50`, precision and recall.
LEAST_OVERLAP = 0.5

#: Objects of a class that are counted in an image at the most. COCO's.
_LIMIT = 100

#: Confidences among which the best one is chosen.
_CONFIDENCES = np.arange(1001) / 1000

#: Areas that are counted: all.
_EVERY_AREA = (0.0, 1e10)


@dataclass(frozen=True)
class HeadNumbers:
    """What one head finds. Arrays have a row a class that has objects.

    Args:
        labels: Their class indices.
        map50_95: Average precision, its mean over ten least overlaps.
        map50: At a least overlap of 0.5, as are those below.
        confidence: At which the mean F1 of all classes is highest, the least one of several.
        precision: At that confidence; 0 for a class of which nothing is found at it.
        recall: Likewise.
        precision_over_recall: At each of `GRID`.
        precision_over_confidence: Likewise.
        recall_over_confidence: Likewise.
    """

    labels: tuple[int, ...]
    map50_95: Floats
    map50: Floats
    confidence: float
    precision: Floats
    recall: Floats
    precision_over_recall: Floats
    precision_over_confidence: Floats
    recall_over_confidence: Floats

    def by_metric(self) -> dict[str, Floats]:
        """The numbers of each class under their canonical names."""
        return {"map50_95": self.map50_95, "map50": self.map50, "precision": self.precision, "recall": self.recall}

    def curves(self, classes: Sequence[str], head: str) -> HeadCurves:
        """As they are drawn.

        Args:
            classes: Names by class index.
            head: The head's name.
        """
        names = [classes[label] for label in self.labels]

        def told(rows: Floats) -> dict[str, list[float]]:
            return dict(zip(names, rows.tolist(), strict=True))

        precision, recall = self.precision_over_confidence, self.recall_over_confidence
        return HeadCurves(
            head,
            average_precision=dict(zip(names, self.map50.tolist(), strict=True)),
            confidence=self.confidence,
            precision_over_recall=told(self.precision_over_recall),
            f1_over_confidence=told(_f1(precision, recall)),
            precision_over_confidence=told(precision),
            recall_over_confidence=told(recall),
        )


class _ClassCounts:
    """What was found of a class: 12 bytes each, whether it was boxes or masks."""

    def __init__(self) -> None:
        self.objects = 0
        self.scores = array("d")
        # A bit for each least overlap.
        self.matched, self.ignored = array("H"), array("H")


class HeadCounts:
    """Counts what one head finds over a pass.

    Which of what is found finds an object is decided by `COCOeval`, at ten least overlaps from 0.5 to 0.95: the best
    score first, each object once. What is passed over counts as COCO's crowds do: neither to find it nor to miss it
    counts, however often it is found, and what lies in it by at least that share. Nothing of an image is kept but
    scores and matches.

    Args:
        classes: How many there are.
        masks: Compare masks; else boxes.
    """

    def __init__(self, classes: int, *, masks: bool) -> None:
        self._coco: Any = COCOeval(iouType="segm" if masks else "bbox")
        self._coco.params.areaRng = [_EVERY_AREA]
        self._coco.params.maxDets = [_LIMIT]
        self._coco.params.imgIds = [0]
        self._masks = masks
        self._bits = (1 << np.arange(len(self._coco.params.iouThrs), dtype=np.uint16))[:, None]
        self._counts = [_ClassCounts() for _ in range(classes)]

    def add(self, truth: PlacedObjects, passed_over: PlacedObjects, found: PlacedObjects) -> None:
        """Count an image.

        Args:
            truth: Its objects.
            passed_over: Those that are passed over.
            found: What the model found, in pixels of the same frame.
        """
        for label in np.unique(np.concatenate([truth.labels, passed_over.labels, found.labels])).tolist():
            own, others, seen = (each.chosen(each.labels == label) for each in (truth, passed_over, found))
            counts = self._counts[label]
            counts.objects += len(own)
            if len(seen) == 0:
                continue
            matched, ignored = self._matches(label, own, others, seen)
            counts.scores.frombytes(seen.scores[:_LIMIT].tobytes())
            counts.matched.frombytes((matched * self._bits).sum(0).astype(np.uint16).tobytes())
            counts.ignored.frombytes((ignored * self._bits).sum(0).astype(np.uint16).tobytes())

    def _matches(
        self, label: int, truth: PlacedObjects, passed_over: PlacedObjects, found: PlacedObjects
    ) -> tuple[Bools, Bools]:
        """Of those found, the best ones first, which find something, and which pass over it: (overlaps, found)."""
        if len(truth) + len(passed_over) == 0:
            nothing = np.zeros((len(self._bits), min(_LIMIT, len(found))), dtype=bool)
            return nothing, nothing
        coco, key = self._coco, (0, label)
        objects = [*self._told(truth, crowd=0), *self._told(passed_over, crowd=1)]
        # Its public method wants files' contents of all images at once, and keeps them.
        coco._gts, coco._dts = {key: _numbered(objects)}, {key: _numbered(self._told(found))}  # noqa: SLF001
        coco.ious = {key: coco.computeIoU(*key)}
        result = coco.evaluateImg(*key, _EVERY_AREA, _LIMIT)
        return result["dtMatches"] > 0, np.asarray(result["dtIgnore"], dtype=bool)

    def _told(self, objects: PlacedObjects, *, crowd: int = 0) -> list[dict[str, Any]]:
        """As COCO's files have them. Areas sort objects by size, which is not asked for."""
        if self._masks:
            masks = objects.masks or ()
            shapes = [{"size": [m.height, m.width], "counts": m.data.encode("ascii")} for m in masks]
            rows = [{"segmentation": shape} for shape in shapes]
        else:
            sides = np.concatenate([objects.boxes[:, :2], objects.boxes[:, 2:] - objects.boxes[:, :2]], axis=1)
            rows = [{"bbox": box} for box in sides.tolist()]
        scores = objects.scores.tolist()
        return [
            {**row, "score": score, "area": 1.0, "iscrowd": crowd, "ignore": crowd}
            for row, score in zip(rows, scores, strict=True)
        ]

    def compute(self) -> HeadNumbers:
        """The numbers of all that was counted."""
        labels = [label for label, counts in enumerate(self._counts) if counts.objects]
        precisions = self._precisions(labels)
        over_recall = precisions[0].T  # (classes, recalls)
        recalls = self._coco.params.recThrs
        every = [_over_confidence(self._counts[label], _CONFIDENCES) for label in labels]
        precision, recall = _stacked(every, len(_CONFIDENCES))
        best = int(_f1(precision, recall).mean(0).argmax()) if labels else 0
        shown = _stacked([_over_confidence(self._counts[label], np.array(GRID)) for label in labels], len(GRID))
        return HeadNumbers(
            labels=tuple(labels),
            map50_95=precisions.mean((0, 1)),
            map50=precisions[0].mean(0),
            confidence=float(_CONFIDENCES[best]),
            precision=precision[:, best],
            recall=recall[:, best],
            precision_over_recall=np.array([np.interp(GRID, recalls, row) for row in over_recall]).reshape(
                -1, len(GRID)
            ),
            precision_over_confidence=shown[0],
            recall_over_confidence=shown[1],
        )

    def _precisions(self, labels: Sequence[int]) -> Floats:
        """Precision at each least overlap, recall (0 to 1 in hundredths) and class: (overlaps, recalls, classes)."""
        params = self._coco.params
        if not labels:
            return np.zeros((len(params.iouThrs), len(params.recThrs), 0))
        shown = [self._of_class(self._counts[label]) for label in labels]
        params.catIds, params.maxDets = list(labels), [max(1, *(len(each["dtScores"]) for each in shown))]
        # All images' as if they were one's: each image has been cut at its limit.
        self._coco.evalImgs, self._coco._paramsEval = shown, params  # noqa: SLF001
        with redirect_stdout(io.StringIO()):  # it says what it does
            self._coco.accumulate()
        found: Floats = self._coco.eval["precision"][:, :, :, 0, 0]
        return found

    def _of_class(self, counts: _ClassCounts) -> dict[str, Any]:
        matched, ignored = (np.array(bits, dtype=np.uint16) for bits in (counts.matched, counts.ignored))
        return {
            "dtScores": np.array(counts.scores, dtype=np.float64),
            "dtMatches": (matched & self._bits) > 0,
            "dtIgnore": (ignored & self._bits) > 0,
            "gtIgnore": np.zeros(counts.objects),
        }


def _numbered(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """With numbers from 1 on: COCO's code takes 0 for none."""
    return [{**row, "id": number} for number, row in enumerate(rows, start=1)]


def _over_confidence(counts: _ClassCounts, confidences: Floats) -> tuple[Floats, Floats]:
    """Precision and recall of what has each confidence or a higher one, at the least overlap."""
    scores = np.array(counts.scores, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    counted = np.array(counts.ignored, dtype=np.uint16)[order] & 1 == 0
    right = (np.array(counts.matched, dtype=np.uint16)[order] & 1 == 1) & counted
    reached = np.searchsorted(-scores[order], -confidences, side="right")
    all_right = np.concatenate([[0], right.cumsum()])[reached]
    all_counted = np.concatenate([[0], counted.cumsum()])[reached]
    return all_right / np.maximum(all_counted, 1), all_right / counts.objects


def _stacked(rows: Sequence[tuple[Floats, Floats]], width: int) -> tuple[Floats, Floats]:
    """A row a class, also where there is none."""
    one = np.array([row for row, _ in rows]).reshape(-1, width)
    return one, np.array([row for _, row in rows]).reshape(-1, width)


def _f1(precision: Floats, recall: Floats) -> Floats:
    both: Floats = precision + recall
    return 2 * precision * recall / np.where(both > 0, both, 1)
