"""Small datasets that are generated, to try things out without a download."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType

from visiontrain.datasets import regions, scenes, shapes
from visiontrain.datasets.figure_files import (
    CocoSample,
    YoloSample,
    box_columns,
    keypoint_columns,
    outline_columns,
    quad_columns,
)
from visiontrain.datasets.figures import ARROWS, SHAPES, SLABS
from visiontrain.datasets.formats.files import printable
from visiontrain.errors import InputError
from visiontrain.protocol.tasks import Task

__all__ = ["IMAGE_FORMATS", "SAMPLES", "Sample", "holds_sample", "make_sample"]

#: What images can be written as: as cameras do, without loss, and so that reading them needs no decoder.
IMAGE_FORMATS = ("jpg", "png", "ppm")


@dataclass(frozen=True)
class Sample:
    """A dataset that can be generated.

    Args:
        name: What the person asks for.
        task: What it is for.
        summary: One line about it.
        images_per_class: How many images of each split are sure to show a class.
        image_size: Side of the square images in pixels.
        make: Writes the dataset into an empty folder: given that, the seed, images per class by split, the side, and
            the images' format. Fewer images are the first ones of more.
        files: The files that `make` writes, relative to the folder: given the images per class by split, and their
            format.
    """

    name: str
    task: Task
    summary: str
    images_per_class: Mapping[str, int]
    image_size: int
    make: Callable[[Path, int, Mapping[str, int], int, str], None]
    files: Callable[[Mapping[str, int], str], Iterable[PurePath]]


_SHAPES = f"up to four of {len(SHAPES)} shapes an image"


def _of_objects(writer: YoloSample | CocoSample, task: Task, images: int, summary: str) -> Sample:
    few = images // 4
    counts = MappingProxyType({"train": images, "val": few, "test": few})
    return Sample(writer.name, task, summary, counts, 128, writer.make, writer.files)


#: The samples by name.
SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "shapes": Sample(
            name="shapes",
            task=Task.classify,
            summary=f"{len(shapes.CLASSES)} shapes drawn on noise: {', '.join(shapes.CLASSES)}",
            images_per_class=MappingProxyType({"train": 100, "val": 25, "test": 25}),
            image_size=96,
            make=shapes.make_shapes,
            files=shapes.list_shapes,
        ),
        "scenes": Sample(
            name="scenes",
            task=Task.classify,
            summary="up to three of these shapes an image, listed in a label file: multi-label",
            images_per_class=MappingProxyType({"train": 100, "val": 25, "test": 25}),
            image_size=96,
            make=scenes.make_scenes,
            files=scenes.list_scenes,
        ),
        **{
            sample.name: sample
            for sample in (
                _of_objects(
                    YoloSample("boxes", SHAPES, box_columns), Task.detect, 60, f"{_SHAPES} with boxes, as YOLO folders"
                ),
                _of_objects(
                    YoloSample("outlines", SHAPES, outline_columns),
                    Task.segment,
                    60,
                    f"{_SHAPES} with outlines, as YOLO folders",
                ),
                _of_objects(
                    YoloSample("keypoints", ARROWS, keypoint_columns, keypoints=True),
                    Task.pose,
                    300,
                    "arrows with four keypoints, as YOLO folders",
                ),
                _of_objects(
                    YoloSample("oriented", SLABS, quad_columns),
                    Task.obb,
                    150,
                    "bars and ovals with turned boxes, as YOLO folders",
                ),
                _of_objects(
                    CocoSample("coco", ARROWS),
                    Task.pose,
                    300,
                    "arrows with boxes, outlines and keypoints, as COCO JSON",
                ),
            )
        },
        "regions": Sample(
            name="regions",
            task=Task.semantic,
            summary=f"{_SHAPES} with masks that say what each pixel is of",
            images_per_class=MappingProxyType({"train": 40, "val": 10, "test": 10}),
            image_size=128,
            make=regions.make_regions,
            files=regions.list_regions,
        ),
    }
)


def make_sample(
    name: str,
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    images_per_class: Mapping[str, int] | None = None,
    image_size: int | None = None,
    image_format: str = "jpg",
) -> Path:
    """Generate a sample dataset. The same seed and Pillow give the same bytes.

    Args:
        name: One of `SAMPLES`.
        folder: Where to; made where it is missing. One that is not empty must hold this very sample, and stays as it
            is.
        seed: Decides everything that is random.
        images_per_class: Number of images by split (train, val, test); None: the sample's own.
        image_size: Side of the images in pixels, 16 to 1024; None: the sample's own.
        image_format: jpg, png, or ppm, which needs no decoder.

    Returns:
        The folder, absolute.

    Raises:
        InputError: there is no such sample, a number is out of range, or the folder holds something else or can't be
            written.
    """
    sample = _sample(name)
    counts = sample.images_per_class if images_per_class is None else images_per_class
    side = sample.image_size if image_size is None else image_size
    if not counts.keys() <= {"train", "val", "test"} or any(count < 0 for count in counts.values()):
        raise InputError(f"images_per_class gives 0 or more for train, val and test, not {dict(counts)}")
    if not _SMALLEST <= side <= _LARGEST:
        raise InputError(f"image_size must be between {_SMALLEST} and {_LARGEST} pixels, not {side}")
    if image_format not in IMAGE_FORMATS:
        raise InputError(f"the format of a sample's images is one of {', '.join(IMAGE_FORMATS)}, not {image_format!r}")
    wanted = _Wanted(sample, seed, counts, side, image_format)
    target = Path(folder).expanduser().absolute()
    try:
        target.mkdir(parents=True, exist_ok=True)
        found = sorted(os.listdir(target))
        if not found:
            _make(wanted, target)
        elif not _holds(wanted, target):
            raise InputError(
                f"{printable(str(target))} is not empty: it holds {', '.join(map(printable, found[:3]))}"
                + (" and more" if len(found) > 3 else ""),  # noqa: PLR2004
                instruction="Name a new or an empty folder.",
            )
    except (FileExistsError, NotADirectoryError) as e:
        raise InputError(
            f"{printable(str(target))} is not a folder", instruction="Name a folder for the sample."
        ) from e
    except OSError as e:
        raise InputError(
            f"{printable(str(target))} can't be written: {e.strerror or e}",
            instruction="Name a folder that you can write to, on a disk that has room.",
        ) from e
    return target


def holds_sample(name: str, folder: str | os.PathLike[str], *, image_format: str = "jpg") -> bool:
    """Whether a folder holds exactly the sample as `make_sample` makes it by default, in that format.

    Raises:
        InputError: there is no such sample.
    """
    sample = _sample(name)
    wanted = _Wanted(sample, 0, sample.images_per_class, sample.image_size, image_format)
    try:
        return _holds(wanted, Path(folder).expanduser())
    except OSError:  # whoever goes on to make it is told why
        return False


def _sample(name: str) -> Sample:
    sample = SAMPLES.get(name)
    if sample is None:
        raise InputError(f"there is no sample dataset {name!r}", instruction=f"There are: {', '.join(SAMPLES)}.")
    return sample


@dataclass(frozen=True)
class _Wanted:
    """A sample with all that decides what is in it."""

    sample: Sample
    seed: int
    counts: Mapping[str, int]
    side: int
    image_format: str

    def make(self, folder: Path, counts: Mapping[str, int]) -> None:
        self.sample.make(folder, self.seed, counts, self.side, self.image_format)

    def files(self, counts: Mapping[str, int]) -> list[Path]:
        return [Path(name) for name in self.sample.files(counts, self.image_format)]


def _make(wanted: _Wanted, target: Path) -> None:
    # Made aside, so that what was interrupted is never taken for a dataset.
    aside = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=target))
    try:
        wanted.make(aside, wanted.counts)
        for made in sorted(aside.iterdir()):
            made.rename(target / made.name)
    finally:
        shutil.rmtree(aside)


def _holds(wanted: _Wanted, folder: Path) -> bool:
    """Whether the folder holds the sample's files and no others, and the first of each class is what it should be."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if not path.is_dir()}
    if found.keys() != set(wanted.files(wanted.counts)) or not all(path.stat().st_size for path in found.values()):
        return False
    first = {split: min(count, 1) for split, count in wanted.counts.items()}
    with tempfile.TemporaryDirectory() as aside:
        # The seed and the size don't show in names. Drawing all of them again would take as long as making them.
        wanted.make(Path(aside), first)
        return all(_begins(Path(aside) / name, found[name]) for name in wanted.files(first))


def _begins(one: Path, other: Path) -> bool:
    """Whether a file is the same in a sample of fewer images and in one of more: an image, or a part of a list."""
    if one.suffix in (".csv", ".json"):
        few, more = ({line.rstrip(b",") for line in file.read_bytes().splitlines()} for file in (one, other))
        return few <= more
    return one.read_bytes() == other.read_bytes()


_SMALLEST, _LARGEST = 16, 1024
