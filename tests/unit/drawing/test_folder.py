from __future__ import annotations

import base64
import csv
from pathlib import Path

import pytest
from PIL import Image

from visiontrain.drawing.folder import PredictionFolder
from visiontrain.errors import SpecError, StorageError
from visiontrain.predictions import DetectedObject, Prediction
from visiontrain.protocol.tasks import Task
from visiontrain.semantic_maps import SemanticMap
from visiontrain.worker.class_maps import class_map


@pytest.fixture
def image(tmp_path):
    def image(name, size=(200, 100), mode="RGB", **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, 90).save(path, **options)
        return path

    return image


def seen(path, **fields):
    return Prediction(path, 9, 9, {"ring": 0.75, "a very long name of a class": 0.25}, **fields)


def rows(folder):
    with (folder / "predictions.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def test_a_copy_and_a_line(image, tmp_path):
    source = image("in/deep/a.jpg")
    before = source.read_bytes()
    with PredictionFolder(tmp_path / "out") as folder:
        assert folder.add(seen(source), below=tmp_path / "in", top=2) is None
    with Image.open(tmp_path / "out/deep/a.jpg") as drawn:
        assert drawn.size == (200, 100)
        assert len(drawn.crop((0, 0, 100, 40)).getcolors(1 << 20)) > 10
    assert rows(tmp_path / "out") == [
        {"image": str(source), "label": "ring", "probability": "0.75", "drawn": "deep/a.jpg", "error": ""}
    ]
    assert source.read_bytes() == before


def test_nothing_is_made_before_there_is_something_to_save(tmp_path):
    with PredictionFolder(tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()


def test_what_is_there_stays(image, tmp_path):
    source = image("a.png")
    other = image("b/a.png")
    with PredictionFolder(tmp_path) as folder:
        folder.add(seen(source), below=None, top=1)
        folder.add(seen(other), below=None, top=1)
        folder.add(seen(image("c/a.webp")), below=None, top=1)
    assert [row["drawn"] for row in rows(tmp_path)] == ["a-2.png", "a-3.png", "a.jpg"]


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (32, 32)])
def test_a_small_image_is_enlarged_so_that_the_text_has_room(image, tmp_path, size):
    with PredictionFolder(tmp_path / "out") as folder:
        folder.add(seen(image("a.png", size)), below=None, top=2)
    with Image.open(tmp_path / "out/a.png") as drawn:
        times = drawn.width // size[0]
        assert 1 < times <= 16
        assert drawn.size == (size[0] * times, size[1] * times)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F"])
def test_images_of_every_mode(image, tmp_path, mode):
    with PredictionFolder(tmp_path / "out") as folder:
        assert folder.add(seen(image("a.tif", mode=mode)), below=None, top=1) is None
    assert (tmp_path / "out/a.jpg").is_file()


def test_an_image_that_this_pillow_can_not_open_has_a_line_and_no_copy(tmp_path):
    source = tmp_path / "a.jxl"
    source.write_bytes(b"of another kind")
    with PredictionFolder(tmp_path / "out") as folder:
        assert str(source) in folder.add(seen(source), below=None, top=1)
    assert [(row["label"], row["drawn"]) for row in rows(tmp_path / "out")] == [("ring", "")]


def test_one_that_the_model_could_not_read_has_its_error(tmp_path):
    with PredictionFolder(tmp_path / "out") as folder:
        assert folder.add(Prediction(tmp_path / "a.png", error="is no image"), below=None, top=1) is None
    assert [(row["label"], row["error"]) for row in rows(tmp_path / "out")] == [("", "is no image")]


def test_several_labels_are_written_as_label_files_have_them(image, tmp_path):
    found = Prediction(image("a.png"), 9, 9, {"x": 0.9, "y": 0.2, "z": 0.5}, multi_label=True)
    with PredictionFolder(tmp_path / "out") as folder:
        folder.add(found, below=None, top=1)
    assert rows(tmp_path / "out")[0]["label"] == "x|z"


def test_of_objects_there_is_a_row_each_and_one_where_there_is_none(image, tmp_path):
    found = tuple(DetectedObject(label, 0.5, (1.0, 2.0, 30.0, 40.5), 0) for label in ("cat", "dog"))
    with PredictionFolder(tmp_path / "out") as folder:
        folder.add(Prediction(image("a.png"), 200, 100, task=Task.detect, objects=found), below=None, top=1)
        folder.add(Prediction(image("b.png"), 200, 100, task=Task.detect), below=None, top=1)
        folder.add(Prediction(tmp_path / "c.png", error="is no image", task=Task.detect), below=None, top=1)
    written = rows(tmp_path / "out")
    assert written[1] == {
        "image": str(tmp_path / "a.png"), "label": "dog", "score": "0.5",
        "left": "1.0", "top": "2.0", "right": "30.0", "bottom": "40.5", "drawn": "a.png", "error": "",
    }  # fmt: skip
    assert [(row["label"], row["left"], row["drawn"], row["error"]) for row in written] == [
        ("cat", "1.0", "a.png", ""), ("dog", "1.0", "a.png", ""), ("", "", "b.png", ""), ("", "", "", "is no image"),
    ]  # fmt: skip


def test_folders_that_can_not_be_it_are_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match=r"save: .* is no folder"):
        PredictionFolder(tmp_path / "file")
    (tmp_path / "predictions.csv").touch()
    with pytest.raises(SpecError, match=r"has a predictions\.csv already"):
        PredictionFolder(tmp_path)


def test_a_disk_that_refuses_is_told_with_another_folder_as_the_mend(image, tmp_path, monkeypatch):
    source = image("a.png")

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", refuse)
    folder = PredictionFolder(tmp_path / "out")
    with pytest.raises(StorageError, match="No space left") as caught:
        folder.add(seen(source), below=None, top=1)
    assert "--save" in caught.value.instruction


def mapped(path, size=(200, 100), **fields):
    wide, high = size
    indices = bytes([0] * (wide // 2) + [1] * (wide - wide // 2)) * high
    png = base64.b64decode(class_map(wide, high, indices).png)
    return Prediction(path, wide, high, task=Task.semantic, class_map=SemanticMap.from_png(png, CLASSES), **fields)


CLASSES = ("background", "road", "car")


def test_a_class_map_is_painted_and_written(image, tmp_path):
    source = image("in/deep/a.jpg")
    with PredictionFolder(tmp_path / "out") as folder:
        assert folder.add(mapped(source), below=tmp_path / "in", top=2) is None
    with Image.open(tmp_path / "out/deep/a-classes.png") as written:
        assert (written.mode, written.size) == ("P", (200, 100))
        assert [written.getpixel((x, 50)) for x in (10, 190)] == [0, 1]
    with Image.open(tmp_path / "out/deep/a.jpg") as drawn:
        assert drawn.size == (400, 200)
        plain, painted = (drawn.getpixel((x, 190)) for x in (150, 390))
        apart = [max(abs(a - b) for a, b in zip(pixel, (90, 0, 0), strict=True)) for pixel in (plain, painted)]
        assert apart[0] < 8  # a background stays as it is
        assert apart[1] > 40
    told = {"image": str(source), "drawn": "deep/a.jpg", "class_map": "deep/a-classes.png", "error": ""}
    assert rows(tmp_path / "out") == [
        {**told, "label": "background", "share": "0.5"}, {**told, "label": "road", "share": "0.5"}
    ]  # fmt: skip


def test_class_maps_overwrite_nothing(image, tmp_path):
    source = image("a.png")
    mine = image("a-classes.png")
    with PredictionFolder(tmp_path) as folder:
        folder.add(mapped(source), below=None, top=5)
        folder.add(mapped(mine), below=None, top=5)
    told = rows(tmp_path)[::2]
    assert [row["class_map"] for row in told] == ["a-classes-2.png", "a-classes-classes.png"]
    assert [row["drawn"] for row in told] == ["a-2.png", "a-classes-3.png"]
    with Image.open(mine) as still:
        assert still.mode == "RGB"


def test_an_image_that_can_not_be_read_has_a_row_of_its_own_kind(tmp_path):
    with PredictionFolder(tmp_path / "out") as folder:
        torn = Prediction(Path("/torn.jpg"), task=Task.semantic, error="/torn.jpg: is torn")
        assert folder.add(torn, below=None, top=1) is None
    nothing = {"label": "", "share": "", "drawn": "", "class_map": ""}
    assert rows(tmp_path / "out") == [{"image": "/torn.jpg", **nothing, "error": "/torn.jpg: is torn"}]


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (700, 500)])
def test_class_maps_of_any_size_are_painted(image, tmp_path, size):
    with PredictionFolder(tmp_path / "out") as folder:
        folder.add(mapped(image("a.png", size), size), below=None, top=3)
    with Image.open(tmp_path / "out/a.png") as drawn:
        assert drawn.width % size[0] == 0
    with Image.open(tmp_path / "out/a-classes.png") as written:
        assert written.size == size
