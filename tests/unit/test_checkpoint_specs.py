from __future__ import annotations

from pathlib import Path

import pytest

from visiontrain.checkpoint_specs import TOLERANCE, EvaluateSpec, ExportSpec, PredictSpec, make_checkpoint_spec
from visiontrain.errors import SpecError


def test_none_is_left_open():
    spec = make_checkpoint_spec(EvaluateSpec, run="r", data=None, split=None, batch_size=None)
    assert (spec.data, spec.split, spec.checkpoint, spec.device) == (None, None, None, "auto")
    assert make_checkpoint_spec(ExportSpec, run="r", format="onnx").tolerance == TOLERANCE


def test_paths_are_seen_from_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert make_checkpoint_spec(EvaluateSpec, run="r", data="d").data == tmp_path / "d"
    assert make_checkpoint_spec(ExportSpec, run="r", format="onnx", output=Path("o")).output == tmp_path / "o"


@pytest.mark.parametrize(
    ("cls", "fields", "words"),
    [
        (EvaluateSpec, {"split": "dev"}, "^split: "),
        (EvaluateSpec, {"data": ""}, "^data: is empty"),
        (EvaluateSpec, {"data": 3}, "^data: must be a path"),
        (EvaluateSpec, {"epochs": 3}, "^epochs: "),
        (PredictSpec, {"batch_size": 0}, "^batch_size: "),
        (PredictSpec, {"batch_size": True}, "^batch_size: "),
        (PredictSpec, {"device": "gpu"}, "^device: "),
        (PredictSpec, {"confidence": 1.5}, "^confidence: "),
        (PredictSpec, {"confidence": float("nan")}, "^confidence: "),
        (PredictSpec, {"confidence": True}, "^confidence: "),
        (PredictSpec, {"checkpoint": "first"}, "^checkpoint: "),
        (ExportSpec, {"format": "../x"}, "^format: .* is not a format's name"),
        (ExportSpec, {"format": "onnx", "tolerance": -1}, "^tolerance: "),
        (ExportSpec, {"format": "onnx", "tolerance": float("nan")}, "^tolerance: "),
        (ExportSpec, {"format": "onnx", "images": 0}, "^images: "),
    ],
)
def test_a_wrong_field_is_named(cls, fields, words):
    with pytest.raises(SpecError, match=words):
        make_checkpoint_spec(cls, run="r", **fields)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("batchsize", "Did you mean batch_size?"),
        ("epochs", "There are: batch_size, checkpoint, data, device, skip_unreadable, split."),
    ],
)
@pytest.mark.parametrize("value", [3, None])
def test_a_name_that_there_is_not_is_told_with_those_that_there_are(name, hint, value):
    with pytest.raises(SpecError, match=f"^{name}: there is no such argument") as caught:
        make_checkpoint_spec(EvaluateSpec, run="r", **{name: value})
    assert caught.value.instruction == hint
