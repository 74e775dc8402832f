"""Four-cornered boxes: text files as DOTA and ICDAR have them, and MMOCR's JSON."""

from __future__ import annotations

import json
import os

import pytest

from visiontrain.datasets.formats.quad_rows import QuadRow, dialect_of, read_quads
from visiontrain.datasets.objects import Object
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

CORNERS = (10.0, 10.0, 40.0, 12.0, 38.0, 30.0, 9.0, 28.0)
NUMBERS = " ".join(f"{value:g}" for value in CORNERS)
DOTA = f"imagesource:GoogleEarth\ngsd:0.15\n{NUMBERS} large-vehicle 0\n{NUMBERS[:-2]}29 plane 1\n"
ICDAR = f"{NUMBERS.replace(' ', ',')},Hello, World\n1,1,9,1,9,9,1,9,###\n"


def test_dota_in_its_own_folders(annotated, read):
    files = {f"{split}/images/P1.png": (100, 80) for split in ("train", "val")}
    root = annotated(files | {f"{split}/labelTxt/P1.txt": DOTA for split in ("train", "val")})
    index = read(root)
    assert (index.format, index.task, index.tasks) == ("quads", "obb", ("obb", "detect"))
    assert index.classes == ("large-vehicle", "plane")
    assert index.splits == {"train": 1, "val": 1}
    first, second = index.image("train", 0).objects
    assert first == Object(0, (9, 10, 40, 30), quad=CORNERS)
    assert (second.label, second.difficult) == (1, True)
    assert read(root, task=Task.detect).image("train", 0).objects[0] == Object(0, (9, 10, 40, 30))


def test_icdar_in_its_own_folders(annotated, read):
    files = {"ch4_training_images/img_1.png": (100, 80), "ch4_test_images/img_1.png": (100, 80)}
    files |= {"ch4_training_localization_transcription_gt/gt_img_1.txt": "\ufeff" + ICDAR}
    files |= {"Challenge4_Test_Task1_GT/gt_img_1.txt": "\ufeff" + ICDAR}
    root = annotated(files)
    index = read(root, for_training=False)
    assert index.splits == {"train": 1, "test": 1}
    assert index.classes == ("text",)
    image = index.image("test", 0)
    assert os.path.relpath(image.path, root) == "ch4_test_images/img_1.png"
    assert [found.difficult for found in image.objects] == [False, True]
    assert image.objects[0].quad == CORNERS


@pytest.mark.parametrize(
    ("images", "texts"),
    [
        ("images/{}.png", "labelTxt/{}.txt"),
        ("images/{}.png", "labelTxt-v1.0/{}.txt"),
        ("{}.png", "{}.txt"),
        ("img/all/{}.png", "gt/all/{}_gt.txt"),
    ],
)
def test_one_folder_of_each_is_carved(annotated, read, images, texts):
    files = {images.format(number): (100, 80) for number in range(10)}
    assert read(annotated(files | {texts.format(number): DOTA for number in range(10)})).splits == {
        "train": 8,
        "val": 2,
    }


def test_what_lacks_its_other_half_is_told(annotated, problems):
    files = {f"images/{number}.png": (100, 80) for number in range(4)}
    texts = {f"labelTxt/{number}.txt": DOTA for number in (0, 1, 2, 77)}
    found = problems(annotated(files | texts))
    assert found["labels-without-image"].files == ("labelTxt/77.txt",)
    assert found["missing-annotations"].files == ("images/3.png",)


def test_bad_lines_are_named(annotated, problems):
    files = {f"images/{number}.png": (100, 80) for number in range(3)}
    texts = {f"labelTxt/{number}.txt": DOTA for number in range(3)} | {"labelTxt/1.txt": DOTA + "1 2 3 ship 0\n"}
    problem = problems(annotated(files | texts))["bad-annotations"]
    assert (problem.files, problem.severity) == (("labelTxt/1.txt",), "error")
    assert problem.reasons == ("line 5: eight numbers are needed, then the class and 0 or 1: 1 2 3 ship 0",)


def test_texts_without_images_are_refused(annotated, read):
    with pytest.raises(DatasetError, match="none of the text files has an image"):
        read(annotated({"images/a.png": (9, 9), "labelTxt/b.txt": DOTA}))


def test_folders_of_other_splits_alone_are_refused(annotated, read):
    files = {f"{split}/images/a.png": (99, 99) for split in ("val", "test")}
    with pytest.raises(DatasetError, match="none to train on"):
        read(annotated(files | {f"{split}/labelTxt/a.txt": DOTA for split in ("val", "test")}))


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (DOTA, "dota"),
        (ICDAR, "icdar"),
        ("1,2,3,4,5,6,7,8,\n", "icdar"),
        ("", None),
        ("0 0.5 0.5 0.1 0.1\n", None),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4 0.4\n", None),
        ("some notes\n1,2,3,4,5,6,7,8,a\n", None),
    ],
)
def test_dialects(text, dialect):
    assert dialect_of(text) == dialect


def test_rows_of_icdar_keep_commas_in_their_text_and_pass_over_spaces():
    assert list(read_quads(" 1, 2,3.5,-4,5,6,7,8 ,a,b,\n\n", "icdar")) == [
        QuadRow("line 1", (1.0, 2.0, 3.5, -4.0, 5.0, 6.0, 7.0, 8.0), "text")
    ]


def entry(name="a.png", instances=None, **more):
    one = {"polygon": list(CORNERS), "bbox": [9, 10, 40, 30], "bbox_label": 0, "ignore": False}
    return {"img_path": f"imgs/{name}", "height": 80, "width": 100, "instances": instances or [one], **more}


def mmocr(*entries, category=({"id": 0, "name": "text"},)):
    return json.dumps({"metainfo": {"task_name": "textdet", "category": category}, "data_list": entries})


def test_mmocr_in_a_file_a_split(annotated, read):
    text = mmocr(entry(instances=[entry()["instances"][0], {"bbox": [1, 2, 3, 4], "bbox_label": 0, "ignore": True}]))
    root = annotated(
        {"textdet_train.json": text, "textdet_val.json": mmocr(entry("b.png"))}
        | {"imgs/a.png": (100, 80), "imgs/b.png": (100, 80)}
    )
    index = read(root)
    assert (index.format, index.task, index.tasks) == ("mmocr", "detect", ("detect",))
    assert index.image("train", 0).objects[1] == Object(0, (1, 2, 3, 4), difficult=True)
    one = read(root / "textdet_val.json", for_training=False)
    assert (one.task, one.image("val", 0).objects[0].quad) == ("obb", CORNERS)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"img_path": None}, "its img_path is None"),
        ({"instances": [{"polygon": ["a"] * 8}]}, "instance 1: ValueError"),
        ({"instances": [{"bbox_label": 0}]}, "instance 1: KeyError 'bbox'"),
        ({"instances": [{**entry()["instances"][0], "bbox_label": 4}]}, "instance 1: KeyError 4"),
        ({"instances": [7]}, "instance 1: AttributeError"),
        ({"instances": 7}, "its instances are no list"),
        ({}, "another entry for imgs/a.png"),
    ],
)
def test_entries_of_mmocr_that_can_not_be_used(annotated, problems, bad, reason):
    root = annotated({"all.json": mmocr(entry(), {**entry(), **bad}), "imgs/a.png": (100, 80)})
    problem = problems(root)["bad-annotations"]
    assert problem.reasons[0].startswith("entry 2 of data_list: ")
    assert reason in problem.reasons[0]


def test_mmocr_without_categories_or_images(annotated, problems):
    with pytest.raises(DatasetError, match="its metainfo names no categories"):
        problems(annotated({"all.json": mmocr(entry(), category=None)}))
    (problem,) = [
        problems(annotated({"all.json": mmocr(entry(), entry("b.png")), "imgs/a.png": (100, 80)}))["missing-images"]
    ]
    assert problem.files == ("imgs/b.png",)
