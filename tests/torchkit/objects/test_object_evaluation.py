import json

import numpy as np
import pytest
import torch
from PIL import Image

from visiontrain.datasets.objects import Object
from visiontrain.torchkit.evaluating import SplitsInTurn
from visiontrain.torchkit.object_data import IndexedObjects
from visiontrain.torchkit.object_evaluation import Findings, ObjectEvaluation
from visiontrain.torchkit.object_found import FoundObjects
from visiontrain.torchkit.object_transforms import object_augmentation
from visiontrain.torchkit.transforms import ImageConfig

CPU = torch.device("cpu")
CLASSES = ("ant", "bee", "cow")


class Knowing:
    """Finds exactly what is there, or nothing."""

    def __init__(self, *, masks, boxes=True, score=0.9, empty=False):
        self.masks, self.boxes, self.score, self.empty = masks, boxes, score, empty

    def find(self, batch):
        found = []
        for number in range(len(batch)):
            rows = batch.objects.of(number)
            keep = slice(0, 0) if self.empty else slice(None)
            grids = None if rows.masks is None else rows.masks.float()[keep] * 2 - 1
            found.append(
                FoundObjects(
                    torch.full((len(rows),), self.score)[keep],
                    rows.labels[keep],
                    rows.boxes[keep] if self.boxes else None,
                    grids if self.masks else None,
                )
            )
        return Findings(found, torch.tensor(float(len(batch))), {"box_loss": torch.tensor(2.0)})


@pytest.fixture
def data(tmp_path, make_object_index):
    images = []
    for number in range(11):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (60, 40), (number, 0, 0)).save(path)
        objects = []
        for each in range(number % 3):
            x = 20.0 * each
            outline = (x, 5.0, x + 16, 5.0, x + 8, 35.0)
            objects.append(Object(each, (x, 5.0, x + 16, 35.0), (outline,)))
        if number == 4:
            objects.append(Object(2, (40.0, 0.0, 60.0, 40.0), crowd=True))
        images.append((path, objects))
    return make_object_index({"val": images}, CLASSES, task="segment")


def evaluated(data, learner, *, masks, mode="squash", batch_size=4, split="val"):
    config = ImageConfig(
        (40, 60) if mode == "squash" else (64, 64), (0.5,) * 3, (0.5,) * 3, crop_pct=1.0, crop_mode=mode
    )
    transform = object_augmentation("none", config)

    def make(name):
        return IndexedObjects(data, name, transform, 0, masks=masks, train=False)

    evaluation = ObjectEvaluation(learner, CLASSES, CPU, masks=masks)
    for batch in SplitsInTurn(data, [split], make, batch_size=batch_size, workers=0, device=CPU):
        evaluation.update(batch)
    return evaluation


def test_a_model_that_finds_all_boxes(data, tmp_path):
    evaluation = evaluated(data, Knowing(masks=False), masks=False)
    values = evaluation.compute()
    assert values["val_loss"] == pytest.approx((4 * 4 + 4 * 4 + 3 * 3) / 11)
    assert values["val_box_loss"] == pytest.approx(2)
    names = {"map50_95", "map50", "precision", "recall"}
    assert set(values) == {"val_loss", "val_box_loss"} | names | {f"{n}/{c}" for n in names for c in ("ant", "bee")}
    assert all(values[name] == pytest.approx(1) for name in names)
    files = dict(evaluation.write_artifacts(tmp_path / "artifacts", epoch=3))
    assert {path.name for path in files} == {
        "confusion_matrix.json", "confusion_matrix.svg", "curves.json", "curves.svg", "samples.png",
    }  # fmt: skip
    matrix = json.loads((tmp_path / "artifacts" / "confusion_matrix.json").read_text())
    assert matrix["classes"] == [*CLASSES, "background"]
    assert np.diag(matrix["matrix"]).tolist() == [7, 3, 0, 0]
    curves = json.loads((tmp_path / "artifacts" / "curves.json").read_text())
    assert curves["heads"]["box"]["overlap"] == "IoU"
    with Image.open(tmp_path / "artifacts" / "samples.png") as sheet:
        assert sheet.width > 800


@pytest.mark.parametrize("mode", ["squash", "border"])
@pytest.mark.parametrize("boxes", [True, False])
def test_a_model_that_finds_all_masks(data, tmp_path, boxes, mode):
    evaluation = evaluated(data, Knowing(masks=True, boxes=boxes), masks=True, mode=mode)
    values = evaluation.compute()
    assert values["map50_95"] == values["map50_95_mask"] == pytest.approx(1)
    assert values["map50_95_box"] > 0.6  # those around a triangle's pixels are not quite those around its corners
    assert values["map50_mask/bee"] == values["map50/bee"] == values["map50_box/bee"] == pytest.approx(1)
    names = {path.name for path, _ in evaluation.write_artifacts(tmp_path / "artifacts", epoch=1)}
    assert {"curves_box.svg", "curves_mask.svg", "samples.png"} <= names


def test_a_model_that_finds_nothing(data, tmp_path):
    evaluation = evaluated(data, Knowing(masks=True, empty=True), masks=True)
    values = evaluation.compute()
    assert [values[name] for name in ("map50_95", "map50", "precision", "recall", "map50_box")] == [0] * 5
    assert len(evaluation.write_artifacts(tmp_path / "artifacts", epoch=1)) == 6


def test_images_without_any_object(tmp_path, make_object_index):
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    data = make_object_index({"val": [(tmp_path / "a.png", [])]}, CLASSES)
    evaluation = evaluated(data, Knowing(masks=False), masks=False)
    values = evaluation.compute()
    assert values == {
        "val_loss": 1, "val_box_loss": 2, "map50_95": 0, "map50": 0, "precision": 0, "recall": 0,
    }  # fmt: skip
    names = {path.name for path, _ in evaluation.write_artifacts(tmp_path / "artifacts", epoch=1)}
    assert names == {"confusion_matrix.json", "confusion_matrix.svg", "samples.png"}


def test_the_numbers_do_not_depend_on_the_batches(data):
    one, other = (evaluated(data, Knowing(masks=True), masks=True, batch_size=size).compute() for size in (1, 5))
    assert {k: v for k, v in one.items() if "loss" not in k} == {k: v for k, v in other.items() if "loss" not in k}


def test_a_loss_that_is_no_number_is_told(data):
    class Lost(Knowing):
        def find(self, batch):
            found = super().find(batch)
            nan = torch.tensor(float("nan"))
            lost = [FoundObjects(each.scores * nan, each.labels, each.boxes) for each in found.found]
            return Findings(lost, nan, {"box_loss": nan})

    values = evaluated(data, Lost(masks=False), masks=False).compute()
    assert np.isnan(values["val_loss"])
    assert np.isnan(values["val_box_loss"])
    assert values["map50"] == 0
