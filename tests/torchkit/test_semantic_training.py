"""All of it together: a small model learns, is evaluated as a run would be, predicts and is exported."""

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from visiontrain.errors import ExportError
from visiontrain.protocol.inference import ImageSource
from visiontrain.torchkit.data import EpochLoader, EpochSampler
from visiontrain.torchkit.evaluating import EvaluateSettings, SplitsInTurn, evaluate
from visiontrain.torchkit.exported import Description
from visiontrain.torchkit.exportformats import FORMATS
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.semantic.data import IndexedMasks, SemanticClasses
from visiontrain.torchkit.semantic.export import SemanticExport
from visiontrain.torchkit.semantic.learner import SemanticLearner
from visiontrain.torchkit.semantic.predicting import SemanticPredictor, map_images
from visiontrain.torchkit.semantic.transforms import semantic_augmentation
from visiontrain.torchkit.transforms import ImageConfig, Normalize

CPU = torch.device("cpu")
CLASSES = ("background", "red", "green", "never")


def config(mode="squash"):
    return ImageConfig((32, 32), (0.25,) * 3, (0.25,) * 3, interpolation="bilinear", crop_pct=1.0, crop_mode=mode)


def saved(tmp_path, mode="squash", classes=CLASSES):
    return SavedModel(tmp_path / "best.pt", "mine", "semantic", "net", classes, False, config(mode), {}, 3, {})


class Pixels(nn.Sequential):
    """Says the class of each half pixel by its colour."""

    def __init__(self, classes=4):
        super().__init__(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, classes, 1))


@pytest.fixture
def data(make_mask_index):
    generator = np.random.default_rng(0)
    splits = {"train": [], "val": []}
    for number in range(60):
        width, height = generator.integers(40, 80, 2)
        w, h = generator.integers(15, 30, 2)
        x, y = generator.integers(0, width - w), generator.integers(0, height - h)
        label = 1 + number % 2
        pixels, mask = np.zeros((height, width, 3), dtype=np.uint8), np.zeros((height, width), dtype=np.uint8)
        pixels[y : y + h, x : x + w, label - 1] = 255
        mask[y : y + h, x : x + w] = label
        mask[y, x : x + w] = 255
        splits["val" if number < 10 else "train"].append((pixels, mask))
    return make_mask_index(splits, CLASSES)


def images(data, split, name="none", mode="squash"):
    return IndexedMasks(data, split, semantic_augmentation(name, config(mode)), 0, train=split == "train")


@pytest.fixture
def learned(data):
    torch.manual_seed(0)
    learner = SemanticLearner(Pixels(), CLASSES, Normalize(config(), CPU), CPU)
    optimizer = torch.optim.Adam(learner.model.parameters(), 2e-2)
    order = EpochSampler(data.splits["train"], 10, 0, train=True)
    source = EpochLoader(images(data, "train", "standard"), order, workers=0, device=CPU)
    for epoch in range(12):
        for batch in source.epoch(epoch):
            optimizer.zero_grad()
            for loss in learner.losses(batch, [slice(0, 5), slice(5, len(batch))]):
                loss.backward()
            optimizer.step()
    learner.model.eval()
    return learner


@pytest.mark.parametrize("mode", ["squash", "border"])
def test_a_small_model_learns_is_evaluated_and_predicts(learned, data, tmp_path, mode):
    told = []
    context = SimpleNamespace(
        progress=lambda *_args, **_named: None,
        log=lambda *_args, **_named: None,
        stop_requested=False,
        artifacts_dir=tmp_path / "artifacts",
        artifact=lambda path, kind: told.append((path.name, kind)),
    )
    model = saved(tmp_path, mode)

    def make(split):
        return images(data, split, mode=mode)

    batches = SplitsInTurn(data, ["val"], make, batch_size=7, workers=0, device=CPU)
    result = evaluate(context, learned, batches, SemanticClasses(data, model), EvaluateSettings(CPU, "fp32", 3))
    assert result.status == "completed"
    assert result.metrics["miou"] > 0.85
    assert {"iou/red", "iou/green", "pixel_accuracy", "mean_accuracy", "val_loss", "images_per_second"} <= set(
        result.metrics
    )
    assert "iou/never" not in result.metrics
    names = dict(told)
    assert names == {
        "confusion_matrix.json": "confusion_matrix", "confusion_matrix.svg": "picture", "classes.json": "classes",
        "samples.png": "picture",
    }  # fmt: skip
    numbers = json.loads((tmp_path / "artifacts" / "classes.json").read_text())
    assert numbers["left_out_of_miou"] == ["never"]
    # Pixels of the images themselves are counted, not those that the model sees.
    whole = sum(image.width * image.height for image in data.images("val"))
    ignored = sum(int((np.asarray(Image.open(image.mask)) == 255).sum()) for image in data.images("val"))
    matrix = json.loads((tmp_path / "artifacts" / "confusion_matrix.json").read_text())
    assert matrix["counts"] == "pixels"
    assert sum(map(sum, matrix["matrix"])) == whole - ignored
    sources = [ImageSource(image.path) for image in data.images("val")] + [ImageSource(str(tmp_path / "none.png"))]
    predictor = SemanticPredictor(
        lambda pixels, _: learned.model(Normalize(config(), CPU)(pixels)), Canvas(config(mode)), CPU, "fp32"
    )
    *found, missing = map_images(sources, predictor, batch_size=4, threads=2)
    assert "none.png" in missing.error
    right = counted = 0
    for image, prediction in zip(data.images("val"), found, strict=True):
        seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(prediction.class_map.png))))
        truth = np.asarray(Image.open(image.mask))
        assert seen.shape == (prediction.height, prediction.width) == truth.shape
        right += int((seen == truth)[truth != 255].sum())
        counted += int((truth != 255).sum())
    assert right / counted == pytest.approx(result.metrics["pixel_accuracy"], abs=1e-9)


def test_more_than_256_classes_have_maps_of_16_bits(tmp_path):
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")

    def score(pixels, _):
        maps = torch.zeros(len(pixels), 300, 2, 2)
        maps[:, 299] = 1
        return maps

    predictor = SemanticPredictor(score, Canvas(config()), CPU, "fp32")
    (found,) = map_images([ImageSource(str(tmp_path / "a.png"))], predictor, batch_size=4, threads=1)
    image = Image.open(io.BytesIO(base64.b64decode(found.class_map.png)))
    assert np.asarray(image).tolist() == [[299] * 6] * 4


def test_what_is_written_gives_the_same(learned, data, tmp_path):
    task = SemanticExport(saved(tmp_path), learned.model, lambda: learned.model)
    told = task.describe()
    assert json.loads(json.dumps(told)) == told
    assert told["output"]["shape"] == ["batch", 4, 16, 16]
    written = FORMATS["torchscript"]
    path = tmp_path / written.file
    written.write(task.exportable(), torch.zeros(2, 3, 32, 32), path, Description(task, written.name, written.file, {}))
    batch = task.read([image.path for image in list(data.images("val"))[:3]])
    with torch.inference_mode():
        wanted, found = (task.reference(batch),), (written.open(path)(batch),)
    differences = task.differences(wanted, found)
    assert len(differences) == 3
    assert all(max(each.values()) < 1e-6 for each in differences)
    turned = task.differences(wanted, (wanted[0].flip(1),))
    assert all(each["class maps"] > 0.9 for each in turned)
    slightly = task.differences(wanted, (wanted[0] + 1e-5 * torch.randn_like(wanted[0]),))
    assert all(0 < each["probabilities"] < 1e-4 and each["class maps"] == 0 for each in slightly)
    broken = task.differences(wanted, (wanted[0] * float("nan"),))
    assert all(np.isnan(list(each.values())).all() for each in broken)


def test_images_with_a_border_are_refused(tmp_path):
    with pytest.raises(ExportError, match="images with a border"):
        SemanticExport(saved(tmp_path, "border"), Pixels(), Pixels)
