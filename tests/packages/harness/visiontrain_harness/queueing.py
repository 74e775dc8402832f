"""What processes of their own do in a device's queue; importable by a spawned child."""

from __future__ import annotations

import os
from typing import Any

from visiontrain.protocol.messages import Device
from visiontrain.supervisor.launch import DeviceLimit
from visiontrain.supervisor.places import join


def join_and_die(folder: str) -> None:
    """Join, and end without leaving."""
    join(DeviceLimit(folder, 1), "dead", [Device("cpu")])
    os._exit(9)


def join_and_stay(folder: str, told: Any, all_told: Any, number: int) -> None:
    """Join, tell whether it is one's turn, and stay until all have told."""
    place = join(DeviceLimit(folder, 1), f"r{number}", [Device("cpu")])
    told.put(place.waits_for() is None)
    all_told.wait(60)
