"""What Mask2Former says of images: queries, each with class scores and a mask; what they mean as objects and maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch.nn import functional

from visiontrain.torchkit.object_found import FoundObjects

__all__ = ["Queries", "best_pairs", "class_maps", "found_objects", "mask_sureness"]

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


def class_maps(queries: Queries, canvas: tuple[int, int]) -> torch.Tensor:
    """A score for each class at each pixel, as the authors' code has it: what the queries say of it together.

    That is the sum over queries of the class's probability times the mask's, in float32.

    Args:
        queries: The last layer's.
        canvas: Height and width in pixels.

    Returns:
        (batch, classes, height, width).
    """
    queries = queries.float()
    shares = queries.classes.softmax(-1)[..., :-1].transpose(1, 2)
    device, step = shares.device.type, max(1, _AT_ONCE // (canvas[0] * canvas[1]))
    maps = shares.new_zeros(())
    # Exporters are not shown a context that changes nothing.
    with torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext():
        for start in range(0, shares.shape[2], step):
            part = queries.masks[:, start : start + step]
            masks = functional.interpolate(part, size=canvas, mode="bilinear", align_corners=False).sigmoid()
            maps = maps + torch.einsum("bcq,bqhw->bchw", shares[..., start : start + step], masks)
    return maps


def _sureness(grids: torch.Tensor, canvas: tuple[int, int], extent: tuple[int, int]) -> torch.Tensor:
    """`mask_sureness` of each mask on the canvas."""
    found = []
    step = max(1, _AT_ONCE // (canvas[0] * canvas[1]))
    for start in range(0, len(grids), step):
        part = grids[None, start : start + step]
        large = functional.interpolate(part, size=canvas, mode="bilinear", align_corners=False)[0]
        found.append(mask_sureness(large[:, : extent[0], : extent[1]].flatten(1)))
    return torch.cat(found)
