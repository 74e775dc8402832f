import numpy as np
import pytest
from PIL import Image

from visiontrain.errors import DatasetError
from visiontrain.torchkit.images import read_rgb, to_rgb


def pixel(image):
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 100, (100, 100, 100)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (10, 255), (10, 10, 10)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBA", (200, 0, 0, 255), (200, 0, 0)),
        ("RGBA", (200, 0, 0, 0), (255, 255, 255)),
        ("RGBX", (9, 8, 7, 0), (9, 8, 7)),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0)),
        ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 25700, (100, 100, 100)),
        ("I", 25700, (100, 100, 100)),
        ("I", -5, (0, 0, 0)),
        ("F", 0.5, (128, 128, 128)),
        ("F", 100.0, (100, 100, 100)),
    ],
)
def test_modes(mode, value, expected):
    assert pixel(to_rgb(Image.new(mode, (2, 2), value))) == expected


def test_values_that_are_no_numbers_are_black():
    assert pixel(to_rgb(Image.fromarray(np.full((2, 2), np.nan, dtype=np.float32)))) == (0, 0, 0)


def test_16_bit_big_endian():
    assert pixel(to_rgb(Image.frombytes("I;16B", (1, 1), bytes([0x64, 0x64])))) == (100, 100, 100)


def test_lab():
    red, green, blue = pixel(to_rgb(Image.new("LAB", (2, 2), (255, 128, 128))))
    assert min(red, green, blue) > 245


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.save(tmp_path / "p.png", transparency=1)
    assert pixel(read_rgb(str(tmp_path / "p.png"))) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, orientation):
    upright = Image.new("RGB", (40, 20), "blue")
    upright.paste("red", (0, 0, 10, 5))
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "i.png", exif=exif)
    found = read_rgb(str(tmp_path / "i.png"))
    assert found.tobytes() == upright.tobytes()


def test_orientation_out_of_range_says_nothing(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 99
    Image.new("RGB", (4, 2)).save(tmp_path / "i.png", exif=exif)
    assert read_rgb(str(tmp_path / "i.png")).size == (4, 2)


def test_a_jpeg_may_be_decoded_smaller(tmp_path):
    Image.linear_gradient("L").resize((400, 300)).save(tmp_path / "i.jpg")
    path = str(tmp_path / "i.jpg")
    assert read_rgb(path).size == (400, 300)
    assert read_rgb(path, share=0.6).size == (400, 300)
    assert read_rgb(path, share=0.5).size == (200, 150)
    assert read_rgb(path, share=0.2).size == (100, 75)


def test_errors_name_the_file(tmp_path):
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((200, 200), 50).save(whole)
    cases = {"half.jpg": whole.read_bytes()[:3000], "text.jpg": b"hello", "empty.png": b""}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DatasetError, match=name):
            read_rgb(str(tmp_path / name))
    with pytest.raises(DatasetError, match="absent"):
        read_rgb(str(tmp_path / "absent.png"))
