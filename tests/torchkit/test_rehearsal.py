"""Trial steps leave nothing behind."""

import random

import pytest
import torch
from torch import nn

from visiontrain.torchkit.averaging import WeightAverage
from visiontrain.torchkit.randomness import capture_rng
from visiontrain.torchkit.rehearsal import Rehearsal
from visiontrain.torchkit.updates import Updates

CPU = torch.device("cpu")


class Learner:
    def __init__(self, model, room=1000):
        self.model, self.room = model, room

    def losses(self, batch, parts):
        (part,) = parts
        if len(batch[part]) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        yield (self.model(batch[part]) * random.random()).square().mean()


def rehearse(room=1000, **changes):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 1))
    model[3].weight.requires_grad = False
    model.eval()
    learner = Learner(model, room)

    def make_updates():
        optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1.0)
        return Updates(model, optimizer, lambda _: 1.0, average=WeightAverage(model, 0.9), **changes)

    return model, Rehearsal(learner, make_updates, lambda images: torch.randn(images, 4), precision="fp32", device=CPU)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_weights_statistics_and_random_choices_are_as_they_were(accumulate):
    model, rehearsal = rehearse(room=16, accumulate=accumulate)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rng = capture_rng(CPU)
    with rehearsal:
        found = [rehearsal.try_out(images) for images in (8, 16, 32, 8)]
        assert not torch.equal(model[1].running_mean, before["1.running_mean"])
        assert not torch.equal(model[0].weight, before["0.weight"])
    assert [trial and trial.images for trial in found] == [8, 16, None, 8]
    assert all(trial is None or (trial.seconds > 0 and trial.peak > 2**20) for trial in found)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    after = capture_rng(CPU)
    assert torch.equal(after.pop("torch"), rng.pop("torch"))
    assert after == rng
    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_an_error_of_another_kind_is_raised_and_leaves_nothing_either():
    model, rehearsal = rehearse()
    before = model[0].weight.clone()

    def fail(*_):
        raise RuntimeError("shapes do not fit")

    def rehearse_and_fail():
        with rehearsal:
            rehearsal.try_out(8)
            model[2].register_forward_hook(fail)
            rehearsal.try_out(8)

    with pytest.raises(RuntimeError, match="shapes"):
        rehearse_and_fail()
    assert torch.equal(model[0].weight, before)
