"""An evaluation gives the numbers that training's validation gave, and passes over what it is told to."""

import json

import pytest
import torch
from PIL import Image, ImageDraw

from visiontrain.errors import DatasetError, WeightsError
from visiontrain_yolo.evaluation import DetectionEvaluation, match

MODELS = {"detect": "yolo11n", "segment": "yolo26n-seg", "pose": "yolo11n-pose", "obb": "yolov8n-obb"}
CURVES = {"segment": ("curves_box", "curves_mask"), "pose": ("curves_box", "curves_pose")}


@pytest.mark.parametrize("task", MODELS)
def test_its_numbers_are_those_of_training(harness, task):
    options = {"class_weights_power": 0.5, "ema_decay": 0.5}
    result, _ = harness.train(task=task, model=MODELS[task], epochs=1, options=options)
    for file in ("best.pt", "last.pt"):
        found, context = harness.evaluate(task=task, file=file, batch_size=3)
        assert found.status == "completed"
        untold = ("train_", "learning_rate", "images_per_second")
        wanted = {name: value for name, value in result.metrics.items() if not name.startswith(untold)}
        assert found.metrics.keys() - {"images_per_second"} == wanted.keys()
        losses = {name for name in wanted if name.startswith("val_")}  # depend on how images are padded in their batch
        assert len(losses) > 3
        assert {name: found.metrics[name] for name in wanted.keys() - losses} == {
            name: wanted[name] for name in wanted.keys() - losses
        }
        same, _ = harness.evaluate(task=task, file=file)
        assert {name: same.metrics[name] for name in losses} == {name: wanted[name] for name in losses}
        artifacts = {event["path"]: event["kind"] for event in context.of("artifact")}
        assert artifacts == {
            "artifacts/confusion_matrix.json": "confusion_matrix", "artifacts/confusion_matrix.svg": "picture",
            "artifacts/curves.json": "curves", "artifacts/samples.png": "picture",
            **{f"artifacts/{name}.svg": "picture" for name in CURVES.get(task, ("curves",))},
        }  # fmt: skip


def test_it_can_be_stopped(harness):
    harness.train(epochs=1)
    found, _ = harness.evaluate(stop_at=1)
    assert (found.status, found.metrics) == ("stopped", {})


def test_classes_go_by_their_names(harness, make_index, tmp_path):
    harness.train(epochs=1)
    wanted, _ = harness.evaluate()
    harness.index = make_index(tmp_path / "turned", train=1, val=6, classes=("red", "green"))
    found, _ = harness.evaluate()
    assert found.metrics["val_loss"] == pytest.approx(wanted.metrics["val_loss"])
    harness.index = make_index(tmp_path / "other", train=1, val=6, classes=("red", "blue"))
    with pytest.raises(DatasetError, match="blue"):
        harness.evaluate()


def test_other_checkpoints_and_splits_are_refused(harness):
    harness.train(epochs=1)
    with pytest.raises(WeightsError, match="for the task detect"):
        harness.evaluate(task="segment")
    with pytest.raises(DatasetError, match="no images in its split test"):
        harness.evaluate(splits=("test",))


class Seer:
    """Finds exactly what it is told to, in place of a model."""

    end_to_end = False

    def __init__(self, found):
        self._found = found

    def predict(self, batch):
        rows = torch.zeros(1, 4 + 2, len(self._found))
        for place, (label, score, box) in enumerate(self._found):
            left, top, right, bottom = box
            rows[0, :4, place] = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
            rows[0, 4 + label, place] = score
        return rows, torch.tensor(2.5), {"box_loss": torch.tensor(1.5), "cls_loss": torch.tensor(1.0)}


def evaluated(found, objects):
    """The metrics where a model finds these in an image of 100 x 100 pixels, that has those objects."""
    return evaluation_of(found, objects).compute()


def evaluation_of(found, objects):
    from visiontrain_yolo.batches import ObjectBatch

    evaluation = DetectionEvaluation(
        Seer(found), ("green", "red"), torch.device("cpu"), task="detect", iou=0.7, max_det=300
    )
    boxes = torch.tensor([box for _, box in objects], dtype=torch.float32).reshape(-1, 4) / 100
    centres = torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], dim=1)
    values = {
        "img": torch.zeros(1, 3, 100, 100, dtype=torch.uint8), "im_file": ("a.png",), "bboxes": centres,
        "ori_shape": ((100, 100),), "ratio_pad": (((1.0, 1.0), (0, 0)),),
        "cls": torch.tensor([[label] for label, _ in objects], dtype=torch.float32).reshape(-1, 1),
        "batch_idx": torch.zeros(len(objects)),
    }  # fmt: skip
    evaluation.update(ObjectBatch(values))
    return evaluation


ONE, OTHER = (10, 10, 30, 30), (50, 50, 90, 90)


def test_what_is_found_and_what_is_not():
    found = evaluated([(0, 0.9, ONE), (1, 0.8, OTHER)], [(0, ONE), (1, OTHER)])
    assert (found["map50"], found["map50_95"]) == pytest.approx((0.995, 0.995))
    assert (found["val_loss"], found["val_box_loss"], found["val_cls_loss"]) == (2.5, 1.5, 1.0)
    missed = evaluated([(0, 0.9, ONE)], [(0, ONE), (1, OTHER)])
    assert missed["map50"] == pytest.approx(0.995 / 2)
    assert missed["recall/red"] == 0
    wrong = evaluated([(1, 0.9, ONE), (0, 0.8, ONE)], [(0, ONE)])
    assert wrong["map50/green"] == pytest.approx(0.995)
    assert evaluated([], [(0, ONE)])["map50"] == 0


def test_what_is_passed_over_counts_in_no_way():
    plain = evaluated([(0, 0.9, ONE)], [(0, ONE)])
    assert evaluated([(0, 0.9, ONE)], [(0, ONE), (2, OTHER)]) == plain  # missing it is no fault
    inside = (55, 55, 75, 80)
    assert evaluated([(0, 0.95, inside), (0, 0.9, ONE)], [(0, ONE), (2, OTHER)]) == plain  # finding it is none either
    assert evaluated([(0, 0.95, OTHER), (0, 0.9, ONE)], [(0, ONE)])["map50"] < plain["map50"]
    assert evaluated([(0, 0.95, inside), (0, 0.9, ONE)], [(0, ONE), (3, OTHER)])["map50"] < plain["map50"]


def test_each_object_is_found_once_at_each_threshold():
    overlap = torch.tensor([[0.97, 0.9, 0.2], [0.0, 0.6, 0.7]])
    hits = match(overlap, torch.tensor([0, 0, 0]), torch.tensor([0, 0]))
    assert hits.shape == (3, 10)
    assert hits[0].all()
    assert hits[1].tolist() == [True] * 3 + [False] * 7  # the first object is taken; the second at 0.5 to 0.6
    assert hits[2].tolist() == [False] * 3 + [True, True] + [False] * 5
    assert not match(overlap, torch.tensor([1, 1, 1]), torch.tensor([0, 0])).any()
    assert match(torch.zeros(0, 3), torch.zeros(3), torch.zeros(0)).shape == (3, 10)


def test_curves_go_with_the_metrics(tmp_path):
    evaluation = evaluation_of([(0, 0.9, ONE), (0, 0.6, OTHER), (1, 0.8, OTHER)], [(0, ONE), (1, OTHER)])
    metrics = evaluation.compute()
    evaluation.write_artifacts(tmp_path, epoch=1)
    content = json.loads((tmp_path / "curves.json").read_text())
    box = content["heads"]["box"]
    at = content["grid"].index(0.89)
    for name in ("precision_over_recall", "precision_over_confidence", "recall_over_confidence", "f1_over_confidence"):
        assert box[name]["classes"]["green"][at] == pytest.approx(1, abs=0.02)
    assert box["recall_over_confidence"]["classes"]["red"][content["grid"].index(0.85)] == 0
    assert box["precision_over_confidence"]["classes"]["green"][content["grid"].index(0.3)] == 0.5
    for name, value in box["average_precision"].items():
        assert value == pytest.approx(metrics[f"map50/{name}"], abs=1e-4)
    at = min(range(201), key=lambda number: abs(content["grid"][number] - box["best_confidence"]))
    assert box["precision_over_confidence"]["mean"][at] == pytest.approx(metrics["precision"], abs=0.02)


def test_without_objects_there_are_no_curves(tmp_path):
    evaluation = evaluation_of([(0, 0.9, ONE)], [])
    evaluation.compute()
    written = evaluation.write_artifacts(tmp_path, epoch=1)
    assert [path.name for path, _ in written] == ["confusion_matrix.json", "confusion_matrix.svg", "samples.png"]


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_objects_that_are_passed_over_do_not_change_the_loss(harness, writer, task):
    from visiontrain.datasets.objects import Object

    harness.train(task=task, model=MODELS[task], epochs=1)
    image = Image.new("RGB", (64, 64), (90, 90, 90))
    ImageDraw.Draw(image).rectangle((8, 8, 30, 30), fill=(40, 200, 60))
    image.save(writer.folder / "a.png")
    kept = harness.object_at(0, (8, 8, 31, 31))
    results = []
    for split, objects in (("val", [kept]), ("test", [harness.object_at(1, (40, 40, 60, 60), crowd=True), kept])):
        assert isinstance(kept, Object)
        writer.add(split, "a.png", (64, 64), objects)
    harness.index = writer.close()
    for split in ("val", "test"):
        found, _ = harness.evaluate(task=task, splits=(split,))
        results.append(found.metrics["val_loss"])
    assert results[0] == pytest.approx(results[1])
