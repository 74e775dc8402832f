from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from visiontrain.datasets import decoder, decoder_pool
from visiontrain.datasets.check import check_dataset
from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.report import Problem
from visiontrain.datasets.writer import index_dataset


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home" / "datasets"


@pytest.fixture
def image() -> Callable[..., Path]:
    """Write an image; the colour makes its contents."""

    def write(path: Path, colour: int = 0, *, size: tuple[int, int] = (20, 18), mode: str = "RGB", **options) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        value = (colour % 256, colour // 256 % 256, 7) if mode == "RGB" else colour % 256
        Image.new(mode, size, value).save(path, **options)
        return path

    return write


@pytest.fixture
def tree(tmp_path: Path, image) -> Callable[..., Path]:
    """Make a data folder out of paths that end in images, each with contents of its own."""

    def make(*paths: str, name: str = "data") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for number, path in enumerate(paths):
            image(root / path, number + 1)
        return root

    return make


@pytest.fixture
def flat(tree) -> Path:
    """Two classes, ten images each, no splits."""
    return tree(*(f"{name}/{number}.png" for name in ("cat", "dog") for number in range(10)))


@pytest.fixture
def bad_decoder(tmp_path: Path, monkeypatch) -> Path:
    """A decoder that does to itself what names of files ask for; gives the log of the paths it was given."""
    log = tmp_path / "decoder.log"
    script = tmp_path / "bad_decoder.py"
    script.write_text(f"""
import importlib.util, os, re, signal, sys
spec = importlib.util.spec_from_file_location("decoder", {decoder.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
decode = module.look_at

def look_at(path, pillow):
    with open({str(log)!r}, "ab") as log:
        first = path not in open({str(log)!r}, "rb").read().split(b"\\n")
        log.write(path + b"\\n")
    name = os.path.basename(path)
    if b"segfault" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"exits" in name:
        os._exit(3)
    if b"killed-once" in name and first:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"hangs" in name:
        re.match(b"(a+)+$", b"a" * 60 + b"b")  # C code that holds the interpreter for ever
    return decode(path, pillow)

module.look_at = look_at
module.main()
""")
    monkeypatch.setattr(decoder_pool.program, "__file__", str(script))
    return log


@pytest.fixture
def annotated(tmp_path: Path, image) -> Callable[..., Path]:
    """Make a folder out of files: images (by the size that they shall have), and texts."""

    def make(files: dict[str, str | tuple[int, int]], name: str = "data") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for number, (path, content) in enumerate(files.items(), start=1):
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                place.write_text(content, encoding="utf-8")
            else:
                image(place, number, size=content)
        return root

    return make


@pytest.fixture
def read(home: Path) -> Callable[..., DatasetIndex]:
    """The index of data."""

    def index(root: Path, **options) -> DatasetIndex:
        return DatasetIndex(index_dataset(root, folder=home, **options).path)

    return index


@pytest.fixture
def problems(home: Path) -> Callable[..., dict[str, Problem]]:
    """The problems of data by code."""

    def check(root: Path, **options) -> dict[str, Problem]:
        return {problem.code: problem for problem in check_dataset(root, folder=home, **options).problems}

    return check
