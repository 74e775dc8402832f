from __future__ import annotations

import os
import shutil

import pytest
from pydantic import ValidationError

from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.report import Problem
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task


def codes(report):
    return [(problem.severity, problem.code) for problem in report.problems]


def find(report, code):
    (problem,) = [problem for problem in report.problems if problem.code == code]
    return problem


@pytest.fixture
def splits(tree):
    return tree(
        *(
            f"{split}/{name}/{number}.png"
            for split in ("train", "val")
            for name in ("cat", "dog")
            for number in range(3)
        )
    )


def test_a_good_dataset(splits, home):
    report = check_dataset(splits, folder=home)
    assert report.root == splits
    assert (report.format, report.task) == ("class-folders", Task.classify)
    assert report.splits == {"train": 6, "val": 6}
    assert report.classes == {"cat": {"train": 3, "val": 3}, "dog": {"train": 3, "val": 3}}
    assert report.problems == ()
    assert report.trainable
    with pytest.raises(ValidationError, match="frozen"):
        report.format = "other"


def test_unreadable_images_are_errors_in_the_report(splits, home):
    for number in range(25):
        (splits / f"train/cat/bad{number:02}.jpg").write_bytes(b"")
    (splits / "val/dog/text.jpg").write_text("words")
    report = check_dataset(splits, folder=home)
    problem = find(report, "unreadable")
    assert codes(report) == [("error", "unreadable")]
    assert not report.trainable
    assert problem.count == 26
    assert problem.files == tuple(f"train/cat/bad{number:02}.jpg" for number in range(20))
    assert problem.reasons == ("the file is empty (0 bytes)",) * 20
    assert str(problem).splitlines()[1] == "  train/cat/bad00.jpg: the file is empty (0 bytes)"
    assert str(problem).splitlines()[-1] == "  and 6 more"
    assert report.splits == {"train": 6, "val": 6}


def test_a_class_that_a_split_lacks(splits, home, image):
    image(splits / "val/emu/1.png", 99)
    report = check_dataset(splits, folder=home)
    assert codes(report) == [("warning", "class-missing-from-split")]
    assert find(report, "class-missing-from-split").message == "train has no image of 1 class: emu"
    assert list(report.classes) == ["cat", "dog", "emu"]
    assert report.classes["emu"] == {"train": 0, "val": 1}


def test_a_class_without_images(splits, home):
    (splits / "train/yak").mkdir()
    (splits / "train/zebra").mkdir()
    (splits / "train/zebra/bad.png").write_bytes(b"")
    report = check_dataset(splits, folder=home)
    assert find(report, "empty-class").message.endswith("yak, zebra")
    assert list(report.classes) == ["cat", "dog"]


def test_images_in_several_splits_and_classes(splits, home):
    shutil.copy(splits / "train/cat/0.png", splits / "val/cat/copy.png")
    shutil.copy(splits / "train/cat/1.png", splits / "train/dog/copy.png")
    shutil.copy(splits / "train/cat/2.png", splits / "train/cat/harmless.png")
    report = check_dataset(splits, folder=home)
    assert codes(report) == [("warning", "duplicates-across-splits"), ("warning", "same-image-two-classes")]
    assert find(report, "duplicates-across-splits").files == ("train/cat/0.png", "val/cat/copy.png")
    assert find(report, "same-image-two-classes").files == ("train/cat/1.png", "train/dog/copy.png")
    assert find(report, "same-image-two-classes").count == 1


def test_imbalance_single_images_and_small_batches(splits, home, image):
    for number in range(7):
        image(splits / f"train/cat/more{number}.png", 100 + number)
    image(splits / "train/emu/1.png", 99)
    image(splits / "val/emu/1.png", 98)
    report = check_dataset(splits, folder=home, batch_size=15)
    assert codes(report) == [
        ("warning", "single-image-class"),
        ("warning", "imbalance"),
        ("warning", "fewer-images-than-batch"),
    ]
    assert find(report, "fewer-images-than-batch").message == "train has 14 images, fewer than a batch of 15"
    assert "cat has 10 images, emu has 1" in find(report, "imbalance").message
    assert codes(check_dataset(splits, folder=home, batch_size=14)) == codes(report)[:2]


def test_a_missing_val_split_is_carved_and_said(flat, home):
    report = check_dataset(flat, folder=home, seed=7)
    assert codes(report) == [("note", "split-carved")]
    assert report.splits == {"train": 16, "val": 4}
    assert report.classes["cat"] == {"train": 8, "val": 2}
    assert "20% of each class in train became val, 4 images with seed 7" in find(report, "split-carved").message


def test_val_is_carved_from_train_beside_test_and_an_empty_val_folder(tree, home):
    root = tree(*(f"{split}/{name}/{n}.png" for split in ("train", "test") for name in ("a", "b") for n in range(5)))
    (root / "val").mkdir()
    report = check_dataset(root, folder=home)
    assert report.splits == {"train": 8, "val": 2, "test": 10}


def test_a_class_with_one_image_stays_in_train(tree, home):
    report = check_dataset(tree("a/1.png", "b/1.png", "b/2.png"), folder=home)
    assert report.classes == {"a": {"train": 1, "val": 0}, "b": {"train": 1, "val": 1}}
    assert ("warning", "single-image-class") in codes(report)


def test_nothing_left_for_val_is_an_error(tree, home):
    report = check_dataset(tree("a/1.png", "b/1.png"), folder=home)
    assert ("error", "empty-split") in codes(report)
    assert not report.trainable


def test_one_class_left_is_an_error(tree, home):
    root = tree("a/1.png", "a/2.png", "b/1.png")
    (root / "b/1.png").write_bytes(b"")
    assert [problem.code for problem in check_dataset(root, folder=home).of("error")] == [
        "unreadable",
        "too-few-classes",
    ]


def test_tiny_images_and_colour_modes(splits, home, image):
    image(splits / "train/cat/tiny.png", 77, size=(100, 15))
    image(splits / "train/cat/palette.png", 3, mode="P")
    image(splits / "train/cat/grey.png", 3, mode="L")
    report = check_dataset(splits, folder=home)
    assert codes(report) == [("warning", "tiny-images"), ("note", "colour-modes")]
    assert find(report, "tiny-images").files == ("train/cat/tiny.png",)
    assert find(report, "colour-modes").message.endswith(": 1 P")


def test_what_is_left_out(splits, home, image):
    (splits / "README.md").write_text("x")
    (splits / "train/cat/a.heic").write_text("x")
    image(splits / "train/loose.png")
    image(splits / "raw/1.png")
    report = check_dataset(splits, folder=home)
    assert codes(report) == [
        ("warning", "unsupported-images"),
        ("warning", "loose-images"),
        ("warning", "ignored-folders"),
        ("note", "ignored-files"),
    ]
    assert str(find(report, "ignored-files")) == "1 file left out: no image:\n  README.md"


def test_a_folder_that_may_not_be_opened(splits, home, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path) == f"{splits}/train/dog":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # file modes mean nothing to root
    problem = find(check_dataset(splits, folder=home), "unreadable-folder")
    assert (problem.severity, problem.files) == ("error", ("train/dog",))


def test_a_split_that_may_not_be_opened(splits, home, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != f"{splits}/val")
    with pytest.raises(DatasetError, match="/val can't be opened: permission denied"):
        check_dataset(splits, folder=home)


def test_paths_that_are_no_folder(tmp_path, home):
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(DatasetError, match=r"(?s)data\.zip is a file.*unpack"):
        check_dataset(tmp_path / "data.zip", folder=home)
    with pytest.raises(DatasetError, match=rf"(?s)does not exist.*{tmp_path} is there, no/where in it is not"):
        check_dataset(tmp_path / "no" / "where", folder=home)


def test_relative_and_home_paths(flat, home, monkeypatch):
    monkeypatch.chdir(flat.parent)
    assert check_dataset("data", folder=home).root == flat
    monkeypatch.setenv("HOME", str(flat.parent))
    assert check_dataset("~/data/", folder=home).root == flat


def test_a_problem_without_files():
    assert str(Problem(severity="note", code="x", message="Said.", count=3)) == "Said."
