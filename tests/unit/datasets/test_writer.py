from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from visiontrain.datasets import probe, writer
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.progress import IndexProgress
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError, VisiontrainError


def contents(folder):
    """Everything of a tree that could be changed, but for access times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        found[path] = (status.st_mtime_ns, status.st_ctime_ns, status.st_mode, path.is_file() and path.read_bytes())
    return found


def test_the_index_says_what_the_folder_holds(tree, home):
    root = tree("train/dog/b.png", "train/cat/a.png", "valid/cat/c.png", "valid/dog/d.png")
    found = index_dataset(root, folder=home)
    index = DatasetIndex(found.path)
    assert found.path.is_relative_to(home)
    assert index.fingerprint == found.fingerprint
    assert len(found.fingerprint) == 64
    assert index.root == found.root == root
    assert index.classes == found.classes == ("cat", "dog")
    assert index.splits == found.splits == {"train": 2, "val": 2}
    assert [(image.path, image.label) for image in index.images("train")] == [
        (f"{root}/train/cat/a.png", 0),
        (f"{root}/train/dog/b.png", 1),
    ]
    assert (index.image("val", 1).width, index.image("val", 1).height) == (20, 18)


def test_the_data_is_not_touched(flat, home):
    before = contents(flat)
    index_dataset(flat, folder=home)
    assert contents(flat) == before


def test_an_index_that_is_there_is_used_again(flat, home):
    first = index_dataset(flat, folder=home)
    before = first.path.stat()
    second = index_dataset(flat, folder=home, batch_size=4)
    assert second == first
    assert first.path.stat().st_ino == before.st_ino


def test_identity(flat, home, tmp_path, image):
    def fingerprint(root=flat, **options):
        found = index_dataset(root, folder=home, **options)
        return found.fingerprint, found.path

    first, path = fingerprint()
    os.utime(flat / "cat/1.png", (1, 1))
    assert fingerprint() == (first, path)
    copy = tmp_path / "copy"
    shutil.copytree(flat, copy)
    assert fingerprint(copy)[0] == first
    assert fingerprint(copy)[1] != path
    seen = {first, fingerprint(seed=1)[0]}
    assert len(seen) == 2
    (flat / "cat/1.png").rename(flat / "cat/other.png")
    seen.add(fingerprint()[0])
    image(flat / "cat/other.png", 500)
    seen.add(fingerprint()[0])
    (flat / "cat/other.png").rename(flat / "dog/other.png")
    seen.add(fingerprint()[0])
    (flat / "dog").rename(flat / "god")
    seen.add(fingerprint()[0])
    assert len(seen) == 6


def test_the_order_of_the_file_system_does_not_matter(tree, home, monkeypatch):
    root = tree(*(f"train/{name}/{sub}/{number}.png" for name in "abc" for sub in "xy" for number in range(4)))
    first = index_dataset(root, folder=home / "1")
    scandir = os.scandir

    class Backwards:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *exception):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    second = index_dataset(root, folder=home / "2")
    assert second.fingerprint == first.fingerprint
    assert list(DatasetIndex(second.path).images("val")) == list(DatasetIndex(first.path).images("val"))


def test_names_that_are_not_utf8(flat, home):
    path = (flat / "cat/1.png").rename(flat / "cat" / os.fsdecode(b"\xff.png"))
    bad = flat / "dog" / os.fsdecode(b"\xfe.png")
    bad.touch()
    with pytest.raises(DatasetError, match=r"dog/\\xfe\.png: the file is empty"):
        index_dataset(flat, folder=home)
    bad.unlink()
    index = DatasetIndex(index_dataset(flat, folder=home).path)
    paths = [Path(image.path) for split in index.splits for image in index.images(split)]
    assert path in paths
    assert all(found.is_file() for found in paths)


def test_a_root_that_is_not_utf8(flat, home):
    root = flat.rename(flat.parent / os.fsdecode(b"d\xe9"))
    found = index_dataset(root, folder=home)
    assert found.root == root
    assert Path(DatasetIndex(found.path).image("train", 0).path).is_file()


def test_unreadable_images_are_refused_before_anything_is_written(flat, home):
    for number in range(30):
        (flat / f"cat/bad{number:02}.png").write_bytes(b"")
    with pytest.raises(DatasetError) as error:
        index_dataset(flat, folder=home)
    lines = str(error.value).splitlines()
    assert lines[0] == "30 images can't be read:"
    assert lines[1] == "  cat/bad00.png: the file is empty (0 bytes)"
    assert lines[20:22] == ["  cat/bad19.png: the file is empty (0 bytes)", "  and 10 more"]
    assert "skip_unreadable" in error.value.instruction
    assert list(home.glob("*/index.sqlite")) == []


def test_unreadable_images_are_skipped_when_asked(flat, home):
    clean = index_dataset(flat, folder=home)
    (flat / "cat/bad.png").write_bytes(b"")
    found = index_dataset(flat, folder=home, skip_unreadable=True)
    assert found.fingerprint == clean.fingerprint
    (problem,) = found.report.of("warning")
    assert (problem.code, problem.files) == ("unreadable", ("cat/bad.png",))
    assert problem.message == "1 image can't be read; left out:"


def test_progress(flat, home):
    told = []
    index_dataset(flat, folder=home, progress=told.append)
    assert told[0] == IndexProgress("scan", 0, 0)
    assert IndexProgress("scan", 20, 20) in told
    assert IndexProgress("probe", 20, 20) in told
    assert told[-1] == IndexProgress("write", 20, 20)
    assert told == sorted(told, key=lambda step: (["scan", "probe", "write"].index(step.phase), step.done))


def test_an_interrupted_reading_goes_on_where_it_stopped(tree, home, monkeypatch, bad_decoder):
    root = tree(*(f"{name}/{number}.png" for name in "ab" for number in range(60)))
    monkeypatch.setattr(probe, "_PROGRESS_SECONDS", 0)

    def interrupt(step):
        if step.phase == "probe" and step.done == 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_dataset(root, folder=home, progress=interrupt)
    bad_decoder.unlink()
    index_dataset(root, folder=home)
    assert len(bad_decoder.read_bytes().split()) == 50
    bad_decoder.unlink()
    index_dataset(root, folder=home)
    assert not bad_decoder.exists()


def test_a_file_that_changed_is_decoded_again(flat, home, image, bad_decoder):
    index_dataset(flat, folder=home)
    bad_decoder.unlink()
    image(flat / "cat/1.png", 999)
    os.utime(flat / "cat/2.png", (5, 5))
    index_dataset(flat, folder=home)
    assert sorted(bad_decoder.read_text().split()) == [f"{flat}/cat/1.png", f"{flat}/cat/2.png"]


def test_a_file_whose_rights_were_mended_is_decoded_again(flat, home):
    (flat / "cat/link.png").symlink_to(flat.parent / "later.png")
    with pytest.raises(DatasetError, match="No such file"):
        index_dataset(flat, folder=home)
    shutil.copy(flat / "cat/1.png", flat.parent / "later.png")
    assert sum(index_dataset(flat, folder=home).splits.values()) == 21


@pytest.mark.parametrize("damage", [b"", b"no database at all", None])
def test_a_damaged_or_old_index_is_written_anew(flat, home, damage):
    path = index_dataset(flat, folder=home).path
    if damage is None:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 0")
        connection.close()
    else:
        path.write_bytes(damage)
    assert len(list(DatasetIndex(index_dataset(flat, folder=home).path).images("train"))) == 16


def test_a_killed_writer_leaves_nothing_that_is_used(flat, home, monkeypatch):
    def die(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "_sync", die)
    with pytest.raises(KeyboardInterrupt):
        index_dataset(flat, folder=home)
    assert list(home.glob("*/index.sqlite")) == []
    monkeypatch.undo()
    path = index_dataset(flat, folder=home).path
    assert sorted(entry.name for entry in path.parent.iterdir() if entry.suffix != ".lock") == ["index.sqlite"]


def test_many_at_a_time(flat, home):
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: index_dataset(flat, folder=home), range(6)))
    assert len({dataset.path for dataset in found}) == 1
    assert len(list(DatasetIndex(found[0].path).images("val"))) == 4


def test_a_damaged_cache_is_named(flat, home):
    index_dataset(flat, folder=home)
    (cache,) = home.glob("probes-*.sqlite")
    cache.write_bytes(b"no database" * 1000)
    with pytest.raises(VisiontrainError, match=f"(?s)not a database.*remove {cache}"):
        index_dataset(flat, folder=home)


def test_the_index_is_named_by_contents(flat, home):
    found = index_dataset(flat, folder=home)
    place = hashlib.sha256(os.fsencode(flat)).hexdigest()
    assert found.path == home / f"{found.fingerprint[:16]}-{place[:8]}" / "index.sqlite"
