"""A folder of copies of images with what was found drawn in, and a table of it."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from visiontrain.drawing.labels import with_labels
from visiontrain.drawing.objects import with_objects
from visiontrain.drawing.reading import read_image
from visiontrain.drawing.regions import with_regions
from visiontrain.errors import ImageError, SpecError, StorageError
from visiontrain.predictions import Prediction
from visiontrain.protocol.tasks import Task
from visiontrain.storage import in_words

if TYPE_CHECKING:
    from _csv import Writer

    from PIL.Image import Image

__all__ = ["PredictionFolder"]

_CSV = "predictions.csv"
_MAP = "-classes"  # how the name of a class map goes on after its image's
_HEADER = ("image", "label", "probability", "drawn", "error")
_MAPS_HEADER = ("image", "label", "share", "drawn", "class_map", "error")
_OBJECTS_HEADER = ("image", "label", "score", "left", "top", "right", "bottom", "drawn", "error")


class PredictionFolder:
    """A folder of copies, and a table beside them. Use it as a context manager.

    Args:
        path: Made with the first prediction, where it is missing.

    Raises:
        SpecError: there is something of another kind, or an earlier table, which is not overwritten.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise SpecError("save", f"{self.path} is no folder", instruction="Give another one.")
        if os.path.lexists(self.path / _CSV):
            raise SpecError(
                "save", f"{self.path} has a {_CSV} already", instruction="Give another folder, or remove that file."
            )
        self._taken: set[Path] = set()
        self._opened = ExitStack()
        self._table: Writer | None = None

    def __enter__(self) -> PredictionFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._opened.close()
        except OSError as error:
            raise self._refused(error) from error

    def add(self, prediction: Prediction, *, below: Path | None, top: int) -> str | None:
        """Write rows of the table, and a copy of the image with what was found in it where it can be read.

        A class map is written as a PNG of class indices beside the copy, too.

        Args:
            prediction: Of a file; all of one model.
            below: The folder that the person gave: the copies lie as the images do below it.
            top: How many labels are drawn, or classes of a class map named; objects are all drawn.

        Returns:
            Why there is no copy of an image that was predicted: this Pillow can't open it.

        Raises:
            StorageError: the disk does not take it.
        """
        source = prediction.path
        if source is None:
            raise ValueError("there is no file to make a copy of")
        why: str | None = None
        files: list[Path | None] = [None] * (2 if prediction.task is Task.semantic else 1)
        name = source.relative_to(below) if below else Path(source.name)
        try:
            table = self._table or self._begin(_header(prediction))
            if prediction.error is None:
                try:
                    image = read_image(source)
                except ImageError as error:
                    why = error.reason
                else:
                    files[0] = self._save(_drawn(image, prediction, top), name)
                if prediction.class_map is not None:
                    target = self._free(name.with_name(f"{name.stem}{_MAP}"), ".png")
                    prediction.class_map.save(target)
                    files[1] = target.relative_to(self.path)
            table.writerows((source, *found, *files, prediction.error) for found in _found(prediction))
        except OSError as error:
            raise self._refused(error) from error
        return why

    def _begin(self, header: tuple[str, ...]) -> Writer:
        self.path.mkdir(parents=True, exist_ok=True)
        file = (self.path / _CSV).open("x", newline="", encoding="utf-8", errors="surrogateescape")
        self._table = csv.writer(self._opened.enter_context(file))
        self._table.writerow(header)
        return self._table

    def _save(self, image: Image, name: Path) -> Path:
        target = self._free(name.with_suffix(""), ".png" if name.suffix.lower() == ".png" else ".jpg")
        image.save(target, quality=90)
        return target.relative_to(self.path)

    def _free(self, name: Path, suffix: str) -> Path:
        """A file that is not there yet: what is in the folder, an original among it, stays as it is."""
        target, number = self.path / f"{name}{suffix}", 1
        while target in self._taken or target.exists():
            number += 1
            target = self.path / f"{name}-{number}{suffix}"
        self._taken.add(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(
            f"predictions can't be saved in {self.path}: {in_words(error)}",
            instruction="Give a folder that has room and can be written to: --save DIR.",
        )


def _header(prediction: Prediction) -> tuple[str, ...]:
    if prediction.task is Task.semantic:
        return _MAPS_HEADER
    return _OBJECTS_HEADER if prediction.finds_objects else _HEADER


def _drawn(image: Image, prediction: Prediction, top: int) -> Image:
    if prediction.finds_objects:
        return with_objects(image, prediction)
    if prediction.task is Task.semantic:
        return with_regions(image, prediction, top)
    return with_labels(image, [f"{label} {probability:.3f}" for label, probability in prediction.top(top)])


def _found(prediction: Prediction) -> Iterator[tuple[object, ...]]:
    """What is told between an image's name and its copy's: a row an object, or a class that a class map shows.

    One row where there is none.
    """
    if prediction.task is Task.semantic:
        yield from prediction.top(len(prediction.labels))
        if prediction.class_map is None:
            yield None, None
        return
    if not prediction.finds_objects:
        yield "|".join(prediction.labels), prediction.probability  # as files of several labels have them
        return
    for found in prediction.objects:
        yield found.label, found.score, *found.box
    if not prediction.objects:
        yield (None,) * 6
