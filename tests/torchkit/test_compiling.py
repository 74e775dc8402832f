import pytest
import torch
from torch import nn

from visiontrain.errors import SpecError
from visiontrain.torchkit.compiling import compile_model


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))


def test_a_compiled_model_has_the_same_weights_and_gives_the_same():
    images = torch.randn(2, 3, 8, 8)
    model = small()
    model(images)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = model.eval()(images)
    compile_model(model, images, "fp32")
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    torch.testing.assert_close(model.eval()(images), plain)


def test_where_it_does_not_work_that_is_said(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no C++ compiler\nand a long trace")

    model = small()
    model(torch.randn(2, 3, 8, 8))
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: setattr(self, "forward", refuse))
    with pytest.raises(SpecError, match="compile") as caught:
        compile_model(model, torch.randn(2, 3, 8, 8), "fp32")
    assert caught.value.reason.endswith("RuntimeError: no C++ compiler")
    assert "Leave compile out" in caught.value.instruction


def test_a_batch_that_memory_has_no_room_for_is_compiled_in_part(monkeypatch):
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: None)
    model, seen = small(), []
    model(torch.randn(2, 3, 8, 8))

    def look(_, given):
        seen.append(len(given[0]))
        if len(given[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    model.register_forward_pre_hook(look)
    compile_model(model, torch.randn(9, 3, 8, 8), "fp32")
    assert seen == [9, 5, 3, 2]
