"""How far a prediction of many images is."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

from rich.console import RenderableType

from visiontrain.display.consoles import error_console
from visiontrain.display.region import Region, bar
from visiontrain.wording import duration

__all__ = ["shown"]

T = TypeVar("T")


def shown(predictions: Generator[T, None, None], *, total: int | None) -> Generator[T, None, None]:
    """The predictions, with a progress bar below while they are made.

    Args:
        predictions: As they come.
        total: How many there will be; None where nobody knows.
    """
    console = error_console()
    region = Region(console)
    began = started = time.monotonic()  # the second is the first prediction's time: the model is loaded then
    done = 0

    def line() -> RenderableType:
        now = time.monotonic()
        if not done:
            return bar("Loading the model", 0, 0, duration(now - began))
        speed = (done - 1) / max(1e-9, now - started)
        numbers = [f"{done:,}/{total:,}" if total else f"{done:,}", f"{speed:,.0f} images/s" if done > 1 else ""]
        numbers.append(f"{duration((total - done) / speed)} left" if total and speed else "")
        return bar("Predicting", done, total or 0, "  ".join(filter(None, numbers)))

    region.show(line)
    try:
        with closing(predictions):
            for done, prediction in enumerate(predictions, start=1):
                if done == 1:
                    started = time.monotonic()
                yield prediction
    finally:
        region.hide()
