from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from visiontrain.cli.prediction_lines import as_json, as_text
from visiontrain.datasets.masks import Mask
from visiontrain.predictions import DetectedKeypoint, DetectedObject, Prediction
from visiontrain.protocol.codec import dumps
from visiontrain.protocol.tasks import Task
from visiontrain.semantic_maps import SemanticMap
from visiontrain.worker.class_maps import class_map

BOX = (1.0, 0.0, 3.0, 2.0)


def finds(*objects, task=Task.detect, **fields):
    return Prediction(Path("/d/a\nb.png"), 4, 3, task=task, objects=objects, **fields)


CATS = tuple(DetectedObject("cat", score, BOX, 0) for score in (0.9, 0.8))
DOG = DetectedObject("dog", 0.5, BOX, 1)


def read(prediction):
    return json.loads(dumps(as_json(prediction, 1)))


@pytest.mark.parametrize(
    ("prediction", "top", "text"),
    [
        (finds(*CATS, DOG), 2, "3 objects: 2 cat, 1 dog  cat 0.900  cat 0.800"),
        (finds(DOG), 3, "1 object: 1 dog  dog 0.500"),
        (finds(), 3, "no objects"),
        (Prediction(Path("/d/a\nb.png"), probabilities={"x": 0.25, "y": 0.75}), 1, "y 0.750"),
        (
            Prediction(Path("/d/a\nb.png"), probabilities={"x": 0.25, "y": 0.75}, multi_label=True),
            2,
            "*y 0.750  x 0.250",
        ),
    ],
)
def test_a_line_is_an_image(prediction, top, text):
    assert as_text(prediction, top) == f"/d/a\\nb.png  {text}"


def test_all_objects_are_told_whatever_is_shown():
    told = read(finds(*CATS, DOG))
    assert (told["type"], told["task"], told["width"], told["height"]) == ("prediction", "detect", 4, 3)
    assert (told["label"], told["labels"], told["probability"]) == ("cat", ["cat", "dog"], 0.9)
    assert told["counts"] == {"cat": 2, "dog": 1}
    assert len(told["objects"]) == 3
    assert told["objects"][2] == {"label": "dog", "class_index": 1, "score": 0.5, "box": [1.0, 0.0, 3.0, 2.0]}
    assert not told.keys() & {"top", "probabilities"}


def test_masks_are_as_coco_has_them():
    mask = Mask.from_counts(3, 4, [3, 2, 1, 2, 4])
    (found,) = read(finds(DetectedObject("cat", 0.9, BOX, 0, mask=mask), task=Task.segment))["objects"]
    assert found["mask"] == {"size": [3, 4], "counts": "32103"}
    assert Mask.from_text(*found["mask"]["size"], found["mask"]["counts"]) == mask


def test_keypoints_have_names_and_turned_boxes_their_corners():
    points = (DetectedKeypoint("head", 1.0, 2.0, 0.75),)
    (found,) = read(finds(DetectedObject("cat", 0.9, BOX, 0, keypoints=points), task=Task.pose))["objects"]
    assert found["keypoints"] == [{"name": "head", "x": 1.0, "y": 2.0, "score": 0.75}]
    quad = (2.0, 0.0, 3.0, 1.0, 2.0, 2.0, 1.0, 1.0)
    (found,) = read(finds(DetectedObject("cat", 0.9, BOX, 0, quad=quad), task=Task.obb))["objects"]
    assert found["quad"] == list(quad)
    assert not found.keys() & {"mask", "keypoints"}


@pytest.mark.parametrize("task", [Task.classify, Task.detect])
def test_of_an_image_that_can_not_be_read_the_error_is_told(task):
    told = read(Prediction(Path("/d/a.png"), error="/d/a.png: is torn", task=task))
    assert (told["error"], told["label"], told["labels"]) == ("/d/a.png: is torn", None, [])
    assert not told.get("objects") and not told.get("probabilities")  # noqa: PT018


def mapped(**fields):
    png = base64.b64decode(class_map(4, 3, bytes([1] * 9 + [0] * 3)).png)
    seen = SemanticMap.from_png(png, ("sky", "road", "car"))
    return Prediction(Path("/d/a.png"), 4, 3, task=Task.semantic, class_map=seen, **fields)


def test_of_a_class_map_the_largest_shares_are_told():
    assert as_text(mapped(), 1) == "/d/a.png  road 75.0%"
    assert as_text(mapped(), 3) == "/d/a.png  road 75.0%  sky 25.0%"


def test_a_class_map_is_told_whole():
    told = read(mapped())
    assert (told["task"], told["label"], told["labels"], told["probability"]) == (
        "semantic", "road", ["road", "sky"], 0.75
    )  # fmt: skip
    assert told["shares"] == {"road": 0.75, "sky": 0.25}
    assert base64.b64decode(told["class_map"]) == mapped().class_map.png
    assert not told.keys() & {"top", "probabilities", "objects", "counts"}


def test_a_class_map_of_an_image_that_can_not_be_read_is_nothing():
    told = read(Prediction(Path("/d/a.png"), task=Task.semantic, error="/d/a.png: is torn"))
    assert (told["shares"], told["class_map"], told["label"], told["error"]) == ({}, None, None, "/d/a.png: is torn")
