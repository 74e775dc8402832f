from __future__ import annotations

import base64
from pathlib import Path

import pytest

from visiontrain.datasets.masks import Mask
from visiontrain.predictions import DetectedKeypoint, DetectedObject, Prediction
from visiontrain.protocol.tasks import Task
from visiontrain.semantic_maps import SemanticMap
from visiontrain.worker.class_maps import class_map

SEEN = {"ant": 0.1, "bee": 0.6, "cat": 0.3}
BOX = (1.0, 2.0, 3.0, 4.5)
OBJECTS = tuple(
    DetectedObject(label, score, BOX, number)
    for label, score, number in [("dog", 0.9, 1), ("cat", 0.8, 0), ("dog", 0.4, 1)]
)


def test_the_most_probable_is_the_label():
    found = Prediction(Path("a.jpg"), 4, 3, SEEN)
    assert (found.label, found.probability) == ("bee", 0.6)
    assert found.labels == ("bee",)
    assert found.top(2) == [("bee", 0.6), ("cat", 0.3)]
    assert found.top(2)[0].label == "bee"
    assert len(found.top5) == 3


def test_of_two_that_are_equal_the_first_class_is_it():
    assert Prediction(None, probabilities={"b": 0.5, "a": 0.5}).label == "b"


@pytest.mark.parametrize(("seen", "labels"), [(SEEN, ("bee",)), ({"a": 0.5, "b": 0.9}, ("a", "b")), ({"a": 0.4}, ())])
def test_of_several_labels_all_from_a_half_on_are_there(seen, labels):
    assert Prediction(None, probabilities=seen, multi_label=True).labels == labels


def test_of_an_image_that_can_not_be_read_nothing_is_known():
    found = Prediction(Path("a.jpg"), error="a.jpg: is no image")
    assert (found.label, found.probability, found.labels, found.top5) == (None, None, (), [])


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (Prediction(Path("a.jpg"), probabilities=SEEN), "<Prediction of a.jpg: bee 0.600>"),
        (
            Prediction(None, probabilities={"a": 0.5, "b": 0.9}, multi_label=True),
            "<Prediction of pixels: a 0.500, b 0.900>",
        ),
        (Prediction(None, probabilities={"a": 0.4}, multi_label=True), "<Prediction of pixels: no label>"),
        (Prediction(Path("a.jpg"), error="a.jpg: is no image"), "<Prediction: a.jpg: is no image>"),
        (Prediction(Path("a.jpg"), task=Task.detect, objects=OBJECTS), "<Prediction of a.jpg: 2 dog, 1 cat>"),
        (Prediction(None, task=Task.obb), "<Prediction of pixels: no object>"),
    ],
    ids=["one label", "several", "none of several", "unreadable", "objects", "no objects"],
)
def test_printed_it_says_what_was_found(found, shown):
    assert repr(found) == shown


def test_of_objects_the_labels_are_their_classes_with_the_best_score_of_each():
    found = Prediction(Path("a.jpg"), 4, 5, task=Task.detect, objects=OBJECTS)
    assert found.finds_objects
    assert (found.label, found.probability) == ("dog", 0.9)
    assert found.labels == ("dog", "cat")
    assert found.top5 == [("dog", 0.9), ("cat", 0.8)]
    assert found.top(1) == [("dog", 0.9)]
    assert found.counts == {"dog": 2, "cat": 1}
    assert found.probabilities == {}


def test_without_objects_there_is_no_label():
    found = Prediction(None, 4, 5, task=Task.segment)
    assert (found.label, found.probability, found.labels, found.top5, found.counts) == (None, None, (), [], {})


def test_a_classifier_finds_no_objects():
    found = Prediction(None, probabilities=SEEN)
    assert (found.finds_objects, found.task, found.objects, found.counts) == (False, Task.classify, (), {})


def test_an_object_says_what_and_where_it_is():
    assert repr(OBJECTS[0]) == "<DetectedObject dog 0.900 at 1.0, 2.0, 3.0, 4.5>"
    assert DetectedKeypoint("nose", 1, 2, 0.5).name == "nose"


def test_a_mask_is_an_image_of_the_image_s_size():
    mask = Mask.from_counts(3, 4, [3, 2, 1, 2, 4])  # rows 0 and 1 of the columns 1 and 2
    image = DetectedObject("dog", 0.9, BOX, 1, mask=mask).mask_image()
    assert (image.mode, image.size, image.getbbox()) == ("L", (4, 3), (1, 0, 3, 2))
    assert image.getcolors() == [(8, 0), (4, 255)]
    assert OBJECTS[0].mask_image() is None


def test_of_a_class_map_the_shares_rank_the_labels():
    png = base64.b64decode(class_map(2, 2, bytes([2, 2, 0, 2])).png)
    seen = SemanticMap.from_png(png, ("sky", "road", "car"))
    found = Prediction(Path("a.jpg"), 2, 2, task=Task.semantic, class_map=seen)
    assert (found.label, found.probability, found.labels) == ("car", 0.75, ("car", "sky"))
    assert found.top(1) == [("car", 0.75)]
    assert not found.finds_objects
    assert repr(found) == "<Prediction of a.jpg: car 0.750, sky 0.250>"
