from __future__ import annotations

import io
import os

import pytest
from PIL import Image

from visiontrain.errors import ImageError, SpecError
from visiontrain.protocol.inference import ImageSource, RawPixels
from visiontrain.runners.images import Given, expand, to_source


def array(shape, format="B"):  # noqa: A002 - as `memoryview.cast` has it
    size = memoryview(bytes(8)).cast(format).itemsize
    count = size
    for side in shape:
        count *= side
    return memoryview(bytes(count)).cast(format, shape)


class TestExpand:
    def test_folders_are_looked_through_in_the_order_of_names(self, tmp_path):
        for name in ("b.png", "a/2.JPG", "a/1.jpg", "notes.txt", ".hidden.png", "c.heic"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        found = list(expand(tmp_path))
        assert [given.path.relative_to(tmp_path).as_posix() for given in found] == [
            "a/1.jpg",
            "a/2.JPG",
            "b.png",
            "c.heic",
        ]
        assert {given.folder for given in found} == {tmp_path}

    def test_files_are_taken_as_they_are(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "odd.name").touch()
        assert list(expand("odd.name")) == [Given(tmp_path / "odd.name")]

    def test_any_iterable_of_them(self, tmp_path):
        (tmp_path / "a.png").touch()
        image = Image.new("L", (2, 2))
        found = list(expand(iter([tmp_path / "a.png", image, array((2, 2))])))
        assert [given.path is None for given in found] == [False, True, True]

    def test_it_is_lazy(self):
        def images():
            yield Image.new("L", (2, 2))
            raise AssertionError("not asked for")

        assert next(expand(images())).size == 4

    @pytest.mark.parametrize("given", [5, None, [5], [["a.png"]], object()])
    def test_what_is_none(self, given):
        with pytest.raises(SpecError, match=r"images: a .* is neither a path, nor a PIL image, nor an array"):
            list(expand(given))

    @pytest.mark.parametrize("given", [b"content", bytearray(b"c"), io.BytesIO(b"c"), [io.BytesIO(b"c")], [b"c"]])
    def test_a_file_s_content_is_to_be_opened_first(self, given):
        with pytest.raises(SpecError, match="holds a file, not pixels") as caught:
            list(expand(given))
        assert "PIL.Image.open" in caught.value.instruction

    def test_a_folder_that_can_not_be_opened(self, tmp_path, monkeypatch):
        (tmp_path / "closed").mkdir()
        (tmp_path / "a.png").touch()
        scandir = os.scandir

        def refuse(path):
            if str(path).endswith("closed"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(ImageError, match="closed can't be opened"):
            list(expand(tmp_path))

    @pytest.mark.parametrize("name", ["none", "x" * 300, "a\0b"])
    def test_what_is_not_there(self, tmp_path, name):
        with pytest.raises((ImageError, SpecError)):
            list(expand(f"{tmp_path}/{name}"))


class TestToSource:
    @pytest.mark.parametrize(
        ("shape", "mode"), [((2, 3), "L"), ((2, 3, 1), "L"), ((2, 3, 3), "RGB"), ((2, 3, 4), "RGBA")]
    )
    def test_arrays_are_written_as_they_are(self, tmp_path, shape, mode):
        pixels = array(shape)
        source = to_source(Given(None, pixels), tmp_path, 0)
        assert source == ImageSource(str(tmp_path / "0"), RawPixels(mode, 3, 2, 0))
        assert (tmp_path / "0").read_bytes() == pixels.tobytes()

    @pytest.mark.parametrize(
        ("shape", "format"), [((4,), "B"), ((2, 2, 2), "B"), ((1, 2, 2, 3), "B"), ((2, 2), "f"), ((2, 2, 3), "H")]
    )
    def test_arrays_of_something_else_are_refused(self, tmp_path, shape, format):  # noqa: A002
        with pytest.raises(SpecError, match=" x ".join(map(str, shape))) as caught:
            to_source(Given(None, array(shape, format)), tmp_path, 0)
        assert "uint8" in caught.value.instruction

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
    def test_plain_pil_images_are_their_pixels(self, tmp_path, mode):
        image = Image.effect_noise((5, 4), 80).convert(mode)
        source = to_source(Given(None, image), tmp_path, 1)
        assert source.raw == RawPixels(mode, 5, 4, 0)
        assert (tmp_path / "1").read_bytes() == image.tobytes()

    @pytest.mark.parametrize("mode", ["1", "P", "LA", "I", "I;16", "F", "CMYK", "LAB"])
    def test_other_modes_survive_in_a_file(self, tmp_path, mode):
        image = Image.new(mode, (5, 4)) if mode in ("I;16", "LAB") else Image.effect_noise((5, 4), 80).convert(mode)
        source = to_source(Given(None, image), tmp_path, 0)
        assert source.raw is None
        with Image.open(source.path) as read:
            assert read.mode == mode
            assert read.tobytes() == image.tobytes()

    @pytest.mark.parametrize("mode", ["HSV", "YCbCr"])
    def test_modes_of_other_colours_are_handed_on_as_rgb(self, tmp_path, mode):
        image = Image.effect_noise((5, 4), 80).convert("RGB").convert(mode)
        assert to_source(Given(None, image), tmp_path, 0).raw == RawPixels("RGB", 5, 4, 0)
        assert (tmp_path / "0").read_bytes() == image.convert("RGB").tobytes()

    def test_transparent_colours_survive(self, tmp_path):
        image = Image.new("RGB", (2, 2), (1, 2, 3))
        image.info["transparency"] = (1, 2, 3)
        with Image.open(to_source(Given(None, image), tmp_path, 0).path) as read:
            assert read.info["transparency"] == (1, 2, 3)

    def test_an_image_is_handed_on_upright(self, tmp_path):
        image = Image.new("RGB", (5, 4))
        image.getexif()[0x0112] = 6
        assert to_source(Given(None, image), tmp_path, 0).raw == RawPixels("RGB", 4, 5, 0)
        assert image.size == (5, 4)

    def test_an_image_whose_file_is_torn_is_named(self, tmp_path):
        path = tmp_path / "torn.png"
        Image.effect_noise((50, 50), 80).save(path)
        path.write_bytes(path.read_bytes()[:500])
        with Image.open(path) as image, pytest.raises(ImageError, match=r"torn\.png: can't be read"):
            to_source(Given(None, image), tmp_path, 0)

    def test_an_image_without_pixels(self, tmp_path):
        with pytest.raises(ImageError, match="0 x 5 pixels"):
            to_source(Given(None, Image.new("RGB", (0, 5))), tmp_path, 0)
