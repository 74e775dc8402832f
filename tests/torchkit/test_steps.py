"""What is learned where memory runs out is what would have been learned with more of it."""

import gc
import random
import weakref
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional

from visiontrain.errors import RunFailedError, SpecError
from visiontrain.torchkit import steps as steps_module
from visiontrain.torchkit.averaging import WeightAverage
from visiontrain.torchkit.shortage import is_out_of_memory
from visiontrain.torchkit.splitting import even_parts, fewer, in_words
from visiontrain.torchkit.state import Position
from visiontrain.torchkit.steps import Steps
from visiontrain.torchkit.updates import Updates

CPU = torch.device("cpu")


@dataclass
class Rows:
    """A batch of vectors."""

    data: torch.Tensor

    def __len__(self):
        return len(self.data)

    def part(self, images):
        return Rows(self.data[images])


class Memory(nn.Module):
    """Has room for so many rows, going forth or going back."""

    def __init__(self, room, *, back=False):
        super().__init__()
        self.room, self.back, self.seen = room, back, []

    def forward(self, rows):
        self.seen.append(len(rows))
        if len(rows) > self.room and not self.back:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore")
        if self.back:
            rows.register_hook(self.look)
        return rows

    def look(self, gradient):
        if len(gradient) > self.room:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)")
        return gradient


class Learner:
    """Rows to one number each; with random shares of all of them as mixup has, and a weight of each row."""

    def __init__(self, model):
        self.model = model

    def losses(self, batch, parts):
        share = random.random()
        rows = torch.lerp(batch.data.roll(1, 0), batch.data, share)
        counts = batch.data[:, 0].abs()
        for part in parts:
            each = functional.softplus(self.model(rows[part])).squeeze(1)
            yield (each * counts[part]).sum() / counts.sum()


def make(room=1000, *, back=False, norm=False, dropout=0.0, accumulate=1, clip=0.0, average=None, optimizer=None):
    torch.manual_seed(0)
    random.seed(0)
    layers = [nn.Linear(4, 6), nn.BatchNorm1d(6)] if norm else [nn.Linear(4, 6)]
    memory = Memory(room, back=back)
    model = nn.Sequential(*layers, memory, nn.Dropout(dropout), nn.Linear(6, 1))
    made = (optimizer or torch.optim.AdamW)(model.parameters(), lr=0.0)
    kept = WeightAverage(model, average) if average else None
    updates = Updates(model, made, lambda step: 0.01 * (step + 1), accumulate=accumulate, clip_grad=clip, average=kept)
    said = []
    steps = Steps(Learner(model), updates, precision="fp32", device=CPU, warn=said.append)
    return model, updates, steps, memory, said


def data(*sizes):
    generator = torch.Generator().manual_seed(7)
    return [Rows(torch.randn(size, 4, generator=generator)) for size in sizes]


def learn(steps, batches, at=None):
    at = at or Position()
    losses = []
    for number, batch in enumerate(batches, start=1):
        losses.append(steps.learn(batch, at, last=number == len(batches)).item())
        at.batch += 1
    return at, losses


def assert_same(model, other, **tolerance):
    for (name, value), found in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(found, value, msg=name, **tolerance)


EXACTLY = {"rtol": 0, "atol": 0}


@pytest.mark.parametrize("back", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize(
    "how", [{}, {"accumulate": 3}, {"clip": 0.1}, {"average": 0.9}, {"optimizer": torch.optim.SGD, "accumulate": 2}]
)
def test_a_split_changes_nothing_that_is_learned(how, back):
    batches = data(16, 16, 16, 16, 11)
    whole, updates, straight, _, _ = make(**how)
    at, losses = learn(straight, batches)
    model, splitting, steps, _, _ = make(5, back=back, **how)
    found, others = learn(steps, batches)
    assert_same(whole, model, rtol=1e-5, atol=1e-6)
    assert (found.step, found.train_at_once) == (at.step, 4)
    assert others == pytest.approx(losses, rel=1e-5)
    if updates.average is not None:
        for name, value in updates.average.state_dict().items():
            torch.testing.assert_close(splitting.average.state_dict()[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("back", [False, True], ids=["forward", "backward"])
def test_nothing_is_left_of_what_memory_had_no_room_for(back):
    """A run that has to split learns, bit by bit, what one learns that is split from the beginning."""
    batches = data(16, 16, 9)
    how = {"norm": True, "dropout": 0.5, "accumulate": 2, "average": 0.9}
    known, _, steps, _, _ = make(**how)
    learn(steps, batches, Position(train_at_once=4))
    model, _, steps, memory, _ = make(5, back=back, **how)
    learn(steps, batches)
    assert_same(known, model, **EXACTLY)
    assert memory.seen[0] == 16


def test_running_out_between_two_batches_of_a_step_keeps_the_first_ones_gradients():
    batches = data(4, 16)
    whole, _, straight, _, _ = make(accumulate=2)
    learn(straight, batches)
    model, updates, steps, _, _ = make(5, back=True, accumulate=2)
    at = Position()
    steps.learn(batches[0], at, last=False)
    assert updates.state_dict()["images"] == 4
    steps.learn(batches[1], at, last=True)
    assert at.train_at_once == 4
    assert_same(whole, model, rtol=1e-5, atol=1e-6)


def test_what_is_done_is_said_in_numbers():
    _, _, steps, memory, said = make(20)
    learn(steps, data(64, 64))
    assert said == [
        "Out of memory at 64 images a step: going on with 2 x 32 at once, the same effective batch.",
        "Out of memory at 64 images a step, 2 x 32 at once: going on with 4 x 16 at once, the same effective batch.",
    ]
    assert memory.seen == [64, 32, 16, 16, 16, 16, 16, 16, 16, 16]
    _, _, steps, _, said = make(20, norm=True)
    learn(steps, data(37))
    (line,) = said
    assert line.endswith("2 x 19 or 18 at once, the same effective batch. Batch norm sees 19 images instead of 37.")


def test_with_no_room_for_one_image_the_run_ends_with_what_to_do():
    model, updates, steps, memory, _ = make(0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RunFailedError, match="no room for a training step with a single image: CUDA out of") as caught:
        learn(steps, data(8))
    assert "--image-size" in caught.value.instruction
    assert memory.seen == [8, 4, 2, 1]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert updates.state_dict()["gradients"] == {}


def test_batch_norm_that_needs_two_images_ends_the_run_with_what_to_do():
    _, _, steps, _, _ = make(2, norm=True)
    learn(steps, data(8))
    _, _, steps, _, _ = make(1, norm=True)
    with pytest.raises(RunFailedError, match="as few images at once as batch norm needs"):
        learn(steps, data(8))


def test_batch_norm_with_batches_of_one_image_is_said_to_need_more():
    _, _, steps, _, said = make(norm=True)
    with pytest.raises(SpecError, match="batch_size: 1 is too few: batch norm") as caught:
        learn(steps, data(1))
    assert "--batch-size to 2" in caught.value.instruction
    assert said == []


@pytest.mark.parametrize("error", [RuntimeError("[enforce fail] CPUAllocator: can't allocate memory"), MemoryError()])
def test_an_optimizer_that_memory_has_no_room_for_is_no_matter_of_batches(error):
    class Large(torch.optim.SGD):
        def step(self, closure=None):
            raise error

    _, _, steps, memory, _ = make(optimizer=Large)
    with pytest.raises(RunFailedError, match="what the optimizer keeps") as caught:
        learn(steps, data(8))
    assert memory.seen == [8]
    assert caught.value.instruction


def test_memory_is_given_back_before_the_next_attempt(monkeypatch):
    alive = []
    model, _, steps, _, _ = make(20)
    model[0].register_forward_hook(lambda module, given, made: alive.append(weakref.ref(made)))
    released = []

    def release(device):
        gc.collect()
        released.append([reference() for reference in alive])

    monkeypatch.setattr(steps_module, "release_memory", release)
    learn(steps, data(64))
    assert released == [[None], [None, None]]


def test_another_error_is_the_models_own():
    model, _, steps, _, said = make()
    model[0].register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("shapes do not fit")))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        learn(steps, data(8))
    assert said == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.91 GB, max allowed: 18.13 GB)."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (MemoryError("std::bad_alloc"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_tells_that_memory_ran_out(error, told):
    assert is_out_of_memory(error) is told
    outer = ValueError("the compiler failed")
    outer.__cause__ = error
    assert is_out_of_memory(outer) is told


@pytest.mark.parametrize("images", [1, 2, 7, 37, 64])
@pytest.mark.parametrize("at_once", [0, 1, 2, 3, 19, 64, 100])
def test_parts_are_even_and_cover_the_batch(images, at_once):
    parts = even_parts(images, at_once)
    sizes = [part.stop - part.start for part in parts]
    assert [number for part in parts for number in range(images)[part]] == list(range(images))
    assert max(sizes) <= (at_once or images)
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == -(-images // (at_once or images))
    smaller = fewer(parts)
    assert (smaller == 0) == (max(sizes) == 1)
    assert smaller == 0 or max(sizes) / 2 <= smaller < max(sizes)
    assert in_words(images, at_once).startswith(f"{len(parts)} x {max(sizes)}")
