import pytest
import torch
from torch import nn

from visiontrain.torchkit.averaging import WeightAverage
from visiontrain.torchkit.updates import Updates


def make(accumulate=1, *, scale=None, clip=0.0, average=None, rate=0.1):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    groups = [{"params": [model.weight]}, {"params": [model.bias]}]
    if scale is not None:
        groups[1]["lr_scale"] = scale
    optimizer = torch.optim.SGD(groups, lr=0.0)
    kept = WeightAverage(model, average) if average else None
    return model, Updates(model, optimizer, lambda step: rate, accumulate=accumulate, clip_grad=clip, average=kept)


def feed(model, updates, data, step=0, *, last=False):
    updates.backward(model(data).square().mean(), len(data))
    return updates.add(len(data), step=step, last=last)


def test_batches_of_any_size_add_up_to_one_large_batch():
    data = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    whole, once = make()
    assert feed(whole, once, data)
    parts, thrice = make(accumulate=3)
    assert [feed(parts, thrice, part) for part in (data[:3], data[3:6], data[6:])] == [False, False, True]
    torch.testing.assert_close(parts.weight, whole.weight)
    torch.testing.assert_close(parts.bias, whole.bias)


def test_the_last_batch_of_an_epoch_makes_a_step_of_what_is_there():
    data = torch.ones(2, 3)
    whole, once = make()
    feed(whole, once, data)
    part, thrice = make(accumulate=3)
    assert feed(part, thrice, data, last=True)
    torch.testing.assert_close(part.weight, whole.weight)


@pytest.mark.parametrize("done", [1, 2])
def test_what_is_under_way_is_taken_up_again(done):
    data = torch.randn(9, 3, generator=torch.Generator().manual_seed(1)).split(3)
    straight, updates = make(accumulate=3, average=0.5)
    for part in data:
        feed(straight, updates, part)
    first, before = make(accumulate=3, average=0.5)
    for part in data[:done]:
        feed(first, before, part)
    second, after = make(accumulate=3, average=0.5)
    after.load_state_dict(before.state_dict())
    for part in data[done:]:
        feed(second, after, part)
    assert torch.equal(straight.weight, second.weight)
    assert torch.equal(updates.state_dict()["average"]["weight"], after.state_dict()["average"]["weight"])


def test_between_two_steps_nothing_is_kept():
    model, updates = make()
    feed(model, updates, torch.ones(2, 3))
    assert updates.state_dict() == {"batches": 0, "images": 0, "gradients": {}, "average": None}


def test_a_group_has_its_share_of_the_learning_rate():
    (full, one), (half, other) = make(), make(scale=0.5)
    before = full.bias.item()
    for model, updates in ((full, one), (half, other)):
        feed(model, updates, torch.ones(2, 3))
    assert torch.equal(full.weight, half.weight)
    assert half.bias.item() - before == pytest.approx((full.bias.item() - before) / 2)


def test_gradients_are_clipped():
    model, updates = make(clip=0.5, rate=1.0)
    before = torch.cat([model.weight.flatten(), model.bias]).detach().clone()
    feed(model, updates, torch.full((2, 3), 100.0))
    after = torch.cat([model.weight.flatten(), model.bias])
    assert (after - before).norm().item() == pytest.approx(0.5, rel=1e-4)


def test_what_is_validated_is_the_average():
    model, updates = make(average=0.9)
    for step in range(3):
        feed(model, updates, torch.ones(2, 3), step)
    own, average = model.weight.detach().clone(), updates.state_dict()["average"]["weight"].clone()
    with updates.averaged():
        assert torch.equal(model.weight, average)
        assert not torch.equal(model.weight, own)
    assert torch.equal(model.weight, own)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_told(value):
    model, updates = make()
    model.weight.data[0, 0] = -3e38
    assert not updates.diverged()
    model.weight.data[0, 1] = value
    assert updates.diverged()


@pytest.mark.parametrize("size", [100.0, 1e-3], ids=["clipped", "left"])
@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_a_fused_optimizer_clips_like_any_other(kind, size):
    found = []
    for fused in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
        updates = Updates(model, kind(model.parameters(), lr=0.1, fused=fused), lambda _: 0.1, clip_grad=0.5)
        for step in range(3):
            feed(model, updates, torch.full((2, 3), size * (step + 1)), step)
        found.append([parameter.detach().clone() for parameter in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_a_step_that_is_not_clipped_forgets_the_one_that_was():
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    updates = Updates(model, optimizer, lambda _: 1.0, clip_grad=0.5)
    feed(model, updates, torch.full((2, 3), 1e3))
    before = model.weight.detach().clone()
    model.weight.grad, model.bias.grad = torch.full((1, 3), 0.1), torch.zeros(1)
    updates.add(2, step=1, last=False)
    torch.testing.assert_close(before - model.weight, torch.full((1, 3), 0.1))
