from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.probe_cache import Probe
from visiontrain.datasets.staging import Staging
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError

SETS = st.lists(st.frozensets(st.sampled_from("abcd"), max_size=3), min_size=1, max_size=60)


@pytest.fixture
def source(tree):
    root = tree("1.png", "2.png", "3.png", "4.png", "5.png")
    rows = [("1", "sea|sky", "train"), ("2", "sky", "train"), ("3", "", "train"), ("4", "sea; tree", "val")]
    lines = [f"{name}.png,{labels},{split}" for name, labels, split in [*rows, ("5", "sky|sky", "val")]]
    (root / "labels.csv").write_text("\n".join(["path,labels,split", *lines]))
    return root / "labels.csv"


def test_several_labels_an_image(source, home):
    found = index_dataset(source, folder=home)
    index = DatasetIndex(found.path)
    assert found.multi_label
    assert index.multi_label
    assert index.classes == ("sea", "sky", "tree")
    assert [image.labels for image in index.images("train")] == [(0, 1), (1,), ()]
    assert [image.labels for image in index.images("val")] == [(0, 2), (1,)]
    assert [index.image("val", position).labels for position in range(2)] == [(0, 2), (1,)]
    assert {image.label for split in index.splits for image in index.images(split)} == {None}
    assert pickle.loads(pickle.dumps(index)).image("train", 0).labels == (0, 1)
    with pytest.raises(DatasetError, match="several labels each"):
        index.labels("train")


def test_one_label_an_image_has_both_ways_of_asking(flat, home):
    found = index_dataset(flat, folder=home)
    index = DatasetIndex(found.path)
    assert not found.multi_label
    assert not index.multi_label
    assert all(image.labels == (image.label,) for image in index.images("train"))


def test_json_lists_say_the_same(source, home):
    text = index_dataset(source, folder=home)
    rows = [("1", ["sea", "sky"]), ("2", ["sky"]), ("3", []), ("4", ["tree", "sea"]), ("5", "sky")]
    splits = ("train", "train", "train", "val", "val")
    lines = [
        json.dumps({"path": f"{name}.png", "label": labels, "split": split})
        for (name, labels), split in zip(rows, splits, strict=True)
    ]
    listed = source.with_name("labels.jsonl")
    listed.write_text("\n".join(lines))
    found = index_dataset(listed, folder=home)
    assert (found.fingerprint, found.classes, found.multi_label) == (text.fingerprint, text.classes, True)


def test_a_list_of_one_is_multi_label_and_a_separator_in_json_is_a_name(tree, home):
    root = tree("1.png", "2.png")
    listed = root / "labels.jsonl"
    listed.write_text(
        '{"path": "1.png", "label": ["a"], "split": "train"}\n{"path": "2.png", "label": "b", "split": "val"}'
    )
    assert check_dataset(listed, folder=home).multi_label
    listed.write_text(
        '{"path": "1.png", "label": "a|b", "split": "train"}\n{"path": "2.png", "label": "b;c", "split": "val"}'
    )
    report = check_dataset(listed, folder=home)
    assert (report.multi_label, list(report.classes)) == (False, ["a|b", "b;c"])


def test_the_delimiter_does_not_separate_labels(tree, home):
    root = tree("1.png", "2.png")
    (root / "labels.csv").write_text("path;label;split\n1.png;a|b;train\n2.png;b;val\n")
    report = check_dataset(root, folder=home)
    assert report.classes == {"a": {"train": 1, "val": 0}, "b": {"train": 1, "val": 1}}


def test_the_report_counts_images_and_each_label(source, home):
    report = check_dataset(source, folder=home)
    assert report.multi_label
    assert report.splits == {"train": 3, "val": 2}
    assert report.classes == {
        "sea": {"train": 1, "val": 1},
        "sky": {"train": 2, "val": 1},
        "tree": {"train": 0, "val": 1},
    }
    codes = {problem.code: problem for problem in report.problems}
    assert codes["multi-label"].message == "read as multi-label data: 2 images with several labels, 1 with none"
    assert codes["class-missing-from-split"].message == "train has no image of 1 class: tree"
    assert "same-image-two-label-sets" not in codes


def test_equal_images_with_other_labels_are_told(source, home):
    shutil.copy(source.with_name("1.png"), source.with_name("2.png"))
    report = check_dataset(source, folder=home)
    (problem,) = [problem for problem in report.problems if problem.code == "same-image-two-label-sets"]
    assert problem.files == ("1.png", "2.png")


def test_a_single_label_is_not_enough(source, home):
    source.write_text("path,labels\n1.png,sea|\n2.png,\n3.png,sea\n4.png,\n5.png,sea\n")
    report = check_dataset(source, folder=home)
    (problem,) = report.of("error")
    assert problem.code == "too-few-classes"
    assert "make two classes of what has it and what has not" in problem.message


def test_labels_are_part_of_the_identity(source, home):
    first = index_dataset(source, folder=home).fingerprint
    text = source.read_text()
    source.write_text(text.replace("sea|sky", "sky|sea"))
    assert index_dataset(source, folder=home).fingerprint == first
    source.write_text(text.replace("sea; tree", "sea;sky;tree"))
    assert index_dataset(source, folder=home).fingerprint != first


def test_without_splits_val_is_carved(tree, home):
    root = tree(*(f"{number}.png" for number in range(40)))
    lines = [f"{number}.png,{'rare|' if number < 5 else ''}common" for number in range(40)]
    (root / "labels.csv").write_text("\n".join(["path,label", *lines]))
    report = check_dataset(root, folder=home)
    assert report.splits == {"train": 32, "val": 8}
    assert report.classes == {"common": {"train": 32, "val": 8}, "rare": {"train": 4, "val": 1}}


def carved(sets, seed=0, *, backwards=False):
    """Split of each image; every third has the contents of the one before."""
    with Staging() as staging:
        for name in "abcd":
            staging.add_class(name)
        images = [(str(number), sorted(names)) for number, names in enumerate(sets)]
        for path, names in reversed(images) if backwards else images:
            staging.add_labelled_image("train", tuple(names), path, size=1, mtime_ns=2)
        contents = {str(n): hashlib.sha256(b"%d" % (n - (n % 3 == 2))).digest() for n in range(len(sets))}
        for chunk in staging.unprobed():
            staging.set_probes((row[0], Probe(1, 2, 8, 8, "RGB", contents[row[1].decode()])) for row in chunk)
        staging.index_contents()
        staging.carve(seed, 0.2)
        return {
            path.decode(): (split, sha256)
            for path, split, sha256 in staging.rows("SELECT path, split, sha256 FROM kept")
        }


@given(SETS, st.integers(0, 3))
def test_carving_gives_each_label_its_share_and_keeps_equal_contents_together(sets, seed):
    splits = carved(sets, seed)
    by_content = defaultdict(set)
    for split, content in splits.values():
        by_content[content].add(split)
    assert all(len(found) == 1 for found in by_content.values())
    contents = {name: {splits[str(n)][1] for n, names in enumerate(sets) if name in names} for name in "abcd"}
    rarest = min((len(found), name) for name, found in contents.items() if found)[1] if any(sets) else None
    if rarest is not None and len(contents[rarest]) > 1:
        in_val = sum(by_content[content] == {"val"} for content in contents[rarest])
        assert in_val >= max(1, round(0.2 * len(contents[rarest])))
    assert splits == carved(sets, seed, backwards=True)
