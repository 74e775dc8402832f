"""Predictions: what evaluation counted, of files and of pixels, one or many, and of what is no image."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from ultralytics.utils.metrics import DetMetrics, batch_probiou, box_iou
from ultralytics.utils.ops import xyxyxyxy2xywhr

from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.masks import Mask
from visiontrain.protocol.inference import ImageSource, RawPixels
from visiontrain.protocol.tasks import Task
from visiontrain_yolo import finding, predicting
from visiontrain_yolo.dataset import IndexedObjects, ObjectBatches
from visiontrain_yolo.evaluation import DetectionEvaluation, match
from visiontrain_yolo.oriented import OrientedEvaluation
from visiontrain_yolo.trainer import YoloTrainer

MODELS = {"detect": "yolo26n", "segment": "yolo11n-seg", "pose": "yolo26n-pose", "obb": "yolo11n-obb"}


def files(index, split="val"):
    return [image.path for image in DatasetIndex(index).images(split)]


def map50(predictions, images, measure):
    """Of predictions in pixels of the images, by Ultralytics' metrics."""
    metrics = DetMetrics({0: "green", 1: "red"})
    for prediction, image in zip(predictions, images, strict=True):
        labels = torch.tensor([found.label for found in image.objects], dtype=torch.float32)
        classes = torch.tensor([found.label for found in prediction.objects], dtype=torch.float32)
        shape = len(image.objects), len(prediction.objects)
        overlap = measure(image.objects, prediction.objects) if all(shape) else torch.zeros(shape)
        metrics.update_stats(
            {
                "tp": match(overlap, classes, labels), "target_cls": labels.numpy(),
                "target_img": np.unique(labels.numpy()), "pred_cls": classes.numpy(), "im_name": image.path,
                "conf": np.array([found.score for found in prediction.objects]),
            }
        )  # fmt: skip
    metrics.process(plot=False)
    return metrics.box.map50


def of_boxes(truth, found):
    return box_iou(torch.tensor([t.box for t in truth]), torch.tensor([f.box for f in found]))


def of_quads(truth, found):
    boxes = [xyxyxyxy2xywhr(np.array([o.quad for o in objects], dtype=np.float32)) for objects in (truth, found)]
    return batch_probiou(*map(torch.from_numpy, boxes))


class Painted(nn.Module):
    """In place of a detector: finds what is green, and what is red, as one object each."""

    def __init__(self, task):
        super().__init__()
        self.model, self.stride, self.task = nn.ModuleList([nn.Identity()]), torch.tensor([32.0]), task

    def forward(self, images):
        found = torch.zeros(len(images), 7 if self.task == "obb" else 6, 2)
        for number, (red, green, blue) in enumerate(images):
            for label, mask in enumerate((green > red + 0.2, red > green + 0.2)):
                rows, columns = mask.nonzero().unbind(1)
                if len(rows):
                    first = torch.stack([columns.min(), rows.min()])
                    last = torch.stack([columns.max(), rows.max()]) + 1
                    found[number, :4, label] = torch.cat([(first + last) / 2, last - first])
                    found[number, 4 + label, label] = 0.5 + blue.mean()
        return found, None

    def predict(self, batch):
        return self(batch.values["img"] / 255)[0], torch.tensor(0.0), {}

    end_to_end = False


@pytest.mark.parametrize(
    ("task", "evaluation", "measure"),
    [("detect", DetectionEvaluation, of_boxes), ("obb", OrientedEvaluation, of_quads)],
)
def test_they_are_what_evaluation_counts(harness, monkeypatch, task, evaluation, measure):
    harness.untrained(task, MODELS[task])
    painted = Painted(task)
    saved, _ = predicting.load(str(harness.path()), task)
    monkeypatch.setattr(predicting, "load", lambda *_: (saved, painted))
    counted = evaluation(painted, ("green", "red"), torch.device("cpu"), task=task, iou=0.7, max_det=300)
    data = DatasetIndex(harness.index)
    batches = ObjectBatches(IndexedObjects(data, "train", Task(task), image_size=64, stride=32))
    for position in range(14):
        counted.update(batches[[(0, position)]])
    images = list(data.images("train"))
    result = harness.predict([image.path for image in images], task=task, confidence=0.001)
    assert [(p.width, p.height) for p in result.predictions] == [(i.width, i.height) for i in images]
    wanted = counted.compute()["map50"]
    assert 0.2 < wanted < 0.99
    assert map50(result.predictions, images, measure) == pytest.approx(wanted, abs=1e-6)
    for prediction, image in zip(result.predictions, images, strict=True):
        if len(image.objects) == 1:
            (found,), (truth,) = prediction.objects, image.objects
            assert found.label == truth.label
            # A pixel of the smaller image is more than one of the image itself.
            assert found.box == pytest.approx(truth.box, abs=1)


def alike(one, other, rounding=1e-3):
    """Whether two predictions tell of the same objects; those of the same score may come in another order."""
    assert (one.width, one.height, len(one.objects)) == (other.width, other.height, len(other.objects))
    left = list(other.objects)
    for found in one.objects:
        nearest = min(left, key=lambda o: abs(o.score - found.score) + max(map(abs, np.subtract(o.box, found.box))))
        left.remove(nearest)
        assert nearest.label == found.label
        assert nearest.score == pytest.approx(found.score, abs=rounding)
        assert nearest.box == pytest.approx(found.box, abs=100 * rounding)
        assert (nearest.mask is None, nearest.quad is None, len(nearest.keypoints)) == (
            found.mask is None,
            found.quad is None,
            len(found.keypoints),
        )


@pytest.mark.parametrize("options", [{}, {"nms": False}])
@pytest.mark.parametrize("task", MODELS)
def test_an_image_has_the_same_objects_whatever_is_asked_for_beside_it(harness, task, options):
    model = MODELS[task].replace("yolo11", "yolo26") if options else MODELS[task]
    harness.untrained(task, model)
    paths, trainer = files(harness.index), YoloTrainer()

    def ask(images, **changes):
        return harness.predict(images, task=task, trainer=trainer, options={**options, "max_det": 20}, **changes)

    together = ask(paths, confidence=0.01)
    assert sum(len(p.objects) for p in together.predictions) > 20
    for path, one in zip(paths, together.predictions, strict=True):
        alike(ask([path], confidence=0.01).predictions[0], one)
    names, edges = (("first", "last"), ((0, 1),)) if task == "pose" else ((), ())
    assert (together.keypoints, together.edges) == (names, edges)
    for prediction in together.predictions:
        scores = [found.score for found in prediction.objects]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) <= 20
        for found in prediction.objects:
            left, top, right, bottom = found.box
            assert 0 <= left < right <= prediction.width
            assert 0 <= top < bottom <= prediction.height
            assert (len(found.keypoints) == 2) == (task == "pose")
            assert (found.quad is not None) == (task == "obb")
            assert (found.mask is not None) == (task == "segment")
            if found.mask is not None:
                mask = Mask.from_text(prediction.height, prediction.width, found.mask.data)
                x1, y1, x2, y2 = mask.box() or found.box
                assert left - 0.5 <= x1
                assert top - 0.5 <= y1
                assert x2 <= right + 0.5
                assert y2 <= bottom + 0.5
    sure = ask(paths, confidence=0.2)
    kept = [[f.score for f in p.objects if f.score >= 0.2] for p in together.predictions]
    assert [[f.score for f in p.objects] for p in sure.predictions] == [pytest.approx(each, abs=1e-3) for each in kept]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16", "CMYK"])
def test_pixels_in_a_file_give_what_the_image_itself_gives(harness, tmp_path, mode):
    harness.untrained("detect", "yolo11n")
    with Image.open(files(harness.index)[1]) as image:
        other = image.convert("RGB").resize((50, 40))
    if mode == "I;16":
        grey = other.convert("L")
        other = Image.frombytes("I;16", grey.size, b"".join(bytes((v, v)) for v in grey.tobytes()))
    else:
        other = other.convert(mode)
    other.save(tmp_path / "image.tif")
    (tmp_path / "pixels.raw").write_bytes(b"\1" * 13 + other.tobytes())
    source = ImageSource(str(tmp_path / "pixels.raw"), RawPixels(mode, 50, 40, 13))
    file, raw = harness.predict([tmp_path / "image.tif", source], confidence=0.01).predictions
    assert file.error is None
    assert file.objects
    alike(raw, file)


def test_an_image_is_taken_as_it_is_shown(harness, tmp_path):
    harness.untrained("detect", "yolo11n")
    with Image.open(files(harness.index)[1]) as image:
        wide = image.convert("RGB").resize((60, 40))
    wide.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    wide.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    upright, shown = harness.predict([tmp_path / "upright.png", tmp_path / "turned.png"], confidence=0.01).predictions
    assert (shown.width, shown.height) == (60, 40)
    assert upright.objects
    alike(shown, upright)


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_what_is_no_image_says_why_and_the_others_go_on(harness, tmp_path, task):
    harness.untrained(task, "yolo11n-cls" if task == "classify" else "yolo11n")
    (tmp_path / "notes.jpg").write_text("no image")
    good = files(harness.index)
    asked = [tmp_path / "absent.jpg", *good[:3], tmp_path / "notes.jpg", *good[3:]]
    found = harness.predict(asked, task=task, options={"workers": 2}).predictions
    assert [p.error is not None for p in found] == [True, False, False, False, True, False, False, False]
    for path, prediction in zip(asked, found, strict=True):
        assert prediction.error is None or str(path) in prediction.error
        told = prediction.classify if task == "classify" else prediction.objects
        assert (told is None) == (prediction.error is not None)
    if task == "classify":
        assert sum(found[1].classify.probabilities) == pytest.approx(1)


def test_memory_that_is_too_small_for_a_batch_is_used_in_parts(harness, monkeypatch):
    harness.untrained("detect", "yolo11n")
    paths = files(harness.index)
    wanted = harness.predict(paths, confidence=0.01).predictions
    sizes = []

    def select(found, **options):
        sizes.append(len(found))
        if len(found) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(found, **options)

    original = finding.select
    monkeypatch.setattr(finding, "select", select)
    trainer = YoloTrainer()
    for one, other in zip(harness.predict(paths, confidence=0.01, trainer=trainer).predictions, wanted, strict=True):
        alike(one, other)
    assert max(sizes) > 1
    sizes.clear()
    harness.predict(paths, confidence=0.01, trainer=trainer)
    assert max(sizes) == 1


def test_the_model_is_loaded_once_for_as_long_as_the_same_is_asked_for(harness, monkeypatch):
    harness.untrained("detect", "yolo26n")
    loads = []
    monkeypatch.setattr(predicting, "load", lambda *a, original=predicting.load: loads.append(a) or original(*a))
    trainer, paths = YoloTrainer(), files(harness.index)[:2]
    harness.predict(paths, trainer=trainer)
    harness.predict(paths, trainer=trainer, confidence=0.5, options={"iou": 0.3})
    assert len(loads) == 1
    harness.predict(paths, trainer=trainer, options={"nms": False})
    harness.untrained("detect", "yolo26n", seed=1)
    harness.predict(paths, trainer=trainer, options={"nms": False})
    assert len(loads) == 3
