"""A trained detector evaluates as it did in training, finds objects where they are, and is exported."""

import pytest
import torch

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, ExportError, SpecError
from visiontrain_hf.trainer import HfTrainer

PRESETS = ("rtdetr-tiny", "rtdetrv2-tiny", "dfine-tiny", "detr-tiny")
FAMILIES = ("conditional_detr", "deformable_detr", "dab-detr", "table-transformer", "yolos")
PARTS = {"cls_loss", "l1_loss", "giou_loss"}


def assert_parts_add_up(row, parts):
    for split in ("train", "val"):
        assert sum(row[f"{split}_{part}"] for part in parts) == pytest.approx(row[f"{split}_loss"], rel=1e-4)


@pytest.mark.parametrize("model", PRESETS)
def test_every_preset_learns_is_evaluated_and_predicts(detecting, model):
    result, told = detecting.train(model=model, epochs=3)
    assert told.rows[-1]["train_loss"] < told.rows[0]["train_loss"]
    parts = PARTS | ({"fgl_loss", "ddf_loss"} if model == "dfine-tiny" else set())
    assert {name for name in told.rows[0] if name.startswith("train_") and name != "train_loss"} == {
        f"train_{part}" for part in parts
    }
    row = told.rows[-1]
    assert sum(row[f"train_{part}"] for part in parts) == pytest.approx(row["train_loss"], rel=1e-4)
    found, _ = detecting.evaluate()
    assert found.metrics["map50_95"] == result.metrics["map50_95"]
    assert found.metrics["val_loss"] == pytest.approx(result.metrics["val_loss"])
    images = list(DatasetIndex(detecting.index).images("val"))
    predicted = detecting.predict([image.path for image in images])
    for image, each in zip(images, predicted.predictions, strict=True):
        assert (each.width, each.height) == (image.width, image.height)
        scores = [one.score for one in each.objects]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= one.box[0] < one.box[2] <= image.width for one in each.objects)
        assert {one.label for one in each.objects} <= {0, 1, 2}


@pytest.mark.parametrize("kind", ["rt_detr", "rt_detr_v2", "d_fine", "detr"])
def test_they_are_exported(detecting, describe, kind):
    """Each place of the image has a query: which ones are chosen is by chance where hardly anything is learned."""
    folder, _ = describe(kind, num_queries=84)
    detecting.train(model=str(folder), epochs=1)
    for form in ("onnx", "torchscript"):
        exported, told = detecting.export(form, tolerance=1e-4)
        assert exported.metrics["export_difference"] <= 1e-4
        assert "6 at once" in told.logged


@pytest.mark.parametrize("kind", FAMILIES)
def test_other_families_are_trained_and_exported_likewise(detecting, describe, kind):
    folder, _ = describe(kind)
    result, told = detecting.train(model=str(folder), epochs=1)
    assert_parts_add_up(told.rows[0], PARTS)
    found, _ = detecting.evaluate()
    assert found.metrics["val_loss"] == pytest.approx(result.metrics["val_loss"])
    exported, _ = detecting.export("onnx")
    assert exported.metrics["export_difference"] < 1e-3


@pytest.mark.parametrize("kind", ["detr", "rt_detr", "yolos"])
def test_boxes_are_found_where_they_are_whatever_the_border(detecting, describe, kind):
    """The truth goes through the model's own shares and back: what is found are the objects of the images."""
    folder, _ = describe(kind)
    detecting.train(model=str(folder), epochs=1, options={"resize": "border"})
    trainer = HfTrainer()
    (image, *_) = (each for each in DatasetIndex(detecting.index).images("val") if each.width > each.height)
    detecting.predict([image.path], trainer=trainer)
    learner = trainer._inference._kept._value.use._learner
    given = []

    class Sees(torch.nn.Module):
        sees_borders, config = learner._detector.sees_borders, learner._detector.config

        def forward(self, _images, pixel_mask=None, labels=None):
            given.append((pixel_mask, labels))
            share = 64 * image.height / image.width / 64
            height = 0.5 if self.sees_borders else 0.5 * share
            boxes = torch.tensor([[[0.5, height, 0.5, height]]])
            return type(
                "Out", (), {"logits": torch.tensor([[[9.0, 0, 0, 0]]])[..., : self.classes], "pred_boxes": boxes}
            )

    learner._detector = Sees()
    learner._detector.classes = 4 if kind in ("detr", "yolos") else 3
    (found,) = detecting.predict([image.path], trainer=trainer).predictions
    box = found.objects[0].box
    assert box == pytest.approx([image.width / 4, image.height / 4, image.width * 3 / 4, image.height * 3 / 4], abs=0.6)
    mask = given[0][0]
    assert (mask is not None) is (kind == "detr")
    assert mask is None or not mask.all()


def test_an_export_with_a_border_is_refused(detecting):
    detecting.train(epochs=1, options={"resize": "border"})
    with pytest.raises(ExportError, match="border"):
        detecting.export("onnx")


def test_the_model_is_kept_for_the_next_prediction(detecting, monkeypatch):
    detecting.train(epochs=1)
    trainer, paths = HfTrainer(), [image.path for image in DatasetIndex(detecting.index).images("val")]
    first = detecting.predict(paths, trainer=trainer)
    monkeypatch.setattr("visiontrain.torchkit.inference.read_model", None)
    assert detecting.predict(paths, trainer=trainer) == first


def test_a_detector_of_another_kind_is_refused_by_name(detecting, tmp_path):
    from transformers import AutoConfig

    AutoConfig.for_model("lw_detr").save_pretrained(tmp_path / "other")
    with pytest.raises(SpecError, match="lw_detr") as caught:
        detecting.train(model=str(tmp_path / "other"))
    assert "rt_detr_v2" in caught.value.instruction


def test_a_backbone_of_timm_is_refused_with_what_to_do(detecting, tmp_path):
    from transformers import AutoConfig

    AutoConfig.for_model("detr").save_pretrained(tmp_path / "other")
    with pytest.raises(SpecError, match=r"timm \(resnet50\)") as caught:
        detecting.train(model=str(tmp_path / "other"))
    assert "no_timm" in caught.value.instruction


def test_a_classifier_is_no_detector(detecting, describe):
    folder, _ = describe("convnext")
    with pytest.raises(SpecError, match="can't detect objects"):
        detecting.train(model=str(folder))
    with pytest.raises(SpecError, match="vit-tiny can't detect objects") as caught:
        detecting.train(model="vit-tiny")
    assert "rtdetr-tiny" in caught.value.instruction


def test_labels_are_no_objects(harness):
    with pytest.raises(DatasetError, match="needs objects with boxes"):
        harness.train(model="rtdetr-tiny", task="detect")
