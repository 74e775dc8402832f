from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageOps

from visiontrain.datasets import index
from visiontrain.datasets.samples import make_sample
from visiontrain.datasets.writer import index_dataset
from visiontrain.predictions import DetectedObject, Prediction
from visiontrain.protocol.tasks import Task
from visiontrain.semantic_maps import SemanticMap
from visiontrain.testing.checks.pictures import differing, make_pictures, pixel_accuracy
from visiontrain.worker.class_maps import class_map

FOUND = tuple(
    DetectedObject("cat", score, (10.0 * number, 0.0, 10.0 * number + 8, 8.0), 0)
    for number, score in enumerate((0.9, 0.7, 0.5))
)


def seen(*objects, width=50, error=None):
    return Prediction(None, width, 20, task=Task.detect, objects=objects, error=error)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.png"
    Image.effect_noise((48, 48), 40).convert("RGB").save(path)
    return index.Image(str(path), 48, 48, None)


@pytest.mark.parametrize(("suffix", "far"), [("png", 0), ("jpg", 12)])
def test_a_picture_that_is_stored_on_its_side_is_shown_as_the_upright_one(image, tmp_path, suffix, far):
    made = make_pictures((image,), tmp_path, suffix)
    with Image.open(made.upright) as upright, Image.open(made.turned) as turned:
        assert (upright.size, turned.size) == ((48, 36), (36, 48))
        shown = ImageOps.exif_transpose(turned)
        assert shown.size == upright.size
        assert max(high for _, high in ImageChops.difference(upright, shown).getextrema()) <= far
    assert all(path.is_file() for path in made.others)


def test_pixels_alone_can_not_be_stored_on_their_side(image, tmp_path):
    assert make_pictures((image,), tmp_path, "ppm").turned is None


def test_the_same_picture_is_shown_in_many_ways(image, tmp_path):
    asked = []

    def predict(images, **options):
        asked.append((images, options))
        return [seen(*FOUND)] * (len(images) if isinstance(images, list) else 1)

    pictures = make_pictures((image,), tmp_path, "png")
    assert set(pictures.seen(predict)) == {"alone", "among others", "pixels", "turned", "confident"}
    assert len({Path(path) for path in asked[1][0]}) == 3
    assert asked[-1][1] == {"confidence": 0.7}


@pytest.mark.parametrize(
    "other",
    [
        FOUND,
        (FOUND[1], FOUND[0], FOUND[2]),  # nearly the same score: another order
        tuple(replace(found, score=found.score - 0.02) for found in FOUND),
        tuple(replace(found, box=(found.box[0] + 0.5, *found.box[1:])) for found in FOUND),
    ],
)
def test_what_rounding_changes_is_the_same(other):
    assert differing(seen(*FOUND), seen(*other)) is None


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (seen(*FOUND, width=20), "one is 50 x 20 pixels, the other one 20 x 20"),
        (seen(error="it is torn"), "can't be read: it is torn"),
        (seen(), "has no equal among"),
        (seen(*FOUND, replace(FOUND[2], box=(40.0, 0.0, 48.0, 8.0))), None),  # a fourth is not looked at
        (seen(replace(FOUND[0], label="dog"), *FOUND[1:]), "DetectedObject cat 0.900"),
        (seen(replace(FOUND[0], score=0.8), *FOUND[1:]), "DetectedObject cat 0.900"),
        (seen(replace(FOUND[0], box=(0.0, 10.0, 8.0, 18.0)), *FOUND[1:]), "DetectedObject cat 0.900"),
    ],
)
def test_what_is_another_picture_is_told(other, says):
    found = differing(seen(*FOUND), other)
    assert found is None if says is None else says in found


def mapped(*indices, width=5, high=20):
    png = base64.b64decode(class_map(width, high, bytes(indices)).png)
    found = SemanticMap.from_png(png, ("sky", "road", "car"))
    return Prediction(None, width, high, task=Task.semantic, class_map=found)


@pytest.mark.parametrize(
    ("other", "turned", "says"),
    [
        (mapped(*[0] * 50, *[1] * 50), False, None),
        (mapped(*[0] * 48, *[1] * 52), False, None),  # as rounding moves a border
        (mapped(*[0] * 45, *[1] * 55), False, "5.0% of the pixels are of another class"),
        (mapped(*[0] * 45, *[1] * 55), True, None),
        (mapped(*[0] * 30, *[1] * 70), True, "20.0% of the pixels"),
        (mapped(*[0] * 50, *[1] * 50, width=20, high=5), False, "one is 5 x 20 pixels, the other one 20 x 5"),
    ],
)
def test_class_maps_of_one_picture_agree_in_nearly_all_pixels(other, turned, says):
    found = differing(mapped(*[0] * 50, *[1] * 50), other, turned=turned)
    assert found == says if says is None else says in found


def test_how_many_pixels_are_predicted_rightly(tmp_path):
    root = make_sample("regions", tmp_path / "data", images_per_class={"train": 1, "val": 1}, image_size=32)
    data = index.DatasetIndex(index_dataset(root, folder=tmp_path / "home").path)
    images = tuple(data.images("val"))
    found = []
    for image in images:
        with Image.open(image.mask) as mask:
            right = bytes(value if value < 6 else 3 for value in mask.tobytes())
        png = base64.b64decode(class_map(32, 32, right).png)
        found.append(Prediction(None, 32, 32, task=Task.semantic, class_map=SemanticMap.from_png(png, data.classes)))
    assert pixel_accuracy(data, images, found) == 1
    background = SemanticMap.from_png(base64.b64decode(class_map(32, 32, bytes(1024)).png), data.classes)
    found = [replace(each, class_map=background) for each in found]
    share = data.class_pixels["val"][0] / sum(data.class_pixels["val"])
    assert pixel_accuracy(data, images, found) == pytest.approx(share)
