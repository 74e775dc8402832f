"""Predictions on stdout, and in a folder that the person names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from visiontrain.cli.output import print_json, print_text
from visiontrain.display.consoles import error_console, say
from visiontrain.drawing import PredictionFolder
from visiontrain.predictions import Prediction, ScoredLabel
from visiontrain.runners.images import Given

__all__ = ["tell_all"]


def tell_all(found: Iterator[tuple[Given, Prediction]], *, save: Path | None, top: int, as_json: bool) -> int:
    """Print each prediction as it comes, and save it where that was asked for; gives how many images can't be read.

    Args:
        found: Images with their predictions.
        save: Folder for copies with the prediction drawn in.
        top: How many labels are shown.
        as_json: Print JSON lines.
    """
    console = error_console()
    images = unread = 0
    with ExitStack() as opened:
        folder = opened.enter_context(PredictionFolder(save)) if save is not None else None
        for given, prediction in found:
            images += 1
            unread += prediction.error is not None
            if as_json:
                print_json(_object(prediction, top))
            elif prediction.error is None:
                print_text(f"{prediction.path}  {_summary(prediction, top)}")
            if prediction.error is not None:
                say(console, f"Warning: {prediction.error}", "yellow")
            elif folder is not None:
                folder.add(prediction, below=given.folder, top=top)
    if as_json:
        print_json({"type": "result", "images": images, "unreadable": unread})
    elif images > 1:
        say(console, f"{images:,} images" + (f", {unread:,} of them can't be read" if unread else ""))
    if folder is not None:
        say(console, f"Saved in {folder.path}", whole=True)
    return unread


def _summary(prediction: Prediction, top: int) -> str:
    shown = prediction.top(top)
    marked = set(prediction.labels) if prediction.multi_label else set()
    return "  ".join(
        f"{'*' if scored.label in marked else ''}{scored.label} {scored.probability:.3f}" for scored in shown
    )


def _object(prediction: Prediction, top: int) -> dict[str, Any]:
    return {
        "type": "prediction",
        "image": str(prediction.path),
        "width": prediction.width,
        "height": prediction.height,
        "label": prediction.label,
        "labels": list(prediction.labels),
        "probability": prediction.probability,
        "top": [_scored(scored) for scored in prediction.top(top)],
        "probabilities": prediction.probabilities,
        "error": prediction.error,
    }


def _scored(scored: ScoredLabel) -> dict[str, Any]:
    return {"label": scored.label, "probability": scored.probability}
