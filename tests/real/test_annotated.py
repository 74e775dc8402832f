"""Reading of real data with objects: counts as the data's own description has them, and numbers against its files."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
import yaml
from PIL import Image

from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def read(real_data, home):
    """The index of a data set and its problems' codes; its files must be as they were."""

    def index(name, **options):
        root = real_data / name
        folder = root if root.is_dir() else root.parent
        before = {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in folder.rglob("*")}
        found = index_dataset(root, folder=home, **options)
        assert {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in folder.rglob("*")} == before
        return DatasetIndex(found.path), found.report

    return index


def problem_counts(report):
    return {problem.code: problem.count for problem in report.problems}


def inside(image):
    return all(
        0 <= found.box[0] < found.box[2] <= image.width and 0 <= found.box[1] < found.box[3] <= image.height
        for found in image.objects
    )


def test_blood_cells_of_pascal_voc(read, real_data):
    index, report = read("bccd")
    assert (index.format, index.task, index.tasks) == ("pascal-voc", "detect", ("detect",))
    assert index.splits == {"train": 205, "val": 87, "test": 72}
    totals = {name: sum(counts.values()) for name, counts in report.classes.items()}
    assert totals == {"Platelets": 361, "RBC": 4155 - 2, "WBC": 372}  # two have neither width nor height
    assert problem_counts(report) == {"degenerate-boxes": 2}
    assert report.problems[0].files == ("Annotations/BloodImage_00338.xml", "Annotations/BloodImage_00343.xml")
    seen = 0
    for split in index.splits:
        for image in index.images(split):
            seen += 1
            assert inside(image)
            with Image.open(image.path) as opened:
                assert opened.size == (image.width, image.height)
            tree = ET.parse(image.path.replace("JPEGImages", "Annotations").replace(".jpg", ".xml"))
            wanted = []
            for one in tree.iterfind("object"):
                x1, y1, x2, y2 = (float(one.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
                if x2 > x1 and y2 > y1:
                    wanted.append((one.findtext("name"), (max(x1 - 1, 0), max(y1 - 1, 0), x2, y2)))
            assert [(index.classes[one.label], one.box) for one in image.objects] == list(dict.fromkeys(wanted))
    assert seen == 364


def test_coco_boxes_in_yolo_folders(read, real_data):
    index, report = read("coco128_open/data-detect.yaml")
    assert (index.format, index.task, index.tasks) == ("yolo", "detect", ("detect",))
    assert index.splits == {"train": 24, "val": 26}
    assert len(index.classes) == 80
    rows = {
        split: sum(
            len(file.read_text().splitlines()) for file in (real_data / "coco128_open/labels").glob(f"{split}*/*")
        )
        for split in ("train", "val")
    }
    assert report.objects == rows
    (background,) = (problem for problem in report.problems if problem.code == "background-images")
    assert background.files == ("images/train2017/000000000508.jpg",)
    assert not report.of("error")
    assert all(inside(image) for split in index.splits for image in index.images(split))
    with pytest.raises(DatasetError, match="several descriptions of YOLO data"):
        read("coco128_open")


def test_coco_outlines_in_yolo_folders(real_data, home, tmp_path):
    source = real_data / "coco128_open"
    root = tmp_path / "outlines"
    root.mkdir()
    (root / "images").symlink_to(source / "images")
    (root / "labels").symlink_to(source / "labels-seg")
    (root / "data.yaml").write_bytes((source / "data-seg.yaml").read_bytes())
    found = index_dataset(root, folder=home)
    index = DatasetIndex(found.path)
    assert (index.task, index.tasks) == ("segment", ("segment", "detect"))
    assert len(index.classes) == 80
    assert index.classes[11] == "stop sign"  # id 13 of 1 to 90
    names = {"train": "train2017", "val": "val2017"}
    for split, folder in names.items():
        rows = sum(len(file.read_text().splitlines()) for file in (source / "labels-seg" / folder).iterdir())
        assert found.report.objects[split] == rows
    for image in index.images("val"):
        for one in image.objects:
            xs, ys = one.polygons[0][0::2], one.polygons[0][1::2]
            assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx(one.box, abs=0.01)
    assert set(problem_counts(found.report)) == {
        "class-missing-from-split",
        "empty-class",
        "classes-renumbered",
        "background-images",
    }


@pytest.mark.parametrize("task", [None, Task.detect])
def test_coco_json_of_instances(read, real_data, task):
    index, report = read("coco_open", task=task)
    assert (index.format, index.task) == ("coco", "segment" if task is None else "detect")
    assert index.splits == {"train": 26, "val": 25}
    assert report.objects == {"train": 333, "val": 213}
    assert len(index.classes) == 80
    assert problem_counts(report)["crowds"] == 7
    for split, name in (("train", "train2017"), ("val", "val2017")):
        content = json.loads((real_data / f"coco_open/annotations/instances_{name}.json").read_text())
        ids = sorted(category["id"] for category in content["categories"])
        of_id = {category["id"]: category["name"] for category in content["categories"]}
        assert index.classes == tuple(of_id[number] for number in ids)
        files = {image["id"]: image["file_name"] for image in content["images"]}
        wanted = Counter((files[one["image_id"]], of_id[one["category_id"]]) for one in content["annotations"])
        images = list(index.images(split))
        found = Counter(
            (image.path.rpartition("/")[2], index.classes[one.label]) for image in images for one in image.objects
        )
        assert found == wanted
        assert all(inside(image) for image in images)
        if task is None:
            assert all(bool(one.polygons) != (one.mask is not None) for image in images for one in image.objects)
            crowds = [one.mask for image in images for one in image.objects if one.crowd]
            areas = [sum(one["segmentation"]["counts"][1::2]) for one in content["annotations"] if one["iscrowd"]]
            assert sorted(mask.area for mask in crowds) == sorted(areas)


def test_coco_json_of_keypoints(read):
    index, report = read("coco_open", task=Task.pose)
    assert (index.task, index.classes) == ("pose", ("person",))
    assert report.objects == {"train": 65, "val": 44}
    assert len(index.skeleton.names) == 17
    assert [index.skeleton.flip[number] for number in (0, 1, 2, 15, 16)] == [0, 2, 1, 16, 15]
    labelled = {
        split: [sum(any(point.visibility for point in one.keypoints) for one in image.objects) for image in images]
        for split, images in ((split, list(index.images(split))) for split in index.splits)
    }
    assert {split: sum(counts) for split, counts in labelled.items()} == {"train": 27, "val": 16}
    assert {split: sum(map(bool, counts)) for split, counts in labelled.items()} == {"train": 7, "val": 9}


def test_turned_boxes_of_texts(read, real_data):
    index, report = read("icdar15_quads")
    assert (index.format, index.task, index.tasks) == ("mmocr", "obb", ("obb", "detect"))
    assert sum(index.splits.values()) == 10
    assert sum(report.objects.values()) == 82
    assert problem_counts(report) == {"split-carved": 2, "only-split": 0, "difficult-objects": 61}
    content = json.loads((real_data / "icdar15_quads/textdet_test.json").read_text())
    wanted = {one["img_path"]: [tuple(i["polygon"]) for i in one["instances"]] for one in content["data_list"]}
    for split in index.splits:
        for image in index.images(split):
            name = image.path.removeprefix(f"{real_data}/icdar15_quads/")
            assert [found.quad for found in image.objects] == wanted[name]


def test_data_without_classes_or_objects_is_refused(real_data, home):
    for name, sign in (
        ("easy_vqa", "one class only, images"),
        ("nasty_pillow", "a single folder of"),
    ):
        with pytest.raises(DatasetError, match=sign):
            check_dataset(real_data / name, folder=home)
    with pytest.raises(DatasetError, match="read as pascal-voc, which holds data for detect, not for classify"):
        check_dataset(real_data / "bccd", folder=home, task=Task.classify)


def test_masks_of_coco_with_gaps_in_their_values(read, real_data):
    index, report = read("coco128_open", task=Task.semantic)
    root = real_data / "coco128_open"
    assert (index.format, index.task, index.splits) == ("mask-folders", "semantic", {"train": 24, "val": 26})
    written = yaml.safe_load((root / "data-semantic.orig.yaml").read_text(encoding="utf-8"))["classes"]
    assert written.pop(0) == "unlabeled"
    assert dict(zip(index.pixel_classes.values, index.classes, strict=True)) == written
    assert index.pixel_classes.ignored == (0, 255)
    assert {problem.code for problem in report.of("error")} == set()
    assert problem_counts(report).keys() == {
        "class-missing-from-split", "empty-class", "ignored-classes", "classes-renumbered", "ignored-pixels"
    }  # fmt: skip
    for split, folder in (("train", "train2017"), ("val", "val2017")):
        counts, ignored = Counter(), 0
        for image in index.images(split):
            assert image.mask == str(root / "masks-semantic" / folder / f"{Path(image.path).stem}.png")
            with Image.open(image.mask) as mask:
                assert mask.size == (image.width, image.height)
                counts.update({value: count for count, value in mask.getcolors(256)})
        ignored = counts.pop(0)
        assert dict(zip(index.pixel_classes.values, index.class_pixels[split], strict=True)) == {
            value: counts[value] for value in written
        }
        total = sum(counts.values())
        assert report.pixel_shares["person"][split] == pytest.approx(counts[1] / total)
        assert f"{ignored / (ignored + total):.1%} of {split}" in str(report.problems)


def test_coco_s_masks_by_a_description_of_one_s_own(read, real_data, tmp_path):
    names = yaml.safe_load((real_data / "coco128_open/data-semantic.orig.yaml").read_text(encoding="utf-8"))["classes"]
    splits = {
        split: {"images": f"images/{folder}", "masks": f"masks-semantic/{folder}"}
        for split, folder in (("train", "train2017"), ("val", "val2017"))
    }
    described = {"path": str(real_data / "coco128_open"), **splits, "classes": names, "ignore_classes": []}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "coco.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    index, _ = read(tmp_path / "data" / "coco.yaml")
    assert (index.classes[0], len(index.classes)) == ("unlabeled", len(names))
    assert index.pixel_classes.ignored == (255,)
