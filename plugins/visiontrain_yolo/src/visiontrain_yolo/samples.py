"""A few images of an evaluation with what is in them and what was found, for a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import torch
from PIL import Image
from ultralytics.utils.ops import xywhr2xyxyxyxy

from visiontrain.painting import Colour, Figure, colour_of, legible
from visiontrain.torchkit.contact_sheet import PANEL, Sample
from visiontrain.torchkit.sample_choice import CONFIDENCE, OBJECTS, SampleChoice
from visiontrain_yolo.batches import ObjectBatch

__all__ = ["Samples"]

#: The least score of a keypoint that is shown.
_KEYPOINT = 0.5

#: Of 255: a mask that is shown larger than it was found has levels between outside and inside.
_HALF = 127

_GREY: Colour = (150, 150, 150)

#: What is known of an image's boxes or objects, by name; each has a row a box.
Values = dict[str, torch.Tensor]


@dataclass(frozen=True)
class _Place:
    """Where an image lies in its batch, and how it is shown: x and y of each."""

    batch: tuple[int, int]
    first: tuple[float, float]
    size: tuple[float, float]
    shown: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """From pixels of the batch to those that are shown."""
        return self.shown[0] / self.size[0], self.shown[1] / self.size[1]

    def cut(self, whole: Image.Image) -> Image.Image:
        """The image out of a picture of the batch's extent, at any resolution, as it is shown."""
        across, down = whole.width / self.batch[0], whole.height / self.batch[1]
        left, top = self.first[0] * across, self.first[1] * down
        right = min(whole.width, left + self.size[0] * across)
        bottom = min(whole.height, top + self.size[1] * down)
        return whole.resize(self.shown, Image.Resampling.BILINEAR, box=(left, top, right, bottom))


class Samples:
    """Keeps up to 8 images, the same ones at each evaluation: those with objects first, else as their names fall.

    Args:
        classes: Class names by class index.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._choice: SampleChoice[Sample] = SampleChoice()

    def offer(self, batch: ObjectBatch, number: int, *, truth: Values, passed_over: Values, found: Values) -> None:
        """Keep an image, or don't.

        Args:
            batch: That it is of.
            number: Its place there.
            truth: Its objects: ``cls``, ``bboxes`` in pixels of the batch; ``masks``, ``keypoints``.
            passed_over: Likewise, of those that are not counted.
            found: Likewise, with ``conf``, the best first.
        """

        def make() -> Sample:
            return self._made(batch, number, truth=truth, passed_over=passed_over, found=found)

        self._choice.offer(batch.values["im_file"][number], make, has_objects=len(truth["cls"]) > 0)

    def taken(self) -> list[Sample]:
        """Those that were kept, in an order that does not change from evaluation to evaluation."""
        return self._choice.taken()

    def _made(self, batch: ObjectBatch, number: int, *, truth: Values, passed_over: Values, found: Values) -> Sample:
        place = _place_of(batch, number)
        pixels = batch.values["img"][number].permute(1, 2, 0).cpu().numpy()
        image = place.cut(Image.fromarray(pixels))
        shown = {key: values[found["conf"] >= CONFIDENCE][:OBJECTS] for key, values in found.items()}
        objects = (*self._figures(passed_over, place, name=False), *self._figures(truth, place, name=True))
        return Sample(
            Path(batch.values["im_file"][number]).name,
            image,
            objects,
            tuple(self._figures(shown, place, name=True))[::-1],
        )

    def _figures(self, values: Values, place: _Place, *, name: bool) -> list[Figure]:
        """What to paint of objects; those without a name are grey."""
        found = []
        corners = _corners(values["bboxes"], place)
        scores: list[Any] = values["conf"].tolist() if "conf" in values else [None] * len(corners)
        masks = _masks(values, place)
        points = _keypoints(values, place)
        for number, (label, score) in enumerate(zip(values["cls"].int().tolist(), scores, strict=True)):
            text = legible(self._classes[label], label) if name else ""
            x, y = corners[number][0::2], corners[number][1::2]
            found.append(
                Figure(
                    text if score is None else f"{text} {score:.2f}",
                    colour_of(label) if name else _GREY,
                    (min(x), min(y), max(x), max(y)),
                    quad=tuple(corners[number]) if len(x) > 2 else None,  # noqa: PLR2004 - two corners make an upright box
                    mask=masks[number] if masks else None,
                    keypoints=points[number] if points else (),
                )
            )
        return found


def _place_of(batch: ObjectBatch, number: int) -> _Place:
    height, width = batch.values["ori_shape"][number]
    (ratio_high, ratio_wide), (left, top) = batch.values["ratio_pad"][number]
    high, wide = batch.values["img"].shape[2:]
    scale = PANEL / max(width, height)
    shown = max(1, round(width * scale)), max(1, round(height * scale))
    return _Place((wide, high), (float(left), float(top)), (width * ratio_wide, height * ratio_high), shown)


def _corners(boxes: torch.Tensor, place: _Place) -> list[list[float]]:
    """Of each box x and y in turn, as they are shown: two corners, or four of a turned one."""
    found = boxes.float().cpu()
    if boxes.shape[1:] == (5,):
        turn: Any = xywhr2xyxyxyxy
        found = turn(found).flatten(1)
    pairs = found.shape[1] // 2
    first, scale = torch.tensor(place.first * pairs), torch.tensor(place.scale * pairs)
    rows: list[list[float]] = ((found - first) * scale).tolist()
    return rows


def _masks(values: Values, place: _Place) -> list[Image.Image]:
    if "masks" not in values:
        return []
    masks = (values["masks"] > 0).to(torch.uint8).mul(255).cpu().numpy()
    return [place.cut(Image.fromarray(mask)).point([255 * (level > _HALF) for level in range(256)]) for mask in masks]


def _keypoints(values: Values, place: _Place) -> list[tuple[tuple[float, float] | None, ...]]:
    if "keypoints" not in values:
        return []
    points = values["keypoints"].float().cpu()
    shown = (points[..., :2] - torch.tensor(place.first)) * torch.tensor(place.scale)
    return [
        tuple((x, y) if score >= _KEYPOINT else None for (x, y), score in zip(each, scores, strict=True))
        for each, scores in zip(shown.tolist(), points[..., 2].tolist(), strict=True)
    ]
