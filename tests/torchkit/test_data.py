import multiprocessing
import os
import signal
import time

import pytest
import torch
from PIL import Image

from visiontrain.errors import DatasetError
from visiontrain.torchkit.data import EpochLoader, EpochSampler, LabelledImages, default_workers
from visiontrain.torchkit.randomness import capture_rng
from visiontrain.torchkit.transforms import EvalTransform, ImageConfig

CPU = torch.device("cpu")
TRANSFORM = EvalTransform(ImageConfig(size=(8, 8), mean=(0.5,) * 3, std=(0.5,) * 3))


@pytest.mark.parametrize(
    ("size", "batch", "train", "lengths"),
    [
        (10, 4, True, [4, 4, 2]),
        (9, 4, True, [4, 4]),
        (9, 4, False, [4, 4, 1]),
        (1, 4, True, [1]),
        (3, 16, True, [3]),
        (3, 1, True, [1, 1, 1]),
        (8, 4, True, [4, 4]),
    ],
)
def test_batches(size, batch, train, lengths):
    sampler = EpochSampler(size, batch, 0, train=train)
    batches = list(sampler)
    assert [len(keys) for keys in batches] == lengths
    assert sampler.batches == len(sampler) == len(lengths)
    positions = [position for keys in batches for _, position in keys]
    assert len(set(positions)) == len(positions)


def test_order_depends_on_seed_and_epoch():
    def order(seed, epoch, start=0):
        sampler = EpochSampler(30, 4, seed, train=True)
        sampler.epoch, sampler.start = epoch, start
        return list(sampler)

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(1, 0)
    assert [p for k in order(0, 0) for _, p in k] != [p for k in order(0, 1) for _, p in k]
    assert order(0, 2, start=3) == order(0, 2)[3:]


def loader(index, workers=0, batch=2):
    dataset = LabelledImages(index, "train", TRANSFORM, seed=0)
    return EpochLoader(dataset, EpochSampler(index.splits["train"], batch, 0, train=True), workers=workers, device=CPU)


@pytest.fixture
def five(tmp_path, make_index):
    for number in range(5):
        Image.new("RGB", (20, 10), (number, 0, 0)).save(tmp_path / f"{number}.png")
    return make_index({"train": [(tmp_path / f"{number}.png", number % 2) for number in range(5)]})


@pytest.mark.parametrize("workers", [0, 2])
def test_loading(five, workers):
    before = capture_rng(CPU)
    source = loader(five, workers)
    for epoch in range(2):
        batches = list(source.epoch(epoch))
        assert source.batches == len(batches) == 2  # a last one of a single image is left out
        for batch in batches:
            assert batch.pixels.shape == (2, 8, 8, 3)
            assert batch.pixels.dtype == torch.uint8
            assert torch.equal(batch.pixels[:, 0, 0, 0] % 2, batch.labels)
    source.close()
    assert multiprocessing.active_children() == []
    assert torch.equal(before["torch"], capture_rng(CPU)["torch"])


@pytest.mark.parametrize("workers", [0, 1])
def test_several_labels_an_image_are_ones_in_a_row(tmp_path, make_index, workers):
    for number in range(3):
        Image.new("RGB", (20, 10), (number, 0, 0)).save(tmp_path / f"{number}.png")
    rows = [(tmp_path / f"{number}.png", labels) for number, labels in enumerate([(0, 2), (), (1,)])]
    index = make_index({"train": rows}, ("a", "b", "c"), multi_label=True)
    source = loader(index, workers, batch=3)
    (batch,) = list(source.epoch(0))
    source.close()
    assert batch.labels.dtype == torch.float32
    wanted = torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    assert torch.equal(batch.labels, wanted[batch.pixels[:, 0, 0, 0].long()])


class Slow(LabelledImages):
    """Its second batch takes minutes."""

    def __getitem__(self, keys):
        if keys[0][1] != 0:
            time.sleep(600)
        return super().__getitem__(keys)


def test_a_process_that_is_busy_is_ended_as_well(five, monkeypatch):
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)  # seconds that torch waits for it
    order = EpochSampler(five.splits["train"], 2, 0, train=False)
    source = EpochLoader(Slow(five, "train", TRANSFORM, seed=0), order, workers=1, device=CPU)
    epoch = source.epoch(0)
    next(epoch)
    (child,) = multiprocessing.active_children()
    source.close()
    assert not child.is_alive()
    assert multiprocessing.active_children() == []


def test_a_signal_to_every_process_leaves_loading_to_go_on_and_to_be_closed(five, monkeypatch):
    source = loader(five, 2)
    started = []

    def tell(child):
        os.kill(child.pid, signal.SIGTERM)  # at once, before it has done anything
        started.append(child)

    start = multiprocessing.process.BaseProcess.start
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", lambda child: (start(child), tell(child)))
    epoch = source.epoch(0)
    next(epoch)
    children = multiprocessing.active_children()
    assert set(children) == set(started)
    assert len(children) == 2
    for child in children:
        os.kill(child.pid, signal.SIGTERM)
    assert len(list(epoch)) == 1
    assert len(list(source.epoch(1))) == 2
    assert {child.pid for child in multiprocessing.active_children()} == {child.pid for child in children}
    epoch.close()
    source.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_file_is_named(tmp_path, make_index, workers):
    (tmp_path / "good.png").write_bytes(b"")
    Image.new("RGB", (4, 4)).save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    source = loader(make_index({"train": [(tmp_path / "good.png", 0), (tmp_path / "broken.png", 1)]}), workers)
    with pytest.raises(DatasetError, match=r"broken\.png") as caught:
        list(source.epoch(0))
    assert "Traceback" not in str(caught.value)
    source.close()


def test_a_closed_loader_says_so(five):
    source = loader(five)
    source.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(source.epoch(0))


def test_default_workers():
    assert 0 <= default_workers(CPU) <= 2
    assert 1 <= default_workers(torch.device("cuda")) <= 16
