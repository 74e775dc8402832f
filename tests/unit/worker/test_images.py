from __future__ import annotations

import pytest
from PIL import Image

from visiontrain.errors import DatasetError
from visiontrain.worker.images import read_rgb


def test_colours_are_those_that_were_written(tmp_path):
    image = Image.effect_noise((7, 5), 90).convert("RGB")
    image.putpixel((0, 0), (1, 2, 3))
    image.save(tmp_path / "image.ppm")
    assert read_rgb(str(tmp_path / "image.ppm")) == image.tobytes()


def test_grey_becomes_three_equal_channels(tmp_path):
    image = Image.effect_noise((7, 5), 90)
    image.save(tmp_path / "image.pgm")
    assert read_rgb(str(tmp_path / "image.pgm")) == image.convert("RGB").tobytes()


def test_headers_may_have_comments_and_a_scale_of_their_own(tmp_path):
    path = tmp_path / "image.pgm"
    path.write_bytes(b"P5 # made by hand\n# 3 wide\n3\t1\n15\n\x00\x05\x0f")
    assert read_rgb(str(path)) == bytes([0] * 3 + [85] * 3 + [255] * 3)
    assert read_rgb(str(path)) == Image.open(path).convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is no PPM or PGM file"),
        (b"\xff\xd8\xff\xe0JFIF", "is no PPM or PGM file"),
        (b"P3 1 1 255\n1 2 3", "is no PPM or PGM file"),
        (b"P6 2 2 255\n" + bytes(11), "is cut short or damaged"),
        (b"P6 1 1 0\n" + bytes(3), "is cut short or damaged"),
        (b"P5 1 1 65535\n" + bytes(2), "has more than 8 bits a channel"),
    ],
)
def test_what_is_no_such_file_is_named(tmp_path, data, words):
    path = tmp_path / "image.ppm"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=rf"image\.ppm: {words}") as caught:
        read_rgb(str(path))
    assert caught.value.instruction


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"image\.ppm: can't be read: No such file"):
        read_rgb(str(tmp_path / "image.ppm"))
