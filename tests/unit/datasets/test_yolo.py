"""YOLO folders: data.yaml in all its spellings, and label files."""

from __future__ import annotations

import os

import pytest

from visiontrain.datasets.annotation import Annotation
from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.formats.yolo_labels import BadLine, Columns, read_labels
from visiontrain.datasets.objects import Keypoint, Object, Skeleton
from visiontrain.datasets.tasks import UnservedTaskError
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

NAMES = "names: [cat, dog]\n"
YAML = f"path: .\ntrain: images/train\nval: images/val\n{NAMES}"
BOX = "0 0.5 0.5 0.5 0.5\n"
OUTLINE = "1 0.1 0.1 0.9 0.1 0.9 0.5\n"
QUAD = "0 0.1 0.1 0.9 0.1 0.9 0.5 0.1 0.5\n"


@pytest.fixture
def data(annotated):
    """A folder with two images, one a split, and labels; or others."""

    def make(labels=BOX, yaml=YAML, more=None, name="data"):
        files = {"data.yaml": yaml, "images/train/a.png": (200, 100), "images/val/b.png": (100, 100)}
        files |= {"labels/train/a.txt": labels, "labels/val/b.txt": labels}
        return annotated(files | (more or {}), name)

    return make


def test_boxes_become_pixels_of_each_image(data, read):
    index = read(data("0 0.5 0.5 0.5 0.5\n1.0 0.25 0.25 0.1 0.2\n\n"))
    assert (index.format, index.task, index.tasks) == ("yolo", "detect", ("detect",))
    assert index.classes == ("cat", "dog")
    assert index.splits == {"train": 1, "val": 1}
    assert index.image("train", 0).objects == (
        Object(0, (50.0, 25.0, 150.0, 75.0)),
        Object(1, (40.0, 15.0, 60.0, 35.0)),
    )
    assert index.image("val", 0).objects[0] == Object(0, (25.0, 25.0, 75.0, 75.0))
    assert [len(image.objects) for image in index.images("train")] == [2]
    assert (index.image("train", 0).label, index.image("train", 0).labels) == (None, ())
    with pytest.raises(DatasetError, match="images have objects, for the task detect"):
        index.labels("train")


def test_outlines_are_for_segment_and_detect(data, read):
    root = data(OUTLINE + "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2 0.05 0.15\n")
    index = read(root)
    assert (index.task, index.tasks) == ("segment", ("segment", "detect"))
    polygons = index.image("val", 0).objects[0].polygons
    assert polygons == (pytest.approx((10, 10, 90, 10, 90, 50)),)
    boxes = read(root, task=Task.detect)
    assert (boxes.task, boxes.image("val", 0).objects[0].polygons) == ("detect", ())
    assert boxes.image("val", 0).objects[0].box == pytest.approx((10, 10, 90, 50))
    assert boxes.fingerprint != index.fingerprint


def test_four_corners_in_every_line_are_turned_boxes(data, read):
    root = data(QUAD)
    index = read(root)
    assert (index.task, index.tasks) == ("obb", ("obb", "segment", "detect"))
    assert index.image("val", 0).objects[0].quad == pytest.approx((10, 10, 90, 10, 90, 50, 10, 50))
    assert read(root, task=Task.segment).image("val", 0).objects[0].polygons
    with pytest.raises(UnservedTaskError, match="for segment or detect, not for obb: 2 of 4 objects have no four"):
        read(data(QUAD + OUTLINE, name="other"), task=Task.obb)


def test_boxes_alone_can_not_be_segmented(data, read):
    with pytest.raises(UnservedTaskError, match="for detect, not for segment: 2 of 4 objects have no outline"):
        read(data(OUTLINE + BOX), task=Task.segment)
    assert read(data(OUTLINE + BOX)).task == "detect"


KEYPOINTS = YAML + "kpt_shape: [2, 3]\nflip_idx: [1, 0]\n"


def test_keypoints_have_a_skeleton(data, read):
    index = read(data("0 0.5 0.5 0.5 0.5 0.4 0.4 2 0.6 0.6 1\n", KEYPOINTS))
    assert (index.task, index.tasks) == ("pose", ("pose", "detect"))
    assert index.skeleton == Skeleton(("0", "1"), (), (1, 0))
    points = index.image("val", 0).objects[0].keypoints
    assert points == (pytest.approx(Keypoint(40, 40, 2)), pytest.approx(Keypoint(60, 60, 1)))


def test_keypoints_of_two_numbers_are_visible_unless_negative(data, read):
    yaml = YAML + "kpt_shape: [2, 2]\nkpt_names: {0: [nose, tail]}\n"
    index = read(data("0 0.5 0.5 0.5 0.5 0.4 0.4 -1 -1\n", yaml))
    assert index.skeleton == Skeleton(("nose", "tail"), (), (), visibility=False)
    assert index.image("val", 0).objects[0].keypoints == (pytest.approx(Keypoint(40, 40, 2)), Keypoint(0, 0, 0))
    assert read(data("0 0.5 0.5 0.5 0.5 0.4 0.4 -1 -1\n", yaml), task=Task.detect).skeleton is None


COLUMNS = Columns({0: "cat", 1: "dog"})


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("0 0.5 0.5 0.5", "bad-annotations", "4 columns; a box has 5, an outline 7, 9, 11 or more"),
        ("0 0.5 0.5 0.5 0.5 0.9", "bad-annotations", "predictions have a sixth, the confidence"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.3", "bad-annotations", "8 columns"),
        ("cat 0.5 0.5 0.5 0.5", "bad-annotations", "not all of it are numbers: cat 0.5"),
        ("0 nan 0.5 0.5 0.5", "bad-annotations", "it has the number nan"),
        ("0 0.5 0.5 inf 0.5", "bad-annotations", "it has the number inf"),
        ("2 0.5 0.5 0.5 0.5", "unknown-classes", "class 2, and there are names for 0 to 1"),
        ("-1 0.5 0.5 0.5 0.5", "unknown-classes", "class -1"),
        ("0.5 0.5 0.5 0.5 0.5", "unknown-classes", "class 0.5"),
        ("1e300 0.5 0.5 0.5 0.5", "unknown-classes", "class 1e+300"),
        ("0 320 240 100 50", "not-normalised", "it has the number 320"),
        ("0 0.5 0.5 0.5 1.02", "not-normalised", "it has the number 1.02"),
        ("0 0.5 0.5 1.5 0.5 0.2 0.2", "not-normalised", "it has the number 1.5"),
    ],
)
def test_a_line_that_can_not_be_used_says_why(line, code, reason):
    (_, bad) = read_labels(f"0 0.5 0.5 0.2 0.2\n{line}".encode(), COLUMNS, "labels/a.txt")
    assert isinstance(bad, BadLine)
    assert bad.code == code
    assert bad.reason.startswith("line 2: ")
    assert reason in bad.reason


def test_rounding_beyond_the_edge_is_taken():
    (found,) = read_labels(b"\xef\xbb\xbf1 0.5 0.5 1.005 1.0\r\n", COLUMNS, "labels/a.txt")
    assert found == Annotation(
        "dog", "line 1", box=(0.5 - 1.005 / 2, 0.0, 0.5 + 1.005 / 2, 1.0), shares=True, file="labels/a.txt"
    )


def test_lines_of_keypoint_data_have_all_columns():
    columns = Columns({0: "cat"}, keypoints=2, dimensions=3)
    (bad,) = read_labels(b"0 0.5 0.5 0.5 0.5", columns, "a")
    assert "5 columns; 11 are needed for a box with 2 keypoints of 3 numbers" in bad.reason


def test_errors_stop_and_name_file_and_line(data, home, read):
    root = data("0 0.5 0.5 0.5 0.5\n7 0.5 0.5 0.5 0.5\n")
    with pytest.raises(DatasetError, match=r"labels/train/a.txt: line 2: class 7, and there are names for 0 to 1"):
        read(root)
    report = check_dataset(root, folder=home)
    (problem,) = report.of("error")
    assert (problem.code, problem.count) == ("unknown-classes", 2)
    assert problem.files == ("labels/train/a.txt", "labels/val/b.txt")


def test_what_is_odd_is_told_and_kept(data, problems, read):
    lines = "0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0 0.5\n1 0.98 0.5 0.1 0.5\n1 0.99 0.5 0.03 0.2\n"
    found = problems(data(lines))
    assert found["repeated-objects"].reasons == ("line 2: it is there twice",) * 2
    assert found["degenerate-boxes"].reasons[0] == "line 3: its box is 0 x 50 pixels"
    assert found["boxes-outside"].reasons[0].startswith("line 4: its box reaches 6.0 pixels out of the image: 186.0")
    assert found["boxes-clipped"].reasons[0] == "line 5: its box reaches 1.00 pixels out of the image"
    assert {code: problem.severity for code, problem in found.items()} == {
        "repeated-objects": "warning",
        "degenerate-boxes": "warning",
        "boxes-outside": "warning",
        "boxes-clipped": "note",
    }
    assert [one.box[2] for one in read(data(lines)).image("train", 0).objects] == [150.0, 200.0, 200.0]


def test_images_without_labels_are_background_and_labels_without_images_are_told(data, problems, read):
    more = {"images/train/sub/c.png": (50, 50), "labels/train/gone.txt": BOX, "labels/train/classes.txt": "cat"}
    more |= {"labels/train/empty.txt": "", "images/train/empty.png": (50, 50), "images/train/notes.md": "hello"}
    root = data(more=more)
    found = problems(root)
    assert found["background-images"].files == ("images/train/empty.png", "images/train/sub/c.png")
    assert found["background-images"].severity == "note"
    assert found["labels-without-image"].files == ("labels/train/gone.txt",)
    assert found["labels-without-image"].severity == "warning"
    assert found["ignored-files"].files == ("images/train/notes.md",)
    assert read(root).splits == {"train": 3, "val": 1}


def test_labels_may_lie_beside_their_images(annotated, read, problems):
    files = {"data.yaml": f"train: photos\n{NAMES}", "photos/lone.txt": BOX}
    for name in "abcde":
        files |= {f"photos/{name}.png": (100, 100), f"photos/{name}.txt": BOX}
    root = annotated(files)
    assert read(root).splits == {"train": 4, "val": 1}
    assert problems(root).keys() == {"split-carved", "labels-without-image", "empty-class"}


def test_not_one_label_is_an_error_that_says_where_they_are_looked_for(annotated, problems):
    files = {"data.yaml": f"train: images\n{NAMES}", "images/a.png": (9, 9), "annotations/a.txt": BOX}
    with pytest.raises(DatasetError, match=r"that of images/a.png would be .*/data/labels/a.txt"):
        problems(annotated(files))


@pytest.mark.parametrize("written", ["images/train", "./images/train", "../data/images/train", "ABSOLUTE", "LIST"])
def test_paths_in_all_their_spellings(data, read, written, tmp_path):
    root = data()
    place = {"ABSOLUTE": f"{root}/images/train", "LIST": "[images/train]"}.get(written, written)
    (root / "data.yaml").write_text(f"train: {place}\nval: images/val\n{NAMES}")
    index = read(root)
    assert index.image("train", 0).path == f"{root}/images/train/a.png"
    assert index.root == root


def test_the_root_may_be_elsewhere_and_an_authors_own_is_passed_over(data, read, tmp_path):
    root = data()
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "my.yaml"
    moved.write_text(YAML.replace("path: .", "path: ../data"))
    assert read(moved).root == root
    moved.write_text(YAML.replace("path: .", f"path: {root}"))
    assert read(moved).root == root
    (root / "data.yaml").write_text(YAML.replace("path: .", "path: /data/of/its/author/cats"))
    assert read(root).root == root
    (root / "data.yaml").write_text(f"train: ../images/train\nval: ../images/val\n{NAMES}")  # as Roboflow has it
    assert read(root).splits == {"train": 1, "val": 1}


def test_lists_of_images(data, read, problems):
    root = data(yaml=f"path: .\ntrain: train.txt\nval: [lists/val.txt, images/more]\n{NAMES}")
    (root / "lists").mkdir()
    (root / "train.txt").write_text(f"./images/train/a.png\n\n{root}/images/train/a.png\nimages/train/gone.png\n")
    (root / "lists/val.txt").write_text("../images/val/b.png\nimages/extra/c.png\n")
    for name in ("images/extra/c", "images/extra/unlisted", "images/more/d"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / f"{name}.png").write_bytes((root / "images/train/a.png").read_bytes() + name.encode())
    found = problems(root)
    assert found["missing-images"].reasons == ("train.txt, line 4: there is no such file",)
    assert found["missing-images"].severity == "error"
    assert found["unlisted-images"].files == ("images/extra/unlisted.png",)
    assert found["repeated-rows"].files == ("images/train/a.png",)
    assert found["repeated-rows"].reasons == ("train has it already",)
    (root / "train.txt").write_text("./images/train/a.png\n")
    index = read(root)
    assert [os.path.relpath(image.path, root) for image in index.images("val")] == [
        "images/extra/c.png",
        "images/more/d.png",
        "images/val/b.png",
    ]


def test_an_image_in_two_splits_is_told(data, problems):
    found = problems(data(yaml=f"train: images/train\nval: images/train\n{NAMES}"))
    assert found["duplicates-across-splits"].files == ("images/train/a.png", "images/train/a.png")


def test_a_download_is_refused_and_nothing_of_it_runs(data, problems, tmp_path):
    yaml = YAML + f"download: |\n  from pathlib import Path\n  Path({str(tmp_path / 'ran')!r}).touch()\n"
    with pytest.raises(
        DatasetError, match=r"(?s)has a key `download`, which visiontrain does not carry out.*remove the"
    ):
        problems(data(yaml=yaml))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("train: images/train\nnames: [cat, cat]", "gives several classes one name: cat"),
        ("train: images/train\nnames: [cat, no]", r"has False for the name of class 1: write it in quotes"),
        ("train: images/train\nnames: {0: cat, one: dog}", "has the class number 'one'"),
        ("train: images/train\nnames: [cat, '']", "an empty name"),
        ("train: images/train\nnames: 3", "has no class names"),
        ("train: images/train\nnc: 3\nnames: [cat, dog]", "says `nc: 3` and has 2 names"),
        ("val: images/val\nnames: [cat]", "no images to train on"),
        ("train: images/nowhere\nnames: [cat]", r"names images/nowhere under `train`, which is not there: /.*nowhere"),
        ("train: {a: b}\nnames: [cat]", "a folder of images, a text file"),
        ("train: images/train\nval: images/val\nvalid: images/val\nnames: [cat]", "val and valid, which are names of"),
        ("train: images/train\nnames: [cat]\nkpt_shape: [2, 4]", r"\[number of keypoints, 2 or 3\]"),
        ("train: images/train\nnames: [cat]\nkpt_shape: 17", r"\[number of keypoints, 2 or 3\]"),
        ("train: images/train\nnames: [cat]\nkpt_shape: [2, 3]\nflip_idx: [0, 0]", "each of 0 to 1 once"),
        ("train: images/train\nnames: [cat]\nkpt_shape: [2, 3]\nkpt_names: [a]", "not 2 of them"),
        ("train: images/train\nnames: [cat]\npath: [a]", "which is none"),
        ("train: images/train\nnames: [cat]\nnames: [dog]", "line 3 has the key 'names' once more"),
        ("train: images/train\nnames: !!python/object/apply:os.system [true]", "can't be used"),
        ("train: images/train\nnames: [", "can't be used"),
    ],
)
def test_a_description_that_can_not_be_used_says_why(data, problems, yaml, message):
    root = data()
    (root / "my.yaml").write_text(yaml)
    with pytest.raises(DatasetError, match=message):
        problems(root / "my.yaml")


def test_names_with_gaps_become_classes_in_their_order(data, read, problems):
    root = data("3 0.5 0.5 0.5 0.5\n", YAML.replace("names: [cat, dog]", "names: {1: cat, 3: dog, 7: cow}"))
    index = read(root)
    assert index.classes == ("cat", "dog", "cow")
    assert index.image("train", 0).objects[0].label == 1
    assert problems(root)["classes-renumbered"].message == (
        "`names` has gaps: its 3 classes became 0 to 2, in their order"
    )
    assert problems(root)["empty-class"].message == "2 classes without any object: cat, cow"


def test_several_descriptions_are_chosen_from(data, read):
    root = data()
    (root / "other.yaml").write_text(YAML)
    assert read(root).splits == {"train": 1, "val": 1}
    (root / "data.yaml").rename(root / "mine.yaml")
    with pytest.raises(DatasetError, match=r"(?s)several descriptions of YOLO data: mine.yaml, other.yaml.*Give the"):
        read(root)


def test_a_pipe_in_the_place_of_a_label_file_is_not_waited_for(data, problems):
    root = data()
    (root / "labels/train/a.txt").unlink()
    os.mkfifo(root / "labels/train/a.txt")
    assert problems(root)["bad-annotations"].reasons == ("it is no file that could be read",)


def test_nothing_is_written(data, read):
    root = data()
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in root.rglob("*")}
    read(root)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in root.rglob("*")} == before
