"""Predictions drawn into copies of the images, for looking at."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType

from PIL import Image, ImageDraw, ImageFont, ImageOps

from visiontrain.errors import SpecError
from visiontrain.predictions import Prediction
from visiontrain.storage import explained

__all__ = ["PredictionFolder"]

_CSV = "predictions.csv"
_MARGIN = 4


class PredictionFolder:
    """A folder of copies, and a table beside them. Use it as a context manager.

    Args:
        path: Made where it is missing.

    Raises:
        SpecError: there is something of another kind, or an earlier table, which is not overwritten.
        StorageError: the disk does not take it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        if self.path.exists() and not self.path.is_dir():
            raise SpecError("save", f"{self.path} is no folder")
        if (self.path / _CSV).exists():
            raise SpecError(
                "save", f"{self.path} has a {_CSV} already", instruction="Give another folder, or remove that file."
            )
        self._taken: set[Path] = set()

    def __enter__(self) -> PredictionFolder:
        with explained(f"predictions can't be saved in {self.path}"):
            self.path.mkdir(parents=True, exist_ok=True)
            self._file = (self.path / _CSV).open("x", newline="", encoding="utf-8", errors="surrogateescape")
            self._table = csv.writer(self._file)
            self._table.writerow(("image", "label", "probability", "drawn"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with explained(f"predictions can't be saved in {self.path}"):
            self._file.close()

    def add(self, prediction: Prediction, *, below: Path | None, top: int) -> None:
        """Write a copy of the image with its most probable labels.

        Args:
            prediction: Of a file that can be read.
            below: The folder that the person gave: the copies lie as the images do below it.
            top: How many labels are drawn.

        Raises:
            StorageError: the disk does not take it.
        """
        source = prediction.path
        if source is None:
            raise ValueError("there is no file to make a copy of")
        with Image.open(source) as opened:
            image = (ImageOps.exif_transpose(opened) or opened).convert("RGB")
        _write_labels(image, [f"{label} {probability:.3f}" for label, probability in prediction.top(top)])
        target = self._free(source.relative_to(below) if below else Path(source.name))
        with explained(f"predictions can't be saved in {self.path}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            image.save(target, quality=90)
            label = " ".join(prediction.labels) if prediction.multi_label else prediction.label
            self._table.writerow((source, label, prediction.probability, target.relative_to(self.path)))

    def _free(self, name: Path) -> Path:
        """A file of this name that is not there yet: what is in the folder, an original among it, stays as it is."""
        suffix = ".png" if name.suffix.lower() == ".png" else ".jpg"
        target, number = self.path / name.with_suffix(suffix), 1
        while target in self._taken or target.exists():
            number += 1
            target = self.path / name.with_name(f"{name.stem}-{number}{suffix}")
        self._taken.add(target)
        return target


def _write_labels(image: Image.Image, lines: list[str]) -> None:
    """Light text on a dark ground in the upper left corner, of a size that goes with the image's."""
    font = ImageFont.load_default(size=max(10, min(image.size) // 20))
    draw = ImageDraw.Draw(image, "RGBA")
    text = "\n".join(lines)
    _, _, right, bottom = draw.multiline_textbbox((_MARGIN, _MARGIN), text, font=font)
    draw.rectangle((0, 0, right + _MARGIN, bottom + _MARGIN), fill=(0, 0, 0, 160))
    draw.multiline_text((_MARGIN, _MARGIN), text, font=font, fill=(255, 255, 255, 255))
