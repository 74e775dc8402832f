import multiprocessing

import pytest
import torch
from torch.utils.data import Dataset

from visiontrain.errors import DatasetError
from visiontrain.torchkit import loaders
from visiontrain.torchkit.data import EpochLoader, EpochSampler
from visiontrain.torchkit.loaders import ThriftyLoader, make_loader

CPU = torch.device("cpu")


class Clock:
    """Goes on when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Keys:
    """A batch that is its keys."""

    error = None

    def __init__(self, keys):
        self.keys = keys


class Numbers(Dataset):
    """Takes some seconds to load a batch."""

    def __init__(self, clock=None, seconds=0.0):
        self.clock, self.seconds = clock, seconds

    def __getitem__(self, keys):
        if self.clock is not None:
            self.clock.now += self.seconds
        return Keys(keys)


class Broken(Dataset):
    def __getitem__(self, keys):
        batch = Keys(keys)
        batch.error = "no image"
        return batch


@pytest.fixture
def thrifty():
    """Makes a loader whose batches take so many seconds each, and says which workers it asked for."""
    made = []

    def make(seconds, images=60):
        clock, asked = Clock(), []
        dataset, sampler = Numbers(clock, seconds), EpochSampler(images, 2, 0, train=True)

        def loader(workers):
            asked.append(workers)
            return EpochLoader(dataset, sampler, workers=workers, device=CPU)

        made.append(ThriftyLoader(loader, workers=1, clock=clock))
        return made[-1], clock, asked

    yield make
    for one in made:
        one.close()
    assert multiprocessing.active_children() == []


def take(loader, clock, epoch, *, start=0, step=1.0):
    found = []
    for batch in loader.epoch(epoch, start):
        found.append(batch.keys)
        clock.now += step
    return found


def wanted(epoch, start=0, images=60):
    sampler = EpochSampler(images, 2, 0, train=True)
    sampler.epoch, sampler.start = epoch, start
    return list(sampler)


def test_fast_loading_stays_between_the_steps(thrifty):
    loader, clock, asked = thrifty(0.3)
    assert [take(loader, clock, epoch) for epoch in (0, 1)] == [wanted(0), wanted(1)]
    assert asked == [0]
    assert loader.ahead == 0
    assert loader.batches == 30


def test_slow_loading_goes_to_processes_in_the_midst_of_an_epoch_with_the_same_batches(thrifty):
    loader, clock, asked = thrifty(0.4)
    assert take(loader, clock, 0) == wanted(0)
    assert asked == [0, 1]
    assert loader.ahead > 0
    assert take(loader, clock, 1, start=4) == wanted(1, start=4)
    assert asked == [0, 1]


def test_the_first_batches_are_no_measure(thrifty):
    loader, clock, asked = thrifty(0.0)
    batches = loader.epoch(0)
    for number, _ in enumerate(batches):
        clock.now += 1.0
        loader._loader._loader.dataset.seconds = 100.0 if number < loaders._WARM_UP - 1 else 0.0
    assert asked == [0]


def test_an_epoch_that_is_at_its_end_starts_no_processes(thrifty):
    loader, clock, asked = thrifty(5.0, images=2 * (loaders._WARM_UP + loaders._FEWEST))
    assert len(take(loader, clock, 0)) == loader.batches == loaders._WARM_UP + loaders._FEWEST
    assert asked == [0]
    take(loader, clock, 1)
    assert asked == [0, 1]


def test_a_stop_in_the_midst_leaves_nothing(thrifty):
    loader, clock, _ = thrifty(0.4)
    batches = loader.epoch(0)
    for _ in range(20):
        next(batches)
        clock.now += 1.0
    batches.close()
    assert take(loader, clock, 0, start=20) == wanted(0, start=20)


@pytest.mark.parametrize(
    ("workers", "device", "kind", "started"),
    [
        (None, "cpu", ThriftyLoader, None),
        (0, "cpu", EpochLoader, 0),
        (1, "cpu", EpochLoader, 1),
        (9, "cpu", EpochLoader, 2),
    ],
)
def test_who_asks_for_processes_gets_them(monkeypatch, workers, device, kind, started):
    monkeypatch.setattr(loaders, "default_workers", lambda _: 2)
    loader = make_loader(Numbers(), EpochSampler(4, 2, 0, train=True), workers=workers, device=torch.device(device))
    assert type(loader) is kind
    if started is not None:
        assert loader._loader.num_workers == started
    loader.close()


def test_where_there_is_one_processor_no_process_is_started(monkeypatch):
    monkeypatch.setattr(loaders, "default_workers", lambda _: 0)
    loader = make_loader(Numbers(), EpochSampler(4, 2, 0, train=True), workers=None, device=CPU)
    assert type(loader) is EpochLoader


def test_a_gpu_is_not_kept_waiting():
    device = torch.device("cuda")
    loader = make_loader(Numbers(), EpochSampler(40, 2, 0, train=True), workers=None, device=device)
    assert loader._loader.num_workers > 0


def test_what_can_not_be_read_is_an_error():
    loader = make_loader(Broken(), EpochSampler(4, 2, 0, train=True), workers=None, device=CPU)
    with pytest.raises(DatasetError, match="no image"):
        list(loader.epoch(0))
