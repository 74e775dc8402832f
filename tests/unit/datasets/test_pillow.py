"""Images that a framework's Pillow refuses though ours reads them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from visiontrain.datasets import probe
from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.pillow import Pillow, host_pillow, host_version, pillow_of
from visiontrain.datasets.writer import index_dataset
from visiontrain.errors import DatasetError

#: A Pillow that reads nothing but TIFF, and says so of all else.
IMAGE = """
class UnidentifiedImageError(OSError): pass
class DecompressionBombError(Exception): pass
MAX_IMAGE_PIXELS = 1
class _Image:
    format, mode, size = "TIFF", "RGB", (20, 18)
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def load(self): pass
    def getexif(self): return {}
def open(file):
    if file.read(4) not in (b"II*\\0", b"MM\\0*"):
        raise UnidentifiedImageError
    return _Image()
"""


@pytest.fixture
def older(tmp_path) -> Pillow:
    folder = tmp_path / "older"
    (folder / "PIL").mkdir(parents=True)
    (folder / "PIL" / "__init__.py").write_text('__version__ = "0.1"\n')
    (folder / "PIL" / "Image.py").write_text(IMAGE)
    return Pillow("timm", sys.executable, str(folder), "0.1")


@pytest.fixture
def mixed(tree, image) -> Path:
    """Two classes; one of the images is a WebP, one a TIFF."""
    root = tree(*(f"{name}/{number}.png" for name in ("cat", "dog") for number in range(4)))
    image(root / "cat/a.webp", 50)
    image(root / "dog/b.TIF", 60, format="TIFF")
    return root


def test_what_another_pillow_refuses_is_named_with_it(mixed, older, home):
    report = check_dataset(mixed, folder=home, others=lambda: (older,))
    (problem,) = report.of("error")
    assert (problem.code, problem.files) == ("unreadable", ("cat/a.webp",))
    assert problem.reasons[0].startswith("the Pillow 0.1 that timm trains with refuses it: it is not an image")
    assert report.classes["dog"] == {"train": 4, "val": 1}
    with pytest.raises(DatasetError, match=r"cat/a\.webp: the Pillow 0\.1 that timm"):
        index_dataset(mixed, folder=home, others=lambda: (older,))
    found = index_dataset(mixed, folder=home, others=lambda: (older,), skip_unreadable=True)
    assert found.uncommon == 2
    paths = [Path(image.path).name for split in found.splits for image in DatasetIndex(found.path).images(split)]
    assert "b.TIF" in paths
    assert "a.webp" not in paths
    assert check_dataset(mixed, folder=home).trainable


def test_what_was_asked_once_is_not_read_again(mixed, older, home, monkeypatch):
    first = check_dataset(mixed, folder=home, others=lambda: (older,))
    given = []
    decode = probe.decode_all

    def watch(files, count, **options):
        given.append(count)
        return decode(files, count, **options)

    monkeypatch.setattr(probe, "decode_all", watch)
    assert check_dataset(mixed, folder=home, others=lambda: (older,)) == first
    assert given == [0, 0]


def test_nobody_is_asked_about_formats_that_all_read(flat, home):
    def never():
        raise AssertionError

    assert index_dataset(flat, folder=home, others=never).uncommon == 0


def test_the_same_version_need_not_be_asked(mixed, home):
    broken = replace(host_pillow(), folder="/nowhere")
    assert check_dataset(mixed, folder=home, others=lambda: (broken,)).trainable


def test_the_pillow_of_an_interpreter(tmp_path):
    assert pillow_of("timm", Path(sys.executable)) == replace(host_pillow(), owner="timm")
    assert pillow_of("timm", Path(sys.executable)).version == host_version()
    assert pillow_of("timm", tmp_path / "none") is None
    without = tmp_path / "python"
    without.write_text("#!/bin/sh\nexit 1\n")
    without.chmod(0o755)
    assert pillow_of("timm", without) is None
