from __future__ import annotations

import os
import sys
import unicodedata

import pytest

from visiontrain.datasets.formats import choose_format
from visiontrain.datasets.formats.class_folders import SPLIT_NAMES
from visiontrain.datasets.formats.files import IMAGE_EXTENSIONS
from visiontrain.datasets.tasks import UnservedTaskError
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task


class Recorded:
    def __init__(self, *, for_training=True):
        self.for_training = for_training
        self.classes = []
        self.images = []
        self.out = []

    def add_class(self, name):
        self.classes.append(name)

    def add_image(self, split, name, path, *, size, mtime_ns):
        assert name in self.classes
        self.images.append((split, name, path))

    def leave_out(self, path, why):
        self.out.append((why, path))


def read(root, task=None, *, for_training=True):
    recorded = Recorded(for_training=for_training)
    layout = choose_format(str(root), task)
    assert layout.tasks == (Task.classify,)
    layout.read(str(root), task, recorded)
    recorded.images.sort()
    recorded.out.sort()
    return recorded


def test_flat_folders_are_classes_to_be_split(tree):
    found = read(tree("cat/1.png", "dog/2.png"))
    assert found.images == [("train", "cat", "cat/1.png"), ("train", "dog", "dog/2.png")]
    assert found.out == []


@pytest.mark.parametrize("spelling", SPLIT_NAMES)
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_splits_in_any_spelling_and_case(tree, spelling, case):
    others = {"train": "train", "val": "val", "test": "test"}
    split = SPLIT_NAMES[spelling]
    others[split] = case(spelling)
    found = read(tree(*(f"{folder}/{name}/1.png" for folder in others.values() for name in ("cat", "dog"))))
    assert {(split, path) for split, _, path in found.images} == {
        (split, f"{folder}/{name}/1.png") for split, folder in others.items() for name in ("cat", "dog")
    }


@pytest.mark.parametrize(("one", "other"), [("val", "valid"), ("train", "Train"), ("test", "testing")])
def test_two_spellings_of_one_split_are_refused(tree, one, other):
    root = tree("train/cat/1.png", "train/dog/1.png", f"{one}/cat/1.png", f"{other}/dog/1.png")
    with pytest.raises(DatasetError, match=f"(?s){min(one, other)} and {max(one, other)}.*one of them"):
        read(root)


def test_split_names_may_be_classes(tree):
    assert {name for _, name, _ in read(tree("train/1.png", "bus/2.png", "car/3.png")).images} == {
        "train",
        "bus",
        "car",
    }


def test_classes_are_those_of_all_splits(tree):
    found = read(tree("train/cat/1.png", "train/dog/1.png", "val/emu/1.png"))
    assert set(found.classes) == {"cat", "dog", "emu"}


def test_extensions_in_any_case(tree, image):
    root = tree("dog/1.png")
    for number, extension in enumerate(sorted(IMAGE_EXTENSIONS)):
        image(root / "cat" / f"{number}{extension.upper() if number % 2 else extension}", format="PNG")
    assert len(read(root).images) == len(IMAGE_EXTENSIONS) + 1


def test_hidden_files_and_litter_are_nothing(tree, image):
    root = tree("cat/1.png", "dog/2.png")
    for name in (
        "cat/._1.png",
        "cat/.hidden.png",
        ".DS_Store",
        "cat/Thumbs.db",
        "__MACOSX/cat/1.png",
        "cat/.ipynb_checkpoints/1.png",
        "dog/@eaDir/1.png",
    ):
        image(root / name, format="PNG")
    (root / "empty" / "below").mkdir(parents=True)
    found = read(root)
    assert [path for _, _, path in found.images] == ["cat/1.png", "dog/2.png"]
    assert found.out == []
    assert found.classes == ["cat", "dog", "empty"]


def test_what_is_left_out_is_named(tree, image):
    root = tree("train/cat/1.png", "train/dog/2.png", "train/loose.png", "raw/x/3.png", "top.png")
    for name in ("train/cat/notes.txt", "train/dog/photo.HEIC", "README.md", "train/cat/noextension"):
        (root / name).write_text("x")
    os.mkfifo(root / "train/cat/pipe.png")
    assert read(root).out == [
        ("folder", "raw"),
        ("loose", "top.png"),
        ("loose", "train/loose.png"),
        ("other", "README.md"),
        ("other", "train/cat/noextension"),
        ("other", "train/cat/notes.txt"),
        ("other", "train/cat/pipe.png"),
        ("unsupported", "train/dog/photo.HEIC"),
    ]


def test_nested_folders_and_links_without_end(tree):
    root = tree("cat/1.png", "cat/a/2.png", "cat/a/b/3.png", "dog/4.png")
    elsewhere = tree("5.png", name="elsewhere")
    (root / "cat/a/b/up").symlink_to(root / "cat")
    (root / "cat/self").symlink_to("self")
    (root / "dog/linked").symlink_to(elsewhere)
    (root / "dog/link.png").symlink_to(elsewhere / "5.png")
    (root / "dog/gone.png").symlink_to("nowhere")
    assert [path for _, _, path in read(root).images] == [
        "cat/1.png",
        "cat/a/2.png",
        "cat/a/b/3.png",
        "dog/4.png",
        "dog/gone.png",
        "dog/link.png",
        "dog/linked/5.png",
    ]


def test_linked_class_folders(tree, tmp_path):
    store = tree("a/1.png", "b/2.png", name="store")
    root = tmp_path / "data"
    root.mkdir()
    (root / "cat").symlink_to(store / "a")
    (root / "dog").symlink_to(store / "b")
    assert len(read(root).images) == 2


def test_unicode_and_spaces(tree):
    composed, decomposed = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")
    found = read(tree(f"train/{composed}/a b.png", f"val/{decomposed}/ö\n.png", "train/猫/1.png"))
    assert {name for _, name, _ in found.images} == {composed, "猫"}
    assert ("val", composed, f"val/{decomposed}/ö\n.png") in found.images


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems allow UTF-8 only")
def test_names_that_are_not_utf8(tree, image):
    root = tree("cat/1.png")
    image(root / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xff.png"))
    found = read(root)
    assert found.images[0] == ("train", "caf\\xe9", os.fsdecode(b"caf\xe9/\xff.png"))
    assert found.classes == ["caf\\xe9", "cat"]


@pytest.mark.parametrize(
    ("paths", "images"),
    [
        (("cat/1.png",), [("train", "cat", "cat/1.png")]),
        (("test/cat/1.png", "test/dog/2.png"), [("test", "cat", "test/cat/1.png"), ("test", "dog", "test/dog/2.png")]),
        (("val/cat/1.png",), [("val", "cat", "val/cat/1.png")]),
    ],
)
def test_what_can_not_be_trained_on_can_be_evaluated_on(tree, paths, images):
    assert read(tree(*paths), for_training=False).images == images
    with pytest.raises(DatasetError):
        read(tree(*paths, name="again"))


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ((), "there are no images in"),
        (("1.png", "2.png"), "a single folder of 2 images"),
        (("cat/1.png", "cat/2.png"), "one class only, cat"),
        (("train/1.png", "train/2.png"), "/train has 2 images but no class folders"),
        (("train/cat/1.png",), "one class only, cat"),
        (("train/images/1.png", "test/images/1.png"), "one class only, images"),
        (("val/cat/1.png", "test/cat/2.png"), "a folder test but none to train on"),
        (("cat/1.png", "dog/2.png", "test/cat/2.png"), "a folder test but none to train on"),
    ],
)
def test_what_is_no_dataset(tree, paths, message):
    with pytest.raises(DatasetError, match=f"(?s){message}.*Expected a folder a class"):
        read(tree(*paths))


def test_empty_train_folder(tree):
    root = tree("val/cat/1.png", "val/dog/1.png")
    (root / "train/cat").mkdir(parents=True)
    with pytest.raises(DatasetError, match="/train has no images"):
        read(root)


def test_a_folder_too_high_is_hinted_at(tree):
    root = tree("clothes/cat/1.png", "clothes/dog/2.png")
    with pytest.raises(DatasetError, match=f"If the classes are the folders in {root}/clothes, give that"):
        read(root)


@pytest.mark.parametrize(
    ("files", "sign"),
    [
        ({"annotations/a.json": '{"images": [], "annotations": []}'}, r"COCO dataset \(annotations/a.json\)"),
        ({"train/_annotations.coco.json": '{"annotations": [], "categories": []}'}, r"COCO dataset \(train/_anno"),
        ({"instances.json": '{"info": "' + "x" * 200_000 + '", "images": [], "categories": []}'}, r"COCO dataset"),
        ({"images/a.txt": "", "labels/a.txt": ""}, r"images with annotations \(images beside labels\)"),
        ({"train/Images/a.txt": "", "train/masks/a.txt": ""}, r"with annotations \(train/Images beside train/masks\)"),
    ],
)
@pytest.mark.parametrize("task", [None, Task.classify, Task.detect])
def test_annotated_data_is_not_taken_for_classes(tree, files, sign, task):
    root = tree("train/a/1.png", "train/b/2.png")
    for path, text in files.items():
        (root / path).parent.mkdir(exist_ok=True, parents=True)
        (root / path).write_text(text)
    with pytest.raises(DatasetError, match=f"(?s)looks like .*{sign}.*no installed reader.*class-folders") as error:
        read(root, task)
    assert ("for the task" in error.value.reason) == (task is not None)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"data.yaml": "path: .\ntrain: images/train\nnames:\n  0: cat\n"}, "yolo"),
        ({"Annotations/1.xml": "<annotation><object/></annotation>"}, "pascal-voc"),
        ({"train/a/1.xml": "<annotation></annotation>", "train/2.xml": "<annotation></annotation>"}, "pascal-voc"),
        ({"any.json": '{"images": [], "annotations": [], "categories": []}'}, "coco"),
        ({"annotations/a.json": '{"categories": [], "images": [], "annotations": []}'}, "coco"),
        ({"a.json": '{"metainfo": {}, "data_list": [{"instances": []}]}'}, "mmocr"),
        ({"train/a/1.txt": "0 0 9 0 9 9 0 9 ship 0"}, "quads"),
    ],
)
def test_annotated_data_goes_to_its_reader(tree, files, name):
    root = tree("train/a/1.png", "train/b/2.png")
    for path, text in files.items():
        (root / path).parent.mkdir(exist_ok=True, parents=True)
        (root / path).write_text(text)
    assert choose_format(str(root), None).name == name
    with pytest.raises(UnservedTaskError, match=f"is read as {name}, which holds data for .*, not for classify"):
        choose_format(str(root), Task.classify)


def test_other_yaml_json_and_xml_files_are_no_sign(tree):
    root = tree("cat/1.png", "dog/2.png")
    (root / "notes.yaml").write_text("author: me\n")
    (root / "cat/1.json").write_text('{"image": "1.png"}')
    (root / "cat/1.xml").write_text("<note/>")
    (root / "cat/broken.json").symlink_to("nowhere")
    assert len(read(root).images) == 2


def test_a_task_that_the_layout_does_not_serve(flat):
    with pytest.raises(
        DatasetError, match=r"(?s)class-folders, which holds data for classify, not for detect.*Ask for"
    ):
        read(flat, Task.detect)
