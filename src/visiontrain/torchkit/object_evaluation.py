"""One pass over images with objects: the canonical metrics, curves, and a few images. Needs pycocotools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from visiontrain.torchkit.confusion import write_confusion_matrix
from visiontrain.torchkit.contact_sheet import Sample, write_sheet
from visiontrain.torchkit.curves import write_curves
from visiontrain.torchkit.object_batches import ObjectBatch
from visiontrain.torchkit.object_confusion import ObjectConfusion
from visiontrain.torchkit.object_counts import LEAST_OVERLAP, HeadCounts, HeadNumbers
from visiontrain.torchkit.object_found import FoundObjects, Frame, place_found, place_truth
from visiontrain.torchkit.object_samples import sample_of
from visiontrain.torchkit.sample_choice import CONFIDENCE, SampleChoice

__all__ = ["Findings", "FindsObjects", "ObjectEvaluation"]

_MEASURE = "IoU"

#: What is counted of an image at the most. COCO's limit is for each class.
_LIMIT = 300


@dataclass(frozen=True)
class Findings:
    """What a model says of a batch whose objects are known.

    Args:
        found: In each image; taken one after the other.
        loss: Its mean over the images, a scalar on the device.
        parts: What it is made of, likewise, by name, such as ``box_loss``.
    """

    found: Iterable[FoundObjects]
    loss: torch.Tensor
    parts: Mapping[str, torch.Tensor] = field(default_factory=dict)


class FindsObjects(Protocol):
    """A learner that can be evaluated."""

    def find(self, batch: ObjectBatch) -> Findings:
        """What the model says. `batch` is on its device; the model is set to evaluation."""
        ...


class ObjectEvaluation:
    """Counts what was found, and what not: an `Evaluation` of the tasks detect and segment.

    Boxes and masks are compared in the pixels that the model sees. What is kept of an image is a score and the
    matches of each object that was found; of a few images also what is shown.

    Args:
        learner: Its model is on its device and set to evaluation.
        classes: Class names by class index.
        device: The model's.
        masks: Whether it finds masks: the task segment.
    """

    def __init__(self, learner: FindsObjects, classes: Sequence[str], device: torch.device, *, masks: bool) -> None:
        self._learner, self._classes, self._device = learner, tuple(classes), device
        heads = {"box": False, "mask": True} if masks else {"box": False}
        #: By head; the last one is the task's.
        self._heads = {head: HeadCounts(len(self._classes), masks=masked) for head, masked in heads.items()}
        self._numbers: dict[str, HeadNumbers] = {}
        self._confusion = ObjectConfusion(len(self._classes))
        self._samples: SampleChoice[Sample] = SampleChoice()
        self._loss = torch.zeros((), dtype=torch.float32, device=device)
        self._parts: dict[str, torch.Tensor] = {}
        self._images = 0

    def update(self, batch: ObjectBatch) -> None:
        """Count a batch."""
        sides = batch.extents.tolist()
        findings = self._learner.find(batch.to(self._device))
        self._loss += findings.loss.detach().float() * len(batch)
        for name, part in findings.parts.items():
            self._parts[name] = self._parts.get(name, torch.zeros_like(self._loss)) + part.detach().float() * len(batch)
        self._images += len(batch)
        canvas_height, canvas_width = batch.pixels.shape[1:3]
        for number, (found, (height, width)) in enumerate(zip(findings.found, sides, strict=True)):
            frame = Frame(width, height, (width / canvas_width, height / canvas_height))
            self._count(batch, number, frame, found)

    def _count(self, batch: ObjectBatch, number: int, frame: Frame, found: FoundObjects) -> None:
        truth = place_truth(batch.objects.of(number), frame)
        passed_over = place_truth(batch.passed_over.of(number), frame)
        placed = place_found(found, frame, limit=_LIMIT)
        for counts in self._heads.values():
            counts.add(truth, passed_over, placed)
        self._confusion.add(truth, passed_over, placed)
        source = batch.sources[number]

        def make() -> Sample:
            pixels = batch.pixels[number]
            return sample_of(pixels, source, frame, self._classes, truth=truth, passed_over=passed_over, found=placed)

        self._samples.offer(source.path, make, has_objects=len(truth) > 0)

    def compute(self) -> dict[str, float]:
        """``val_loss``, what it is made of, and the canonical metrics, those of each class among them.

        Means are over the classes that have objects; where there is none they are 0.
        """
        images = max(1, self._images)
        values = {"val_loss": self._loss.item() / images}
        values |= {f"val_{name}": part.item() / images for name, part in self._parts.items()}
        self._numbers = {head: counts.compute() for head, counts in self._heads.items()}
        *_, main = self._numbers.values()
        values |= self._named(main, "")
        if len(self._numbers) > 1:
            for head, numbers in self._numbers.items():
                values |= self._named(numbers, f"_{head}")
        return values

    def _named(self, numbers: HeadNumbers, ending: str) -> dict[str, float]:
        found = {}
        for metric, rows in numbers.by_metric().items():
            found[f"{metric}{ending}"] = float(rows.mean()) if len(rows) else 0.0
            for label, value in zip(numbers.labels, rows.tolist(), strict=True):
                found[f"{metric}{ending}/{self._classes[label]}"] = value
        return found

    def write_artifacts(self, folder: Path, *, epoch: int) -> list[tuple[Path, str]]:
        """The confusion matrix, whose last class is the background, the curves of each head, and sample images."""
        matrix, classes = self._confusion.matrix(), [*self._classes, "background"]
        curves = [numbers.curves(self._classes, head) for head, numbers in self._numbers.items()]
        measure = dict.fromkeys(self._numbers, _MEASURE)
        heading = f"Epoch {epoch}: the truth, and what was found with a score of {CONFIDENCE:g} or more"
        return [
            *write_confusion_matrix(folder, matrix, classes, epoch=epoch, of="objects"),
            *write_curves(folder, curves, epoch=epoch, overlap=LEAST_OVERLAP, measure=measure),
            *write_sheet(folder, self._samples.taken(), edges=(), heading=heading),
        ]
