"""What the kit tells its half inside the environment, in one variable."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from visiontrain.protocol.codec import dumps, loads
from visiontrain.protocol.structure import structure, unstructure

__all__ = ["VARIABLE", "Hold", "Settings", "read_settings", "write_settings"]

#: The worker's environment variable that holds the settings as JSON.
VARIABLE = "VISIONTRAIN_TESTING"

#: Where a training is held until the test has done what it wants to be done there: before the trainer is asked to
#: train; in the middle of the second epoch; when the first epoch's metrics were reported.
Hold = Literal["start", "mid-epoch", "metrics"]


@dataclass(frozen=True)
class Settings:
    """How a trainer is watched.

    Args:
        trainer: The plugin's trainer, ``package.module:Class``.
        folder: Where the findings go, absolute.
        may_write: Further folders that may be written below, absolute.
        hold: Where the training is held.
        noise: Print while it trains, in all the ways there are.
    """

    trainer: str
    folder: str
    may_write: tuple[str, ...] = ()
    hold: Hold | None = None
    noise: bool = False


def read_settings() -> Settings:
    """The settings of this worker."""
    return structure(Settings, loads(os.environ[VARIABLE].encode()))


def write_settings(settings: Settings) -> str:
    """The variable's value."""
    return dumps(unstructure(settings)).decode()
