"""Images with the classes of their pixels, as they are loaded together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from visiontrain.torchkit.object_batches import SourceImage

__all__ = ["SemanticBatch", "ignored_of", "label_type"]

_BYTE, _WORD = 255, 65535


def ignored_of(classes: int) -> int:
    """The number that stands for no class beside so many classes, as `PixelClasses.ignore_value` has it."""
    return _BYTE if classes <= _BYTE else _WORD


def label_type(ignored: int) -> torch.dtype:
    """The smallest type that has room for class indices and `ignored`."""
    return torch.uint8 if ignored == _BYTE else torch.int32


@dataclass(frozen=True)
class SemanticBatch:
    """Images with the classes of their pixels.

    Args:
        pixels: What the model sees, RGB, uint8, (batch, height, width, 3): the canvas, all images on one of one size.
        extents: Height and width of each image on its canvas, in pixels, int64, (batch, 2). It lies top left; what is
            right of it and below is border.
        sources: Where each image comes from.
        labels: The class index of each pixel of the canvas, (batch, height, width): `label_type` of `ignored`.
        ignored: What stands in `labels` and `truth` for pixels of no class, and for those outside of the image.
        truth: The class index of each pixel of the images themselves, at the size that they have as they are shown:
            row by row, one image after the other, of the same type. None in a training batch.
        error: What a loader could not read; the batch is then empty.
    """

    pixels: torch.Tensor
    extents: torch.Tensor
    sources: tuple[SourceImage, ...]
    labels: torch.Tensor
    ignored: int
    truth: torch.Tensor | None = None
    error: str | None = None

    def __len__(self) -> int:
        return len(self.sources)

    @classmethod
    def failed(cls, error: str) -> SemanticBatch:
        """A batch that could not be loaded."""
        nothing = torch.empty(0, dtype=torch.uint8)
        return cls(nothing, nothing, (), nothing, _BYTE, error=error)

    @classmethod
    def made_up(cls, images: int, size: tuple[int, int], *, classes: int, seed: int) -> SemanticBatch:
        """A batch to try out what a training step costs; draws nothing from the global generators.

        Args:
            images: How many.
            size: Height and width of the canvas in pixels.
            classes: How many there are.
            seed: Of its random content.
        """
        generator = torch.Generator().manual_seed(seed)
        ignored = ignored_of(classes)
        return cls(
            torch.randint(256, (images, *size, 3), generator=generator, dtype=torch.uint8),
            torch.tensor([size] * images, dtype=torch.int64),
            (SourceImage("", size[1], size[0]),) * images,
            torch.randint(classes, (images, *size), generator=generator).to(label_type(ignored)),
            ignored,
        )

    def truth_of(self, image: int) -> torch.Tensor:
        """The class index of each pixel of the image of that number, (height, width).

        Raises:
            ValueError: it is a training batch.
        """
        if self.truth is None:
            raise ValueError("a training batch does not hold the images' own masks")
        start, source = self._begin(image), self.sources[image]
        return self.truth[start : start + source.height * source.width].view(source.height, source.width)

    def part(self, images: slice) -> SemanticBatch:
        """Some of the images."""
        start, stop, _ = images.indices(len(self))
        truth = None if self.truth is None else self.truth[self._begin(start) : self._begin(stop)]
        return replace(
            self,
            pixels=self.pixels[images],
            extents=self.extents[images],
            sources=self.sources[images],
            labels=self.labels[images],
            truth=truth,
        )

    def _begin(self, image: int) -> int:
        return sum(source.width * source.height for source in self.sources[:image])

    def with_labels(self, change: Callable[[torch.Tensor], torch.Tensor], ignored: int) -> SemanticBatch:
        """The same images with other class indices.

        Args:
            change: From old ones to new ones.
            ignored: What then stands for no class.
        """
        truth = None if self.truth is None else change(self.truth)
        return replace(self, labels=change(self.labels), truth=truth, ignored=ignored)

    def pin_memory(self) -> SemanticBatch:
        """Called by torch's loader, so that the copy to a GPU need not wait."""
        return self._with_tensors(torch.Tensor.pin_memory)

    def to(self, device: torch.device) -> SemanticBatch:
        """The batch on `device`."""
        return self._with_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def _with_tensors(self, change: Callable[[torch.Tensor], torch.Tensor]) -> SemanticBatch:
        moved = replace(self, pixels=change(self.pixels), extents=change(self.extents))
        return moved.with_labels(change, self.ignored)
