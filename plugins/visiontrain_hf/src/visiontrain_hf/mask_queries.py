"""What Mask2Former says of images: queries, each with class scores and a mask; and what they mean as objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from visiontrain.torchkit.object_found import FoundObjects

__all__ = ["Queries", "best_pairs", "found_objects", "mask_sureness"]

#: Objects of an image at the most, as the authors have it; with more queries than that, as many as there are queries.
_OBJECTS = 100

#: Values that are computed at once at the most while masks are as large as the canvas: 16 MiB of float32.
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Queries:
    """What each query says.

    Args:
        classes: Scores before softmax, that of "no object" last, (batch, queries, classes + 1).
        masks: Scores before sigmoid on a grid over the canvas, a quarter as large, (batch, queries, rows, columns).
    """

    classes: torch.Tensor
    masks: torch.Tensor

    def of(self, image: int) -> Queries:
        """Those of the image of that number, as a batch of its own."""
        return Queries(self.classes[image : image + 1], self.masks[image : image + 1])

    def float(self) -> Queries:
        """In float32."""
        return Queries(self.classes.float(), self.masks.float())


def found_objects(
    queries: Queries, extents: Sequence[Sequence[int]], canvas: tuple[int, int]
) -> Iterator[FoundObjects]:
    """The objects of each image, one image after the other, as the authors' code has it (arXiv:2112.01527).

    The best of all pairs of query and class are taken. The score is the class's probability times the mean probability
    of the mask where it is above a half, on the canvas, without its border.

    Args:
        queries: The last layer's.
        extents: Height and width of each image on the canvas, in pixels.
        canvas: Height and width in pixels.
    """
    scores, labels, rows = best_pairs(queries)
    for number, (height, width) in enumerate(extents):
        grids = queries.masks[number].float()
        sure = _sureness(grids, canvas, (height, width))
        yield FoundObjects(scores[number] * sure[rows[number]], labels[number], masks=grids[rows[number]])


def best_pairs(queries: Queries) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The pairs of query and class with the highest probability, the best first.

    Returns:
        Probabilities, class indices and numbers of queries, (batch, pairs).
    """
    shares = queries.classes.float().softmax(-1)[..., :-1]
    _, count, classes = shares.shape
    found, places = shares.flatten(1).topk(min(max(_OBJECTS, count), count * classes), dim=1)
    return found, places % classes, torch.div(places, classes, rounding_mode="floor")


def mask_sureness(scores: torch.Tensor) -> torch.Tensor:
    """The mean probability of what is in a mask; 0 where nothing is.

    Args:
        scores: Before sigmoid, (..., pixels).
    """
    inside = scores > 0
    return (scores.sigmoid() * inside).sum(-1) / inside.sum(-1).clamp(min=1)


def _sureness(grids: torch.Tensor, canvas: tuple[int, int], extent: tuple[int, int]) -> torch.Tensor:
    """`mask_sureness` of each mask on the canvas."""
    found = []
    for part in grids.split(max(1, _AT_ONCE // (canvas[0] * canvas[1]))):
        large = functional.interpolate(part[None], size=canvas, mode="bilinear", align_corners=False)[0]
        found.append(mask_sureness(large[:, : extent[0], : extent[1]].flatten(1)))
    return torch.cat(found)
