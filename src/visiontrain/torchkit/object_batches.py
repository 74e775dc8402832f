"""Images with their objects, as they are loaded together, for detectors and instance segmenters of any framework."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

__all__ = ["ObjectBatch", "ObjectRows", "SourceImage", "pixel_mask"]


@dataclass(frozen=True)
class SourceImage:
    """Where an image of a batch comes from; `width` and `height` are the file's, in pixels as it is shown."""

    path: str
    width: int
    height: int


@dataclass(frozen=True)
class ObjectRows:
    """Objects of several images, those of the first one first.

    A few large tensors, not some for each image: each takes a file handle on its way out of a loader's process.

    Args:
        counts: How many each image has.
        labels: Class indices, int64, (objects).
        boxes: Centre x, centre y, width and height as shares of the image, without its border: float32, (objects, 4).
        masks: Which pixels of the canvas are the object's: bool, (objects, height, width); None for the task detect.
    """

    counts: tuple[int, ...]
    labels: torch.Tensor
    boxes: torch.Tensor
    masks: torch.Tensor | None = None

    def __len__(self) -> int:
        return sum(self.counts)

    def of(self, image: int) -> ObjectRows:
        """Those of the image of that number."""
        return self.part(slice(image, image + 1))

    def part(self, images: slice) -> ObjectRows:
        """Those of some of the images."""
        start, stop, _ = images.indices(len(self.counts))
        rows = slice(sum(self.counts[:start]), sum(self.counts[:stop]))
        masks = None if self.masks is None else self.masks[rows]
        return ObjectRows(self.counts[start:stop], self.labels[rows], self.boxes[rows], masks)

    def with_tensors(self, change: Callable[[torch.Tensor], torch.Tensor]) -> ObjectRows:
        """The same objects, each tensor replaced by what `change` makes of it."""
        masks = None if self.masks is None else change(self.masks)
        return ObjectRows(self.counts, change(self.labels), change(self.boxes), masks)

    @classmethod
    def joined(cls, images: Sequence[ObjectRows]) -> ObjectRows:
        """The objects of several images, one after the other; at least one image."""
        return cls(
            tuple(count for each in images for count in each.counts),
            torch.cat([each.labels for each in images]),
            torch.cat([each.boxes for each in images]),
            None if images[0].masks is None else torch.cat([each.masks for each in images if each.masks is not None]),
        )


@dataclass(frozen=True)
class ObjectBatch:
    """Images with their objects.

    Args:
        pixels: What the model sees, RGB, uint8, (batch, height, width, 3): the canvas, all images on one of one size.
        extents: Height and width of each image on its canvas, in pixels, int64, (batch, 2). It lies top left; what is
            right of it and below is border.
        sources: Where each image comes from.
        objects: What is learned, and counted.
        passed_over: What an evaluation passes over: crowds, and what is difficult. Empty in a training batch.
        error: What a loader could not read; the batch is then empty.
    """

    pixels: torch.Tensor
    extents: torch.Tensor
    sources: tuple[SourceImage, ...]
    objects: ObjectRows
    passed_over: ObjectRows
    error: str | None = None

    def __len__(self) -> int:
        return len(self.sources)

    @classmethod
    def failed(cls, error: str) -> ObjectBatch:
        """A batch that could not be loaded."""
        nothing = torch.empty(0, dtype=torch.int64)
        none = ObjectRows((), nothing, torch.empty(0, 4))
        return cls(torch.empty(0, dtype=torch.uint8), nothing, (), none, none, error)

    @classmethod
    def made_up(
        cls, images: int, size: tuple[int, int], *, objects: int, classes: int, masks: bool, seed: int
    ) -> ObjectBatch:
        """A batch to try out what a training step costs; draws nothing from the global generators.

        Args:
            images: How many.
            size: Height and width of the canvas in pixels.
            objects: Of each image: as many as are to be expected at the most, since memory depends on them.
            classes: How many there are.
            masks: With masks.
            seed: Of its random content.
        """
        generator = torch.Generator().manual_seed(seed)
        count = images * objects
        sides = torch.rand(count, 2, generator=generator) * 0.5 + 0.1
        rows = ObjectRows(
            (objects,) * images,
            torch.randint(classes, (count,), generator=generator),
            torch.cat([sides / 2 + torch.rand(count, 2, generator=generator) * (1 - sides), sides], dim=1),
            torch.ones(count, *size, dtype=torch.bool) if masks else None,
        )
        return cls(
            torch.randint(256, (images, *size, 3), generator=generator, dtype=torch.uint8),
            torch.tensor([size] * images, dtype=torch.int64),
            (SourceImage("", size[1], size[0]),) * images,
            rows,
            replace(rows.part(slice(0, 0)), counts=(0,) * images),
        )

    @property
    def pixel_mask(self) -> torch.Tensor:
        """Which pixels of the canvas are the image's, not its border: bool, (batch, height, width)."""
        height, width = self.pixels.shape[1:3]
        return pixel_mask(self.extents, height, width)

    def part(self, images: slice) -> ObjectBatch:
        """Some of the images with their objects."""
        return ObjectBatch(
            self.pixels[images],
            self.extents[images],
            self.sources[images],
            self.objects.part(images),
            self.passed_over.part(images),
        )

    def pin_memory(self) -> ObjectBatch:
        """Called by torch's loader, so that the copy to a GPU need not wait."""
        return self._with_tensors(torch.Tensor.pin_memory)

    def to(self, device: torch.device) -> ObjectBatch:
        """The batch on `device`."""
        return self._with_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def _with_tensors(self, change: Callable[[torch.Tensor], torch.Tensor]) -> ObjectBatch:
        return replace(
            self,
            pixels=change(self.pixels),
            extents=change(self.extents),
            objects=self.objects.with_tensors(change),
            passed_over=self.passed_over.with_tensors(change),
        )


def pixel_mask(extents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Which pixels of a canvas are the image's: bool, (batch, height, width).

    Args:
        extents: Height and width of each image on its canvas, in pixels, int64, (batch, 2).
        height: The canvas's, in pixels.
        width: Likewise.
    """
    rows = torch.arange(height, device=extents.device)[None] < extents[:, :1]
    columns = torch.arange(width, device=extents.device)[None] < extents[:, 1:]
    return rows[:, :, None] & columns[:, None, :]
