"""Instances with Mask2Former: it learns, goes on exactly, is evaluated, predicts and is exported."""

import pytest
import torch
from safetensors.torch import load_file, save_file

import visiontrain.torchkit.loop
from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, RunFailedError, SpecError, WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain.protocol.tasks import Task
from visiontrain.testing.worker.inprocess import InProcess, at
from visiontrain.torchkit.mask_runs import mask_pixels
from visiontrain_hf.mask2former import mask2former_class
from visiontrain_hf.options import HfOptions
from visiontrain_hf.presets import config_of
from visiontrain_hf.trainer import HfTrainer, Transformers

LABELS = ("green", "red")
SIDE = 64


@pytest.fixture
def harness(outlines, tmp_path, monkeypatch):
    monkeypatch.setattr(visiontrain.torchkit.loop, "LOOK_SECONDS", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    (tmp_path / "runs").mkdir()
    yield InProcess(HfTrainer, outlines, tmp_path / "runs", task="segment", model="mask2former-tiny", image_size=SIDE)
    torch.set_num_threads(before)


@pytest.fixture
def describe(tmp_path):
    """Writes a folder as transformers keeps a model in: its configuration, and weights that were never trained."""

    def write(*, labels=LABELS, name="mask2former", **changes):
        config, _ = config_of("mask2former-tiny", SIDE)
        for key, value in changes.items():
            setattr(config, key, value)
        config.id2label, config.label2id = dict(enumerate(labels)), {text: place for place, text in enumerate(labels)}
        config.num_labels = len(labels)
        torch.manual_seed(0)
        network = mask2former_class(config)(config)
        network.save_pretrained(tmp_path / name)
        return tmp_path / name, network

    return write


def given(folder, **changes):
    return {"model": str(folder), "weights": Weights("pretrained"), "image_size": SIDE, **changes}


#: Steps that change nothing: what was loaded is what is saved.
STILL = {"epochs": 1, "learning_rate": 1e-12}


def state(harness, name="run", file="last.pt"):
    return torch.load(harness.path(name, file), weights_only=True)["model"]


def test_it_learns_is_evaluated_predicts_and_is_exported(harness):
    result, told = harness.train(epochs=6, learning_rate=2e-3)
    assert told.rows[-1]["train_loss"] < 0.7 * told.rows[0]["train_loss"]
    assert result.metrics["map50_mask"] > 0.1
    row = told.rows[-1]
    for split in ("train", "val"):
        parts = [row[f"{split}_{name}_loss"] for name in ("class", "mask", "dice")]
        assert row[f"{split}_loss"] == pytest.approx(sum(parts), rel=1e-5)
    assert {"map50", "map50_95", "map50_box", "map50_95_mask/red", "map50_box/green"} <= set(row)
    found, context = harness.evaluate()
    shared = {name: value for name, value in result.metrics.items() if name.startswith(("map", "val_"))}
    assert {name: found.metrics[name] for name in shared} == shared
    assert {"confusion_matrix", "curves", "picture"} <= {event["kind"] for event in context.of("artifact")}
    images = list(DatasetIndex(harness.index).images("val"))
    predicted = harness.predict([image.path for image in images], confidence=0.3)
    assert predicted == harness.predict([image.path for image in images], confidence=0.3)
    objects = [
        (image, each) for image, found in zip(images, predicted.predictions, strict=True) for each in found.objects
    ]
    assert objects
    for image, each in objects:
        mask = mask_pixels(each.mask.height, each.mask.width, each.mask.data.encode())
        assert mask.shape == (image.height, image.width)
        rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        assert each.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    for form in ("onnx", "torchscript"):
        exported, context = harness.export(form, tolerance=1e-4)
        assert exported.metrics["export_difference"] <= 1e-4
        assert "masks" in context.logged


def test_an_evaluation_s_numbers_do_not_depend_on_its_batches(harness):
    result, _ = harness.train(epochs=1)
    one, other = harness.evaluate(batch_size=3)[0].metrics, harness.evaluate(batch_size=10)[0].metrics
    assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-5)
    assert one["val_loss"] == pytest.approx(result.metrics["val_loss"], rel=1e-5)
    assert one["map50"] == pytest.approx(other["map50"], abs=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_in_an_epoch_on_its_last_batch_and_in_validation(harness, precision):
    options = {"ema_decay": 0.9, "precision": precision, "augmentation": "strong", "accumulate": 2}
    _, straight = harness.train("straight", options=options)
    rows = []
    moments = [at("train", 1, 2), at("train", 1, 3), at("val", 1, 1), at("train", 2, 3), None]
    for attempt, moment in enumerate(moments):
        result, told = harness.train("stopped", resume=attempt > 0, interrupt=moment, options=options)
        rows += told.rows
        assert all(event["exact"] for event in told.of("resumed"))
    assert result.status == "completed"
    assert rows == straight.rows
    one, other = (torch.load(harness.path(name, "last.pt"), weights_only=True) for name in ("straight", "stopped"))
    assert all(torch.equal(value, other["model"][name]) for name, value in one["model"].items())
    averages = (one["updates"]["average"], other["updates"]["average"])
    assert all(torch.equal(value, averages[1][name]) for name, value in averages[0].items())


def test_what_is_dropped_is_the_same_again_and_no_layer_is(harness, describe):
    """transformers drops whole layers as often as `dropout` says, and fails: the next one's mask has another size."""
    folder, _ = describe(dropout=0.3)
    harness.train("straight", **given(folder))
    harness.train("stopped", interrupt=at("train", 1, 2), **given(folder))
    harness.train("stopped", resume=True, **given(folder))
    one, other = state(harness, "straight"), state(harness, "stopped")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_loader_processes_change_nothing(harness):
    for name, workers in (("none", 0), ("two", 2)):
        harness.train(name, epochs=1, options={"workers": workers, "augmentation": "strong"})
    one, other = state(harness, "none"), state(harness, "two")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("where", ["class_predictor.bias", "model.transformer_module.queries_features.weight"])
def test_a_loss_that_is_no_number_ends_the_run(harness, describe, where):
    """transformers' matcher takes such queries for any object, and would go on."""
    folder, _ = describe()
    weights = load_file(folder / "model.safetensors")
    weights[where].view(-1)[0] = float("nan")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(RunFailedError, match=r"not a number|not numbers"):
        harness.train(**given(folder))


def test_a_folder_s_weights_are_there_to_the_last_one(harness, describe):
    """transformers' own Trainer loses 81 of 420 when it goes on from a checkpoint."""
    folder, network = describe()
    _, told = harness.train(options={"weight_decay": 0.0}, **STILL, **given(folder))
    count = len(network.state_dict())
    assert f"Loaded {count} of {count} weights" in told.logged
    assert "begun anew" not in told.logged
    saved = state(harness)
    assert {f"network.{name}" for name in network.state_dict()} == set(saved)
    for name, value in network.state_dict().items():
        assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name


@pytest.mark.parametrize("form", ["safetensors", "state dict", "transformers' names of now", "a run"])
def test_a_file_s_weights_are_there_to_the_last_one(harness, describe, tmp_path, form):
    folder, network = describe()
    path = tmp_path / "given.safetensors"
    if form == "safetensors":
        path = folder / "model.safetensors"
    elif form == "state dict":
        path = tmp_path / "given.pth"
        torch.save(load_file(folder / "model.safetensors"), path)
    elif form == "transformers' names of now":
        save_file({name: value.clone() for name, value in network.state_dict().items()}, path)
    else:
        harness.train("first", **STILL, **given(folder))
        path = harness.path("first")
    _, told = harness.train(options={"weight_decay": 0.0}, weights=Weights("file", str(path)), **STILL)
    count = len(network.state_dict())
    assert f"Loaded {count} of {count} weights" in told.logged
    saved = state(harness)
    for name, value in network.state_dict().items():
        assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name


def test_other_classes_begin_their_own_weights_alone_anew(harness, describe):
    folder, network = describe(labels=("a", "b", "c", "d"))
    _, told = harness.train(options={"weight_decay": 0.0}, **STILL, **given(folder))
    anew = next(line for line in told.logged.splitlines() if "begun anew" in line)
    assert all(name in anew for name in ("class_predictor.bias", "class_predictor.weight", "criterion.empty_weight"))
    assert anew.count(".") == 4
    saved = state(harness)
    for name, value in network.state_dict().items():
        if not name.startswith(("class_predictor.", "criterion.")):
            assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name
    assert saved["network.criterion.empty_weight"].tolist() == pytest.approx([1, 1, 0.1])


@pytest.mark.parametrize("part", ["model.pixel_level_module.encoder.", "model.transformer_module.decoder.layers.1."])
def test_a_missing_weight_is_an_error(harness, describe, part):
    folder, _ = describe()
    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in weights if name.startswith(part))]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="does not fit Mask2FormerForUniversalSegmentation: missing"):
        harness.train(**given(folder))


def test_what_is_frozen_stays(harness, describe):
    folder, network = describe()
    harness.train(epochs=1, learning_rate=1e-2, options={"freeze": "backbone"}, **given(folder))
    saved = state(harness)
    same = {name for name, value in network.state_dict().items() if torch.equal(value, saved[f"network.{name}"])}
    backbone = {name for name in network.state_dict() if name.startswith("model.pixel_level_module.encoder.")}
    assert backbone <= same
    assert "class_predictor.weight" not in same
    assert "model.pixel_level_module.decoder.mask_projection.weight" not in same


def test_the_backbone_learns_at_a_tenth_of_the_rate(harness, describe):
    folder, network = describe()
    begun = network.state_dict()
    moved = {}
    for name, options in (("usual", {}), ("whole", {"backbone_rate": 1.0}), ("not", {"backbone_rate": 0.0})):
        harness.train(name, epochs=1, options={"weight_decay": 0.0, **options}, **given(folder))
        saved, key = (
            state(harness, name),
            "model.pixel_level_module.encoder.embeddings.patch_embeddings.projection.bias",
        )
        key = next(each for each in begun if "patch_embeddings.projection.bias" in each) if key not in begun else key
        moved[name] = float((saved[f"network.{key}"] - begun[key]).abs().max())
    assert moved["not"] == 0
    assert 5 * moved["usual"] < moved["whole"]


def test_every_one_of_lora_s_additions_learns_and_it_is_merged(harness, describe):
    """Not in torch's own attention, which takes weights alone, nor where a list of layers keeps what they were."""
    folder, _ = describe()
    one = given(folder, learning_rate=1e-2, options={"lora_rank": 2})
    harness.train("straight", **one)
    harness.train("stopped", interrupt=at("train", 1, 2), **one)
    harness.train("stopped", resume=True, **one)
    trained, stopped = state(harness, "straight"), state(harness, "stopped")
    assert all(torch.equal(trained[name], stopped[name]) for name in trained)
    additions = {name: value for name, value in trained.items() if ".lora_B." in name}
    assert additions
    assert all(value.abs().max() > 0 for value in additions.values())
    assert not any("cross_attn" in name or "mask_embedder" in name for name in additions)
    found, _ = harness.evaluate("straight")
    assert found.metrics["val_loss"] > 0
    assert harness.export("torchscript", "straight")[0].metrics["export_difference"] < 1e-3


def test_an_addition_that_would_have_no_effect_is_refused(harness, describe):
    folder, _ = describe()
    with pytest.raises(SpecError, match="would have no effect") as caught:
        harness.train(**given(folder, options={"lora_rank": 2, "lora_targets": "out_proj"}))
    assert caught.value.field == "lora_targets"


def test_activation_checkpointing_gives_the_same_weights(harness):
    for name, on in (("kept", False), ("again", True)):
        harness.train(name, epochs=1, options={"activation_checkpointing": on})
    one, other = state(harness, "kept"), state(harness, "again")
    assert all(torch.allclose(one[name].float(), other[name].float(), atol=1e-5) for name in one)


@pytest.mark.parametrize("on", [False, True])
def test_activation_checkpointing_computes_the_backbone_s_blocks_again(harness, on):
    options = HfOptions.from_params({"activation_checkpointing": on}, Task.segment)
    model = Transformers().build(harness.params(), options, LABELS, print).model.train()
    block = next(module for module in model.modules() if type(module).__name__ == "SwinLayer")
    computed = []
    block.attention.register_forward_hook(lambda *_: computed.append(1))
    model(torch.zeros(1, 3, SIDE, SIDE))[-1].masks.sum().backward()
    assert (len(computed) > 1) == on


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mixup": 0.2}, "mixup"),
        ({"label_smoothing": 0.3}, "label_smoothing"),
        ({"class_weights": "red=2"}, "class_weights"),
        ({"crop_pct": 0.9}, "crop_pct"),
        ({"layer_decay": 0.9}, "layer_decay"),
        ({"compile": True}, "compile"),
        ({"primary_metric": "miou"}, "primary_metric"),
        ({"freeze": "backbone"}, "freeze"),
        ({"lora_rank": 2}, "lora_rank"),
    ],
)
def test_what_has_no_effect_is_refused(harness, options, named):
    with pytest.raises(SpecError) as caught:
        harness.train(options=options)
    assert caught.value.field == named


def test_images_of_one_class_each_are_no_data_for_it(harness, index):
    with pytest.raises(DatasetError, match="needs objects with outlines or masks"):
        InProcess(HfTrainer, index, harness.folder, task="segment", model="mask2former-tiny").train()


def test_another_network_is_refused(harness):
    with pytest.raises(SpecError, match="vit-tiny can't segment the instances in images") as caught:
        harness.train(model="vit-tiny")
    assert "mask2former-tiny" in caught.value.instruction


def test_a_border_round_the_images_is_not_exported(harness):
    harness.train(epochs=1, options={"resize": "border"})
    assert harness.evaluate()[0].metrics["val_loss"] > 0
    with pytest.raises(Exception, match="border"):
        harness.export("onnx")
