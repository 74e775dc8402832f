"""The index and what is known of each file, on a disk that refuses or breaks off anywhere."""

from __future__ import annotations

import errno
import sqlite3

import pytest
from PIL import Image
from visiontrain_harness.faults import HOWS, every_fault, file_size_limit

from visiontrain.datasets import probe
from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.probe_cache import Probe, ProbeCache
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import StorageError

PAGE = 4096  # of SQLite, in bytes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for split in ("train", "val"):
        for label in ("cat", "dog"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (4, 4), (len(split) * 20, ord(label[0]), number * 60)).save(folder / f"{number}.png")
    return root


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    """Decoders are processes: what they find is known beforehand."""

    def decode_all(files, _count, *, pillow=None, kind="images", processes=None):
        for number, path in files:
            yield number, path, Probe(size=1, mtime_ns=1, width=4, height=4, mode="RGB", sha256=path[-32:].ljust(32))

    monkeypatch.setattr(probe, "decode_all", decode_all)


def check(root, data):
    """The next command reads the data, and its index holds all of it."""
    made = index_dataset(data, folder=root)
    index = DatasetIndex(made.path)
    assert index.splits == {"train": 6, "val": 6}
    assert sum(1 for _ in index.images("train")) == 6
    assert sorted(path.name for path in made.path.parent.iterdir()) == ["index.lock", "index.sqlite"]
    return made


@pytest.mark.parametrize("how", HOWS)
def test_an_index_is_whole_or_written_again(how, tmp_path, data):
    for case in every_fault(how, tmp_path, operation=lambda root: index_dataset(data, folder=root / "datasets")):
        assert case.error is None or isinstance(case.error, StorageError), case
        assert case.error is None or case.error.instruction
        check(case.root / "datasets", data)


def test_wherever_the_disk_is_full_the_next_command_has_an_index(tmp_path, data):
    whole = index_dataset(data, folder=tmp_path / "whole")
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.sqlite")]
    for size in range(0, max(sizes), PAGE // 2):
        folder = tmp_path / str(size)
        with pytest.raises(StorageError) as caught, file_size_limit(size):
            index_dataset(data, folder=folder)
        assert caught.value.instruction
        assert "transaction" not in caught.value.reason  # what went wrong first is told
        assert not list(folder.rglob("*.tmp"))
        assert check(folder, data).fingerprint == whole.fingerprint


def test_a_check_of_data_on_a_full_disk(tmp_path, data):
    with pytest.raises(StorageError, match="what is known about the data can't be kept"), file_size_limit(PAGE):
        check_dataset(data, folder=tmp_path)
    assert check_dataset(data, folder=tmp_path).splits == {"train": 6, "val": 6}


def test_probes_are_known_or_not_wherever_the_disk_is_full(tmp_path):
    probes = [(b"/%d" % number * 20, Probe(1, 1, 4, 4, "RGB", bytes(32))) for number in range(400)]

    def fill(path):
        with ProbeCache(path, "1") as cache:
            cache.keep(probes)

    fill(tmp_path / "whole")
    for size in range(0, (tmp_path / "whole").stat().st_size, PAGE):
        path = tmp_path / f"{size}.sqlite"
        with pytest.raises(sqlite3.Error) as caught, file_size_limit(size):
            fill(path)
        assert "transaction" not in str(caught.value)
        with ProbeCache(path, "1") as cache:
            known = list(cache.find((path, 1, 1) for path, _ in probes))
            assert all(found is None or found == made for found, (_, made) in zip(known, probes, strict=True))
            cache.keep(probes)
            assert None not in list(cache.find((path, 1, 1) for path, _ in probes))


def test_a_folder_that_may_not_be_written_to(tmp_path, data):
    (tmp_path / "datasets").write_text("in the way")
    with pytest.raises(StorageError, match="what is known about the data can't be kept") as caught:
        index_dataset(data, folder=tmp_path / "datasets")
    assert str(tmp_path / "datasets") in caught.value.reason


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_a_file_system_without_locks(tmp_path, data, monkeypatch, code):
    def flock(_descriptor, _operation):
        raise OSError(code, "no locks")

    monkeypatch.setattr("visiontrain.storage.fcntl.flock", flock)
    with pytest.raises(StorageError, match="can't be locked: no locks") as caught:
        index_dataset(data, folder=tmp_path)
    assert "local disk" in caught.value.instruction
