"""How far a prediction of many images is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

from rich.console import RenderableType

from visiontrain.display.consoles import error_console
from visiontrain.display.region import Region, bar
from visiontrain.display.text import duration

__all__ = ["shown"]

T = TypeVar("T")


def shown(predictions: Iterator[T], *, total: int) -> Iterator[T]:
    """The predictions, with a progress bar below while they are made."""
    console = error_console()
    region = Region(console)
    began = time.monotonic()
    first = done = 0

    def line() -> RenderableType:
        if not done:
            return bar("Loading the model", 0, 0, duration(time.monotonic() - began))
        speed = (done - first) / max(1e-9, time.monotonic() - started)
        left = f"  {duration((total - done) / speed)} left" if speed and done > first else ""
        return bar("Predicting", done, total, f"{done:,}/{total:,}  {speed:,.0f} images/s{left}")

    started = began
    region.show(line)
    try:
        for done, prediction in enumerate(predictions, start=1):
            if done == 1:
                started, first = time.monotonic(), 1
            yield prediction
    finally:
        region.hide()
