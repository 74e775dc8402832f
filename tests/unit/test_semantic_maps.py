from __future__ import annotations

import base64
import io
from array import array

import pytest
from PIL import Image

from visiontrain.painting import colour_of
from visiontrain.semantic_maps import SemanticMap
from visiontrain.worker.class_maps import class_map

CLASSES = ("background", "road", "car")
INDICES = bytes([1, 1, 1, 0, 2, 1])


def png_of(indices=INDICES, size=(3, 2), bits=8):
    return base64.b64decode(class_map(*size, indices, bits=bits).png)


def wide(*numbers, size, classes=300):
    png = png_of(array("H", numbers).tobytes(), size, 16)
    return SemanticMap.from_png(png, tuple(f"class {number}" for number in range(classes)))


def test_pixels_are_counted():
    found = SemanticMap.from_png(png_of(), CLASSES)
    assert (found.width, found.height, found.pixels) == (3, 2, (1, 4, 1))
    assert list(found.shares.items()) == [("road", 4 / 6), ("background", 1 / 6), ("car", 1 / 6)]
    assert found.image().tobytes() == INDICES
    assert found.mask("car").tobytes() == bytes([0, 0, 0, 0, 255, 0])
    assert repr(found) == "<SemanticMap of 3 x 2 pixels: road 66.7%, background 16.7%, car 16.7%>"


def test_a_class_without_pixels_has_no_share_and_an_empty_mask():
    found = SemanticMap.from_png(png_of(bytes(6)), CLASSES)
    assert found.shares == {"background": 1.0}
    assert found.mask("car").getbbox() is None
    with pytest.raises(ValueError, match="no class 'tree'; there are: background, road, car"):
        found.mask("tree")


def test_colours_are_those_of_the_classes_and_a_background_is_black():
    found = SemanticMap.from_png(png_of(), CLASSES).coloured()
    assert (found.mode, found.tobytes()) == ("P", INDICES)
    colours = found.convert("RGB")
    assert colours.getpixel((0, 0)) == colour_of(1) == SemanticMap.from_png(png_of(), CLASSES).colour(1)
    assert colours.getpixel((0, 1)) == (0, 0, 0)


def test_more_than_256_classes():
    found = wide(0, 299, 299, 256, size=(2, 2))
    assert found.shares == {"class 299": 0.5, "class 0": 0.25, "class 256": 0.25}
    assert [found.image().getpixel((x, y)) for y in (0, 1) for x in (0, 1)] == [0, 299, 299, 256]
    assert found.mask("class 299").tobytes() == bytes([0, 255, 255, 0])
    assert found.coloured().tobytes() == bytes([0, 43, 43, 0])


def test_what_is_saved_has_the_class_indices(tmp_path):
    SemanticMap.from_png(png_of(), CLASSES).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as saved:
        assert (saved.mode, saved.tobytes()) == ("P", INDICES)
    wide(0, 299, size=(2, 1)).save(tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as saved:
        assert [saved.getpixel((x, 0)) for x in (0, 1)] == [0, 299]


def other(**options):
    data = io.BytesIO()
    image = Image.new(options.pop("mode", "L"), (3, 2))
    image.save(data, **({"format": "PNG"} | options))
    return data.getvalue()


@pytest.mark.parametrize(
    ("png", "says"),
    [
        (b"", "no grey PNG"),
        (b"no image at all, but long enough", "no grey PNG"),
        (other(mode="RGB"), "no grey PNG"),
        (other(mode="P"), "no grey PNG"),
        (other(mode="1"), "no grey PNG of 8 or 16 bits"),
        (other(format="BMP"), "no grey PNG"),
        (png_of()[:-30], "can't be read: "),
        (png_of()[:40] + b"\0" * 30, "can't be read: "),
        (png_of(bytes([0, 1, 2, 3, 9, 0])), "the class 9, where there are 3, counted from 0"),
        (png_of(array("H", [0, 1, 2, 700, 0, 0]).tobytes(), bits=16), "the class 700, where there are 3"),
    ],
    ids=["nothing", "text", "colours", "palette", "1 bit", "bitmap", "cut off", "damaged", "class", "class of 16 bits"],
)
def test_what_is_no_class_map(png, says):
    with pytest.raises(ValueError, match=f"^a class map .*{says}"):
        SemanticMap.from_png(png, CLASSES)
