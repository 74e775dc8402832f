"""Each of a detector's options has its effect, and one without any is an error."""

import pytest
import torch

from visiontrain.errors import RunFailedError, SpecError
from visiontrain.protocol.messages import Weights
from visiontrain.protocol.tasks import Task
from visiontrain.testing.worker.inprocess import at
from visiontrain_hf.options import HfOptions
from visiontrain_hf.trainer import Transformers


def state(harness, name="run", file="last.pt"):
    return torch.load(harness.path(name, file), weights_only=True)["model"]


def changed(one, other):
    return {name for name in one if not torch.allclose(one[name], other[name], atol=1e-7)}


@pytest.fixture
def described(describe):
    return lambda kind, **changes: str(describe(kind, labels=("blue", "green", "red"), **changes)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"mixup": 0.5}, {"cutmix": 0.5}, {"label_smoothing": 0.0}, {"balanced_sampling": True}, {"crop_pct": 0.5},
        {"class_weights": "balanced"}, {"layer_decay": 0.5}, {"compile": True}, {"primary_metric": "accuracy"},
        {"lora_alpha": 3},
    ],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_what_has_no_effect_is_refused(detecting, options):
    with pytest.raises(SpecError) as caught:
        detecting.train(options=options)
    assert caught.value.field == next(iter(options))


@pytest.mark.parametrize("options", [{"resize": "border"}, {"backbone_rate": 0.5}], ids=["resize", "backbone_rate"])
def test_a_detector_s_options_are_none_of_a_classifier(harness, options):
    with pytest.raises(SpecError, match="no effect with the task classify"):
        harness.train(options=options)


def test_gradients_are_clipped_and_weights_decay_as_usual_with_the_task():
    detects, classifies = (HfOptions.from_params({}, task) for task in (Task.detect, Task.classify))
    assert (detects.clip_grad, detects.weight_decay) == (0.1, 1e-4)
    assert (classifies.clip_grad, classifies.weight_decay) == (0.0, 0.05)
    assert HfOptions.from_params({"clip_grad": 0.0, "weight_decay": 0.0}, Task.detect).clip_grad == 0.0


@pytest.mark.parametrize(
    ("weights", "given", "share"), [("pretrained", None, 0.1), ("scratch", None, 1), ("pretrained", 0.5, 0.5)]
)
def test_the_backbone_has_a_learning_rate_of_its_own(detecting, described, weights, given, share):
    options = {} if given is None else {"backbone_rate": given}
    params = detecting.params(model=described("rt_detr"), weights=Weights(weights), options=options)
    chosen = HfOptions.from_params(params.options, Task.detect)
    built = Transformers().build(params, chosen, ("blue", "green", "red"), print)
    optimizer = Transformers().optimizer(built.model, 1e-3, chosen)
    names = {id(p): name for name, p in built.model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["lr_scale"] == (share if ".backbone." in names[id(parameter)] else 1)


@pytest.mark.parametrize("kind", ["rt_detr", "detr", "yolos"])
def test_a_frozen_backbone_stays(detecting, described, kind):
    given = {"model": described(kind), "weights": Weights("pretrained"), "epochs": 1, "options": {"freeze": "backbone"}}
    detecting.train(**given)
    detecting.train("still", **{**given, "learning_rate": 1e-12})
    moved = changed(state(detecting), state(detecting, "still"))
    assert moved
    inside = ".vit." if kind == "yolos" else ".backbone."
    assert not [name for name in moved if inside in name]


def test_a_convolutional_backbone_is_trained_unless_it_is_frozen(detecting, described):
    given = {"model": described("detr"), "weights": Weights("pretrained"), "epochs": 1}
    detecting.train(**given)
    detecting.train("still", **{**given, "learning_rate": 1e-12})
    assert [name for name in changed(state(detecting), state(detecting, "still")) if ".backbone." in name]


@pytest.mark.parametrize("kind", ["rt_detr_v2", "d_fine", "detr"])
def test_lora_goes_on_exactly_is_merged_and_begun_with(detecting, described, kind):
    # As many queries as places: which ones are chosen is by chance where hardly anything is learned.
    model = described(kind, num_queries=84)
    given = {"model": model, "weights": Weights("pretrained"), "options": {"lora_rank": 2}}
    result, _ = detecting.train("straight", **given)
    detecting.train("stopped", interrupt=at("train", 1, 2), **given)
    detecting.train("stopped", resume=True, **given)
    one, other = state(detecting, "straight"), state(detecting, "stopped")
    assert all(torch.equal(one[name], other[name]) for name in one)
    detecting.train("still", **{**given, "learning_rate": 1e-12})
    moved = changed(one, state(detecting, "still"))
    assert all(".lora_" in name or "class" in name or "enc_score" in name or "running" in name for name in moved)
    found, _ = detecting.evaluate("straight")
    assert found.metrics["val_loss"] == pytest.approx(result.metrics["val_loss"], rel=1e-4)
    assert detecting.export("onnx", "straight")[0].metrics["export_difference"] < 1e-3
    _, told = detecting.train(
        "second", model=given["model"], weights=Weights("file", str(detecting.path("straight"))), epochs=1,
    )  # fmt: skip
    assert "begun anew" not in told.logged


def test_activation_checkpointing_gives_the_same_weights(detecting, described):
    for name, on in (("kept", False), ("again", True)):
        detecting.train(name, model=described("detr"), epochs=1, options={"activation_checkpointing": on})
    assert not changed(state(detecting, "kept"), state(detecting, "again"))


def test_activation_checkpointing_is_refused_where_transformers_has_none(detecting):
    with pytest.raises(SpecError, match="can't be had with RTDetrForObjectDetection"):
        detecting.train(options={"activation_checkpointing": True})


def test_another_metric_picks_the_best_epoch(detecting):
    result, told = detecting.train(options={"primary_metric": "val_loss"})
    assert result.metrics["val_loss"] == min(row["val_loss"] for row in told.rows)


def test_a_loss_that_is_no_number_is_told(detecting):
    with pytest.raises(RunFailedError, match=r"not a number|not numbers"):
        detecting.train(learning_rate=1e30, options={"clip_grad": 0.0, "warmup_epochs": 0.0})


def test_a_batch_size_is_found(detecting):
    _, told = detecting.train(epochs=1, auto_batch_size=True)
    assert "found for cpu" in told.logged
