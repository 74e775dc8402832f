from __future__ import annotations

from dataclasses import replace

import pytest

from visiontrain.datasets.masks import Mask
from visiontrain.errors import PluginError
from visiontrain.protocol.inference import (
    ClassifyPrediction,
    ClassMapPrediction,
    ImagePrediction,
    KeypointPrediction,
    MaskRuns,
    ObjectPrediction,
    PredictResult,
)
from visiontrain.protocol.tasks import Task
from visiontrain.runners.answers import read_answer
from visiontrain.worker.class_maps import class_map

RUNS = MaskRuns(3, 4, "32103")
POINTS = (KeypointPrediction(0.5, 9.0, 0.75), KeypointPrediction(-1.0, 2.0, 0.0))
QUAD = (2.0, -0.5, 3.5, 1.0, 2.0, 2.5, 0.5, 1.0)
#: What an object of each task has beside its box.
PARTS = {
    Task.detect: {},
    Task.segment: {"mask": RUNS},
    Task.pose: {"keypoints": POINTS},
    Task.obb: {"quad": QUAD},
}


def thing(task, **changes):
    return replace(ObjectPrediction(1, 0.875, (1.0, 0.0, 3.0, 2.0), **PARTS[task]), **changes)


def answer(task, *found, **changes):
    names, edges = (("head", "tail"), ((0, 1),)) if task is Task.pose else ((), ())
    predictions = (ImagePrediction(4, 3, objects=found or (thing(task),)),)
    return replace(PredictResult(("cat", "dog"), False, predictions, names, edges), **changes)


def read(given, task, images=1):
    return read_answer(given, images=images, task=task, framework="frame")


@pytest.mark.parametrize("task", PARTS)
def test_objects_get_their_names(task):
    (found,) = read(answer(task), task)
    assert (found.path, found.width, found.height, found.error, found.task) == (None, 4, 3, None, task)
    (seen,) = found.objects
    assert (seen.label, seen.class_index, seen.score, seen.box) == ("dog", 1, 0.875, (1.0, 0.0, 3.0, 2.0))
    assert seen.mask == (Mask.from_counts(3, 4, [3, 2, 1, 2, 4]) if task is Task.segment else None)
    assert seen.keypoints == ((("head", 0.5, 9.0, 0.75), ("tail", -1.0, 2.0, 0.0)) if task is Task.pose else ())
    assert found.edges == (((0, 1),) if task is Task.pose else ())
    assert seen.quad == (QUAD if task is Task.obb else None)


def test_no_object_is_an_answer_and_so_is_an_error():
    given = answer(Task.pose, predictions=(ImagePrediction(4, 3, objects=()), ImagePrediction(error="a.png: is torn")))
    empty, torn = read(given, Task.pose, images=2)
    assert (empty.objects, empty.error) == ((), None)
    assert (torn.objects, torn.error, torn.task) == ((), "a.png: is torn", Task.pose)


def test_what_was_left_out_is_no_mistake():
    assert len(read(answer(Task.detect, left_out=2), Task.detect, images=3)) == 1


detect, segment, pose, obb = PARTS


@pytest.mark.parametrize(
    ("task", "changes", "says"),
    [
        (detect, {"label": 2}, "an object of the class 2, where there are 2, counted from 0"),
        (detect, {"label": -1}, "an object of the class -1"),
        (detect, {"score": 1.5}, "an object of the score 1.5"),
        (detect, {"score": -0.1}, "an object of the score -0.1"),
        (detect, {"score": float("nan")}, "an object of the score nan"),
        (detect, {"box": (1.0, 0.0, 4.5, 2.0)}, "the box 1, 0, 4.5, 2, where .* inside of 4 x 3 pixels are due"),
        (detect, {"box": (1.0, 0.0, 3.0, 3.5)}, "the box 1, 0, 3, 3.5"),
        (detect, {"box": (-1.0, 0.0, 3.0, 2.0)}, "the box -1, 0, 3, 2"),
        (detect, {"box": (3.0, 0.0, 1.0, 2.0)}, "the box 3, 0, 1, 2"),
        (detect, {"box": (1.0, 2.0, 3.0, 0.0)}, "the box 1, 2, 3, 0"),
        (detect, {"box": (float("nan"), 0.0, 3.0, 2.0)}, "the box nan, 0, 3, 2"),
        (detect, {"mask": RUNS}, "an object with a mask for the task detect"),
        (detect, {"keypoints": POINTS}, "an object with keypoints for the task detect"),
        (detect, {"quad": QUAD}, "an object with a turned box for the task detect"),
        (segment, {"mask": None}, "an object without a mask for the task segment"),
        (segment, {"mask": MaskRuns(4, 3, "<")}, "a mask of 3 x 4 pixels for an image of 4 x 3"),
        (segment, {"mask": MaskRuns(3, 4, "9")}, "a mask that can't be read: the mask's runs add up to 9 pixels"),
        (segment, {"mask": MaskRuns(3, 4, "\xe9")}, "a mask that can't be read"),
        (pose, {"keypoints": ()}, "an object without keypoints for the task pose"),
        (pose, {"keypoints": POINTS[:1]}, "1 keypoints for 2 names"),
        (pose, {"keypoints": (POINTS[0], KeypointPrediction(1.0, 1.0, 2.0))}, "a keypoint of the score 2"),
        (obb, {"quad": None}, "an object without a turned box for the task obb"),
    ],
)
def test_an_object_that_does_not_fit_is_the_plugin_s_fault(task, changes, says):
    with pytest.raises(PluginError, match=f"^the framework frame gave {says}"):
        read(answer(task, thing(task, **changes)), task)


ONE = ImagePrediction(4, 3, objects=(thing(detect),))
SCORES = ImagePrediction(4, 3, classify=ClassifyPrediction((0.25, 0.75)))


@pytest.mark.parametrize(
    ("task", "given", "says"),
    [
        (detect, answer(detect, predictions=()), "0 predictions for 1 images"),
        (detect, answer(detect, predictions=(), left_out=1), "0 predictions for 1 images"),
        (detect, answer(detect, predictions=(ONE, ONE)), "2 predictions for 1 images"),
        (detect, answer(detect, predictions=(ONE, ONE), left_out=-1), "2 predictions for 1 images"),
        (detect, answer(detect, predictions=(SCORES,)), "probabilities for the task detect"),
        (Task.classify, answer(detect), "objects for the task classify"),
        (Task.classify, answer(detect, predictions=(replace(SCORES, objects=()),)), "objects for the task classify"),
        (detect, answer(detect, predictions=(ImagePrediction(4, 3),)), "neither objects nor an error"),
        (Task.classify, answer(detect, predictions=(ImagePrediction(4, 3),)), "neither probabilities nor an error"),
        (detect, answer(detect, predictions=(replace(ONE, objects=(), width=0),)), "an image of 0 x 3 pixels"),
        (detect, answer(detect, thing(detect, score=0.5), thing(detect)), "not in the order of their scores"),
        (pose, answer(pose, edges=((0, 2),)), "an edge between the keypoints 0 and 2 of 2"),
        (pose, answer(pose, edges=((-1, 0),)), "an edge between the keypoints -1 and 0 of 2"),
    ],
)
def test_an_answer_that_does_not_fit_is_the_plugin_s_fault(task, given, says):
    with pytest.raises(PluginError, match=f"^the framework frame gave .*{says}") as caught:
        read(given, task)
    assert caught.value.instruction == "Tell the plugin's author."


def mapped(*indices, size=(4, 3), classes=("cat", "dog"), **changes):
    given = ImagePrediction(4, 3, class_map=class_map(*size, bytes(indices or [0, 1] * 6)))
    return PredictResult(classes, False, (replace(given, **changes),))


def test_a_class_map_gets_its_names():
    (found,) = read(mapped(), Task.semantic)
    assert (found.width, found.height, found.task, found.probabilities, found.objects) == (4, 3, Task.semantic, {}, ())
    assert (found.class_map.classes, found.class_map.pixels) == (("cat", "dog"), (6, 6))
    (torn,) = read(mapped(error="a.png: is torn"), Task.semantic)
    assert (torn.class_map, torn.error, torn.task) == (None, "a.png: is torn", Task.semantic)


@pytest.mark.parametrize(
    ("given", "task", "says"),
    [
        (mapped(*[0, 1, 2] * 4), Task.semantic, "a class map with the class 2, where there are 2, counted from 0"),
        (mapped(*[0] * 12, size=(3, 4)), Task.semantic, "a class map of 3 x 4 pixels for an image of 4 x 3"),
        (mapped(class_map=ClassMapPrediction("?")), Task.semantic, "a class map that is no base64"),
        (mapped(class_map=ClassMapPrediction("AAAA")), Task.semantic, "a class map that is no grey PNG"),
        (mapped(class_map=None), Task.semantic, "neither a class map nor an error"),
        (mapped(classify=ClassifyPrediction((0.5, 0.5))), Task.semantic, "probabilities for the task semantic"),
        (mapped(objects=()), Task.semantic, "objects for the task semantic"),
        (mapped(), Task.classify, "a prediction with neither probabilities nor an error"),
        (mapped(classify=ClassifyPrediction((0.5, 0.5))), Task.classify, "a class map for the task classify"),
        (mapped(objects=()), Task.detect, "a class map for the task detect"),
    ],
)
def test_a_class_map_that_does_not_fit_is_refused(given, task, says):
    with pytest.raises(PluginError, match=f"the framework frame gave .*{says}"):
        read(given, task)
