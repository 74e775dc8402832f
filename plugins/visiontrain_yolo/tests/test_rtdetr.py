"""RT-DETR, with a layout of a few layers: its images, loss, boxes, options, and that a stop changes nothing."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image

import visiontrain_yolo.rtdetr
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.objects import Object
from visiontrain.errors import SpecError
from visiontrain.protocol.messages import Weights
from visiontrain.protocol.tasks import Task
from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.build import build_model, classes_of_head, stride_of
from visiontrain_yolo.dataset import IndexedObjects, ObjectBatches, resize, shape_for
from visiontrain_yolo.names import is_rtdetr
from visiontrain_yolo.options import YoloOptions
from visiontrain_yolo.parts import parameters_to_freeze
from visiontrain_yolo.rtdetr_learner import RtDetrLearner
from visiontrain_yolo.settings import settings_of
from visiontrain_yolo.weights import load_into, read_weights

REAL = ("rtdetr-l", "rtdetr-x", "rtdetr-resnet50", "rtdetr-resnet101")


def tiny(_name):
    """Three levels, a transformer layer, twelve queries, two layers of a decoder."""
    return {
        "nc": 80,
        "scales": {"l": [1.0, 1.0, 1024]},
        "backbone": [
            [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [32, 3, 2]],
            [-1, 1, "Conv", [32, 3, 2]], [-1, 1, "Conv", [32, 3, 2]],
        ],
        "head": [[-1, 1, "AIFI", [64, 4]], [[2, 3, 5], 1, "RTDETRDecoder", ["nc", 32, 12, 2, 4, 2, 64]]],
    }  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(visiontrain_yolo.rtdetr, "layout_of", tiny)


def trained(harness, name="run", **changes):
    return harness.train(name, model="rtdetr-l", **changes)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 2, "close_mosaic": 1},
        {"precision": "bf16", "multi_scale": 0.5, "mixup": 0.5, "close_mosaic": 1, "accumulate": 2},
    ],
    ids=["2 workers", "bf16, multi-scale, mixup, accumulated"],
)
def test_stopped_at_random_steps(harness, small, options):
    """Its noised queries are the same again, and what validation computed does not get in training's way."""
    _, straight = trained(harness, "straight", epochs=3, options=options)
    rng, rows = random.Random(str(options)), []
    for attempt in range(30):
        seen, wait = [], rng.randint(1, 4)

        def interrupt(*at, seen=seen, wait=wait):
            seen.append(at)
            return len(seen) == wait

        result, context = trained(
            harness, "stopped", epochs=3, resume=attempt > 0, interrupt=interrupt, options=options
        )
        rows += context.rows
        assert all(event["exact"] for event in context.of("resumed"))
        if result.status == "completed":
            break
    assert result.status == "completed"
    assert attempt > 3
    assert rows == straight.rows
    for one, other in (
        (harness.last("straight"), harness.last("stopped")),
        (harness.best("straight"), harness.best("stopped")),
    ):
        assert same(one["model"], other["model"])
    rates = [harness.last(name)["optimizer"]["state"] for name in ("straight", "stopped")]
    assert all(same(*pair) for pair in zip(*(list(state.values()) for state in rates), strict=True))


def test_what_a_run_reports_and_an_evaluation_says_again(harness, small):
    result, context = trained(harness, epochs=1)
    losses = {"train_giou_loss", "train_cls_loss", "train_l1_loss"}
    assert all(losses <= set(event["values"]) for event in context.of("progress") if event["phase"] == "train")
    assert harness.best()["metadata"]["image"]["crop_mode"] == "squash"
    found, _ = harness.evaluate()
    wanted = {**result.metrics, "images_per_second": found.metrics["images_per_second"]}
    assert found.metrics == {name: wanted[name] for name in found.metrics}


def test_it_learns(harness, small):
    options = {"mosaic": 0, "ema_decay": 0, "warmup_epochs": 1}
    _, context = trained(harness, epochs=12, learning_rate=2e-3, options=options)
    losses = [row["val_loss"] for row in context.rows]
    assert losses[-1] < 0.75 * losses[0], losses


def test_noise_differs_from_batch_to_batch_and_follows_the_generator(small, data):
    learner, batch = a_learner(data)
    torch.manual_seed(0)
    first, second = (learner.loss(learner.forward(batch.values["img"] / 255, batch), batch)[0] for _ in range(2))
    assert first.item() != second.item()
    torch.manual_seed(0)
    again, _ = learner.loss(learner.forward(batch.values["img"] / 255, batch), batch)
    assert again.item() == first.item()


def a_learner(data, positions=(1, 2, 3), split="train"):
    torch.manual_seed(1)
    model = build_model("rtdetr-l", data.classes, head_classes=2)
    given = settings_of(YoloOptions(mosaic=0), task="detect", epochs=1, image_size=64)
    images = IndexedObjects(data, split, Task.detect, image_size=64, stride=32, settings=given, stretch=True)
    learner = RtDetrLearner(
        model, data.classes, torch.device("cpu"), task="detect", image_size=64, stride=32, multi_scale=0.0, seed=0,
        iou=0.7, max_det=300,
    )  # fmt: skip
    return learner, ObjectBatches(images)[[(0, position) for position in positions]]


def test_the_loss_is_a_mean_over_objects_and_images_without_any_have_one(small, data):
    learner, batch = a_learner(data)
    (whole,) = learner.losses(batch, [slice(0, 3)])
    total, parts = learner._model.loss(batch.values, learner.forward(batch.values["img"].float() / 255, batch))
    assert whole.item() == pytest.approx(total.item(), rel=0.2)  # the noise is another one
    assert set(parts) == {"giou_loss", "cls_loss", "l1_loss"}
    empty = ObjectBatch(
        {**batch.values, "cls": torch.zeros(0, 1), "bboxes": torch.zeros(0, 4), "batch_idx": torch.zeros(0)}
    )
    (alone,) = learner.losses(empty, [slice(0, 3)])
    alone.backward()
    assert torch.isfinite(alone)
    split = list(learner.losses(batch, [slice(0, 2), slice(2, 3)]))
    assert all(torch.isfinite(part) for part in split)


def test_boxes_are_corners_in_pixels_best_first(small):
    model = build_model("rtdetr-l", ["green", "red"], head_classes=2).eval()
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        found, raw = model(images)
        with torch.autocast("cpu", torch.bfloat16):
            other, _ = model(images)
    assert found.shape == (2, 12, 6)
    assert other.dtype == found.dtype == torch.float32
    assert (found[..., 4].diff(dim=1) <= 0).all()
    assert set(found[..., 5].unique().tolist()) <= {0.0, 1.0}
    centres, scores = raw[0][-1], raw[1][-1].sigmoid()
    best = scores[0].max(1).values.argmax()
    x, y, width, height = (centres[0, best] * torch.tensor([96, 64, 96, 64])).tolist()
    wanted = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    assert found[0, 0, :4].tolist() == pytest.approx(wanted, abs=1e-3)
    assert found[0, 0, 4].item() == pytest.approx(scores[0].max().item())


def test_images_are_stretched(writer):
    Image.new("RGB", (80, 40), (250, 10, 10)).save(writer.folder / "a.png")
    writer.add("val", "a.png", (80, 40), [Object(1, (20, 10, 60, 30))])
    index = DatasetIndex(writer.close())
    images = IndexedObjects(index, "val", Task.detect, image_size=64, stride=32, stretch=True)
    values = ObjectBatches(images)[[(0, 0)]].values
    assert tuple(values["img"].shape) == (1, 3, 64, 64) == (1, 3, *shape_for(80, 40, 64, 32, stretch=True))
    assert (values["img"][0, 0] == 250).all()
    assert values["bboxes"].tolist() == [pytest.approx([0.5, 0.5, 0.5, 0.5])]


@pytest.mark.parametrize(
    "options", [{"box": 5.0}, {"dfl": 1.0}, {"cls": 1.0}, {"class_weights_power": 0.5}, {"iou": 0.5}]
)
def test_options_of_other_losses_and_of_suppression_are_refused(harness, small, options):
    with pytest.raises(SpecError, match="no effect with rtdetr-l"):
        trained(harness, options=options)


def test_what_else_is_refused(harness, small):
    with pytest.raises(SpecError, match="finds 300 objects"):
        trained(harness, options={"max_det": 301})
    with pytest.raises(SpecError, match="Give yolo26n-seg"):
        trained(harness, task="segment")
    trained(harness, epochs=1)
    with pytest.raises(SpecError, match="no effect with rtdetr-l"):
        harness.evaluate(options={"iou": 0.5})


def test_classes_of_a_file_go_by_their_names(harness, small, tmp_path):
    trained(harness, "first", epochs=1)
    weights = read_weights(harness.path("first"))
    assert (weights.classes, weights.head_classes) == (("green", "red"), 2)
    said = []
    model = build_model("rtdetr-l", ["red", "blue"], head_classes=2)
    begun = {name: value.clone() for name, value in model.state_dict().items()}
    load_into(model, "rtdetr-l", weights, said.append)
    found, last = model.state_dict(), "model.6.dec_score_head.1.weight"
    assert torch.equal(found[last][0], weights.state[last][1])
    assert torch.equal(found[last][1], begun[last][1])
    assert torch.equal(found["model.0.conv.weight"], weights.state["model.0.conv.weight"])
    assert "that the data has, too: red" in said[0]
    trained(harness, "second", epochs=1, weights=Weights("file", str(harness.path("first"))), options={"freeze": "2"})
    before, after = harness.best("first")["model"], harness.last("second")["model"]
    assert torch.equal(before["model.1.conv.weight"], after["model.1.conv.weight"])
    assert not torch.equal(before["model.2.conv.weight"], after["model.2.conv.weight"])


def test_other_rows_begin_anew_where_no_class_is_known(harness, small):
    trained(harness, "first", epochs=1)
    model = build_model("rtdetr-l", ["one", "two"], head_classes=2)
    begun = model.state_dict()["model.6.enc_score_head.weight"].clone()
    load_into(model, "rtdetr-l", read_weights(harness.path("first")), [].append)
    assert torch.equal(model.state_dict()["model.6.enc_score_head.weight"], begun)


@pytest.mark.parametrize("name", REAL)
def test_the_real_ones_are_built_without_a_network(name):
    model = build_model(name, ["green", "red", "blue"], head_classes=3)
    assert is_rtdetr(name)
    assert (classes_of_head(model.state_dict()), stride_of(model)) == (3, 32)
    assert sum(p.numel() for p in model.parameters()) > 30e6
    assert len(parameters_to_freeze(model, "5")) > 5


def test_its_predictions_lie_in_the_image_as_it_is(harness, small, tmp_path):
    """An image twice as wide as high, which the model sees as a square."""
    torch.manual_seed(2)
    Image.effect_noise((80, 40), 90).convert("RGB").save(tmp_path / "a.png")
    harness.untrained("detect", "rtdetr-l")
    (found,) = harness.predict([tmp_path / "a.png"], confidence=0.0).predictions
    assert (found.width, found.height) == (80, 40)
    assert 0 < len(found.objects) <= 12
    model = build_model("rtdetr-l", ["green", "red"], head_classes=2).eval()
    model.load_state_dict(harness.best()["model"])
    pixels = resize(np.asarray(Image.open(tmp_path / "a.png")), 64, stretch=True)[:, :, ::-1]
    with torch.inference_mode():
        rows = model(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255)[0][0]
    scale = torch.tensor([80 / 64, 40 / 64] * 2)
    corners = torch.minimum((rows[0, :4] * scale).clamp(min=0), torch.tensor([80.0, 40.0, 80.0, 40.0]))
    assert found.objects[0].box == pytest.approx(corners.tolist(), abs=0.05)
    assert found.objects[0].score == pytest.approx(rows[0, 4].item(), abs=1e-4)
