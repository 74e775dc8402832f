"""How many images a model computes at once where its results do not depend on it: found by trying."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from visiontrain.errors import RunFailedError
from visiontrain.torchkit.shortage import first_line, is_out_of_memory, release_memory
from visiontrain.torchkit.splitting import even_parts, fewer

__all__ = ["Fitting"]

T = TypeVar("T")


class Fitting:
    """Splits batches that memory has no room for, those that come later, too.

    Args:
        device: Whose memory.
        doing: What it was to be enough for, for the error: "an evaluation".
    """

    def __init__(self, device: torch.device, doing: str) -> None:
        self._device, self._doing = device, doing
        self.at_once = 0  # all

    def parts(self, images: int) -> list[slice]:
        """Of a batch, as there is room for."""
        return even_parts(images, self.at_once)

    def run(self, images: int, compute: Callable[[slice], T]) -> list[T]:
        """What `compute` gives of a batch, part by part; where memory has no room for one, all over in smaller ones.

        Raises:
            RunFailedError: memory has no room for a single image.
        """
        while True:
            try:
                return [compute(part) for part in self.parts(images)]
            except Exception as error:  # noqa: BLE001 - told apart by what they say
                self.shrink(error, images)
            release_memory(self._device)

    def shrink(self, error: Exception, images: int) -> None:
        """Make parts of half the size, after a batch of so many images ended with `error`.

        Call `release_memory` before the next attempt, outside of ``except``.

        Raises:
            Exception: `error`, where it tells of something else.
            RunFailedError: memory has no room for a single image.
        """
        if not is_out_of_memory(error):
            raise error
        self.at_once = fewer(self.parts(images))
        if self.at_once == 0:
            raise RunFailedError(
                f"the memory of {self._device} has no room for {self._doing} with a single image: {first_line(error)}",
                instruction="End what else uses the device's memory, or use --device cpu.",
            ) from error
