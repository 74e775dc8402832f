"""What a model says of an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from visiontrain.datasets.masks import Mask
from visiontrain.datasets.objects import Box, Quad
from visiontrain.protocol.tasks import OBJECT_TASKS, Task
from visiontrain.semantic_maps import SemanticMap

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["DetectedKeypoint", "DetectedObject", "Prediction", "ScoredLabel"]

#: From this probability on an image of multi-label data is said to have a label.
THRESHOLD = 0.5

_TOP = 5


class ScoredLabel(NamedTuple):
    """A class name and its probability, from 0 to 1.

    Of objects it is the score of the class's best one, of a class map the class's share of the pixels.
    """

    label: str
    probability: float


class DetectedKeypoint(NamedTuple):
    """A point of an object: its name, where it is in pixels of the image as it is shown, and a score from 0 to 1."""

    name: str
    x: float
    y: float
    score: float


@dataclass(frozen=True, repr=False)
class DetectedObject:
    """One object that was found, in pixels of the image as it is shown: after its EXIF orientation, from the top left.

    Args:
        label: Its class.
        score: How sure the model is, from 0 to 1.
        box: Left, top, right and bottom, inside of the image.
        class_index: The class by its number, counted from 0.
        mask: Its pixels, of the image's size, for the task segment. As COCO has it: `mask.data` are its ``counts``.
        keypoints: Its points, for the task pose: all that the model knows, in its order.
        quad: The four corners of its turned box, x and y in turn, in order around it, for the task obb. It may reach
            out of the image.
    """

    label: str
    score: float
    box: Box
    class_index: int
    mask: Mask | None = None
    keypoints: tuple[DetectedKeypoint, ...] = ()
    quad: Quad | None = None

    def __repr__(self) -> str:
        """Its class, score and box."""
        box = ", ".join(f"{side:.1f}" for side in self.box)
        return f"<DetectedObject {self.label} {self.score:.3f} at {box}>"

    def mask_image(self) -> Image | None:
        """The mask as a PIL image of the mode L, 255 inside of the object and 0 outside; None where it has no mask."""
        if self.mask is None:
            return None
        from PIL import Image

        size = (self.mask.width, self.mask.height)
        return Image.frombytes("L", size, self.mask.pixels()).point([0] + [255] * 255)


@dataclass(frozen=True, repr=False)
class Prediction:
    """What was found in one image.

    Args:
        path: The image's file; None where pixels were given.
        width: Of the image as it is shown, in pixels.
        height: Likewise.
        probabilities: From 0 to 1 by class name, in the order of the class indices. They add up to 1, unless an image
            may have several labels. Empty where the model finds objects or gives a class map.
        multi_label: Whether it may.
        error: Why the image can't be read; nothing else is known of it then.
        task: The model's.
        objects: Those that were found, the best first, for the tasks detect, segment, pose and obb.
        edges: Pairs of the objects' keypoints that belong together, counted from 0.
        class_map: What class each pixel is of, for the task semantic.
    """

    path: Path | None
    width: int = 0
    height: int = 0
    probabilities: dict[str, float] = field(default_factory=dict)
    multi_label: bool = False
    error: str | None = None
    task: Task = Task.classify
    objects: tuple[DetectedObject, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    class_map: SemanticMap | None = None

    def __repr__(self) -> str:
        """The image, and what was found in it."""
        if self.error is not None:  # which begins with the image
            return f"<Prediction: {self.error}>"
        if self.finds_objects:
            found = ", ".join(f"{count} {label}" for label, count in self.counts.items())
        else:
            scores = self._scores()
            labels = self.labels[:_TOP] if self.class_map else self.labels
            found = ", ".join(f"{label} {scores[label]:.3f}" for label in labels)
        nothing = "no object" if self.finds_objects else "no label"
        return f"<Prediction of {self.path or 'pixels'}: {found or nothing}>"

    @property
    def finds_objects(self) -> bool:
        """Whether the model finds objects, `objects`, rather than labels of the whole image, `probabilities`."""
        return self.task in OBJECT_TASKS

    @property
    def counts(self) -> dict[str, int]:
        """How many objects there are of each class that was found, by its name; the best object's class first."""
        counts: dict[str, int] = {}
        for found in self.objects:
            counts[found.label] = counts.get(found.label, 0) + 1
        return counts

    def top(self, count: int) -> list[ScoredLabel]:
        """The most probable labels, the best first.

        Of objects their classes, each with its best object's score; of a class map those that it shows, each with its
        share of the pixels.
        """
        ranked = sorted(self._scores().items(), key=lambda item: -item[1])
        return [ScoredLabel(*item) for item in ranked[:count]]

    @property
    def top5(self) -> list[ScoredLabel]:
        """The first five of `top`; fewer where there are fewer classes."""
        return self.top(_TOP)

    @property
    def label(self) -> str | None:
        """The most probable label, the best object's, or that of most pixels.

        None where nothing was found, or the image can't be read.
        """
        scores = self._scores()
        return max(scores, key=scores.__getitem__) if scores else None

    @property
    def probability(self) -> float | None:
        """The probability of `label`, the best object's score, or the share of pixels that are of `label`."""
        return max(self._scores().values(), default=None)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the image has.

        Of multi-label data those of a probability of 0.5 or more, else `label`; where a model finds objects, their
        classes, each once, the best object's first; of a class map those that it shows, that of most pixels first.
        """
        if self.finds_objects or self.class_map is not None:
            return tuple(self._scores())
        if self.multi_label:
            return tuple(label for label, probability in self.probabilities.items() if probability >= THRESHOLD)
        return () if self.label is None else (self.label,)

    def _scores(self) -> dict[str, float]:
        """What labels are ranked by."""
        if self.class_map is not None:
            return self.class_map.shares
        if not self.finds_objects:
            return self.probabilities
        best: dict[str, float] = {}
        for found in self.objects:  # the best first
            best.setdefault(found.label, found.score)
        return best
