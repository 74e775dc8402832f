"""Semantic segmentation: every family learns, goes on exactly, is evaluated, predicts and is exported."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional

import visiontrain.torchkit.loop
from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, SpecError, WeightsError
from visiontrain.protocol.messages import Weights
from visiontrain.testing.worker.inprocess import InProcess, at
from visiontrain_hf.layers import layers_of
from visiontrain_hf.options import HfOptions
from visiontrain_hf.segmenter import SEGMENTERS, HfSegmenter, segmenter_class
from visiontrain_hf.trainer import HfTrainer, Transformers

LABELS = ("background", "red", "green")

#: At which each family's small network computes.
SIZES = {"segformer": 64, "upernet": 64}


@pytest.fixture(scope="session")
def masks(tmp_path_factory, semantic_data):
    """30 training images: three batches of 8 and one of 6; 12 for validation: two batches."""
    return semantic_data.make_masks(tmp_path_factory.mktemp("masks"), train=30, val=12)


@pytest.fixture
def harness(masks, tmp_path, monkeypatch):
    monkeypatch.setattr(visiontrain.torchkit.loop, "LOOK_SECONDS", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    (tmp_path / "runs").mkdir()
    yield InProcess(HfTrainer, masks, tmp_path / "runs", task="semantic", model="segformer-tiny", image_size=64)
    torch.set_num_threads(before)


@pytest.fixture
def describe(tmp_path, semantic_data):
    """Writes a folder as transformers keeps a model in: its configuration, and weights that were never trained."""

    def write(kind, *, labels=LABELS, name=None, seed=0, **changes):
        from transformers import AutoConfig

        config = AutoConfig.for_model(kind, **{**semantic_data.NETWORKS[kind], **changes})
        config.id2label, config.label2id = dict(enumerate(labels)), {text: place for place, text in enumerate(labels)}
        config.num_labels = len(labels)
        torch.manual_seed(seed)
        network = segmenter_class(config)(config)
        folder = tmp_path / (name or kind)
        network.save_pretrained(folder)
        return folder, network

    return write


def given(folder, kind, source="pretrained"):
    return {"model": str(folder), "weights": Weights(source), "image_size": SIZES.get(kind)}


def state(harness, name="run", file="last.pt"):
    return torch.load(harness.path(name, file), weights_only=True)["model"]


FAMILIES = ("segformer", "upernet", "beit", "data2vec-vision", "dpt", "mobilevit", "mobilenet_v2")


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_folder_s_weights_are_there_to_the_last_one(harness, describe, kind):
    """transformers writes names of older versions into files: its own Trainer loses 200 of SegFormer's 208."""
    folder, network = describe(kind)
    result, told = harness.train(epochs=1, learning_rate=1e-12, options={"weight_decay": 0.0}, **given(folder, kind))
    count = len(network.state_dict())
    assert f"Loaded {count} of {count} weights" in told.logged
    assert "begun anew" not in told.logged
    saved = state(harness)
    for name, value in network.state_dict().items():
        if value.is_floating_point() and "running" not in name:
            assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name
    found, _ = harness.evaluate()
    assert found.metrics["miou"] == result.metrics["miou"]
    assert found.metrics["val_loss"] == pytest.approx(result.metrics["val_loss"])


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_checkpoint_s_model_gives_the_same_as_the_folder_s(harness, describe, kind):
    """Nothing is lost on the way through a checkpoint, and position embeddings are where they were."""
    folder, network = describe(kind)
    harness.train(
        epochs=1, learning_rate=1e-12, options={"weight_decay": 0.0, "freeze": "backbone"}, **given(folder, kind)
    )
    trainer = HfTrainer()
    saved, model = trainer._inference.load(str(harness.path()), "semantic", HfOptions())
    images = torch.randn(2, 3, *saved.image.size, generator=torch.Generator().manual_seed(0))
    ours = HfSegmenter(network.eval(), ())
    ours.network.load_state_dict(
        {name.removeprefix("network."): value for name, value in state(harness, file="best.pt").items()}
    )
    with torch.no_grad():
        assert torch.allclose(model(images), ours(images), atol=1e-6)


@pytest.mark.parametrize("kind", FAMILIES)
def test_other_classes_begin_their_own_weights_alone_anew(harness, describe, kind):
    folder, network = describe(kind, labels=("a", "b", "c", "d", "e"))
    _, told = harness.train(epochs=1, learning_rate=1e-12, options={"weight_decay": 0.0}, **given(folder, kind))
    assert "(for the data's classes)" in told.logged
    assert "all of" not in told.logged
    saved, anew = state(harness), []
    for name, value in network.state_dict().items():
        if value.shape != saved[f"network.{name}"].shape:
            anew.append(name)
        elif value.is_floating_point() and "running" not in name:
            assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name
    heads = {name.rpartition(".")[0] for name in anew}
    assert len(heads) == 1 + (getattr(network, "auxiliary_head", None) is not None)


def test_a_backbone_alone_is_enough_to_begin_with(harness, describe, tmp_path):
    """As nvidia/mit-b0 is published: an image classifier."""
    folder, network = describe("segformer")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if not name.startswith("decode_head.")}
        | {"classifier.weight": torch.zeros(1000, 16), "classifier.bias": torch.zeros(1000)},
        folder / "model.safetensors",
    )
    _, told = harness.train(epochs=1, learning_rate=1e-12, options={"weight_decay": 0.0}, **given(folder, "segformer"))
    assert "Not there, and begun anew: all of decode_head." in told.logged
    assert "of no use to this model: classifier.bias, classifier.weight" in told.logged
    saved = state(harness)
    for name, value in network.segformer.state_dict().items():
        assert torch.allclose(value, saved[f"network.segformer.{name}"], atol=1e-6)


@pytest.mark.parametrize("part", ["segformer.", "decode_head.linear_fuse"])
def test_a_missing_weight_is_an_error(harness, describe, part):
    folder, _ = describe("segformer")
    weights = load_file(folder / "model.safetensors")
    gone = next(name for name in weights if name.startswith(part))
    del weights[gone]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="does not fit SegformerForSemanticSegmentation: missing"):
        harness.train(**given(folder, "segformer"))


def test_a_classifier_s_run_is_no_beginning(harness, index, tmp_path):
    (tmp_path / "others").mkdir()
    other = InProcess(HfTrainer, index, tmp_path / "others", model="vit-tiny")
    other.train(epochs=1)
    with pytest.raises(WeightsError, match="for the task classify, not semantic"):
        harness.train(weights=Weights("file", str(other.path())))


@pytest.mark.parametrize("model", ["segformer-tiny", "upernet-tiny-scratch"])
def test_every_preset_learns_is_evaluated_predicts_and_is_exported(harness, model):
    result, told = harness.train(model=model, epochs=4, learning_rate=3e-3)
    assert told.rows[-1]["train_loss"] < told.rows[0]["train_loss"]
    assert result.metrics["miou"] > 0.5
    assert {"iou/background", "iou/red", "iou/green", "pixel_accuracy", "mean_accuracy"} <= set(result.metrics)
    found, context = harness.evaluate()
    assert found.metrics["miou"] == result.metrics["miou"]
    assert {event["kind"] for event in context.of("artifact")} == {"confusion_matrix", "picture", "classes"}
    images = list(DatasetIndex(harness.index).images("val"))
    trainer = HfTrainer()
    first = harness.predict([image.path for image in images], trainer=trainer)
    again = harness.predict([image.path for image in images], trainer=trainer)
    assert first == again
    assert first.classes == LABELS
    right = counted = 0
    for image, prediction in zip(images, first.predictions, strict=True):
        seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(prediction.class_map.png))))
        truth = np.asarray(Image.open(image.mask))
        assert seen.shape == truth.shape
        right, counted = right + int((seen == truth)[truth != 255].sum()), counted + int((truth != 255).sum())
    assert right / counted == pytest.approx(result.metrics["pixel_accuracy"], abs=1e-9)
    for form in ("onnx", "torchscript"):
        exported, context = harness.export(form)
        assert exported.metrics["export_difference"] < 1e-4
        assert "of probabilities and" in context.logged
    told = json.loads((harness.folder / "run-exported" / "artifacts" / "model.json").read_text())
    assert told["output"]["shape"][:2] == ["batch", 3]
    assert set(told["check"]["differences"]) == {"probabilities", "class maps"}


@pytest.mark.parametrize("model", ["segformer-tiny", "upernet-tiny"])
def test_stopped_in_an_epoch_on_its_last_batch_and_in_validation(harness, model):
    """SegFormer draws what it drops, both have batch norm; with averages, bf16 and pixels weighed by class."""
    options = {"ema_decay": 0.9, "precision": "bf16", "class_weights": "balanced", "augmentation": "strong"}
    options |= {"accumulate": 2}
    _, straight = harness.train("straight", model=model, options=options)
    rows = []
    moments = [at("train", 1, 2), at("train", 1, 4), at("val", 1, 1), at("train", 2, 4), None]
    for attempt, moment in enumerate(moments):
        result, told = harness.train("stopped", model=model, resume=attempt > 0, interrupt=moment, options=options)
        rows += told.rows
        assert all(event["exact"] for event in told.of("resumed"))
    assert result.status == "completed"
    assert rows == straight.rows
    one, other = (torch.load(harness.path(name, "last.pt"), weights_only=True) for name in ("straight", "stopped"))
    assert all(torch.equal(value, other["model"][name]) for name, value in one["model"].items())
    averages = (one["updates"]["average"], other["updates"]["average"])
    assert all(torch.equal(value, averages[1][name]) for name, value in averages[0].items())


def test_loader_processes_change_nothing(harness):
    for name, workers in (("none", 0), ("two", 2)):
        harness.train(name, epochs=1, options={"workers": workers, "augmentation": "strong"})
    one, other = state(harness, "none"), state(harness, "two")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_auxiliary_head_learns_and_is_left_out_of_use(harness, describe):
    folder, _ = describe("upernet")
    one = given(folder, "upernet")
    harness.train("trained", epochs=1, learning_rate=1e-2, **one)
    harness.train("begun", epochs=1, learning_rate=1e-12, **one)
    trained, begun = state(harness, "trained"), state(harness, "begun")
    name = "network.auxiliary_head.classifier.weight"
    assert not torch.allclose(trained[name], begun[name], atol=1e-4)
    _, model = HfTrainer()._inference.load(str(harness.path("trained")), "semantic", HfOptions())
    assert model.network.auxiliary_head is None


def test_the_auxiliary_loss_is_that_of_transformers(describe):
    _, network = describe("upernet")
    model = HfSegmenter(network.eval(), (), auxiliary=network.config.auxiliary_loss_weight)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(3, (2, 64, 64), generator=torch.Generator().manual_seed(1))
    maps = model.training_maps(images)
    assert [share for _, share in maps] == [1.0, 0.4]

    def loss_of(scores):
        pixels = functional.interpolate(scores, size=(64, 64), mode="bilinear", align_corners=False)
        return functional.cross_entropy(pixels, labels)

    ours = sum(share * loss_of(scores) for scores, share in maps)
    assert ours.item() == pytest.approx(network(pixel_values=images, labels=labels).loss.item(), rel=1e-5)


@pytest.mark.parametrize("kind", FAMILIES)
def test_layers_go_from_the_image_to_the_head(describe, kind):
    _, network = describe(kind)
    model = HfSegmenter(network, ())
    layers = layers_of(network, model.above)
    above = {layers[name] for name, _ in network.named_parameters() if not model.in_backbone(name)}
    assert above == {max(layers.values())}
    assert layers[next(iter(layers))] == min(layers.values()) < max(layers.values())


def test_layer_decay_lowers_the_backbone_s_rates(harness):
    params = harness.params(options={"layer_decay": 0.5})
    options = HfOptions(layer_decay=0.5, weight_decay=0.0)
    built = Transformers().build(params, options, LABELS, print)
    groups = Transformers().optimizer(built.model, 1e-3, options).param_groups
    scale = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    named = dict(built.model.named_parameters())
    assert scale[id(named["network.decode_head.classifier.weight"])] == 1
    assert all(scale[id(value)] < 1 for name, value in named.items() if name.startswith("network.segformer."))


@pytest.mark.parametrize(("options", "share"), [({}, 0.1), ({"backbone_rate": 0.5}, 0.5), ({"lora_rank": 2}, 1)])
def test_a_trained_backbone_learns_slower_than_what_is_new(harness, describe, options, share):
    folder, _ = describe("segformer")
    params = harness.params(options=options, **given(folder, "segformer"))
    chosen = HfOptions(**options, weight_decay=0.0)
    built = Transformers().build(params, chosen, LABELS, print)
    groups = Transformers().optimizer(built.model, 1e-3, chosen).param_groups
    scale = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    trained = {name: scale[id(value)] for name, value in built.model.named_parameters() if id(value) in scale}
    assert {value for name, value in trained.items() if name.startswith("network.segformer.")} == {share}
    assert {value for name, value in trained.items() if name.startswith("network.decode_head.")} == {1}


def test_the_batch_size_is_found(harness):
    _, told = harness.train(epochs=1, auto_batch_size=True)
    assert "found for cpu" in told.logged


def test_what_is_frozen_stays(harness, describe):
    folder, _ = describe("segformer")
    one = given(folder, "segformer")
    harness.train(epochs=1, learning_rate=1e-2, options={"freeze": "backbone"}, **one)
    harness.train("begun", epochs=1, learning_rate=1e-12, **one)
    trained, begun = state(harness), state(harness, "begun")
    same = {name for name in trained if torch.allclose(trained[name].float(), begun[name].float(), atol=1e-7)}
    assert {name for name in trained if name.startswith("network.segformer.")} <= same
    assert "network.decode_head.linear_fuse.weight" not in same


def test_lora_trains_its_additions_and_the_heads_and_is_merged(harness, describe):
    folder, _ = describe("segformer")
    one = {**given(folder, "segformer"), "options": {"lora_rank": 2, "augmentation": "light"}, "learning_rate": 1e-2}
    harness.train("straight", **one)
    harness.train("stopped", interrupt=at("train", 1, 2), **one)
    harness.train("stopped", resume=True, **one)
    trained, stopped = state(harness, "straight"), state(harness, "stopped")
    assert all(torch.equal(trained[name], stopped[name]) for name in trained)
    harness.train("begun", **{**one, "learning_rate": 1e-12})
    begun = state(harness, "begun")
    changed = {name for name in trained if not torch.allclose(trained[name].float(), begun[name].float(), atol=1e-6)}
    assert any(".lora_" in name for name in changed)
    assert any("linear_fuse" in name for name in changed)
    assert all(".lora_" in name or ".decode_head." in name for name in changed)
    assert harness.evaluate("straight")[0].metrics["miou"] >= 0
    assert harness.export("onnx", "straight")[0].metrics["export_difference"] < 1e-4


def test_class_weights_change_what_is_learned(harness):
    for name, text in (("none", "none"), ("balanced", "balanced"), ("given", "red=20,green=0.1")):
        harness.train(name, epochs=1, options={"class_weights": text})
    states = [state(harness, name) for name in ("none", "balanced", "given")]
    name = "network.decode_head.classifier.weight"
    assert not torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[1][name], states[2][name])


def test_activation_checkpointing_gives_the_same_weights(harness):
    for name, on in (("kept", False), ("again", True)):
        harness.train(name, epochs=1, options={"activation_checkpointing": on})
    one, other = state(harness, "kept"), state(harness, "again")
    assert all(torch.allclose(one[name].float(), other[name].float(), atol=1e-5) for name in one)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mixup": 0.2}, "mixup"),
        ({"label_smoothing": 0.3}, "label_smoothing"),
        ({"balanced_sampling": True}, "balanced_sampling"),
        ({"crop_pct": 0.9}, "crop_pct"),
        ({"compile": True}, "compile"),
        ({"class_weights": "blue=2"}, "class_weights"),
        ({"primary_metric": "accuracy"}, "primary_metric"),
        ({"freeze": "backbone"}, "freeze"),
        ({"lora_rank": 2}, "lora_rank"),
    ],
)
def test_what_has_no_effect_is_refused(harness, options, named):
    with pytest.raises(SpecError) as caught:
        harness.train(options=options)
    assert caught.value.field == named


def test_another_metric_may_pick_the_best_epoch(harness):
    for metric in ("pixel_accuracy", "mean_accuracy", "val_loss"):
        result, _ = harness.train(metric, epochs=1, options={"primary_metric": metric})
        assert metric in result.metrics


def test_images_may_keep_their_shape(harness):
    harness.train(epochs=1, options={"resize": "border"})
    result, _ = harness.evaluate()
    assert result.metrics["miou"] > 0
    with pytest.raises(Exception, match="images with a border"):
        harness.export("onnx")


def test_data_of_another_kind_is_refused(harness, index, tmp_path):
    (tmp_path / "others").mkdir()
    other = InProcess(HfTrainer, index, tmp_path / "others", task="semantic", model="segformer-tiny")
    with pytest.raises(DatasetError, match="masks of classes are wanted"):
        other.train()
    with pytest.raises(SpecError, match="vit-tiny can't segment images by class"):
        harness.train(model="vit-tiny")


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ({"size": {"height": 64, "width": 96}, "do_reduce_labels": True}, (64, 96)),
        ({"size": 64, "do_reduce_labels": False}, (64, 64)),
        ({"size": {"shortest_edge": 72}, "do_center_crop": True, "crop_size": {"height": 64, "width": 64}}, (64, 64)),
    ],
)
def test_all_of_an_image_is_seen_whatever_the_processor_says(tmp_path, told, size):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({**told, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5] * 3}))
    found = SEGMENTERS.read_images(path, 512)
    assert (found.size, found.crop_mode, found.crop_pct, found.mean) == (size, "squash", 1.0, (0.1, 0.2, 0.3))


def test_pixels_that_would_be_shown_otherwise_are_refused(tmp_path):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({"size": 64, "do_flip_channel_order": True}))
    with pytest.raises(WeightsError, match="blue before red"):
        SEGMENTERS.read_images(path, 512)
