"""Predictions drawn into copies of the images, for looking at."""

from __future__ import annotations

import csv
import os
import warnings
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import cast

from PIL import Image, ImageDraw, ImageFont, ImageOps

from visiontrain.errors import ImageError, SpecError, StorageError
from visiontrain.predictions import Prediction
from visiontrain.storage import in_words

__all__ = ["PredictionFolder"]

_CSV = "predictions.csv"
_HEADER = ("image", "label", "probability", "drawn", "error")
_MARGIN = 4
_SMALLEST = 12  # height of the text, in pixels
_LARGEST = 16  # how many times a small image is enlarged at the most, so that the text has room


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
        self._table: csv.DictWriter[str] | None = None

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
        """Write a line of the table, and a copy of the image with its most probable labels where it can be read.

        Args:
            prediction: Of a file.
            below: The folder that the person gave: the copies lie as the images do below it.
            top: How many labels are drawn.

        Returns:
            Why there is no copy of an image that was predicted: this Pillow can't open it.

        Raises:
            StorageError: the disk does not take it.
        """
        source = prediction.path
        if source is None:
            raise ValueError("there is no file to make a copy of")
        drawn, why = None, None
        try:
            table = self._table or self._begin()
            if prediction.error is None:
                try:
                    image = _read(source)
                except ImageError as error:
                    why = error.reason
                else:
                    labels = [f"{label} {probability:.3f}" for label, probability in prediction.top(top)]
                    drawn = self._save(
                        _with_labels(image, labels), source.relative_to(below) if below else Path(source.name)
                    )
            label = "|".join(prediction.labels)  # as files of several labels have them
            values = (source, label, prediction.probability, drawn, prediction.error)
            table.writerow(dict(zip(_HEADER, values, strict=True)))
        except OSError as error:
            raise self._refused(error) from error
        return why

    def _begin(self) -> csv.DictWriter[str]:
        self.path.mkdir(parents=True, exist_ok=True)
        file = (self.path / _CSV).open("x", newline="", encoding="utf-8", errors="surrogateescape")
        self._table = csv.DictWriter(self._opened.enter_context(file), _HEADER)
        self._table.writeheader()
        return self._table

    def _save(self, image: Image.Image, name: Path) -> Path:
        """Write a file that is not there yet: what is in the folder, an original among it, stays as it is."""
        suffix = ".png" if name.suffix.lower() == ".png" else ".jpg"
        target, number = self.path / f"{name.with_suffix('')}{suffix}", 1
        while target in self._taken or target.exists():
            number += 1
            target = self.path / f"{name.with_suffix('')}-{number}{suffix}"
        self._taken.add(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target, quality=90)
        return target.relative_to(self.path)

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(
            f"predictions can't be saved in {self.path}: {in_words(error)}",
            instruction="Give a folder that has room and can be written to: --save DIR.",
        )


def _read(path: Path) -> Image.Image:
    """The image upright, as RGB.

    Raises:
        ImageError: this Pillow can't open it, though the framework's could.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata and sizes: the model has seen it already
            with Image.open(path) as opened:
                image = ImageOps.exif_transpose(opened) or opened
                if image.mode.startswith(("I", "F")):  # more than 8 bits: stretched, to be looked at
                    image = ImageOps.autocontrast(_as_bytes(image))
                return image.convert("RGB")
    except Exception as error:  # decoders raise what they like
        raise ImageError(f"{path}: {error}") from error


def _as_bytes(image: Image.Image) -> Image.Image:
    wide = image.convert("F")
    low, high = cast("tuple[float, float]", wide.getextrema())
    scale = 255 / (high - low) if high > low else 0.0
    return wide.point(lambda value: value * scale - low * scale).convert("L")


def _with_labels(image: Image.Image, lines: list[str]) -> Image.Image:
    """Light text on a dark ground in the upper left corner, of a size that goes with the image's.

    An image that is smaller than its text is enlarged first, pixel by pixel.
    """
    text = "\n".join(lines)
    font = ImageFont.load_default(size=max(_SMALLEST, min(image.size) // 20))
    _, _, right, bottom = ImageDraw.Draw(image).multiline_textbbox((_MARGIN, _MARGIN), text, font=font)
    times = min(_LARGEST, max(1, -(-int(right + _MARGIN) // image.width), -(-int(bottom + _MARGIN) // image.height)))
    if times > 1:
        image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image, "RGBA")
    draw.rectangle((0, 0, right + _MARGIN, bottom + _MARGIN), fill=(0, 0, 0, 160))
    draw.multiline_text((_MARGIN, _MARGIN), text, font=font, fill=(255, 255, 255, 255))
    return image
