"""Images with their objects, as they are loaded together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["OF_OBJECTS", "ObjectBatch"]

#: Values that have a row an object; all other ones have one an image.
OF_OBJECTS = ("cls", "bboxes", "batch_idx", "keypoints", "number")


@dataclass
class ObjectBatch:
    """A batch as Ultralytics' losses and metrics take it.

    Args:
        values: ``img``: uint8, (batch, 3, height, width), RGB. ``batch_idx``: of each object its image's number in the
            batch. ``cls`` and ``bboxes``: its class, and its box as shares of the image (centre, width, height). And
            what is told of each image: ``im_file``, ``ori_shape``, ``ratio_pad``...
        epoch: The epoch that it is of, counted from 0.
        first: The first image's position in its split; with the epoch it tells a batch from all others.
        error: What a loader could not read; the batch is then empty.
    """

    values: dict[str, Any] = field(default_factory=dict)
    epoch: int = 0
    first: int = 0
    error: str | None = None

    def __len__(self) -> int:
        return len(self.values["img"]) if self.values else 0

    def part(self, images: slice) -> ObjectBatch:
        """Some of the images with their objects."""
        start, stop, _ = images.indices(len(self))
        numbers = self.values["batch_idx"]
        chosen = (numbers >= start) & (numbers < stop)
        values = {
            name: value[chosen] if name in OF_OBJECTS else value[start:stop] for name, value in self.values.items()
        }
        values["batch_idx"] = values["batch_idx"] - start
        return ObjectBatch(values, self.epoch, self.first)

    def pin_memory(self) -> ObjectBatch:
        """Called by torch's loader, so that the copy to a GPU need not wait."""
        values = {name: v.pin_memory() if isinstance(v, torch.Tensor) else v for name, v in self.values.items()}
        return ObjectBatch(values, self.epoch, self.first, self.error)

    def to(self, device: torch.device) -> ObjectBatch:
        """The batch on `device`."""
        values = {
            name: v.to(device, non_blocking=True) if isinstance(v, torch.Tensor) else v
            for name, v in self.values.items()
        }
        return ObjectBatch(values, self.epoch, self.first, self.error)
