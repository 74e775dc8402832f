"""Images with masks of classes: layouts, names, what is wrong with masks, and the index."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from visiontrain.datasets import probe
from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.formats import choose_format
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.masks import PixelClasses
from visiontrain.datasets.tasks import UnservedTaskError
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

SIZE = (8, 6)


def mask_of(*values, size=SIZE, mode="L"):
    """Values in turn, pixel by pixel, until the mask is full."""
    mask = Image.new(mode, size)
    count = size[0] * size[1]
    mask.putdata([values[number % len(values)] for number in range(count)])
    if mode == "P":
        mask.putpalette([number * 7 % 256 for number in range(768)])
    return mask


def save(path: Path, picture: Image.Image, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


@pytest.fixture
def data(tmp_path):
    """Parallel trees: two images in train and one in val; `masks` replaces those by path, None takes one away."""

    def make(masks=None, classes: str | None = "sky\nroad\ncar\n", pattern="{kind}/{split}/{name}"):
        root = tmp_path / "data"
        there = {("train", "1"): mask_of(0, 1), ("train", "2"): mask_of(1, 2, 255), ("val", "3"): mask_of(0, 1, 2)}
        for number, (split, name) in enumerate(there):
            place = pattern.format(kind="images", split=split, name=f"{name}.jpg")
            save(root / place, Image.new("RGB", SIZE, (number * 50, 9, 9)))
        for (split, name), mask in (there | (masks or {})).items():
            if mask is not None:
                save(root / pattern.format(kind="masks", split=split, name=f"{name}.png"), mask)
        if classes is not None:
            (root / "classes.txt").write_text(classes, encoding="utf-8")
        return root

    return make


def test_trees_side_by_side(data, read):
    root = data()
    before = sorted(root.rglob("*"))
    index = read(root)
    assert (index.format, index.task, index.tasks) == ("mask-folders", "semantic", ("semantic",))
    assert index.classes == ("sky", "road", "car")
    assert index.splits == {"train": 2, "val": 1}
    assert (index.has_masks, index.has_objects, index.multi_label) == (True, False, False)
    assert (index.pixel_classes.values, index.pixel_classes.ignored) == ((0, 1, 2), (255,))
    assert index.class_pixels == {"train": (24, 40, 16), "val": (16, 16, 16)}
    image = index.image("train", 1)
    assert image.path == str(root / "images/train/2.jpg")
    assert image.mask == str(root / "masks/train/2.png")
    assert (image.width, image.height, image.label, image.labels, image.objects) == (*SIZE, None, (), ())
    assert [image.mask for image in index.images("val")] == [str(root / "masks/val/3.png")]
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("pattern", ["{split}/{kind}/{name}", "{kind}/{split}/deep/er/{name}"])
def test_splits_above_and_folders_below(data, read, pattern):
    root = data(pattern=pattern)
    index = read(root)
    assert index.splits == {"train": 2, "val": 1}
    assert index.image("val", 0).mask == str(root / pattern.format(kind="masks", split="val", name="3.png"))


@pytest.mark.parametrize("images", ["images", "imgs"])
@pytest.mark.parametrize("masks", ["annotations", "labels", "masks-semantic", "SegmentationClass"])
def test_trees_by_other_names(data, read, images, masks):
    root = data()
    (root / "images").rename(root / images)
    (root / "masks").rename(root / masks)
    for tree in (images, masks):
        (root / tree / "train").rename(root / tree / "training")
        (root / tree / "val").rename(root / tree / "validation")
    assert read(root).splits == {"train": 2, "val": 1}


def test_without_splits_val_is_carved(tmp_path, read, problems):
    root = tmp_path / "data"
    for number in range(10):
        save(root / f"images/{number}.jpg", Image.new("RGB", SIZE, (number * 20, 0, 0)))
        save(root / f"masks/{number}.png", mask_of(0, number % 2 + 1))
    assert read(root).splits == {"train": 8, "val": 2}
    assert "20% of train became val" in problems(root)["split-carved"].message


def test_masks_beside_their_images(tmp_path, read):
    root = tmp_path / "data"
    for split in ("train", "valid"):
        save(root / split / "1.jpg", Image.new("RGB", SIZE, (len(split) * 20, 0, 0)))
        save(root / split / "1_mask.png", mask_of(0, 1))
        (root / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, leaf\n", encoding="utf-8")
    index = read(root)
    assert (index.classes, index.splits) == (("background", "leaf"), {"train": 1, "val": 1})
    assert index.image("train", 0).mask == str(root / "train/1_mask.png")


def test_masks_in_a_tree_of_their_own_by_a_longer_name(data, read, problems):
    root = data()
    for mask in sorted((root / "masks").rglob("*.png")):
        mask.rename(mask.with_name(f"{mask.stem}_mask.png"))
    save(root / "masks/train/stray.png", mask_of(0))
    assert read(root).splits == {"train": 2, "val": 1}
    assert problems(root)["labels-without-image"].files == ("masks/train/stray.png",)


def test_folders_of_classes_that_hold_masks_are_folders_of_classes(tmp_path, read):
    root = tmp_path / "data"
    for number, name in enumerate(("benign", "malignant")):
        for each in range(5):
            save(root / name / f"{each}.png", Image.new("RGB", SIZE, (number * 90, each * 9, 0)))
            save(root / name / f"{each}_mask.png", mask_of(0, each, number + 7))
    assert read(root).task == "classify"


def test_the_values_of_ade20k(tmp_path, read, problems):
    root = tmp_path / "data"
    for split in ("training", "validation"):
        save(root / "images" / split / "1.jpg", Image.new("RGB", SIZE, (len(split) * 20, 0, 0)))
        save(root / "annotations" / split / "1.png", mask_of(0, 1, 2))
    rows = ["Idx\tRatio\tTrain\tVal\tStuff\tName", "1\t0.15\t11\t1\t1\twall", "2\t0.1\t6\t0\t1\tbuilding, edifice"]
    (root / "objectInfo150.txt").write_text("\n".join(rows), encoding="utf-8")
    index = read(root)
    assert index.classes == ("wall", "building, edifice")
    assert (index.pixel_classes.values, index.pixel_classes.ignored) == ((1, 2), (0, 255))
    found = problems(root)
    assert "unlabeled (0)" in found["ignored-classes"].message
    assert "33.3% of train, 33.3% of val (of value 0, 255)" in found["ignored-pixels"].message


def test_values_become_class_indices():
    meaning = PixelClasses((3, 7, 300), (0, 255))
    table = meaning.table()
    assert (len(table), table.itemsize, meaning.ignore_value) == (65536, 2, 255)
    assert [table[value] for value in (3, 7, 300, 0, 255, 5)] == [0, 1, 2, 255, 255, 255]
    assert PixelClasses(tuple(range(256)), ()).ignore_value == 65535
    assert PixelClasses(tuple(range(255)), (255,)).ignore_value == 255


@pytest.mark.parametrize(
    ("text", "classes", "meaning"),
    [
        ("sky\nroad\ncar\n", ("sky", "road", "car"), ((0, 1, 2), (255,))),
        ("\ufeffsky\r\n\r\nroad\r\ncar", ("sky", "road", "car"), ((0, 1, 2), (255,))),
        ("2: car\n0: sky\n1: road", ("sky", "road", "car"), ((0, 1, 2), (255,))),
        ("0 sky\n1 road\n2 car of 5 doors", ("sky", "road", "car of 5 doors"), ((0, 1, 2), (255,))),
        ("Void\nroad\ncar", ("road", "car"), ((1, 2), (0, 255))),
        ("0: sky\n1: road\n2: car\n255: border", ("sky", "road", "car", "border"), ((0, 1, 2, 255), ())),
        ("5 seats\n3 doors\n2", ("5 seats", "3 doors", "2"), ((0, 1, 2), (255,))),
    ],
)
def test_names_in_a_file_beside(data, read, text, classes, meaning):
    index = read(data(classes=text))
    assert (index.classes, index.pixel_classes) == (classes, PixelClasses(*meaning))


@pytest.mark.parametrize(
    ("text", "reason"), [("", "is empty"), ("sky\nsky\n", "several classes one name: sky"), ("70000: a", "65535")]
)
def test_names_that_can_not_be_used(data, read, text, reason):
    with pytest.raises(DatasetError, match=reason):
        read(data(classes=text))


def test_without_names_each_value_is_a_class(data, read, problems):
    root = data(classes=None)
    index = read(root)
    assert (index.classes, index.pixel_classes.values) == (("0", "1", "2"), (0, 1, 2))
    assert "classes.txt" in problems(root)["classes-unnamed"].message


@pytest.fixture
def described(data):
    """A YAML file beside trees of other names."""

    def make(text):
        root = data({("train", "2"): mask_of(1, 2, 9)}, classes=None)
        (root / "images").rename(root / "a")
        (root / "masks").rename(root / "b")
        file = root / "data.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return make


TREES = "train: {images: a/train, masks: b/train}\nval:\n  images: a/val\n  masks: b/val\n"


@pytest.mark.parametrize("whole", [True, False])
def test_a_description(described, read, whole):
    file = described(f"path: .\n{TREES}classes:\n  0: sky\n  1: road\n  2: car\nignore_classes: [1]\nignore_value: 9\n")
    index = read(file if whole else file.parent)
    assert index.splits == {"train": 2, "val": 1}
    assert index.classes == ("sky", "car")
    assert (index.pixel_classes.values, index.pixel_classes.ignored) == ((0, 2), (1, 9))
    assert index.image("val", 0).mask == str(file.parent / "b/val/3.png")


def test_a_description_without_names_takes_those_beside(described, read):
    file = described(TREES + "ignore_value: 9\n")
    (file.parent / "classes.txt").write_text("a\nb\nc\n", encoding="utf-8")
    assert read(file).classes == ("a", "b", "c")


def test_of_several_descriptions_one_is_to_be_given(described, read):
    file = described(TREES + "classes: [a, b, c]\nignore_value: 9\n")
    shutil.copy(file, file.with_name("other.yaml"))
    with pytest.raises(DatasetError, match=r"several descriptions of masks: data\.yaml, other\.yaml"):
        read(file.parent)
    (file.with_name("other.yaml")).write_text(TREES.replace("b/val", "gone"), encoding="utf-8")
    assert read(file.parent).classes == ("a", "b", "c")


def test_the_only_description_that_can_not_be_used_says_why(described, read):
    file = described(TREES.replace("b/val", "gone"))
    with pytest.raises(DatasetError, match=r"data\.yaml names gone for `masks` of `val`"):
        read(file.parent)


def test_a_description_of_elsewhere_still_names_the_classes(data, read):
    root = data(classes=None)
    text = TREES.replace("a/", "../there/").replace("b/", "../gone/") + "classes: [sky, road, car]\n"
    (root / "published.yaml").write_text(text, encoding="utf-8")
    assert read(root).classes == ("sky", "road", "car")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TREES.replace("b/val", "none/val"), "no folder .*none/val"),
        (TREES + "classes: {a: 1}", "'a' in `classes`"),
        (TREES + "classes: {1: true}", "True for the name"),
        (TREES + "classes: 3", "no class names"),
        (TREES + "ignore_classes: [x]", "`ignore_classes`"),
        (TREES + "ignore_value: [1, 2]", "several numbers"),
        (TREES + "valid: {images: a, masks: b}", "val and valid"),
        ("train: {images: a/train, masks: 3}\n", "a folder is due"),
        ("train: {masks: b/train}\n", "no `images` and `masks`"),
        ("val: {images: a/val, masks: b/val}\n", "none to train on"),
    ],
)
def test_a_description_that_can_not_be_used(described, read, text, reason):
    with pytest.raises(DatasetError, match=reason):
        read(described(text))


def test_masks_of_all_modes_are_understood(data, read):
    one_bit = Image.frombytes("1", (8, 6), b"\xf0" * 6)
    masks = {
        ("train", "1"): mask_of(0, 1, 2, mode="P"),
        ("train", "2"): mask_of(0, 2, mode="I;16"),
        ("val", "3"): one_bit,
    }
    index = read(data(masks))
    assert index.class_pixels == {"train": (16 + 24, 16, 16 + 24), "val": (24, 24, 0)}


def test_values_of_16_bits(data, read):
    masks = {("train", "1"): mask_of(300, 40000, mode="I;16"), ("train", "2"): mask_of(300, mode="I;16")}
    masks[("val", "3")] = mask_of(300, 40000, 65535, mode="I;16")
    index = read(data(masks, classes="300: a\n40000: b\n65535: void"))
    assert (index.pixel_classes.values, index.pixel_classes.ignored) == ((300, 40000), (255, 65535))
    assert index.class_pixels == {"train": (24 + 48, 24), "val": (16, 16)}


def test_a_photo_that_is_turned_when_it_is_shown(data, read):
    root = data({("train", "1"): mask_of(0, 1, size=(6, 8))})
    exif = Image.Exif()
    exif[0x0112] = 6
    save(root / "images/train/1.jpg", Image.new("RGB", SIZE), exif=exif)
    image = read(root).image("train", 0)
    assert (image.width, image.height) == (6, 8)


@pytest.mark.parametrize(
    ("mask", "code", "reason"),
    [
        (mask_of(0, 1, size=(8, 5)), "mask-sizes-differ", "8 x 5 pixels, and its image is shown as 8 x 6"),
        (mask_of(0, 3, 9), "unknown-values", "3, 9, in 32 pixels"),
        (mask_of((1, 2, 3), mode="RGB"), "mask-channels", "its colour mode is RGB"),
        (mask_of((1, 255), mode="LA"), "mask-channels", "its colour mode is LA"),
    ],
)
def test_a_mask_that_is_wrong_is_an_error(data, problems, mask, code, reason):
    found = problems(data({("train", "1"): mask}))[code]
    assert (found.severity, found.files, found.reasons, found.count) == ("error", ("masks/train/1.png",), (reason,), 1)


def test_a_wrong_mask_keeps_data_from_being_read(data, read):
    with pytest.raises(DatasetError, match=r"of another size than their images:\n  masks/train/1\.png"):
        read(data({("train", "1"): mask_of(0, 1, size=(8, 5))}))


def test_values_of_no_class_come_with_those_that_have_one(data, problems):
    found = problems(data({("train", "1"): mask_of(0, 3)}))["unknown-values"]
    assert "the values of classes are 0 to 2, those of pixels to ignore 255" in found.message


def test_a_turned_photo_with_a_mask_as_it_is_stored(data, problems):
    root = data()
    exif = Image.Exif()
    exif[0x0112] = 8
    save(root / "images/train/1.jpg", Image.new("RGB", SIZE), exif=exif)
    (reason,) = problems(root)["mask-sizes-differ"].reasons
    assert reason == "8 x 6 pixels, and its image is shown as 6 x 8, turned by its EXIF orientation"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:45]), "cut off|damaged"),
        (lambda path: path.write_text("no image", encoding="utf-8"), "it holds text"),
        (lambda path: mask_of(0, 1).save(path, format="JPEG"), "JPEG may change the values of pixels"),
    ],
)
def test_a_mask_that_can_not_be_read(data, read, problems, spoil, reason):
    root = data()
    spoil(root / "masks/train/1.png")
    found = problems(root)
    assert found["unreadable"].files == ("images/train/1.jpg",)
    assert found["unreadable"].reasons[0].startswith("its mask masks/train/1.png can't be read: ")
    assert re.search(reason, found["unreadable"].reasons[0])
    with pytest.raises(DatasetError, match="skip-unreadable"):
        read(root)
    assert read(root, skip_unreadable=True).splits == {"train": 1, "val": 1}


def test_values_that_no_class_may_have(data, problems):
    root = data()
    mask = Image.new("I", SIZE, 70000)
    mask.save(root / "masks/train/1.tif")
    (root / "masks/train/1.png").unlink()
    assert "it has the values 70,000 to 70,000" in problems(root)["unreadable"].reasons[0]


def test_a_file_of_very_many_values_is_no_mask(data, problems):
    root = data()
    depth = mask_of(*range(5000), size=(100, 80), mode="I;16")
    save(root / "masks/train/1.png", depth)
    assert "5,000 different values" in problems(root)["unreadable"].reasons[0]


def test_images_without_masks_and_masks_without_images(data, read, problems):
    root = data({("train", "1"): None, ("train", "9"): mask_of(0, 1)})
    found = problems(root)
    assert found["missing-annotations"].files == ("images/train/1.jpg",)
    assert found["labels-without-image"].files == ("masks/train/9.png",)
    assert read(root).splits == {"train": 1, "val": 1}


def test_a_split_without_masks_is_told(data, problems):
    root = data()
    save(root / "images/test/4.jpg", Image.new("RGB", SIZE))
    assert problems(root)["ignored-folders"].files == ("images/test",)


def test_masks_of_ignored_pixels_alone(data, read, problems):
    root = data({("train", "1"): mask_of(255)})
    found = problems(root)["empty-masks"]
    assert (found.severity, found.files) == ("warning", ("masks/train/1.png",))
    assert read(root).splits == {"train": 2, "val": 1}


def test_classes_that_a_split_or_all_masks_lack(data, problems):
    found = problems(data({("train", "2"): mask_of(1)}, classes="sky\nroad\ncar\ntree\n"))
    assert found["class-missing-from-split"].severity == "warning"
    assert "no mask of train has 1 class found in others: car" in found["class-missing-from-split"].message
    assert "1 class in no mask: tree" in found["empty-class"].message


def test_foreground_as_255_is_told(data, problems, read):
    foreground = {place: mask_of(0, 255) for place in (("train", "1"), ("train", "2"), ("val", "3"))}
    root = data(foreground, classes="background\nroad\n")
    assert "255: NAME" in problems(root)["too-few-classes"].message
    with pytest.raises(DatasetError):
        read(root)
    (root / "classes.txt").write_text("0: background\n255: road\n", encoding="utf-8")
    index = read(root)
    assert (index.classes, index.pixel_classes.values) == (("background", "road"), (0, 255))


def test_shares_of_pixels_in_the_report(data, home):
    report = check_dataset(data(), folder=home)
    assert report.classes == {
        "sky": {"train": 1, "val": 1}, "road": {"train": 2, "val": 1}, "car": {"train": 1, "val": 1},
    }  # fmt: skip
    assert report.pixel_shares["sky"] == {"train": pytest.approx(24 / 80), "val": pytest.approx(1 / 3)}
    assert sum(shares["train"] for shares in report.pixel_shares.values()) == pytest.approx(1)
    assert report.objects == {}


def test_another_mask_is_another_fingerprint(data, home):
    root = data()
    before = index_dataset(root, folder=home)
    assert index_dataset(root, folder=home).fingerprint == before.fingerprint
    save(root / "masks/train/1.png", mask_of(1, 0))
    after = index_dataset(root, folder=home)
    assert after.fingerprint != before.fingerprint
    (root / "classes.txt").write_text("sky\nroad\nvan\n", encoding="utf-8")
    assert index_dataset(root, folder=home).fingerprint not in (before.fingerprint, after.fingerprint)


def test_one_image_with_two_masks(data, problems):
    root = data()
    for name in "12":
        save(root / f"images/train/{name}.jpg", Image.new("RGB", SIZE))
    assert problems(root)["same-image-two-masks"].files == ("images/train/1.jpg", "images/train/2.jpg")


def test_masks_are_decoded_once(data, read, home, monkeypatch):
    root = data()
    read(root)
    seen = []
    decode = probe.decode_all

    def watch(files, count, **options):
        seen.append((options["kind"], count))
        return decode(files, count, **options)

    monkeypatch.setattr(probe, "decode_all", watch)
    read(root)
    assert seen == [("images", 0), ("masks", 0)]
    os.utime(root / "masks/train/1.png", ns=(1, 1))
    read(root)
    assert seen[-1] == ("masks", 1)


def test_a_trainer_of_labels_is_told(data, read):
    with pytest.raises(DatasetError, match="have masks, for the task semantic"):
        read(data()).labels("train")


def test_the_index_goes_to_other_processes(data, read):
    index = pickle.loads(pickle.dumps(read(data())))
    assert isinstance(index, DatasetIndex)
    assert index.image("val", 0).mask.endswith("3.png")


@pytest.fixture
def voc(tmp_path):
    """Pascal VOC's folders: a and b in train, c in val."""

    def make(lists=True, inside="", extra=()):
        root = tmp_path / "data" / inside
        for number, name in enumerate(("a", "b", "c", "unmasked")):
            save(root / f"JPEGImages/{name}.jpg", Image.new("RGB", SIZE, (number * 40, 0, 0)))
        for name in ("a", "b", "c", *extra):
            save(root / f"SegmentationClass/{name}.png", mask_of(0, 15, 255, mode="P"))
        if lists:
            (root / "ImageSets/Segmentation").mkdir(parents=True)
            (root / "ImageSets/Segmentation/train.txt").write_text("a\nb\n", encoding="utf-8")
            (root / "ImageSets/Segmentation/val.txt").write_text("c\n\n", encoding="utf-8")
        return tmp_path / "data"

    return make


@pytest.mark.parametrize("inside", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_pascal_voc(voc, read, problems, inside):
    root = voc(inside=inside)
    index = read(root)
    assert (index.format, index.task, index.splits) == ("pascal-voc-masks", "semantic", {"train": 2, "val": 1})
    assert len(index.classes) == 21
    assert (index.classes[0], index.classes[15]) == ("background", "person")
    assert index.class_pixels["val"][0] == 16
    assert index.image("val", 0).mask == str(root / inside / "SegmentationClass/c.png")
    found = problems(root)
    assert "Pascal VOC's 21" in found["classes-assumed"].message
    assert "unlisted-images" not in found  # most of VOC's have no mask


def test_pascal_voc_with_names_and_without_lists(voc, read):
    root = voc(lists=False)
    (root / "class_names.txt").write_text("0: ground\n15: cell\n", encoding="utf-8")
    index = read(root)
    assert index.classes == ("ground", "cell")
    assert sum(index.splits.values()) == 3


def test_lists_that_name_what_is_not_there(voc, problems):
    root = voc(extra=("d", "unmasked"))
    lists = root / "ImageSets/Segmentation"
    (lists / "train.txt").write_text("a\nb\nb\nmissing\n", encoding="utf-8")
    (root / "SegmentationClass/b.png").unlink()
    found = problems(root)
    assert found["missing-images"].files == ("missing",)
    assert found["missing-annotations"].files == ("JPEGImages/b.jpg",)
    assert found["labels-without-image"].files == ("SegmentationClass/d.png",)
    assert found["unlisted-images"].files == ("JPEGImages/unmasked.jpg",)
    assert "repeated-rows" in found


def test_pascal_voc_lists_without_train(voc, read):
    root = voc()
    (root / "ImageSets/Segmentation/train.txt").rename(root / "ImageSets/Segmentation/trainval.txt")
    assert read(root).splits == {"train": 1, "val": 1}  # of a and b
    (root / "ImageSets/Segmentation/trainval.txt").unlink()
    with pytest.raises(DatasetError, match="none to train on"):
        read(root)


def test_masks_beside_boxes_of_the_same_images(voc, read):
    root = voc()
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox>"
    for name in "abc":
        file = root / f"Annotations/{name}.xml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"<annotation><object><name>cat</name>{box}</object></annotation>", encoding="utf-8")
    assert choose_format(str(root), None).name == "pascal-voc"
    assert read(root, task=Task.semantic).format == "pascal-voc-masks"
    assert read(root, among=(Task.semantic,)).task == "semantic"
    with pytest.raises(UnservedTaskError, match="is read as pascal-voc, which holds data for detect, not for classify"):
        choose_format(str(root), Task.classify)


def test_masks_beside_a_list_of_labels(data, read):
    root = data()
    rows = ["path,label,split", "images/train/1.jpg,day,train", "images/train/2.jpg,night,train"]
    (root / "labels.csv").write_text("\n".join([*rows, "images/val/3.jpg,day,val"]), encoding="utf-8")
    assert read(root).task == "classify"
    assert read(root, task=Task.semantic).class_pixels["val"] == (16, 16, 16)


def test_masks_serve_no_other_task(data, read):
    with pytest.raises(UnservedTaskError, match="holds data for semantic, not for detect"):
        read(data(), task=Task.detect)


def test_two_trees_of_masks(data, read):
    root = data()
    for split, name in (("train", "1"), ("val", "3")):
        save(root / f"masks_coarse/{split}/{name}.png", mask_of(0, 1))
    with pytest.raises(DatasetError, match="several folders of masks: masks, masks_coarse"):
        read(root)


def test_two_folders_of_one_split(data, read):
    root = data()
    save(root / "images/valid/5.jpg", Image.new("RGB", SIZE))
    save(root / "masks/valid/5.png", mask_of(0, 1))
    with pytest.raises(DatasetError, match=r"several folders for one split \(val\)"):
        read(root)


def test_nothing_to_train_on(data, read):
    root = data()
    shutil.rmtree(root / "images/train")
    with pytest.raises(DatasetError, match="none to train on"):
        read(root)
    assert read(root, for_training=False).splits == {"val": 1}
