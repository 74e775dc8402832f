"""One pass over images with masks of classes: the canonical metrics, what was taken for what, and a few images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from visiontrain.torchkit.artifacts import write_json
from visiontrain.torchkit.confusion import write_confusion_matrix
from visiontrain.torchkit.contact_sheet import Pair, write_pairs
from visiontrain.torchkit.object_found import Frame
from visiontrain.torchkit.sample_choice import SampleChoice
from visiontrain.torchkit.semantic.batches import SemanticBatch
from visiontrain.torchkit.semantic.metrics import PixelCounts
from visiontrain.torchkit.semantic.placing import class_rows
from visiontrain.torchkit.semantic.samples import SHOWN, pair_of, thumbnail_frame

__all__ = ["ScoredImages", "ScoresPixels", "SemanticEvaluation"]


@dataclass(frozen=True)
class ScoredImages:
    """What a model says of a batch whose masks are known.

    Args:
        maps: A score for each class and cell of a grid over the whole canvas, (batch, classes, rows, columns), in any
            resolution: the highest one is what a pixel is taken for.
        loss: Its sum over what it is counted in, a scalar on the device.
        counted: How much that is: pixels, or images. ``val_loss`` is the sum of all losses divided by that of these.
        parts: What the loss is made of, likewise, by name, such as ``mask_loss``.
    """

    maps: torch.Tensor
    loss: torch.Tensor
    counted: torch.Tensor | int
    parts: Mapping[str, torch.Tensor] = field(default_factory=dict)


class ScoresPixels(Protocol):
    """A learner that can be evaluated."""

    def score(self, batch: SemanticBatch) -> ScoredImages:
        """What the model says. `batch` is on its device; the model is set to evaluation."""
        ...


class SemanticEvaluation:
    """Counts pixels of the images themselves: an `Evaluation` of the task semantic.

    The model's scores are brought to each image's own size and compared with its mask as it lies in the file, so that
    the numbers do not depend on how large the model sees images. What is kept is one number for each two classes, and
    a few images to be shown.

    Args:
        learner: Its model is on its device and set to evaluation.
        classes: Class names by class index.
        device: The model's.
    """

    def __init__(self, learner: ScoresPixels, classes: Sequence[str], device: torch.device) -> None:
        self._learner, self._classes, self._device = learner, tuple(classes), device
        self._counts = PixelCounts(self._classes, device)
        self._samples: SampleChoice[Pair] = SampleChoice()
        self._loss = torch.zeros((), dtype=torch.float64)
        self._parts: dict[str, torch.Tensor] = {}
        self._counted = torch.zeros((), dtype=torch.float64)

    def update(self, batch: SemanticBatch) -> None:
        """Count a batch."""
        sides = batch.extents.tolist()
        seen = batch.to(self._device)
        scored = self._learner.score(seen)
        self._loss += scored.loss.detach().cpu().double()
        for name, part in scored.parts.items():
            self._parts[name] = self._parts.get(name, torch.zeros_like(self._loss)) + part.detach().cpu().double()
        self._counted += torch.as_tensor(scored.counted).cpu().double()
        canvas_height, canvas_width = batch.pixels.shape[1:3]
        for number, (height, width) in enumerate(sides):
            shares = (width / canvas_width, height / canvas_height)
            self._count(batch, seen, number, scored.maps[number], shares)

    def _count(
        self, batch: SemanticBatch, seen: SemanticBatch, number: int, maps: torch.Tensor, shares: tuple[float, float]
    ) -> None:
        source, truth = batch.sources[number], seen.truth_of(number)
        for rows, found in class_rows(maps, Frame(source.width, source.height, shares)):
            self._counts.update(truth[rows], found, ignored=batch.ignored)

        def make() -> Pair:
            return pair_of(batch, number, maps, thumbnail_frame(source, shares), self._classes)

        # Images whose mask shows a single class, or none, are shown where there are no others.
        labels = batch.labels[number]
        found_classes = labels[labels != batch.ignored]
        several = len(found_classes) > 0 and bool(found_classes.min() != found_classes.max())
        self._samples.offer(source.path, make, has_objects=several)

    def compute(self) -> dict[str, float]:
        """``val_loss``, what it is made of, and the canonical metrics, those of each class among them."""
        counted = self._counted.item() or 1.0
        values = {"val_loss": self._loss.item() / counted}
        values |= {f"val_{name}": part.item() / counted for name, part in self._parts.items()}
        return values | self._counts.compute()

    def write_artifacts(self, folder: Path, *, epoch: int) -> list[tuple[Path, str]]:
        """The confusion matrix, the numbers of each class, and sample images."""
        matrix: list[list[int]] = self._counts.matrix().tolist()
        numbers = folder / "classes.json"
        found = self._counts.by_class()
        write_json(
            numbers,
            {
                "epoch": epoch,
                "counts": "pixels",
                "classes": [asdict(each) for each in found],
                "left_out_of_miou": [each.name for each in found if each.iou is None],
            },
        )
        return [
            *write_confusion_matrix(folder, matrix, self._classes, epoch=epoch, of="pixels"),
            (numbers, "classes"),
            *write_pairs(folder, self._samples.taken(), heading=f"Epoch {epoch}: {SHOWN}"),
        ]
