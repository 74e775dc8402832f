"""A million files: the index is made in memory that does not grow with them, and nothing is read twice."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
from PIL import Image

from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.progress import IndexProgress
from visiontrain.datasets.writer import index_dataset

IMAGES = int(os.environ.get("VISIONTRAIN_SOAK_IMAGES", "1000000"))

#: Bytes that ten times as many files may take more: pages of the index and of what is known of each file.
SLACK = 96 * 2**20

CLASSES = 100

#: A file has so many names at the most, on file systems that take 65,000.
NAMES = 50_000


class Watch:
    """Takes the progress; keeps the most memory that this process and its decoders held, and what was told."""

    def __init__(self) -> None:
        self.peak = 0
        self.phases: dict[str, int] = {}
        self._looked = 0.0

    def __call__(self, progress: IndexProgress) -> None:
        self.phases[progress.phase] = max(self.phases.get(progress.phase, 0), progress.done)
        if time.monotonic() - self._looked > 0.2:
            process = psutil.Process()
            held = [process, *process.children(recursive=True)]
            self.peak = max(self.peak, sum(each.memory_info().rss for each in held if each.is_running()))
            self._looked = time.monotonic()


def make_images(folder: Path, count: int) -> None:
    """So many small photos in as many class folders, a few contents under many names."""
    originals = folder.with_name(folder.name + "-originals")
    originals.mkdir()
    for number in range(-(-count // NAMES)):
        Image.new("RGB", (16, 16), (number, 255 - number, 99)).save(originals / f"{number}.jpg")
    for label in range(CLASSES):
        (folder / f"class{label:03}").mkdir(parents=True)
    for number in range(count):
        target = folder / f"class{number % CLASSES:03}" / f"{number}.jpg"
        os.link(originals / f"{number // NAMES}.jpg", target)


def test_a_million_files_take_no_more_memory_than_a_tenth_of_them(tmp_path):
    peaks = []
    for count in (IMAGES // 10, IMAGES):
        folder, home, watch = tmp_path / str(count), tmp_path / f"home{count}", Watch()
        make_images(folder, count)
        began = time.monotonic()
        found = index_dataset(folder, folder=home, progress=watch)
        took = time.monotonic() - began
        assert sum(found.splits.values()) == count == sum(DatasetIndex(found.path).splits.values())
        assert watch.phases["probe"] == count
        peaks.append(watch.peak)
        print(f"{count:,} images: {took:.0f} s, {watch.peak / 2**20:.0f} MiB at the most")  # noqa: T201 - figures to write down

        again = Watch()
        began = time.monotonic()
        assert index_dataset(folder, folder=home, progress=again).fingerprint == found.fingerprint
        print(f"again: {time.monotonic() - began:.0f} s")  # noqa: T201 - likewise
    assert peaks[1] - peaks[0] < SLACK
