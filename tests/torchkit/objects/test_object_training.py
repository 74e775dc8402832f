"""All of it together: a small detector learns, is evaluated as a run would be, and predicts."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from visiontrain.datasets.objects import Object
from visiontrain.protocol.inference import ImageSource
from visiontrain.torchkit.data import EpochLoader, EpochSampler
from visiontrain.torchkit.evaluating import EvaluateSettings, SplitsInTurn, evaluate
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_data import IndexedObjects, ObjectClasses
from visiontrain.torchkit.object_evaluation import Findings, ObjectEvaluation
from visiontrain.torchkit.object_found import FoundObjects
from visiontrain.torchkit.object_predicting import ObjectPredictor, find_in_images
from visiontrain.torchkit.object_transforms import object_augmentation
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.transforms import ImageConfig, Normalize

CPU = torch.device("cpu")
CONFIG = ImageConfig((32, 32), (0.25,) * 3, (0.25,) * 3, interpolation="bilinear", crop_pct=1.0, crop_mode="squash")
CLASSES = ("red", "green")


class OneBox(nn.Module):
    """Says one box an image, and its class, of how bright rows and columns are."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(192, 128), nn.ReLU(), nn.Linear(128, 4 + len(CLASSES)))

    def forward(self, images):
        profile = torch.cat([images.mean(2), images.mean(3)], dim=2).flatten(1)
        found = self.layers(profile)
        return found[:, :4].sigmoid(), found[:, 4:]


class Learner:
    """As a plugin has one."""

    def __init__(self, model):
        self.model, self.normalize = model, Normalize(CONFIG, CPU)

    def losses(self, batch, parts):
        for part in parts:
            yield self.loss(batch.part(part))[0] * (part.stop - part.start) / len(batch)

    def loss(self, batch):
        boxes, classes = self.model(self.normalize(batch.pixels))
        first = [sum(batch.objects.counts[:number]) for number, count in enumerate(batch.objects.counts) if count]
        some = [number for number, count in enumerate(batch.objects.counts) if count]
        box = functional.l1_loss(boxes[some], batch.objects.boxes[first])
        label = functional.cross_entropy(classes[some], batch.objects.labels[first])
        return box * 10 + label, {"box_loss": box, "cls_loss": label}

    def find(self, batch):
        loss, parts = self.loss(batch)
        return Findings(self.say(batch.pixels, batch.extents), loss, parts)

    def say(self, pixels, _extents):
        boxes, classes = self.model(self.normalize(pixels))
        scores, labels = classes.softmax(1).max(1)
        return [FoundObjects(s[None], c[None], b[None]) for s, c, b in zip(scores, labels, boxes, strict=True)]

    def evaluation(self):
        return ObjectEvaluation(self, CLASSES, CPU, masks=False)


@pytest.fixture
def data(tmp_path, make_object_index):
    generator = np.random.default_rng(0)
    splits = {"train": [], "val": []}
    for number in range(150):
        width, height = generator.integers(40, 80, 2)
        w, h = generator.integers(15, 30, 2)
        x, y = generator.integers(0, width - w), generator.integers(0, height - h)
        label = number % 2
        pixels = np.zeros((height, width, 3), dtype=np.uint8)
        pixels[y : y + h, x : x + w, label] = 255
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(path)
        found = Object(label, (float(x), float(y), float(x + w), float(y + h)))
        splits["val" if number < 30 else "train"].append((path, [found]))
    return make_object_index(splits, CLASSES)


def images(data, split, name="none"):
    transform = object_augmentation(name, CONFIG)
    return IndexedObjects(data, split, transform, 0, masks=False, train=split == "train")


def test_a_small_detector_learns_is_evaluated_and_predicts(data, tmp_path):
    torch.manual_seed(0)
    learner = Learner(OneBox())
    optimizer = torch.optim.Adam(learner.model.parameters(), 3e-3)
    order = EpochSampler(data.splits["train"], 30, 0, train=True)
    source = EpochLoader(images(data, "train", "light"), order, workers=0, device=CPU)
    for epoch in range(80):
        for batch in source.epoch(epoch):
            optimizer.zero_grad()
            for loss in learner.losses(batch, [slice(0, 10), slice(10, len(batch))]):
                loss.backward()
            optimizer.step()
    told = []
    context = SimpleNamespace(
        progress=lambda *_args, **_named: None,
        log=lambda *_args, **_named: None,
        stop_requested=False,
        artifacts_dir=tmp_path / "artifacts",
        artifact=lambda path, kind: told.append((path.name, kind)),
    )
    saved = SavedModel(tmp_path / "best.pt", "mine", "detect", "net", CLASSES, False, CONFIG, {}, 1, {})
    batches = SplitsInTurn(data, ["val"], lambda split: images(data, split), batch_size=7, workers=0, device=CPU)
    settings = EvaluateSettings(CPU, "fp32", 1)
    result = evaluate(context, learner, batches, ObjectClasses(data, saved), settings)
    assert result.status == "completed"
    assert result.metrics["map50"] > 0.8
    assert result.metrics["val_box_loss"] < 0.05
    assert {"map50_95/red", "map50_95/green", "images_per_second"} <= set(result.metrics)
    assert ("curves.json", "curves") in told
    chosen = data.image("val", 3)
    predictor = ObjectPredictor(learner.say, Canvas(CONFIG), CPU, "fp32")
    (found,) = find_in_images([ImageSource(chosen.path)], predictor, confidence=0.5, limit=10, batch_size=1, threads=1)
    (one,) = found.objects
    assert one.label == chosen.objects[0].label
    assert np.abs(np.array(one.box) - chosen.objects[0].box).max() < 8
