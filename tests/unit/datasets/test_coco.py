"""COCO JSON: where its files and images lie, ids, masks and keypoints."""

from __future__ import annotations

import json
import os

import pytest

from visiontrain.datasets.masks import Mask
from visiontrain.datasets.objects import Keypoint, Object, Skeleton
from visiontrain.datasets.tasks import UnservedTaskError
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
TRIANGLE = [10, 10, 50, 10, 50, 40]


def coco(annotations=(), images=None, categories=None, **more):
    """A file's text; an annotation is on image 1, of category 3, unless it says otherwise."""
    images = [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}] if images is None else images
    filled = [
        {"id": number, "image_id": 1, "category_id": 3, "iscrowd": 0, **one}
        for number, one in enumerate(annotations, start=1)
    ]
    return json.dumps(
        {"info": {}, "images": images, "annotations": filled, "categories": categories or CATEGORIES, **more}
    )


def pair(*annotations, **options):
    """Files of a dataset with the splits train and val, one image each."""
    text = coco(annotations, **options)
    files = {"annotations/instances_train.json": text, "annotations/instances_val.json": text}
    return files | {"train/a.png": (100, 80), "val/a.png": (100, 80)}


BOX = {"bbox": [10, 20, 30, 40]}


def test_boxes_and_categories_in_the_order_of_their_ids(annotated, read):
    index = read(annotated(pair(BOX, {**BOX, "category_id": 7})))
    assert (index.format, index.task, index.tasks) == ("coco", "detect", ("detect",))
    assert index.classes == ("cat", "dog")
    assert index.image("train", 0).objects == (Object(0, (10, 20, 40, 60)), Object(1, (10, 20, 40, 60)))
    assert index.splits == {"train": 1, "val": 1}


def test_outlines_in_several_parts_and_crowds_as_masks(annotated, read):
    crowd = {"iscrowd": 1, "segmentation": {"size": [80, 100], "counts": [85, 10, 7905]}, "bbox": [1, 5, 1, 10]}
    text = Mask.from_counts(80, 100, (85, 10, 7905)).data.decode()
    whole = {"segmentation": {"size": [80, 100], "counts": text}}
    parts = {"segmentation": [TRIANGLE, [60, 60, 70, 60, 70, 70, 60, 70]], "bbox": [10, 10, 60, 60]}
    root = annotated(pair(parts, crowd, whole))
    index = read(root)
    assert (index.task, index.tasks) == ("segment", ("segment", "detect"))
    first, second, third = index.image("train", 0).objects
    assert first.polygons == ((10, 10, 50, 10, 50, 40), (60, 60, 70, 60, 70, 70, 60, 70))
    assert (second.crowd, second.mask) == (True, Mask.from_counts(80, 100, (85, 10, 7905)))
    assert (third.crowd, third.mask, third.box) == (False, second.mask, (1, 5, 2, 15))
    assert read(root, task=Task.detect).image("train", 0).objects[1] == Object(0, (1, 5, 2, 15), crowd=True)


def test_outlines_that_are_boxes_once_more_are_no_reason_to_segment(annotated, read):
    rectangle = {"bbox": [10, 20, 30, 40], "segmentation": [[10, 20, 40, 20, 40, 60, 10, 60]]}
    root = annotated(pair(rectangle))
    assert (read(root).task, read(root).tasks) == ("detect", ("detect", "segment"))
    assert read(root, task=Task.segment).image("train", 0).objects[0].polygons


PERSON = [{"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2], [1, 3]]}]


def test_keypoints_with_edges_and_mirrored_pairs(annotated, read):
    points = {"category_id": 1, "bbox": [10, 20, 30, 40], "keypoints": [20, 30, 2, 0, 0, 0, 25, 30, 1]}
    none = {"category_id": 1, "bbox": [60, 20, 30, 40], "keypoints": [0] * 9, "segmentation": [TRIANGLE]}
    root = annotated(pair({**points, "segmentation": [TRIANGLE]}, none, categories=PERSON))
    index = read(root)
    assert (index.task, index.tasks) == ("pose", ("pose", "segment", "detect"))
    assert index.skeleton == Skeleton(("nose", "left_eye", "right_eye"), ((0, 1), (0, 2)), (0, 2, 1))
    first, second = index.image("train", 0).objects
    assert first.keypoints == (Keypoint(20, 30, 2), Keypoint(0, 0, 0), Keypoint(25, 30, 1))
    assert second.keypoints == (Keypoint(0, 0, 0),) * 3
    assert read(root, task=Task.segment).skeleton is None


def test_keypoints_that_nobody_labelled_are_none(annotated, read):
    root = annotated(pair({"category_id": 1, "bbox": [10, 20, 30, 40], "keypoints": []}, categories=PERSON))
    assert read(root).task == "detect"
    with pytest.raises(UnservedTaskError, match="not for pose: nothing says what keypoints its objects have"):
        read(root, task=Task.pose)


def test_categories_with_different_keypoints_are_refused_for_pose_alone(annotated, read):
    others = [*PERSON, {"id": 2, "name": "horse", "keypoints": ["nose", "tail"]}]
    root = annotated(pair({"category_id": 1, "bbox": [1, 2, 3, 4], "keypoints": [2, 3, 2] * 3}, categories=others))
    assert read(root).task == "detect"
    with pytest.raises(DatasetError, match="its categories have different keypoints"):
        read(root, task=Task.pose)


@pytest.mark.parametrize(
    ("annotation", "code", "reason"),
    [
        ({"bbox": [10, 20, 30]}, "bad-annotations", "its bbox has 3 numbers"),
        ({"bbox": [10, 20, 30, "40"]}, "bad-annotations", "its bbox hold 40, which is no number"),
        ({"bbox": [10, 20, float("nan"), 40]}, "bad-annotations", "it has the number nan"),
        ({"bbox": [10, 20, float("inf"), 40]}, "bad-annotations", "it has the number inf"),
        ({"bbox": [10, 20, 10**400, 40]}, "bad-annotations", "a number that is too large"),
        ({"bbox": {"x": 1}}, "bad-annotations", "its bbox are no list"),
        ({**BOX, "category_id": 99}, "unknown-classes", "there is no category of the id 99"),
        ({**BOX, "category_id": None}, "unknown-classes", "there is no category of the id None"),
        ({**BOX, "image_id": None}, "bad-annotations", "its image_id is None"),
        ({"segmentation": [[[1, 2], [3, 4]]]}, "bad-annotations", "which is no number"),
        ({"segmentation": {"size": [80, 100], "counts": [1, 2]}}, "bad-annotations", "add up to 3 pixels"),
        ({"segmentation": {"counts": "63203N"}}, "bad-annotations", "is no mask"),
        (
            {"segmentation": {"size": [5, 4], "counts": "63203N"}},
            "bad-annotations",
            "4 x 5 pixels, and its image of 100",
        ),
        ({**BOX, "keypoints": [1, 2]}, "bad-annotations", "its keypoints are 2 numbers"),
        ({"bbox": [10, 20, 0, 5]}, "degenerate-boxes", "its box is 0 x 5 pixels"),
        ({"bbox": [10, 20, 30, -5]}, "degenerate-boxes", "its box is 30 x -5 pixels"),
        ({}, "degenerate-boxes", "it has no box"),
        ({"bbox": [90, 20, 40, 5]}, "boxes-outside", "30.0 pixels out"),
    ],
)
def test_an_annotation_that_can_not_be_used_is_named(annotated, problems, annotation, code, reason):
    found = problems(annotated(pair(BOX, annotation)))[code]
    assert found.files[0] == "annotations/instances_train.json"
    assert reason in found.reasons[0]
    assert "2: " in found.reasons[0]
    assert found.severity == ("warning" if code in {"degenerate-boxes", "boxes-outside"} else "error")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"id": 2}, "its file_name is None"),
        ({"id": 2, "file_name": "a\0.png"}, "its file_name is"),
        ({"file_name": "b.png"}, "its id is None"),
        ({"id": 1, "file_name": "b.png"}, "another image of the id 1"),
        ({"id": 2, "file_name": "a.png"}, "another image of the file train/a.png"),
        ("a.png", "no object with names and values"),
    ],
)
def test_an_image_that_can_not_be_used_is_named(annotated, problems, entry, reason):
    images = [{"id": 1, "file_name": "a.png"}, entry]
    found = problems(annotated(pair(BOX, images=images)))["bad-annotations"]
    assert reason in found.reasons[0]


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([{"id": 1}], "lacks an id, a whole number, or a name"),
        ([{"id": "1", "name": "cat"}], "lacks an id"),
        ([{"id": 3, "name": "cat", "keypoints": ["a"], "skeleton": [[1, 2]]}], "names a keypoint that it lacks"),
        ([{"id": 3, "name": "cat"}, {"id": 7, "name": "cat"}], "3 and 7 are both called 'cat'"),
    ],
)
def test_categories_that_can_not_be_used(annotated, problems, categories, message):
    with pytest.raises(DatasetError, match=message):
        problems(annotated(pair(BOX, {**BOX, "category_id": 7}, categories=categories)))


def test_a_name_that_two_ids_have_goes_to_the_one_in_use(annotated, read):
    categories = [{"id": 0, "name": "cat"}, {"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}]
    assert read(annotated(pair(BOX, categories=categories))).classes == ("cat", "dog")


def test_splits_must_agree_about_categories(annotated, problems):
    files = pair(BOX)
    files["annotations/instances_val.json"] = coco([BOX], categories=[{"id": 3, "name": "cow"}])
    with pytest.raises(DatasetError, match="the category 3 is 'cow' here, and 'cat' before"):
        problems(annotated(files))


def test_what_is_missing_or_too_much_is_told(annotated, problems):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "gone.png"}]
    files = pair(BOX, {**BOX, "image_id": 77}, images=images) | {"train/extra.png": (20, 20)}
    found = problems(annotated(files))
    assert found["missing-images"].files == ("train/gone.png", "val/gone.png")
    assert found["missing-images"].severity == "error"
    assert found["labels-without-image"].reasons[0] == "annotation 2: there is no image of the id 77"
    assert found["unlisted-images"].files == ("train/extra.png",)


def test_sizes_that_differ_are_told(annotated, problems):
    images = [{"id": 1, "file_name": "a.png", "width": 80, "height": 100}]
    found = problems(annotated(pair(BOX, images=images)))["sizes-differ"]
    assert found.severity == "warning"
    assert found.reasons[0] == ("annotated as 80 x 100 pixels, which its EXIF orientation turns, shown as 100 x 80")


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        (("train/_annotations.coco.json", "valid/_annotations.coco.json"), ("train/a.png", "valid/a.png")),
        (("train.json", "val.json"), ("images/train/a.png", "images/val/a.png")),
        (("annotations/train2017.json", "annotations/val2017.json"), ("images/train2017/a.png", "val2017/a.png")),
        (("annotations/coco-train.json", "annotations/coco-validation.json"), ("train/images/a.png", "val/a.png")),
        (("labels/train_coco.json", "labels/test_coco.json"), ("train/a.png", "test/a.png")),
    ],
)
def test_layouts(annotated, read, annotations, images):
    files = dict.fromkeys(annotations, coco([BOX])) | dict.fromkeys(images, (100, 80))
    root = annotated(files)
    index = read(root, for_training=False)
    found = [os.path.relpath(image.path, root) for split in index.splits for image in index.images(split)]
    assert found == list(images)


def test_one_file_is_all_there_is(annotated, read, problems):
    images = [{"id": number, "file_name": f"images/{number}.png"} for number in range(10)]
    annotations = [{**BOX, "image_id": number} for number in range(10)]
    files = {f"images/{number}.png": (60, 60 + number) for number in range(10)}
    root = annotated(files | {"all.json": coco(annotations, images)})
    assert read(root).splits == {"train": 8, "val": 2}
    assert read(root / "all.json").fingerprint == read(root).fingerprint
    assert problems(root)["split-carved"].message.startswith("there is no val split: 20% of train became val")


def test_absolute_paths_are_read_and_told(annotated, read, problems, tmp_path):
    elsewhere = annotated({"x.png": (100, 80)}, "elsewhere")
    images = [{"id": 1, "file_name": str(elsewhere / "x.png")}]
    root = annotated(pair(BOX, images=images))
    assert read(root).image("train", 0).path == str(elsewhere / "x.png")
    assert problems(root)["outside-of-folder"].count == 2


def test_a_folder_in_the_place_of_an_image_is_missing(annotated, problems):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": ".."}, {"id": 3, "file_name": "/dev/null"}]
    found = problems(annotated(pair(BOX, images=images)))["missing-images"]
    reasons = {reason.rpartition(": ")[2] for reason in found.reasons}
    assert reasons == {"it is a folder", "it is no file that could be read"}
    assert found.count == 4


def test_keypoints_in_files_of_their_own_are_read_for_pose(annotated, read, problems):
    points = {"category_id": 1, "bbox": [10, 20, 30, 40], "keypoints": [20, 30, 2] * 3}
    text = coco([points], categories=PERSON)
    files = pair({**BOX, "segmentation": [TRIANGLE]})
    files |= {f"annotations/person_keypoints_{split}.json": text for split in ("train", "val")}
    files |= {"annotations/captions_train.json": '{"images": [], "annotations": []}'}
    root = annotated(files)
    assert read(root).classes == ("cat", "dog")
    assert read(root, task=Task.pose).classes == ("person",)
    assert problems(root)["other-annotations"].reasons == ("--task pose reads it",) * 2


def test_annotations_of_several_kinds_are_chosen_from(annotated, problems):
    files = pair(BOX) | {"annotations/other_train.json": coco([BOX])}
    del files["annotations/instances_val.json"]
    files["annotations/mine_train.json"] = files.pop("annotations/instances_train.json")
    with pytest.raises(DatasetError, match=r"annotations of several kinds: .*mine_train\.json, .*other_train\.json"):
        problems(annotated(files))


def test_two_files_for_one_split_are_refused(annotated, problems):
    files = pair(BOX) | {"annotations/instances_train2014.json": coco([BOX])}
    with pytest.raises(DatasetError, match="several annotation files for the split train"):
        problems(annotated(files))


def test_images_marked_difficult_by_ignore(annotated, read, problems):
    root = annotated(pair(BOX, {"bbox": [1, 2, 3, 4], "ignore": 1}))
    assert [one.difficult for one in read(root).image("train", 0).objects] == [False, True]
    assert problems(root)["difficult-objects"].count == 2
