from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading

import pytest

from visiontrain.datasets.index import FORMAT_VERSION, DatasetIndex
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError


@pytest.fixture
def index(flat, home):
    return DatasetIndex(index_dataset(flat, folder=home).path)


def test_reading(index):
    images = list(index.images("train"))
    assert [index.image("train", position) for position in range(16)] == images
    assert list(index.labels("train")) == [image.label for image in images] == [0] * 8 + [1] * 8
    with pytest.raises(IndexError, match="val has 4 images, no number 4"):
        index.image("val", 4)
    with pytest.raises(IndexError, match="test has 0 images"):
        index.image("test", 0)


def test_pickled_forked_and_in_threads(index):
    expected = list(index.images("train"))
    assert list(pickle.loads(pickle.dumps(index)).images("train")) == expected
    found = []
    threads = [threading.Thread(target=lambda: found.append(list(index.images("train")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8
    child = os.fork()
    if not child:
        os._exit(0 if list(index.images("train")) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_two_readings_at_a_time(index):
    pairs = list(zip(index.images("train"), index.images("train"), strict=True))
    assert len(pairs) == 16
    assert all(one == other for one, other in pairs)


def test_an_index_that_can_not_be_read(tmp_path):
    with pytest.raises(DatasetError, match=r"(?s)none\.sqlite can't be read.*made anew"):
        DatasetIndex(tmp_path / "none.sqlite")
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(DatasetError, match=f"has format 0, this version reads {FORMAT_VERSION}"):
        DatasetIndex(tmp_path / "empty.sqlite")


@pytest.mark.parametrize("module", ["visiontrain.datasets", "visiontrain.datasets.index"])
def test_imports_nothing_of_the_host(module):
    code = f"import {module}, sys; print([name for name in ('PIL', 'pydantic') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@pytest.mark.parametrize("module", ["visiontrain.datasets.writer", "visiontrain.datasets.samples"])
def test_pillow_is_not_imported_by_the_host(module):
    code = f"import {module}, sys; print('PIL' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
