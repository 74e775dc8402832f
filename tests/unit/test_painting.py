import pytest
from PIL import Image

from visiontrain.painting import Figure, colour_of, legible, paint

GREY, RED, BLUE = (128, 128, 128), (255, 0, 0), (0, 0, 255)


def painted(*figures, edges=(), size=(200, 100)):
    image = Image.new("RGB", size, GREY)
    paint(image, figures, edges=edges)
    return image


def test_a_box_ends_with_the_last_pixel_inside():
    image = painted(Figure("", RED, (20, 30, 60, 80)))
    assert [image.getpixel(at) for at in ((20, 30), (59, 79), (60, 80), (19, 30), (40, 50))] == [
        RED, RED, GREY, GREY, GREY,
    ]  # fmt: skip


def test_a_turned_box_stands_in_place_of_the_upright_one():
    image = painted(Figure("", RED, (20, 20, 80, 80), quad=(50, 20, 80, 50, 50, 80, 20, 50)))
    assert image.getpixel((20, 20)) == GREY
    assert image.getpixel((50, 21)) == RED
    assert image.getpixel((35, 35)) == RED


def test_a_mask_is_translucent_and_has_an_outline():
    mask = Image.new("L", (200, 100))
    mask.paste(255, (0, 40, 30, 80))  # up to the image's edge
    image = painted(Figure("", RED, (0, 40, 30, 80), mask=mask))
    inside = image.getpixel((10, 60))
    assert GREY[0] < inside[0] < 255
    assert 0 < inside[2] < GREY[2]
    plain = painted(Figure("", RED, (0, 40, 30, 80), mask=Image.new("L", (200, 100))))  # a mask of no pixel
    assert plain.getpixel((10, 60)) == GREY
    under = painted(Figure("", RED, (150, 10, 160, 20), mask=mask), Figure("", BLUE, (10, 50, 20, 70)))
    assert under.getpixel((10, 50)) == BLUE


def test_keypoints_that_are_not_painted_have_no_lines():
    points = ((40.0, 50.0), (80.0, 50.0), None)
    image = painted(Figure("", RED, (10, 10, 20, 20), keypoints=points), edges=((0, 1), (1, 2), (1, 9)))
    assert image.getpixel((60, 50)) == RED
    assert image.getpixel((40, 50)) == RED
    alone = painted(Figure("", RED, (10, 10, 20, 20), keypoints=points), edges=((0, 2),))
    assert alone.getpixel((60, 50)) == GREY


@pytest.mark.parametrize("box", [(0, 0, 50, 50), (190, 95, 200, 100), (20, 40, 60, 80), (-20, -20, 250, 150)])
def test_a_text_is_inside_of_the_image(box):
    image = painted(Figure("cat 0.93", BLUE, box))
    plain = painted(Figure("", BLUE, box))
    changed = [
        (x, y)
        for x in range(200)
        for y in range(100)
        if image.getpixel((x, y)) != plain.getpixel((x, y)) and image.getpixel((x, y)) != BLUE
    ]
    assert changed
    (left, right), (top, bottom) = ((min(one), max(one)) for one in zip(*changed, strict=True))
    assert 40 < right - left < 80  # the whole text
    assert 6 < bottom - top < 14


def test_classes_have_colours_of_their_own():
    assert len({colour_of(number) for number in range(100)}) == 100
    assert colour_of(3) == colour_of(3)


def test_names_are_legible_in_letters_that_the_font_has():
    assert legible("white cell", 3) == "white cell"
    assert legible("Größe", 3) == "#3"  # ß has no plain form
    assert legible("Äpfel", 3) == "Apfel"
    assert legible("红细胞", 7) == "#7"
    assert legible("tab\there", 7) == "#7"
