"""What a run reports and refuses, over several families of models."""

import json
import math
import multiprocessing

import pytest
import timm
import torch

from visiontrain.errors import DatasetError, RunFailedError, SpecError, UnknownModelError
from visiontrain.torchkit.updates import Updates

FAMILIES = [
    ("resnet18", 32), ("efficientnet_b0", 32), ("mobilenetv3_small_100", 32), ("convnext_atto", 32),
    ("vit_tiny_patch16_224", 32), ("deit_tiny_patch16_224", 48), ("swin_tiny_patch4_window7_224", 56),
    ("regnetx_002", 32), ("densenet121", 32), ("mixer_s32_224", 64), ("levit_128s", 64), ("xcit_nano_12_p8_224", 32),
    ("eva02_tiny_patch14_224", 28),
]  # fmt: skip


@pytest.mark.parametrize(("model", "size"), FAMILIES)
def test_families(harness, model, size):
    result, context = harness.train(model=model, image_size=size, epochs=1, options={"precision": "auto"})
    assert (result.status, result.epochs) == ("completed", 1.0)
    (row,) = context.rows
    assert all(math.isfinite(value) for value in row.values())


def test_what_a_run_reports(harness):
    result, context = harness.train(epochs=3)
    rows = context.of("metrics")
    assert [(event["epoch"], event["step"], event["scope"]) for event in rows] == [
        (1, 5, "epoch"), (2, 10, "epoch"), (3, 15, "epoch"),
    ]  # fmt: skip
    per_class = {f"{name}/{c}" for name in ("precision", "recall", "f1") for c in ("circle", "square", "triangle")}
    wanted = {
        "train_loss", "val_loss", "learning_rate", "images_per_second", "accuracy", "precision_macro", "recall_macro",
        "f1_macro", "f1_weighted",
    }  # fmt: skip
    assert set(rows[0]["values"]) == wanted | per_class
    best = max(event["values"]["accuracy"] for event in rows)
    assert result.metrics["accuracy"] == best
    first_best = next(event for event in rows if event["values"]["accuracy"] == best)
    assert result.metrics == first_best["values"]
    assert harness.best()["epoch"] == first_best["epoch"]
    checkpoints = context.of("checkpoint")
    assert [event["step"] for event in checkpoints if event["kind"] == "last"] == [5, 10, 15]
    assert all(event["exact"] for event in checkpoints)
    assert {event["path"] for event in checkpoints} == {"checkpoints/last.pt", "checkpoints/best.pt"}
    written = [(event["path"], event["kind"]) for event in context.of("artifact")[-2:]]
    assert written == [
        ("artifacts/confusion_matrix.json", "confusion_matrix"), ("artifacts/confusion_matrix.svg", "picture"),
    ]  # fmt: skip
    matrix = json.loads((harness.folder / "run" / "artifacts" / "confusion_matrix.json").read_text())
    assert matrix["epoch"] == first_best["epoch"]
    assert sum(map(sum, matrix["matrix"])) == 15
    assert {event["phase"] for event in context.of("progress")} == {"train", "val"}
    assert "learning rate" in context.logged.lower()


def test_best_checkpoint_is_enough_to_use_the_model(harness):
    harness.train(epochs=1)
    best = harness.best()
    assert best["metadata"]["model"] == "test_resnet"
    assert best["metadata"]["classes"] == ["circle", "square", "triangle"]
    assert best["metadata"]["image"]["size"] == [32, 32]
    assert best["metadata"]["task"] == "classify"


def test_within_an_epoch_checkpoints_are_written_as_asked(harness):
    _, context = harness.train(epochs=1, options={"checkpoint_minutes": 0})
    assert [event["step"] for event in context.of("checkpoint") if event["kind"] == "last"] == [1, 2, 3, 4, 5]


def test_it_learns(harness, make_index, tmp_path):
    harness.index = make_index(tmp_path, train=100, val=20, side=64)
    result, _ = harness.train(model="resnet18", epochs=8, image_size=64, batch_size=16, options={"precision": "auto"})
    assert result.metrics["accuracy"] > 0.9


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(harness):
    harness.train(epochs=1)
    before = harness.last()
    with pytest.raises(RunFailedError, match="not a number") as caught:
        harness.train(epochs=3, resume=True, learning_rate=1e30, options={"warmup_epochs": 0})
    assert "lower learning rate (--lr 1e+29)" in caught.value.instruction
    after = harness.last()
    assert after["position"] == before["position"]
    assert all(torch.equal(before["model"][key], after["model"][key]) for key in before["model"])


def test_weights_that_an_epochs_last_step_breaks_are_not_kept(harness, monkeypatch):
    harness.train(epochs=1)
    before = harness.path(file="last.pt").read_bytes()
    step = Updates._step

    def overflow(updates, number):
        step(updates, number)
        if number == 9:
            next(updates._model.parameters()).data[0] = math.nan

    monkeypatch.setattr(Updates, "_step", overflow)
    with pytest.raises(RunFailedError, match="weights are not numbers any more, in epoch 2 at step 10") as caught:
        harness.train(epochs=3, resume=True)
    assert "--lr" in caught.value.instruction
    assert harness.path(file="last.pt").read_bytes() == before


@pytest.mark.parametrize(("minutes", "steps"), [(0.0, [1, 2, 3, 4, 5]), (10.0, [5])])
def test_an_epochs_state_is_written_as_often_as_asked_for(harness, minutes, steps):
    _, context = harness.train(epochs=1, options={"checkpoint_minutes": minutes})
    assert [event["step"] for event in context.of("checkpoint") if event["kind"] == "last"] == steps


@pytest.mark.parametrize("workers", [0, 2])
def test_as_many_processes_load_images_as_asked_for(harness, workers):
    seen = set()
    harness.train(
        epochs=1,
        options={"workers": workers},
        interrupt=lambda phase, *_: phase == "train" and seen.add(len(multiprocessing.active_children())),
    )
    assert seen == {workers}
    assert not multiprocessing.active_children()


def test_numbers_that_are_none_are_recorded(harness):
    contexts = []
    with pytest.raises(RunFailedError):
        harness.train(learning_rate=1e30, before=contexts.append, options={"warmup_epochs": 0})
    event = contexts[0].of("metrics")[-1]
    assert event["values"]["train_loss"] is None
    assert event["non_finite"]["train_loss"] in ("NaN", "Infinity")


def test_a_resumed_run_must_be_the_same(harness):
    harness.train(epochs=1)
    for change in ({"seed": 4}, {"batch_size": 4}, {"model": "test_vit"}, {"image_size": 48}):
        with pytest.raises(SpecError, match="the run was started with"):
            harness.train(epochs=2, resume=True, **change)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"task": "detect"}, SpecError, "task: timm trains classify"),
        ({"model": "resnet1888"}, UnknownModelError, "resnet18"),
        ({"model": "resnet18.nothing"}, UnknownModelError, "resnet18.a1_in1k"),
        ({"model": "hf-hub:timm/resnet18.a1_in1k"}, SpecError, "--pretrained"),
        ({"model": "vit_tiny_patch16_224", "image_size": 30}, SpecError, "image_size"),
        ({"model": "resnet18", "options": {"optimiser": "sgd"}}, SpecError, "is no option of timm"),
        ({"model": "vgg11", "options": {"drop_path_rate": 0.1}}, SpecError, "drop_path_rate"),
        ({"options": {"warmup_epochs": 3.0}}, SpecError, "warmup_epochs"),
        ({"device": "cuda:99"}, Exception, "cuda:99"),
    ],
)
def test_refusals(harness, changes, error, words):
    with pytest.raises(error, match=words):
        harness.train(**changes)
    assert not (harness.folder / "run" / "checkpoints").exists()


def test_data_that_cannot_be_trained_on(harness, make_index, tmp_path):
    for classes, val, words in ((("one",), 2, "two classes"), (("a", "b", "c"), 0, "no images in its split val")):
        folder = tmp_path / words
        folder.mkdir()
        harness.index = make_index(folder, train=2, val=val, side=20, classes=classes)
        with pytest.raises(DatasetError, match=words):
            harness.train()


@pytest.mark.parametrize("images", [1, 3])
def test_fewer_images_than_a_batch(harness, make_index, tmp_path, images):
    harness.index = make_index(tmp_path, train=images, val=1, side=40)
    result, context = harness.train(epochs=1, batch_size=16)
    assert result.status == "completed"
    assert context.of("metrics")[0]["step"] == 1


def test_the_learning_rate_follows_start_and_batch_size(harness):
    _, context = harness.train(epochs=1, batch_size=32, options={"warmup_epochs": 0})
    assert "Learning rate 0.002: adamw's default for random weights and batch norm at batch size 32." in context.logged
    _, context = harness.train("vit", model="test_vit", epochs=1)
    assert "Learning rate 0.00025: adamw's default for random weights without batch norm" in context.logged
    _, context = harness.train("other", epochs=1, learning_rate=0.5, options={"warmup_epochs": 0})
    assert "default" not in context.logged


@pytest.mark.parametrize(("model", "size"), [("test_vit", 32), ("test_resnet", 40)])
def test_a_checkpoint_is_used_without_visiontrain_as_the_documentation_says(harness, model, size):
    harness.train(model=model, image_size=size, epochs=1)
    best = harness.best()
    made_of = best["metadata"]
    again = timm.create_model(made_of["architecture"], num_classes=len(made_of["classes"]), **made_of["arguments"])
    again.load_state_dict(best["model"])
    assert again(torch.zeros(1, 3, size, size)).shape == (1, 3)
