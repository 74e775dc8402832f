import pytest
import torch
from torch import nn

from visiontrain.torchkit.averaging import WeightAverage


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def test_the_decay_grows_to_what_was_asked_for():
    average = WeightAverage(small(), 0.9)
    assert [average.decay(step) for step in (0, 1, 7)] == pytest.approx([0, 1 - 2 ** (-2 / 3), 0.75])
    assert average.decay(10**6) == 0.9


def test_it_is_the_moving_average_of_parameters_and_buffers():
    model = small()
    average = WeightAverage(model, 0.5)
    wanted = {name: value.clone() for name, value in model.state_dict().items()}
    for step in range(4):
        model(torch.randn(8, 2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1)
        average.update(step)
        decay = average.decay(step)
        for name, value in model.state_dict().items():
            kept = decay * wanted[name] + (1 - decay) * value
            wanted[name] = kept if value.is_floating_point() else value.clone()
    assert average.state_dict().keys() == model.state_dict().keys()
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value, wanted[name])


def test_the_model_has_its_own_values_again_afterwards():
    model = small()
    average = WeightAverage(model, 0.5)
    with torch.no_grad():
        model[0].weight.add_(1)
    own, kept = model[0].weight.clone(), average.state_dict()["0.weight"].clone()
    parameter = model[0].weight
    with average.applied():
        assert model[0].weight is parameter
        assert torch.equal(model.state_dict()["0.weight"], kept)
    assert torch.equal(model.state_dict()["0.weight"], own)
    assert torch.equal(average.state_dict()["0.weight"], kept)


def test_state_is_taken_up_again():
    first, second = WeightAverage(small(), 0.5), WeightAverage(small(), 0.5)
    state = {name: value + 1 for name, value in first.state_dict().items()}
    second.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in second.state_dict().items())
    with pytest.raises(KeyError):
        second.load_state_dict({})


def test_a_weight_that_modules_share_has_one_average_by_each_of_its_names():
    first = nn.Linear(2, 2)
    model = nn.Sequential(first, nn.ReLU(), first)
    average = WeightAverage(model, 0.5)
    with torch.no_grad():
        first.weight.fill_(8.0)
    average.update(3)
    state = average.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert torch.equal(state["0.weight"], state["2.weight"])
    with average.applied():
        assert torch.equal(model.state_dict()["2.weight"], state["0.weight"])
    assert first.weight[0, 0] == 8.0
    other = WeightAverage(model, 0.5)
    other.load_state_dict(state)
    assert torch.equal(other.state_dict()["2.weight"], state["2.weight"])
