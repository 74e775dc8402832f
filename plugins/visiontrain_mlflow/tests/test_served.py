"""What lies beside an exported model is enough to say what is in an image: no MLflow, no model, numbers by hand."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from visiontrain_served.grids import class_map, grid_pixels
from visiontrain_served.images import Seen, read_image, see_cropped, see_whole
from visiontrain_served.objects import find_objects

NORMALISED = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.5], "interpolation": "bilinear", "crop_pct": 1.0}


def encoded(image, **options):
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def seen(*, image=(8, 4), model=(8, 8), first=(0, 2), scale=(1.0, 1.0)):
    return Seen(np.zeros((model[1], model[0], 3)), image, first, scale)


def told(task="detect", *, iou=None, **more):
    suppression = None if iou is None else {"iou": iou, "max_det": 2}
    return {"task": task, "classes": ["cat", "dog"], "suppression": suppression, **more}


def test_bytes_and_base64_are_read_over_white_and_the_right_way_up():
    image = Image.new("RGBA", (2, 4), (255, 0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    content = encoded(image, exif=exif)
    for given in (content, base64.b64encode(content).decode()):
        found = read_image(0, given)
        assert (found.size, found.mode, found.getpixel((0, 0))) == ((4, 2), "RGB", (255, 255, 255))


@pytest.mark.parametrize("given", [b"no image", "no base64!", b""])
def test_what_is_no_image_is_named_by_its_number(given):
    with pytest.raises(ValueError, match="image 3 can't be read"):
        read_image(3, given)


@pytest.mark.parametrize(("mode", "value"), [("center", 1.0), ("squash", 1.0), ("border", 0.0)])
def test_a_classifier_s_image_is_cropped_as_its_preprocessing_says(mode, value):
    white = Image.new("RGB", (40, 10), "white")
    pixels = see_cropped(white, {**NORMALISED, "size": [8, 8], "crop_mode": mode})
    assert pixels.shape == (8, 8, 3)
    assert pixels[0, 0] == pytest.approx([value, 2 * value, value], abs=0.02)
    assert pixels[4, 4] == pytest.approx([1, 2, 1])


def test_an_image_that_is_a_line_takes_no_gigabytes():
    assert see_cropped(Image.new("RGB", (60_000, 1)), {**NORMALISED, "size": [64, 64], "crop_mode": "center"}).any()


def test_whole_images_fill_the_input_or_lie_in_a_border():
    white = Image.new("RGB", (16, 8), "white")
    filled = see_whole(white, {**NORMALISED, "size": [4, 8], "crop_mode": "squash"})
    assert (filled.scale, filled.first) == ((0.5, 0.5), (0, 0))
    assert filled.pixels[0, 0] == pytest.approx([1, 2, 1])
    bordered = see_whole(white, {"size": [8, 8], "border": 51})
    assert (bordered.scale, bordered.first) == ((0.5, 0.5), (0, 2))
    assert bordered.pixels[[0, 4], 0, 0] == pytest.approx([0.2, 1])
    assert bordered.to_image(np.array([0.0, 2.0])).tolist() == [0, 0]


def test_boxes_come_back_to_the_image_the_best_first_and_cut_at_its_edges():
    boxes = np.array([[0.0, 0, 4, 4], [2, 2, 20, 20], [0, 0, 8, 1]])
    found = {"boxes": boxes, "scores": np.array([0.5, 0.9, 0.8]), "labels": np.array([0, 1, 1])}
    best, other = find_objects(told(), found, seen(), 0.25)  # the third one is in the border alone
    assert (best["label"], best["label_id"], best["confidence"]) == ("dog", 1, 0.9)
    assert [best[side] for side in ("x1", "y1", "x2", "y2")] == [2, 0, 8, 4]
    assert [other[side] for side in ("x1", "y1", "x2", "y2")] == [0, 0, 4, 2]
    assert find_objects(told(), found, seen(), 0.95) == []


def test_of_boxes_of_a_class_that_overlap_the_best_is_kept_and_no_more_than_so_many():
    boxes = np.array([[0.0, 2, 4, 6], [0, 2, 4, 5.5], [0, 2, 4, 6], [5, 2, 7, 6], [7, 2, 8, 6]])
    scores = np.array([[0.9, 0], [0.8, 0], [0, 0.7], [0.6, 0], [0.5, 0]])
    found = find_objects(told(iou=0.6), {"boxes": boxes, "scores": scores}, seen(), 0.25)
    assert [(each["label"], each["confidence"]) for each in found] == [("cat", 0.9), ("dog", 0.7)]


def test_turned_boxes_have_their_corners_and_are_told_apart_by_their_angle():
    right = math.pi / 2
    boxes = np.array([[4.0, 4, 4, 1, 0.0], [4, 4, 4, 1.1, 0], [4, 4, 4, 1, right]])
    found = {"boxes": boxes, "scores": np.array([[0.9, 0], [0.8, 0], [0.7, 0]])}
    flat, turned = find_objects(told("obb", iou=0.7), found, seen(), 0.25)
    assert sorted(map(tuple, flat["corners"])) == [(2, 1.5), (2, 2.5), (6, 1.5), (6, 2.5)]
    assert [turned[side] for side in ("x1", "y1", "x2", "y2")] == pytest.approx([3.5, 0, 4.5, 4])


def test_masks_of_prototypes_lie_within_their_boxes_and_those_of_grids_where_they_are_above_zero():
    prototypes = np.ones((1, 2, 2), dtype=np.float32)
    found = {"boxes": np.array([[1.0, 3, 3, 5]]), "scores": np.array([0.9]), "labels": np.array([0])}
    (mixed,) = find_objects(
        told("segment"), {**found, "coefficients": np.ones((1, 1)), "prototypes": prototypes}, seen(), 0
    )
    mask = decoded(mixed["mask"])
    assert mask.shape == (4, 8)
    assert np.argwhere(mask == 255).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    grid = np.full((1, 8, 8), -1.0, dtype=np.float32)
    grid[0, 3:5, 1:3] = 1
    (drawn,) = find_objects(told("segment"), {**found, "masks": grid}, seen(), 0)
    assert (decoded(drawn["mask"]) == mask).all()


def test_keypoints_have_names():
    found = {"boxes": np.array([[0.0, 2, 4, 6]]), "scores": np.array([0.9]), "labels": np.array([0])}
    found["keypoints"] = np.array([[[1.0, 3, 0.5], [2, 9, 0.25]]])
    (pose,) = find_objects(told("pose", skeleton={"names": ["nose", "tail"]}), found, seen(), 0)
    assert pose["keypoints"] == [
        {"name": "nose", "x": 1, "y": 1, "confidence": 0.5},
        {"name": "tail", "x": 2, "y": 4, "confidence": 0.25},
    ]


def test_a_class_map_has_the_image_s_size_and_the_shares_add_up():
    scores = np.zeros((2, 2, 2), dtype=np.float32)
    scores[1, :, 1] = 1
    scores[0, :, 0] = 1
    found = class_map(scores, seen(image=(8, 4), first=(0, 0), scale=(1, 2)), ["sky", "sea"])
    assert decoded(found["class_map"]).tolist() == [[0] * 4 + [1] * 4] * 4
    assert found["shares"] == {"sky": 0.5, "sea": 0.5}


def test_more_classes_than_a_byte_holds_take_two():
    scores = np.zeros((300, 1, 1), dtype=np.float32)
    scores[299] = 1
    found = class_map(scores, seen(image=(3, 2), first=(0, 0), scale=(1, 1)), [str(number) for number in range(300)])
    assert decoded(found["class_map"]).tolist() == [[299] * 3] * 2
    assert (found["label"], found["shares"]) == ("299", {"299": 1.0})


def test_grids_are_interpolated_between_the_middles_of_their_cells():
    grid = np.array([[0.0, 1.0]], dtype=np.float32)
    pixels = grid_pixels(grid, seen(first=(0, 0)), range(1), range(8))
    assert pixels[0].tolist() == pytest.approx([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])
