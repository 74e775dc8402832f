"""What Mask2Former says of images: queries, each with class scores and a mask; and what they mean as objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from visiontrain.torchkit.object_found import FoundObjects

__all__ = ["HfMaskQueries", "Queries", "found_objects"]

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


class HfMaskQueries(nn.Module):
    """Gives what each layer of the decoder says, the last one's word last.

    Args:
        network: transformers' ``Mask2FormerForUniversalSegmentation``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[Queries, ...]:
        """Normalised images, (batch, 3, height, width), to the queries of each layer."""
        # Without the hidden states the layers' queries are not there where `use_auxiliary_loss` is off.
        out: Any = self.network(pixel_values=images, output_hidden_states=True, output_auxiliary_logits=True)
        layers = [Queries(each["class_queries_logits"], each["masks_queries_logits"]) for each in out.auxiliary_logits]
        return (*layers, Queries(out.class_queries_logits, out.masks_queries_logits))


def found_objects(
    queries: Queries, extents: Sequence[tuple[int, int]], canvas: tuple[int, int]
) -> Iterator[FoundObjects]:
    """The objects of each image, one image after the other, as the authors' code has it (arXiv:2112.01527).

    The best of all pairs of query and class are taken. The score is the class's probability times the mean probability
    of the mask where it is above a half, on the canvas, without its border.

    Args:
        queries: The last layer's.
        extents: Height and width of each image on the canvas, in pixels.
        canvas: Height and width in pixels.
    """
    for number, (height, width) in enumerate(extents):
        grids = queries.masks[number].float()
        shares = queries.classes[number].float().softmax(-1)[:, :-1]
        count, classes = shares.shape
        chosen, places = shares.flatten().topk(min(max(_OBJECTS, count), shares.numel()))
        rows = places // classes
        sure = _sureness(grids, canvas, (height, width))
        yield FoundObjects(chosen * sure[rows], places % classes, masks=grids[rows])


def _sureness(grids: torch.Tensor, canvas: tuple[int, int], extent: tuple[int, int]) -> torch.Tensor:
    """Of each mask the mean probability of its pixels; 0 where it has none."""
    found = []
    for part in grids.split(max(1, _AT_ONCE // (canvas[0] * canvas[1]))):
        large = functional.interpolate(part[None], size=canvas, mode="bilinear", align_corners=False)[0]
        scores = large[:, : extent[0], : extent[1]].flatten(1)
        inside = scores > 0
        found.append((scores.sigmoid() * inside).sum(1) / inside.sum(1).clamp(min=1))
    return torch.cat(found)
