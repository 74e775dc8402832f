from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.masks import PixelClasses
from visiontrain.datasets.samples import SAMPLES, holds_sample, make_sample
from visiontrain.datasets.shapes import CLASSES
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import InputError
from visiontrain.protocol.tasks import Task
from visiontrain.worker.images import read_rgb

FEW = {"train": 3, "val": 2, "test": 1}


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_shapes_is_a_dataset_without_problems(tmp_path, home):
    report = check_dataset(make_sample("shapes", tmp_path / "a" / "shapes"), folder=home)
    assert report.splits == {"train": 600, "val": 150, "test": 150}
    assert tuple(report.classes) == CLASSES
    assert report.problems == ()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first = files(make_sample("shapes", tmp_path / "1", images_per_class=FEW))
    assert files(make_sample("shapes", tmp_path / "2", images_per_class=FEW)) == first
    assert len(first) == 36
    other = files(make_sample("shapes", tmp_path / "3", images_per_class=FEW, seed=1))
    assert other.keys() == first.keys()
    assert not set(other.values()) & set(first.values())


def test_more_images_leave_the_first_as_they_are(tmp_path):
    few = files(make_sample("shapes", tmp_path / "1", images_per_class=FEW))
    assert few.items() <= files(make_sample("shapes", tmp_path / "2", images_per_class={**FEW, "train": 5})).items()


def test_the_images_are_as_asked_for(tmp_path):
    folder = make_sample("shapes", tmp_path, images_per_class={"train": 1}, image_size=40)
    assert folder == tmp_path
    assert sorted(path.name for path in folder.iterdir()) == ["train"]
    with Image.open(folder / "train/star/0000.jpg") as image:
        assert (image.size, image.mode, image.format) == ((40, 40), "RGB", "JPEG")


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match=r"(?s)is not empty: it holds mine\.txt\n.*Name a new"):
        make_sample("shapes", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(InputError, match="is not a folder"):
        make_sample("shapes", tmp_path / "mine.txt")
    with pytest.raises(InputError, match="is not a folder"):
        make_sample("shapes", tmp_path / "mine.txt" / "below")


def test_the_same_sample_may_be_asked_for_again(tmp_path):
    options = {"images_per_class": FEW, "image_size": 32, "seed": 4}
    before = files(make_sample("shapes", tmp_path, **options))
    assert make_sample("shapes", tmp_path, **options) == tmp_path
    assert files(tmp_path) == before
    assert not holds_sample("shapes", tmp_path)  # as it is made by default


@pytest.mark.parametrize("name", SAMPLES)
def test_images_can_be_written_so_that_no_decoder_is_needed(name, tmp_path):
    made = make_sample(name, tmp_path, images_per_class={"train": 1}, image_size=32, image_format="ppm")
    images = [path for path in files(made) if path.suffix == ".ppm"]
    assert images
    for path in images:
        with Image.open(made / path) as image:
            assert read_rgb(str(made / path)) == image.tobytes()


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"image_size": 40}, {"images_per_class": {**FEW, "val": 3}}, {"image_format": "png"}]
)
def test_another_sample_does_not_count_as_this_one(tmp_path, other):
    options = {"images_per_class": FEW, "image_size": 32}
    make_sample("shapes", tmp_path, **options)
    with pytest.raises(InputError, match="is not empty: it holds test, train, val"):
        make_sample("shapes", tmp_path, **{**options, **other})


@pytest.mark.parametrize("change", ["missing", "empty", "further"])
def test_a_sample_that_was_changed_is_not_taken_for_it(tmp_path, change):
    options = {"images_per_class": FEW, "image_size": 32}
    image = make_sample("shapes", tmp_path, **options) / "train/star/0002.jpg"
    if change == "missing":
        image.unlink()
    elif change == "empty":
        image.write_bytes(b"")
    else:
        image.with_name("mine.jpg").touch()
    with pytest.raises(InputError, match="is not empty"):
        make_sample("shapes", tmp_path, **options)


def test_a_folder_that_can_not_be_made_is_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(InputError, match="shapes can't be written: Permission denied"):
        make_sample("shapes", tmp_path / "shapes")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images_per_class": {"train": -1}}, "0 or more"),
        ({"images_per_class": {"all": 1}}, "for train, val and test"),
        ({"image_size": 8}, "between 16 and 1024"),
        ({"image_format": "gif"}, "one of jpg, png, ppm, not 'gif'"),
    ],
)
def test_numbers_out_of_range_and_unknown_formats(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        make_sample("shapes", tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_unknown_samples_are_told_what_there_is(tmp_path):
    with pytest.raises(InputError, match=r"(?s)no sample dataset 'numbers'.*There are: shapes"):
        make_sample("numbers", tmp_path)
    assert all(sample.name == name for name, sample in SAMPLES.items())


def test_scenes_is_multi_label_data_without_problems(tmp_path, home):
    report = check_dataset(make_sample("scenes", tmp_path / "scenes"), folder=home)
    assert report.splits == {"train": 700, "val": 175, "test": 175}
    assert report.multi_label
    assert tuple(report.classes) == CLASSES
    assert all(250 > counts["train"] >= 100 for counts in report.classes.values())
    assert [problem.code for problem in report.problems] == ["multi-label"]


def test_scenes_with_more_images_begins_with_the_same(tmp_path):
    few = files(make_sample("scenes", tmp_path / "1", images_per_class=FEW))
    more = files(make_sample("scenes", tmp_path / "2", images_per_class={**FEW, "train": 5}))
    lists = [set(found.pop(Path("labels.csv")).splitlines()) for found in (few, more)]
    assert few.items() <= more.items()
    assert lists[0] < lists[1]
    other = files(make_sample("scenes", tmp_path / "3", images_per_class=FEW, seed=1))
    assert not set(other.values()) & set(few.values())


def test_scenes_that_were_changed_are_not_the_sample(tmp_path):
    made = make_sample("scenes", tmp_path / "scenes")
    assert holds_sample("scenes", made)
    listed = made / "labels.csv"
    listed.write_text(listed.read_text().replace("circle-0000.jpg,", "circle-0000.jpg,no "))
    assert not holds_sample("scenes", made)


OBJECTS = {
    "boxes": ("yolo", Task.detect, 5),
    "outlines": ("yolo", Task.segment, 5),
    "keypoints": ("yolo", Task.pose, 1),
    "oriented": ("yolo", Task.obb, 2),
    "coco": ("coco", Task.pose, 1),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_samples_of_objects_are_data_without_problems(tmp_path, home, name):
    layout, task, classes = OBJECTS[name]
    folder = make_sample(name, tmp_path / name, images_per_class=FEW, image_size=64)
    found = index_dataset(folder, folder=home)
    assert found.report.problems == ()
    assert (found.format, found.task) == (layout, task) == (layout, SAMPLES[name].task)
    assert found.splits == {split: classes * count for split, count in FEW.items()}
    index = DatasetIndex(found.path)
    assert all(1 <= len(image.objects) <= 4 for split in index.splits for image in index.images(split))
    assert make_sample(name, folder, images_per_class=FEW, image_size=64) == folder


@pytest.mark.parametrize("name", OBJECTS)
def test_samples_of_objects_with_more_images_begin_with_the_same(tmp_path, name):
    few = files(make_sample(name, tmp_path / "1", images_per_class=FEW))
    more = files(make_sample(name, tmp_path / "2", images_per_class={**FEW, "train": 5}))
    lists = {path for path in few if path.suffix == ".json"}
    assert {path: few[path] for path in few.keys() - lists}.items() <= more.items()
    for path in lists:
        small, large = (
            {json.dumps(one) for key in ("images", "annotations") for one in json.loads(found[path])[key]}
            for found in (few, more)
        )
        assert small <= large
    other = files(make_sample(name, tmp_path / "3", images_per_class=FEW, seed=1))
    assert not {few[path] for path in few if path.suffix == ".jpg"} & set(other.values())


def test_figures_are_where_their_annotations_say(tmp_path, home):
    """Pixels inside of an outline differ from those around it."""
    found = index_dataset(make_sample("coco", tmp_path / "coco", images_per_class=FEW), folder=home, task=Task.segment)
    index = DatasetIndex(found.path)
    for image in index.images("train"):
        with Image.open(image.path) as opened:
            grey = opened.convert("L")
        for one in image.objects:
            mask = Image.new("L", grey.size)
            ImageDraw.Draw(mask).polygon(one.polygons[0], fill=255)
            x1, y1, x2, y2 = map(round, one.box)
            around = ImageChops.subtract(Image.new("L", grey.size, 255), mask).crop((x1, y1, x2, y2))
            inside = ImageStat.Stat(grey, mask)
            assert abs(inside.mean[0] - ImageStat.Stat(grey.crop((x1, y1, x2, y2)), around).mean[0]) > inside.stddev[0]


def test_a_list_that_was_changed_is_not_the_sample(tmp_path):
    options = {"images_per_class": FEW, "image_size": 64}
    changed = make_sample("coco", tmp_path, **options) / "annotations/instances_train.json"
    changed.write_text(changed.read_text().replace('"id": 3,', '"id": 4,', 1))
    with pytest.raises(InputError, match="is not empty"):
        make_sample("coco", tmp_path, **options)


def test_regions_are_data_whose_only_remark_is_their_borders(tmp_path, home):
    folder = make_sample("regions", tmp_path / "regions", images_per_class=FEW, image_size=64)
    found = index_dataset(folder, folder=home)
    assert [problem.code for problem in found.report.problems] == ["ignored-pixels"]
    assert (found.format, found.task, SAMPLES["regions"].task) == ("mask-folders", Task.semantic, Task.semantic)
    assert found.classes == ("background", "circle", "cross", "square", "star", "triangle")
    assert found.splits == {split: 5 * count for split, count in FEW.items()}
    index = DatasetIndex(found.path)
    assert index.pixel_classes == PixelClasses((0, 1, 2, 3, 4, 5), (255,))
    for image in index.images("train"):
        with Image.open(image.mask) as mask:
            shown = index.classes[max(value for _, value in mask.getcolors() if value not in (0, 255))]
            assert mask.size == (64, 64)
        assert shown >= Path(image.path).stem.split("-")[0]  # the classes are in the order of their names
    assert make_sample("regions", folder, images_per_class=FEW, image_size=64) == folder


def test_regions_with_more_images_begin_with_the_same(tmp_path):
    few = files(make_sample("regions", tmp_path / "1", images_per_class=FEW))
    more = files(make_sample("regions", tmp_path / "2", images_per_class={**FEW, "train": 5}))
    assert few.items() <= more.items()
    other = files(make_sample("regions", tmp_path / "3", images_per_class=FEW, seed=1))
    assert not {few[path] for path in few if path.suffix == ".jpg"} & set(other.values())
