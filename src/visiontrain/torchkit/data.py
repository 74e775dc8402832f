"""Batches of labelled images out of a dataset's index: the same ones, in the same order, whoever loads them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.randomness import derive_seed, kept_rng, seed_sample
from visiontrain.torchkit.sampling import balanced_order
from visiontrain.torchkit.transforms import Transform

__all__ = [
    "EpochLoader",
    "EpochSampler",
    "ImageBatch",
    "KeySampler",
    "LabelledImages",
    "LoadedBatch",
    "SampleKey",
    "default_workers",
]

#: Batches that each loader process keeps ready.
_PREFETCHED = 4

#: By how much loader processes stand back where the model computes on the processors, too.
_NICENESS = 10

#: (epoch, position in the split): a sample's identity, which its random choices are derived from.
SampleKey = tuple[int, int]


def default_workers(device: torch.device) -> int:
    """How many loader processes to start where nobody said: by the processors that this process may run on."""
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        processors = os.cpu_count() or 1
    if device.type == "cpu":
        # The model needs the processors too; two processes keep up with it and decode while it computes.
        return min(2, processors // 2)
    return max(1, min(16, processors - 1))


@dataclass
class ImageBatch:
    """Images with their labels.

    Args:
        pixels: uint8, (batch, height, width, 3).
        labels: Class indices, int64, (batch); of multi-label data float32, (batch, classes), 1 where an image has it.
        error: What a loader could not read; the batch is then empty.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    error: str | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, images: slice) -> ImageBatch:
        """Some of the images with their labels."""
        return ImageBatch(self.pixels[images], self.labels[images])

    def pin_memory(self) -> ImageBatch:
        """Called by torch's loader, so that the copy to a GPU need not wait."""
        return ImageBatch(self.pixels.pin_memory(), self.labels.pin_memory(), self.error)

    def to(self, device: torch.device) -> ImageBatch:
        """The batch on `device`."""
        return ImageBatch(self.pixels.to(device, non_blocking=True), self.labels.to(device, non_blocking=True))


class LabelledImages(Dataset[ImageBatch]):
    """A split of the index as batches; what a loader process holds.

    Args:
        index: The dataset.
        split: train, val or test.
        transform: What makes pixels of an image; its random choices come from (seed, epoch, position) alone.
        seed: The run's.
    """

    def __init__(self, index: DatasetIndex, split: str, transform: Transform, seed: int) -> None:
        self.index, self.split, self.transform, self.seed = index, split, transform, seed

    def __getitem__(self, keys: Sequence[SampleKey]) -> ImageBatch:
        pixels: list[torch.Tensor] = []
        labels: list[tuple[int, ...]] = []
        try:
            with kept_rng():
                for epoch, position in keys:
                    image = self.index.image(self.split, position)
                    if image.label is None and not self.index.multi_label:
                        raise DatasetError(f"{image.path}: has no label")
                    decoded = read_rgb(image.path, share=self.transform.decode_share(image.width, image.height))
                    seed_sample(self.seed, epoch, position)
                    pixels.append(torch.from_numpy(self.transform(decoded).copy()))
                    labels.append(image.labels)
        except DatasetError as e:
            # As text: torch would wrap an exception in a traceback of the loader's process.
            return ImageBatch(torch.empty(0, dtype=torch.uint8), torch.empty(0, dtype=torch.int64), str(e))
        return ImageBatch(torch.stack(pixels), self._targets(labels))

    def _targets(self, labels: list[tuple[int, ...]]) -> torch.Tensor:
        if not self.index.multi_label:
            return torch.tensor([label for (label,) in labels], dtype=torch.int64)
        targets = torch.zeros(len(labels), len(self.index.classes))
        for row, chosen in enumerate(labels):
            targets[row, list(chosen)] = 1
        return targets


class EpochSampler(Sampler[list[SampleKey]]):
    """The batches of an epoch: a pure function of (seed, epoch).

    Set `epoch` (from 0) and `start` (batches to leave out at the beginning) before each iteration. A last batch of a
    single image is left out where there are others, because batch norm can't train on it.

    Args:
        size: Images of the split.
        batch_size: Images of a batch; the last one may have fewer.
        seed: The run's.
        train: In random order, another one each epoch.
        balance: Class indices by position, to draw each class as often as the others. An epoch is as long as before.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int, *, train: bool, balance: Sequence[int] | None = None
    ) -> None:
        self.size, self.batch_size, self.seed, self.train = size, batch_size, seed, train
        self._balance = None if balance is None else torch.tensor(balance, dtype=torch.int64)
        self.epoch = 0
        self.start = 0
        whole, rest = divmod(size, batch_size)
        lonely = train and rest == 1 and whole > 0
        self.batches = whole + (rest > 0 and not lonely)

    def __len__(self) -> int:
        return self.batches - self.start

    def __iter__(self) -> Iterator[list[SampleKey]]:
        epoch = self.epoch
        if self.train:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch))
            if self._balance is None:
                order = torch.randperm(self.size, generator=generator).tolist()
            else:
                order = balanced_order(self._balance, generator)
        else:
            order = list(range(self.size))
        for batch in range(self.start, self.batches):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(epoch, position) for position in chosen]


def _begin_loading(_worker: int, *, niceness: int) -> None:
    """What a loader process does first: it stands back, and gets ready to outlive a request to stop.

    A service manager and a shutdown send SIGTERM to every process: the trainer's to act on, after its checkpoint. A
    loader process that died of it would make torch raise in the midst of a batch. It ends with the trainer.

    Args:
        niceness: Above 0 where the model computes on the processors, too: its threads wait for one that is held up.
    """
    os.nice(niceness)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # what came since the process began is ignored, too


@contextmanager
def _requests_to_stop_held_back() -> Iterator[None]:
    """Processes that are started meanwhile begin with SIGTERM held back, until they ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class LoadedBatch(Protocol):
    """A batch out of a loader's process."""

    @property
    def error(self) -> str | None:
        """What could not be read; the batch is then empty."""
        ...


L = TypeVar("L", bound=LoadedBatch)


class KeySampler(Protocol):
    """Which samples make a batch: `EpochSampler` or one of one's own."""

    epoch: int
    start: int
    batches: int

    def __len__(self) -> int:
        """Batches from `start` on."""
        ...

    def __iter__(self) -> Iterator[list[SampleKey]]:
        """The keys of each batch of `epoch`, from number `start` on."""
        ...


class EpochLoader(Generic[L]):
    """Loads a split's batches, epoch by epoch, from any batch on. Draws nothing from the global random generators.

    Args:
        dataset: Gives the batch for a list of keys.
        sampler: Which keys.
        workers: Loader processes; 0 loads in this one. They live until `close`.
        device: Where the batches will go.
    """

    def __init__(self, dataset: Dataset[L], sampler: KeySampler, *, workers: int, device: torch.device) -> None:
        self._sampler = sampler
        self.ahead = _PREFETCHED * workers
        options: dict[str, Any] = {}
        if workers:
            # fork starts in milliseconds and the children need nothing that it breaks; elsewhere it is not safe
            method = "fork" if sys.platform == "linux" else "spawn"
            options = {
                "multiprocessing_context": method,
                "persistent_workers": True,
                "prefetch_factor": _PREFETCHED,
                "worker_init_fn": partial(_begin_loading, niceness=_NICENESS if device.type == "cpu" else 0),
            }
        self._loader: DataLoader[L] | None = DataLoader(
            dataset,
            sampler=sampler,
            batch_size=None,  # the dataset makes whole batches
            num_workers=workers,
            pin_memory=device.type == "cuda",
            generator=torch.Generator().manual_seed(0),
            **options,
        )

    @property
    def batches(self) -> int:
        """Batches of an epoch; at least 1."""
        return self._sampler.batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[L]:
        """The batches of `epoch` (from 0) from number `start` (from 0) on.

        Raises:
            DatasetError: an image can't be read.
        """
        if self._loader is None:
            raise RuntimeError("the loader is closed")
        self._sampler.epoch, self._sampler.start = epoch, start
        with _requests_to_stop_held_back():
            batches = iter(self._loader)  # starts the processes
        for batch in batches:
            if batch.error is not None:
                raise DatasetError(batch.error)
            yield batch

    def close(self) -> None:
        """End the loader processes; on return there are none, also where one was busy."""
        iterator: Any = getattr(self._loader, "_iterator", None)  # kept there with the persistent workers
        self._loader = None
        if iterator is not None:
            iterator._shutdown_workers()  # noqa: SLF001 - tells them to end, and waits for five seconds each
            for process in iterator._workers:  # noqa: SLF001
                process.kill()  # of those that have not: they don't hear torch's SIGTERM
                process.join()
