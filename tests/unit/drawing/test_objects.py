from __future__ import annotations

import pytest
from PIL import Image

from visiontrain.datasets.masks import Mask
from visiontrain.drawing.objects import with_objects
from visiontrain.painting import colour_of
from visiontrain.predictions import DetectedKeypoint, DetectedObject, Prediction
from visiontrain.protocol.tasks import Task

GREY = (90, 90, 90)


def draw(*found, size=(600, 500), edges=()):
    image = Image.new("RGB", size, GREY)
    drawn = with_objects(image, Prediction(None, *size, task=Task.detect, objects=found, edges=edges))
    assert image.getcolors() == [(size[0] * size[1], GREY)]  # the image itself stays as it is
    return drawn


def thing(box=(100.0, 200.0, 300.0, 400.0), number=0, **fields):
    return DetectedObject("thing", 0.9, box, number, **fields)


def test_a_box_is_drawn_around_its_pixels():
    drawn = draw(thing())
    colour = colour_of(0)
    assert drawn.size == (600, 500)
    for inside in [(100, 300), (299, 300), (200, 399)]:
        assert drawn.getpixel(inside) == colour
    for outside in [(99, 300), (300, 300), (200, 400), (200, 300)]:
        assert drawn.getpixel(outside) == GREY


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 600.0, 500.0), (0.0, 0.0, 1.0, 1.0), (599.0, 499.0, 600.0, 500.0), (5.0, 5.0, 5.0, 5.0)]
)
def test_boxes_at_the_borders_and_empty_ones_have_their_text_in_the_image(box):
    colours = {colour for _, colour in draw(thing(box)).getcolors(1 << 20)}
    assert colour_of(0) in colours
    assert len(colours) > 5  # the text's


def test_a_class_has_a_colour_of_its_own():
    colours = [colour_of(number) for number in range(80)]
    assert colours == [colour_of(number) for number in range(80)]
    assert len(set(colours)) == 80
    for number in range(79):
        assert sum(abs(a - b) for a, b in zip(colours[number], colours[number + 1], strict=True)) > 100


def test_a_turned_box_stands_in_place_of_the_upright_one():
    drawn = draw(thing((100.0, 200.0, 300.0, 400.0), quad=(200.0, 200.0, 300.0, 300.0, 200.0, 400.0, 100.0, 300.0)))
    assert drawn.getpixel((200, 399)) == colour_of(0)
    assert drawn.getpixel((250, 350)) == colour_of(0)
    assert drawn.getpixel((299, 399)) == GREY


def test_a_mask_is_translucent_with_an_outline():
    mask = Mask.from_counts(500, 600, [200 * 500 + 100, *[200, 300] * 99, 200, 300 * 500 + 200])
    drawn = draw(thing((200.0, 100.0, 300.0, 300.0), 1, mask=mask))
    inside = drawn.getpixel((250, 200))
    assert inside not in (GREY, colour_of(1))
    assert min(abs(a - b) for a, b in zip(inside, colour_of(1), strict=True)) < 60
    assert drawn.getpixel((198, 200)) == GREY


def test_a_mask_without_a_pixel_is_none():
    assert draw(thing(mask=Mask.from_counts(500, 600, [300_000]))).getpixel((200, 300)) == GREY


def test_keypoints_that_are_seen_are_dots_with_lines_between():
    places = [(120.0, 300.0, 0.9), (220.0, 300.0, 0.5), (220.0, 380.0, 0.4)]
    points = tuple(DetectedKeypoint(str(number), *place) for number, place in enumerate(places))
    drawn = draw(thing(keypoints=points), edges=((0, 1), (1, 2)))
    colour = colour_of(0)
    assert drawn.getpixel((120, 300)) == drawn.getpixel((170, 300)) == drawn.getpixel((220, 300)) == colour
    assert drawn.getpixel((220, 340)) == drawn.getpixel((220, 380)) == GREY


@pytest.mark.parametrize("size", [(1, 1), (20, 300), (128, 128)])
def test_a_small_image_is_enlarged_with_all_that_is_drawn(size):
    mask = Mask.from_counts(size[1], size[0], [0, size[0] * size[1]])
    point = DetectedKeypoint("x", 0.5, 0.5, 1.0)
    drawn = draw(thing((0.0, 0.0, *map(float, size)), mask=mask, keypoints=(point,)), size=size)
    times = drawn.width // size[0]
    assert 1 < times <= 16
    assert drawn.size == (size[0] * times, size[1] * times)
    assert drawn.getpixel((drawn.width - 1, drawn.height - 1)) == colour_of(0)


def test_the_best_object_lies_over_the_others():
    better, worse = thing(number=0), thing(number=1)
    assert draw(better, worse).getpixel((100, 300)) == colour_of(0)
