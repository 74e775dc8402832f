"""Pascal VOC: layouts, lists, numbers counted from 1, and XML from strangers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from visiontrain.datasets.objects import Object
from visiontrain.errors import DatasetError


def thing(name="cat", box=(11, 21, 40, 60), **more):
    corners = "".join(
        f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    further = "".join(f"<{key}>{value}</{key}>" for key, value in more.items())
    return f"<object><name>{name}</name>{further}<bndbox>{corners}</bndbox></object>"


def xml(*objects, filename="any.jpg", size=(100, 80)):
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{filename}</filename>{sides}{''.join(objects)}</annotation>"


@pytest.fixture
def data(annotated):
    """A dataset with lists: image a in train, b in val."""

    def make(*objects, more=None, **options):
        text = xml(*(objects or (thing(),)), **options)
        files = {f"JPEGImages/{name}.png": (100, 80) for name in "ab"}
        files |= {f"Annotations/{name}.xml": text for name in "ab"}
        files |= {"ImageSets/Main/train.txt": "a\n", "ImageSets/Main/val.txt": "b\n\n"}
        return annotated(files | (more or {}))

    return make


def test_pixels_are_counted_from_one_and_the_last_is_inside(data, read):
    objects = (thing(), thing("dog", (1, 1, 100, 80), difficult=1), thing("ant", (2, 2, 3, 3), truncated=1))
    index = read(data(*objects))
    assert (index.format, index.task, index.tasks) == ("pascal-voc", "detect", ("detect",))
    assert index.classes == ("ant", "cat", "dog")
    assert index.splits == {"train": 1, "val": 1}
    assert index.image("val", 0).objects == (
        Object(1, (10, 20, 40, 60)),
        Object(2, (0, 0, 100, 80), difficult=True),
        Object(0, (1, 1, 3, 3), truncated=True),
    )


def test_flags_in_other_words_are_not_set(data, read):
    found = read(data(thing(truncated="Unspecified", difficult="0"))).image("train", 0).objects[0]
    assert (found.truncated, found.difficult) == (False, False)


@pytest.mark.parametrize(
    ("found", "code", "reason"),
    [
        (thing(box=(5, 5, 5, 9)), "degenerate-boxes", "object 2: its box is 0 x 4 pixels"),
        (thing(box=(9, 5, 5, 9)), "degenerate-boxes", "object 2: its box is -4 x 4 pixels"),
        (thing(box=(0, 1, 9, 9)), "boxes-clipped", "object 2: its box reaches 1.00 pixels out"),
        (thing(box=(1, 1, 300, 9)), "boxes-outside", "object 2: its box reaches 200.0 pixels out"),
        (thing(box=("nan", 1, 3, 9)), "bad-annotations", "object 2: it has the number nan"),
        (thing(box=("one", 1, 3, 9)), "bad-annotations", "object 2: it lacks a bndbox of xmin"),
        (thing(name=""), "bad-annotations", "object 2: it lacks a name"),
        ("<object><name>cat</name></object>", "bad-annotations", "object 2: it lacks a bndbox"),
        (thing(), "repeated-objects", "object 2: it is there twice"),
    ],
)
def test_an_object_that_can_not_be_used_is_named(data, problems, found, code, reason):
    problem = problems(data(thing(), found))[code]
    assert problem.files == ("Annotations/a.xml", "Annotations/b.xml")
    assert problem.reasons[0].startswith(reason)


def test_parts_of_an_object_are_no_objects(data, read):
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></part>"
    whole = thing().replace("<bndbox>", part + "<bndbox>", 1)
    assert read(data(whole)).image("train", 0).objects == (Object(0, (10, 20, 40, 60)),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<!DOCTYPE a [<!ENTITY x "boo">]><annotation>&x;</annotation>', "it declares XML entities"),
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
            "it declares XML entities",
        ),
        ('<!DOCTYPE a [<!ENTITY % x "b">]><annotation/>', "it declares XML entities"),
        ("<annotation>&x;</annotation>", "it is no XML: undefined entity"),
        ("<annotation><object></annotation>", "it is no XML: mismatched tag"),
        ("", "it is no XML: no element found"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "it is no XML"),
    ],
)
def test_xml_from_strangers(data, problems, text, reason):
    problem = problems(data(more={"Annotations/b.xml": text}))["bad-annotations"]
    assert problem.severity == "error"
    assert problem.files == ("Annotations/b.xml",)
    assert problem.reasons[0].startswith(reason)


def test_entities_that_blow_up_do_not(data, problems):
    lines = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE a [<!ENTITY x0 "boo">{lines}]><annotation>&x11;</annotation>'
    assert problems(data(more={"Annotations/a.xml": bomb}))["bad-annotations"].count == 1


def test_a_declared_type_without_entities_is_read(data, read):
    text = '<!DOCTYPE annotation SYSTEM "voc.dtd">' + xml(thing("cow"))
    assert read(data(more={"Annotations/a.xml": text})).classes == ("cat", "cow")


def test_images_and_annotations_that_lack_each_other(data, problems):
    more = {"ImageSets/Main/train.txt": "a\nlone\ngone\n", "JPEGImages/lone.png": (9, 9), "JPEGImages/new.png": (9, 9)}
    more |= {"Annotations/orphan.xml": xml(thing())}
    found = problems(data(more=more))
    assert (found["missing-images"].files, found["missing-images"].severity) == (("gone",), "error")
    assert found["missing-annotations"].files == ("JPEGImages/lone.png",)
    assert found["labels-without-image"].files == ("Annotations/orphan.xml",)
    assert found["unlisted-images"].files == ("JPEGImages/new.png",)


def test_without_lists_a_val_split_is_carved(annotated, read, problems):
    files = {f"images/{number}.png": (100, 80) for number in range(11)}
    root = annotated(files | {f"annotations/{number}.xml": xml(thing()) for number in range(10)})
    assert read(root).splits == {"train": 8, "val": 2}
    assert problems(root)["missing-annotations"].files == ("images/10.png",)


def test_trainval_alone_is_trained_on_and_carved(data, read):
    root = data(
        more={"ImageSets/Main/trainval.txt": "a\nb\n", "ImageSets/Main/test.txt": "c\n"}
        | {"JPEGImages/c.png": (50, 50), "Annotations/c.xml": xml(thing(), size=(50, 70))}
    )
    (root / "ImageSets/Main/train.txt").unlink()
    assert read(root).splits == {"train": 1, "val": 1, "test": 1}


@pytest.mark.parametrize("names", [("train", "valid"), ("Train", "Test")])
def test_folders_may_say_the_splits(annotated, read, names):
    files = {f"{name}/a.xml": xml(thing()) for name in names} | {f"{name}/a.png": (100, 80) for name in names}
    root = annotated(files)
    index = read(root, for_training=False)
    found = [os.path.relpath(image.path, root) for split in index.splits for image in index.images(split)]
    assert found == [f"{name}/a.png" for name in names]


def test_splits_without_train_are_refused(annotated, read):
    files = {f"{name}/a.xml": xml(thing()) for name in ("val", "test")}
    with pytest.raises(DatasetError, match="has images for test, val, and none to train on"):
        read(annotated(files | {"val/a.png": (9, 9), "test/a.png": (9, 9)}))


def test_the_archives_folders_are_looked_into(annotated, read):
    files = {
        f"VOCdevkit/VOC2007/{name}": text
        for name, text in (
            ("Annotations/a.xml", xml(thing())),
            ("Annotations/b.xml", xml(thing())),
        )
    } | {"VOCdevkit/VOC2007/JPEGImages/a.png": (100, 80), "VOCdevkit/VOC2007/JPEGImages/b.png": (100, 80)}
    root = annotated(files)
    assert read(root).root == root / "VOCdevkit/VOC2007"
    assert read(root / "VOCdevkit").splits == {"train": 1, "val": 1}
    annotated({"VOCdevkit/VOC2012/Annotations/a.xml": xml(thing())})
    with pytest.raises(DatasetError, match="VOCdevkit has several datasets: VOC2007, VOC2012"):
        read(root)


def test_the_name_in_the_xml_is_the_second_choice(data, read):
    more = {"ImageSets/Main/train.txt": "a\nc\n", "JPEGImages/x.png": (100, 80)}
    root = data(more=more | {"Annotations/c.xml": xml(thing(), filename="C:\\photos\\x.jpg")})
    assert [Path(image.path).name for image in read(root).images("train")] == ["a.png", "x.png"]


def test_no_image_at_all_is_refused(annotated, read):
    with pytest.raises(DatasetError, match="none of the XML files has an image"):
        read(annotated({"Annotations/a.xml": xml(thing())}))


def test_sizes_that_differ_are_told_and_unknown_ones_are_not(data, problems):
    assert "sizes-differ" not in problems(data(size=(0, 0)))
    assert "sizes-differ" not in problems(data(size=("", "x")))
    assert problems(data(size=(50, 40)))["sizes-differ"].reasons[0] == "annotated as 50 x 40 pixels, shown as 100 x 80"
