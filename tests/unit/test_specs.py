from __future__ import annotations

from pathlib import Path

import pytest

from visiontrain.errors import SpecError
from visiontrain.protocol.messages import Weights
from visiontrain.protocol.tasks import Task
from visiontrain.specs import ALIASES, TrainSpec, make_train_spec, unknown_option


def spec(**fields):
    return make_train_spec(**{"data": "pictures", "model": "resnet18", **fields})


class TestGood:
    def test_defaults_leave_the_rest_open(self):
        made = spec()
        assert made.task is made.framework is made.epochs is made.learning_rate is None
        assert (made.weights, made.device, made.seed, made.options) == ("pretrained", "auto", 0, {})

    def test_relative_paths_are_seen_from_here(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        assert spec().data == tmp_path / "pictures"
        assert spec(data="~/pictures").data == tmp_path / "home" / "pictures"
        assert spec(weights="mine.pt").weights == str(tmp_path / "mine.pt")
        assert spec(weights=Path("mine.pt")).weights == str(tmp_path / "mine.pt")

    @pytest.mark.parametrize(("alias", "name"), sorted(ALIASES.items()))
    def test_spellings_that_other_tools_have_taught(self, alias, name):
        assert getattr(spec(**{alias: 64}), name) == 64

    @pytest.mark.parametrize("given", ["classify", "classification", "image_classification", Task.classify])
    def test_a_tasks_names(self, given):
        assert spec(task=given).task is Task.classify

    def test_what_is_no_field_is_an_option_of_the_plugin(self):
        made = spec(warmup_epochs=2, options={"augmentation": "light"})
        assert made.options == {"warmup_epochs": 2, "augmentation": "light"}

    @pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12"])
    def test_devices(self, device):
        assert spec(device=device).device == device

    @pytest.mark.parametrize("name", ["a", "My run, v1.2 (lr=0.1)", "Straße", "x" * 100])
    def test_names(self, name):
        assert spec(name=name).name == name

    @pytest.mark.parametrize("environment", ["timm", "timm@6f85e67f22b73ad5"])
    def test_environments(self, environment):
        assert spec(environment=environment).environment == environment

    @pytest.mark.parametrize(
        "model", ["resnet18", "resnet18.a1_in1k", "hf-hub:timm/resnet18@main", "local-dir:/models/x"]
    )
    def test_models(self, model):
        assert spec(model=model).model == model

    def test_a_record_of_it_makes_the_same_again(self):
        made = spec(
            task="classify", epochs=3, learning_rate=0.1, name="n", options={"a": True, "b": 1, "c": 1.5, "d": "x"}
        )
        again = make_train_spec(**made.model_dump(mode="json"))
        assert again == made
        assert [type(value) for value in again.options.values()] == [bool, int, float, str]

    def test_a_batch_size_may_be_left_to_the_trainer(self):
        assert spec(batch_size="auto").batch_size == "auto"
        assert spec(batch_size="12").batch_size == 12
        assert spec(batch=None).batch_size is None

    def test_it_does_not_change(self):
        with pytest.raises(ValueError, match="frozen"):
            spec().epochs = 3


class TestWrong:
    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("data", None, "is needed"),
            ("data", 5, "must be a path, not 5"),
            ("data", "", "is empty"),
            ("data", "~nobody-of-that-name/x", "has no meaning here"),
            ("model", None, "is needed"),
            ("model", "", "not a model's name"),
            ("model", "../../etc/passwd", "not a model's name"),
            ("model", "a b", "not a model's name"),
            ("model", "/no/such/folder", "there is no folder '/no/such/folder'"),
            ("task", "rocketry", "must be one of classify, detect,"),
            ("task", "clasify", "did you mean classify?"),
            ("task", "image_clasification", "did you mean classify?"),
            ("task", ["classify"], "must be one of classify, detect,"),
            ("epochs", 0, "epochs: must be greater than or equal to 1, not 0"),
            ("epochs", "many", "valid integer"),
            ("epochs", 1.5, "valid integer"),
            ("epochs", True, "must be a number, not True"),
            ("batch_size", True, "must be a number, not True"),
            ("learning_rate", True, "must be a number, not True"),
            ("image_size", True, "must be a number, not True"),
            ("seed", True, "must be a number, not True"),
            ("batch_size", -1, "greater than or equal to 1, not -1"),
            ("batch_size", "0", "greater than or equal to 1, not '0'"),
            ("batch_size", "many", "must be a whole number or auto, not 'many'"),
            ("batch_size", 1.5, "valid integer"),
            ("learning_rate", 0, "greater than 0, not 0"),
            ("learning_rate", float("nan"), "finite number"),
            ("learning_rate", float("inf"), "finite number"),
            ("image_size", 7, "greater than or equal to 8, not 7"),
            ("image_size", 10**6, "less than or equal to 16384"),
            ("weights", "", "is empty"),
            ("weights", 5, "must be a path, not 5"),
            ("device", "gpu", "must be auto, cpu, cuda, cuda:N or mps, not 'gpu'"),
            ("device", "cuda:-1", "must be auto"),
            ("seed", -1, "greater than or equal to 0"),
            ("seed", 2**32, "less than 4294967296"),
            ("name", "last", "not the word last"),
            ("name", "", "1 to 100 letters"),
            ("name", " x", "1 to 100 letters"),
            ("name", "x ", "1 to 100 letters"),
            ("name", "a/b", "1 to 100 letters"),
            ("name", "x" * 101, "1 to 100 letters"),
            ("environment", "timm@", "NAME or NAME@GENERATION"),
            ("environment", "../x", "NAME or NAME@GENERATION"),
            ("skip_unreadable", "perhaps", "boolean"),
        ],
    )
    def test_the_error_names_the_field_and_what_is_right(self, field, value, words):
        with pytest.raises(SpecError) as caught:
            spec(**{field: value})
        assert caught.value.field == field
        assert str(caught.value).startswith(f"{field}: ")
        assert words in str(caught.value)

    @pytest.mark.parametrize("value", [None, [], {"a": 1}, object()])
    def test_an_option_that_is_no_plain_value_is_named(self, value):
        with pytest.raises(SpecError, match="must be true, false, a number or a text") as caught:
            spec(warmup=value)
        assert caught.value.field == "warmup"

    def test_given_twice(self):
        with pytest.raises(SpecError, match="lr: given twice, also as learning_rate"):
            spec(learning_rate=0.1, lr=0.2)
        with pytest.raises(SpecError, match="warmup: given twice"):
            spec(warmup=1, options={"warmup": 2})


class TestWeights:
    def test_by_word(self):
        assert spec().first_weights() == Weights("pretrained")
        assert spec(weights="scratch").first_weights() == Weights("scratch")

    def test_by_file(self, tmp_path):
        path = tmp_path / "mine.pt"
        path.touch()
        assert spec(weights=str(path)).first_weights() == Weights("file", str(path))

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(SpecError, match="weights: there is no file") as caught:
            spec(weights=tmp_path / "none.pt").check_weights()
        assert "pretrained, scratch, or the path" in caught.value.instruction


class TestUnknownOption:
    @pytest.mark.parametrize("name", ["pretrained", "scratch"])
    def test_the_command_lines_words_for_weights(self, name):
        error = unknown_option(name, ["batch"], "timm")
        assert error.instruction == f'Give weights="{name}", or the path of a file.'

    @pytest.mark.parametrize(
        ("given", "near"), [("warmup_epoch", "warmup_epochs"), ("epoch", "epochs"), ("imagesize", "image_size")]
    )
    def test_near_matches_among_options_and_fields(self, given, near):
        error = unknown_option(given, ["warmup_epochs", "drop_rate"], "timm")
        assert error.field == given
        assert near in error.instruction
        assert "the framework timm has no such option" in str(error)

    def test_a_slip_of_the_keyboard_does_not_bring_up_whatever_sounds_alike(self):
        error = unknown_option("wait_decay", ["weight_decay", "ema_decay", "layer_decay"], "timm")
        assert error.instruction == "Did you mean weight_decay?"

    def test_else_all_of_them(self):
        assert unknown_option("xyz", ["b", "a"], "timm").instruction == "It has: a, b."


def test_every_field_is_described():
    for name in TrainSpec.model_fields:
        assert f"        {name}: " in TrainSpec.__doc__ or f"\n    {name}: " in TrainSpec.__doc__
