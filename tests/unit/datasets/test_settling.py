from __future__ import annotations

import math

import pytest

from visiontrain.datasets.annotation import Annotation
from visiontrain.datasets.masks import Mask
from visiontrain.datasets.objects import Keypoint
from visiontrain.datasets.settling import Unsettled, settle
from visiontrain.protocol.tasks import Task

SQUARE = (10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0)


def settled(task=Task.detect, points=0, **fields):
    return settle(Annotation("cat", "line 1", **fields), 2, 100, 80, task=task, points=points)


def refused(task=Task.detect, points=0, **fields):
    with pytest.raises(Unsettled) as error:
        settled(task, points, **fields)
    return error.value.flaw.code, error.value.flaw.reason


def test_shares_become_pixels():
    found, flaws = settled(box=(0.1, 0.25, 0.5, 0.75), shares=True, truncated=True)
    assert (found.label, found.box, found.truncated) == (2, (10.0, 20.0, 50.0, 60.0), True)
    assert flaws == ()


@pytest.mark.parametrize(
    ("box", "code", "reason"),
    [
        ((-1.5, 0, 20, 20), "boxes-clipped", "reaches 1.50 pixels out"),
        ((10, 10, 101.99, 20), "boxes-clipped", "reaches 1.99 pixels out"),
        ((10, 10, 103, 20), "boxes-outside", "reaches 3.0 pixels out of the image: 10.0, 10.0, 103.0, 20.0"),
        ((10, -40, 30, 500), "boxes-outside", "reaches 420.0 pixels out"),
    ],
)
def test_what_reaches_out_is_cut_off_and_told(box, code, reason):
    found, (flaw,) = settled(box=box)
    x1, y1, x2, y2 = found.box
    assert 0 <= x1 < x2 <= 100
    assert 0 <= y1 < y2 <= 80
    assert flaw.code == code
    assert reason in flaw.reason


def test_an_error_of_floating_point_is_not_told():
    found, flaws = settled(box=(0.0, 0.0, 100.0000001, 80.0))
    assert (found.box, flaws) == ((0.0, 0.0, 100.0, 80.0), ())


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"box": (5, 5, 5, 9)}, "degenerate-boxes", "its box is 0 x 4 pixels"),
        ({"box": (9, 5, 5, 9)}, "degenerate-boxes", "its box is -4 x 4 pixels"),
        ({"box": (200, 5, 210, 9)}, "boxes-outside", "lies outside of the image"),
        ({"box": (-20, 5, 0, 9)}, "boxes-outside", "lies outside of the image"),
        ({"box": (math.nan, 5, 9, 9)}, "bad-annotations", "it has the number nan"),
        ({"box": (1, 5, math.inf, 9)}, "bad-annotations", "it has the number inf"),
        ({"box": (1, 5, 1e30, 9)}, "bad-annotations", "no image is as large"),
        ({}, "degenerate-boxes", "it has no box"),
        ({"mask": Mask.from_counts(80, 100, (8000,))}, "degenerate-boxes", "its mask has no pixel"),
        (
            {"mask": Mask.from_counts(100, 80, (0, 8000))},
            "bad-annotations",
            "80 x 100 pixels, and its image of 100 x 80",
        ),
    ],
)
def test_what_can_not_be_used_says_why(fields, code, reason):
    found = refused(**fields)
    assert found[0] == code
    assert reason in found[1]


def test_a_box_is_made_of_whatever_there_is():
    assert settled(polygons=(SQUARE,))[0].box == (10.0, 10.0, 30.0, 30.0)
    assert settled(quad=SQUARE)[0].box == (10.0, 10.0, 30.0, 30.0)
    assert settled(mask=Mask.from_counts(80, 100, (85, 10, 7905)))[0].box == (1.0, 5.0, 2.0, 15.0)


def test_only_what_the_task_needs_is_kept():
    everything = {"box": (10, 10, 30, 30), "polygons": (SQUARE,), "keypoints": (15, 15, 2), "quad": SQUARE}
    detect, segment, pose, obb = (
        settled(task, 1, **everything)[0] for task in (Task.detect, Task.segment, Task.pose, Task.obb)
    )
    assert (detect.polygons, detect.keypoints, detect.quad) == ((), (), None)
    assert (segment.polygons, segment.keypoints, segment.quad) == ((SQUARE,), (), None)
    assert (pose.polygons, pose.keypoints, pose.quad) == ((), (Keypoint(15, 15, 2),), None)
    assert (obb.polygons, obb.keypoints, obb.quad) == ((), (), SQUARE)


def test_outlines_are_cut_at_the_image_and_parts_without_area_left_out():
    polygons = (
        (90.0, 10.0, 110.0, 10.0, 110.0, 30.0, 90.0, 30.0),
        (1.0, 1.0, 2.0, 2.0),
        (1.0, 1.0, 2.0, 2.0, 3.0, 3.0),
    )
    found, _ = settled(Task.segment, polygons=polygons)
    (kept,) = found.polygons
    assert set(zip(kept[0::2], kept[1::2], strict=True)) == {(90, 10), (100, 10), (100, 30), (90, 30)}
    assert refused(Task.segment, polygons=((1.0, 1.0, 5.0, 5.0, 9.0, 9.0),))[0] == "degenerate-boxes"
    assert refused(Task.segment, polygons=((1.0, 1.0, 5.0, 5.0, 9.0),))[0] == "bad-annotations"


def test_an_object_to_segment_needs_an_outline_unless_it_is_a_crowd():
    assert refused(Task.segment, box=(1, 1, 9, 9))[0] == "no-outlines"
    assert settled(Task.segment, box=(1, 1, 9, 9), crowd=True)[0].crowd
    mask = Mask.from_counts(80, 100, (85, 10, 7905))
    assert settled(Task.segment, mask=mask)[0].mask == mask


def test_keypoints_outside_are_not_labelled():
    values = (50, 40, 2, 300, 40, 1, 101.5, -1, 1, 0, 0, 0)
    found, (flaw,) = settled(Task.pose, 4, box=(10, 10, 60, 60), keypoints=values)
    assert found.keypoints == (Keypoint(50, 40, 2), Keypoint(0, 0, 0), Keypoint(100, 0, 1), Keypoint(0, 0, 0))
    assert (flaw.code, flaw.reason) == ("keypoints-outside", "1 of its keypoints are outside of the image")


def test_an_object_without_keypoints_has_none_labelled():
    assert settled(Task.pose, 2, box=(1, 1, 9, 9))[0].keypoints == (Keypoint(0, 0, 0),) * 2
    assert "2 keypoints, and others have 3" in refused(Task.pose, 3, box=(1, 1, 9, 9), keypoints=(1, 1, 2, 3, 3, 2))[1]
    assert "visibility 3" in refused(Task.pose, 1, box=(1, 1, 9, 9), keypoints=(1, 1, 3))[1]


def test_a_turned_box_may_reach_out_of_the_image():
    quad = (90.0, 10.0, 105.0, 25.0, 90.0, 40.0, 75.0, 25.0)
    found, _ = settled(Task.obb, quad=quad)
    assert (found.quad, found.box) == (quad, (75.0, 10.0, 100.0, 40.0))
    assert refused(Task.obb, box=(1, 1, 9, 9))[0] == "no-quads"
    assert refused(Task.obb, box=(1, 1, 9, 9), quad=(1, 1, 5, 5, 9, 9, 5, 5))[0] == "degenerate-boxes"
