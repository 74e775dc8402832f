"""Reading of real data: photos, every EXIF orientation, and files that are broken in every way."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections import Counter
from dataclasses import astuple

import pytest
from PIL import Image, ImageOps

from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.decoder_pool import decode_all
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def test_clothing(real_data, home):
    root = real_data / "clothing10"
    found = index_dataset(root, folder=home, batch_size=32)
    assert found.splits == {"train": 350, "val": 120, "test": 100}
    classes = "dress hat longsleeve outwear pants shirt shoes shorts skirt t-shirt"
    assert " ".join(found.classes) == classes
    assert [problem.code for problem in found.report.problems] == ["ignored-files"]
    index = DatasetIndex(found.path)
    assert Counter(index.labels("train")) == dict.fromkeys(range(10), 35)
    assert Counter(index.labels("val")) == dict.fromkeys(range(10), 12)
    assert Counter(index.labels("test")) == dict.fromkeys(range(10), 10)
    for image in index.images("test"):
        with Image.open(image.path) as opened:
            assert ImageOps.exif_transpose(opened).size == (image.width, image.height)
    assert index_dataset(root, folder=home, task=Task.classify) == found


def test_clothing_without_its_splits(real_data, home):
    found = index_dataset(real_data / "clothing10" / "train", folder=home, seed=3)
    assert found.splits == {"train": 280, "val": 70}
    assert all(counts == {"train": 28, "val": 7} for counts in found.report.classes.values())


@pytest.mark.parametrize("extension", ["csv", "jsonl"])
def test_clothing_as_a_list_is_the_same_data(real_data, home, tmp_path, extension):
    root = real_data / "clothing10"
    folders = DatasetIndex(index_dataset(root, folder=home).path)
    rows = [(path, path.parts[-2], path.parts[-3]) for path in sorted(root.glob("*/*/*.jpg"))]
    source = tmp_path / f"list.{extension}"
    if extension == "csv":
        lines = ["Image Path,Class,Set", *(",".join(map(str, row)) for row in rows)]
    else:
        names = ("file", "label", "split")
        lines = [json.dumps(dict(zip(names, map(str, row), strict=True))) for row in rows]
    source.write_text("\n".join(lines), encoding="utf-8")
    found = index_dataset(source, folder=home)
    assert found.classes == folders.classes
    index = DatasetIndex(found.path)
    for split in ("train", "val", "test"):
        assert sorted(map(astuple, index.images(split))) == sorted(map(astuple, folders.images(split)))
    assert [problem.code for problem in found.report.problems] == ["outside-of-folder"]


def test_every_awkward_file_in_a_list_is_named_or_read(real_data, home, tmp_path):
    folder = real_data / "nasty_pillow"
    rows = manifest(folder)
    lines = [f"{folder / row['file']},{'odd' if number % 2 else 'even'}|all" for number, row in enumerate(rows)]
    source = tmp_path / "list.csv"
    source.write_text("\n".join(["path,tags", *lines, "gone.png,all"]), encoding="utf-8")
    report = check_dataset(source, folder=home)
    bad = [row["file"] for row in rows if (row["open"], row["load"]) != ("ok", "ok")]
    problems = {problem.code: problem for problem in report.of("error")}
    assert problems["unreadable"].count == len(bad) > 10
    assert problems["missing-images"].files == ("gone.png",)
    found = index_dataset(source, folder=home, skip_unreadable=True)
    assert sum(found.splits.values()) == len(rows) - len(bad)


def probe(paths):
    files = ((number, os.fsencode(path)) for number, path in enumerate(paths))
    return {paths[number].name: found for number, _, found in decode_all(files, len(paths))}


def manifest(folder):
    with (folder / "MANIFEST.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert rows
    return rows


def test_every_exif_orientation(real_data):
    folder = real_data / "exif_orientation"
    rows = manifest(folder)
    found = probe([folder / row["file"] for row in rows])
    assert len(found) == 18
    for row in rows:
        one = found[row["file"]]
        expected = (1800, 1200) if row["file"].startswith("Landscape") else (1200, 1800)
        assert (one.width, one.height) == expected, row["file"]
        turned = row["orientation"] in ("5", "6", "7", "8")
        assert (int(row["height"]), int(row["width"])) == expected if turned else True, row["file"]


def test_broken_and_awkward_files(real_data):
    folder = real_data / "nasty_pillow"
    rows = manifest(folder)
    found = probe([folder / row["file"] for row in rows])
    assert len(found) == len(rows) > 100
    unreadable = {row["file"] for row in rows if (row["open"], row["load"]) != ("ok", "ok")}
    assert {name for name, one in found.items() if one.reason} == unreadable
    for row in rows:
        one = found[row["file"]]
        if not one.reason:
            assert (one.size, one.mode) == (int(row["bytes"]), row["mode"]), row["file"]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(folder / row["file"]) as opened:
                    assert ImageOps.exif_transpose(opened).size == (one.width, one.height), row["file"]


def test_what_is_wrong_is_said_in_words(real_data):
    folder = real_data / "nasty_pillow"
    found = probe([path for path in sorted(folder.iterdir()) if path.suffix in (".jpg", ".png", ".gif", ".bmp")])
    assert found["synthetic_zero_byte.jpg"].reason == "the file is empty (0 bytes)"
    assert found["synthetic_text_named.jpg"].reason == "it holds text, not an image"
    assert found["truncated_jpeg.jpg"].reason == "it is cut off: the file ends before the image does"
    assert "a decompression bomb?" in found["decompression_bomb.gif"].reason
    assert found["synthetic_png_named.jpg"].reason is None


def test_a_dataset_with_broken_files(real_data, home, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    (root / "broken").symlink_to(real_data / "nasty_pillow")
    (root / "photos").symlink_to(real_data / "exif_orientation")
    with pytest.raises(DatasetError, match=r"broken/broken\.png: it is not an image") as error:
        index_dataset(root, folder=home)
    problem = next(problem for problem in check_dataset(root, folder=home).problems if problem.code == "unreadable")
    assert str(problem) in str(error.value)
    found = index_dataset(root, folder=home, skip_unreadable=True)
    assert found.report.classes["photos"] == {"train": 14, "val": 4}
    assert len(list(DatasetIndex(found.path).images("train"))) == found.splits["train"]
