"""Predictions on stdout, and in a folder that the person names."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from pathlib import Path

from visiontrain.cli.output import print_json, print_text
from visiontrain.cli.prediction_lines import as_json as json_line
from visiontrain.cli.prediction_lines import as_text
from visiontrain.cli.results import error_object
from visiontrain.display.consoles import error_console, say
from visiontrain.drawing.folder import PredictionFolder
from visiontrain.errors import VisiontrainError
from visiontrain.predictions import Prediction
from visiontrain.runners.images import Given

__all__ = ["tell_all"]


def tell_all(
    start: Callable[[], Generator[tuple[Given, Prediction], None, None]], *, save: Path | None, top: int, as_json: bool
) -> int:
    """Print each prediction as it comes, and save it where that was asked for; gives how many images can't be read.

    Args:
        start: Gives images with their predictions.
        save: Folder for copies with the prediction drawn in.
        top: How many labels, or objects, are shown in a line.
        as_json: Print JSON lines, and a result whatever happens.
    """
    told = _Told(top, as_json=as_json)
    folder = PredictionFolder(save) if save is not None else None
    try:
        with ExitStack() as opened:
            found = opened.enter_context(closing(start()))
            if folder is not None:
                opened.enter_context(folder)
            for given, prediction in found:
                told.add(prediction)
                if folder is not None and (why := folder.add(prediction, below=given.folder, top=top)):
                    told.warn(f"no copy is saved: {why}")
    except (VisiontrainError, KeyboardInterrupt) as raised:
        if as_json:
            _print_result(told, raised)
        raise
    if as_json:
        _print_result(told)
    elif told.images > 1:
        say(told.console, f"{told.images:,} images" + (f", {told.unread:,} can't be read" if told.unread else ""))
    if folder is not None:
        say(told.console, f"Saved in {folder.path}", whole=True)
    return told.unread


class _Told:
    """What was told so far."""

    def __init__(self, top: int, *, as_json: bool) -> None:
        self.console = error_console()
        self.images = self.unread = 0
        self._top, self._as_json = top, as_json

    def add(self, prediction: Prediction) -> None:
        self.images += 1
        if self._as_json:
            print_json(json_line(prediction, self._top))
        elif prediction.error is None:
            print_text(as_text(prediction, self._top))
        if prediction.error is not None:
            self.unread += 1
            self.warn(prediction.error)

    def warn(self, text: str) -> None:
        text = text.replace("\n", "\\n")  # which a file's name may hold
        say(self.console, f"Warning: {text}", "yellow")


def _print_result(told: _Told, raised: BaseException | None = None) -> None:
    error = raised if isinstance(raised, VisiontrainError) else None
    print_json(
        {
            "type": "result",
            "status": "failed" if error else "stopped" if raised else "completed",
            "images": told.images,
            "unreadable": told.unread,
            "error": error and error_object(error),
        }
    )
