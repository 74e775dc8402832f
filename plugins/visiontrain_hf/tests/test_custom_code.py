"""Python code that a model brings: refused, unless it is asked for by the name of its place."""

import json

import pytest
import torch
import transformers.dynamic_module_utils

from visiontrain.errors import SpecError, WeightsError
from visiontrain.protocol.messages import Weights

CONFIGURATION = """
from transformers import PreTrainedConfig

class OwnConfig(PreTrainedConfig):
    model_type = "own-network"

    def __init__(self, width=8, **rest):
        self.width = width
        super().__init__(**rest)
"""

MODELING = """
import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput
from .configuration import OwnConfig

class OwnClassifier(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.stem = torch.nn.Conv2d(3, config.width, 4, stride=4)
        self.scores = torch.nn.Linear(config.width, config.num_labels)
        self.post_init()

    def forward(self, pixel_values):
        return ImageClassifierOutput(logits=self.scores(torch.relu(self.stem(pixel_values)).mean((2, 3))))
"""


@pytest.fixture(autouse=True, scope="module")
def _modules(tmp_path_factory):
    """transformers copies code before it runs it: not to where the person's own lies, and to one place in a process."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("modules"))
        patch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", folder)
        yield


@pytest.fixture
def folder(tmp_path):
    """A model with code of its own; its configuration is all that there is of it."""
    made = tmp_path / "models" / "own"
    made.mkdir(parents=True)
    (made / "configuration.py").write_text(CONFIGURATION, encoding="utf-8")
    (made / "modeling.py").write_text(MODELING, encoding="utf-8")
    references = {"AutoConfig": "configuration.OwnConfig", "AutoModelForImageClassification": "modeling.OwnClassifier"}
    told = {"model_type": "own-network", "width": 8, "image_size": 32, "auto_map": references}
    (made / "config.json").write_text(json.dumps(told), encoding="utf-8")
    return made


def test_it_is_refused_and_nothing_of_it_runs(harness, folder):
    (folder / "configuration.py").write_text("raise SystemExit('the code was run')\n", encoding="utf-8")
    with pytest.raises(SpecError, match="would run here with your rights") as refused:
        harness.train(model=str(folder))
    assert f"custom_code={folder}" in refused.value.instruction


def test_the_name_of_another_place_does_not_do(harness, folder):
    with pytest.raises(SpecError, match="is someone/else, and the code"):
        harness.train(model=str(folder), options={"custom_code": "someone/else"})


@pytest.mark.parametrize("model", ["vit-tiny", "a folder"])
def test_asked_for_where_there_is_none_it_has_no_effect(harness, describe, model):
    name = str(describe("vit")[0]) if model == "a folder" else model
    with pytest.raises(SpecError, match=r"custom_code.*has no effect"):
        harness.train(model=name, options={"custom_code": name})


def test_it_trains_resumes_and_is_used_where_it_is_asked_for(harness, folder):
    options = {"custom_code": "models/own"}
    whole, _ = harness.train("whole", model=str(folder), options=options)
    _, told = harness.train("cut", model=str(folder), options=options, interrupt=lambda phase, _, step: step == 2)
    assert f"Python code of {folder} is run" in told.logged
    harness.train("cut", model=str(folder), options=options, resume=True)
    one, other = (torch.load(harness.path(name, "last.pt"), weights_only=True)["model"] for name in ("whole", "cut"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    evaluated, _ = harness.evaluate("whole", options=options)
    assert evaluated.metrics["accuracy"] == pytest.approx(whole.metrics["accuracy"])
    assert harness.export("onnx", "whole", options=options)[0].metrics["export_difference"] < 1e-4


def test_a_checkpoint_does_not_run_code_that_its_run_did_not_ask_for(harness, folder):
    harness.train(model=str(folder), options={"custom_code": str(folder)}, epochs=1)
    with pytest.raises(SpecError, match=r"custom_code.*is not set"):
        harness.evaluate()


def test_other_code_than_it_was_trained_with_is_an_error(harness, folder):
    options = {"custom_code": str(folder)}
    harness.train(model=str(folder), options=options, epochs=1)
    (folder / "configuration.py").write_text(f"{CONFIGURATION}\nCHANGED = True\n", encoding="utf-8")
    with pytest.raises(WeightsError, match="not what it was"):
        harness.evaluate(options=options)


def test_weights_are_loaded_into_it_to_the_last_one(harness, folder):
    options = {"custom_code": str(folder)}
    harness.train("first", model=str(folder), options=options, epochs=1)
    weights = Weights("file", str(harness.path("first")))
    _, told = harness.train("second", model=str(folder), options=options, weights=weights, epochs=1)
    assert "Loaded 4 of 4 weights" in told.logged


def test_what_it_lacks_is_said(harness, folder):
    (folder / "modeling.py").write_text(f"import not_in_this_environment\n{MODELING}", encoding="utf-8")
    with pytest.raises(WeightsError, match="not_in_this_environment"):
        harness.train(model=str(folder), options={"custom_code": str(folder)})
