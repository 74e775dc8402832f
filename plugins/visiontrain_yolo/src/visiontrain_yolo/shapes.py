"""Batches of images that have one shape: what is computed of an image then depends on no other one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch.utils.data import Sampler

from visiontrain.torchkit.data import SampleKey

__all__ = ["ShapeSampler"]


class ShapeSampler(Sampler[list[SampleKey]]):
    """Every image of a split once, those of one shape after the other.

    Args:
        shapes: Of each image by its position.
        batch_size: Images of a batch, at the most.
    """

    def __init__(self, shapes: Iterable[tuple[int, int]], batch_size: int) -> None:
        groups: dict[tuple[int, int], list[int]] = {}
        for position, shape in enumerate(shapes):
            groups.setdefault(shape, []).append(position)
        self._batches = [
            positions[start : start + batch_size]
            for _, positions in sorted(groups.items())
            for start in range(0, len(positions), batch_size)
        ]
        self.batches = len(self._batches)
        self.epoch = 0
        self.start = 0

    def __len__(self) -> int:
        return self.batches - self.start

    def __iter__(self) -> Iterator[list[SampleKey]]:
        epoch = self.epoch
        for positions in self._batches[self.start :]:
            yield [(epoch, position) for position in positions]
