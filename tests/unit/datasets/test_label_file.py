from __future__ import annotations

import json
import os
import sys
import unicodedata

import pytest

from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.formats import choose_format
from visiontrain.datasets.formats.columns import find_columns
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

PATHS = ("a.png", "b.png", "c.png", "d.png")
LABELS = ("cat", "dog", "cat", "dog")


@pytest.fixture
def images(tree):
    return tree(*PATHS)


@pytest.fixture
def read(home):
    """All that an index says of images: (split, path, class names), sorted by path."""

    def look(source, **options):
        index = DatasetIndex(index_dataset(source, folder=home, **options).path)
        found = [
            (split, os.path.relpath(image.path, index.root), *(index.classes[label] for label in image.labels))
            for split in index.splits
            for image in index.images(split)
        ]
        return sorted(found, key=lambda row: row[1])

    return look


def csv_file(folder, text, name="labels.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def json_file(folder, rows, name="labels.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


WANTED = [("train", "a.png", "cat"), ("train", "b.png", "dog"), ("val", "c.png", "cat"), ("test", "d.png", "dog")]
SPLITS = ("train", "Training", "valid", "TEST")


def table(header="path,label,split", delimiter=","):
    rows = zip(PATHS, LABELS, SPLITS, strict=True)
    return "\n".join([header, *(delimiter.join(row) for row in rows)]) + "\n"


@pytest.mark.parametrize(
    "header",
    [
        "path,label,split",
        "file,class,set",
        "Image Path,Labels,Subset",
        "\ufefffilename,class_name,split",
        " image , tag , split ",
        '"file-name","category","split"',
    ],
)
def test_columns_by_any_name(images, read, header):
    assert read(csv_file(images, table(header))) == WANTED


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["labels.csv", "LABELS.TSV"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_and_line_ends(images, read, delimiter, name, end):
    text = table(delimiter.join(("path", "label", "split")), delimiter).replace("\n", end)
    assert read(csv_file(images, text, name)) == WANTED


@pytest.mark.parametrize("name", ["labels.jsonl", "labels.ndjson"])
def test_json_lines(images, read, name):
    rows = [
        {"image": path, "label": label, "split": split, "more": [1]}
        for path, label, split in zip(PATHS, LABELS, SPLITS, strict=True)
    ]
    assert read(json_file(images, rows, name)) == WANTED


def test_a_folder_with_one_label_file(images, read, home):
    csv_file(images, table())
    csv_file(images, "name,price\na,1\n", "prices.csv")
    json_file(images, [{"note": "nothing of this"}], "notes.jsonl")
    assert read(images) == WANTED
    report = check_dataset(images, folder=home)
    assert (report.format, report.root, report.source) == ("label-file", images, images / "labels.csv")


def test_a_folder_with_several_label_files_names_them(images, home):
    csv_file(images, table())
    csv_file(images, table(), "other.csv")
    with pytest.raises(DatasetError, match=r"(?s)several label files: labels\.csv, other\.csv.*Give the one"):
        check_dataset(images, folder=home)
    assert check_dataset(images / "other.csv", folder=home).trainable


def test_folders_of_classes_with_another_table_stay_folders(flat, home):
    csv_file(flat, "file,bytes\ncat/1.png,3\n")
    csv_file(flat, "filename,width,height,class,xmin,ymin,xmax,ymax\ncat/1.png,1,1,cat,0,0,1,1\n", "boxes.csv")
    assert check_dataset(flat, folder=home).format == "class-folders"


def test_without_splits_a_fifth_becomes_val_as_for_folders(flat, home, read):
    lines = [f"{name}/{number}.png,{name}" for name in ("cat", "dog") for number in range(10)]
    listed = read(csv_file(flat, "\n".join(["path,label", *lines]), "all.csv"), seed=3)
    (flat / "all.csv").unlink()
    assert listed == read(flat, seed=3)
    assert [split for split, *_ in listed].count("val") == 4


def test_quoted_fields_blank_lines_and_spaces(images, read, tmp_path):
    (images / "a.png").rename(images / 'a, "b"\nc.png')
    (images / "b.png").rename(images / "b 1.png")
    text = 'path,label,split\n\n"a, ""b""\nc.png"," cat ",train\n  \nb 1.png,dog,train\nc.png,cat,val\nd.png ,dog,val\n'
    assert [path for _, path, _ in read(csv_file(images, text))] == ['a, "b"\nc.png', "b 1.png", "c.png", "d.png"]


def test_names_composed_decomposed_and_from_windows(tree, read):
    composed, decomposed = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")
    root = tree(f"{composed}.png", f"{decomposed}2.png", "猫/1.png", "猫/2.png")
    text = f"path,label\n{decomposed}.png,{composed}\n{composed}2.png,{decomposed}\n猫\\1.png,x\n./猫//2.png,x\n"
    found = read(csv_file(root, text))
    assert sorted(path for _, path, _ in found) == sorted(
        [f"{composed}.png", f"{decomposed}2.png", "猫/1.png", "猫/2.png"]
    )
    assert {label for *_, label in found} == {composed, "x"}


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems allow UTF-8 only")
def test_names_that_are_not_utf8_in_json(images, read):
    (images / "a.png").rename(images / os.fsdecode(b"\xff.png"))
    rows = [
        {"path": path, "label": label, "split": split}
        for path, label, split in zip((os.fsdecode(b"\xff.png"), *PATHS[1:]), LABELS, SPLITS, strict=True)
    ]
    assert [path for _, path, _ in read(json_file(images, rows))][-1] == os.fsdecode(b"\xff.png")


def test_paths_outside_of_the_folder_are_read_and_said(images, tree, read, home):
    elsewhere = tree("e.png", "f.png", name="elsewhere")
    inside = images / "c.png"
    text = f"path,label\na.png,cat\nb.png,dog\n{inside},cat\n{elsewhere}/e.png,dog\n../elsewhere/f.png,cat\n"
    source = csv_file(images, text)
    report = check_dataset(source, folder=home)
    (problem,) = [problem for problem in report.problems if problem.code == "outside-of-folder"]
    assert (problem.severity, problem.count) == ("warning", 2)
    assert problem.files == (f"{elsewhere}/e.png", f"{elsewhere}/f.png")
    assert {path for _, path, _ in read(source)} == {
        "a.png",
        "b.png",
        "c.png",
        "../elsewhere/e.png",
        "../elsewhere/f.png",
    }


def test_links_are_followed(images, tree, read):
    store = tree("x.png", name="store")
    (images / "a.png").unlink()
    (images / "a.png").symlink_to(store / "x.png")
    (images / "more").symlink_to(store)
    assert ("train", "a.png", "cat") in read(csv_file(images, table()))
    assert ("train", "more/x.png", "cat") in read(csv_file(images, table() + "more/x.png,cat,train\n"))


def test_missing_images_are_named_with_their_line(images, home):
    (images / "b.png").unlink()
    (images / "folder").mkdir()
    os.mkfifo(images / "pipe.png")
    source = csv_file(images, table() + "folder,cat,train\nnot/here.png,dog,val\npipe.png,cat,train\n")
    report = check_dataset(source, folder=home)
    (problem,) = report.of("error")[:1]
    assert str(problem) == (
        f"4 images named in labels.csv can't be found; paths are taken from {images}:\n"
        "  b.png: line 3: there is no such file\n"
        "  folder: line 6: it is a folder\n"
        "  not/here.png: line 7: there is no such file\n"
        "  pipe.png: line 8: it is no file that could be read"
    )
    with pytest.raises(DatasetError, match=r"(?s)b\.png: line 3.*--skip-unreadable"):
        index_dataset(source, folder=home)
    found = index_dataset(source, folder=home, skip_unreadable=True)
    assert found.splits == {"train": 1, "val": 1, "test": 1}
    assert "missing-images" in [problem.code for problem in found.report.of("warning")]


def test_an_image_by_any_name_and_one_that_is_none(images, home):
    (images / "a.png").rename(images / "0001")
    (images / "b.png").write_text("words")
    report = check_dataset(csv_file(images, table().replace("a.png", "0001")), folder=home)
    assert [(p.code, p.files, p.reasons) for p in report.of("error")] == [
        ("unreadable", ("b.png",), ("it holds text, not an image",))
    ]
    assert report.classes["cat"] == {"train": 1, "val": 1, "test": 0}


def test_repeated_rows_count_once_and_are_said(images, home, read):
    source = csv_file(images, table() + "./a.png,cat,train\n")
    assert read(source) == WANTED
    (problem,) = check_dataset(source, folder=home).of("warning")[:1]
    assert (problem.code, problem.files, problem.reasons) == (
        "repeated-rows",
        ("labels.csv, line 6",),
        ("says what line 2 says",),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "lists no images"),
        ("name,price\nx,1\n", r"line 1 names no column of paths and one of labels: name,price\nExpected"),
        ("a.png,cat\nb.png,dog\n", "line 1 names no column"),
        ("path,label,class\na.png,cat,1\n", "names label and class, which all could be the label"),
        ("file,class,xmin,ymin\na.png,cat,1,2\n", r"names boxes or outlines \(xmin, ymin\)"),
        ("path,label\na.png,cat\nb.png\n", "line 3: has 1 fields, and the first line has 2"),
        ("path,label\na.png,cat\n\nb.png,dog,val\n", "line 4: has 3 fields"),
        ("path,label\na.png,cat\n,dog\n", "line 3: has no path"),
        ("path,label\na.png,cat\nb.png, \n", "line 3: has no label"),
        ("path,label,split\na.png,cat,train\nb.png,dog,other\n", "line 3: has the split 'other', and there are train"),
        ("path,label,split\na.png,cat,train\nb.png,dog,\n", "line 3: has no split, and others have"),
        ("path,label,split\na.png,cat,val\nb.png,dog,test\n", "no row whose split is train"),
        ("path,label\na.png,cat\nb.png,dog\na.png,dog\n", "line 4: gives a.png the label dog, and line 2 cat; several"),
        ("path,label,split\na.png,cat,val\na.png,cat,train\n", "line 3: puts a.png into train, and line 2 into val"),
        ('path,label\na.png,cat\n"b.png,dog\n', "line 3: unexpected end of data"),
        ('path,label\na.png,"cat"x\n', "line 2: ',' expected after '\"'"),
        ("path,label\na.png,cat\nb\0.png,dog\n", "line 3.*(NUL|no file can have)"),
        ("path,label\n" + "x" * (1 << 20) + ",cat\n", "line 2 is longer than 1,048,576 bytes"),
        ("path,label\n" + "x" * 200_000 + ",cat\n", "line 2: field larger than field limit"),
    ],
)
def test_what_a_table_may_not_hold(images, home, text, message):
    source = csv_file(images, text)
    with pytest.raises(DatasetError, match=f"(?s){message}") as caught:
        check_dataset(source, folder=home)
    assert str(source) in caught.value.reason
    assert caught.value.instruction


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"path,label\na.png,cat\nb.png,caf\xe9\n", r"line 3 is not UTF-8 \(byte 0xe9 at 10\)\nSave it as UTF-8"),
        ("path,label\na.png,cat\n".encode("utf-16"), "line 1 is UTF-16"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1 is not UTF-8"),
    ],
)
def test_other_encodings_are_named_with_the_line(images, home, data, message):
    (images / "labels.csv").write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        check_dataset(images / "labels.csv", folder=home)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("not json", "line 2: is not JSON"),
        ("[1, 2]", "line 2: is not a JSON object"),
        ("[" * 100_000, "line 2: is not JSON"),
        ('{"path": "b.png"}', "line 2: has no path or no label"),
        ('{"path": 3, "label": "dog"}', "line 2: has the path 3, which is none"),
        ('{"path": "b.png", "label": {"a": 1}}', "line 2: has the label"),
        ('{"path": "b.png", "label": true}', "line 2: has the label True"),
        ('{"path": "b.png", "label": ["cat", 1.5]}', "line 2: has the label 1.5"),
        ('{"path": "b.png", "label": null}', "line 2: has no label"),
        ('{"path": "b\\u0000.png", "label": "dog"}', "line 2: has the path .* which no file can have"),
        ('{"path": "b\\ud800.png", "label": "dog"}', "line 2: has the path .* which no file can have"),
        ('{"path": "b.png", "label": "\\ud800"}', "line 2: has the label .* which is no text"),
        ('{"path": "b.png", "label": "dog", "split": 3}', "line 2: has the split 3"),
    ],
)
def test_what_json_lines_may_not_hold(images, home, row, message):
    source = images / "labels.jsonl"
    source.write_text('{"path": "a.png", "label": "cat"}\n' + row + '\n{"path": "c.png", "label": "dog"}\n')
    with pytest.raises(DatasetError, match=f"(?s){message}"):
        check_dataset(source, folder=home)


def test_many_bad_rows_are_counted_and_a_few_shown(images, home):
    source = csv_file(images, "path,label\n" + "a.png\n" * 30)
    with pytest.raises(DatasetError) as caught:
        check_dataset(source, folder=home)
    lines = caught.value.reason.splitlines()
    assert lines[0].endswith("has 30 rows that can't be used:")
    assert (len(lines), lines[-1]) == (22, "  and more")
    csv_file(images, "path,label\n" + "a.png\n" * 5000)
    with pytest.raises(DatasetError, match=r"has 1,000 or more rows"):
        check_dataset(source, folder=home)


def test_numbers_may_be_labels(images, read):
    rows = [
        {"path": path, "label": number % 2, "split": "train" if number < 2 else "val"}
        for number, path in enumerate(PATHS)
    ]
    assert [label for *_, label in read(json_file(images, rows))] == ["0", "1", "0", "1"]


def test_one_class_map_of_all_splits(images, home):
    text = "path,label,split\na.png,cat,train\nb.png,dog,train\nc.png,emu,val\nd.png,yak,test\n"
    found = index_dataset(csv_file(images, text), folder=home)
    assert found.classes == ("cat", "dog", "emu", "yak")
    assert "class-missing-from-split" in [problem.code for problem in found.report.problems]


def test_a_task_that_the_list_does_not_serve(images):
    with pytest.raises(DatasetError, match="label-file, which holds data for classify, not for detect"):
        choose_format(str(csv_file(images, table())), Task.detect)


def test_other_files_are_no_data(images, home):
    (images / "labels.txt").write_text("a.png cat\n")
    with pytest.raises(DatasetError, match=r"(?s)labels\.txt is a file, neither a folder .*label-file"):
        check_dataset(images / "labels.txt", folder=home)


def test_no_name_has_two_meanings():
    for names in (["path", "label"], ["img", "tags", "set"]):
        assert find_columns(names).path == names[0]
    assert find_columns(["path", "score"]) is None
    assert find_columns(["label", "split"]) is None


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl"])
def test_the_data_is_not_touched_and_may_be_read_only(images, home, name):
    if name.endswith(".csv"):
        source = csv_file(images, table())
    else:
        rows = zip(PATHS, LABELS, SPLITS, strict=True)
        source = json_file(images, [{"path": path, "label": [label], "split": split} for path, label, split in rows])

    def contents():
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns, path.is_file() and path.read_bytes())
            for path in (images, *images.rglob("*"))
        }

    for path in images.iterdir():
        path.chmod(0o444)
    images.chmod(0o555)
    before = contents()
    try:
        first = index_dataset(source, folder=home)
        assert check_dataset(images, folder=home).trainable
        assert index_dataset(images, folder=home) == first
        assert contents() == before
    finally:
        images.chmod(0o755)


def test_progress_is_told_while_rows_are_read_and_while_files_are_looked_at(images, home):
    rows = "".join(f"none{number}.png,cat,train\n" for number in range(2500))
    told = []
    report = check_dataset(csv_file(images, table() + rows), folder=home, progress=told.append)
    assert [at.done for at in told if at.phase == "scan"] == [0, 1000, 2000, 4]
    assert report.of("error")[0].count == 2500


def test_changing_a_label_or_a_split_changes_the_identity(images, home):
    seen = {index_dataset(csv_file(images, table()), folder=home).fingerprint}
    seen.add(index_dataset(csv_file(images, table().replace("a.png,cat", "a.png,dog")), folder=home).fingerprint)
    seen.add(index_dataset(csv_file(images, table().replace("TEST", "val")), folder=home).fingerprint)
    assert len(seen) == 3
    rows = [{"path": p, "label": c, "split": s} for p, c, s in zip(PATHS, LABELS, SPLITS, strict=True)]
    assert index_dataset(json_file(images, rows), folder=home).fingerprint in seen
