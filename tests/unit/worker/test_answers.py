from __future__ import annotations

import math
from dataclasses import replace

import pytest

from visiontrain.errors import PluginError
from visiontrain.protocol.codec import MAX_LINE, dumps
from visiontrain.protocol.inference import (
    ClassifyPrediction,
    ClassMapPrediction,
    ImagePrediction,
    ImageSource,
    KeypointPrediction,
    MaskRuns,
    ObjectPrediction,
    PredictResult,
)
from visiontrain.protocol.structure import unstructure
from visiontrain.worker import answers
from visiontrain.worker.answers import LONGEST, fitted

NUMBER = 1.2345678901234567e-300
THING = ObjectPrediction(1, NUMBER, (NUMBER,) * 4)


def sources(count):
    return tuple(ImageSource(f"/{number}.jpg") for number in range(count))


def result(*predictions):
    return PredictResult(("a", "b"), False, predictions)


def image(*found, error=None):
    return ImagePrediction(9, 9, error, objects=found)


@pytest.mark.parametrize(
    "found",
    [
        THING,
        replace(THING, label=10**6, mask=MaskRuns(10**6, 10**6, "\\" * 1000 + "o" * 1000)),
        replace(THING, keypoints=(KeypointPrediction(-NUMBER, -NUMBER, NUMBER),) * 100),
        replace(THING, quad=(-NUMBER,) * 8),
    ],
)
def test_an_object_takes_no_more_than_it_is_taken_for(found):
    taken, written = answers._size(found), len(dumps(unstructure(found)))
    assert written <= taken <= 1.5 * written


def test_an_answer_that_fits_stays_as_it_is():
    given = result(image(THING, THING), image(), ImagePrediction(error="/2.jpg: is torn"))
    assert fitted(given, sources(3)) == given


def test_of_too_many_objects_the_last_images_are_left_out():
    each = replace(THING, mask=MaskRuns(9, 9, "o" * (LONGEST // 3)))
    given = result(*[image(each)] * 5)
    found = fitted(given, sources(5))
    assert (found.predictions, found.left_out) == (given.predictions[:2], 3)
    assert len(dumps(unstructure(found))) < MAX_LINE
    rest = fitted(result(*[image(each)] * 3), sources(5)[2:])
    assert (len(rest.predictions), rest.left_out) == (2, 1)


def test_an_image_that_has_too_many_alone_has_an_error():
    each = replace(THING, mask=MaskRuns(9, 9, "o" * LONGEST))
    found = fitted(result(image(THING), image(each), image(THING)), sources(3))
    assert [prediction.error is None for prediction in found.predictions] == [True, False, True]
    assert found.predictions[1].error.startswith("/1.jpg: 1 objects are more than an answer holds")
    assert found.left_out == 0


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_predictions_than_of_images_is_left_to_the_host(count):
    assert len(fitted(result(*[image()] * count), sources(2)).predictions) == count


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda bad: image(replace(THING, score=bad)),
        lambda bad: image(replace(THING, box=(1.0, 2.0, bad, 4.0))),
        lambda bad: image(replace(THING, quad=(bad,) * 8)),
        lambda bad: image(THING, replace(THING, keypoints=(KeypointPrediction(1.0, bad, 1.0),))),
        lambda bad: ImagePrediction(9, 9, classify=ClassifyPrediction((0.5, bad))),
    ],
    ids=["score", "box", "quad", "keypoint", "probability"],
)
def test_a_number_that_is_not_finite_is_told_with_its_image(spoil, bad):
    with pytest.raises(PluginError, match=r"prediction for /1\.jpg has a number that is not finite") as caught:
        fitted(result(image(THING), spoil(bad)), sources(2))
    assert "--checkpoint last" in caught.value.instruction


def test_class_maps_that_are_too_much_for_a_line_are_left_out():
    each = ImagePrediction(9, 9, class_map=ClassMapPrediction("o" * (LONGEST // 3)))
    found = fitted(result(*[each] * 5), sources(5))
    assert (len(found.predictions), found.left_out) == (3, 2)
    assert len(dumps(unstructure(found))) < MAX_LINE


def test_a_class_map_that_no_line_holds_is_an_error_of_its_image():
    huge = ImagePrediction(9, 8, class_map=ClassMapPrediction("o" * (LONGEST + 1)))
    fine = ImagePrediction(9, 9, class_map=ClassMapPrediction("o"))
    found = fitted(result(huge, fine), sources(2))
    assert found.predictions[0].error.startswith("/0.jpg: its class map of 9 x 8 pixels is more than an answer holds")
    assert (found.predictions[1], found.left_out) == (fine, 0)
