from __future__ import annotations

import base64
import io
from array import array

import pytest
from PIL import Image

from visiontrain.worker.class_maps import class_map


def read(found):
    image = Image.open(io.BytesIO(base64.b64decode(found.png, validate=True)))
    image.load()
    assert image.format == "PNG"
    return image


def test_indices_are_the_pixels_of_a_png():
    image = read(class_map(3, 2, bytes([0, 1, 2, 3, 4, 255])))
    assert (image.mode, image.size) == ("L", (3, 2))
    assert image.tobytes() == bytes([0, 1, 2, 3, 4, 255])


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_whatever_holds_the_bytes(kind):
    assert class_map(2, 1, kind(b"\1\2")) == class_map(2, 1, b"\1\2")


def test_indices_of_16_bits():
    numbers = array("H", [0, 1, 256, 65535])
    image = read(class_map(2, 2, numbers.tobytes(), bits=16))
    assert image.size == (2, 2)
    assert [image.getpixel((x, y)) for y in (0, 1) for x in (0, 1)] == list(numbers)


@pytest.mark.parametrize(
    ("width", "height", "count", "bits"), [(3, 2, 5, 8), (3, 2, 7, 8), (3, 2, 6, 16), (0, 0, 0, 8), (3, 2, 6, 4)]
)
def test_so_many_indices_are_no_map(width, height, count, bits):
    with pytest.raises(ValueError, match=r"bits|class indices of"):
        class_map(width, height, bytes(count), bits=bits)


def test_even_areas_take_little_room():
    assert len(class_map(1000, 1000, b"\1" * 500_000 + b"\2" * 500_000).png) < 5000
