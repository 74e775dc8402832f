"""Where images are loaded: in processes of their own, or between the steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch
from torch.utils.data import Dataset

from visiontrain.torchkit.data import EpochLoader, KeySampler, LoadedBatch, default_workers
from visiontrain.torchkit.learning import BatchSource

__all__ = ["ThriftyLoader", "make_loader"]

#: Share of the time that loading between the steps may take. A loader process on a CPU takes what it gains from the
#: model's threads, which wait for each other: measured on 4 cores with YOLO26n at 128 px, where loading takes a seventh
#: to a tenth, 143 images a second between the steps and 131 with two processes; where other programs take the cores,
#: too, no difference.
_SHARE = 0.25

#: Batches that are no measure, and how many are one.
_WARM_UP = 2
_FEWEST = 10

L = TypeVar("L", bound=LoadedBatch)


class ThriftyLoader(Generic[L]):
    """Loads batches between the steps until that takes too large a share of the time, then in processes.

    The batches are the same ones either way, so that time, which differs from run to run, decides nothing else.

    Args:
        make: Gives a loader with so many processes.
        workers: How many to start where loading is slow; at least 1.
        clock: Seconds; for tests.
    """

    def __init__(
        self, make: Callable[[int], EpochLoader[L]], *, workers: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._make, self._workers, self._clock = make, workers, clock
        self._loader = make(0)
        self._in_processes = False
        self._seen = 0  # batches
        self._loading = self._other = 0.0  # seconds, the first batches left out

    @property
    def batches(self) -> int:
        """Batches of an epoch; at least 1."""
        return self._loader.batches

    @property
    def ahead(self) -> int:
        """Batches that may lie loaded before they are asked for."""
        return self._loader.ahead

    def epoch(self, epoch: int, start: int = 0) -> Iterator[L]:
        """The batches of `epoch` (from 0) from number `start` (from 0) on.

        Raises:
            DatasetError: an image can't be read.
        """
        done = start
        if not self._in_processes:
            asked = self._clock()
            for batch in self._loader.epoch(epoch, start):
                done += 1
                given = self._clock()
                yield batch
                loading, asked = given - asked, self._clock()
                self._seen += 1
                if self._seen > _WARM_UP:
                    self._loading += loading
                    self._other += asked - given
                if self._is_slow() and done < self.batches:
                    break
            else:
                return
            self._loader.close()
            self._loader = self._make(self._workers)
            self._in_processes = True
        yield from self._loader.epoch(epoch, done)

    def _is_slow(self) -> bool:
        measured = self._seen - _WARM_UP
        return measured >= _FEWEST and self._loading > _SHARE * (self._loading + self._other)

    def close(self) -> None:
        """End the loader processes; on return there are none, also where one was busy."""
        self._loader.close()


def make_loader(
    dataset: Dataset[L], sampler: KeySampler, *, workers: int | None, device: torch.device
) -> BatchSource[L]:
    """What loads a split's batches in a training.

    Args:
        dataset: Gives the batch for a list of keys.
        sampler: Which keys.
        workers: Loader processes; 0 loads between the steps. None: as the processors allow, and where the model
            computes on them, too, only when loading is slow.
        device: Where the batches will go.
    """

    def make(count: int) -> EpochLoader[L]:
        return EpochLoader(dataset, sampler, workers=min(count, sampler.batches), device=device)

    usual = default_workers(device)
    if workers is None and device.type == "cpu" and usual > 0:
        return ThriftyLoader(make, workers=usual)
    return make(usual if workers is None else workers)
