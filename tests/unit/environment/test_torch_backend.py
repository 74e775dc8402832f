import pytest

from visiontrain.environment.torch_backend import wanted_torch_backend
from visiontrain.errors import SpecError


def test_none_by_default(torch_definition):
    assert wanted_torch_backend(torch_definition, None) is None


def test_argument_then_variables(torch_definition, monkeypatch):
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")
    assert wanted_torch_backend(torch_definition, None) == "cpu"
    monkeypatch.setenv("VISIONTRAIN_TORCH_BACKEND", "cu128")
    assert wanted_torch_backend(torch_definition, None) == "cu128"
    assert wanted_torch_backend(torch_definition, "auto") == "auto"


def test_nothing_to_choose_without_torch(definition):
    assert wanted_torch_backend(definition, "cpu") is None


@pytest.mark.parametrize("value", ["--index=evil", "cpu gpu", "", "CPU"])
def test_wrong_argument(torch_definition, value):
    with pytest.raises(SpecError, match="torch_backend"):
        wanted_torch_backend(torch_definition, value)


def test_wrong_variable(torch_definition, monkeypatch):
    monkeypatch.setenv("VISIONTRAIN_TORCH_BACKEND", "../cpu")
    with pytest.raises(SpecError, match="VISIONTRAIN_TORCH_BACKEND"):
        wanted_torch_backend(torch_definition, None)
