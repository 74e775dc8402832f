"""Semantic segmentation with Mask2Former: a mask for each class in an image, and maps of scores from all queries."""

from types import SimpleNamespace

import pytest
import torch
from transformers import Mask2FormerImageProcessor

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import SpecError
from visiontrain.protocol.messages import Weights
from visiontrain.testing.worker.inprocess import at
from visiontrain.torchkit.object_batches import SourceImage
from visiontrain.torchkit.semantic.batches import SemanticBatch
from visiontrain_hf import mask_queries
from visiontrain_hf.class_masks import class_targets
from visiontrain_hf.mask2former import mask2former_class
from visiontrain_hf.mask_queries import Queries, class_maps
from visiontrain_hf.presets import config_of

SIDE = 64


@pytest.fixture(scope="session")
def masks(tmp_path_factory, make_masks):
    """22 training images: two batches of 8 and one of 6; 10 for validation: two batches."""
    return make_masks(tmp_path_factory.mktemp("masks"), train=22, val=10)


@pytest.fixture
def harness(make_harness, masks):
    return make_harness(masks, task="semantic", model="mask2former-tiny", image_size=SIDE)


def queries(*, images=1, count=9, classes=4, side=24):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(images, count, 5, 5, generator=generator) * 4
    masks = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")
    return Queries(torch.randn(images, count, classes + 1, generator=generator) * 2, masks)


def test_class_maps_are_those_of_transformers():
    given = queries(images=2)
    out = SimpleNamespace(class_queries_logits=given.classes, masks_queries_logits=given.masks)
    theirs = Mask2FormerImageProcessor().post_process_semantic_segmentation(out)
    ours = class_maps(given, (384, 384))
    assert ours.shape == (2, 4, 384, 384)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.argmax(0) == other).float().mean() > 0.9999


def test_chunks_of_queries_change_nothing(monkeypatch):
    whole = class_maps(queries(), (48, 32))
    monkeypatch.setattr(mask_queries, "_AT_ONCE", 1)
    assert torch.allclose(class_maps(queries(), (48, 32)), whole, atol=1e-6)


def test_scores_are_computed_in_float32_under_autocast():
    given = queries()
    rounded = Queries(given.classes.bfloat16(), given.masks.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = class_maps(rounded, (48, 48))
    assert under.dtype == torch.float32
    assert torch.equal(under, class_maps(rounded, (48, 48)))


def test_each_class_that_is_there_has_a_mask_and_pixels_of_no_class_are_in_none():
    labels = torch.full((2, 4, 4), 255, dtype=torch.uint8)
    labels[0, :2], labels[0, 3] = 2, 0
    batch = SemanticBatch(
        torch.zeros(2, 4, 4, 3, dtype=torch.uint8),
        torch.tensor([[4, 4]] * 2),
        (SourceImage("", 4, 4),) * 2,
        labels,
        255,
    )
    targets = class_targets(batch)
    assert targets.counts == (2, 0)
    assert targets.labels[0].tolist() == [0, 2]
    assert torch.equal(targets.masks[0], torch.stack([labels[0] == 0, labels[0] == 2]))
    assert targets.masks[1].shape == (0, 4, 4)


def test_it_learns_is_evaluated_predicts_and_is_exported(harness):
    result, told = harness.train(epochs=8, learning_rate=2e-3)
    assert told.rows[-1]["train_loss"] < 0.7 * told.rows[0]["train_loss"]
    assert result.metrics["miou"] > 0.4
    row = told.rows[-1]
    for split in ("train", "val"):
        parts = [row[f"{split}_{name}_loss"] for name in ("class", "mask", "dice")]
        assert row[f"{split}_loss"] == pytest.approx(sum(parts), rel=1e-5)
    found, _ = harness.evaluate()
    assert found.metrics["miou"] == result.metrics["miou"]
    assert found.metrics["val_loss"] == pytest.approx(result.metrics["val_loss"])
    assert harness.evaluate(batch_size=3)[0].metrics["val_loss"] == pytest.approx(found.metrics["val_loss"], rel=1e-5)
    predicted = harness.predict([image.path for image in DatasetIndex(harness.index).images("val")])
    assert all(each.class_map for each in predicted.predictions)
    for form in ("onnx", "torchscript"):
        exported, _ = harness.export(form, tolerance=1e-4)
        assert exported.metrics["export_difference"] <= 1e-4


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_in_an_epoch_on_its_last_batch_and_in_validation(harness, precision):
    options = {"ema_decay": 0.9, "precision": precision, "augmentation": "strong", "accumulate": 2}
    harness.assert_stops_leave_no_trace(
        [at("train", 1, 2), at("train", 1, 3), at("val", 1, 1), at("train", 2, 3)], options=options
    )


def test_a_folder_s_weights_are_there_to_the_last_one(harness, tmp_path):
    config, _ = config_of("mask2former-tiny", SIDE)
    config.num_labels = 3
    torch.manual_seed(0)
    network = mask2former_class(config)(config)
    network.save_pretrained(tmp_path / "folder")
    _, told = harness.train(
        model=str(tmp_path / "folder"), weights=Weights("pretrained"), epochs=1, learning_rate=1e-12,
        options={"weight_decay": 0.0},
    )  # fmt: skip
    count = len(network.state_dict())
    assert f"Loaded {count} of {count} weights" in told.logged
    saved = harness.state()
    assert {f"network.{name}" for name in network.state_dict()} == set(saved)
    for name, value in network.state_dict().items():
        if "running" in name or "num_batches" in name:
            continue  # batch norm counts while it trains
        assert torch.allclose(value, saved[f"network.{name}"], atol=1e-6), name


def test_gradients_are_clipped_as_the_authors_have_it(harness):
    """Also where it learns classes: the norm goes with the model, not with the task."""
    harness.train(epochs=1)
    assert torch.load(harness.path(file="last.pt"), weights_only=True)["conditions"]["clip_grad"] == 0.01
    harness.train("other", model="segformer-tiny", epochs=1)
    assert torch.load(harness.path("other", "last.pt"), weights_only=True)["conditions"]["clip_grad"] == 0


def test_pixels_can_t_be_weighed_by_class(harness):
    with pytest.raises(SpecError, match="learns from masks") as caught:
        harness.train(options={"class_weights": "balanced"})
    assert caught.value.field == "class_weights"
